/* Passes bytes on: through a pipe where many come (splice), by copying where few do. */
#include "base/sigpipe.h"
#include "net/net_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Passed on one way before others get their turn. */
#define TURN_BYTES ((size_t)1024 * 1024)

static ssize_t result_of(ssize_t n) {
  return n < 0 ? uv_translate_sys_error(errno) : n;
}

/* ---- to the receiver ------------------------------------------------------------- */

static ssize_t send_some(int fd, const char *bytes, size_t len) {
  ssize_t n;
  do {
    n = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  return result_of(n);
}

/* `socket` is that end which is one: whoever shares it (a guest that made it) may have
 * made it one that waits, which splice then does, whatever it is told. */
static ssize_t splice_some(int from, int to, int socket, size_t len) {
  ssize_t n;
  if (fcntl(socket, F_SETFL, O_NONBLOCK) != 0)
    return result_of(-1);
  do {
    n = splice(from, NULL, to, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  } while (n < 0 && errno == EINTR);
  return result_of(n);
}

/* splice has no MSG_NOSIGNAL. */
static ssize_t splice_out(axo__flow_t *flow, int to) {
  axo__sigpipe_t guard;
  axo__sigpipe_hold(&guard);
  ssize_t n = splice_some(flow->pipe->fds[0], to, to, flow->held);
  axo__sigpipe_release(&guard, n == UV_EPIPE);
  return n;
}

/* Gives the receiver what was read. 0: all of it; UV_EAGAIN: it takes no more now. */
static int give(axo__flow_t *flow, axo__side_t *to) {
  while (flow->copy || flow->held > 0) {
    ssize_t n = !to->writable ? UV_EAGAIN
                : flow->copy  ? send_some(to->fd, flow->copy + flow->copy_at,
                                          flow->copy_end - flow->copy_at)
                              : splice_out(flow, to->fd);
    if (n == UV_EAGAIN)
      to->writable = false;
    if (n < 0)
      return (int)n;
    flow->total += (uint64_t)n;
    if (!flow->copy) {
      flow->held -= (size_t)n;
    } else if ((flow->copy_at += (size_t)n) == flow->copy_end) {
      free(flow->copy);
      flow->copy = NULL;
    }
  }
  return 0;
}

/* ---- from the sender ------------------------------------------------------------- */

static int keep(axo__flow_t *flow, const char *bytes, size_t len) {
  flow->copy = malloc(len);
  if (!flow->copy)
    return UV_ENOMEM;
  memcpy(flow->copy, bytes, len);
  flow->copy_at = 0;
  flow->copy_end = len;
  return 0;
}

/* What is given at once need not be kept. */
static int pass(axo__flow_t *flow, const char *bytes, size_t len, axo__side_t *to) {
  ssize_t n = to->writable ? send_some(to->fd, bytes, len) : 0;
  if (n == UV_EAGAIN)
    n = 0;
  if (n < 0)
    return (int)n;
  flow->total += (uint64_t)n;
  return (size_t)n < len ? keep(flow, bytes + n, len - (size_t)n) : 0;
}

/* Fewer than could have come are all there are, of a stream (epoll(7)): what comes
 * later is heard of. Unless the kernel stopped before an urgent one. */
static ssize_t copy_in(axo__flow_t *flow, axo__side_t *from, axo__side_t *to) {
  char bytes[AXO__COPY];
  ssize_t n;
  do {
    n = recv(from->fd, bytes, sizeof bytes, MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n <= 0)
    return result_of(n);
  flow->is_bulk = (size_t)n == sizeof bytes;
  if (!flow->is_bulk && !from->hung && !from->urgent)
    from->readable = false;
  int rc = pass(flow, bytes, (size_t)n, to);
  return rc != 0 ? rc : n;
}

static ssize_t splice_in(axo__flow_t *flow, axo__side_t *from) {
  ssize_t n = splice_some(from->fd, flow->pipe->fds[1], from->fd, AXO__CHUNK);
  if (n > 0) {
    flow->held += (size_t)n;
    flow->is_bulk = (size_t)n >= AXO__COPY;
  }
  return n;
}

/* ---- both ------------------------------------------------------------------------ */

/* One end of a connection that failed, and how. */
typedef struct failure {
  int code; /* 0: none did */
  axo__end_t end;
} failure_t;

static ssize_t take(axo_net_conn_t *conn, axo__end_t end) {
  axo__flow_t *flow = &conn->flows[end];
  if (conn->sides[end].urgent) /* splice does not get beyond that byte */
    flow->is_bulk = false;
  if (flow->is_bulk && !flow->pipe)
    flow->pipe = axo__pool_lend(&conn->listener->pool);
  if (flow->is_bulk && flow->pipe)
    return splice_in(flow, &conn->sides[end]);
  return copy_in(flow, &conn->sides[end], &conn->sides[!end]);
}

/* Passes on what comes from this end until nothing comes, or nothing is taken. */
static failure_t pump_some(axo_net_conn_t *conn, axo__end_t end) {
  axo__flow_t *flow = &conn->flows[end];
  axo__side_t *from = &conn->sides[end], *to = &conn->sides[!end];
  for (size_t passed = 0; !flow->done;) {
    int rc = give(flow, to);
    if (rc != 0)
      return (failure_t){rc == UV_EAGAIN ? 0 : rc, !end};
    if (flow->ended) {
      shutdown(to->fd, SHUT_WR);
      flow->done = true;
    }
    if (flow->done || !from->readable)
      break;
    if (passed >= TURN_BYTES) {
      axo__side_again(from);
      break;
    }
    ssize_t n = take(conn, end);
    if (n == UV_EAGAIN)
      from->readable = false;
    else if (n < 0)
      return (failure_t){(int)n, end};
    flow->ended = n == 0;
    passed += n > 0 ? (size_t)n : 0;
  }
  return (failure_t){0, end};
}

static failure_t pump(axo_net_conn_t *conn, axo__end_t end) {
  axo__flow_t *flow = &conn->flows[end];
  failure_t failure = pump_some(conn, end);
  if (flow->pipe && flow->held == 0) {
    axo__pool_return(&conn->listener->pool, flow->pipe, true);
    flow->pipe = NULL;
  }
  return failure;
}

static void finish(axo_net_conn_t *conn, failure_t failure) {
  axo_err_t err;
  axo_net_result_t result = {
      .traffic = axo_net_conn_traffic(conn),
      .duration_us = (uv_hrtime() - conn->opened_ns) / 1000,
  };
  if (failure.code != 0) {
    const char *who = failure.end == AXO__CLIENT ? "the client" : "the other end";
    axo__err_code(&err, failure.code, "relay", "%s", who);
    result.err = &err;
  }
  axo__conn_shut(conn, failure.code != 0);
  if (conn->on_close)
    conn->on_close(conn, &result);
  axo__conn_forget(conn);
}

static void pump_both(axo_net_conn_t *conn) {
  failure_t failure = pump(conn, AXO__CLIENT);
  if (failure.code == 0)
    failure = pump(conn, AXO__REMOTE);
  if (failure.code != 0 ||
      (conn->flows[AXO__CLIENT].done && conn->flows[AXO__REMOTE].done))
    finish(conn, failure);
}

/* A reset is passed on at once, whatever still waits to be taken. */
static void on_event(axo_net_conn_t *conn, axo__side_t *side, uint32_t events) {
  int rc = events & EPOLLERR ? axo__socket_error(side->fd) : 0;
  if (rc != 0)
    finish(conn, (failure_t){rc, side == &conn->sides[AXO__REMOTE]});
  else
    pump_both(conn);
}

void axo__pump_start(axo_net_conn_t *conn) {
  conn->on_event = on_event;
  for (int i = 0; i < 2; i++)
    conn->sides[i].readable = conn->sides[i].writable = true;
  pump_both(conn);
}
