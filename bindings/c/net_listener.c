/* core.net.listener and "axo.net_listener". */
#include "laxo.h"

enum { ON_CONNECTION = 1, ON_REFUSAL, USER_VALUES = ON_REFUSAL };

typedef struct laxo_net_listener {
  laxo_context_t *context;
  axo_net_listener_t *listener; /* NULL: closed */
} laxo_net_listener_t;

/* Its address is the key of a table with weak values: a listener that nobody holds, and
 * that has no connection in flight, is collected. */
static const char listeners_key = 0;

static laxo_net_listener_t *check_listener(lua_State *L) {
  return luaL_checkudata(L, 1, LAXO_NET_LISTENER);
}

/* ---- callbacks ------------------------------------------------------------------- */

typedef struct listener_event {
  laxo_net_listener_t *self;
  axo_net_conn_t *conn;
  const axo_err_t *why;
} listener_event_t;

/* Pushes the userdata and the callback; false when there is none. */
static bool push_callback(lua_State *L, const laxo_net_listener_t *self, int slot) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &listeners_key);
  return lua_rawgetp(L, -1, self) == LUA_TUSERDATA &&
         lua_getiuservalue(L, -1, slot) == LUA_TFUNCTION;
}

static int connection_body(lua_State *L) {
  const listener_event_t *event = lua_touserdata(L, 1);
  if (!push_callback(L, event->self, ON_CONNECTION))
    return 0;
  laxo_net_conn_new(L, lua_gettop(L) - 1, event->conn);
  lua_call(L, 1, 0);
  return 0;
}

static void on_connection(axo_net_listener_t *listener, axo_net_conn_t *conn) {
  listener_event_t event = {axo_net_listener_data(listener), conn, NULL};
  laxo_protect(event.self->context, connection_body, &event);
  if (axo_net_conn_data(conn) == NULL) /* Lua has no memory for it */
    axo_net_conn_reset(conn);
}

static int refusal_body(lua_State *L) {
  const listener_event_t *event = lua_touserdata(L, 1);
  if (!push_callback(L, event->self, ON_REFUSAL))
    return 0;
  laxo_push_error(L, event->why);
  lua_call(L, 1, 0);
  return 0;
}

static void on_refusal(axo_net_listener_t *listener, const axo_err_t *why) {
  listener_event_t event = {axo_net_listener_data(listener), NULL, why};
  laxo_protect(event.self->context, refusal_body, &event);
}

/* ---- the listener ---------------------------------------------------------------- */

static const laxo_field_t fields[] = {
    LAXO_KEY("max", LAXO_UINT, offsetof(axo_net_listener_options_t, max)),
    LAXO_KEY("pipes", LAXO_UINT, offsetof(axo_net_listener_options_t, pipes)),
    LAXO_TAKEN("on_connection", LAXO_FUNCTION),
    LAXO_TAKEN("on_refusal", LAXO_FUNCTION),
};
static const laxo_shape_t shape = LAXO_SHAPE(fields, axo_net_listener_options_t);

static laxo_net_listener_t *new_listener(lua_State *L) {
  laxo_net_listener_t *self = lua_newuserdatauv(L, sizeof *self, USER_VALUES);
  *self = (laxo_net_listener_t){.context = laxo_context(L)};
  luaL_setmetatable(L, LAXO_NET_LISTENER);
  laxo_work_take(L, lua_gettop(L), ON_CONNECTION, 2, "on_connection");
  laxo_work_take(L, lua_gettop(L), ON_REFUSAL, 2, "on_refusal");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &listeners_key);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, self);
  lua_pop(L, 1);
  return self;
}

/* core.net.listener(fd, options) */
static int listener_new(lua_State *L) {
  axo_net_listener_options_t options = {0};
  laxo_reader_t reader;
  axo_err_t err;
  int fd = (int)luaL_checkinteger(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  laxo_reader_init(L, &reader, "listener");
  laxo_read(&reader, 2, &shape, &options);
  if (reader.err.code != 0)
    return laxo_fail(L, &reader.err);
  laxo_net_listener_t *self = new_listener(L);
  luaL_argcheck(L, lua_getiuservalue(L, -1, ON_CONNECTION) == LUA_TFUNCTION, 2,
                "on_connection is missing");
  lua_pop(L, 1);
  options.fd = fd;
  options.data = self;
  options.on_connection = on_connection;
  options.on_refusal = on_refusal;
  options.on_gone = laxo_net_conn_gone;
  if (axo_net_listener_open(self->context->loop, &options, &self->listener, &err) != 0)
    return laxo_fail(L, &err);
  return 1;
}

static int listener_close(lua_State *L) {
  laxo_net_listener_t *self = check_listener(L);
  axo_net_listener_t *listener = self->listener;
  self->listener = NULL;
  if (listener != NULL)
    axo_net_listener_close(listener);
  return 0;
}

/* listener:counts(): { connections =, pipes =, wakes = } */
static int listener_counts(lua_State *L) {
  const laxo_net_listener_t *self = check_listener(L);
  axo_net_counts_t counts = {0};
  if (self->listener != NULL)
    counts = axo_net_listener_counts(self->listener);
  lua_createtable(L, 0, 3);
  laxo_set_integer(L, "connections", counts.conns);
  laxo_set_integer(L, "pipes", counts.pipes);
  laxo_set_count(L, "wakes", counts.wakes);
  return 1;
}

static int listener_tostring(lua_State *L) {
  const laxo_net_listener_t *self = check_listener(L);
  lua_pushfstring(L, "axo.net_listener (%s)",
                  self->listener != NULL ? "open" : "closed");
  return 1;
}

static const luaL_Reg methods[] = {
    {"close", listener_close}, {"counts", listener_counts}, {NULL, NULL}};

static const luaL_Reg meta[] = {
    {"__gc", listener_close},
    {"__close", listener_close},
    {"__tostring", listener_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {{"listener", listener_new}, {NULL, NULL}};

void laxo_net_listener_register(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &listeners_key);
  laxo_metatable(L, LAXO_NET_LISTENER, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
