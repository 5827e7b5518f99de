/* "axo.net_conn": a connection that a listener has taken in. */
#include "laxo.h"

/* Those before LISTENER are dropped whenever nothing is in flight. */
enum { ON_HELLO = 1, ON_OPEN, ON_CLOSE, LISTENER, USER_VALUES = LISTENER };

/* Anchored while it waits for a hello, and from a dial to the end; between, whoever
 * holds it keeps it open. */
typedef struct laxo_net_conn {
  laxo_work_t work;
  axo_net_conn_t *conn;      /* NULL: it has ended */
  axo_net_traffic_t traffic; /* then */
} laxo_net_conn_t;

static laxo_net_conn_t *check_conn(lua_State *L) {
  return luaL_checkudata(L, 1, LAXO_NET_CONN);
}

/* The open one; otherwise pushes nil and an error. */
static axo_net_conn_t *open_conn(lua_State *L, const char *op) {
  laxo_net_conn_t *self = check_conn(L);
  if (self->conn == NULL)
    laxo_fail_code(L, UV_ENOTCONN, op, "the connection has ended");
  return self->conn;
}

static void kill_conn(laxo_work_t *work) {
  laxo_net_conn_t *self = (laxo_net_conn_t *)work;
  if (self->conn != NULL)
    axo_net_conn_reset(self->conn);
}

void laxo_net_conn_new(lua_State *L, int listener, axo_net_conn_t *conn) {
  laxo_net_conn_t *self = laxo_work_new(L, sizeof *self, LAXO_NET_CONN, USER_VALUES);
  self->work.kill = kill_conn;
  self->work.values = ON_CLOSE;
  lua_pushvalue(L, listener);
  lua_setiuservalue(L, -2, LISTENER);
  self->conn = conn;
  axo_net_conn_set_data(conn, self);
}

void laxo_net_conn_gone(axo_net_conn_t *conn) {
  laxo_net_conn_t *self = axo_net_conn_data(conn);
  if (self == NULL)
    return;
  self->traffic = axo_net_conn_traffic(conn);
  self->conn = NULL;
  lua_State *L = self->work.context->L;
  if (lua_checkstack(L, LUA_MINSTACK))
    laxo_work_end(L, &self->work);
}

/* ---- hello ----------------------------------------------------------------------- */

typedef struct hello_event {
  laxo_net_conn_t *self;
  const axo_err_t *err;
  axo_net_hello_t kind;
  const char *name;
} hello_event_t;

static const char *kind_name(axo_net_hello_t kind) {
  return kind == AXO_NET_HELLO_TLS          ? "tls"
         : kind == AXO_NET_HELLO_UNREADABLE ? "unreadable"
                                            : "other";
}

static int hello_body(lua_State *L) {
  const hello_event_t *event = lua_touserdata(L, 1);
  bool has_callback = laxo_push_callback(L, &event->self->work, ON_HELLO);
  laxo_work_end(L, &event->self->work);
  if (!has_callback)
    return 0;
  if (event->err != NULL) {
    laxo_push_error(L, event->err);
    lua_call(L, 1, 0);
    return 0;
  }
  lua_pushnil(L);
  lua_pushstring(L, event->name);
  lua_pushstring(L, kind_name(event->kind));
  lua_call(L, 3, 0);
  return 0;
}

static void on_hello(axo_net_conn_t *conn, const axo_err_t *err, axo_net_hello_t kind,
                     const char *name) {
  hello_event_t event = {axo_net_conn_data(conn), err, kind, name};
  laxo_protect(event.self->work.context, hello_body, &event);
}

static int fail_start(lua_State *L, laxo_net_conn_t *self, const axo_err_t *err) {
  laxo_work_end(L, &self->work);
  return laxo_fail(L, err);
}

static bool is_busy(lua_State *L, const laxo_net_conn_t *self, const char *op) {
  if (self->work.running)
    laxo_fail_code(L, UV_EBUSY, op,
                   "the connection waits for something else, or is open");
  return self->work.running;
}

/* conn:hello(timeout, done): done(err, name, kind) */
static int conn_hello(lua_State *L) {
  laxo_net_conn_t *self = check_conn(L);
  axo_err_t err;
  lua_Number seconds = luaL_checknumber(L, 2);
  luaL_argcheck(L, seconds > 0 && seconds < 1e9, 2, "seconds are needed");
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  if (open_conn(L, "hello") == NULL || is_busy(L, self, "hello"))
    return 2;
  lua_setiuservalue(L, 1, ON_HELLO);
  laxo_work_begin(L, 1);
  uint64_t ms = seconds < 0.001 ? 1 : (uint64_t)(seconds * 1000);
  if (axo_net_conn_hello(self->conn, ms, on_hello, &err) != 0)
    return fail_start(L, self, &err);
  lua_pushboolean(L, true);
  return 1;
}

/* ---- dial ------------------------------------------------------------------------ */

typedef struct open_event {
  laxo_net_conn_t *self;
  const axo_err_t *err;
} open_event_t;

static int open_body(lua_State *L) {
  const open_event_t *event = lua_touserdata(L, 1);
  bool has_callback = laxo_push_callback(L, &event->self->work, ON_OPEN);
  if (event->err != NULL)
    laxo_work_end(L, &event->self->work);
  if (!has_callback)
    return 0;
  if (event->err != NULL)
    laxo_push_error(L, event->err);
  lua_call(L, event->err != NULL ? 1 : 0, 0);
  return 0;
}

static void on_open(axo_net_conn_t *conn, const axo_err_t *err) {
  open_event_t event = {axo_net_conn_data(conn), err};
  laxo_protect(event.self->work.context, open_body, &event);
}

