/* What a policy file can reach: the functions of Lua that keep no state and open
 * nothing. What one of them does is bounded by the length of a text, or is counted. */
#include "box.h"
#include "pattern.h"

#include <lualib.h>
#include <string.h>

/* Steps for an argument of string.format, since a number can have hundreds of digits;
 * and for each when there are more of them than anybody writes down. */
#define FORMAT_STEPS 200
#define FORMAT_MANY_STEPS 8000
#define FORMAT_MANY 16
/* What %q makes of a byte, at most: slowly. */
#define QUOTED_MAX 4
/* Of a text that is filled. */
#define BYTES_PER_STEP 64

/* In the registry, by the addresses of these: what each environment gets a copy of, and
 * what its `__index` is. */
static const char globals_key, metatable_key;

/* ---- functions with a bound ---------------------------------------------------- */

/* Fills `size` bytes with the text and what separates it from the next, over and over.
 */
static void fill(char *to, size_t size, const char *text, size_t len, const char *gap,
                 size_t gap_len) {
  size_t done = len < size ? len + gap_len : len;
  memcpy(to, text, len);
  if (len < size)
    memcpy(to + len, gap, gap_len);
  while (done < size) {
    size_t more = done < size - done ? done : size - done;
    memcpy(to + done, to, more);
    done += more;
  }
}

static int string_rep(lua_State *L) {
  size_t len, gap;
  const char *text = luaL_checklstring(L, 1, &len);
  lua_Integer count = luaL_checkinteger(L, 2);
  const char *separator = luaL_optlstring(L, 3, "", &gap);
  if (count <= 0 || len + gap == 0) {
    lua_pushliteral(L, "");
    return 1;
  }
  if ((lua_Unsigned)count > LAXO_BOX_TEXT_MAX / (len + gap) + 1)
    laxo_box_check_text(L, LAXO_BOX_TEXT_MAX + 1);
  size_t size = (size_t)count * (len + gap) - gap;
  laxo_box_check_text(L, size);
  luaL_Buffer buffer;
  fill(luaL_buffinitsize(L, &buffer, size), size, text, len, separator, gap);
  luaL_pushresultsize(&buffer, size);
  laxo_budget_steps(L, size / BYTES_PER_STEP);
  return 1;
}

static bool is_quoting(lua_State *L) {
  size_t len;
  const char *format = luaL_checklstring(L, 1, &len);
  return memmem(format, len, "%q", 2) != NULL;
}

/* Upvalue: string.format */
static int string_format(lua_State *L) {
  int count = lua_gettop(L);
  size_t total = 0;
  for (int i = 1; i <= count; i++)
    if (lua_type(L, i) == LUA_TSTRING)
      total += lua_rawlen(L, i);
  laxo_box_check_text(L, is_quoting(L) ? total * QUOTED_MAX : total);
  int steps = count > FORMAT_MANY ? FORMAT_MANY_STEPS : FORMAT_STEPS;
  laxo_budget_steps(L, (size_t)count * (size_t)steps);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, count, 1);
  return 1;
}

/* A table that has been emptied is long to go through. */
static int next_pair(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  laxo_budget_steps(L, 0);
  if (lua_next(L, 1))
    return 2;
  lua_pushnil(L);
  return 1;
}

static int all_pairs(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushcfunction(L, next_pair);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

/* ---- environments -------------------------------------------------------------- */

static int unknown_name(lua_State *L) {
  lua_pushfstring(L, "'%s' is not available to policy", luaL_tolstring(L, 2, NULL));
  return lua_error(L);
}

/* Copies the fields of these names from the table at the top into a new one, which
 * takes its place. */
static void keep(lua_State *L, const char *const *names) {
  lua_newtable(L);
  for (; *names; names++) {
    lua_getfield(L, -2, *names);
    lua_setfield(L, -2, *names);
  }
  lua_replace(L, -2);
}

/* Notes the library at the top where Lua looks for the name of a function that one of C
 * has called, to complain of its arguments. Nothing of the box's finds it there. */
static void note_names(lua_State *L, const char *library) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, library);
  lua_pop(L, 1);
}

static void open_string(lua_State *L) {
  static const char *const KEPT[] = {"byte",    "char", "len",   "lower",
                                     "reverse", "sub",  "upper", NULL};
  static const luaL_Reg own[] = {{"rep", string_rep}, {NULL, NULL}};
  luaopen_string(L);
  note_names(L, "string");
  lua_getfield(L, -1, "format");
  lua_insert(L, -2);
  keep(L, KEPT);
  laxo_pattern_functions(L);
  luaL_setfuncs(L, own, 0);
  lua_insert(L, -2);
  lua_pushcclosure(L, string_format, 1);
  lua_setfield(L, -2, "format");
}

/* What ("x"):rep(n) finds is no table that a file can reach. The table of string's
 * functions is at the top. */
static void set_methods(lua_State *L) {
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, -5)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_setfield(L, -2, "__index");
  lua_pop(L, 2);
}

static void open_base(lua_State *L) {
  static const char *const KEPT[] = {"assert",   "error",    "ipairs", "select",
                                     "tonumber", "tostring", "type",   NULL};
  static const luaL_Reg own[] = {
      {"next", next_pair}, {"pairs", all_pairs}, {NULL, NULL}};
  luaopen_base(L);
  keep(L, KEPT);
  luaL_setfuncs(L, own, 0);
}

/* The generator of random numbers has a state; what is the same cannot be told twice.
 */
static void open_math(lua_State *L) {
  luaopen_math(L);
  lua_pushnil(L);
  lua_setfield(L, -2, "random");
  lua_pushnil(L);
  lua_setfield(L, -2, "randomseed");
}

static void open_tables(lua_State *L) {
  static const char *const KEPT[] = {"pack", "unpack", NULL};
  luaopen_table(L);
  note_names(L, "table");
  lua_getfield(L, -1, "sort");
  lua_insert(L, -2);
  keep(L, KEPT);
  lua_insert(L, -2);
  laxo_box_open_table(L);
}

void laxo_box_open_library(lua_State *L) {
  lua_settop(L, 0);
  open_base(L);
  open_string(L);
  set_methods(L);
  lua_setfield(L, 1, "string");
  open_tables(L);
  lua_setfield(L, 1, "table");
  open_math(L);
  lua_setfield(L, 1, "math");
  luaopen_utf8(L);
  lua_setfield(L, 1, "utf8");
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &globals_key);
  /* What is open is no longer found in any other way. */
  lua_newtable(L);
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_newtable(L);
  lua_pushcfunction(L, unknown_name);
  lua_setfield(L, -2, "__index");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);
}

/* A copy of the table at the top takes its place, and copies of the tables in it. */
static void copy_library(lua_State *L, int depth) {
  int from = lua_gettop(L);
  luaL_checkstack(L, 6, "policy");
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, from)) {
    if (depth > 0 && lua_istable(L, -1))
      copy_library(L, depth - 1);
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, from + 1);
  }
  lua_replace(L, from);
}

void laxo_box_push_environment(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &globals_key);
  copy_library(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key);
  lua_setmetatable(L, -2);
}
