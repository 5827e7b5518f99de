/* Lanes: supervisors that are lent to a host, straight to which it sends commands. */
#include "guest_support.h"

#include <sys/sysmacros.h>

/* A lane is spoken to as a link is; `id` is its name on the link. */
typedef struct lane {
  host_t end;
  uint64_t id;
} lane_t;

/* An exec that asks for one, and gets it. */
static lane_t lane_open(host_t *host, const char *script) {
  exec_t exec = exec_begin(
      host, (spawn_t){.argv = {"/bin/sh", "-c", script}, .flags = AXO_SPAWN_LANE});
  event_t ev = expect_exit(host, exec.id, 0, 0);
  exec_close(&exec);
  assert_int_equal(ev.body.exited.lane, 1);
  assert_int_equal(ev.body.exited.left, 0);
  assert_int_equal(ev.fd_count, 1);
  return (lane_t){.end = {.fd = ev.fds[0], .last_id = 1000}, .id = exec.id};
}

static void lane_close(lane_t *lane) { host_close(&lane->end); }

static bool has_news(const host_t *host) { return is_readable(host->fd, 0); }

/* The guest says that it is over, and its end is closed. */
static void expect_over(const host_t *host, lane_t *lane) {
  event_t ev;
  expect_exit(host, lane->id, -1, SIGKILL);
  assert_false(receive(&lane->end, &ev));
  lane_close(lane);
}

static void forget(const host_t *host, const lane_t *lane) {
  send_request(host, &(request_t){.type = AXO_REQ_FORGET, .id = lane->id});
}

static void wait_gone(pid_t pid) {
  for (int i = 0; i < PATIENCE_MS && kill(pid, 0) == 0; i++)
    usleep(1000);
  assert_int_equal(kill(pid, 0), -1);
}

/* ---- using it -------------------------------------------------------------------- */

static void runs_one_command_after_the_other(void **state) {
  (void)state;
  char first[32];
  host_t host = host_open("a.sock");
  lane_t lane = lane_open(&host, "true");
  snprintf(first, sizeof first, "%s", shell(&lane.end, "echo $PPID"));
  for (int i = 0; i < 20; i++)
    assert_string_equal(shell(&lane.end, "echo $PPID"), first);
  assert_string_not_equal(shell(&host, "echo $PPID"), first);
  assert_false(has_news(&host));
  lane_close(&lane);
  host_close(&host);
}

static void runs_them_one_at_a_time(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  lane_t lane = lane_open(&host, "true");
  exec_t one = shell_begin(&lane.end, "read line; echo one");
  exec_t two = shell_begin(&lane.end, "echo two");
  assert_false(is_readable(two.out, 100));
  assert_int_equal(write(one.in, "\n", 1), 1);
  expect_exit(&lane.end, one.id, 0, 0);
  expect_exit(&lane.end, two.id, 0, 0);
  assert_string_equal(exec_output(&one), "one\n");
  assert_string_equal(exec_output(&two), "two\n");
  exec_close(&one);
  exec_close(&two);
  lane_close(&lane);
  host_close(&host);
}

static void says_why_one_did_not_start(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  lane_t lane = lane_open(&host, "true");
  exec_t exec = exec_begin(&lane.end, (spawn_t){.argv = {"/nowhere"}});
  expect_failed(&lane.end, exec.id, AXO_STAGE_EXEC, ENOENT);
  exec_close(&exec);
  assert_string_equal(shell(&lane.end, "echo goes on"), "goes on\n");
  lane_close(&lane);
  host_close(&host);
}

static void says_when_nothing_is_left(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  lane_t lane = lane_open(&host, "true");
  exec_t exec = shell_begin(&lane.end, "exec 3<&0; (read line <&3) & exit 3");
  event_t ev = expect_exit(&lane.end, exec.id, 3, 0);
  assert_int_equal(ev.body.exited.left, 1);
  assert_int_equal(write(exec.in, "\n", 1), 1);
  expect(&lane.end, AXO_EV_EMPTY, exec.id);
  exec_close(&exec);
  assert_string_equal(shell(&lane.end, "echo goes on"), "goes on\n");
  lane_close(&lane);
  host_close(&host);
}

