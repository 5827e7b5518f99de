#include "laxo.h"

typedef struct laxo_lock {
  axo_lock_t *lock; /* NULL once closed */
} laxo_lock_t;

static laxo_lock_t *check_box(lua_State *L) { return luaL_checkudata(L, 1, LAXO_LOCK); }

/* core.lock(path, exclusive) */
static int lock_take(lua_State *L) {
  const char *path = laxo_check_text(L, 1);
  axo_err_t err;
  luaL_checktype(L, 2, LUA_TBOOLEAN);
  laxo_lock_t *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->lock = NULL;
  luaL_setmetatable(L, LAXO_LOCK);
  if (axo_lock_take(path, lua_toboolean(L, 2), &box->lock, &err) != 0)
    return laxo_fail(L, &err);
  return 1;
}

static int lock_change(lua_State *L) {
  laxo_lock_t *box = check_box(L);
  axo_err_t err;
  luaL_checktype(L, 2, LUA_TBOOLEAN);
  luaL_argcheck(L, box->lock != NULL, 1, "the lock is closed");
  if (axo_lock_change(box->lock, lua_toboolean(L, 2), &err) != 0)
    return laxo_fail(L, &err);
  lua_pushboolean(L, true);
  return 1;
}

static int lock_close(lua_State *L) {
  laxo_lock_t *box = check_box(L);
  if (box->lock != NULL)
    axo_lock_free(box->lock);
  box->lock = NULL;
  return 0;
}

static int lock_tostring(lua_State *L) {
  lua_pushstring(L,
                 check_box(L)->lock != NULL ? "axo.lock (held)" : "axo.lock (closed)");
  return 1;
}

static lua_Integer clamp(uint64_t value) {
  return value > (uint64_t)LUA_MAXINTEGER ? LUA_MAXINTEGER : (lua_Integer)value;
}

/* core.hard_limits(): what this process may ask for; "unlimited" is math.maxinteger. */
static int hard_limits(lua_State *L) {
  axo_hard_limits_t limits;
  int status = axo_hard_limits_get(&limits);
  if (status != 0)
    return laxo_fail_code(L, status, "hard_limits", NULL);
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, clamp(limits.nofile));
  lua_setfield(L, -2, "nofile");
  lua_pushinteger(L, clamp(limits.nproc));
  lua_setfield(L, -2, "nproc");
  return 1;
}

static const luaL_Reg methods[] = {
    {"change", lock_change}, {"close", lock_close}, {NULL, NULL}};

static const luaL_Reg meta[] = {
    {"__gc", lock_close},
    {"__close", lock_close},
    {"__tostring", lock_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"lock", lock_take}, {"hard_limits", hard_limits}, {NULL, NULL}};

void laxo_lock_register(lua_State *L) {
  laxo_metatable(L, LAXO_LOCK, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
