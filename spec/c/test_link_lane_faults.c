/* Lanes from the host's side: what goes wrong, and what crosses each other. */
#include "lane_host.h"

/* ---- what goes wrong ------------------------------------------------------------- */

static void does_without_one_that_has_gone(void **state) {
  (void)state;
  int lane = lane_open();
  close(lane);
  begin(1); /* before or after that is seen */
  wait_for_request();
  assert_int_equal(take_request(AXO_REQ_FORGET, NULL), lane_id);
  axo_exited_t body = {.code = 0};
  uint64_t id = take_request(AXO_REQ_SPAWN, NULL);
  say(&(event_t){AXO_EV_EXITED, id, &body, sizeof body, NULL, 0, 0});
  run_until(&ran.exits[1], 1);
  assert_int_equal(ran.failure[1], 0);
}

static void hears_of_its_loss_from_the_guest(void **state) {
  (void)state;
  int lane = lane_open();
  begin(1);
  taken_from(lane, AXO_REQ_SPAWN);
  close(lane);
  run_some();
  assert_int_equal(ran.exits[1], 0);
  exits_on(guest, lane_id, -1, false);
  run_until(&ran.exits[1], 1);
  assert_int_equal(ran.signal[1], SIGKILL);
}

/* Both lie there when it looks: the command ended well, and then the lane. */
static void believes_the_command_before_the_lane(void **state) {
  (void)state;
  int lane = lane_open();
  begin(1);
  exits_on(guest, lane_id, -1, false);
  exits_on(lane, taken_from(lane, AXO_REQ_SPAWN), 6, false);
  close(lane);
  run_until(&ran.exits[1], 1);
  assert_int_equal(ran.code[1], 6);
}

static void fails_with_the_guest(void **state) {
  (void)state;
  int lane = lane_open();
  begin(1);
  close(guest);
  guest = -1;
  run_until(&ran.exits[1], 1);
  assert_int_equal(ran.failure[1], UV_ECONNRESET);
  close(lane);
}

static void open_again(void) {
  axo_link_close(link_);
  close(guest);
  memset(&heard, 0, sizeof heard);
  open_link(getpid());
  guest = connect_to_host();
  hello();
  run_until(&heard.ups, 1);
}

static void takes_no_nonsense_on_it(void **state) {
  (void)state;
  static const uint8_t types[] = {
      AXO_EV_HELLO, AXO_EV_SPAWNED, AXO_EV_DONE, AXO_EV_LISTED, AXO_EV_NEW, 0, 255};
  static const char nothing[64];
  for (size_t i = 0; i < sizeof types; i++) {
    int lane = lane_open();
    begin(1);
    uint64_t id = taken_from(lane, AXO_REQ_SPAWN);
    say_on(lane, types[i], id, nothing, types[i] == AXO_EV_HELLO ? 8 : 0);
    expect_down(UV_EPROTO);
    assert_int_equal(ran.failure[1], UV_ECONNRESET);
    close(lane);
    open_again();
  }
}

static void takes_no_end_of_something_else_on_it(void **state) {
  (void)state;
  int lane = lane_open();
  begin(1);
  taken_from(lane, AXO_REQ_SPAWN);
  begin(2);
  exits_on(lane, take_request(AXO_REQ_SPAWN, NULL), 0, false);
  expect_down(UV_EPROTO);
  assert_int_equal(ran.failure[2], UV_ECONNRESET);
  close(lane);
}

/* What is no socket is no lane. */
static void takes_only_sockets(void **state) {
  (void)state;
  const char *paths[] = {"/proc/self/exe", "/dev/null", "/dev/zero"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    axo_exited_t body = {.lane = 1};
    int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
    begin(1);
    uint64_t id = take_request(AXO_REQ_SPAWN, NULL);
    say(&(event_t){AXO_EV_EXITED, id, &body, sizeof body, &fd, 1, 0});
    close(fd);
    run_until(&ran.exits[1], 1);
    assert_int_equal(ran.failure[1], 0);
    begin(2);
    wait_for_request();
    assert_int_equal(take_request(AXO_REQ_FORGET, NULL), id);
    id = take_request(AXO_REQ_SPAWN, NULL);
    exits_on(guest, id, 0, false);
    run_until(&ran.exits[2], 1);
  }
}

/* A guest that says so, and sends none. */
static void gives_back_what_did_not_arrive(void **state) {
  (void)state;
  axo_exited_t body = {.lane = 1};
  begin(1);
  uint64_t id = take_request(AXO_REQ_SPAWN, NULL);
  say(&(event_t){AXO_EV_EXITED, id, &body, sizeof body, NULL, 0, 0});
  run_until(&ran.exits[1], 1);
  assert_int_equal(take_request(AXO_REQ_FORGET, NULL), id);
}