/* What closes its output is not thereby over: the host would wake for nothing. */
static void holds_the_output_open_to_the_end(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  lane_t lane = lane_open(&host, "true");
  exec_t exec = shell_begin(&lane.end, "echo x; exec >&- 2>&-; read line");
  assert_string_equal(exec_line(&exec), "x");
  assert_false(is_readable(exec.out, 100));
  assert_int_equal(write(exec.in, "\n", 1), 1);
  expect_exit(&lane.end, exec.id, 0, 0);
  assert_string_equal(exec_output(&exec), "");
  exec_close(&exec);
  lane_close(&lane);
  host_close(&host);
}

/* The host's own device is not handed to the command. */
static void gives_the_container_s_null(void **state) {
  (void)state;
  int out[2];
  char body[4096], path[200];
  host_t host = host_open("a.sock");
  lane_t lane = lane_open(&host, "true");
  snprintf(path, sizeof path, "%s/null", guest.root);
  int null = -1;
  if (mknod(path, S_IFCHR | 0600, makedev(1, 3)) == 0)
    null = open(path, O_RDONLY | O_CLOEXEC);
  if (null <
      0) { /* not root, or a file system that is mounted nodev, as /tmp often is */
    lane_close(&lane);
    host_close(&host);
    skip();
  }
  assert_int_equal(pipe2(out, O_CLOEXEC), 0);
  spawn_t s = {.kind = AXO_KIND_EXEC, .argv = {"/bin/readlink", "/proc/self/fd/0"}};
  int fds[3] = {null, out[1], out[1]};
  uint64_t id = ask_spawn(&lane.end, &s, fds, 3);
  close(out[1]);
  expect_exit(&lane.end, id, 0, 0);
  ssize_t n = read(out[0], body, sizeof body);
  assert_int_equal(n, sizeof "/dev/null\n" - 1);
  assert_memory_equal(body, "/dev/null\n", (size_t)n);
  close(out[0]);
  close(null);
  lane_close(&lane);
  host_close(&host);
}

static void is_there_for_who_asks(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec = shell_begin(&host, "true");
  event_t ev = expect_exit(&host, exec.id, 0, 0);
  assert_int_equal(ev.body.exited.lane, 0);
  assert_int_equal(ev.fd_count, 0);
  exec_close(&exec);
  exec = exec_begin(&host,
                    (spawn_t){.argv = {"/bin/sh", "-c", "exec 3<&0; (read line <&3) &"},
                              .flags = AXO_SPAWN_LANE});
  ev = expect_exit(&host, exec.id, 0, 0);
  assert_int_equal(ev.body.exited.left, 1);
  assert_int_equal(ev.fd_count, 0);
  exec_close(&exec);
  expect(&host, AXO_EV_EMPTY, exec.id);
  host_close(&host);
}

/* ---- ending what runs on it ------------------------------------------------------ */

/* The command may not even have been looked at when the signal comes. */
static void is_killed_with_all_that_it_runs(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  for (int i = 0; i < 50; i++) {
    lane_t lane = lane_open(&host, "true");
    exec_t exec = shell_begin(&lane.end, "sleep 1000 & setsid sleep 1000 & sleep 1000");
    send_signal(&host, lane.id, SIGKILL, true);
    expect_death(&lane.end, exec.id, SIGKILL);
    exec_close(&exec);
    expect_over(&host, &lane);
  }
  host_close(&host);
}

static void passes_signals_on(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  lane_t lane = lane_open(&host, "true");
  for (int i = 0; i < 50; i++) {
    exec_t exec = shell_begin(&lane.end, "exec sleep 1000");
    send_signal(&host, lane.id, SIGTERM, i % 2);
    expect_death(&lane.end, exec.id, SIGTERM);
    exec_close(&exec);
  }
  forget(&host, &lane);
  lane_close(&lane);
  host_close(&host);
}

