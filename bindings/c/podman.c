#include "laxo.h"

#include <limits.h>
#include <stdlib.h>

/* core.podman.find(override?, path?): without `path`, this process's PATH. */
static int podman_find(lua_State *L) {
  const char *override = lua_isnoneornil(L, 1) ? NULL : laxo_check_text(L, 1);
  const char *path = luaL_optstring(L, 2, getenv("PATH"));
  char found[PATH_MAX];
  axo_err_t err;
  if (axo_podman_find(override, path, found, sizeof found, &err) != 0)
    return laxo_fail(L, &err);
  lua_pushstring(L, found);
  return 1;
}

typedef struct judge_args {
  int code;
  const char *argv0;
  laxo_bytes_t text;
  uint64_t total;
} judge_args_t;

static const laxo_field_t judge_fields[] = {
    LAXO_NEED("code", LAXO_INT, offsetof(judge_args_t, code)),
    LAXO_NEED("argv0", LAXO_STRING, offsetof(judge_args_t, argv0)),
    LAXO_NEED("stderr", LAXO_BYTES, offsetof(judge_args_t, text)),
    LAXO_NEED("stdout_total", LAXO_UINT64, offsetof(judge_args_t, total)),
};
static const laxo_shape_t judge_shape = LAXO_SHAPE(judge_fields, judge_args_t);

static const char *fault_code(axo_podman_fault_t fault) {
  switch (fault) {
  case AXO_FAULT_NOT_FOUND:
    return "NOT_FOUND";
  case AXO_FAULT_NOT_EXECUTABLE:
    return "NOT_EXECUTABLE";
  case AXO_FAULT_NO_DIRECTORY:
    return "NO_DIRECTORY";
  case AXO_FAULT_NO_USER:
    return "NO_USER";
  case AXO_FAULT_GONE:
    return "GONE";
  default:
    return "PODMAN";
  }
}

/* Returns nil when the exit code is the command's own, else the error: this one reports
 * a finding, so it comes first. */
static int podman_judge(lua_State *L) {
  judge_args_t args = {0};
  laxo_reader_t reader;
  axo_err_t err;
  luaL_checktype(L, 1, LUA_TTABLE);
  laxo_reader_init(L, &reader, "podman.judge");
  laxo_read(&reader, 1, &judge_shape, &args);
  if (reader.err.code != 0)
    return luaL_error(L, "%s", reader.err.message);
  axo_exec_outcome_t outcome = {args.code, args.argv0, args.text.data, args.text.len,
                                args.total};
  axo_podman_fault_t fault = axo_podman_judge(&outcome, &err);
  if (fault == AXO_FAULT_NONE) {
    lua_pushnil(L);
    return 1;
  }
  laxo_fail(L, &err);
  lua_pushstring(L, fault_code(fault));
  lua_setfield(L, -2, "code");
  lua_pushlstring(L, args.text.data, args.text.len);
  lua_setfield(L, -2, "stderr");
  lua_pushinteger(L, args.code);
  lua_setfield(L, -2, "exit_code");
  return 1;
}

static const luaL_Reg functions[] = {
    {"find", podman_find}, {"judge", podman_judge}, {NULL, NULL}};

void laxo_podman_register(lua_State *L) {
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "podman");
}
