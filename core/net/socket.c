/* Sockets, and addresses as text; whose connection one is. */
#include "net/net_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* The kernel cuts it to net.core.somaxconn. */
#define BACKLOG 4096
/* linux/netfilter_ipv6/ip6_tables.h, which C compilers do not take beside netinet/in.h.
 */
#define ORIGINAL_DST_6 80

int axo__address_read(const char *address, uint16_t port, struct sockaddr_storage *out,
                      socklen_t *len) {
  memset(out, 0, sizeof *out);
  if (uv_ip4_addr(address, port, (struct sockaddr_in *)out) == 0) {
    *len = sizeof(struct sockaddr_in);
    return 0;
  }
  *len = sizeof(struct sockaddr_in6);
  return uv_ip6_addr(address, port, (struct sockaddr_in6 *)out) == 0 ? 0 : UV_EINVAL;
}

static int address_write(const struct sockaddr_storage *from, axo_net_address_t *out) {
  const struct sockaddr_in *v4 = (const void *)from;
  const struct sockaddr_in6 *v6 = (const void *)from;
  memset(out, 0, sizeof *out);
  if (from->ss_family == AF_INET) {
    out->port = ntohs(v4->sin_port);
    return uv_ip4_name(v4, out->address, sizeof out->address);
  }
  if (from->ss_family != AF_INET6)
    return UV_EAFNOSUPPORT;
  out->port = ntohs(v6->sin6_port);
  return uv_ip6_name(v6, out->address, sizeof out->address);
}

int axo__socket_error(int fd) {
  int error = 0;
  socklen_t len = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
    error = errno;
  return uv_translate_sys_error(error);
}

bool axo__socket_is_local(int fd) {
  struct sockaddr_storage at = {0};
  socklen_t len = sizeof at;
  if (getsockname(fd, (struct sockaddr *)&at, &len) != 0)
    return false;
  if (at.ss_family == AF_INET)
    return ntohl(((struct sockaddr_in *)&at)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  return at.ss_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&at)->sin6_addr);
}

void axo_net_close(int fd) {
  const struct linger never = {0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &never, sizeof never);
  close(fd);
}

void axo__socket_reset(int fd) {
  const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

int axo__socket_make_ours(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
    return uv_translate_sys_error(errno);
  return 0;
}

/* ---- binding --------------------------------------------------------------------- */

static int option_of(int fd, int option, int *value) {
  socklen_t len = sizeof *value;
  return getsockopt(fd, SOL_SOCKET, option, value, &len) == 0
             ? 0
             : uv_translate_sys_error(errno);
}

static int bind_and_listen(int fd, const struct sockaddr_storage *at, socklen_t len) {
  const int on = 1;
  int type;
  int rc = option_of(fd, SO_TYPE, &type);
  if (rc != 0)
    return rc;
  if (type == SOCK_STREAM)
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  /* Else "::" would take the port of every IPv4 address, too. */
  if (at->ss_family == AF_INET6)
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(fd, (const struct sockaddr *)at, len) != 0 ||
      (type == SOCK_STREAM && listen(fd, BACKLOG) != 0))
    return uv_translate_sys_error(errno);
  return 0;
}

static int port_of(int fd, uint16_t *port) {
  struct sockaddr_storage at = {0};
  axo_net_address_t name;
  socklen_t len = sizeof at;
  if (getsockname(fd, (struct sockaddr *)&at, &len) != 0)
    return uv_translate_sys_error(errno);
  int rc = address_write(&at, &name);
  *port = name.port;
  return rc;
}

int axo_net_bind(int fd, const char *address, uint16_t port, uint16_t *bound,
                 axo_err_t *err) {
  struct sockaddr_storage at;
  socklen_t len;
  if (axo__address_read(address, port, &at, &len) != 0)
    return axo__err_set(err, UV_EINVAL, "bind", NULL,
                        "\"%s\" is no IPv4 or IPv6 address", address);
  int rc = axo__socket_make_ours(fd);
  if (rc == 0)
    rc = bind_and_listen(fd, &at, len);
  if (rc == 0)
    rc = port_of(fd, bound);
  if (rc != 0)
    return axo__err_code(err, rc, "bind", "%s, port %u", address, port);
  return 0;
}

int axo_net_listen(const char *address, uint16_t port, int *fd, uint16_t *bound,
                   axo_err_t *err) {
  int family = strchr(address, ':') ? AF_INET6 : AF_INET;
  int made = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0)
    return axo__err_code(err, uv_translate_sys_error(errno), "listen", "%s, port %u",
                         address, port);
  int rc = axo_net_bind(made, address, port, bound, err);
  if (rc != 0) {
    close(made);
    if (err)
      err->op = "listen";
    return rc;
  }
  *fd = made;
  return 0;
}

/* ---- how many there may be ------------------------------------------------------- */

/* A process that can open nothing any more could not even end a command: a quarter of
 * what it may have is never a connection's. The kernel gives the lowest number. */
bool axo__fd_is_of_the_last(int fd) {
  struct rlimit limit;
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
         (rlim_t)fd >= limit.rlim_cur - limit.rlim_cur / 4;
}

/* ---- whose connection it is ------------------------------------------------------ */

static bool is_redirected(int fd, struct sockaddr_storage *at) {
  socklen_t len = sizeof *at;
  memset(at, 0, sizeof *at);
  if (getsockopt(fd, IPPROTO_IP, SO_ORIGINAL_DST, at, &len) == 0)
    return true;
  len = sizeof *at;
  return getsockopt(fd, IPPROTO_IPV6, ORIGINAL_DST_6, at, &len) == 0;
}

int axo_net_conn_destination(const axo_net_conn_t *conn, axo_net_address_t *out) {
  struct sockaddr_storage at;
  socklen_t len = sizeof at;
  int fd = conn->sides[AXO__CLIENT].fd;
  if (fd < 0)
    return UV_ENOTCONN;
  if (is_redirected(fd, &at) && address_write(&at, out) == 0)
    return 0;
  if (getsockname(fd, (struct sockaddr *)&at, &len) != 0)
    return uv_translate_sys_error(errno);
  return address_write(&at, out);
}

int axo_net_conn_peer(const axo_net_conn_t *conn, axo_net_address_t *out) {
  struct sockaddr_storage at = {0};
  socklen_t len = sizeof at;
  int fd = conn->sides[AXO__CLIENT].fd;
  if (fd < 0)
    return UV_ENOTCONN;
  if (getpeername(fd, (struct sockaddr *)&at, &len) != 0)
    return uv_translate_sys_error(errno);
  return address_write(&at, out);
}
