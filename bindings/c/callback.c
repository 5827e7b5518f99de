#include "laxo.h"

#include <string.h>
#if __has_include(<luv/luv.h>)
#include <luv/luv.h>
#else
#include <luv.h>
#endif

/* Their addresses are keys of the registry. */
static const char context_key = 0;
static const char uncaught_key = 0;

/* ---- callbacks ------------------------------------------------------------------- */

static int add_traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

static void warn(lua_State *L, int message) {
  bool is_text = lua_type(L, message) == LUA_TSTRING;
  lua_warning(L, "axosandbox: uncaught error in a callback: ", 1);
  lua_warning(L, is_text ? lua_tostring(L, message) : "(no message)", 0);
}

/* Hands the message at the top to whoever listens; nothing is left to tell of a failure
 * there but Lua's own warnings. */
static void report(lua_State *L) {
  int message = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &uncaught_key);
  if (lua_type(L, -1) != LUA_TFUNCTION) {
    warn(L, message);
    return;
  }
  lua_pushvalue(L, message);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    warn(L, message);
    warn(L, lua_gettop(L));
  }
}

void laxo_protect(laxo_context_t *context, lua_CFunction body, void *event) {
  lua_State *L = context->L;
  int top = lua_gettop(L);
  if (!lua_checkstack(L, LUA_MINSTACK))
    return;
  lua_pushcfunction(L, add_traceback);
  lua_pushcfunction(L, body);
  lua_pushlightuserdata(L, event);
  if (lua_pcall(L, 1, 0, top + 1) != LUA_OK)
    report(L);
  lua_settop(L, top);
}

bool laxo_push_callback(lua_State *L, laxo_work_t *work, int slot) {
  int top = lua_gettop(L);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, work) == LUA_TUSERDATA &&
      lua_getiuservalue(L, -1, slot) == LUA_TFUNCTION)
    return true;
  lua_settop(L, top);
  return false;
}

/* ---- works ----------------------------------------------------------------------- */

void *laxo_work_new(lua_State *L, size_t size, const char *metatable, int values) {
  laxo_context_t *context = laxo_context(L);
  laxo_work_t *work = lua_newuserdatauv(L, size, values);
  memset(work, 0, size);
  work->context = context;
  work->values = values;
  luaL_setmetatable(L, metatable);
  return work;
}

bool laxo_work_take(lua_State *L, int work_index, int slot, int index,
                    const char *name) {
  if (lua_type(L, index) != LUA_TTABLE)
    return false;
  lua_pushstring(L, name);
  if (lua_rawget(L, index) == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  lua_setiuservalue(L, work_index, slot);
  return true;
}

laxo_ring_t *laxo_work_take_ring(lua_State *L, int work_index, int index) {
  laxo_ring_t *box;
  if (!laxo_work_take(L, work_index, LAXO_UV_RING, index, "ring"))
    return NULL;
  lua_getiuservalue(L, work_index, LAXO_UV_RING);
  box = luaL_testudata(L, -1, LAXO_RING);
  if (box == NULL) {
    luaL_error(L, "ring: expected a ring, got %s", luaL_typename(L, -1));
    return NULL;
  }
  if (box->closed || box->ring == NULL)
    luaL_error(L, "ring: the ring is closed");
  lua_pop(L, 1);
  return box;
}

void laxo_work_begin(lua_State *L, int index) {
  laxo_work_t *work = lua_touserdata(L, index);
  laxo_context_t *context = work->context;
  lua_pushvalue(L, index);
  lua_rawsetp(L, LUA_REGISTRYINDEX, work);
  work->running = true;
  if (work->ring != NULL)
    work->ring->users++;
  work->next = context->works;
  if (work->next != NULL)
    work->next->previous = work;
  context->works = work;
}

static void unlink_work(laxo_work_t *work) {
  if (work->next != NULL)
    work->next->previous = work->previous;
  if (work->previous != NULL)
    work->previous->next = work->next;
  else
    work->context->works = work->next;
  work->next = work->previous = NULL;
}

/* Allocates nothing, so never raises: it only writes nil over what is there. */
void laxo_work_end(lua_State *L, laxo_work_t *work) {
  if (!work->running)
    return;
  work->running = false;
  unlink_work(work);
  if (work->ring != NULL)
    laxo_ring_unref(work->ring);
  work->ring = NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, work);
  for (int slot = 1; slot <= work->values; slot++) {
    lua_pushnil(L);
    lua_setiuservalue(L, -2, slot);
  }
  lua_pop(L, 1);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, work);
}

void laxo_work_close(lua_State *L, laxo_work_t *work) {
  if (!work->running)
    return;
  work->kill(work);
  laxo_work_end(L, work);
}

/* ---- the context ----------------------------------------------------------------- */

static int context_gc(lua_State *L) {
  laxo_context_t *context = lua_touserdata(L, 1);
  while (context->works != NULL)
    laxo_work_close(L, context->works);
  context->closed = true;
  return 0;
}

laxo_context_t *laxo_context(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key);
  laxo_context_t *context = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (context->closed)
    luaL_error(L, "axosandbox: nothing can be started while the Lua state closes");
  return context;
}

static int set_uncaught(lua_State *L) {
  if (!lua_isnoneornil(L, 1))
    luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &uncaught_key);
  return 0;
}

static lua_State *main_thread(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State *main = lua_tothread(L, -1);
  lua_pop(L, 1);
  return main;
}

/* luv keeps its loop in its module table and nowhere else: the context, which uses the
 * loop, holds the table at `luv`, whatever happens to package.loaded. */
static void new_context(lua_State *L, int luv) {
  laxo_context_t *context = lua_newuserdatauv(L, sizeof *context, 1);
  memset(context, 0, sizeof *context);
  context->L = main_thread(L);
  context->loop = luv_loop(L);
  if (context->loop == NULL)
    luaL_error(L, "axosandbox: luv has no loop in this Lua state");
  lua_pushvalue(L, luv);
  lua_setiuservalue(L, -2, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, context_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
}

static const luaL_Reg functions[] = {{"set_uncaught", set_uncaught}, {NULL, NULL}};

void laxo_context_register(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushstring(L, "luv");
  lua_call(L, 1, 1);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key) == LUA_TNIL)
    new_context(L, lua_gettop(L) - 1);
  lua_pop(L, 2);
  laxo_guard_luv(L);
  luaL_setfuncs(L, functions, 0);
}
