/* Taking connections in: what bounds it, and what becomes of them when it ends. */
#include "net_support.h"

/* ---- how many -------------------------------------------------------------------- */

static void lets_more_wait(void **state) {
  (void)state;
  int clients[5];
  OPEN_RELAY(.max = 3, .on_connection = holds);
  for (int i = 0; i < 5; i++)
    clients[i] = connect_to(heard.port);
  RUN_UNTIL(heard.conns == 3);
  uint64_t wakes = axo_net_listener_counts(heard.listener).wakes;
  for (int i = 0; i < 20; i++)
    uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(heard.conns, 3);
  assert_true(axo_net_listener_counts(heard.listener).wakes <= wakes + 1);
  axo_net_conn_close(heard.conn);
  RUN_UNTIL(heard.conns == 4);
  axo_net_conn_close(heard.conn);
  RUN_UNTIL(heard.conns == 5);
  for (int i = 0; i < 5; i++)
    close(clients[i]);
}

static void allow_fds(int more) {
  static struct rlimit usual;
  if (usual.rlim_cur == 0)
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
  struct rlimit limit = usual;
  if (more >= 0) {
    int next = dup(0);
    close(next);
    limit.rlim_cur = (rlim_t)(next + more);
  }
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* However many come, what else the process does has descriptors left. */
static void leaves_descriptors_to_others(void **state) {
  (void)state;
  enum { CLIENTS = 40 };
  int clients[CLIENTS];
  if (getenv("AXO_VALGRIND"))
    skip(); /* it has a limit of its own */
  OPEN_RELAY(.on_connection = holds);
  for (int i = 0; i < CLIENTS; i++)
    clients[i] = connect_to(heard.port);
  allow_fds(20);
  RUN_UNTIL(heard.refusals == 1);
  for (int i = 0; i < 20; i++)
    run_some();
  assert_true(heard.conns < 20);
  int more = dup(0);
  assert_true(more >= 0);
  close(more);
  assert_int_equal(heard.refusals, 1);
  axo_net_listener_t *none;
  int fd;
  uint16_t port;
  assert_int_equal(axo_net_listen("127.0.0.1", 0, &fd, &port, NULL), 0);
  axo_net_listener_options_t options = {.fd = fd, .on_connection = holds};
  assert_int_equal(axo_net_listener_open(&loop, &options, &none, NULL), UV_EMFILE);
  close(fd);
  allow_fds(-1);
  for (int i = 0; i < CLIENTS; i++)
    close(clients[i]);
}

/* Without descriptors connections are reset at once, and nothing spins. */
static void resets_what_it_has_no_descriptor_for(void **state) {
  (void)state;
  if (getenv("AXO_VALGRIND"))
    skip(); /* it has a limit of its own */
  OPEN_RELAY(.on_connection = holds);
  int clients[4];
  for (int i = 0; i < 4; i++)
    clients[i] = connect_to(heard.port);
  allow_fds(0);
  RUN_UNTIL(heard.refusals == 1);
  for (int i = 0, gone = 0; gone < 3; i = (i + 1) % 4) {
    char byte;
    run_some();
    if (clients[i] >= 0 && read_now(clients[i], &byte, 1) == UV_ECONNRESET) {
      allow_fds(-1);
      clients[i] = -1;
      gone++;
    }
  }
  uint64_t wakes = axo_net_listener_counts(heard.listener).wakes;
  for (int i = 0; i < 20; i++)
    uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(axo_net_listener_counts(heard.listener).wakes, wakes);
  assert_int_equal(heard.conns, 0);
  assert_int_equal(heard.refusals, 1);
  allow_fds(-1);
  int again = connect_to(heard.port);
  RUN_UNTIL(heard.conns == 1);
  close(again);
}

static void a_thousand_at_once(void **state) {
  (void)state;
  enum { COUNT = 1000 };
  static ends_t ends[COUNT];
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < 5000)
    skip();
  int before = count_fds();
  OPEN_RELAY();
  for (int i = 0; i < COUNT; i++)
    ends[i].client = connect_to(heard.port);
  for (int i = 0; i < COUNT; i++)
    RUN_UNTIL((ends[i].server = accept_now(heard.server)) >= 0);
  RUN_UNTIL(heard.opens == COUNT);
  for (int i = 0; i < COUNT; i++)
    say(ends[i].client, "x");
  for (int i = 0; i < COUNT; i++)
    expect(ends[i].server, "x");
  assert_true(axo_net_listener_counts(heard.listener).pipes <= 1);
  uint64_t wakes = axo_net_listener_counts(heard.listener).wakes;
  for (int i = 0; i < 20; i++)
    uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(axo_net_listener_counts(heard.listener).wakes, wakes);
  for (int i = 0; i < COUNT; i++)
    close_ends(ends[i]);
  RUN_UNTIL(heard.closes == COUNT);
  axo_net_listener_close(heard.listener);
  heard.listener = NULL;
  close(heard.server);
  heard.server = -1;
  assert_int_equal(count_fds(), before);
}

static void ten_thousand_in_turn(void **state) {
  (void)state;
  int count = getenv("AXO_VALGRIND") ? 500 : 10000;
  OPEN_RELAY();
  ends_t ends = connect_ends();
  int before = count_fds();
  close_ends(ends);
  for (int i = 0; i < count; i++) {
    ends = connect_ends();
    say(ends.client, "a");
    expect(ends.server, "a");
    reset(ends.client); /* leaves no TIME_WAIT behind */
    expect_end(ends.server, UV_ECONNRESET);
    close(ends.server);
  }
  RUN_UNTIL(axo_net_listener_counts(heard.listener).conns == 0);
  assert_int_equal(count_fds(), before - 4);
}

