/* net_support.h: a relay on loopback whose both ends are the test's own sockets. */
#ifndef NET_SUPPORT_H
#define NET_SUPPORT_H

#include "axo.h"
#include "own_fds.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static uv_loop_t loop;
static uv_timer_t keeper; /* keeps it running */

/* What came of the connections. */
static struct heard {
  axo_net_listener_t *listener;
  uint16_t port;        /* the relay's */
  int server;           /* what it leads to */
  uint16_t to;          /* the server's port */
  axo_net_conn_t *conn; /* the last that came */
  unsigned conns, opens, closes, gones, refusals;
  int open_code, close_code; /* the last's */
  axo_net_traffic_t traffic;
  axo_net_traffic_t gone_traffic;
} heard;

/* ---- what the relay's owner does ------------------------------------------------- */

static inline void on_open(axo_net_conn_t *conn, const axo_err_t *err) {
  (void)conn;
  heard.opens++;
  heard.open_code = err ? err->code : 0;
  if (err)
    axo_net_conn_reset(conn);
}

static inline void on_close(axo_net_conn_t *conn, const axo_net_result_t *result) {
  (void)conn;
  heard.closes++;
  heard.close_code = result->err ? result->err->code : 0;
  heard.traffic = result->traffic;
}

static inline void on_gone(axo_net_conn_t *conn) {
  heard.gones++;
  heard.gone_traffic = axo_net_conn_traffic(conn);
}

static inline int dial_to(axo_net_conn_t *conn, uint16_t port) {
  axo_net_dial_t dial = {.address = "127.0.0.1",
                         .port = port,
                         .fd = -1,
                         .on_open = on_open,
                         .on_close = on_close};
  return axo_net_conn_dial(conn, &dial, NULL);
}

static inline void dials(axo_net_listener_t *listener, axo_net_conn_t *conn) {
  (void)listener;
  heard.conns++;
  heard.conn = conn;
  assert_int_equal(dial_to(conn, heard.to), 0);
}

static inline void holds(axo_net_listener_t *listener, axo_net_conn_t *conn) {
  (void)listener;
  heard.conns++;
  heard.conn = conn;
}

static inline void on_refusal(axo_net_listener_t *listener, const axo_err_t *why) {
  (void)listener;
  (void)why;
  heard.refusals++;
}

static inline void open_relay(axo_net_listener_options_t options) {
  int fd;
  assert_int_equal(axo_net_listen("127.0.0.1", 0, &heard.server, &heard.to, NULL), 0);
  assert_int_equal(axo_net_listen("127.0.0.1", 0, &fd, &heard.port, NULL), 0);
  options.fd = fd;
  options.on_gone = on_gone;
  options.on_refusal = on_refusal;
  if (!options.on_connection)
    options.on_connection = dials;
  assert_int_equal(axo_net_listener_open(&loop, &options, &heard.listener, NULL), 0);
}

#define OPEN_RELAY(...) open_relay((axo_net_listener_options_t){__VA_ARGS__})

/* ---- the loop -------------------------------------------------------------------- */

/* Turns the loop until it is so. */
#define RUN_UNTIL(condition)                                                           \
  while (!(condition))                                                                 \
  run_some()

static inline void run_some(void) {
  struct pollfd loop_fd = {.fd = uv_backend_fd(&loop), .events = POLLIN};
  poll(&loop_fd, 1, 5);
  uv_run(&loop, UV_RUN_NOWAIT);
}

static inline void on_keeper(uv_timer_t *timer) { (void)timer; }

static inline int set_up(void **state) {
  (void)state;
  memset(&heard, 0, sizeof heard);
  heard.server = -1;
  assert_int_equal(uv_loop_init(&loop), 0);
  uv_timer_init(&loop, &keeper);
  return uv_timer_start(&keeper, on_keeper, 1000000, 0);
}

/* Closing a loop fails while a handle of ours is open: nothing was forgotten. */
static inline int tear_down(void **state) {
  (void)state;
  if (heard.listener)
    axo_net_listener_close(heard.listener);
  if (heard.server >= 0)
    close(heard.server);
  uv_close((uv_handle_t *)&keeper, NULL);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(heard.gones, heard.conns);
  return uv_loop_close(&loop);
}

#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- both ends ------------------------------------------------------------------- */

typedef struct ends {
  int client, server; /* non-blocking */
} ends_t;

static inline int connect_to(uint16_t port) {
  struct sockaddr_in at;
  uv_ip4_addr("127.0.0.1", port, &at);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

static inline int accept_now(int server) {
  return accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static inline ends_t connect_ends(void) {
  unsigned before = heard.opens;
  ends_t ends = {.client = connect_to(heard.port)};
  RUN_UNTIL((ends.server = accept_now(heard.server)) >= 0);
  RUN_UNTIL(heard.opens > before);
  return ends;
}

static inline void close_ends(ends_t ends) {
  close(ends.client);
  close(ends.server);
}

/* What there is to read: the count, 0 at the end, or UV_E*, which waits for nothing. */
static inline ssize_t read_now(int fd, void *buf, size_t size) {
  ssize_t n = recv(fd, buf, size, MSG_DONTWAIT);
  return n < 0 ? uv_translate_sys_error(errno) : n;
}

static inline void say(int fd, const char *text) {
  assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Waits for exactly this, nothing before. */
static inline void expect(int fd, const char *text) {
  char buf[256];
  size_t at = 0, len = strlen(text);
  while (at < len) {
    ssize_t n = read_now(fd, buf + at, len - at);
    assert_true(n > 0 || n == UV_EAGAIN);
    if (n > 0)
      at += (size_t)n;
    else
      run_some();
  }
  assert_memory_equal(buf, text, len);
}

/* Waits for the end (0), or for a failure. */
static inline void expect_end(int fd, int code) {
  char byte;
  ssize_t n;
  RUN_UNTIL((n = read_now(fd, &byte, 1)) != UV_EAGAIN);
  assert_int_equal(n, code);
}

static inline void reset(int fd) {
  struct linger at_once = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
}

#endif /* NET_SUPPORT_H */
