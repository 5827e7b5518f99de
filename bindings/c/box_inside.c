/* A box's own side: what runs in a coroutine of its state, and may raise there. It asks
 * the host for the next of a chain, and for the parts of a file. */
#include "box.h"

#include <string.h>

/* What it costs to ask the host, besides what that does. */
#define ASKING 1000

const char laxo_box_pending = 0;

static bool is_late(void *box) { return laxo_box_is_late(box); }

laxo_copier_t laxo_box_copier(laxo_box_t *box, lua_State *from, lua_State *to) {
  return (laxo_copier_t){
      .from = from, .to = to, .most = box->bounds, .is_late = is_late, .data = box};
}

/* ---- asking the host ----------------------------------------------------------- */

typedef struct laxo_crossing {
  laxo_box_t *box;
  lua_State *L;
  const char *what; /* of which a problem is told */
} laxo_crossing_t;

/* The host's, protected: callback, crossing -> value | nil, error */
static int hand_over(lua_State *host) {
  laxo_crossing_t *crossing = lua_touserdata(host, 2);
  int count = lua_gettop(crossing->L);
  lua_settop(host, 1);
  luaL_checkstack(host, LAXO_BOX_ROOM, "policy");
  for (int i = 1; i <= count; i++) {
    laxo_copier_t c = laxo_box_copier(crossing->box, crossing->L, host);
    if (!laxo_copy(&c, i)) {
      lua_settop(host, 1);
      lua_pushfstring(host, "%s", crossing->what);
      laxo_push_problem(host, &c);
      lua_concat(host, 2);
      return lua_error(host);
    }
  }
  lua_call(host, count, 2);
  return 2;
}

/* Raises in the box what the host failed with, which is at the top of its stack: a
 * text, or an object of its own. */
static int raise_of_host(lua_State *L, lua_State *host) {
  if (lua_type(host, -1) == LUA_TSTRING) {
    size_t len;
    const char *text = lua_tolstring(host, -1, &len);
    lua_pushlstring(L, text, len);
  } else {
    lua_setiuservalue(host, 1, LAXO_BOX_PENDING);
    lua_pushlightuserdata(L, (void *)&laxo_box_pending);
  }
  return lua_error(L);
}

/* Calls the host with copies of what is on `L`'s stack. Leaves two results on the
 * host's. */
static void ask_host(lua_State *L, laxo_box_t *box, const char *what) {
  lua_State *host = box->entry->host;
  laxo_crossing_t crossing = {box, L, what};
  laxo_box_spend(L, box, ASKING);
  if (!lua_checkstack(host, LAXO_BOX_ROOM))
    luaL_error(L, "stack overflow");
  lua_pushcfunction(host, hand_over);
  lua_pushvalue(host, box->entry->callback);
  lua_pushlightuserdata(host, &crossing);
  int status = lua_pcall(host, 2, 2, 0);
  if (status != LUA_OK || lua_isnil(host, -2))
    raise_of_host(L, host);
  laxo_box_spend(L, box, 0);
}

/* Upvalue: the layer. default(request?) -> decision */
static int ask_next(lua_State *L) {
  laxo_box_t *box = laxo_box_of(L);
  lua_settop(L, 1);
  if (!lua_isnil(L, 1) && !lua_istable(L, 1))
    return luaL_error(L,
                      "default: the request must be a table of plain data, and this is "
                      "or holds a %s",
                      luaL_typename(L, 1));
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  ask_host(L, box,
           "default: the request must be a table of plain data, and this is or holds ");
  lua_State *host = box->entry->host;
  laxo_copier_t c = laxo_box_copier(box, host, L);
  if (!laxo_copy(&c, lua_gettop(host) - 1)) {
    lua_settop(L, 0);
    return luaL_error(L, "default: %s", c.problem);
  }
  lua_pop(host, 2);
  return 1;
}

/* ---- loading ------------------------------------------------------------------- */

/* Raises the text at the top as an error in line 1 of the chunk `name`. */
static void raise_in(lua_State *L, const char *name) {
  static const char RAISING[] = "local raise, problem = ... raise(problem)";
  if (luaL_loadbufferx(L, RAISING, sizeof RAISING - 1, name, "t") != LUA_OK)
    lua_error(L);
  lua_pushcfunction(L, lua_error);
  lua_pushvalue(L, -3);
  lua_call(L, 2, 0);
}

/* Pushes the function that is the file's text, with an environment of its own. `name`
 * is "@" and the path. */
static void compile(lua_State *L, const char *text, size_t len, const char *name) {
  if (luaL_loadbufferx(L, text, len, name, "t") != LUA_OK)
    raise_in(L, name);
  laxo_box_push_environment(L);
}

/* Gives the function beneath the environment at the top that environment, and calls it.
 */
static void call_chunk(lua_State *L) {
  (void)lua_setupvalue(L, -2, 1);
  lua_call(L, 0, 1);
}

static bool is_name(const char *text, size_t len) {
  static const char ALLOWED[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_";
  return len > 0 && strspn(text, ALLOWED) == len;
}

/* part "name" -> what the file of that name returns */
static int part(lua_State *L) {
  laxo_box_t *box = laxo_box_of(L);
  size_t len = 0;
  const char *name = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &len) : NULL;
  if (!box->entry || box->entry->reference != LUA_NOREF)
    return luaL_error(L, "part: only while the file is loaded");
  if (!name || !is_name(name, len))
    return luaL_error(L, "part: a name is of letters, digits and '_'");
  lua_settop(L, 1);
  ask_host(L, box, "part: ");
  lua_State *host = box->entry->host;
  const char *text = lua_tolstring(host, -2, &len);
  compile(L, text, len, lua_tostring(host, -1));
  lua_pop(host, 2);
  call_chunk(L);
  return 1;
}

/* entry -> a reference to the file's function */
int laxo_box_load_file(lua_State *L) {
  laxo_entry_t *entry = lua_touserdata(L, 1);
  size_t len;
  const char *text = lua_tolstring(entry->host, entry->value, &len);
  compile(L, text, len, lua_tostring(entry->host, entry->name));
  lua_pushcfunction(L, part);
  lua_setfield(L, -2, "part");
  call_chunk(L);
  if (!lua_isfunction(L, -1) || lua_iscfunction(L, -1))
    return luaL_error(L, "must return one function, but returned a %s",
                      luaL_typename(L, -1));
  lua_Debug ar;
  lua_pushvalue(L, -1);
  lua_getinfo(L, ">S", &ar);
  entry->line = ar.linedefined > 0 ? ar.linedefined : 1;
  entry->reference = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* ---- asking the file ----------------------------------------------------------- */

/* entry -> the answer of the function that is asked */
int laxo_box_ask_file(lua_State *L) {
  const laxo_entry_t *entry = lua_touserdata(L, 1);
  laxo_box_t *box = laxo_box_of(L);
  laxo_copier_t c = laxo_box_copier(box, entry->host, L);
  lua_settop(L, 0);
  lua_rawgeti(L, LUA_REGISTRYINDEX, entry->reference);
  if (!laxo_copy(&c, entry->value)) {
    lua_settop(L, 0);
    return luaL_error(L, "the request: %s", c.problem);
  }
  lua_pushinteger(L, entry->layer);
  lua_pushcclosure(L, ask_next, 1);
  lua_call(L, 2, 1);
  laxo_box_spend(L, box, 0);
  return 1;
}
