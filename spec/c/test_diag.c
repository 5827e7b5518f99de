/* What the kernel says of the sockets of this process, and messages that it never
 * sends. */
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/diag_impl.h"

static axo_diag_t *open_diag(void) {
  axo_diag_t *diag;
  axo_err_t err;
  int fd =
      socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
  assert_true(fd >= 0);
  if (axo_diag_open(fd, &diag, &err) != 0)
    fail_msg("%s", err.message);
  return diag;
}

/* A socket of this process, and what find has to say of it. */
typedef struct sock {
  int fd;
  int port;
  uint32_t inode;
} sock_t;

static sock_t describe(int fd) {
  struct sockaddr_in6 at;
  socklen_t len = sizeof at;
  struct stat st;
  assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
  assert_int_equal(fstat(fd, &st), 0);
  return (sock_t){fd, ntohs(at.sin6_port), (uint32_t)st.st_ino};
}

static sock_t bound(int family, int kind, const char *address, bool v6only) {
  struct sockaddr_in6 six = {.sin6_family = AF_INET6};
  struct sockaddr_in four = {.sin_family = AF_INET};
  int on = v6only, fd = socket(family, kind | SOCK_CLOEXEC, 0);
  bool is_six = family == AF_INET6;
  assert_true(fd >= 0);
  assert_int_equal(
      inet_pton(family, address, is_six ? (void *)&six.sin6_addr : &four.sin_addr), 1);
  if (is_six)
    assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), 0);
  assert_int_equal(bind(fd, is_six ? (void *)&six : (void *)&four,
                        is_six ? sizeof six : sizeof four),
                   0);
  if (kind == SOCK_STREAM)
    assert_int_equal(listen(fd, 8), 0);
  return describe(fd);
}

static sock_t connected(int kind, int port) {
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)port),
                           .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int fd = socket(AF_INET, kind | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  return describe(fd);
}

/* Of another family than the address it speaks to. */
static sock_t connected_mapped(int port) {
  struct sockaddr_in6 to = {.sin6_family = AF_INET6,
                            .sin6_port = htons((uint16_t)port)};
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &to.sin6_addr), 1);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  return describe(fd);
}

static axo_endpoint_t at(const char *address, int port) {
  return (axo_endpoint_t){address, (uint16_t)port};
}

/* ---- what listens ---------------------------------------------------------------- */

static const axo_diag_socket_t *listed(const axo_diag_socket_t *all, size_t count,
                                       sock_t s) {
  for (size_t i = 0; i < count; i++)
    if (all[i].inode == s.inode)
      return &all[i];
  return NULL;
}

static void lists_what_listens(void **state) {
  (void)state;
  enum { MAX = 4096 };
  axo_diag_socket_t *all = calloc(MAX, sizeof *all);
  axo_diag_t *diag = open_diag();
  sock_t four = bound(AF_INET, SOCK_STREAM, "127.0.0.9", false);
  sock_t six = bound(AF_INET6, SOCK_STREAM, "::", true);
  sock_t both = bound(AF_INET6, SOCK_STREAM, "::", false);
  sock_t out = connected(SOCK_STREAM, both.port);
  size_t count = 0, again = 0;
  assert_int_equal(axo_diag_listening(diag, all, MAX, &count, NULL), 0);
  assert_true(count >= 3 && count <= MAX);
  const axo_diag_socket_t *s = listed(all, count, four);
  assert_non_null(s);
  assert_string_equal(s->address, "127.0.0.9");
  assert_int_equal(s->port, four.port);
  assert_int_equal(s->uid, getuid());
  s = listed(all, count, six);
  assert_string_equal(s->address, "::");
  assert_true(s->ipv6_only);
  assert_false(listed(all, count, both)->ipv6_only);
  assert_null(listed(all, count, out));
  assert_int_equal(axo_diag_listening(diag, all, 1, &again, NULL), 0);
  assert_int_equal(again, count);
  axo_diag_close(diag);
  close(four.fd), close(six.fd), close(both.fd), close(out.fd);
  free(all);
}

/* A listing that was left midway is none of the next answer. */
static void begins_anew(void **state) {
  (void)state;
  axo_diag_socket_t all[4];
  size_t count;
  axo_diag_t *diag = open_diag();
  struct {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
  } request = {
      {sizeof request, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 77, 0},
      {.sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0u}};
  assert_int_equal(send(diag->fd, &request, sizeof request, 0), sizeof request);
  assert_int_equal(axo_diag_listening(diag, all, 4, &count, NULL), 0);
  axo_diag_close(diag);
}