static void may_be_closed_while_it_is_used(void **state) {
  (void)state;
  int lane = lane_open();
  begin(1);
  axo_link_close(link_);
  link_ = NULL;
  run_until(&ran.exits[1], 1);
  assert_int_equal(ran.failure[1], UV_ECONNRESET);
  close(lane);
}

/* ---- what crosses each other ----------------------------------------------------- */

/* The signal is on the way to the command when its end comes, with a lane: it would
 * meet what runs there next. */
static void takes_none_of_a_command_that_was_signalled(void **state) {
  (void)state;
  axo_process_t *p = begin(1);
  lane_id = take_request(AXO_REQ_SPAWN, NULL);
  assert_int_equal(axo_link_exec_signal(p, SIGTERM, true, NULL, NULL, NULL), 0);
  assert_int_equal(take_signal(), SIGTERM);
  int lane = lend(lane_id);
  run_until(&ran.exits[1], 1);
  expect_given_back(lane);
}

/* They were in use when the session was emptied, and the guest may not have come to
 * that yet. */
static void uses_none_again_that_was_in_use_at_a_kill_of_all(void **state) {
  (void)state;
  answers = 0;
  int lane = lane_open();
  begin(1);
  uint64_t first = taken_from(lane, AXO_REQ_SPAWN);
  begin(2);
  uint64_t second = take_request(AXO_REQ_SPAWN, NULL);
  assert_int_equal(axo_link_kill_all(link_, on_answer, NULL, NULL), 0);
  uint64_t all = take_request(AXO_REQ_KILL_ALL, NULL);
  exits_on(lane, first, 0, false);
  run_until(&ran.exits[1], 1);
  expect_given_back(lane);
  lane_id = second;
  lane = lend(second);
  run_until(&ran.exits[2], 1);
  expect_given_back(lane);
  say(&(event_t){AXO_EV_DONE, all, NULL, 0, NULL, 0, 0});
  run_until(&answers, 1);
}

/* The number of its descriptor may be another's by the time that it is over. */
static int seen_bytes;
static void on_output_(axo_process_t *p, int stream, const char *bytes, size_t len) {
  (void)p, (void)stream, (void)bytes;
  seen_bytes += (int)len;
}

static void leaves_other_descriptors_alone(void **state) {
  (void)state;
  int out = -1;
  char *argv[] = {"true", NULL};
  axo_spawn_spec_t spec = {.kind = AXO_EXEC, .argv = argv};
  axo_process_options_t options = {.merge_stderr = true,
                                   .on_output = on_output_,
                                   .on_exit = on_exit_,
                                   .data = (void *)(intptr_t)2};
  axo_process_t *process;
  int lane = lane_open();
  begin(1);
  taken_from(lane, AXO_REQ_SPAWN);
  shutdown(lane, SHUT_RDWR);
  run_some();
  seen_bytes = ran.exits[2] = 0;
  assert_int_equal(axo_link_exec(link_, &spec, &options, &process, NULL), 0);
  uint64_t id = take_request_with(AXO_REQ_SPAWN, NULL, &out);
  run_some();
  exits_on(guest, lane_id, -1, false);
  run_until(&ran.exits[1], 1);
  assert_int_equal(write(out, "x", 1), 1);
  run_until(&seen_bytes, 1);
  close(out);
  exits_on(guest, id, 0, false);
  run_until(&ran.exits[2], 1);
  close(lane);
}

/* A callback hears of the end of the link before the lane does. */
static int began;
static void on_exit_begin(axo_process_t *p, const axo_process_result_t *result) {
  char *argv[] = {"true", NULL};
  axo_spawn_spec_t spec = {.kind = AXO_EXEC, .argv = argv};
  axo_process_options_t options = {.on_exit = on_exit_, .data = (void *)(intptr_t)2};
  axo_process_t *process;
  began = axo_link_exec(link_, &spec, &options, &process, NULL);
  on_exit_(p, result);
}

static void starts_nothing_when_the_link_goes(void **state) {
  (void)state;
  char *argv[] = {"true", NULL};
  axo_spawn_spec_t spec = {.kind = AXO_EXEC, .argv = argv};
  axo_process_options_t options = {.on_exit = on_exit_begin,
                                   .data = (void *)(intptr_t)1};
  axo_process_t *process;
  ran.exits[1] = 0;
  assert_int_equal(axo_link_exec(link_, &spec, &options, &process, NULL), 0);
  take_request(AXO_REQ_SPAWN, NULL);
  int lane = lane_open();
  close(guest);
  guest = -1;
  run_until(&ran.exits[1], 1);
  assert_int_equal(began, UV_ENOTCONN);
  assert_true(has_hung_up(lane));
  close(lane);
}

