/* What a coroutine may use before it is stopped. In C, because the hook runs after
 * every few instructions: as a Lua function it cost ten times the policy that it
 * watched. */
#include "laxo.h"

enum { WATCHED = 1, RETURNED = 2, USER_VALUES = 2 };

typedef struct laxo_budget {
  lua_Integer left;      /* instructions */
  lua_Integer total;     /* what it began with, for the message */
  lua_Integer growth_mb; /* of memory, for the message */
  int ceiling_kb;        /* of the whole state's memory */
  int step;              /* instructions from hook to hook */
  int mask;              /* of the hook */
  bool counting;
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
    exceeded(L, "used more than %I MiB of memory", budget->growth_mb);
  budget->left -= instructions;
  if (budget->left < 0)
    exceeded(L, "used up its budget of %I instructions (an endless loop?)",
             budget->total);
}

static void on_hook(lua_State *L, lua_Debug *ar) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, L) != LUA_TUSERDATA) {
    lua_pop(L, 1);
    return;
  }
  laxo_budget_t *budget = lua_touserdata(L, -1);
  if (ar->event == LUA_HOOKCOUNT)
    spend(L, budget, budget->step);
  else
    note_return(L, ar);
  lua_pop(L, 1);
}

static lua_Integer field(lua_State *L, const char *name, lua_Integer most) {
  lua_getfield(L, 2, name);
  lua_Integer value = luaL_checkinteger(L, -1);
  if (value < 1 || value > most)
    luaL_error(L, "budget: %s is out of range", name);
  lua_pop(L, 1);
  return value;
}

/* core.budget(co, { instructions, memory, step, watched? }) */
static int budget_new(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co != NULL, 1, "coroutine");
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  laxo_budget_t *budget = lua_newuserdatauv(L, sizeof *budget, USER_VALUES);
  budget->total = budget->left = field(L, "instructions", INT32_MAX);
  budget->step = (int)field(L, "step", 1000000);
  lua_Integer growth_kb = field(L, "memory", INT32_MAX) / 1024;
  budget->growth_mb = growth_kb / 1024;
  budget->ceiling_kb = (int)growth_kb + lua_gc(L, LUA_GCCOUNT);
  budget->counting = true;
  luaL_setmetatable(L, LAXO_BUDGET);
  lua_newtable(L);
  lua_setiuservalue(L, 3, RETURNED);
  bool watches = lua_getfield(L, 2, "watched") == LUA_TTABLE;
  lua_setiuservalue(L, 3, WATCHED);
  lua_pushvalue(L, 3);
  lua_rawsetp(L, LUA_REGISTRYINDEX, co);
  budget->mask = LUA_MASKCOUNT | (watches ? LUA_MASKRET : 0);
  lua_sethook(co, on_hook, budget->mask, budget->step);
  return 1;
}

/* A hook costs each instruction of whatever runs below it, so while the engine's own
 * code runs there is none. It begins to count anew: what was used before is looked at
 * here. */
static void count(lua_State *L, laxo_budget_t *budget, bool counting) {
  budget->counting = counting;
  lua_sethook(L, counting ? on_hook : NULL, counting ? budget->mask : 0, budget->step);
  spend(L, budget, 0);
}

/* budget:pause() -> whether it was counting; in the coroutine itself */
static int budget_pause(lua_State *L) {
  laxo_budget_t *budget = check_budget(L);
  lua_pushboolean(L, budget->counting);
  count(L, budget, false);
  return 1;
}

/* budget:resume(counting); in the coroutine itself */
static int budget_resume(lua_State *L) {
  count(L, check_budget(L), lua_toboolean(L, 2));
  return 0;
}

static int budget_charge(lua_State *L) {
  spend(L, check_budget(L), luaL_checkinteger(L, 2));
  return 0;
}

/* budget:line_of(fn) -> line | nil */
static int budget_line_of(lua_State *L) {
  check_budget(L);
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, RETURNED);
  lua_insert(L, 2);
  lua_rawget(L, 2);
  return 1;
}

/* core.unbudget(co) */
static int unbudget(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co != NULL, 1, "coroutine");
  lua_sethook(co, NULL, 0, 0);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, co);
  return 0;
}

static const luaL_Reg methods[] = {
    {"pause", budget_pause},
    {"resume", budget_resume},
    {"charge", budget_charge},
    {"line_of", budget_line_of},
    {NULL, NULL},
};

static const luaL_Reg meta[] = {{NULL, NULL}};

static const luaL_Reg functions[] = {
    {"budget", budget_new}, {"unbudget", unbudget}, {NULL, NULL}};

void laxo_budget_register(lua_State *L) {
  laxo_metatable(L, LAXO_BUDGET, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