/* ---- one socket ------------------------------------------------------------------ */

static void expect(axo_diag_t *diag, int protocol, axo_endpoint_t own,
                   const axo_endpoint_t *peer, sock_t s) {
  axo_diag_socket_t found;
  axo_err_t err = {0};
  if (axo_diag_find(diag, protocol, &own, peer, &found, &err) != 0)
    fail_msg("%s", err.message);
  assert_int_equal(found.inode, s.inode);
  assert_int_equal(found.port, s.port);
  assert_int_equal(found.uid, getuid());
}

static void expect_none(axo_diag_t *diag, int protocol, axo_endpoint_t own,
                        const axo_endpoint_t *peer, int code) {
  axo_diag_socket_t found, before;
  axo_err_t err = {0};
  memset(&found, 'x', sizeof found);
  before = found;
  assert_int_equal(axo_diag_find(diag, protocol, &own, peer, &found, &err), code);
  assert_int_equal(err.code, code);
  assert_memory_equal(&found, &before, sizeof found);
}

static void finds_a_connection(void **state) {
  (void)state;
  axo_diag_t *diag = open_diag();
  sock_t server = bound(AF_INET, SOCK_STREAM, "127.0.0.1", false);
  sock_t client = connected(SOCK_STREAM, server.port);
  sock_t mapped = connected_mapped(server.port);
  axo_endpoint_t to = at("127.0.0.1", server.port);
  expect(diag, IPPROTO_TCP, at("127.0.0.1", client.port), &to, client);
  expect(diag, IPPROTO_TCP, at("127.0.0.1", mapped.port), &to, mapped);
  expect(diag, IPPROTO_TCP, at("::ffff:127.0.0.1", mapped.port), &to, mapped);
  expect(diag, IPPROTO_TCP, to, NULL, server);
  /* Never the one that listens instead of a connection that is not there. */
  axo_endpoint_t nobody = at("127.0.0.1", 1);
  expect_none(diag, IPPROTO_TCP, to, &nobody, UV_ENOENT);
  close(client.fd);
  close(mapped.fd);
  close(server.fd);
  expect_none(diag, IPPROTO_TCP, to, NULL, UV_ENOENT);
  axo_diag_close(diag);
}

static void finds_who_asks_by_udp(void **state) {
  (void)state;
  axo_diag_t *diag = open_diag();
  sock_t server = bound(AF_INET, SOCK_DGRAM, "127.0.0.1", false);
  sock_t tied = connected(SOCK_DGRAM, server.port);
  sock_t loose = bound(AF_INET, SOCK_DGRAM, "0.0.0.0", false);
  sock_t six = bound(AF_INET6, SOCK_DGRAM, "::", false);
  axo_endpoint_t to = at("127.0.0.1", server.port), other = at("198.18.0.1", 53);
  expect(diag, IPPROTO_UDP, at("127.0.0.1", tied.port), &to, tied);
  expect(diag, IPPROTO_UDP, at("127.0.0.1", tied.port), &other, tied);
  expect(diag, IPPROTO_UDP, at("127.0.0.1", loose.port), &to, loose);
  expect(diag, IPPROTO_UDP, at("127.0.0.1", six.port), &to, six);
  expect(diag, IPPROTO_UDP, at("127.0.0.1", loose.port), NULL, loose);
  expect_none(diag, IPPROTO_UDP, at("127.0.0.77", tied.port), &to, UV_ENOENT);
  close(tied.fd);
  expect_none(diag, IPPROTO_UDP, at("127.0.0.1", tied.port), &to, UV_ENOENT);
  close(server.fd), close(loose.fd), close(six.fd);
  axo_diag_close(diag);
}

