/* One connection: what its client says first, and where it leads. */
#include "hello_support.h"
#include "net_support.h"

/* ---- what the client says first -------------------------------------------------- */

static struct {
  int calls, code;
  axo_net_hello_t kind;
  char name[AXO_NET_NAME_MAX];
} said;

static void on_hello(axo_net_conn_t *conn, const axo_err_t *err, axo_net_hello_t kind,
                     const char *name) {
  (void)conn;
  said.calls++;
  said.code = err ? err->code : 0;
  said.kind = kind;
  snprintf(said.name, sizeof said.name, "%s", name ? name : "");
}

static void asks(axo_net_listener_t *listener, axo_net_conn_t *conn) {
  holds(listener, conn);
  memset(&said, 0, sizeof said);
  assert_int_equal(axo_net_conn_hello(conn, 60000, on_hello, NULL), 0);
  assert_int_equal(axo_net_conn_hello(conn, 60000, on_hello, NULL), UV_EBUSY);
  assert_int_equal(dial_to(conn, heard.to), UV_EBUSY);
}

/* A hello that was looked at is there still, and what comes after it is heard of. */
static void expect_all(int client, const hello_t *hello) {
  char got[sizeof hello->bytes];
  int server;
  assert_int_equal(dial_to(heard.conn, heard.to), 0);
  RUN_UNTIL((server = accept_now(heard.server)) >= 0);
  for (size_t at = 0; at < hello->len; run_some()) {
    ssize_t n = read_now(server, got + at, hello->len - at);
    at += n > 0 ? (size_t)n : 0;
  }
  assert_memory_equal(got, hello->bytes, hello->len);
  say(client, "x");
  expect(server, "x");
  close_ends((ends_t){client, server});
}

static void hears_a_name_and_takes_nothing(void **state) {
  (void)state;
  hello_t hello = make_hello("api.example");
  OPEN_RELAY(.on_connection = asks);
  int client = connect_to(heard.port);
  assert_int_equal(send(client, hello.bytes, hello.len, 0), hello.len);
  RUN_UNTIL(heard.conns == 1 && said.calls == 1);
  assert_int_equal(said.code, 0);
  assert_string_equal(said.name, "api.example");
  expect_all(client, &hello);
  RUN_UNTIL(heard.closes == 1);
}

/* However its bytes come; the seed is told when it fails. */
static void hears_it_in_any_pieces(void **state) {
  (void)state;
  unsigned seed =
      getenv("AXO_SEED") ? (unsigned)atoi(getenv("AXO_SEED")) : (unsigned)uv_hrtime();
  OPEN_RELAY(.on_connection = asks);
  for (int round = 0; round < 60; round++) {
    hello_t message = make_message("pieces.example", 14, 1 + seed % 2000);
    hello_t hello = in_records(&message, 1 + rand_r(&seed) % 700);
    int client = connect_to(heard.port);
    RUN_UNTIL(heard.conns == (unsigned)round + 1);
    for (size_t at = 0; at < hello.len;) {
      size_t len = 1 + (size_t)rand_r(&seed) % 400;
      if (len > hello.len - at)
        len = hello.len - at;
      assert_int_equal(said.calls, 0);
      assert_int_equal(send(client, hello.bytes + at, len, 0), len);
      uv_run(&loop, UV_RUN_NOWAIT);
      at += len;
    }
    RUN_UNTIL(said.calls == 1);
    if (strcmp(said.name, "pieces.example") != 0)
      fail_msg("AXO_SEED=%u: \"%s\"", seed, said.name);
    expect_all(client, &hello);
    RUN_UNTIL(heard.closes == (unsigned)round + 1);
  }
}

static void hears_what_is_no_hello(void **state) {
  (void)state;
  OPEN_RELAY(.on_connection = asks);
  int client = connect_to(heard.port);
  say(client, "GET / HTTP/1.1\r\n");
  RUN_UNTIL(heard.conns == 1 && said.calls == 1);
  assert_int_equal(said.kind, AXO_NET_HELLO_OTHER);
  axo_net_conn_close(heard.conn);
  expect_end(client, UV_ECONNRESET); /* it was not read */
  close(client);
  client = connect_to(heard.port);
  RUN_UNTIL(heard.conns == 2);
  say(client, "\x16\x03");
  shutdown(client, SHUT_WR); /* no more will come */
  RUN_UNTIL(said.calls == 1);
  assert_int_equal(said.code, 0);
  assert_int_equal(said.kind, AXO_NET_HELLO_UNREADABLE);
  close(client);
}

/* What is passed over when it is looked at, and passed on later, would be another hello
 * to the other end: so an urgent byte is one of the stream. */