static void counts_what_it_signals(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  lane_t lane = lane_open(&host, "true");
  exec_t exec = shell_begin(&lane.end, "sleep 1000 & echo x; wait");
  assert_string_equal(exec_line(&exec), "x");
  assert_int_equal(count_signal(&host, lane.id, 0, true), 2);
  send_signal(&host, lane.id, SIGKILL, true);
  expect_death(&lane.end, exec.id, SIGKILL);
  exec_close(&exec);
  expect_over(&host, &lane);
  host_close(&host);
}

static pid_t begin_sleep(lane_t *lane, exec_t *exec, const char *script) {
  *exec = shell_begin(&lane->end, script);
  return (pid_t)atoi(exec_line(exec));
}

static void dies_with_its_host(void **state) {
  (void)state;
  exec_t exec;
  host_t host = host_open("a.sock");
  lane_t lane = lane_open(&host, "true");
  pid_t pid = begin_sleep(&lane, &exec, "echo $$; exec sleep 1000");
  host_close(&host); /* the lane stays open: it is the link that counts */
  wait_gone(pid);
  exec_close(&exec);
  lane_close(&lane);
}

/* What a host has sent and did not live to see started. */
static void starts_nothing_for_a_host_that_has_gone(void **state) {
  (void)state;
  for (int i = 0; i < 30; i++) {
    host_t host = host_open("a.sock");
    lane_t lane = lane_open(&host, "true");
    exec_t exec = shell_begin(&lane.end, "exec sleep 1000");
    host_close(&host);
    lane_close(&lane);
    assert_string_equal(exec_output(&exec), ""); /* it ends when nobody has it */
    exec_close(&exec);
  }
}

static void leaves_what_its_host_forgets(void **state) {
  (void)state;
  exec_t exec;
  host_t host = host_open("a.sock");
  lane_t lane = lane_open(&host, "true");
  pid_t pid = begin_sleep(&lane, &exec, "sleep 1000 >&- 2>&- & echo $!");
  expect_exit(&lane.end, exec.id, 0, 0);
  forget(&host, &lane);
  lane_close(&lane);
  host_close(&host);
  host = host_open("b.sock"); /* the guest has heard all of that */
  assert_int_equal(kill(pid, 0), 0);
  kill(pid, SIGKILL);
  exec_close(&exec);
  host_close(&host);
}

static void comes_back_when_it_is_forgotten(void **state) {
  (void)state;
  char first[32];
  host_t host = host_open("a.sock");
  lane_t lane = lane_open(&host, "true");
  snprintf(first, sizeof first, "%s", shell(&lane.end, "echo $PPID"));
  forget(&host, &lane);
  event_t ev;
  assert_false(receive(&lane.end, &ev)); /* it has let go, and says so to PID 1 next */
  lane_close(&lane);
  assert_false(has_news(&host));
  /* None is made while there is an idle one, so its turn comes. */
  exec_t execs[64];
  int count = 0;
  bool is_back = false;
  while (count < 64 && !is_back) {
    execs[count] = shell_begin(&host, "echo $PPID; read line");
    is_back = atoi(exec_line(&execs[count++])) == atoi(first);
  }
  assert_true(is_back);
  while (count > 0)
    exec_close(&execs[--count]);
  host_close(&host);
}

static void is_lost_with_its_supervisor(void **state) {
  (void)state;
  exec_t exec;
  host_t host = host_open("a.sock");
  lane_t lane = lane_open(&host, "true");
  pid_t sup = (pid_t)atoi(shell(&lane.end, "echo $PPID"));
  pid_t pid = begin_sleep(&lane, &exec, "echo $$; exec sleep 1000");
  assert_int_equal(kill(sup, SIGKILL), 0);
  expect_over(&host, &lane);
  wait_gone(pid);
  exec_close(&exec);
  assert_string_equal(shell(&host, "echo goes on"), "goes on\n");
  host_close(&host);
}

static void is_lost_when_the_session_is_emptied(void **state) {
  (void)state;
  event_t ev;
  host_t host = host_open("a.sock");
  lane_t lane = lane_open(&host, "true");
  uint64_t id = ++host.last_id;
  send_request(&host, &(request_t){.type = AXO_REQ_KILL_ALL, .id = id});
  expect_over(&host, &lane);
  assert_true(receive(&host, &ev));
  assert_int_equal(ev.head.type, AXO_EV_DONE);
  assert_string_equal(shell(&host, "echo goes on"), "goes on\n");
  host_close(&host);
}

