/* core.net.diag and "axo.diag": the sockets of a network namespace. */
#include "laxo.h"

#include <netinet/in.h>

/* Most containers have less than the first; of more than the second nobody is told. */
#define FEW 128
#define MANY 4096

enum { ON_DESTROY = LAXO_UV_ON_EXIT };

typedef struct laxo_diag {
  laxo_work_t work;
  axo_diag_t *diag; /* NULL: closed */
} laxo_diag_t;

static laxo_diag_t *check_box(lua_State *L) { return luaL_checkudata(L, 1, LAXO_DIAG); }

static axo_diag_t *check_diag(lua_State *L) {
  laxo_diag_t *self = check_box(L);
  luaL_argcheck(L, self->diag != NULL, 1, "the diag is closed");
  return self->diag;
}

static void let_go(laxo_work_t *work) {
  laxo_diag_t *self = (laxo_diag_t *)work;
  axo_diag_t *diag = self->diag;
  self->diag = NULL;
  axo_diag_close(diag);
}

/* core.net.diag(fd): takes the fd, if it is right. */
static int diag_new(lua_State *L) {
  lua_Integer fd = luaL_checkinteger(L, 1);
  axo_err_t err;
  luaL_argcheck(L, fd >= 0 && fd <= INT32_MAX, 1, "not a descriptor");
  laxo_diag_t *self = laxo_work_new(L, sizeof *self, LAXO_DIAG, ON_DESTROY);
  self->work.kill = let_go;
  if (axo_diag_open((int)fd, &self->diag, &err) != 0)
    return laxo_fail(L, &err);
  return 1;
}

static void push_socket(lua_State *L, const axo_diag_socket_t *socket) {
  lua_createtable(L, 0, 6);
  laxo_set_string(L, "address", socket->address);
  laxo_set_integer(L, "port", socket->port);
  laxo_set_integer(L, "inode", socket->inode);
  laxo_set_integer(L, "uid", socket->uid);
  if (socket->ipv6_only)
    laxo_set_boolean(L, "ipv6_only", true);
  if (socket->peer_port != 0) {
    laxo_set_string(L, "peer_address", socket->peer);
    laxo_set_integer(L, "peer_port", socket->peer_port);
  }
}

static int push_sockets(lua_State *L, const axo_diag_socket_t *sockets, size_t count,
                        size_t max) {
  size_t told = count < max ? count : max;
  lua_createtable(L, (int)told, 0);
  for (size_t i = 0; i < told; i++) {
    push_socket(L, &sockets[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  laxo_set_boolean(L, "more", count > max);
  return 1;
}

/* diag:listening() */
static int diag_listening(lua_State *L) {
  axo_diag_t *diag = check_diag(L);
  size_t max = FEW, count;
  axo_diag_socket_t few[FEW], *sockets = few;
  axo_err_t err;
  int rc = axo_diag_listening(diag, sockets, max, &count, &err);
  if (rc == 0 && count > max) {
    max = MANY;
    sockets = lua_newuserdatauv(L, MANY * sizeof *sockets, 0);
    rc = axo_diag_listening(diag, sockets, max, &count, &err);
  }
  return rc == 0 ? push_sockets(L, sockets, count, max) : laxo_fail(L, &err);
}

/* { address, port } at `index`, whose text stays on the stack. */
static axo_endpoint_t check_endpoint(lua_State *L, int index) {
  luaL_checktype(L, index, LUA_TTABLE);
  lua_rawgeti(L, index, 1);
  lua_rawgeti(L, index, 2);
  lua_Integer port = lua_tointeger(L, -1);
  luaL_argcheck(L,
                lua_type(L, -2) == LUA_TSTRING && lua_isinteger(L, -1) && port >= 0 &&
                    port <= UINT16_MAX,
                index, "{ address, port } is needed");
  lua_pop(L, 1);
  return (axo_endpoint_t){lua_tostring(L, -1), (uint16_t)port};
}

/* diag:find("tcp"|"udp", own, peer?) */
static int diag_find(lua_State *L) {
  static const char *const names[] = {"tcp", "udp", NULL};
  static const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
  axo_diag_t *diag = check_diag(L);
  int protocol = protocols[luaL_checkoption(L, 2, NULL, names)];
  lua_settop(L, 4);
  bool has_peer = !lua_isnil(L, 4);
  axo_endpoint_t own = check_endpoint(L, 3), peer = {0};
  axo_diag_socket_t found;
  axo_err_t err;
  if (has_peer)
    peer = check_endpoint(L, 4);
  if (axo_diag_find(diag, protocol, &own, has_peer ? &peer : NULL, &found, &err) != 0)
    return laxo_fail(L, &err);
  push_socket(L, &found);
  return 1;
}

/* ---- the end of sockets ---------------------------------------------------------- */

typedef struct end_event {
  laxo_diag_t *self;
  const axo_diag_socket_t *socket;
} end_event_t;

static int destroy_body(lua_State *L) {
  const end_event_t *event = lua_touserdata(L, 1);
  if (!laxo_push_callback(L, &event->self->work, ON_DESTROY))
    return 0;
  if (event->socket == NULL) {
    lua_createtable(L, 0, 1);
    laxo_set_boolean(L, "lost", true);
  } else {
    push_socket(L, event->socket);
    laxo_set_string(L, "protocol",
                    event->socket->protocol == IPPROTO_UDP ? "udp" : "tcp");
  }
  lua_call(L, 1, 0);
  return 0;
}

static void on_destroy(void *data, const axo_diag_socket_t *socket) {
  end_event_t event = {data, socket};
  laxo_protect(event.self->work.context, destroy_body, &event);
}

/* diag:on_destroy(fn, "tcp"|"udp"?) */
static int diag_on_destroy(lua_State *L) {
  static const char *const names[] = {"both", "tcp", "udp", NULL};
  static const int protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP};
  int protocol = protocols[luaL_checkoption(L, 3, "both", names)];
  axo_diag_t *diag = check_diag(L);
  laxo_diag_t *self = check_box(L);
  axo_err_t err;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_argcheck(L, !self->work.running, 1, "the diag watches already");
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 1, ON_DESTROY);
  laxo_work_begin(L, 1);
  if (axo_diag_watch(diag, self->work.context->loop, protocol, on_destroy, self,
                     &err) != 0) {
    laxo_work_end(L, &self->work);
    return laxo_fail(L, &err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int diag_close(lua_State *L) {
  laxo_diag_t *self = check_box(L);
  if (self->work.running)
    laxo_work_close(L, &self->work);
  else
    let_go(&self->work);
  return 0;
}

static int diag_tostring(lua_State *L) {
  lua_pushstring(L, check_box(L)->diag != NULL ? "axo.diag" : "axo.diag (closed)");
  return 1;
}

static const luaL_Reg methods[] = {{"listening", diag_listening},
                                   {"find", diag_find},
                                   {"on_destroy", diag_on_destroy},
                                   {"close", diag_close},
                                   {NULL, NULL}};

static const luaL_Reg meta[] = {
    {"__gc", diag_close},
    {"__close", diag_close},
    {"__tostring", diag_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {{"diag", diag_new}, {NULL, NULL}};

void laxo_net_diag_register(lua_State *L) {
  laxo_metatable(L, LAXO_DIAG, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
