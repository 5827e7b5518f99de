/* Runs functions in a coroutine of their own, and stops them when they use too much. In
 * C, because the hook runs after every few instructions and the rest at each decision
 * of policy: as Lua functions they cost ten times the policy that they watched. */
#include "laxo.h"

#include <time.h>

enum { WATCHED = 1, RETURNED, METHODS, THREAD, USER_VALUES = THREAD };

/* Steps of a C function that cost about what an instruction does. */
#define STEPS_PER_INSTRUCTION 8
/* Hooks between two looks at the clock. */
#define HOOKS_PER_LOOK 2
#define NS_PER_MS INT64_C(1000000)

typedef struct laxo_budget {
  lua_State *co;     /* anchored as THREAD */
  lua_Integer left;  /* instructions */
  lua_Integer total; /* what it began with, for the message */
  int growth_kb;     /* of memory */
  int ceiling_kb;    /* of the whole state's memory */
  int step;          /* instructions from hook to hook */
  int mask;          /* of the hook */
  int hooks;         /* since the clock was looked at */
  int64_t time_ns;   /* of this thread's processor time */
  int64_t half_ns;   /* the thread's clock, half of the time after the begin */
  int64_t look_ns;   /* by the monotonic clock: it has not used that time before */
  bool counting;
  bool running;
} laxo_budget_t;

static laxo_budget_t *check_budget(lua_State *L) {
  return luaL_checkudata(L, 1, LAXO_BUDGET);
}

/* Raised without a position: whoever catches it knows which line was in control. */
static void exceeded(lua_State *L, const char *format, lua_Integer most) {
  lua_pushfstring(L, format, most);
  lua_error(L);
}

/* Notes the line where a watched function returns. The budget is at the top. */
static void note_return(lua_State *L, lua_Debug *ar) {
  lua_getiuservalue(L, -1, WATCHED);
  lua_getinfo(L, "fl", ar);
  lua_pushvalue(L, -1);
  bool is_watched = lua_rawget(L, -3) != LUA_TNIL;
  lua_pop(L, 1);
  if (!is_watched) {
    lua_pop(L, 2);
    return;
  }
  lua_getiuservalue(L, -3, RETURNED);
  lua_insert(L, -2);
  lua_pushinteger(L, ar->currentline);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

static void spend(lua_State *L, laxo_budget_t *budget, lua_Integer instructions) {
  if (lua_gc(L, LUA_GCCOUNT) > budget->ceiling_kb)
    exceeded(L, "used more than %I MiB of memory",
             (lua_Integer)budget->growth_kb / 1024);
  budget->left -= instructions;
  if (budget->left < 0)
    exceeded(L, "used up its budget of %I instructions (an endless loop?)",
             budget->total);
}

static int64_t now_ns(clockid_t clock) {
  struct timespec now;
  (void)clock_gettime(clock, &now); /* both clocks are there on every Linux and BSD */
  return (int64_t)now.tv_sec * 1000 * NS_PER_MS + now.tv_nsec;
}

/* What others do on the machine is not counted. The thread's own clock takes a system
 * call, the monotonic one does not: so half of the time passes before it is asked, and
 * the other half is what it has to show. */
static void check_time(lua_State *L, laxo_budget_t *budget) {
  budget->hooks = 0;
  int64_t now = now_ns(CLOCK_MONOTONIC);
  if (now < budget->look_ns)
    return;
  int64_t used = now_ns(CLOCK_THREAD_CPUTIME_ID);
  if (budget->half_ns == 0)
    budget->half_ns = used;
  int64_t left = budget->time_ns / 2 - (used - budget->half_ns);
  if (left <= 0)
    exceeded(L, "used up its budget of %I ms (an endless loop?)",
             (lua_Integer)(budget->time_ns / NS_PER_MS));
  budget->look_ns = now + left;
}

void laxo_budget_steps(lua_State *L, size_t steps) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, L) == LUA_TUSERDATA) {
    laxo_budget_t *budget = lua_touserdata(L, -1);
    spend(L, budget, (lua_Integer)(steps / STEPS_PER_INSTRUCTION));
    check_time(L, budget);
  }
  lua_pop(L, 1);
}

