/* Connects to where a connection leads. */
#include "net/net_impl.h"

#include <errno.h>
#include <string.h>

#define DIAL_MS 30000

static void fail(axo_net_conn_t *conn, int rc) {
  axo_err_t err;
  axo__side_close(&conn->sides[AXO__REMOTE], true);
  axo__conn_hold(conn);
  if (conn->gone != 0)
    axo__err_code(&err, rc, "dial", "the client has gone");
  else
    axo__err_code(&err, rc, "dial", "%s, port %u", conn->to.address, conn->to.port);
  conn->on_open(conn, &err);
}

static void on_deadline(axo_net_conn_t *conn) {
  fail(conn, conn->failed != 0 ? conn->failed : UV_ETIMEDOUT);
}

static void succeed(axo_net_conn_t *conn) {
  axo__conn_hold(conn);
  conn->state = AXO__OPEN;
  conn->opened_ns = uv_hrtime();
  conn->on_open(conn, NULL);
  if (conn->state == AXO__OPEN)
    axo__pump_start(conn);
}

/* Whoever has sent all that it will may wait for an answer, or have left: it keeps its
 * place until that is somebody else's. */
static bool is_in_the_way(const axo_net_conn_t *conn, const axo__side_t *side) {
  return side->hung && conn->listener->counts.conns >= conn->listener->options.max;
}

static void on_client(axo_net_conn_t *conn, const axo__side_t *side, uint32_t events) {
  int rc = events & EPOLLERR ? axo__socket_error(side->fd) : 0;
  if (rc == 0 && is_in_the_way(conn, side))
    rc = UV_ECONNABORTED;
  if (rc == 0)
    return;
  conn->gone = rc;
  fail(conn, rc);
}

static void on_event(axo_net_conn_t *conn, axo__side_t *side, uint32_t events) {
  struct sockaddr_storage peer;
  socklen_t len = sizeof peer;
  if (side == &conn->sides[AXO__CLIENT]) {
    on_client(conn, side, events);
    return;
  }
  int rc = axo__socket_error(side->fd);
  if (rc != 0)
    fail(conn, rc);
  else if (getpeername(side->fd, (struct sockaddr *)&peer, &len) == 0)
    succeed(conn);
}

/* ---- its beginning --------------------------------------------------------------- */

static int open_socket(int given, int family) {
  if (given < 0) {
    int made = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return made < 0 ? uv_translate_sys_error(errno) : made;
  }
  int rc = axo__socket_make_ours(given);
  return rc != 0 ? rc : given;
}

/* Watched only once it connects: one that does not looks as if it had ended. */
static int begin(axo_net_conn_t *conn, int given, const struct sockaddr_storage *at,
                 socklen_t len) {
  const int on = 1;
  int fd = open_socket(given, at->ss_family), rc = fd < 0 ? fd : 0;
  if (rc == 0 && axo__fd_is_of_the_last(fd))
    rc = UV_EMFILE;
  if (rc == 0) {
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (connect(fd, (const struct sockaddr *)at, len) != 0 && errno != EINPROGRESS)
      rc = uv_translate_sys_error(errno);
  }
  if (rc == 0)
    rc = axo__side_open(&conn->sides[AXO__REMOTE], fd);
  if (rc != 0 && (fd >= 0 || given >= 0))
    axo_net_close(fd >= 0 ? fd : given);
  return rc;
}

static int refuse(const axo_net_dial_t *dial, int rc) {
  if (dial->fd >= 0)
    axo_net_close(dial->fd);
  return rc;
}

int axo_net_conn_dial(axo_net_conn_t *conn, const axo_net_dial_t *dial,
                      axo_err_t *err) {
  struct sockaddr_storage at;
  socklen_t len;
  int rc = axo__conn_idle(conn, "dial", err);
  if (rc != 0)
    return refuse(dial, rc);
  if (dial->port == 0 || axo__address_read(dial->address, dial->port, &at, &len) != 0)
    return refuse(dial, axo__err_set(err, UV_EINVAL, "dial", NULL,
                                     "\"%s\", port %u: an IPv4 or IPv6 address and a "
                                     "port from 1 to 65535 are needed",
                                     dial->address, dial->port));
  memset(&conn->to, 0, sizeof conn->to);
  strncpy(conn->to.address, dial->address, sizeof conn->to.address - 1);
  conn->to.port = dial->port;
  conn->on_open = dial->on_open;
  conn->on_close = dial->on_close;
  conn->state = AXO__DIALING;
  conn->on_event = on_event;
  conn->failed = begin(conn, dial->fd, &at, len);
  uint64_t wait = dial->timeout_ms != 0 ? dial->timeout_ms : DIAL_MS;
  axo__conn_expect(conn, conn->failed != 0 ? 0 : wait, on_deadline);
  return 0;
}
