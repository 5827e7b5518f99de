/* core.open_flags, core.stage and core.system_error: numbers that Lua would have to
 * repeat, and that differ between machines (O_NOFOLLOW is 0x20000 on x86 and 0x8000 on
 * ARM). */
#include "laxo.h"
#include "link/protocol.h"

#include <fcntl.h>
#include <limits.h>

typedef struct constant {
  const char *name;
  lua_Integer value;
} constant_t;

/* What link:open_file takes; luv 1.44 has neither O_NOFOLLOW nor O_DIRECTORY. */
static const constant_t open_flags[] = {
    {"O_RDONLY", O_RDONLY},
    {"O_WRONLY", O_WRONLY},
    {"O_CREAT", O_CREAT},
    {"O_EXCL", O_EXCL},
    {"O_NOFOLLOW", O_NOFOLLOW},
    {"O_DIRECTORY", O_DIRECTORY},
#ifdef O_PATH
    {"O_PATH", O_PATH},
#endif
    {NULL, 0},
};

/* How far the guest came with what it refused: `stage` of an error. */
static const constant_t stages[] = {
    {"REQUEST", AXO_STAGE_REQUEST},
    {"LIMIT", AXO_STAGE_LIMIT},
    {"FORK", AXO_STAGE_FORK},
    {"USER", AXO_STAGE_USER},
    {"CWD", AXO_STAGE_CWD},
    {"EXEC", AXO_STAGE_EXEC},
    {"TERMINAL", AXO_STAGE_TERMINAL},
    {"RING", AXO_STAGE_RING},
    {"FILE", AXO_STAGE_FILE},
    {"WORK", AXO_STAGE_WORK},
    {NULL, 0},
};

static void add_table(lua_State *L, const char *name, const constant_t *constants) {
  lua_newtable(L);
  for (; constants->name != NULL; constants++) {
    lua_pushinteger(L, constants->value);
    lua_setfield(L, -2, constants->name);
  }
  lua_setfield(L, -2, name);
}

/* core.system_error(errno): its name and its words. */
static int system_error(lua_State *L) {
  char text[AXO_CODE_TEXT_MAX];
  lua_Integer error = luaL_checkinteger(L, 1);
  luaL_argcheck(L, error > 0 && error <= INT_MAX, 1, "an errno is needed");
  int code = uv_translate_sys_error((int)error);
  lua_pushstring(L, axo_code_name(code, text, sizeof text));
  lua_pushstring(L, axo_code_text(code, text, sizeof text));
  return 2;
}

static const luaL_Reg functions[] = {{"system_error", system_error}, {NULL, NULL}};

void laxo_constants_register(lua_State *L) {
  add_table(L, "open_flags", open_flags);
  add_table(L, "stage", stages);
  luaL_setfuncs(L, functions, 0);
}
