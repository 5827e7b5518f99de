/* Takes connections in, and hands on what is heard of them. */
#include "net/net_impl.h"
#include "process/process_util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Connections taken in, and events heard, before the loop gets its turn. */
#define ACCEPT_TURNS 64
#define EVENTS 128
/* How long nothing is taken in when not even a refusal is possible. */
#define REST_MS 200

/* ---- the socket ------------------------------------------------------------------ */

/* Taken out rather than masked: an end of it would still be heard of, again and again.
 */
static void unlisten(axo_net_listener_t *listener) {
  if (listener->is_listening)
    epoll_ctl(listener->epoll_fd, EPOLL_CTL_DEL, listener->options.fd, NULL);
  listener->is_listening = false;
}

static int listen_again(axo_net_listener_t *listener) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if (listener->is_listening)
    return 0;
  if (epoll_ctl(listener->epoll_fd, EPOLL_CTL_ADD, listener->options.fd, &event) != 0)
    return uv_translate_sys_error(errno);
  listener->is_listening = true;
  return 0;
}

static void on_room(axo_net_listener_t *listener) {
  if (listener->options.fd >= 0 && listener->counts.conns < listener->options.max)
    listen_again(listener);
}

static void on_rest(uv_timer_t *timer) {
  on_room(AXO__CONTAINER_OF(timer, axo_net_listener_t, rest));
}

static void tell(axo_net_listener_t *listener, int rc, const char *what) {
  axo_err_t err;
  axo__err_code(&err, rc, "accept", "%s", what);
  if (listener->options.on_refusal)
    listener->options.on_refusal(listener, &err);
}

static void keep_spare(axo_net_listener_t *listener) {
  if (listener->spare_fd < 0)
    listener->spare_fd = fcntl(listener->epoll_fd, F_DUPFD_CLOEXEC, 0);
}

/* The kernel is short of something: nothing is taken in for a while. */
static void rest(axo_net_listener_t *listener) {
  unlisten(listener);
  uv_timer_start(&listener->rest, on_rest, REST_MS, 0);
}

/* Whoever else has the socket (a guest that made it) may have made it one that waits.
 */
