/* Sockets that a guest gives, which may be something else, and whose it says they are:
 * the test plays it. */
#include "link_host.h"

#include <linux/netlink.h>
#include <netinet/in.h>

static struct {
  int answers, code, fd;
  bool has_owner;
  axo_owned_t owner;
} answered;

static void on_answer(void *data, const axo_answer_t *answer) {
  (void)data;
  answered.answers++;
  answered.code = answer->err ? answer->err->code : 0;
  answered.fd = answer->fd;
  answered.has_owner = answer->owner != NULL;
  if (answer->owner)
    memcpy(&answered.owner, answer->owner, sizeof answered.owner);
}

static uint64_t ask_socket(int domain, int type, int protocol) {
  static _Alignas(16) char buf[AXO_PACKET_MAX];
  const axo_packet_t *head = (const axo_packet_t *)(const void *)buf;
  const axo_socket_t *body = (const axo_socket_t *)(const void *)(head + 1);
  axo_err_t err;
  memset(&answered, 0, sizeof answered);
  assert_int_equal(axo_link_socket(link_, domain, type, on_answer, NULL, &err), 0);
  size_t len = take_packet(buf, sizeof buf, NULL, NULL);
  assert_int_equal(len, sizeof *head + sizeof *body);
  assert_int_equal(head->type, AXO_REQ_SOCKET);
  assert_int_equal(body->domain, domain);
  assert_int_equal(body->type, type);
  assert_int_equal(body->protocol, protocol);
  return head->id;
}

/* Gives that, which stays open here. */
static void give(uint64_t id, int fd) {
  assert_true(fd >= 0);
  say(&(event_t){.type = AXO_EV_OPENED, .id = id, .fds = &fd, .fd_count = 1});
  run_until(&answered.answers, 1);
}

static void takes_one_and_sees_to_its_flags(void **state) {
  (void)state;
  int given = socket(AF_INET, SOCK_STREAM, 0);
  give(ask_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP), given);
  assert_int_equal(answered.code, 0);
  assert_true(fcntl(answered.fd, F_GETFL) & O_NONBLOCK);
  assert_true(fcntl(answered.fd, F_GETFD) & FD_CLOEXEC);
  close(answered.fd);
  close(given);
}

static void takes_each_kind(void **state) {
  (void)state;
  static const int kinds[][3] = {
      {AF_INET, SOCK_DGRAM, IPPROTO_UDP},
      {AF_INET6, SOCK_STREAM, IPPROTO_TCP},
      {AF_INET6, SOCK_DGRAM, IPPROTO_UDP},
      {AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const int *k = kinds[i];
    int given = socket(k[0], k[1] | SOCK_CLOEXEC, k[2]);
    give(ask_socket(k[0], k[1], k[2]), given);
    assert_int_equal(answered.code, 0);
    close(answered.fd);
    close(given);
  }
}

static void expect_refusal(int given) {
  give(ask_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP), given);
  assert_int_equal(answered.code, UV_EPROTO);
  assert_int_equal(answered.fd, -1);
  close(given);
}

