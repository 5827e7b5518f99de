/* Waits for what a client says first, without taking it from the stream. */
#include "net/net_impl.h"

#include <errno.h>

#define HELLO_MS 10000

/* The client is heard of when so many bytes are there, or its end. */
static void wake_at(const axo_net_conn_t *conn, size_t bytes) {
  int count = (int)bytes;
  setsockopt(conn->sides[AXO__CLIENT].fd, SOL_SOCKET, SO_RCVLOWAT, &count,
             sizeof count);
}

static void tell(axo_net_conn_t *conn, const axo_err_t *err, axo_net_hello_t kind,
                 const char *name) {
  wake_at(conn, 1);
  axo__conn_hold(conn);
  conn->on_hello(conn, err, kind, name);
}

static void fail(axo_net_conn_t *conn, int rc) {
  axo_err_t err;
  if (rc == UV_ETIMEDOUT)
    axo__err_set(&err, rc, "hello", NULL, "the client has sent nothing whole in time");
  else
    axo__err_code(&err, rc, "hello", "the client has gone");
  tell(conn, &err, AXO_NET_HELLO_OTHER, NULL);
}

static void on_deadline(axo_net_conn_t *conn) { fail(conn, UV_ETIMEDOUT); }

static void look(axo_net_conn_t *conn, const axo__side_t *side) {
  char bytes[AXO_NET_HELLO_MAX], name[AXO_NET_NAME_MAX];
  size_t need;
  ssize_t n = recv(side->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) {
      conn->gone = uv_translate_sys_error(errno);
      fail(conn, conn->gone);
    }
    return;
  }
  axo_net_hello_t kind = axo_net_hello_read(bytes, (size_t)n, name, &need);
  if (kind == AXO_NET_HELLO_MORE && (n == 0 || side->hung))
    /* No more will come. */
    kind = n == 0 ? AXO_NET_HELLO_OTHER : AXO_NET_HELLO_UNREADABLE;
  if (kind == AXO_NET_HELLO_MORE)
    wake_at(conn, need);
  else
    tell(conn, NULL, kind, kind == AXO_NET_HELLO_TLS && name[0] ? name : NULL);
}

static void on_event(axo_net_conn_t *conn, axo__side_t *side, uint32_t events) {
  if (side != &conn->sides[AXO__CLIENT])
    return;
  int rc = events & EPOLLERR ? axo__socket_error(side->fd) : 0;
  if (rc == 0) {
    look(conn, side);
    return;
  }
  conn->gone = rc;
  fail(conn, rc);
}

int axo_net_conn_hello(axo_net_conn_t *conn, uint64_t timeout_ms, axo_net_hello_cb cb,
                       axo_err_t *err) {
  int rc = axo__conn_idle(conn, "hello", err);
  if (rc != 0)
    return rc;
  conn->state = AXO__HELLO;
  conn->on_hello = cb;
  conn->on_event = on_event;
  axo__conn_expect(conn, timeout_ms != 0 ? timeout_ms : HELLO_MS, on_deadline);
  axo__side_again(&conn->sides[AXO__CLIENT]); /* something may be there already */
  return 0;
}
