/* The host's side of a box: it goes in by copies of plain data, and comes out by them.
 * What is in here may raise in the host's state, and nothing in the box's: each side
 * calls the other protected. */
#include "box.h"

#define FRAMES_MAX 200
#define TRACED_MAX 20
#define NS_PER_MS INT64_C(1000000)

static laxo_box_t *check_box(lua_State *L) {
  laxo_box_t *box = luaL_checkudata(L, 1, LAXO_BOX);
  luaL_argcheck(L, box->L, 1, "it is closed");
  return box;
}

/* ---- what went wrong ----------------------------------------------------------- */

static void set_place(lua_State *L, const lua_Debug *ar) {
  lua_pushstring(L, ar->source + 1);
  lua_setfield(L, -2, "path");
  lua_pushstring(L, ar->short_src);
  lua_setfield(L, -2, "short");
  lua_pushinteger(L, ar->currentline);
  lua_setfield(L, -2, "line");
}

static void add_frame(lua_State *L, luaL_Buffer *trace, const lua_Debug *ar) {
  const char *name = ar->name ? ar->name : "?";
  if (*ar->what == 'm')
    lua_pushfstring(L, "\n\t%s:%d: in main chunk", ar->source + 1, ar->currentline);
  else
    lua_pushfstring(L, "\n\t%s:%d: in function '%s'", ar->source + 1, ar->currentline,
                    name);
  luaL_addvalue(trace);
}

/* Adds to the table at the top where the coroutine is: in which file and line, and how
 * it came there. All that has lines in it is a policy file. */
static void set_frames(lua_State *L, lua_State *co) {
  lua_Debug ar;
  luaL_Buffer trace;
  int traced = 0;
  bool is_found = false;
  for (int level = 0; level < FRAMES_MAX && !is_found; level++) {
    if (!lua_getstack(co, level, &ar))
      return;
    lua_getinfo(co, "Sl", &ar);
    is_found = ar.currentline > 0;
  }
  if (!is_found)
    return;
  set_place(L, &ar);
  luaL_buffinit(L, &trace);
  luaL_addstring(&trace, "stack traceback:");
  for (int level = 0; traced < TRACED_MAX && lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "Sln", &ar);
    if (ar.currentline <= 0)
      continue;
    add_frame(L, &trace, &ar);
    traced++;
  }
  luaL_pushresult(&trace);
  lua_setfield(L, -2, "traceback");
}

/* Pushes what the coroutine raised. */
static void push_value(lua_State *L, const laxo_box_t *box, lua_State *co, int status) {
  if (status == LUA_ERRMEM && box->budget.refusals > 0) {
    laxo_box_push_no_memory(L, box);
  } else if (lua_type(co, -1) == LUA_TSTRING) {
    size_t len;
    const char *text = lua_tolstring(co, -1, &len);
    lua_pushlstring(L, text, len);
  } else if (lua_isinteger(co, -1)) {
    lua_pushfstring(L, "raised a number: %I", lua_tointeger(co, -1));
  } else if (lua_type(co, -1) == LUA_TNUMBER) {
    lua_pushfstring(L, "raised a number: %f", lua_tonumber(co, -1));
  } else {
    lua_pushfstring(L, "raised a %s", luaL_typename(co, -1));
  }
}

/* Pushes the host's own error, or a table: message, and where there is one: path, line,
 * short (what Lua's own messages call the path), traceback. */
static void push_failure(lua_State *L, const laxo_box_t *box, lua_State *co,
                         int status) {
  if (lua_touserdata(co, -1) == &laxo_box_pending) {
    lua_getiuservalue(L, 1, LAXO_BOX_PENDING);
    return;
  }
  lua_newtable(L);
  push_value(L, box, co, status);
  lua_setfield(L, -2, "message");
  set_frames(L, co);
}

/* ---- going in ------------------------------------------------------------------ */

static int new_coroutine(lua_State *L) {
  lua_newthread(L);
  return 1;
}

/* The coroutine for the box's depth; NULL when there is no memory. */
static lua_State *coroutine(laxo_box_t *box) {
  if (lua_gettop(box->L) > box->depth)
    return lua_tothread(box->L, box->depth + 1);
  if (!lua_checkstack(box->L, LAXO_BOX_ROOM))
    return NULL;
  lua_pushcfunction(box->L, new_coroutine);
  if (lua_pcall(box->L, 0, 1, 0) == LUA_OK)
    return lua_tothread(box->L, -1);
  lua_pop(box->L, 1);
  return NULL;
}

