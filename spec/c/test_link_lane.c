/* Lanes from the host's side: used, and given back. */
#include "lane_host.h"

/* ---- using one ------------------------------------------------------------------- */

static void sends_the_next_command_there(void **state) {
  (void)state;
  int lane = lane_open();
  for (int i = 0; i < 3; i++) {
    begin(1);
    assert_false(has_request());
    exits_on(lane, taken_from(lane, AXO_REQ_SPAWN), 5, false);
    run_until(&ran.exits[1], 1);
    assert_int_equal(ran.code[1], 5);
  }
  assert_false(has_request());
  close(lane);
}

static void sends_one_at_a_time(void **state) {
  (void)state;
  int lane = lane_open();
  begin(1);
  uint64_t first = taken_from(lane, AXO_REQ_SPAWN);
  begin(2);
  uint64_t second = take_request(AXO_REQ_SPAWN, NULL);
  int other = lend(second);
  run_until(&ran.exits[2], 1);
  exits_on(lane, first, 0, false);
  run_until(&ran.exits[1], 1);
  begin(1);
  begin(2);
  assert_false(has_request());
  exits_on(lane, taken_from(lane, AXO_REQ_SPAWN), 0, false);
  exits_on(other, taken_from(other, AXO_REQ_SPAWN), 0, false);
  run_until(&ran.exits[1], 1);
  run_until(&ran.exits[2], 1);
  close(lane);
  close(other);
}

static void says_why_one_did_not_start(void **state) {
  (void)state;
  const axo_failed_t body = {AXO_STAGE_EXEC, ENOENT};
  int lane = lane_open();
  begin(1);
  uint64_t id = taken_from(lane, AXO_REQ_SPAWN);
  assert_int_equal(say_on(lane, AXO_EV_FAILED, id, &body, sizeof body), 0);
  run_until(&ran.exits[1], 1);
  assert_int_equal(ran.failure[1], UV_ENOENT);
  begin(1);
  exits_on(lane, taken_from(lane, AXO_REQ_SPAWN), 0, false);
  run_until(&ran.exits[1], 1);
  close(lane);
}

/* A signal may come late, and would meet the next command. */
static void uses_none_again_that_was_signalled(void **state) {
  (void)state;
  int lane = lane_open();
  axo_process_t *p = begin(1);
  uint64_t id = taken_from(lane, AXO_REQ_SPAWN);
  assert_int_equal(axo_link_exec_signal(p, SIGINT, true, NULL, NULL, NULL), 0);
  static _Alignas(16) char body[AXO_PACKET_MAX];
  const axo_packet_t *head = (const axo_packet_t *)(const void *)body;
  take_packet(body, sizeof body, NULL, NULL);
  assert_int_equal(head->type, AXO_REQ_SIGNAL);
  assert_int_equal(((const axo_signal_t *)(const void *)(head + 1))->work, lane_id);
  exits_on(lane, id, 0, false);
  run_until(&ran.exits[1], 1);
  expect_given_back(lane);
}

static void gives_it_back_with_what_is_left_there(void **state) {
  (void)state;
  int lane = lane_open();
  begin(1);
  exits_on(lane, taken_from(lane, AXO_REQ_SPAWN), 0, true);
  wait_for_request(); /* how much is left */
  const axo_signalled_t body = {.count = 1};
  uint64_t id = take_request(AXO_REQ_SIGNAL, NULL);
  say(&(event_t){AXO_EV_SIGNALLED, id, &body, sizeof body, NULL, 0, 0});
  run_until(&ran.exits[1], 1);
  expect_given_back(lane);
}

static void gives_back_what_it_does_not_need(void **state) {
  (void)state;
  int lane = lane_open();
  begin(1);
  uint64_t first = taken_from(lane, AXO_REQ_SPAWN);
  begin(2);
  uint64_t second = take_request(AXO_REQ_SPAWN, NULL);
  int other = lend(second);
  run_until(&ran.exits[2], 1);
  exits_on(lane, first, 0, false);
  run_until(&ran.exits[1], 1);
  expect_given_back(lane); /* idle for long; the first one to become so stays */
  begin(1);
  exits_on(other, taken_from(other, AXO_REQ_SPAWN), 0, false);
  run_until(&ran.exits[1], 1);
  close(other);
}

/* What is asked of the guest now comes before what runs next. */
static void gives_it_back_before_the_session_is_emptied(void **state) {
  (void)state;
  answers = 0;
  int lane = lane_open();
  assert_int_equal(axo_link_kill_all(link_, on_answer, NULL, NULL), 0);
  expect_given_back(lane);
  uint64_t id = take_request(AXO_REQ_KILL_ALL, NULL);
  say(&(event_t){AXO_EV_DONE, id, NULL, 0, NULL, 0, 0});
  run_until(&answers, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      UP_TEST(sends_the_next_command_there),
      UP_TEST(sends_one_at_a_time),
      UP_TEST(says_why_one_did_not_start),
      UP_TEST(uses_none_again_that_was_signalled),
      UP_TEST(gives_it_back_with_what_is_left_there),
      UP_TEST(gives_back_what_it_does_not_need),
      UP_TEST(gives_it_back_before_the_session_is_emptied),
  };
  return cmocka_run_group_tests_name("lanes", tests, warm_up, NULL);
}
