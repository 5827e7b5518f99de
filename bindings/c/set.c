/* A field of the table at the top. */
#include "laxo.h"

void laxo_set_integer(lua_State *L, const char *key, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

void laxo_set_count(lua_State *L, const char *key, uint64_t value) {
  laxo_set_integer(L, key, (lua_Integer)value);
}

void laxo_set_boolean(lua_State *L, const char *key, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, key);
}

void laxo_set_string(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}
