/* core.net: sockets, and what core.net has besides. */
#include "laxo.h"

static uint16_t check_port(lua_State *L, int index) {
  lua_Integer port = luaL_checkinteger(L, index);
  luaL_argcheck(L, port >= 0 && port <= UINT16_MAX, index, "a port is from 0 to 65535");
  return (uint16_t)port;
}

/* core.net.bind(fd, address, port): the port */
static int net_bind(lua_State *L) {
  axo_err_t err;
  uint16_t bound;
  int fd = (int)luaL_checkinteger(L, 1);
  const char *address = laxo_check_text(L, 2);
  if (axo_net_bind(fd, address, check_port(L, 3), &bound, &err) != 0)
    return laxo_fail(L, &err);
  lua_pushinteger(L, bound);
  return 1;
}

/* core.net.listen(address, port): a descriptor, which is the caller's, and the port */
static int net_listen(lua_State *L) {
  axo_err_t err;
  uint16_t bound;
  int fd;
  const char *address = laxo_check_text(L, 1);
  if (axo_net_listen(address, check_port(L, 2), &fd, &bound, &err) != 0)
    return laxo_fail(L, &err);
  lua_pushinteger(L, fd);
  lua_pushinteger(L, bound);
  return 2;
}

/* core.net.close(fd) */
static int net_close(lua_State *L) {
  axo_net_close((int)luaL_checkinteger(L, 1));
  return 0;
}

static const luaL_Reg functions[] = {
    {"bind", net_bind}, {"listen", net_listen}, {"close", net_close}, {NULL, NULL}};

void laxo_net_register(lua_State *L) {
  luaL_newlib(L, functions);
  laxo_net_listener_register(L);
  laxo_net_conn_register(L);
  laxo_net_dns_register(L);
  laxo_net_diag_register(L);
  lua_setfield(L, -2, "net");
}