/* One that is readable for ever and has nothing to read. */
static void takes_only_sockets_of_packets(void **state) {
  (void)state;
  static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    int pair[2];
    axo_exited_t body = {.lane = 1};
    begin(1);
    uint64_t id = take_request(AXO_REQ_SPAWN, NULL);
    assert_int_equal(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, pair), 0);
    shutdown(pair[1], SHUT_RD);
    say(&(event_t){AXO_EV_EXITED, id, &body, sizeof body, &pair[1], 1, 0});
    close(pair[1]);
    run_until(&ran.exits[1], 1);
    wait_for_request();
    assert_int_equal(take_request(AXO_REQ_FORGET, NULL), id);
    close(pair[0]);
  }
}

/* The command has ended, its descendants have the output; then the lane is lost. */
static void is_over_for_what_is_left_there(void **state) {
  (void)state;
  int out = -1;
  char *argv[] = {"true", NULL};
  axo_spawn_spec_t spec = {.kind = AXO_EXEC, .argv = argv};
  axo_process_options_t options = {.drain_ms = 60000,
                                   .merge_stderr = true,
                                   .on_exit = on_exit_,
                                   .data = (void *)(intptr_t)1};
  axo_process_t *process;
  int lane = lane_open(), link = guest;
  ran.exits[1] = 0;
  assert_int_equal(axo_link_exec(link_, &spec, &options, &process, NULL), 0);
  guest = lane;
  uint64_t id = take_request_with(AXO_REQ_SPAWN, NULL, &out);
  guest = link;
  exits_on(lane, id, 5, true);
  run_some();
  assert_int_equal(ran.exits[1], 0);
  close(lane);
  exits_on(guest, lane_id, -1, false);
  run_until(&ran.exits[1], 1);
  assert_int_equal(ran.code[1], 5);
  close(out);
}

/* Too large for a lane: it goes by the link, and brings no other one. */
static void asks_for_none_while_one_is_idle(void **state) {
  (void)state;
  static char large[AXO_PACKET_MAX];
  static _Alignas(16) char buf[AXO_PACKET_MAX];
  memset(large, 'x', sizeof large - 1);
  char *argv[] = {"true", large, NULL};
  axo_spawn_spec_t spec = {.kind = AXO_EXEC, .argv = argv};
  axo_process_options_t options = {.on_exit = on_exit_, .data = (void *)(intptr_t)1};
  axo_process_t *process;
  int lane = lane_open();
  ran.exits[1] = 0;
  assert_int_equal(axo_link_exec(link_, &spec, &options, &process, NULL), 0);
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * AXO_FDS_MAX)];
  struct iovec iov = {buf, sizeof buf};
  struct msghdr msg = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
  assert_true(recvmsg(guest, &msg, MSG_CMSG_CLOEXEC) > 0);
  int fds[4];
  axo_spawn_t fixed;
  memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof fds);
  assert_int_equal(pread(fds[3], &fixed, sizeof fixed, 0), sizeof fixed);
  assert_int_equal(fixed.flags, 0);
  for (int i = 0; i < 4; i++)
    close(fds[i]);
  exits_on(guest, ((axo_packet_t *)(void *)buf)->id, 0, false);
  run_until(&ran.exits[1], 1);
  close(lane);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      UP_TEST(does_without_one_that_has_gone),
      UP_TEST(hears_of_its_loss_from_the_guest),
      UP_TEST(believes_the_command_before_the_lane),
      UP_TEST(fails_with_the_guest),
      UP_TEST(takes_no_nonsense_on_it),
      UP_TEST(takes_no_end_of_something_else_on_it),
      UP_TEST(takes_only_sockets),
      UP_TEST(gives_back_what_did_not_arrive),
      UP_TEST(may_be_closed_while_it_is_used),
      UP_TEST(takes_none_of_a_command_that_was_signalled),
      UP_TEST(uses_none_again_that_was_in_use_at_a_kill_of_all),
      UP_TEST(leaves_other_descriptors_alone),
      UP_TEST(starts_nothing_when_the_link_goes),
      UP_TEST(takes_only_sockets_of_packets),
      UP_TEST(is_over_for_what_is_left_there),
      UP_TEST(asks_for_none_while_one_is_idle),
  };
  return cmocka_run_group_tests_name("faults of lanes", tests, warm_up, NULL);
}