static void hears_urgent_bytes_where_they_are(void **state) {
  (void)state;
  OPEN_RELAY(.on_connection = asks);
  hello_t hello = make_hello("good.example");
  size_t at = 0;
  while (hello.bytes[at] != 'g' || hello.bytes[at + 1] != 'o')
    at++;
  int client = connect_to(heard.port);
  assert_int_equal(send(client, hello.bytes, at, 0), at);
  assert_int_equal(send(client, "x", 1, MSG_OOB), 1);
  assert_int_equal(send(client, hello.bytes + at, hello.len - at, 0), hello.len - at);
  assert_int_equal(send(client, "y", 1, MSG_OOB), 1); /* this is the urgent one now */
  RUN_UNTIL(heard.conns == 1 && said.calls == 1);
  assert_string_not_equal(said.name, "good.example");
  axo_net_conn_reset(heard.conn);
  close(client);
}

static void hears_that_the_client_has_gone(void **state) {
  (void)state;
  OPEN_RELAY(.on_connection = asks);
  int client = connect_to(heard.port);
  RUN_UNTIL(heard.conns == 1);
  reset(client);
  RUN_UNTIL(said.calls == 1);
  assert_int_equal(said.code, UV_ECONNRESET);
  assert_int_equal(dial_to(heard.conn, heard.to), UV_ECONNRESET);
}

static void asks_briefly(axo_net_listener_t *listener, axo_net_conn_t *conn) {
  holds(listener, conn);
  assert_int_equal(axo_net_conn_hello(conn, 20, on_hello, NULL), 0);
}

static void does_not_wait_for_ever(void **state) {
  (void)state;
  enum { SILENT = 100 };
  int clients[SILENT];
  memset(&said, 0, sizeof said);
  OPEN_RELAY(.on_connection = asks_briefly);
  for (int i = 0; i < SILENT; i++)
    clients[i] = connect_to(heard.port);
  RUN_UNTIL(said.calls == SILENT);
  assert_int_equal(said.code, UV_ETIMEDOUT);
  assert_int_equal(dial_to(heard.conn, heard.to), 0); /* it is there still */
  RUN_UNTIL(heard.opens == 1);
  for (int i = 0; i < SILENT; i++)
    close(clients[i]);
}

/* ---- where it leads -------------------------------------------------------------- */

static void says_where_nobody_is(void **state) {
  (void)state;
  OPEN_RELAY(.on_connection = holds);
  int client = connect_to(heard.port);
  RUN_UNTIL(heard.conns == 1);
  close(heard.server);
  heard.server = -1;
  assert_int_equal(dial_to(heard.conn, heard.to), 0);
  assert_int_equal(heard.opens, 0);
  RUN_UNTIL(heard.opens == 1);
  assert_int_equal(heard.open_code, UV_ECONNREFUSED);
  expect_end(client, UV_ECONNRESET);
  close(client);
}

static void refuses_what_is_no_address(void **state) {
  (void)state;
  axo_net_dial_t dial = {
      .address = "example.org", .port = 1, .fd = -1, .on_open = on_open};
  axo_err_t err;
  OPEN_RELAY(.on_connection = holds);
  int client = connect_to(heard.port);
  RUN_UNTIL(heard.conns == 1);
  assert_int_equal(axo_net_conn_dial(heard.conn, &dial, &err), UV_EINVAL);
  assert_non_null(strstr(err.message, "example.org"));
  dial.address = "127.0.0.1";
  dial.port = 0;
  assert_int_equal(axo_net_conn_dial(heard.conn, &dial, &err), UV_EINVAL);
  close(client);
}

/* A socket that is given is used, and closed when it is of no use. */
static void dials_by_a_socket_that_is_given(void **state) {
  (void)state;
  axo_net_dial_t dial = {.address = "127.0.0.1", .on_open = on_open};
  OPEN_RELAY(.on_connection = holds);
  int before = count_fds(), client = connect_to(heard.port), server;
  RUN_UNTIL(heard.conns == 1);
  dial.fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(axo_net_conn_dial(heard.conn, &dial, NULL), UV_EINVAL);
  dial.fd = socket(AF_INET6, SOCK_STREAM, 0); /* of the wrong family */
  dial.port = heard.to;
  assert_int_equal(axo_net_conn_dial(heard.conn, &dial, NULL), 0);
  RUN_UNTIL(heard.opens == 1);
  assert_int_not_equal(heard.open_code, 0);
  close(client);
  client = connect_to(heard.port);
  RUN_UNTIL(heard.conns == 2);
  dial.fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in from, seen;
  uv_ip4_addr("127.0.0.1", 0, &from);
  socklen_t len = sizeof from;
  assert_int_equal(bind(dial.fd, (struct sockaddr *)&from, len), 0);
  getsockname(dial.fd, (struct sockaddr *)&from, &len);
  assert_int_equal(axo_net_conn_dial(heard.conn, &dial, NULL), 0);
  RUN_UNTIL((server = accept_now(heard.server)) >= 0);
  getpeername(server, (struct sockaddr *)&seen, &len);
  assert_int_equal(seen.sin_port, from.sin_port);
  close_ends((ends_t){client, server});
  RUN_UNTIL(axo_net_listener_counts(heard.listener).conns == 0);
  assert_int_equal(count_fds(), before);
}

