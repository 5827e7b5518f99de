/* core.hangup and "axo.hangup". */
#include "laxo.h"

typedef struct laxo_hangup {
  laxo_work_t work;
  axo_hangup_t *watch; /* NULL once it has been told or was closed */
} laxo_hangup_t;

static laxo_hangup_t *check_box(lua_State *L) {
  return luaL_checkudata(L, 1, LAXO_HANGUP);
}

static void let_go(laxo_work_t *work) {
  laxo_hangup_t *self = (laxo_hangup_t *)work;
  axo_hangup_t *watch = self->watch;
  self->watch = NULL;
  axo_hangup_close(watch);
}

static int gone_body(lua_State *L) {
  laxo_hangup_t *self = lua_touserdata(L, 1);
  bool has_callback = laxo_push_callback(L, &self->work, LAXO_UV_ON_EXIT);
  laxo_work_close(L, &self->work);
  if (has_callback)
    lua_call(L, 0, 0);
  return 0;
}

static void on_gone(void *data) {
  laxo_hangup_t *self = data;
  laxo_protect(self->work.context, gone_body, self);
}

/* core.hangup(fd, fn) */
static int hangup_watch(lua_State *L) {
  lua_Integer fd = luaL_checkinteger(L, 1);
  axo_err_t err;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_argcheck(L, fd >= 0 && fd <= INT32_MAX, 1, "not a descriptor");
  laxo_hangup_t *self = laxo_work_new(L, sizeof *self, LAXO_HANGUP, LAXO_UV_ON_EXIT);
  self->work.kill = let_go;
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, LAXO_UV_ON_EXIT);
  laxo_work_begin(L, lua_gettop(L));
  if (axo_hangup_watch(self->work.context->loop, (int)fd, on_gone, self, &self->watch,
                       &err) == 0)
    return 1;
  laxo_work_end(L, &self->work);
  return laxo_fail(L, &err);
}

static int hangup_close(lua_State *L) {
  laxo_work_close(L, &check_box(L)->work);
  return 0;
}

static int hangup_tostring(lua_State *L) {
  lua_pushstring(L, check_box(L)->watch != NULL ? "axo.hangup (watching)"
                                                : "axo.hangup (over)");
  return 1;
}

static const luaL_Reg methods[] = {{"close", hangup_close}, {NULL, NULL}};

static const luaL_Reg meta[] = {
    {"__gc", hangup_close},
    {"__close", hangup_close},
    {"__tostring", hangup_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {{"hangup", hangup_watch}, {NULL, NULL}};

void laxo_hangup_register(lua_State *L) {
  laxo_metatable(L, LAXO_HANGUP, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