static void on_hook(lua_State *L, lua_Debug *ar) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, L) != LUA_TUSERDATA) {
    lua_pop(L, 1);
    return;
  }
  laxo_budget_t *budget = lua_touserdata(L, -1);
  if (ar->event != LUA_HOOKCOUNT) {
    note_return(L, ar);
  } else {
    spend(L, budget, budget->step);
    if (++budget->hooks == HOOKS_PER_LOOK)
      check_time(L, budget);
  }
  lua_pop(L, 1);
}

static lua_Integer field(lua_State *L, const char *name, lua_Integer most) {
  lua_getfield(L, 1, name);
  lua_Integer value = luaL_checkinteger(L, -1);
  if (value < 1 || value > most)
    luaL_error(L, "budget: %s is out of range", name);
  lua_pop(L, 1);
  return value;
}

/* core.budget { instructions, memory, time, step, methods, watched? } */
static int budget_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  laxo_budget_t *budget = lua_newuserdatauv(L, sizeof *budget, USER_VALUES);
  *budget = (laxo_budget_t){.total = field(L, "instructions", INT32_MAX),
                            .step = (int)field(L, "step", 1000000),
                            .time_ns = field(L, "time", 1000000) * NS_PER_MS,
                            .growth_kb = (int)(field(L, "memory", INT32_MAX) / 1024)};
  luaL_setmetatable(L, LAXO_BUDGET);
  lua_newtable(L);
  lua_setiuservalue(L, 2, RETURNED);
  lua_getfield(L, 1, "methods");
  lua_setiuservalue(L, 2, METHODS);
  bool watches = lua_getfield(L, 1, "watched") == LUA_TTABLE;
  lua_setiuservalue(L, 2, WATCHED);
  budget->mask = LUA_MASKCOUNT | (watches ? LUA_MASKRET : 0);
  budget->co = lua_newthread(L);
  lua_setiuservalue(L, 2, THREAD);
  return 1;
}

/* ---- running --------------------------------------------------------------------- */

/* A hook costs each instruction of whatever runs below it, so while the engine's own
 * code runs there is none. It begins to count anew: what was used before is looked at
 * here. */
static void count(lua_State *L, laxo_budget_t *budget, bool counting) {
  budget->counting = counting;
  lua_sethook(L, counting ? on_hook : NULL, counting ? budget->mask : 0, budget->step);
  spend(L, budget, 0);
}

/* The hook finds the budget, at 1, in the registry. */
static void begin(lua_State *L, laxo_budget_t *budget) {
  lua_pushvalue(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, budget->co);
  budget->left = budget->total;
  budget->half_ns = 0;
  budget->look_ns = now_ns(CLOCK_MONOTONIC) + budget->time_ns / 2;
  budget->ceiling_kb = budget->growth_kb + lua_gc(L, LUA_GCCOUNT);
  budget->running = true;
}

static void end(lua_State *L, laxo_budget_t *budget) {
  budget->running = budget->counting = false;
  lua_sethook(budget->co, NULL, 0, 0);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, budget->co);
}

/* Exchanges what ("x"):rep(n) finds for the budget's own methods. Pushes what
 * restore_methods needs; allocates nothing between the two. */
static void replace_methods(lua_State *L) {
  lua_pushliteral(L, "");
  if (!lua_getmetatable(L, -1))
    luaL_error(L, "budget: strings have no metatable");
  lua_replace(L, -2);
  lua_pushliteral(L, "__index");
  lua_pushvalue(L, -1);
  lua_rawget(L, -3);
  lua_pushvalue(L, -2);
  lua_getiuservalue(L, 1, METHODS);
  lua_rawset(L, -5);
}