/* ---- ends ------------------------------------------------------------------------ */

static void close_listener(void) {
  axo_net_listener_close(heard.listener);
  heard.listener = NULL;
}

static void closing_it_ends_all(void **state) {
  (void)state;
  int before = count_fds();
  OPEN_RELAY();
  ends_t ends = connect_ends();
  close_listener();
  expect_end(ends.client, UV_ECONNRESET);
  expect_end(ends.server, UV_ECONNRESET);
  assert_int_equal(heard.closes, 0);
  assert_int_equal(heard.gones, 1);
  close_ends(ends);
  close(heard.server);
  heard.server = -1;
  assert_int_equal(count_fds(), before);
}

static void closes_at_once(axo_net_listener_t *listener, axo_net_conn_t *conn) {
  (void)listener;
  (void)conn;
  heard.conns++;
  close_listener();
}

static void can_be_closed_when_one_comes(void **state) {
  (void)state;
  OPEN_RELAY(.on_connection = closes_at_once);
  int first = connect_to(heard.port), second = connect_to(heard.port);
  RUN_UNTIL(heard.conns == 1);
  expect_end(first, UV_ECONNRESET);
  expect_end(second, UV_ECONNRESET);
  close(first);
  close(second);
}

static void close_on_open(axo_net_conn_t *conn, const axo_err_t *err) {
  (void)conn;
  assert_null(err);
  heard.opens++;
  close_listener();
}

static void close_on_close(axo_net_conn_t *conn, const axo_net_result_t *result) {
  (void)result;
  heard.closes++;
  axo_net_conn_close(conn);
  axo_net_conn_reset(conn);
  close_listener();
}

static void can_be_closed_when_one_opens_or_ends(void **state) {
  (void)state;
  axo_net_dial_t dial = {.address = "127.0.0.1", .fd = -1, .on_open = close_on_open};
  for (int round = 0; round < 2; round++) {
    OPEN_RELAY(.on_connection = holds);
    int client = connect_to(heard.port);
    RUN_UNTIL(heard.conns == (unsigned)round + 1);
    dial.port = heard.to;
    assert_int_equal(axo_net_conn_dial(heard.conn, &dial, NULL), 0);
    if (round == 1) {
      RUN_UNTIL(heard.opens == 2);
      int server;
      RUN_UNTIL((server = accept_now(heard.server)) >= 0);
      close(client);
      close(server);
      RUN_UNTIL(heard.closes == 1);
    } else {
      RUN_UNTIL(heard.opens == 1);
      expect_end(client, UV_ECONNRESET);
      close(client);
    }
    close(heard.server);
    heard.server = -1;
    dial.on_open = on_open;
    dial.on_close = close_on_close;
  }
}

static int hellos;

static void close_on_hello(axo_net_conn_t *conn, const axo_err_t *err,
                           axo_net_hello_t kind, const char *name) {
  (void)kind;
  (void)name;
  assert_int_equal(err->code, UV_ETIMEDOUT);
  hellos++;
  axo_net_conn_reset(conn);
  if (hellos == 3)
    close_listener();
}

static void asks_to_close(axo_net_listener_t *listener, axo_net_conn_t *conn) {
  holds(listener, conn);
  assert_int_equal(axo_net_conn_hello(conn, 10, close_on_hello, NULL), 0);
}

static void can_be_closed_when_time_is_up(void **state) {
  (void)state;
  enum { COUNT = 8 };
  int clients[COUNT];
  OPEN_RELAY(.on_connection = asks_to_close);
  for (int i = 0; i < COUNT; i++)
    clients[i] = connect_to(heard.port);
  RUN_UNTIL(heard.conns == COUNT);
  RUN_UNTIL(hellos == 3);
  run_some();
  assert_int_equal(hellos, 3);
  for (int i = 0; i < COUNT; i++)
    close(clients[i]);
}

/* Whoever else has the listening socket, a guest, may shut it down. */
static void notices_a_socket_that_was_shut_down(void **state) {
  (void)state;
  int fd, shared;
  uint16_t port;
  axo_net_listener_options_t options = {.on_connection = holds,
                                        .on_refusal = on_refusal};
  assert_int_equal(axo_net_listen("127.0.0.1", 0, &fd, &port, NULL), 0);
  shared = dup(fd);
  options.fd = fd;
  assert_int_equal(axo_net_listener_open(&loop, &options, &heard.listener, NULL), 0);
  shutdown(shared, SHUT_RDWR);
  RUN_UNTIL(heard.refusals == 1);
  uint64_t wakes = axo_net_listener_counts(heard.listener).wakes;
  for (int i = 0; i < 20; i++)
    uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(axo_net_listener_counts(heard.listener).wakes, wakes);
  close(shared);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      NET_TEST(lets_more_wait),
      NET_TEST(leaves_descriptors_to_others),
      NET_TEST(resets_what_it_has_no_descriptor_for),
      NET_TEST(a_thousand_at_once),
      NET_TEST(ten_thousand_in_turn),
      NET_TEST(closing_it_ends_all),
      NET_TEST(can_be_closed_when_one_comes),
      NET_TEST(can_be_closed_when_one_opens_or_ends),
      NET_TEST(can_be_closed_when_time_is_up),
      NET_TEST(notices_a_socket_that_was_shut_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