typedef struct close_event {
  laxo_net_conn_t *self;
  const axo_net_result_t *result;
} close_event_t;

static int close_body(lua_State *L) {
  const close_event_t *event = lua_touserdata(L, 1);
  bool has_callback = laxo_push_callback(L, &event->self->work, ON_CLOSE);
  laxo_work_end(L, &event->self->work);
  if (!has_callback)
    return 0;
  lua_createtable(L, 0, 4);
  laxo_set_count(L, "sent", event->result->traffic.sent);
  laxo_set_count(L, "received", event->result->traffic.received);
  lua_pushnumber(L, (lua_Number)event->result->duration_us / 1e6);
  lua_setfield(L, -2, "duration");
  if (event->result->err != NULL) {
    laxo_push_error(L, event->result->err);
    lua_setfield(L, -2, "err");
  }
  lua_call(L, 1, 0);
  return 0;
}

static void on_close(axo_net_conn_t *conn, const axo_net_result_t *result) {
  close_event_t event = {axo_net_conn_data(conn), result};
  laxo_protect(event.self->work.context, close_body, &event);
}

static const laxo_field_t fields[] = {
    LAXO_NEED("address", LAXO_STRING, offsetof(axo_net_dial_t, address)),
    LAXO_NEED("port", LAXO_UINT16, offsetof(axo_net_dial_t, port)),
    LAXO_KEY("fd", LAXO_INT, offsetof(axo_net_dial_t, fd)),
    LAXO_KEY("timeout", LAXO_BOUND, offsetof(axo_net_dial_t, timeout_ms)),
};
static const laxo_shape_t shape = LAXO_SHAPE(fields, axo_net_dial_t);

/* What was given is the connection's, whatever comes of it. */
static int refuse_dial(const axo_net_dial_t *dial, int results) {
  if (dial->fd >= 0)
    axo_net_close(dial->fd);
  return results;
}

/* conn:dial(options, on_open, on_close?) */
static int conn_dial(lua_State *L) {
  laxo_net_conn_t *self = check_conn(L);
  axo_net_dial_t dial = {.fd = -1, .on_open = on_open, .on_close = on_close};
  laxo_reader_t reader;
  axo_err_t err;
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  if (!lua_isnoneornil(L, 4))
    luaL_checktype(L, 4, LUA_TFUNCTION);
  lua_settop(L, 4);
  laxo_reader_init(L, &reader, "dial");
  laxo_read(&reader, 2, &shape, &dial);
  if (reader.err.code != 0)
    return refuse_dial(&dial, laxo_fail(L, &reader.err));
  if (open_conn(L, "dial") == NULL || is_busy(L, self, "dial"))
    return refuse_dial(&dial, 2);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, 1, ON_OPEN);
  lua_pushvalue(L, 4);
  lua_setiuservalue(L, 1, ON_CLOSE);
  laxo_work_begin(L, 1);
  if (axo_net_conn_dial(self->conn, &dial, &err) != 0)
    return fail_start(L, self, &err);
  lua_pushboolean(L, true);
  return 1;
}

/* ---- the rest -------------------------------------------------------------------- */

static int push_address(lua_State *L, int rc, const char *op,
                        const axo_net_address_t *at) {
  if (rc != 0)
    return laxo_fail_code(L, rc, op, NULL);
  lua_pushstring(L, at->address);
  lua_pushinteger(L, at->port);
  return 2;
}

static int conn_destination(lua_State *L) {
  axo_net_address_t at;
  const axo_net_conn_t *conn = open_conn(L, "destination");
  if (conn == NULL)
    return 2;
  return push_address(L, axo_net_conn_destination(conn, &at), "destination", &at);
}

static int conn_peer(lua_State *L) {
  axo_net_address_t at;
  const axo_net_conn_t *conn = open_conn(L, "peer");
  if (conn == NULL)
    return 2;
  return push_address(L, axo_net_conn_peer(conn, &at), "peer", &at);
}

/* conn:traffic(): sent, received */
static int conn_traffic(lua_State *L) {
  const laxo_net_conn_t *self = check_conn(L);
  axo_net_traffic_t traffic = self->traffic;
  if (self->conn != NULL)
    traffic = axo_net_conn_traffic(self->conn);
  lua_pushinteger(L, (lua_Integer)traffic.sent);
  lua_pushinteger(L, (lua_Integer)traffic.received);
  return 2;
}

static int conn_close(lua_State *L) {
  const laxo_net_conn_t *self = check_conn(L);
  if (self->conn != NULL)
    axo_net_conn_close(self->conn);
  return 0;
}

static int conn_reset(lua_State *L) {
  kill_conn(&check_conn(L)->work);
  return 0;
}

static int conn_tostring(lua_State *L) {
  lua_pushfstring(L, "axo.net_conn (%s)",
                  check_conn(L)->conn != NULL ? "open" : "ended");
  return 1;
}

static const luaL_Reg methods[] = {
    {"destination", conn_destination},
    {"peer", conn_peer},
    {"hello", conn_hello},
    {"dial", conn_dial},
    {"traffic", conn_traffic},
    {"close", conn_close},
    {"reset", conn_reset},
    {NULL, NULL},
};

static const luaL_Reg meta[] = {
    {"__gc", conn_reset},
    {"__close", conn_close},
    {"__tostring", conn_tostring},
    {NULL, NULL},
};

void laxo_net_conn_register(lua_State *L) {
  laxo_metatable(L, LAXO_NET_CONN, methods, meta);
}