static void restore_methods(lua_State *L) {
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* The collector is put off until more than twice the budget is allocated, and that is
 * taken back afterwards. "stop" and "restart" would make it forget what it has done:
 * each decision would pay for a whole cycle. */
static int resume_uncollected(lua_State *L, laxo_budget_t *budget, int arguments) {
  int results, respite_kb = 2 * budget->growth_kb;
  bool collects = lua_gc(L, LUA_GCISRUNNING);
  replace_methods(L);
  if (collects)
    lua_gc(L, LUA_GCSTEP, -respite_kb);
  int status = lua_resume(budget->co, L, arguments, &results);
  restore_methods(L);
  if (collects)
    lua_gc(L, LUA_GCSTEP, respite_kb);
  return status;
}

/* budget:run(fn, ...) -> true, result | false, what was raised. Nothing is counted yet.
 * After a failure it cannot run again: its coroutine is as it was then. */
static int budget_run(lua_State *L) {
  laxo_budget_t *budget = check_budget(L);
  lua_State *co = budget->co;
  int values = lua_gettop(L) - 1;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_argcheck(L, !budget->running && lua_status(co) == LUA_OK && lua_gettop(co) == 0,
                1, "it runs, or has failed");
  if (!lua_checkstack(co, values))
    return luaL_error(L, "budget: too many arguments");
  begin(L, budget);
  lua_xmove(L, co, values);
  int status = resume_uncollected(L, budget, values - 1);
  end(L, budget);
  lua_pushboolean(L, status == LUA_OK);
  if (status == LUA_OK)
    lua_settop(co, 1);
  else if (status == LUA_YIELD)
    lua_pushliteral(co, "attempt to yield");
  lua_xmove(co, L, 1);
  return 2;
}

/* Somebody may have kept what belongs to another run: there is one hook in here. */
static int call(lua_State *L, bool counting) {
  laxo_budget_t *budget = check_budget(L);
  bool before = budget->counting;
  luaL_argcheck(L, budget->running && budget->co == L, 1, "it does not run here");
  luaL_checkany(L, 2);
  count(L, budget, counting);
  lua_call(L, lua_gettop(L) - 2, LUA_MULTRET);
  count(L, budget, before);
  return lua_gettop(L) - 1;
}

/* budget:counted(fn, ...) -> the results; in the coroutine itself */
static int budget_counted(lua_State *L) { return call(L, true); }

/* The same for a function that policy does not pay for. */
static int budget_paused(lua_State *L) { return call(L, false); }

static int budget_charge(lua_State *L) {
  spend(L, check_budget(L), luaL_checkinteger(L, 2));
  return 0;
}

/* budget:line_of(fn) -> line | nil | false when none is watched */
static int budget_line_of(lua_State *L) {
  const laxo_budget_t *budget = check_budget(L);
  lua_settop(L, 2);
  if (!(budget->mask & LUA_MASKRET)) {
    lua_pushboolean(L, false);
    return 1;
  }
  lua_getiuservalue(L, 1, RETURNED);
  lua_insert(L, 2);
  lua_rawget(L, 2);
  return 1;
}

static int budget_thread(lua_State *L) {
  check_budget(L);
  lua_getiuservalue(L, 1, THREAD);
  return 1;
}

static const luaL_Reg methods[] = {
    {"run", budget_run},
    {"counted", budget_counted},
    {"paused", budget_paused},
    {"charge", budget_charge},
    {"line_of", budget_line_of},
    {"thread", budget_thread},
    {NULL, NULL},
};

static const luaL_Reg meta[] = {{NULL, NULL}};

/* ---- what policy may call ----------------------------------------------------------
 */

/* The function at upvalue 1, and what it took is looked at. */
static int call_counted(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  laxo_budget_steps(L, 0);
  return lua_gettop(L);
}

/* core.counted(fn) -> the function, after which the clock is looked at: it may take
 * long within one instruction, but not longer than what memory allows. */
static int counted(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_pushcclosure(L, call_counted, 1);
  return 1;
}

/* core.spend(steps): of what runs now, if anything does */
static int spend_steps(lua_State *L) {
  lua_Integer steps = luaL_checkinteger(L, 1);
  laxo_budget_steps(L, steps > 0 ? (size_t)steps : 0);
  return 0;
}

static const luaL_Reg functions[] = {
    {"budget", budget_new},
    {"counted", counted},
    {"spend", spend_steps},
    {NULL, NULL},
};

void laxo_budget_register(lua_State *L) {
  laxo_metatable(L, LAXO_BUDGET, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
