/* lane_host.h: a lane from the host's side: the test plays the guest and its
 * supervisors. */
#ifndef LANE_HOST_H
#define LANE_HOST_H

#include "link_host.h"

/* ---- commands -------------------------------------------------------------------- */

/* Each command's end; `argv[0]` is its number. */
static struct {
  int exits[4];
  int code[4], signal[4], failure[4];
} ran;

static inline void on_exit_(axo_process_t *p, const axo_process_result_t *result) {
  int which = (int)(intptr_t)axo_process_data(p);
  ran.exits[which]++;
  ran.code[which] = result->code;
  ran.signal[which] = result->signal;
  ran.failure[which] = result->failure ? result->failure->code : 0;
}

static inline axo_process_t *begin(int which) {
  char *argv[] = {"true", NULL};
  axo_spawn_spec_t spec = {.kind = AXO_EXEC, .argv = argv};
  axo_process_options_t options = {.drain_ms = 50,
                                   .merge_stderr = true,
                                   .on_exit = on_exit_,
                                   .data = (void *)(intptr_t)which};
  axo_process_t *process;
  axo_err_t err;
  ran.exits[which] = 0;
  assert_int_equal(axo_link_exec(link_, &spec, &options, &process, &err), 0);
  return process;
}

static int answers;
static inline void on_answer(void *data, const axo_answer_t *answer) {
  (void)data;
  answers += answer->err == NULL;
}

/* ---- the other side -------------------------------------------------------------- */

/* What comes by a lane is taken as what comes by the link. */
static inline uint64_t taken_from(int lane, uint8_t type) {
  int link = guest;
  guest = lane;
  uint64_t id = take_request(type, NULL);
  guest = link;
  return id;
}

static inline int say_on(int fd, uint8_t type, uint64_t id, const void *body,
                         size_t len) {
  return send_event(fd, &(event_t){type, id, body, len, NULL, 0, 0});
}

static inline void exits_on(int fd, uint64_t id, int code, bool left) {
  axo_exited_t body = {.code = code, .signal = code < 0 ? SIGKILL : 0, .left = left};
  assert_int_equal(say_on(fd, AXO_EV_EXITED, id, &body, sizeof body), 0);
}

/* The command of this id has ended, and here is a lane: our end is returned. */
static inline int lend(uint64_t id) {
  int pair[2];
  axo_exited_t body = {.lane = 1};
  assert_int_equal(
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
  say(&(event_t){AXO_EV_EXITED, id, &body, sizeof body, &pair[1], 1, 0});
  close(pair[1]);
  return pair[0];
}

/* One that is idle. */
static uint64_t lane_id;
static inline int lane_open(void) {
  begin(0);
  lane_id = take_request(AXO_REQ_SPAWN, NULL);
  int lane = lend(lane_id);
  run_until(&ran.exits[0], 1);
  assert_int_equal(ran.failure[0], 0);
  return lane;
}

static inline bool has_hung_up(int fd) {
  char byte;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* It was given back, and nothing goes there any more. */
static inline void expect_given_back(int lane) {
  wait_for_request();
  assert_int_equal(take_request(AXO_REQ_FORGET, NULL), lane_id);
  assert_true(has_hung_up(lane));
  close(lane);
}

#endif /* LANE_HOST_H */
