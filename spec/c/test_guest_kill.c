/* Ending work in the guest: whole trees, whatever they do about it. */
#include "guest_support.h"

#include <sys/epoll.h>

static bool is_alive(pid_t pid) {
  char path[40], text[512] = "";
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  const char *name = n > 0 ? strrchr(text, ')') : NULL;
  return name && name[2] != 'Z' && name[2] != 'X'; /* X: it is being reaped */
}

static void await_death(pid_t pid) {
  for (int ms = 0; ms < PATIENCE_MS && is_alive(pid); ms += 5)
    usleep(5000);
  assert_false(is_alive(pid));
}

static pid_t read_pid(const exec_t *exec) { return (pid_t)atol(exec_line(exec)); }

/* ---- signals --------------------------------------------------------------------- */

static void signals_one_or_all_and_counts(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec = shell_begin(&host, "trap 'echo main' USR1; "
                                   "sh -c 'trap \"echo child\" USR1; echo up; "
                                   "while :; do sleep 1; done' & "
                                   "while :; do wait; done");
  assert_string_equal(exec_line(&exec), "up");
  assert_int_equal(count_signal(&host, exec.id, SIGUSR1, false), 1);
  assert_string_equal(exec_line(&exec), "main");
  assert_true(count_signal(&host, exec.id, 0, true) >= 2);
  assert_true(count_signal(&host, exec.id, SIGKILL, true) >= 2);
  expect_death(&host, exec.id, SIGKILL);
  axo_signal_t late = {.work = exec.id, .signal = SIGTERM, .tree = 1};
  send_request(&host, &(request_t){AXO_REQ_SIGNAL, 77, &late, sizeof late, NULL, 0, 0});
  expect_failed(&host, 77, AXO_STAGE_WORK, ESRCH);
  exec_close(&exec);
  host_close(&host);
}

/* It reaches the command, not nobody: also when that has not even started. */
static void signals_what_is_about_to_start(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  for (int i = 0; i < 50; i++) {
    exec_t exec = exec_begin(&host, (spawn_t){.argv = {"/bin/sleep", "1000"}});
    send_signal(&host, exec.id, SIGTERM, true);
    expect_death(&host, exec.id, SIGTERM);
    exec_close(&exec);
  }
  host_close(&host);
}

static void kills_what_it_has_just_been_given(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  for (int i = 0; i < 50; i++) {
    exec_t exec = shell_begin(&host, "trap '' TERM; sleep 1000");
    send_signal(&host, exec.id, SIGKILL, true);
    expect_death(&host, exec.id, SIGKILL);
    exec_close(&exec);
  }
  host_close(&host);
}

static void kills_daemons(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec =
      shell_begin(&host, "(setsid sh -c 'setsid sleep 1000 & echo $!; wait' &) "
                         "; exec sleep 1000");
  pid_t daemon = read_pid(&exec);
  send_signal(&host, exec.id, SIGKILL, true);
  event_t ev = expect(&host, AXO_EV_EXITED, exec.id);
  if (ev.body.exited.left)
    expect(&host, AXO_EV_EMPTY, exec.id);
  assert_false(is_alive(daemon));
  exec_close(&exec);
  host_close(&host);
}

static void kills_what_is_stopped(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec = shell_begin(&host, "echo up; kill -STOP $$");
  assert_string_equal(exec_line(&exec), "up");
  send_signal(&host, exec.id, SIGKILL, true);
  expect_death(&host, exec.id, SIGKILL);
  exec_close(&exec);
  host_close(&host);
}

/* ---- links that break ------------------------------------------------------------ */

static void foreground_dies_with_its_host(void **state) {
  (void)state;
  host_t host = host_open("a.sock"), other = host_open("b.sock");
  exec_t exec = shell_begin(&host, "setsid sleep 1000 & echo $!; wait");
  exec_t kept = shell_begin(&other, "read line; echo $line");
  pid_t pid = read_pid(&exec);
  host_close(&host);
  await_death(pid);
  assert_string_equal(exec_output(&exec), "");
  assert_int_equal(write(kept.in, "here\n", 5), 5);
  assert_string_equal(exec_line(&kept), "here");
  expect_exit(&other, kept.id, 0, 0);
  exec_close(&exec);
  exec_close(&kept);
  host_close(&other);
}

