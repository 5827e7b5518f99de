/* Copies of plain data, and of argvs. In C, because each decision of policy copies its
 * request and its answer, and in Lua the copies cost more than the decision. */
#include "plain.h"
#include "laxo.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

/* Slots of a stack that one level of tables takes: within one state the table's copy, a
 * pair and its copy. */
#define SLOTS 5
/* And those that a report takes. */
#define REPORT_SLOTS 6
/* Bytes of a key that a report shows. */
#define KEY_MOST ((size_t)80)

__attribute__((format(printf, 3, 4))) static bool refuse(laxo_copier_t *c, int key,
                                                         const char *format, ...) {
  va_list values;
  va_start(values, format);
  (void)vsnprintf(c->problem, sizeof c->problem, format, values);
  va_end(values);
  c->key = key;
  return false;
}

static bool copy_string(laxo_copier_t *c, int index) {
  size_t len;
  const char *bytes = lua_tolstring(c->from, index, &len);
  if (len > c->left.bytes)
    return refuse(c, 0, "more than %zu bytes of text", c->most.bytes);
  c->left.bytes -= len;
  if (c->from == c->to)
    lua_pushvalue(c->to, index);
  else
    lua_pushlstring(c->to, bytes, len);
  return true;
}

static void copy_number(laxo_copier_t *c, int index) {
  if (lua_isinteger(c->from, index))
    lua_pushinteger(c->to, lua_tointeger(c->from, index));
  else
    lua_pushnumber(c->to, lua_tonumber(c->from, index));
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

static bool copy_table(laxo_copier_t *c, int index, int key);

/* `key` is where that of the value is, for the report. */
static bool copy_value(laxo_copier_t *c, int index, int key) {
  int type = lua_type(c->from, index);
  switch (type) {
  case LUA_TNIL:
    lua_pushnil(c->to);
    return true;
  case LUA_TBOOLEAN:
    lua_pushboolean(c->to, lua_toboolean(c->from, index));
    return true;
  case LUA_TNUMBER:
    copy_number(c, index);
    return true;
  case LUA_TSTRING:
    return copy_string(c, index);
  case LUA_TTABLE:
    return copy_table(c, index, key);
  default:
    return refuse(c, key, "a %s", lua_typename(c->from, type));
  }
}

/* The pair is at the top of `from`. */
static bool copy_pair(laxo_copier_t *c, int copy) {
  int value = lua_gettop(c->from), key = value - 1, type = lua_type(c->from, key);
  if (c->left.values-- <= 0)
    return refuse(c, 0, "more than %lld values", (long long)c->most.values);
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    return refuse(c, 0, "a key of type %s", lua_typename(c->from, type));
  if (!copy_value(c, key, 0) || !copy_value(c, value, key))
    return false;
  lua_rawset(c->to, copy);
  return true;
}

/* An empty table for as many pairs as that at `index` has. */
static void make_room(laxo_copier_t *c, int index) {
  int all = count_pairs(c->from, index);
  lua_Unsigned length = lua_rawlen(c->from, index);
  int items = length < (lua_Unsigned)all ? (int)length : all;
  if (all > c->left.values)
    items = all = 0; /* it will be refused */
  lua_createtable(c->to, items, all - items);
}

static bool copy_table(laxo_copier_t *c, int index, int key) {
  if (c->left.depth == 0)
    return refuse(c, 0, "tables nested deeper than %d (or in a cycle)", c->most.depth);
  if (c->is_late && c->is_late(c->data))
    return refuse(c, key, "tables that take too long to copy");
  if (!lua_checkstack(c->from, SLOTS))
    return refuse(c, key, "more than the stack holds");
  luaL_checkstack(c->to, SLOTS, "plain data");
  c->left.depth--;
  make_room(c, index);
  int copy = lua_gettop(c->to);
  lua_pushnil(c->from);
  while (lua_next(c->from, index) != 0) {
    if (!copy_pair(c, copy))
      return false;
    lua_pop(c->from, 1);
  }
  c->left.depth++;
  return true;
}

bool laxo_copy(laxo_copier_t *c, int index) {
  c->left = c->most;
  c->problem[0] = '\0';
  c->key = 0;
  return copy_value(c, index, 0);
}

void laxo_push_problem(lua_State *L, const laxo_copier_t *c) {
  luaL_checkstack(L, REPORT_SLOTS, "plain data");
  lua_pushstring(L, c->problem);
  if (c->key == 0)
    return;
  lua_pushliteral(L, " at the key \"");
  if (lua_isinteger(c->from, c->key)) {
    lua_pushfstring(L, "%I", lua_tointeger(c->from, c->key));
  } else if (lua_type(c->from, c->key) == LUA_TNUMBER) {
    lua_pushfstring(L, "%f", lua_tonumber(c->from, c->key));
  } else {
    size_t len;
    const char *key = lua_tolstring(c->from, c->key, &len);
    lua_pushlstring(L, key, len < KEY_MOST ? len : KEY_MOST);
  }
  lua_pushliteral(L, "\"");
  lua_concat(L, 4);
}

/* ---- within one state ---------------------------------------------------------- */

/* core.plain_copy(value, depth, values) -> copy | nil, problem */
static int plain_copy(lua_State *L) {
  laxo_copier_t c = {
      .from = L,
      .to = L,
      .most = {(int)luaL_checkinteger(L, 2), luaL_checkinteger(L, 3), SIZE_MAX},
  };
  lua_settop(L, 1);
  if (laxo_copy(&c, 1))
    return 1;
  lua_pushnil(L);
  laxo_push_problem(L, &c);
  return 2;
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