/* Runs `body` in the box, with the entry. Its coroutine stays as it was then, and its
 * own, for whoever reports what came of it; `leave` comes next, in any case. */
static int enter(laxo_box_t *box, laxo_entry_t *entry, lua_CFunction body) {
  int results;
  entry->outer = box->entry;
  entry->co = coroutine(box);
  box->returned = 0;
  box->depth++;
  if (!entry->co)
    return LUA_ERRMEM;
  box->entry = entry;
  lua_settop(entry->co, 0);
  lua_pushcfunction(entry->co, body);
  lua_pushlightuserdata(entry->co, entry);
  int status =
      lua_resume(entry->co, entry->outer ? entry->outer->co : NULL, 1, &results);
  box->entry = entry->outer;
  return status;
}

static void leave(laxo_box_t *box, int status) {
  box->depth--;
  if (status != LUA_OK)
    lua_settop(box->L, box->depth);
}

typedef struct laxo_outcome {
  laxo_box_t *box;
  const laxo_entry_t *entry;
  int status;
} laxo_outcome_t;

static int fail(lua_State *L, const laxo_box_t *box, const laxo_entry_t *entry,
                int status) {
  lua_pushnil(L);
  if (entry->co) {
    push_failure(L, box, entry->co, status);
  } else {
    lua_newtable(L);
    laxo_box_push_no_memory(L, box);
    lua_setfield(L, -2, "message");
  }
  return 2;
}

/* The host's, protected: box, outcome -> answer | nil, failure. What the host collects
 * on the way may ask the box for something else. */
static int tell(lua_State *L) {
  laxo_outcome_t *o = lua_touserdata(L, 2);
  if (o->status != LUA_OK)
    return fail(L, o->box, o->entry, o->status);
  laxo_copier_t c = laxo_box_copier(o->box, o->entry->co, L);
  if (laxo_copy(&c, 1))
    return 1;
  lua_settop(L, 2);
  lua_pushnil(L);
  lua_newtable(L);
  laxo_push_problem(L, &c);
  lua_setfield(L, -2, "problem");
  return 2;
}

/* Leaves. What came of the call is then all that is above the box; when that is not
 * LUA_OK it is an error of the host's. */
static int finish(lua_State *L, laxo_box_t *box, const laxo_entry_t *entry,
                  int status) {
  laxo_outcome_t o = {box, entry, status};
  lua_settop(L, 1);
  lua_pushcfunction(L, tell);
  lua_pushvalue(L, 1);
  lua_pushlightuserdata(L, &o);
  int told = lua_pcall(L, 2, LUA_MULTRET, 0);
  leave(box, status);
  return told;
}

/* Has a budget of its own, also in the middle of a decision: what is shipped is loaded
 * when it is first asked. */
static int load(lua_State *L, laxo_box_t *box, laxo_entry_t *entry) {
  bool pauses = box->entry && !box->budget.paused;
  if (pauses)
    laxo_box_pause(box);
  laxo_budget_t before = box->budget;
  laxo_box_begin(box, box->loading_time_ns);
  int status = enter(box, entry, laxo_box_load_file);
  int told = LUA_OK;
  if (status == LUA_OK)
    leave(box, status);
  else
    told = finish(L, box, entry, status);
  box->budget = before;
  if (pauses)
    laxo_box_go_on(box);
  return told == LUA_OK ? status : lua_error(L);
}

/* box:load(text, name, part) -> reference, line | nil, failure */
static int box_load(lua_State *L) {
  laxo_box_t *box = check_box(L);
  luaL_checktype(L, 2, LUA_TSTRING);
  luaL_checktype(L, 3, LUA_TSTRING);
  luaL_checktype(L, 4, LUA_TFUNCTION);
  lua_settop(L, 4);
  laxo_entry_t entry = {
      .host = L, .reference = LUA_NOREF, .value = 2, .name = 3, .callback = 4};
  size_t before = box->used;
  if (load(L, box, &entry) != LUA_OK)
    return lua_gettop(L) - 1;
  /* The host's collector does not see what a box takes. */
  if (lua_gc(L, LUA_GCISRUNNING) && box->used > before)
    lua_gc(L, LUA_GCSTEP, (int)((box->used - before) / 1024));
  lua_pushinteger(L, entry.reference);
  lua_pushinteger(L, entry.line);
  return 2;
}