/* ---- supervisors ----------------------------------------------------------------- */

static void survives_the_death_of_a_supervisor(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec = shell_begin(&host, "setsid sleep 1000 & echo $!; echo $PPID; wait");
  pid_t left = read_pid(&exec), supervisor = read_pid(&exec);
  assert_int_equal(kill(supervisor, SIGKILL), 0);
  expect_death(&host, exec.id, SIGKILL);
  await_death(left);
  assert_string_equal(shell(&host, "echo fine"), "fine\n");
  exec_close(&exec);
  host_close(&host);
}

/* One that is idle is missed by nobody. */
static void survives_the_death_of_idle_supervisors(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  for (int i = 0; i < 20; i++) {
    pid_t supervisor = (pid_t)atol(shell(&host, "echo $PPID"));
    assert_int_equal(kill(supervisor, SIGKILL), 0);
    await_death(supervisor);
    assert_string_equal(shell(&host, "echo fine"), "fine\n");
  }
  host_close(&host);
}

static void cannot_be_held_up_by_a_stopped_supervisor(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec = shell_begin(&host, "echo $PPID; kill -STOP $PPID; sleep 1000");
  read_pid(&exec);
  send_signal(&host, exec.id, SIGKILL, true);
  expect_death(&host, exec.id, SIGKILL);
  exec_close(&exec);
  for (int i = 0; i < 20; i++) {
    pid_t supervisor = (pid_t)atol(shell(&host, "echo $PPID"));
    assert_int_equal(kill(supervisor, SIGSTOP), 0);
    assert_string_equal(shell(&host, "echo fine"), "fine\n");
  }
  host_close(&host);
}

/* ---- many ------------------------------------------------------------------------ */

static int count_children(pid_t parent) {
  char path[64], line[65536];
  int count = 0;
  snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)parent,
           (long)parent);
  FILE *f = fopen(path, "r");
  if (f && fgets(line, sizeof line, f))
    for (const char *at = line; *at; at++)
      count += *at == ' ';
  if (f)
    fclose(f);
  return count;
}

/* Each is given up by its parent at once: all are the supervisor's, and reaped. */
static void reaps_thousands_of_orphans(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec = shell_begin(
      &host,
      "echo $PPID; many='true & true & true & true & true & true & true & true &'; "
      "i=0; while [ $i -lt 125 ]; do (eval \"$many $many\"); i=$((i + 1)); done");
  pid_t supervisor = read_pid(&exec);
  event_t ev = expect_exit(&host, exec.id, 0, 0);
  if (ev.body.exited.left)
    expect(&host, AXO_EV_EMPTY, exec.id);
  assert_int_equal(count_children(supervisor), 0);
  exec_close(&exec);
  host_close(&host);
}

static void gives_up_supervisors_that_nobody_needs(void **state) {
  (void)state;
  enum { COUNT = 40 };
  exec_t execs[COUNT];
  event_t ev;
  host_t host = host_open("a.sock");
  for (int i = 0; i < COUNT; i++)
    execs[i] = shell_begin(&host, "echo up; read line");
  for (int i = 0; i < COUNT; i++)
    assert_string_equal(exec_line(&execs[i]), "up");
  assert_true(count_children(guest.pid) >= COUNT);
  for (int i = 0; i < COUNT; i++) {
    exec_close(&execs[i]);
    assert_true(receive(&host, &ev));
  }
  for (int ms = 0; ms < PATIENCE_MS && count_children(guest.pid) > 8; ms += 20)
    usleep(20000);
  assert_int_equal(count_children(guest.pid), 8);
  host_close(&host);
}

/* ---- as PID 1 -------------------------------------------------------------------- */

static uint64_t ask_kill_all(host_t *host) {
  uint64_t id = ++host->last_id;
  send_request(host, &(request_t){.type = AXO_REQ_KILL_ALL, .id = id});
  return id;
}