static void takes_nothing_else(void **state) {
  (void)state;
  int pair[2];
  expect_refusal(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  expect_refusal(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  expect_refusal(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  expect_refusal(socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  expect_refusal(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
  expect_refusal(open("/", O_PATH | O_CLOEXEC));
  expect_refusal(memory(64, SEALED));
  assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
  close(pair[1]);
  expect_refusal(pair[0]);
  int mptcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 262);
  if (mptcp >= 0) /* a kernel may have none */
    expect_refusal(mptcp);
  assert_int_equal(heard.downs, 0);
}

static void asks_for_no_other(void **state) {
  (void)state;
  axo_err_t err;
  static const int others[][2] = {
      {AF_UNIX, SOCK_STREAM}, {AF_INET, SOCK_RAW}, {AF_NETLINK, SOCK_RAW}};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    assert_int_equal(
        axo_link_socket(link_, others[i][0], others[i][1], on_answer, NULL, &err),
        UV_EPROTONOSUPPORT);
  assert_false(has_request());
}

static void says_what_the_guest_could_not(void **state) {
  (void)state;
  const axo_failed_t body = {AXO_STAGE_SOCKET, EAFNOSUPPORT};
  uint64_t id = ask_socket(AF_INET6, SOCK_STREAM, IPPROTO_TCP);
  say(&(event_t){AXO_EV_FAILED, id, &body, sizeof body, NULL, 0, 0});
  run_until(&answered.answers, 1);
  assert_int_equal(answered.code, UV_EAFNOSUPPORT);
}

/* It would end the link. */
static void asks_no_older_guest(void **state) {
  (void)state;
  axo_err_t err;
  open_link(getpid());
  guest = connect_to_host();
  hello_knowing(AXO_KNOWS_ROOT | AXO_KNOWS_STDIN);
  run_until(&heard.ups, 1);
  assert_int_equal(axo_link_socket(link_, AF_INET, SOCK_STREAM, on_answer, NULL, &err),
                   UV_ENOTSUP);
  assert_non_null(strstr(err.message, "an older axosandbox"));
  assert_non_null(strstr(err.hint, "start it again"));
  assert_int_equal(axo_link_owner(link_, 1, on_answer, NULL, &err), UV_ENOTSUP);
  assert_non_null(strstr(err.message, "an older axosandbox"));
  assert_false(has_request());
}

/* ---- whose they are -------------------------------------------------------------- */

static uint64_t ask_owner(uint64_t inode) {
  static _Alignas(16) char buf[AXO_PACKET_MAX];
  const axo_packet_t *head = (const axo_packet_t *)(const void *)buf;
  axo_err_t err;
  memset(&answered, 0, sizeof answered);
  assert_int_equal(axo_link_owner(link_, inode, on_answer, NULL, &err), 0);
  size_t len = take_packet(buf, sizeof buf, NULL, NULL);
  assert_int_equal(len, sizeof *head + sizeof(axo_inode_t));
  assert_int_equal(head->type, AXO_REQ_OWNER);
  assert_int_equal(((const axo_inode_t *)(const void *)(head + 1))->inode, inode);
  return head->id;
}

static void hears_whose_one_is(void **state) {
  (void)state;
  axo_owned_t body = {.id = 7, .pid = 12, .name = "a-task"};
  uint64_t id = ask_owner(4711);
  say(&(event_t){AXO_EV_OWNER, id, &body, sizeof body, NULL, 0, 0});
  run_until(&answered.answers, 1);
  assert_int_equal(answered.code, 0);
  assert_true(answered.has_owner);
  assert_memory_equal(&answered.owner, &body, sizeof body);
}

static void hears_of_no_owner_by_another_answer(void **state) {
  (void)state;
  say(&(event_t){.type = AXO_EV_DONE, .id = ask_owner(1)});
  run_until(&answered.answers, 1);
  assert_int_equal(answered.code, UV_EPROTO);
  assert_false(answered.has_owner);
}

static void ends_at_an_owner_of_another_length(void **state) {
  (void)state;
  axo_owned_t body = {.pid = 12};
  say(&(event_t){AXO_EV_OWNER, ask_owner(1), &body, sizeof body - 1, NULL, 0, 0});
  expect_down(UV_EPROTO);
  assert_int_equal(answered.code, UV_ECONNRESET);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      UP_TEST(takes_one_and_sees_to_its_flags),
      UP_TEST(takes_each_kind),
      UP_TEST(takes_nothing_else),
      UP_TEST(asks_for_no_other),
      UP_TEST(says_what_the_guest_could_not),
      LINK_TEST(asks_no_older_guest),
      UP_TEST(hears_whose_one_is),
      UP_TEST(hears_of_no_owner_by_another_answer),
      UP_TEST(ends_at_an_owner_of_another_length),
  };
  return cmocka_run_group_tests_name("link: sockets", tests, warm_up, NULL);
}
