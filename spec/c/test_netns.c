/* What axo-netns makes of a network, and what it leaves alone. */
#include "netns_support.h"

static void leads_connections(const sockets_t *s) {
  expect_arrival(s->tcp[0], "1.2.3.4", 80);
  expect_arrival(s->tcp[0], "198.18.0.2", 443);
  expect_arrival(s->tcp[0], "10.0.0.1", 53);
  expect_arrival(s->tcp[0], "169.254.169.254", 80);
  expect_arrival(s->tcp[0], "255.1.2.3", 65535);
}

static void leads_questions(const sockets_t *s) {
  expect_question(s->dns[0], "1.1.1.1");
  expect_question(s->dns[0], "198.18.0.1");
  expect_question(s->dns[0], "192.168.1.1");
}

static void expect_own(int listener, const char *address, uint16_t port) {
  int from = connected(SOCK_STREAM, address, port);
  CHECK(wait_readable(listener) == 1);
  int to = accept(listener, NULL, NULL);
  CHECK(to >= 0);
  close(to);
  close(from);
}

static void leaves_its_own_servers(const sockets_t *s) {
  int any = bound(SOCK_STREAM, "0.0.0.0", 443),
      dns = bound(SOCK_DGRAM, "127.0.0.1", 53);
  (void)s;
  expect_own(any, "127.0.0.1", 443);
  expect_own(any, "127.9.9.9", 443);
  expect_own(any, "198.18.0.1", 443);
  expect_question(dns, "127.0.0.1");
  expect_arrival(s->tcp[0], "1.2.3.4", 443);
  close(any);
  close(dns);
}

static void refuses_other_datagrams(const sockets_t *s) {
  char byte;
  int from = connected(SOCK_DGRAM, "1.2.3.4", 443);
  (void)s;
  CHECK(send(from, "quic", 4, 0) == 4 && wait_readable(from) == 1);
  CHECK(recv(from, &byte, 1, 0) == -1 && errno == ECONNREFUSED);
  close(from);
}

static void refuses_where_nobody_listens(const sockets_t *s) {
  struct sockaddr_in where = at("1.2.3.4", 80);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  close(s->tcp[0]);
  CHECK(connect(fd, (struct sockaddr *)&where, sizeof where) == -1);
  CHECK(errno == ECONNREFUSED);
  close(fd);
}

/* Of a program that chose its own address. */
static int connected_from(int type, const char *own, const char *address,
                          uint16_t port) {
  struct sockaddr_in here = at(own, 0), there = at(address, port);
  int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&here, sizeof here) == 0);
  CHECK(connect(fd, (struct sockaddr *)&there, sizeof there) == 0);
  return fd;
}

static void leads_from_any_address(const sockets_t *s) {
  static const char *const own[] = {"127.0.0.1", "198.18.0.1", "198.18.0.9", "0.0.0.0"};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    int from = connected_from(SOCK_STREAM, own[i], "1.2.3.4", 80);
    expect_arrival_of(from, s->tcp[0], "1.2.3.4", 80);
    from = connected_from(SOCK_DGRAM, own[i], "1.1.1.1", 53);
    expect_question_of(from, s->dns[0]);
  }
}

/* As Java and Node.js do. */
static void leads_sockets_of_ipv6(const sockets_t *s) {
  struct sockaddr_in6 there = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(inet_pton(AF_INET6, "::ffff:1.2.3.4", &there.sin6_addr) == 1);
  CHECK(connect(fd, (struct sockaddr *)&there, sizeof there) == 0);
  expect_arrival_of(fd, s->tcp[0], "1.2.3.4", 80);
}

/* What the kernel keeps for what it translates. */
static int count_tracked(void) {
  char text[16] = "";
  int fd = open("/proc/sys/net/netfilter/nf_conntrack_count", O_RDONLY | O_CLOEXEC);
  CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
  close(fd);
  return atoi(text);
}

static void tracks_nothing_of_its_own(const sockets_t *s) {
  int own = bound(SOCK_STREAM, "0.0.0.0", 8080);
  CHECK(count_tracked() == 0);
  for (int i = 0; i < 20; i++) {
    expect_own(own, "127.0.0.1", 8080);
    expect_own(own, "198.18.0.1", 8080);
    int quic = connected(SOCK_DGRAM, "1.2.3.4", (uint16_t)(443 + i));
    CHECK(send(quic, "quic", 4, 0) == 4);
    close(quic);
  }
  CHECK(count_tracked() == 0);
  expect_arrival(s->tcp[0], "1.2.3.4", 80);
  CHECK(count_tracked() == 1);
  close(own);
}

#define QUESTIONS 40000

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The host gets no more than it can answer with ease, by whatever way. */
static void expect_bound(int from, int socket) {
  char text[8];
  int arrived = 0;
  double began = now();
  for (int i = 0; i < QUESTIONS; i++) {
    send(from, "who", 3, MSG_DONTWAIT);
    while (recv(socket, text, sizeof text, MSG_DONTWAIT) > 0)
      arrived++;
  }
  CHECK(arrived > 0 && arrived <= 4000 * (now() - began + 2));
  close(from);
}

static void bounds_questions(const sockets_t *s) {
  expect_bound(connected(SOCK_DGRAM, "1.1.1.1", 53), s->dns[0]);
  expect_bound(connected(SOCK_DGRAM, "127.0.0.1", port_of(s->dns[0])), s->dns[0]);
}

static void leads_to_the_second(const sockets_t *s) {
  expect_arrival(s->tcp[1], "1.2.3.4", 80);
  expect_question(s->dns[1], "1.1.1.1");
}