static void empties_the_session(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t a = shell_begin(&host, "trap '' TERM; setsid sleep 1000 & echo up; wait");
  exec_t b = shell_begin(&host, "echo up; exec sleep 1000");
  assert_string_equal(exec_line(&a), "up");
  assert_string_equal(exec_line(&b), "up");
  uint64_t id = ask_kill_all(&host);
  for (int seen = 0; seen < 3; seen++) {
    event_t ev;
    assert_true(receive(&host, &ev));
    if (ev.head.type == AXO_EV_EXITED)
      assert_int_equal(ev.body.exited.signal, SIGKILL);
    else
      assert_int_equal(ev.head.id, id);
  }
  assert_string_equal(shell(&host, "echo fine"), "fine\n");
  exec_close(&a);
  exec_close(&b);
  host_close(&host);
}

static void answers_after_the_last_death(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  for (int i = 0; i < 10; i++) {
    exec_t exec = shell_begin(&host, "sleep 1000 & sleep 1000 & echo up; wait");
    assert_string_equal(exec_line(&exec), "up");
    uint64_t id = ask_kill_all(&host);
    expect_death(&host, exec.id, SIGKILL);
    expect(&host, AXO_EV_DONE, id);
    assert_string_equal(shell(&host, "grep -l sleep /proc/[0-9]*/comm; true"), "");
    exec_close(&exec);
  }
  host_close(&host);
}

/* A chain: each link makes a session and a child of its own and ends. There are never
 * many, and never the same. */
static void catches_what_runs_away(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  char body[200];
  snprintf(body, sizeof body, "%s/chain", guest.root);
  FILE *f = fopen(body, "w");
  assert_non_null(f);
  fprintf(f, "#!/bin/sh\n[ $1 -gt 0 ] && setsid \"$0\" $(($1 - 1)) &\n");
  fclose(f);
  assert_int_equal(chmod(body, 0755), 0);
  exec_t exec = exec_begin(&host, (spawn_t){.argv = {body, "100000"}});
  event_t ev = expect_exit(&host, exec.id, 0, 0);
  assert_int_equal(ev.body.exited.left, 1);
  usleep(50000);
  send_signal(&host, exec.id, SIGKILL, true);
  expect(&host, AXO_EV_EMPTY, exec.id);
  assert_string_equal(shell(&host, "grep -l chain /proc/[0-9]*/comm; true"), "");
  exec_close(&exec);
  host_close(&host);
}

static void is_not_ended_from_inside(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  shell(&host, "kill -TERM 1; kill -INT 1; kill -KILL 1; kill -STOP 1; kill -HUP 1; "
               "kill -RTMIN 1; kill -32 1; kill -33 1; kill -34 1; true");
  assert_string_equal(shell(&host, "echo here"), "here\n");
  host_close(&host);
}

static void reaps_what_nobody_owns(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec = shell_begin(&host, "echo $PPID; kill -KILL $PPID; "
                                   "for i in 1 2 3 4 5; do (sleep 1000 &); done; wait");
  expect_death(&host, exec.id, SIGKILL);
  exec_close(&exec);
  for (int ms = 0; ms < PATIENCE_MS; ms += 10) {
    if (!strcmp(shell(&host, "grep -l sleep /proc/[0-9]*/comm; true"), ""))
      break;
    usleep(10000);
  }
  assert_string_equal(shell(&host, "grep -l sleep /proc/[0-9]*/comm; "
                                   "grep -l '^State:.Z' /proc/[0-9]*/status; true"),
                      "");
  host_close(&host);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      GUEST_TEST(signals_one_or_all_and_counts),
      GUEST_TEST(signals_what_is_about_to_start),
      GUEST_TEST(kills_what_it_has_just_been_given),
      GUEST_TEST(kills_daemons),
      GUEST_TEST(kills_what_is_stopped),
      GUEST_TEST(foreground_dies_with_its_host),
      GUEST_TEST(survives_the_death_of_a_supervisor),
      GUEST_TEST(survives_the_death_of_idle_supervisors),
      GUEST_TEST(cannot_be_held_up_by_a_stopped_supervisor),
      GUEST_TEST(reaps_thousands_of_orphans),
      GUEST_TEST(gives_up_supervisors_that_nobody_needs),
      INIT_TEST(empties_the_session),
      INIT_TEST(answers_after_the_last_death),
      INIT_TEST(catches_what_runs_away),
      INIT_TEST(is_not_ended_from_inside),
      INIT_TEST(reaps_what_nobody_owns),
  };
  return cmocka_run_group_tests_name("guest: ending work", tests, NULL, NULL);
}
