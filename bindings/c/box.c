/* The host's side of a box: it goes in by copies of plain data, and comes out by them.
 *
 * "In the box" are functions that run in a coroutine of its state, and may raise there;
 * a function of the host's may raise in the host's. No error goes from one into the
 * other: each side calls the other protected. */
#include "box.h"

#include <string.h>

/* User value of a box's userdata: the error of the host's that goes through it. */
#define PENDING 1
/* Slots of the host's stack for copies: see laxo_copy, which asks for more. */
#define ROOM 16
/* What it costs to ask the host, besides what that does. */
#define ASKING 1000
#define FRAMES_MAX 200
#define TRACED_MAX 20
#define NS_PER_MS INT64_C(1000000)

/* One call of the host's into the box. */
typedef struct laxo_entry {
  struct laxo_entry *outer;
  lua_State *host, *co;
  int reference;     /* of the function that is asked; LUA_NOREF: it is loaded */
  lua_Integer layer; /* given back to the host, when it is asked for the next */
  int value;         /* in the host's stack: the request, or the text */
  int name;          /* in the host's stack: the path that is loaded */
  int callback;      /* in the host's stack: asked for the next, or for a part */
  int line;          /* of the function that was loaded */
} laxo_entry_t;

/* What is raised in the box for an error of the host's. */
static const char pending;

static laxo_box_t *check_box(lua_State *L) {
  laxo_box_t *box = luaL_checkudata(L, 1, LAXO_BOX);
  luaL_argcheck(L, box->L, 1, "it is closed");
  return box;
}

static bool is_late(void *box) { return laxo_box_is_late(box); }

static laxo_copier_t copier(laxo_box_t *box, lua_State *from, lua_State *to) {
  return (laxo_copier_t){
      .from = from, .to = to, .most = box->bounds, .is_late = is_late, .data = box};
}

/* ---- in the box: asking the host ---------------------------------------------------
 */

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
  luaL_checkstack(host, ROOM, "policy");
  for (int i = 1; i <= count; i++) {
    laxo_copier_t c = copier(crossing->box, crossing->L, host);
    if (!laxo_copy(&c, i)) {
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
    lua_setiuservalue(host, 1, PENDING);
    lua_pushlightuserdata(L, (void *)&pending);
  }
  return lua_error(L);
}

/* Calls the host with copies of what is on `L`'s stack. Leaves two results on the
 * host's. */
static void ask_host(lua_State *L, laxo_box_t *box, const char *what) {
  lua_State *host = box->entry->host;
  laxo_crossing_t crossing = {box, L, what};
  laxo_box_spend(L, box, ASKING);
  if (!lua_checkstack(host, ROOM))
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
  laxo_copier_t c = copier(box, host, L);
  if (!laxo_copy(&c, lua_gettop(host) - 1))
    return luaL_error(L, "default: %s", c.problem);
  lua_pop(host, 2);
  return 1;
}

/* ---- in the box: loading -----------------------------------------------------------
 */

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
static int load_file(lua_State *L) {
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

/* entry -> the answer of the function that is asked */
static int ask_file(lua_State *L) {
  const laxo_entry_t *entry = lua_touserdata(L, 1);
  laxo_box_t *box = laxo_box_of(L);
  laxo_copier_t c = copier(box, entry->host, L);
  lua_settop(L, 0);
  lua_rawgeti(L, LUA_REGISTRYINDEX, entry->reference);
  if (!laxo_copy(&c, entry->value))
    return luaL_error(L, "the request: %s", c.problem);
  lua_pushinteger(L, entry->layer);
  lua_pushcclosure(L, ask_next, 1);
  lua_call(L, 2, 1);
  laxo_box_spend(L, box, 0);
  return 1;
}

/* ---- the host's: what went wrong ---------------------------------------------------
 */

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
  if (lua_touserdata(co, -1) == &pending) {
    lua_getiuservalue(L, 1, PENDING);
    return;
  }
  lua_newtable(L);
  push_value(L, box, co, status);
  lua_setfield(L, -2, "message");
  set_frames(L, co);
}

/* ---- the host's: going in ----------------------------------------------------------
 */

