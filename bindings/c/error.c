#include "laxo.h"

/* A new error object with room for the usual fields, on the top of the stack. */
static void push_object(lua_State *L) {
  lua_createtable(L, 0, 4);
  luaL_setmetatable(L, LAXO_ERROR);
}

void laxo_push_code(lua_State *L, int code) {
  char name[AXO_CODE_TEXT_MAX];
  lua_pushstring(L, axo_code_name(code, name, sizeof name));
}

void laxo_push_error(lua_State *L, const axo_err_t *err) {
  char words[AXO_CODE_TEXT_MAX];
  push_object(L);
  laxo_push_code(L, err->code);
  lua_setfield(L, -2, "code");
  laxo_set_string(L, "op", err->op != NULL ? err->op : "axosandbox");
  laxo_set_string(L, "message",
                  err->message[0] != '\0'
                      ? err->message
                      : axo_code_text(err->code, words, sizeof words));
  if (err->hint[0] != '\0')
    laxo_set_string(L, "hint", err->hint);
  if (err->stage != 0) {
    lua_pushinteger(L, err->stage);
    lua_setfield(L, -2, "stage");
  }
}

int laxo_fail(lua_State *L, const axo_err_t *err) {
  luaL_pushfail(L);
  laxo_push_error(L, err);
  return 2;
}

int laxo_fail_code(lua_State *L, int code, const char *op, const char *message) {
  char words[AXO_CODE_TEXT_MAX];
  const char *hint = axo_code_hint(code);
  luaL_pushfail(L);
  push_object(L);
  laxo_push_code(L, code);
  lua_setfield(L, -2, "code");
  laxo_set_string(L, "op", op);
  laxo_set_string(L, "message",
                  message != NULL ? message : axo_code_text(code, words, sizeof words));
  if (hint != NULL)
    laxo_set_string(L, "hint", hint);
  return 2;
}

static void check_field(lua_State *L, const char *key) {
  if (lua_getfield(L, 1, key) != LUA_TSTRING)
    luaL_error(L, "core.error: the field '%s' must be a string, got %s", key,
               luaL_typename(L, -1));
  lua_pop(L, 1);
}

/* core.error(fields): a copy, so that the caller's table stays a plain one. */
static int error_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  check_field(L, "code");
  check_field(L, "op");
  check_field(L, "message");
  push_object(L);
  int copy = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, 1) != 0) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, copy);
  }
  return 1;
}

static int error_is(lua_State *L) {
  bool same = false;
  luaL_checkany(L, 1);
  if (lua_type(L, 1) == LUA_TTABLE && lua_getmetatable(L, 1)) {
    luaL_getmetatable(L, LAXO_ERROR);
    same = lua_rawequal(L, -1, -2);
  }
  lua_pushboolean(L, same);
  return 1;
}

/* "op: message (hint: ...)"; a field that somebody removed is left out. */
static int error_tostring(lua_State *L) {
  luaL_Buffer buffer;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_getfield(L, 1, "op");
  lua_getfield(L, 1, "message");
  lua_getfield(L, 1, "hint");
  luaL_buffinit(L, &buffer);
  if (lua_isstring(L, 2)) {
    luaL_addstring(&buffer, lua_tostring(L, 2));
    luaL_addstring(&buffer, ": ");
  }
  luaL_addstring(&buffer, lua_isstring(L, 3) ? lua_tostring(L, 3) : "unknown error");
  if (lua_isstring(L, 4)) {
    luaL_addstring(&buffer, " (hint: ");
    luaL_addstring(&buffer, lua_tostring(L, 4));
    luaL_addchar(&buffer, ')');
  }
  luaL_pushresult(&buffer);
  return 1;
}

static const luaL_Reg functions[] = {
    {"error", error_new}, {"is_error", error_is}, {NULL, NULL}};

void laxo_error_register(lua_State *L) {
  luaL_newmetatable(L, LAXO_ERROR);
  lua_pushcfunction(L, error_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
