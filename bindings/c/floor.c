/* core.seccomp.*: the profile of system calls that every container gets; core.seal. */
#include "laxo.h"

#include <limits.h>
#include <stdlib.h>

/* core.seccomp.base() */
static int seccomp_base(lua_State *L) {
  char path[PATH_MAX];
  axo_err_t err;
  int rc = axo_seccomp_base(path, sizeof path, &err);
  if (rc == UV_ENOBUFS)
    return laxo_fail_code(L, rc, "seccomp", NULL);
  if (rc != 0)
    return laxo_fail(L, &err);
  lua_pushstring(L, path);
  return 1;
}

static int push_text(lua_State *L) {
  char **text = lua_touserdata(L, 1);
  lua_pushstring(L, *text);
  return 1;
}

/* core.seccomp.profile(setuid, nested_namespaces) */
static int seccomp_profile(lua_State *L) {
  char *text = NULL;
  axo_err_t err;
  bool setuid_allowed = lua_toboolean(L, 1), nested = lua_toboolean(L, 2);
  if (axo_seccomp_profile(setuid_allowed, nested, &text, &err) != 0)
    return laxo_fail(L, &err);
  lua_pushcfunction(L, push_text);
  lua_pushlightuserdata(L, &text);
  int rc = lua_pcall(L, 1, 1, 0);
  free(text);
  return rc == LUA_OK ? 1 : lua_error(L);
}

/* core.seal(pid, paths) */
static int seal(lua_State *L) {
  laxo_reader_t reader;
  axo_err_t err;
  lua_Integer pid = luaL_checkinteger(L, 1);
  luaL_argcheck(L, pid > 1 && pid <= INT_MAX, 1, "not a container's process");
  laxo_reader_init(L, &reader, "seal");
  const char *const *paths = laxo_read_strings(&reader, 2, "paths");
  if (reader.err.code != 0)
    return laxo_fail(L, &reader.err);
  if (axo_mounts_seal((int)pid, paths, &err) != 0)
    return laxo_fail(L, &err);
  lua_pushboolean(L, true);
  return 1;
}

static const luaL_Reg functions[] = {
    {"base", seccomp_base},
    {"profile", seccomp_profile},
    {NULL, NULL},
};

void laxo_floor_register(lua_State *L) {
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "seccomp");
  lua_pushcfunction(L, seal);
  lua_setfield(L, -2, "seal");
}
