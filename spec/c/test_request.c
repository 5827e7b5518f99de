/* What the guest makes of a host's packets, in this process. */
#include "../../core/guest/guest.h"
#include "link_support.h"

#include <stdlib.h>
#include <sys/resource.h>

static int ours, theirs, fds_before;

static int set_up(void **state) {
  (void)state;
  int pair[2];
  fds_before = count_fds();
  assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
  ours = pair[0];
  theirs = pair[1];
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  close(ours);
  close(theirs);
  return count_fds() == fds_before ? 0 : -1;
}

#define REQUEST_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

typedef struct exec {
  axo_packet_t head;
  axo_spawn_t fixed;
  char strings[8]; /* no directory, no user, "true" */
} exec_t;

static const exec_t true_ = {
    .head = {AXO_PROTO_VERSION, AXO_REQ_SPAWN, 0, sizeof(axo_spawn_t) + 7, 1},
    .fixed = {.kind = AXO_KIND_EXEC, .argc = 1},
    .strings = "\0\0true",
};

static void send_true(void) {
  const int fds[3] = {ours, ours, ours};
  assert_int_equal(
      send_raw(theirs, &true_, sizeof true_.head + true_.head.length, fds, 3), 0);
}

static void takes_a_command_apart(void **state) {
  (void)state;
  struct packet p;
  struct spawn_args args;
  send_true();
  assert_int_equal(packet_receive(ours, &p), 1);
  assert_true(packet_is_request(&p));
  assert_true(spawn_parse(&p, &args));
  assert_string_equal(args.cwd, "");
  assert_string_equal(args.user, "");
  assert_string_equal(args.argv[0], "true");
  assert_null(args.argv[1]);
  assert_null(args.env[0]);
  packet_release(&p);
}

/* Room for the standard descriptors of a command, and not for the one that holds it. */
static void receive_three(struct packet *p) {
  struct rlimit usual, low;
  int next = dup(ours);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
  low = usual;
  low.rlim_cur = (rlim_t)next + 3;
  close(next);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
  int got = packet_receive(ours, p);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
  assert_int_equal(got, 1);
}

static void makes_no_command_of_what_came_before(void **state) {
  (void)state;
  if (getenv("AXO_VALGRIND"))
    return; /* valgrind's limit of descriptors is not the kernel's */
  struct packet p;
  struct spawn_args args;
  send_true();
  assert_int_equal(packet_receive(ours, &p), 1);
  packet_release(&p);

  axo_packet_t head = true_.head;
  int file = memory(head.length, SEALED);
  const int fds[4] = {ours, ours, ours, file};
  head.flags = AXO_FLAG_MEMFD;
  assert_int_equal(send_raw(theirs, &head, sizeof head, fds, 4), 0);
  close(file);
  receive_three(&p);
  assert_true(p.fds_lost);
  assert_int_equal(p.fd_count, 3);
  assert_true(packet_is_request(&p)); /* so that it is answered */
  assert_false(spawn_parse(&p, &args));
  packet_release(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      REQUEST_TEST(takes_a_command_apart),
      REQUEST_TEST(makes_no_command_of_what_came_before),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
