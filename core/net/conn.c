/* What every connection has, whatever it waits for: its sockets, its place among the
 * others, its end. */
#include "net/net_impl.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

/* The kernel's usual net.core.wmem_max, which cuts what is more, and doubles what it is
 * given. Measured: 1.1 to 2.8 times the throughput of the 4 MiB that it grows to. */
#define LOCAL_ROOM 212992
#define WATCHED (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET)

/* ---- its sockets ----------------------------------------------------------------- */

static int control(axo__side_t *side, int op) {
  struct epoll_event event = {.events = WATCHED, .data.ptr = side};
  int rc = epoll_ctl(side->conn->listener->epoll_fd, op, side->fd, &event);
  return rc == 0 ? 0 : uv_translate_sys_error(errno);
}

/* Small packets are sent as they come. An urgent byte that was left out of the stream
 * would make it another one when it is looked at than later. What is queued for
 * somebody on this machine is bounded: it is still in the processor's caches when it is
 * taken. */
static void tune(int fd) {
  const int on = 1, room = LOCAL_ROOM;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
  if (axo__socket_is_local(fd))
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

int axo__side_open(axo__side_t *side, int fd) {
  side->fd = fd;
  side->readable = side->writable = side->hung = side->urgent = false;
  tune(fd);
  int rc = control(side, EPOLL_CTL_ADD);
  if (rc != 0)
    side->fd = -1;
  return rc;
}

void axo__side_again(axo__side_t *side) { control(side, EPOLL_CTL_MOD); }

/* Somebody else may have the same socket open, a guest, who would keep it in the set of
 * what is watched: so it is taken out and not only closed. */
void axo__side_close(axo__side_t *side, bool reset) {
  if (side->fd < 0)
    return;
  control(side, EPOLL_CTL_DEL);
  if (reset)
    axo__socket_reset(side->fd);
  else
    axo_net_close(side->fd);
  side->fd = -1;
}

/* ---- its place among the others -------------------------------------------------- */

static void put_in(axo_net_conn_t **list, axo_net_conn_t *conn) {
  conn->previous = NULL;
  conn->next = *list;
  if (conn->next)
    conn->next->previous = conn;
  *list = conn;
}

static void take_from(axo_net_conn_t **list, axo_net_conn_t *conn) {
  if (conn->next)
    conn->next->previous = conn->previous;
  if (conn->previous)
    conn->previous->next = conn->next;
  else
    *list = conn->next;
}

axo_net_conn_t *axo__conn_new(axo_net_listener_t *listener, int fd) {
  axo_net_conn_t *conn = calloc(1, sizeof *conn);
  if (!conn)
    return NULL;
  conn->listener = listener;
  conn->sides[AXO__CLIENT] = (axo__side_t){.conn = conn, .fd = -1};
  conn->sides[AXO__REMOTE] = (axo__side_t){.conn = conn, .fd = -1};
  if (axo__side_open(&conn->sides[AXO__CLIENT], fd) != 0) {
    free(conn);
    return NULL;
  }
  put_in(&listener->conns, conn);
  listener->counts.conns++;
  return conn;
}

void axo__conns_ask_again(axo_net_listener_t *listener) {
  for (axo_net_conn_t *conn = listener->conns; conn; conn = conn->next)
    if (conn->state == AXO__DIALING && conn->sides[AXO__CLIENT].hung)
      axo__side_again(&conn->sides[AXO__CLIENT]);
}

/* ---- its end --------------------------------------------------------------------- */

static void drop_flow(axo_net_listener_t *listener, axo__flow_t *flow) {
  if (flow->pipe)
    axo__pool_return(&listener->pool, flow->pipe, flow->held == 0);
  free(flow->copy);
  flow->pipe = NULL;
  flow->copy = NULL;
}

void axo__conn_hold(axo_net_conn_t *conn) {
  conn->state = AXO__HELD;
  conn->on_event = NULL;
  axo__conn_calm(conn);
}

void axo__conn_shut(axo_net_conn_t *conn, bool reset) {
  if (conn->state == AXO__ENDED)
    return;
  conn->state = AXO__ENDED;
  conn->on_event = NULL;
  axo__conn_calm(conn);
  for (int i = 0; i < 2; i++) {
    axo__side_close(&conn->sides[i], reset);
    drop_flow(conn->listener, &conn->flows[i]);
  }
}

void axo__conn_forget(axo_net_conn_t *conn) {
  axo_net_listener_t *listener = conn->listener;
  if (conn->is_gone)
    return;
  conn->is_gone = true;
  take_from(&listener->conns, conn);
  put_in(&listener->ended, conn);
  listener->counts.conns--;
  if (listener->options.on_gone)
    listener->options.on_gone(conn);
  if (!listener->closed && listener->on_room)
    listener->on_room(listener);
}

static void end(axo_net_conn_t *conn, bool reset) {
  axo_net_listener_t *listener = conn->listener;
  axo__conn_shut(conn, reset);
  axo__conn_forget(conn);
  axo__conns_free(listener);
}

void axo_net_conn_close(axo_net_conn_t *conn) { end(conn, false); }

void axo_net_conn_reset(axo_net_conn_t *conn) { end(conn, true); }

/* ---- what is asked of it --------------------------------------------------------- */

int axo__conn_idle(const axo_net_conn_t *conn, const char *op, axo_err_t *err) {
  if (conn->gone != 0)
    return axo__err_code(err, conn->gone, op, "the client has gone");
  if (conn->state == AXO__ENDED)
    return axo__err_set(err, UV_ENOTCONN, op, NULL, "the connection has ended");
  if (conn->state != AXO__HELD)
    return axo__err_set(err, UV_EBUSY, op, NULL,
                        "the connection waits for something else, or is open");
  return 0;
}

void axo_net_conn_set_data(axo_net_conn_t *conn, void *data) { conn->data = data; }

void *axo_net_conn_data(const axo_net_conn_t *conn) { return conn->data; }

axo_net_traffic_t axo_net_conn_traffic(const axo_net_conn_t *conn) {
  return (axo_net_traffic_t){conn->flows[AXO__CLIENT].total,
                             conn->flows[AXO__REMOTE].total};
}
