/* Sockets that the guest makes for a host, which does the rest. */
#include "guest_support.h"

#include <linux/netlink.h>
#include <netinet/in.h>

static uint64_t ask_socket(host_t *host, int domain, int type, int protocol) {
  axo_socket_t body = {.domain = domain, .type = type, .protocol = protocol};
  uint64_t id = ++host->last_id;
  send_request(host, &(request_t){AXO_REQ_SOCKET, id, &body, sizeof body, NULL, 0, 0});
  return id;
}

static int socket_of(host_t *host, int domain, int type, int protocol) {
  uint64_t id = ask_socket(host, domain, type, protocol);
  event_t ev = expect(host, AXO_EV_OPENED, id);
  assert_int_equal(ev.fd_count, 1);
  return ev.fds[0];
}

static int option_of(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  assert_int_equal(getsockopt(fd, SOL_SOCKET, option, &value, &size), 0);
  return value;
}

static const struct {
  int domain, type, protocol;
} kinds[] = {
    {AF_INET, SOCK_STREAM, IPPROTO_TCP},         {AF_INET, SOCK_DGRAM, IPPROTO_UDP},
    {AF_INET6, SOCK_STREAM, IPPROTO_TCP},        {AF_INET6, SOCK_DGRAM, IPPROTO_UDP},
    {AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG},
};

static void makes_what_was_asked_for(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    int fd = socket_of(&host, kinds[i].domain, kinds[i].type, kinds[i].protocol);
    assert_int_equal(option_of(fd, SO_DOMAIN), kinds[i].domain);
    assert_int_equal(option_of(fd, SO_TYPE), kinds[i].type);
    assert_int_equal(option_of(fd, SO_PROTOCOL), kinds[i].protocol);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    close(fd);
  }
  host_close(&host);
}

static void makes_no_other(void **state) {
  (void)state;
  static const int others[][3] = {
      {AF_UNIX, SOCK_STREAM, 0},
      {AF_UNIX, SOCK_SEQPACKET, 0},
      {AF_INET, SOCK_STREAM, 0},
      {AF_INET, SOCK_STREAM, 262 /* MPTCP */},
      {AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP},
      {AF_INET, SOCK_DGRAM, IPPROTO_ICMP},
      {AF_INET, SOCK_RAW, IPPROTO_UDP},
      {AF_INET6, SOCK_STREAM, IPPROTO_UDP},
      {AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE},
      {AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG},
      {AF_PACKET, SOCK_RAW, 0},
      {-1, -1, -1},
  };
  host_t host = host_open("a.sock");
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    uint64_t id = ask_socket(&host, others[i][0], others[i][1], others[i][2]);
    expect_failed(&host, id, AXO_STAGE_SOCKET, EPROTONOSUPPORT);
  }
  close(socket_of(&host, AF_INET, SOCK_STREAM, IPPROTO_TCP));
  host_close(&host);
}

/* Once one thing more is answered it has closed what it sent before. */
static int count_settled(host_t *host) {
  expect_failed(host, ask_socket(host, -1, -1, -1), AXO_STAGE_SOCKET, EPROTONOSUPPORT);
  return count_fds(guest.pid);
}

/* The link of the test before may still end meanwhile: fewer is well, too. */
static void keeps_none_of_them(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  int before = count_settled(&host);
  for (int i = 0; i < 200; i++)
    close(socket_of(&host, AF_INET, SOCK_STREAM, IPPROTO_TCP));
  assert_true(count_settled(&host) <= before);
  host_close(&host);
}

/* A host that asks for many and reads none: its own link stands still. */
static void serves_others_while_one_does_not_read(void **state) {
  (void)state;
  const axo_socket_t body = {AF_INET, SOCK_STREAM, IPPROTO_TCP, 0};
  host_t host = host_open("a.sock"), other = host_open("b.sock");
  uint64_t asked = 0;
  request_t r = {AXO_REQ_SOCKET, 1, &body, sizeof body, NULL, 0, 0};
  assert_int_equal(fcntl(host.fd, F_SETFL, O_NONBLOCK), 0);
  for (; asked < 5000 && try_send(&host, &r) == 0; asked++)
    r.id++;
  close(socket_of(&other, AF_INET, SOCK_DGRAM, IPPROTO_UDP));
  for (uint64_t id = 1; id <= asked; id++) {
    event_t ev = expect(&host, AXO_EV_OPENED, id);
    close_fds(&ev);
  }
  host_close(&other);
  host_close(&host);
}

static void says_that_it_can_open_no_more(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  struct rlimit none = {0, 64};
  assert_int_equal(prlimit(guest.pid, RLIMIT_NOFILE, &none, NULL), 0);
  uint64_t id = ask_socket(&host, AF_INET, SOCK_STREAM, IPPROTO_TCP);
  expect_failed(&host, id, AXO_STAGE_SOCKET, EMFILE);
  none.rlim_cur = 64;
  assert_int_equal(prlimit(guest.pid, RLIMIT_NOFILE, &none, NULL), 0);
  close(socket_of(&host, AF_INET, SOCK_STREAM, IPPROTO_TCP));
  host_close(&host);
}

static void ends_the_link_at_another_length(void **state) {
  (void)state;
  const axo_socket_t body[2] = {{.domain = AF_INET}};
  const size_t lengths[] = {0, sizeof *body - 1, sizeof *body + 1};
  event_t ev;
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    host_t host = host_open("a.sock");
    send_request(&host, &(request_t){AXO_REQ_SOCKET, 1, body, lengths[i], NULL, 0, 0});
    assert_false(receive(&host, &ev));
    host_close(&host);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      GUEST_TEST(makes_what_was_asked_for),
      GUEST_TEST(makes_no_other),
      GUEST_TEST(keeps_none_of_them),
      GUEST_TEST(serves_others_while_one_does_not_read),
      POOR_TEST(says_that_it_can_open_no_more),
      GUEST_TEST(ends_the_link_at_another_length),
  };
  return cmocka_run_group_tests_name("guest: sockets", tests, NULL, NULL);
}