static int new_coroutine(lua_State *L) {
  lua_newthread(L);
  return 1;
}

/* The coroutine for the box's depth; NULL when there is no memory. */
static lua_State *coroutine(laxo_box_t *box) {
  if (lua_gettop(box->L) > box->depth)
    return lua_tothread(box->L, box->depth + 1);
  if (!lua_checkstack(box->L, ROOM))
    return NULL;
  lua_pushcfunction(box->L, new_coroutine);
  if (lua_pcall(box->L, 0, 1, 0) == LUA_OK)
    return lua_tothread(box->L, -1);
  lua_pop(box->L, 1);
  return NULL;
}

/* Runs `body` in the box, with the entry. One that has failed leaves its coroutine as
 * it was then, for whoever reports it; `leave` comes next, in any case. */
static int enter(laxo_box_t *box, laxo_entry_t *entry, lua_CFunction body) {
  int results;
  entry->outer = box->entry;
  entry->co = coroutine(box);
  if (!entry->co)
    return LUA_ERRMEM;
  box->entry = entry;
  box->depth++;
  lua_settop(entry->co, 0);
  lua_pushcfunction(entry->co, body);
  lua_pushlightuserdata(entry->co, entry);
  int status =
      lua_resume(entry->co, entry->outer ? entry->outer->co : NULL, 1, &results);
  box->depth--;
  box->entry = entry->outer;
  return status;
}

static int fail(lua_State *L, laxo_box_t *box, const laxo_entry_t *entry, int status) {
  lua_pushnil(L);
  if (entry->co) {
    push_failure(L, box, entry->co, status);
    lua_settop(box->L, box->depth);
  } else {
    lua_newtable(L);
    laxo_box_push_no_memory(L, box);
    lua_setfield(L, -2, "message");
  }
  return 2;
}

/* box:load(text, name, part) -> reference, line | nil, failure */
static int box_load(lua_State *L) {
  laxo_box_t *box = check_box(L);
  luaL_checktype(L, 2, LUA_TSTRING);
  luaL_checktype(L, 3, LUA_TSTRING);
  luaL_checktype(L, 4, LUA_TFUNCTION);
  luaL_argcheck(L, !box->entry, 1, "it runs");
  lua_settop(L, 4);
  laxo_entry_t entry = {
      .host = L, .reference = LUA_NOREF, .value = 2, .name = 3, .callback = 4};
  size_t before = box->used;
  laxo_box_begin(box, box->loading_time_ns);
  int status = enter(box, &entry, load_file);
  if (status != LUA_OK)
    return fail(L, box, &entry, status);
  /* The host's collector does not see what a box takes. */
  if (lua_gc(L, LUA_GCISRUNNING) && box->used > before)
    lua_gc(L, LUA_GCSTEP, (int)((box->used - before) / 1024));
  lua_pushinteger(L, entry.reference);
  lua_pushinteger(L, entry.line);
  return 2;
}

/* Whatever asked first pays for all that comes of it. */
static int ask(lua_State *L, laxo_box_t *box, laxo_entry_t *entry) {
  int status = enter(box, entry, ask_file);
  if (status != LUA_OK)
    return fail(L, box, entry, status);
  laxo_copier_t c = copier(box, entry->co, L);
  if (laxo_copy(&c, 1))
    return 1;
  lua_pushnil(L);
  lua_newtable(L);
  laxo_push_problem(L, &c);
  lua_setfield(L, -2, "problem");
  return 2;
}

/* box:ask(reference, layer, request, next, begins) -> answer | nil, failure */
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
  luaL_checkstack(L, ROOM, "policy");
  laxo_budget_t before = box->budget;
  bool begins = lua_toboolean(L, 6);
  if (begins)
    laxo_box_begin(box, box->time_ns);
  else if (before.paused)
    laxo_box_go_on(box);
  int results = ask(L, box, &entry);
  if (begins)
    box->budget = before;
  else if (before.paused)
    laxo_box_pause(box);
  return results;
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

/* ---- making one --------------------------------------------------------------------
 */

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
      .bounds = {(int)field(L, "depth"), field(L, "values"), memory / 2},
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