/* Two that share a port, and of neither is it known that it was the one. */
static void tells_of_nobody_in_doubt(void **state) {
  (void)state;
  axo_diag_t *diag = open_diag();
  struct sockaddr_in to = {.sin_family = AF_INET};
  int on = 1, first = socket(AF_INET, SOCK_DGRAM, 0),
      second = socket(AF_INET, SOCK_DGRAM, 0);
  setsockopt(first, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  setsockopt(second, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  assert_int_equal(bind(first, (struct sockaddr *)&to, sizeof to), 0);
  sock_t s = describe(first);
  to.sin_port = htons((uint16_t)s.port);
  assert_int_equal(bind(second, (struct sockaddr *)&to, sizeof to), 0);
  expect_none(diag, IPPROTO_UDP, at("127.0.0.1", s.port), NULL, UV_ENOENT);
  close(second);
  expect(diag, IPPROTO_UDP, at("127.0.0.1", s.port), NULL, s);
  close(first);
  axo_diag_close(diag);
}

static void refuses_what_is_no_address(void **state) {
  (void)state;
  axo_diag_t *diag = open_diag();
  axo_endpoint_t four = at("127.0.0.1", 1), six = at("::1", 1), wrong = at("x", 1);
  expect_none(diag, IPPROTO_TCP, wrong, NULL, UV_EINVAL);
  expect_none(diag, IPPROTO_TCP, four, &wrong, UV_EINVAL);
  expect_none(diag, IPPROTO_TCP, four, &six, UV_EINVAL);
  axo_diag_close(diag);
}

static void takes_its_own_kind_only(void **state) {
  (void)state;
  axo_diag_t *diag;
  axo_err_t err;
  int fds[] = {socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE),
               socket(AF_INET, SOCK_DGRAM, 0), dup(0), -1};
  for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
    assert_int_equal(axo_diag_open(fds[i], &diag, &err), UV_EINVAL);
    if (fds[i] >= 0)
      assert_int_equal(close(fds[i]), 0);
  }
}

/* ---- the end of sockets ---------------------------------------------------------- */

typedef struct heard {
  uint16_t port; /* waited for */
  axo_diag_socket_t socket;
  int count, others;
  axo_diag_t *close_it;
} heard_t;

static void on_end(void *data, const axo_diag_socket_t *socket) {
  heard_t *heard = data;
  if (!socket || socket->port != heard->port) {
    heard->others++;
    return;
  }
  heard->socket = *socket;
  heard->count++;
  axo_diag_close(heard->close_it);
}

static void on_late(uv_timer_t *timer) {
  fail_msg("nothing was heard %p", (void *)timer);
}

static void wait_for(uv_loop_t *loop, const heard_t *heard) {
  uv_timer_t late;
  uv_timer_init(loop, &late);
  uv_timer_start(&late, on_late, 60000, 0);
  while (heard->count == 0)
    uv_run(loop, UV_RUN_ONCE);
  uv_close((uv_handle_t *)&late, NULL);
  uv_run(loop, UV_RUN_DEFAULT);
}

static void hears_of_an_end(void **state) {
  (void)state;
  uv_loop_t loop;
  axo_diag_socket_t socket;
  uv_loop_init(&loop);
  for (int kind = 0; kind < 2; kind++) {
    heard_t heard = {.close_it = open_diag()};
    sock_t s = bound(kind ? AF_INET6 : AF_INET, kind ? SOCK_DGRAM : SOCK_STREAM,
                     kind ? "::1" : "127.0.0.1", false);
    heard.port = (uint16_t)s.port;
    axo_err_t err = {0};
    if (axo_diag_watch(heard.close_it, &loop, 0, on_end, &heard, &err) != 0)
      fail_msg("%s", err.message);
    assert_int_equal(axo_diag_watch(heard.close_it, &loop, 0, on_end, &heard, NULL),
                     UV_EBUSY);
    axo_endpoint_t own = at("127.0.0.1", s.port);
    assert_int_equal(
        axo_diag_find(heard.close_it, IPPROTO_TCP, &own, NULL, &socket, NULL),
        UV_EBUSY);
    uv_run(&loop, UV_RUN_DEFAULT); /* it holds nobody */
    assert_int_equal(heard.count, 0);
    close(s.fd);
    wait_for(&loop, &heard);
    assert_int_equal(heard.count, 1);
    assert_string_equal(heard.socket.address, kind ? "::1" : "127.0.0.1");
    assert_int_equal(heard.socket.protocol, kind ? IPPROTO_UDP : IPPROTO_TCP);
  }
  assert_int_equal(uv_loop_close(&loop), 0);
}

/* The ends of connections do not even wake the host. */
static void hears_of_no_connection(void **state) {
  (void)state;
  uv_loop_t loop;
  axo__diag_bytes_t bytes;
  uv_loop_init(&loop);
  sock_t server = bound(AF_INET, SOCK_STREAM, "127.0.0.1", false);
  heard_t heard = {.close_it = open_diag(), .port = (uint16_t)server.port};
  assert_int_equal(axo_diag_watch(heard.close_it, &loop, 0, on_end, &heard, NULL), 0);
  for (int i = 0; i < 50; i++) {
    sock_t client = connected(SOCK_STREAM, server.port);
    int taken = accept(server.fd, NULL, NULL);
    struct linger now = {1, 0};
    setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(client.fd);
    close(taken);
  }
  /* Other processes of this namespace may have ended something meanwhile. */
  for (int left = 0; axo__diag_receive(heard.close_it, &bytes) == 0; left++)
    assert_true(left < 50);
  close(server.fd);
  wait_for(&loop, &heard);
  assert_int_equal(uv_loop_close(&loop), 0);
}