/* box:ask(reference, layer, request, next, begins) -> answer | nil, failure. Whatever
 * asked first pays for all that comes of it. */
static int box_ask(lua_State *L) {
  laxo_box_t *box = check_box(L);
  laxo_entry_t entry = {.host = L,
                        .reference = (int)luaL_checkinteger(L, 2),
                        .layer = luaL_checkinteger(L, 3),
                        .value = 4,
                        .callback = 5};
  luaL_checktype(L, 4, LUA_TTABLE);
  luaL_checktype(L, 5, LUA_TFUNCTION);
  lua_settop(L, 6);
  luaL_checkstack(L, LAXO_BOX_ROOM, "policy");
  laxo_budget_t before = box->budget;
  bool begins = lua_toboolean(L, 6);
  if (begins)
    laxo_box_begin(box, box->time_ns);
  else if (before.paused)
    laxo_box_go_on(box);
  int told = finish(L, box, &entry, enter(box, &entry, laxo_box_ask_file));
  if (begins)
    box->budget = before;
  else if (before.paused)
    laxo_box_pause(box);
  return told == LUA_OK ? lua_gettop(L) - 1 : lua_error(L);
}

/* box:returned() -> path, line of where the last answer was returned | nil */
static int box_returned(lua_State *L) {
  const laxo_box_t *box = check_box(L);
  if (box->returned <= 0)
    return 0;
  lua_pushstring(L, box->returned_in + 1);
  lua_pushinteger(L, box->returned);
  return 2;
}

/* box:pause(), box:go_on(): the time between the two is not the decision's. */
static int box_pause(lua_State *L) {
  laxo_box_pause(check_box(L));
  return 0;
}

static int box_go_on(lua_State *L) {
  laxo_box_go_on(check_box(L));
  return 0;
}

/* ---- making one ---------------------------------------------------------------- */

static lua_Integer field(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  lua_Integer value = luaL_checkinteger(L, -1);
  if (value < 1 || value > INT32_MAX)
    luaL_error(L, "box: %s is out of range", name);
  lua_pop(L, 1);
  return value;
}

static int open_box(lua_State *L) {
  laxo_box_open_library(L);
  /* What is kept is kept for long, and a decision leaves little: see Lua's manual. */
  lua_gc(L, LUA_GCINC, 1000, 0, 0);
  return 0;
}

/* core.box { instructions, memory, time, loading_time, depth, values } */
static int box_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  size_t memory = (size_t)field(L, "memory");
  laxo_box_t made = {
      .most = memory,
      .instructions = field(L, "instructions"),
      .time_ns = field(L, "time") * NS_PER_MS,
      .loading_time_ns = field(L, "loading_time") * NS_PER_MS,
      .bounds = {(int)field(L, "depth"), field(L, "values"), memory / 4},
  };
  laxo_box_t *box = lua_newuserdatauv(L, sizeof *box, 1);
  *box = made;
  luaL_setmetatable(L, LAXO_BOX);
  box->L = lua_newstate(laxo_box_allocate, box);
  if (!box->L)
    return luaL_error(L, "box: not enough memory");
  lua_pushcfunction(box->L, open_box);
  if (lua_pcall(box->L, 0, 0, 0) != LUA_OK)
    return luaL_error(L, "box: not enough memory");
  laxo_box_watch(box);
  return 1;
}

static int box_close(lua_State *L) {
  laxo_box_t *box = luaL_checkudata(L, 1, LAXO_BOX);
  if (box->entry)
    return luaL_error(L, "box: it runs");
  if (box->L)
    lua_close(box->L);
  box->L = NULL;
  return 0;
}

static const luaL_Reg methods[] = {
    {"load", box_load},   {"ask", box_ask},     {"returned", box_returned},
    {"pause", box_pause}, {"go_on", box_go_on}, {NULL, NULL},
};

static const luaL_Reg meta[] = {{"__gc", box_close}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"box", box_new}, {NULL, NULL}};

void laxo_box_register(lua_State *L) {
  laxo_metatable(L, LAXO_BOX, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