static void takes_no_nonsense(void **state) {
  (void)state;
  static const uint8_t types[] = {0, AXO_REQ_SIGNAL, AXO_REQ_KILL_ALL, 128, 255};
  host_t host = host_open("a.sock");
  for (size_t i = 0; i < sizeof types; i++) {
    lane_t lane = lane_open(&host, "true");
    send_request(&lane.end, &(request_t){.type = types[i], .id = 7});
    expect_over(&host, &lane);
  }
  lane_t lane = lane_open(&host, "true");
  spawn_t task = {.kind = AXO_KIND_TASK, .argv = {"/bin/true"}, .name = "t"};
  int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  ask_spawn(&lane.end, &task, &bell, 1);
  expect_over(&host, &lane);
  close(bell);
  host_close(&host);
}

/* A host that reads nothing: when there is no room for an answer, the lane is over. */
static void loses_no_answer(void **state) {
  (void)state;
  char body[4096];
  int sent = 0, answered = 0, null = open("/dev/null", O_RDWR | O_CLOEXEC);
  int fds[3] = {null, null, null};
  event_t ev;
  host_t host = host_open("a.sock");
  lane_t lane = lane_open(&host, "true");
  spawn_t s = {.kind = AXO_KIND_EXEC, .argv = {"/bin/true"}};
  size_t len = spawn_body(body, &s);
  while (sent < 600) {
    request_t r = {AXO_REQ_SPAWN, (uint64_t)sent + 1, body, len, fds, 3, 0};
    int error = try_send(&lane.end, &r);
    if (error == 0)
      sent++;
    else if (error != EAGAIN)
      break;
    else
      usleep(1000);
  }
  while (answered < sent && receive(&lane.end, &ev))
    answered++;
  if (answered < sent)
    expect_exit(&host, lane.id, -1, SIGKILL);
  close(null);
  lane_close(&lane);
  host_close(&host);
}

/* Whoever may signal a supervisor may let it have no more descriptors. */
static void is_over_when_its_supervisor_cannot_take_it(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec =
      exec_begin(&host, (spawn_t){.argv = {"/bin/sh", "-c", "echo $PPID; read line"},
                                  .flags = AXO_SPAWN_LANE});
  pid_t sup = (pid_t)atoi(exec_line(&exec));
  assert_int_equal(prlimit(sup, RLIMIT_NOFILE, &(struct rlimit){3, 3}, NULL), 0);
  assert_int_equal(write(exec.in, "\n", 1), 1);
  event_t ev = expect_exit(&host, exec.id, 0, 0);
  exec_close(&exec);
  assert_int_equal(ev.fd_count, 1);
  lane_t lane = {.end = {.fd = ev.fds[0]}, .id = exec.id};
  expect_over(&host, &lane);
  host_close(&host);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      GUEST_TEST(runs_one_command_after_the_other),
      GUEST_TEST(runs_them_one_at_a_time),
      GUEST_TEST(says_why_one_did_not_start),
      GUEST_TEST(says_when_nothing_is_left),
      GUEST_TEST(holds_the_output_open_to_the_end),
      GUEST_TEST(gives_the_container_s_null),
      GUEST_TEST(is_there_for_who_asks),
      GUEST_TEST(is_killed_with_all_that_it_runs),
      GUEST_TEST(passes_signals_on),
      GUEST_TEST(counts_what_it_signals),
      GUEST_TEST(dies_with_its_host),
      GUEST_TEST(starts_nothing_for_a_host_that_has_gone),
      GUEST_TEST(leaves_what_its_host_forgets),
      GUEST_TEST(comes_back_when_it_is_forgotten),
      GUEST_TEST(is_lost_with_its_supervisor),
      GUEST_TEST(is_lost_when_the_session_is_emptied),
      GUEST_TEST(takes_no_nonsense),
      GUEST_TEST(loses_no_answer),
      GUEST_TEST(is_over_when_its_supervisor_cannot_take_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