static void is_as_it_was(const sockets_t *s) {
  struct sockaddr_in where = at("1.2.3.4", 80);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  (void)s;
  CHECK(connect(fd, (struct sockaddr *)&where, sizeof where) == -1);
  CHECK(errno == ENETUNREACH);
  close(fd);
}

/* ---- tests ----------------------------------------------------------------------- */

static void expect_redirected(owner_t owner) {
  box_t box = box_open(owner);
  assert_int_equal(redirect(&box, 0), 0);
  assert_string_equal(said, "");
  box_does(&box, leads_connections);
  box_does(&box, leads_questions);
  box_does(&box, leads_from_any_address);
  box_does(&box, leads_sockets_of_ipv6);
  box_does(&box, leaves_its_own_servers);
  box_does(&box, refuses_other_datagrams);
  box_does(&box, refuses_where_nobody_listens);
  box_close(&box);
}

static void leads_what_is_sent_out_to_two_sockets(void **state) {
  (void)state;
  expect_redirected(OWN_USERS);
}

static void enters_a_user_namespace_in_another(void **state) {
  (void)state;
  expect_redirected(USERS_WITHIN);
}

static void enters_a_network_of_its_own_user_namespace(void **state) {
  (void)state;
  if (geteuid() != 0)
    skip();
  expect_redirected(NO_USERS);
}

static void replaces_what_there_is(void **state) {
  (void)state;
  box_t box = box_open(OWN_USERS);
  for (int i = 0; i < 3; i++)
    assert_int_equal(redirect(&box, 0), 0);
  box_does(&box, leads_connections);
  assert_int_equal(redirect(&box, 1), 0);
  box_does(&box, leads_to_the_second);
  box_close(&box);
}

static void keeps_little_for_a_container(void **state) {
  (void)state;
  box_t box = box_open(OWN_USERS);
  assert_int_equal(redirect(&box, 0), 0);
  box_does(&box, tracks_nothing_of_its_own);
  box_does(&box, bounds_questions);
  box_close(&box);
}

static void expect_failure(int status, const char *what) {
  assert_int_equal(status, 1);
  assert_non_null(strstr(said, what));
  assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
}

static void leaves_its_own_network_alone(void **state) {
  (void)state;
  const ports_t ports = {{1, 1}, {1, 1}};
  expect_failure(redirect_from(getpid(), start_of(getpid()), &ports, 0),
                 "the host's network");
}

static void leaves_alone_who_has_that_number_now(void **state) {
  (void)state;
  box_t box = box_open(OWN_USERS);
  expect_failure(redirect_from(box.pid, start_of(box.pid) + 1, &box.ports, 0),
                 "another one by now");
  box_does(&box, is_as_it_was);
  box_close(&box);
  expect_failure(redirect_from(box.pid, 1, &box.ports, 0), "has ended");
}

/* Nobody has waited for it yet: its number is still its own. */
static void says_that_the_container_has_ended(void **state) {
  (void)state;
  siginfo_t info;
  box_t box = box_open(OWN_USERS);
  unsigned long long start = start_of(box.pid);
  close(box.to);
  assert_int_equal(waitid(P_PID, (id_t)box.pid, &info, WEXITED | WNOWAIT), 0);
  expect_failure(redirect_from(box.pid, start, &box.ports, 0), "has ended");
  close(box.from);
  assert_int_equal(waitpid(box.pid, NULL, 0), box.pid);
}

static void takes_numbers_only(void **state) {
  (void)state;
  char *const bad[][6] = {
      {"axo-netns", NULL},
      {"axo-netns", "1", "2", "3", NULL},
      {"axo-netns", "0", "2", "3", "4", NULL},
      {"axo-netns", "-1", "2", "3", "4", NULL},
      {"axo-netns", "1", "+2", "3", "4", NULL},
      {"axo-netns", "1", "99999999999999999999", "3", "4", NULL},
      {"axo-netns", "1", "2", "0", "4", NULL},
      {"axo-netns", "1", "2", "65536", "4", NULL},
      {"axo-netns", "1", "2", "3", "4 ", NULL},
      {"axo-netns", "1", "2", "", "4", NULL},
      {"axo-netns", "../1", "2", "3", "4", NULL},
      {"axo-netns", "4294967297", "2", "3", "4", NULL},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    expect_failure(run(bad[i]), i < 2 ? "usage" : "is no number from 1 to");
}

static void says_that_the_kernel_does_not_have_it(void **state) {
  (void)state;
  box_t box = box_open(OWN_USERS);
  without_netfilter = true;
  int status = redirect(&box, 0);
  without_netfilter = false;
  assert_int_equal(status, 3);
  assert_non_null(strstr(said, strerror(EPROTONOSUPPORT)));
  box_does(&box, is_as_it_was);
  box_close(&box);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(leads_what_is_sent_out_to_two_sockets),
      cmocka_unit_test(enters_a_user_namespace_in_another),
      cmocka_unit_test(enters_a_network_of_its_own_user_namespace),
      cmocka_unit_test(replaces_what_there_is),
      cmocka_unit_test(keeps_little_for_a_container),
      cmocka_unit_test(leaves_its_own_network_alone),
      cmocka_unit_test(leaves_alone_who_has_that_number_now),
      cmocka_unit_test(says_that_the_container_has_ended),
      cmocka_unit_test(takes_numbers_only),
      cmocka_unit_test(says_that_the_kernel_does_not_have_it),
  };
  signal(SIGPIPE, SIG_IGN);
  return cmocka_run_group_tests_name("netns", tests, NULL, NULL);
}