/* A server that takes one in, and leaves others waiting. */
typedef struct full {
  int server, fillers[3];
  uint16_t port;
} full_t;

static full_t make_full(void) {
  full_t full;
  struct sockaddr_in at;
  assert_int_equal(axo_net_listen("127.0.0.1", 0, &full.server, &full.port, NULL), 0);
  assert_int_equal(listen(full.server, 0), 0);
  uv_ip4_addr("127.0.0.1", full.port, &at);
  for (int i = 0; i < 3; i++) {
    full.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(full.fillers[i], (struct sockaddr *)&at, sizeof at);
  }
  return full;
}

static void close_full(full_t full) {
  for (int i = 0; i < 3; i++)
    close(full.fillers[i]);
  close(full.server);
}

static void ends_a_dial_when_the_client_goes(void **state) {
  (void)state;
  axo_net_dial_t dial = {.address = "127.0.0.1", .fd = -1, .on_open = on_open};
  full_t full = make_full();
  dial.port = full.port;
  OPEN_RELAY(.on_connection = holds);
  int client = connect_to(heard.port);
  RUN_UNTIL(heard.conns == 1);
  assert_int_equal(axo_net_conn_dial(heard.conn, &dial, NULL), 0);
  for (int i = 0; i < 10; i++)
    uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(heard.opens, 0);
  reset(client);
  RUN_UNTIL(heard.opens == 1);
  assert_int_equal(heard.open_code, UV_ECONNRESET);
  client = connect_to(heard.port); /* and its own deadline ends it */
  RUN_UNTIL(heard.conns == 2);
  dial.timeout_ms = 30;
  assert_int_equal(axo_net_conn_dial(heard.conn, &dial, NULL), 0);
  RUN_UNTIL(heard.opens == 2);
  assert_int_equal(heard.open_code, UV_ETIMEDOUT);
  close(client);
  close_full(full);
}

static uint16_t full_port;

static void dials_the_full(axo_net_listener_t *listener, axo_net_conn_t *conn) {
  holds(listener, conn);
  assert_int_equal(dial_to(conn, full_port), 0);
}

/* One that has sent its end may wait for an answer all the same; where there is no room
 * for another, it goes, whether its end came before that or after. */
static void ends_a_dial_whose_client_is_in_the_way(void **state) {
  (void)state;
  full_t full = make_full();
  full_port = full.port;
  OPEN_RELAY(.max = 2, .on_connection = dials_the_full);
  int first = connect_to(heard.port);
  RUN_UNTIL(heard.conns == 1);
  shutdown(first, SHUT_WR);
  for (int i = 0; i < 10; i++)
    uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(heard.opens, 0);
  int second = connect_to(heard.port), third = connect_to(heard.port);
  RUN_UNTIL(heard.conns == 3);
  assert_int_equal(heard.opens, 1);
  assert_int_equal(heard.open_code, UV_ECONNABORTED);
  expect_end(first, UV_ECONNRESET);
  close(second);
  RUN_UNTIL(heard.opens == 2);
  assert_int_equal(heard.open_code, UV_ECONNABORTED);
  assert_int_equal(heard.gones, 2);
  close(first);
  close(third);
  close_full(full);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      NET_TEST(hears_a_name_and_takes_nothing),
      NET_TEST(hears_it_in_any_pieces),
      NET_TEST(hears_what_is_no_hello),
      NET_TEST(hears_urgent_bytes_where_they_are),
      NET_TEST(hears_that_the_client_has_gone),
      NET_TEST(does_not_wait_for_ever),
      NET_TEST(says_where_nobody_is),
      NET_TEST(refuses_what_is_no_address),
      NET_TEST(dials_by_a_socket_that_is_given),
      NET_TEST(ends_a_dial_when_the_client_goes),
      NET_TEST(ends_a_dial_whose_client_is_in_the_way),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