static int accept_now(const axo_net_listener_t *listener) {
  if (fcntl(listener->options.fd, F_SETFL, O_NONBLOCK) != 0)
    return -1;
  return accept4(listener->options.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Takes one in by the descriptor that was kept for this, and resets it. */
static bool refuse_one(axo_net_listener_t *listener) {
  if (listener->spare_fd < 0) {
    rest(listener);
    return false;
  }
  close(listener->spare_fd);
  int fd = accept_now(listener);
  if (fd >= 0)
    axo__socket_reset(fd);
  listener->spare_fd = -1;
  keep_spare(listener);
  return fd >= 0;
}

static void tell_short(axo_net_listener_t *listener, int rc) {
  if (listener->refusing)
    return;
  listener->refusing = true;
  tell(listener, rc,
       "connections are reset: this process can have no more descriptors for them");
}

static bool refuse(axo_net_listener_t *listener, int rc) {
  bool more = refuse_one(listener);
  tell_short(listener, rc);
  return more;
}

static void take_in(axo_net_listener_t *listener, int fd) {
  axo_net_conn_t *conn = axo__conn_new(listener, fd);
  if (!conn) {
    axo__socket_reset(fd);
    return;
  }
  listener->refusing = false;
  listener->options.on_connection(listener, conn);
}

/* True: there may be more. */
static bool accept_one(axo_net_listener_t *listener) {
  int fd = accept_now(listener);
  if (fd >= 0 && axo__fd_is_of_the_last(fd)) {
    axo__socket_reset(fd);
    tell_short(listener, UV_EMFILE);
    return true;
  }
  if (fd >= 0) {
    take_in(listener, fd);
    return true;
  }
  switch (errno) {
  case EAGAIN:
    return false;
  case ENOBUFS:
  case ENOMEM:
    rest(listener);
    return false;
  case EMFILE:
  case ENFILE:
    return refuse(listener, uv_translate_sys_error(errno));
  case EBADF:
  case EINVAL:
  case ENOTSOCK:
  case EOPNOTSUPP: /* whoever else has the socket may have shut it down */
    unlisten(listener);
    tell(listener, uv_translate_sys_error(errno), "nothing can be taken in any more");
    return false;
  default: /* that of one connection, which has gone */
    return true;
  }
}

static void on_listening(axo_net_listener_t *listener) {
  bool more = true;
  for (int turn = 0; turn < ACCEPT_TURNS && more && !listener->closed; turn++) {
    if (listener->counts.conns >= listener->options.max) {
      unlisten(listener);
      axo__conns_ask_again(listener);
      return;
    }
    more = accept_one(listener);
  }
}

/* ---- what is heard --------------------------------------------------------------- */

static void on_side(axo__side_t *side, uint32_t events) {
  axo_net_conn_t *conn = side->conn;
  if (side->fd < 0)
    return;
  if (events & ~(uint32_t)EPOLLOUT)
    side->readable = true;
  if (events & EPOLLPRI)
    side->urgent = true;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
    side->hung = true;
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
    side->writable = true;
  if (conn->on_event)
    conn->on_event(conn, side, events);
  else if (events & EPOLLERR)
    conn->gone = axo__socket_error(side->fd);
}

static void on_events(uv_poll_t *poll, int status, int ready) {
  axo_net_listener_t *listener = AXO__CONTAINER_OF(poll, axo_net_listener_t, poll);
  struct epoll_event events[EVENTS];
  bool is_asked = false;
  (void)status;
  (void)ready;
  int count = epoll_wait(listener->epoll_fd, events, EVENTS, 0);
  axo__turn_begin(listener);
  for (int i = 0; i < count && !listener->closed; i++) {
    if (events[i].data.ptr)
      on_side(events[i].data.ptr, events[i].events);
    else
      is_asked = true;
  }
  if (is_asked && !listener->closed)
    on_listening(listener);
  axo__turn_end(listener);
}

/* ---- its beginning and its end --------------------------------------------------- */

static void release(axo_net_listener_t *listener) {
  if (--listener->handles > 0)
    return;
  axo__conns_free(listener);
  free(listener);
}

static void on_poll_closed(uv_handle_t *handle) {
  release(AXO__CONTAINER_OF(handle, axo_net_listener_t, poll));
}

static void on_clock_closed(uv_handle_t *handle) {
  release(AXO__CONTAINER_OF(handle, axo_net_listener_t, clock));
}

static void on_rest_closed(uv_handle_t *handle) {
  release(AXO__CONTAINER_OF(handle, axo_net_listener_t, rest));
}

static void open_handles(axo_net_listener_t *listener) {
  uv_timer_init(listener->loop, &listener->clock);
  uv_timer_init(listener->loop, &listener->rest);
  listener->poll.data = listener->clock.data = listener->rest.data = NULL;
  listener->handles = 3;
  uv_poll_start(&listener->poll, UV_READABLE, on_events);
  uv_unref((uv_handle_t *)&listener->poll);
  uv_unref((uv_handle_t *)&listener->rest);
}

static int start(axo_net_listener_t *listener) {
  listener->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (listener->epoll_fd < 0)
    return uv_translate_sys_error(errno);
  if (axo__fd_is_of_the_last(listener->epoll_fd))
    return UV_EMFILE;
  int rc = axo__socket_make_ours(listener->options.fd);
  if (rc != 0)
    return rc;
  keep_spare(listener);
  if (listener->spare_fd < 0)
    return uv_translate_sys_error(errno);
  rc = listen_again(listener);
  if (rc != 0)
    return rc;
  return uv_poll_init(listener->loop, &listener->poll, listener->epoll_fd);
}

static void close_fds(axo_net_listener_t *listener) {
  if (listener->epoll_fd >= 0)
    close(listener->epoll_fd);
  if (listener->spare_fd >= 0)
    close(listener->spare_fd);
  listener->epoll_fd = listener->spare_fd = -1;
}

static axo_net_listener_t *make(uv_loop_t *loop,
                                const axo_net_listener_options_t *options) {
  axo_net_listener_t *listener = calloc(1, sizeof *listener);
  if (!listener)
    return NULL;
  listener->options = *options;
  if (options->max == 0)
    listener->options.max = AXO_NET_CONNS_DEFAULT;
  listener->pool.max = options->pipes != 0 ? options->pipes : AXO_NET_PIPES_DEFAULT;
  listener->loop = loop;
  listener->on_room = on_room;
  listener->epoll_fd = listener->spare_fd = -1;
  return listener;
}

int axo_net_listener_open(uv_loop_t *loop, const axo_net_listener_options_t *options,
                          axo_net_listener_t **out, axo_err_t *err) {
  if (options->max > AXO_NET_CONNS_MAX || options->pipes > AXO_NET_PIPES_MAX)
    return axo__err_set(err, UV_EINVAL, "listener", NULL,
                        "at most %d connections and %d pipes can be had at once",
                        AXO_NET_CONNS_MAX, AXO_NET_PIPES_MAX);
  axo_net_listener_t *listener = make(loop, options);
  int rc = listener ? start(listener) : UV_ENOMEM;
  if (rc != 0) {
    if (listener)
      close_fds(listener);
    free(listener);
    return axo__err_code(err, rc, "listener", "connections cannot be taken in");
  }
  open_handles(listener);
  *out = listener;
  return 0;
}

void axo_net_listener_close(axo_net_listener_t *listener) {
  if (listener->closed)
    return;
  listener->closed = true;
  while (listener->conns) {
    axo_net_conn_t *conn = listener->conns;
    axo__conn_shut(conn, true);
    axo__conn_forget(conn);
  }
  unlisten(listener);
  axo_net_close(listener->options.fd);
  listener->options.fd = -1;
  axo__pool_close(&listener->pool);
  uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
  uv_close((uv_handle_t *)&listener->clock, on_clock_closed);
  uv_close((uv_handle_t *)&listener->rest, on_rest_closed);
  close_fds(listener);
}

void *axo_net_listener_data(const axo_net_listener_t *listener) {
  return listener->options.data;
}

axo_net_counts_t axo_net_listener_counts(const axo_net_listener_t *listener) {
  axo_net_counts_t counts = listener->counts;
  counts.pipes = listener->pool.open;
  return counts;
}
