/* Binding: which port is whose; and who else has the socket. */
#include "net_support.h"

static int make(int domain, int type) {
  int fd = socket(domain, type, 0);
  assert_true(fd >= 0);
  return fd;
}

static void makes_it_private(void **state) {
  (void)state;
  uint16_t port;
  int fd = make(AF_INET, SOCK_STREAM);
  assert_int_equal(axo_net_bind(fd, "127.0.0.1", 0, &port, NULL), 0);
  assert_true(port > 0);
  assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
  assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  int client = connect_to(port);
  int accepted;
  while ((accepted = accept_now(fd)) < 0)
    assert_int_equal(errno, EAGAIN);
  close(accepted);
  close(client);
  close(fd);
}

/* With SO_REUSEADDR on both, the second would take what comes for the first. */
static void shares_no_port_for_datagrams(void **state) {
  (void)state;
  const int on = 1;
  uint16_t port;
  struct sockaddr_in at;
  int ours = make(AF_INET, SOCK_DGRAM), theirs = make(AF_INET, SOCK_DGRAM);
  assert_int_equal(axo_net_bind(ours, "127.0.0.1", 0, &port, NULL), 0);
  setsockopt(theirs, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  uv_ip4_addr("127.0.0.1", port, &at);
  assert_int_equal(bind(theirs, (struct sockaddr *)&at, sizeof at), -1);
  assert_int_equal(errno, EADDRINUSE);
  uv_ip4_addr("0.0.0.0", port, &at);
  assert_int_equal(bind(theirs, (struct sockaddr *)&at, sizeof at), -1);
  close(ours);
  close(theirs);
}

/* A port whose last connection was ended by this side is in TIME_WAIT. */
static void takes_a_port_up_again(void **state) {
  (void)state;
  uint16_t port;
  int fd, accepted;
  assert_int_equal(axo_net_listen("127.0.0.1", 0, &fd, &port, NULL), 0);
  int client = connect_to(port);
  while ((accepted = accept_now(fd)) < 0)
    assert_int_equal(errno, EAGAIN);
  close(accepted);
  char byte;
  while (read_now(client, &byte, 1) == UV_EAGAIN)
    usleep(1000);
  close(client);
  close(fd);
  assert_int_equal(axo_net_listen("127.0.0.1", port, &fd, &port, NULL), 0);
  close(fd);
}

static void says_what_is_wrong(void **state) {
  (void)state;
  axo_err_t err;
  uint16_t port;
  int fd = make(AF_INET, SOCK_STREAM);
  assert_int_equal(axo_net_bind(fd, "nowhere", 0, &port, &err), UV_EINVAL);
  assert_non_null(strstr(err.message, "nowhere"));
  assert_int_not_equal(axo_net_bind(fd, "::1", 0, &port, &err), 0);
  close(fd);
  assert_int_equal(axo_net_bind(fd, "127.0.0.1", 0, &port, &err), UV_EBADF);
}

/* Who has it, too, has made it one that waits: nobody waits for a second connection. */
static void does_not_wait_for_a_connection(void **state) {
  (void)state;
  axo_net_listener_options_t options = {.on_connection = holds, .on_gone = on_gone};
  assert_int_equal(axo_net_listen("127.0.0.1", 0, &options.fd, &heard.port, NULL), 0);
  int shared = dup(options.fd);
  assert_int_equal(axo_net_listener_open(&loop, &options, &heard.listener, NULL), 0);
  assert_int_equal(fcntl(shared, F_SETFL, 0), 0);
  int client = connect_to(heard.port);
  RUN_UNTIL(heard.conns == 1);
  close(client);
  close(shared);
}

/* The same of a socket that was given for a connection, by which much comes. */
static void does_not_wait_for_bytes(void **state) {
  (void)state;
  static char much[300000];
  axo_net_dial_t dial = {.address = "127.0.0.1", .on_open = on_open};
  size_t sent = 0, got = 0;
  OPEN_RELAY(.on_connection = holds);
  ends_t ends = {.client = connect_to(heard.port)};
  RUN_UNTIL(heard.conns == 1);
  dial.port = heard.to;
  dial.fd = make(AF_INET, SOCK_STREAM);
  int shared = dup(dial.fd);
  assert_int_equal(axo_net_conn_dial(heard.conn, &dial, NULL), 0);
  RUN_UNTIL((ends.server = accept_now(heard.server)) >= 0);
  RUN_UNTIL(heard.opens == 1);
  while (got < sizeof much) {
    assert_int_equal(fcntl(shared, F_SETFL, 0), 0);
    ssize_t n =
        send(ends.server, much + sent, sizeof much - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    sent += n > 0 ? (size_t)n : 0;
    run_some();
    n = read_now(ends.client, much, sizeof much);
    got += n > 0 ? (size_t)n : 0;
  }
  close(shared);
  close_ends(ends);
}

/* And close() would wait for what a guest asked to linger for: the server reads
 * nothing. */
static void does_not_linger(void **state) {
  (void)state;
  static const char much[300000];
  const struct linger hours = {.l_onoff = 1, .l_linger = 36000};
  const int little = 1;
  axo_net_dial_t dial = {.address = "127.0.0.1", .on_open = on_open};
  OPEN_RELAY(.on_connection = holds);
  setsockopt(heard.server, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
  ends_t ends = {.client = connect_to(heard.port)};
  RUN_UNTIL(heard.conns == 1);
  dial.port = heard.to;
  dial.fd = make(AF_INET, SOCK_STREAM);
  setsockopt(dial.fd, SOL_SOCKET, SO_LINGER, &hours, sizeof hours);
  assert_int_equal(axo_net_conn_dial(heard.conn, &dial, NULL), 0);
  RUN_UNTIL((ends.server = accept_now(heard.server)) >= 0);
  RUN_UNTIL(heard.opens == 1);
  while (axo_net_conn_traffic(heard.conn).sent < 50000) {
    send(ends.client, much, sizeof much, MSG_DONTWAIT | MSG_NOSIGNAL);
    run_some();
  }
  axo_net_conn_close(heard.conn);
  close_ends(ends);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(makes_it_private),
      cmocka_unit_test(shares_no_port_for_datagrams),
      cmocka_unit_test(takes_a_port_up_again),
      cmocka_unit_test(says_what_is_wrong),
      NET_TEST(does_not_wait_for_a_connection),
      NET_TEST(does_not_wait_for_bytes),
      NET_TEST(does_not_linger),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