/* ---- messages -------------------------------------------------------------------- */

typedef struct made {
  struct nlmsghdr head;
  struct inet_diag_msg body;
  uint8_t rest[64];
} made_t;

static made_t message(size_t rest) {
  return (made_t){.head = {.nlmsg_len = (uint32_t)(sizeof(struct nlmsghdr) +
                                                   sizeof(struct inet_diag_msg) + rest),
                           .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                           .nlmsg_seq = 9},
                  .body = {.idiag_family = AF_INET}};
}

static int read_first(const made_t *m, size_t len, axo__diag_message_t *out) {
  uint8_t *exact = malloc(len ? len : 1);
  assert_non_null(exact);
  memcpy(exact, m, len);
  int rc = axo__diag_next(&(axo__diag_bytes_t){exact, len}, out);
  free(exact);
  return rc;
}

static void reads_whole_messages_only(void **state) {
  (void)state;
  axo__diag_message_t out;
  made_t m = message(8);
  memcpy(m.rest, "\x05\0\x0b\0\1\0\0\0", 8); /* INET_DIAG_SKV6ONLY: yes */
  assert_int_equal(read_first(&m, m.head.nlmsg_len, &out), 1);
  assert_true(out.kind == DIAG_SOCKET && out.socket.ipv6_only && out.sequence == 9);
  assert_int_equal(read_first(&m, 0, &out), 0);
  for (size_t len = 1; len < m.head.nlmsg_len; len++)
    assert_int_equal(read_first(&m, len, &out), UV_EPROTO);
  for (uint32_t len = 0; len < sizeof m.head + sizeof m.body; len++) {
    m.head.nlmsg_len = len;
    assert_int_equal(read_first(&m, sizeof m, &out), UV_EPROTO);
  }
  m.head.nlmsg_len = UINT32_MAX;
  assert_int_equal(read_first(&m, sizeof m, &out), UV_EPROTO);
}

static void refuses_attributes_that_lie(void **state) {
  (void)state;
  axo__diag_message_t out;
  static const uint8_t lengths[] = {0, 3, 9, 255};
  for (size_t i = 0; i < sizeof lengths; i++) {
    made_t m = message(8);
    m.rest[0] = lengths[i];
    assert_int_equal(read_first(&m, m.head.nlmsg_len, &out), UV_EPROTO);
  }
  made_t m = message(2);
  assert_int_equal(read_first(&m, m.head.nlmsg_len, &out), UV_EPROTO);
  m = message(0);
  m.body.idiag_family = AF_UNIX;
  assert_int_equal(read_first(&m, m.head.nlmsg_len, &out), UV_EPROTO);
}

static void reads_errors(void **state) {
  (void)state;
  axo__diag_message_t out;
  static const int errors[] = {-2, -16, 0, 1, -5000};
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    made_t m = message(0);
    m.head.nlmsg_type = NLMSG_ERROR;
    memcpy(&m.body, &errors[i], sizeof errors[i]);
    int rc = read_first(&m, m.head.nlmsg_len, &out);
    assert_int_equal(rc, i < 2 ? 1 : UV_EPROTO);
    if (rc == 1)
      assert_true(out.kind == DIAG_ERROR && out.error == errors[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lists_what_listens),
      cmocka_unit_test(begins_anew),
      cmocka_unit_test(finds_a_connection),
      cmocka_unit_test(finds_who_asks_by_udp),
      cmocka_unit_test(tells_of_nobody_in_doubt),
      cmocka_unit_test(refuses_what_is_no_address),
      cmocka_unit_test(takes_its_own_kind_only),
      cmocka_unit_test(hears_of_an_end),
      cmocka_unit_test(hears_of_no_connection),
      cmocka_unit_test(reads_whole_messages_only),
      cmocka_unit_test(refuses_attributes_that_lie),
      cmocka_unit_test(reads_errors),
  };
  return cmocka_run_group_tests_name("diag", tests, NULL, NULL);
}
