/* Of the functions of tables those that can go on for long within one call: they look
 * at the budget on their way. */
#include "box.h"

/* Items between two looks at the budget. */
#define ITEMS_AT_ONCE 1024
/* The most items that one call moves. */
#define ITEMS_MAX ((lua_Integer)1024 * 1024)
/* Steps for a comparison, and bytes of a text for another. */
#define LESS_STEPS 16
#define LESS_BYTES 8

/* Looks at the budget now and then. */
static void step(lua_State *L, lua_Integer item) {
  if (item % ITEMS_AT_ONCE == 0)
    laxo_budget_steps(L, ITEMS_AT_ONCE);
}

/* Moves `count` items of the table at `from` from `first` on into that at `to`, from
 * `at` on, as if all were taken before the first is put. */
static void move(lua_State *L, int from, int to, lua_Integer first, lua_Integer at,
                 lua_Integer count) {
  bool backwards = lua_rawequal(L, from, to) && at > first &&
                   (lua_Unsigned)at - (lua_Unsigned)first < (lua_Unsigned)count;
  for (lua_Integer i = 0; i < count; i++) {
    lua_Integer item = backwards ? count - 1 - i : i;
    step(L, i + 1);
    lua_geti(L, from, first + item);
    lua_seti(L, to, at + item);
  }
}

static lua_Integer length(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  return (lua_Integer)lua_rawlen(L, 1);
}

/* table.insert(list, [position,] value) */
static int insert(lua_State *L) {
  lua_Integer last = length(L);
  luaL_argcheck(L, last < LUA_MAXINTEGER, 1, "it has no room");
  lua_Integer behind = last + 1, at = behind;
  int count = lua_gettop(L);
  if (count == 3) {
    at = luaL_checkinteger(L, 2);
    luaL_argcheck(L, at >= 1 && at <= behind, 2, "position out of bounds");
    move(L, 1, 1, at, at + 1, behind - at);
  } else if (count != 2) {
    return luaL_error(L, "wrong number of arguments to 'insert'");
  }
  lua_seti(L, 1, at);
  return 0;
}

/* table.remove(list [, position]) -> what was there */
static int take(lua_State *L) {
  lua_Integer last = length(L), at = luaL_optinteger(L, 2, last);
  luaL_argcheck(L, at == last || (at >= 1 && at - 1 <= last), 2,
                "position out of bounds");
  lua_geti(L, 1, at);
  if (at < last)
    move(L, 1, 1, at + 1, at, last - at);
  lua_pushnil(L);
  lua_seti(L, 1, at < last ? last : at);
  return 1;
}

/* table.move(list, first, last, at [, other]) -> the table moved into */
static int move_items(lua_State *L) {
  lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
  lua_Integer at = luaL_checkinteger(L, 4);
  int to = lua_isnoneornil(L, 5) ? 1 : 5;
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, to, LUA_TTABLE);
  if (last >= first) {
    lua_Unsigned count = (lua_Unsigned)last - (lua_Unsigned)first;
    if (count >= (lua_Unsigned)ITEMS_MAX)
      return luaL_error(L, "more than %I items to move", ITEMS_MAX);
    luaL_argcheck(L, at <= LUA_MAXINTEGER - (lua_Integer)count, 4,
                  "destination wrap around");
    move(L, 1, to, first, at, (lua_Integer)count + 1);
  }
  lua_pushvalue(L, to);
  return 1;
}

/* Adds the item at the top, the one at `i`; what the length is then. */
static size_t add_item(lua_State *L, luaL_Buffer *buffer, lua_Integer i, size_t total) {
  if (!lua_isstring(L, -1))
    luaL_error(L, "invalid value (at index %I) in table for 'concat'", i);
  size_t len;
  (void)lua_tolstring(L, -1, &len);
  laxo_box_check_text(L, total + len);
  luaL_addvalue(buffer);
  return total + len;
}

/* table.concat(list [, separator [, first [, last]]]) */
static int concat(lua_State *L) {
  lua_Integer last = length(L);
  size_t gap, total = 0;
  const char *separator = luaL_optlstring(L, 2, "", &gap);
  lua_Integer first = luaL_optinteger(L, 3, 1), steps = 0;
  last = luaL_optinteger(L, 4, last);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  for (lua_Integer i = first; i <= last; i++) {
    step(L, ++steps);
    lua_geti(L, 1, i);
    total = add_item(L, &buffer, i, total);
    if (i == last)
      break;
    total += gap;
    laxo_box_check_text(L, total);
    luaL_addlstring(&buffer, separator, gap);
  }
  luaL_pushresult(&buffer);
  return 1;
}

/* ---- sorting ------------------------------------------------------------------- */

static size_t bytes_of(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TSTRING ? lua_rawlen(L, index) : 0;
}

static int is_less(lua_State *L) {
  size_t a = bytes_of(L, 1), b = bytes_of(L, 2);
  laxo_budget_steps(L, LESS_STEPS + (a < b ? a : b) / LESS_BYTES);
  lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
  return 1;
}

/* Upvalue: the function of the file's. */
static int is_less_by(lua_State *L) {
  laxo_budget_steps(L, LESS_STEPS);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 2, 1);
  return 1;
}

/* Upvalue: table.sort, which is given a comparison that is counted. */
static int sort(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_pushcfunction(L, is_less);
  } else {
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, is_less_by, 1);
  }
  lua_replace(L, 2);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 2, 0);
  return 0;
}

void laxo_box_open_table(lua_State *L) {
  static const luaL_Reg own[] = {
      {"concat", concat}, {"insert", insert}, {"move", move_items},
      {"remove", take},   {NULL, NULL},
  };
  lua_pushcclosure(L, sort, 1);
  lua_setfield(L, -2, "sort");
  luaL_setfuncs(L, own, 0);
}
