/* Copies of plain data, and of argvs. In C, because each decision of policy copies its
 * request and its answer, and in Lua the copies cost more than the decision. */
#include "laxo.h"

typedef struct copier {
  lua_State *L;
  int depth_most;
  lua_Integer values_left, values_most;
} copier_t;

static bool is_scalar(int type) {
  return type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN ||
         type == LUA_TNIL;
}

static bool copy_table(copier_t *c, int depth);

/* Puts the copy in the place of the value at the top; otherwise puts what is wrong
 * there, and above that the key, or nil. */
static bool copy_value(copier_t *c, int depth) {
  int type = lua_type(c->L, -1);
  if (type == LUA_TTABLE)
    return copy_table(c, depth);
  if (is_scalar(type))
    return true;
  lua_pushfstring(c->L, "a %s", lua_typename(c->L, type));
  lua_pushnil(c->L);
  return false;
}

static bool refuse(const copier_t *c, const char *format, lua_Integer most) {
  lua_pushfstring(c->L, format, most);
  lua_pushnil(c->L);
  return false;
}

static int count_pairs(lua_State *L, int index) {
  int count = 0;
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    count += count < INT32_MAX;
    lua_pop(L, 1);
  }
  return count;
}

/* An empty table for as many pairs as that at `index` has. */
static void make_room(lua_State *L, int index) {
  int all = count_pairs(L, index);
  lua_Unsigned length = lua_rawlen(L, index);
  int items = length < (lua_Unsigned)all ? (int)length : all;
  lua_createtable(L, items, all - items);
}

/* The pair is at the top; it is taken off when it has been copied. */
static bool copy_pair(copier_t *c, int copy, int depth) {
  lua_State *L = c->L;
  int key = lua_gettop(L) - 1, type = lua_type(L, key);
  if (c->values_left-- <= 0)
    return refuse(c, "more than %I values", c->values_most);
  if (type != LUA_TSTRING && type != LUA_TNUMBER) {
    lua_pushfstring(L, "a key of type %s", lua_typename(L, type));
    lua_pushnil(L);
    return false;
  }
  bool was_table = lua_istable(L, -1);
  if (!copy_value(c, depth + 1)) {
    if (!was_table)
      lua_copy(L, key, -1);
    return false;
  }
  lua_pushvalue(L, key);
  lua_insert(L, -2);
  lua_rawset(L, copy);
  return true;
}

static bool copy_table(copier_t *c, int depth) {
  lua_State *L = c->L;
  int index = lua_gettop(L);
  if (depth > c->depth_most)
    return refuse(c, "tables nested deeper than %I (or in a cycle)", c->depth_most);
  luaL_checkstack(L, 8, "plain data");
  make_room(L, index);
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    if (!copy_pair(c, index + 1, depth))
      return false;
  }
  lua_replace(L, index);
  return true;
}

/* core.plain_copy(value, depth, values) -> copy | nil, problem, key? */
static int plain_copy(lua_State *L) {
  copier_t c = {L, (int)luaL_checkinteger(L, 2), 0, luaL_checkinteger(L, 3)};
  c.values_left = c.values_most;
  lua_settop(L, 1);
  if (copy_value(&c, 1))
    return 1;
  lua_pushnil(L);
  lua_insert(L, -3);
  return 3;
}

static bool copy_strings(lua_State *L, lua_Integer count) {
  for (lua_Integer i = 1; i <= count; i++) {
    if (lua_rawgeti(L, 1, i) != LUA_TSTRING)
      return false;
    lua_rawseti(L, 2, i);
  }
  return true;
}

/* core.words(list) -> copy | nil when it is not plainly a sequence of strings */
static int words(lua_State *L) {
  lua_settop(L, 1);
  if (!lua_istable(L, 1) || lua_getmetatable(L, 1))
    return 0;
  int count = count_pairs(L, 1);
  if (lua_rawlen(L, 1) != (lua_Unsigned)count)
    return 0;
  lua_createtable(L, count, 0);
  return copy_strings(L, count) ? 1 : 0;
}

static const luaL_Reg functions[] = {
    {"plain_copy", plain_copy}, {"words", words}, {NULL, NULL}};

void laxo_plain_register(lua_State *L) { luaL_setfuncs(L, functions, 0); }
