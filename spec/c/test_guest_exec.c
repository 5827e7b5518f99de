/* Foreground commands in the guest: what they get, how they fail, how they end. */
#include "guest_support.h"

#include <sys/resource.h>
#include <sys/syscall.h>

/* ---- running --------------------------------------------------------------------- */

static void runs_a_command(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec = exec_begin(&host, (spawn_t){.argv = {"/bin/sh", "-c", "cat; exit 7"}});
  assert_int_equal(write(exec.in, "in", 2), 2);
  close(exec.in);
  exec.in = -1;
  assert_string_equal(exec_output(&exec), "in");
  event_t ev = expect_exit(&host, exec.id, 7, 0);
  assert_int_equal(ev.body.exited.left, 0);
  assert_true(ev.body.exited.maxrss_kb > 0);
  exec_close(&exec);
  host_close(&host);
}

static void tells_a_signal_from_a_code(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec = shell_begin(&host, "kill -ABRT $$");
  expect_exit(&host, exec.id, -1, SIGABRT);
  exec_close(&exec);
  exec = shell_begin(&host, "exit 134");
  expect_exit(&host, exec.id, 134, 0);
  exec_close(&exec);
  host_close(&host);
}

static void uses_one_supervisor_again(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  char first[32];
  snprintf(first, sizeof first, "%s", shell(&host, "echo $PPID"));
  for (int i = 0; i < 20; i++)
    assert_string_equal(shell(&host, "echo $PPID"), first);
  host_close(&host);
}

static void runs_many_at_once(void **state) {
  (void)state;
  enum { COUNT = 100 };
  exec_t execs[COUNT];
  int seen = 0;
  host_t host = host_open("a.sock");
  for (int i = 0; i < COUNT; i++)
    execs[i] = shell_begin(&host, "read line");
  for (int i = 0; i < COUNT; i++)
    close(execs[i].in);
  for (int i = 0; i < COUNT; i++) {
    event_t ev;
    assert_true(receive(&host, &ev));
    assert_int_equal(ev.head.type, AXO_EV_EXITED);
    assert_int_equal(ev.body.exited.code, 1);
    seen++;
  }
  assert_int_equal(seen, COUNT);
  for (int i = 0; i < COUNT; i++)
    close(execs[i].out);
  host_close(&host);
}

/* What closes its output is not thereby over: the host would wake for nothing. */
static void holds_the_output_open_to_the_end(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec = shell_begin(&host, "echo x; exec >&- 2>&-; read line");
  assert_string_equal(exec_line(&exec), "x");
  assert_false(is_readable(exec.out, 100));
  assert_int_equal(write(exec.in, "\n", 1), 1);
  expect_exit(&host, exec.id, 0, 0);
  assert_string_equal(exec_output(&exec), "");
  exec_close(&exec);
  host_close(&host);
}

/* One that asks for what the guest no longer has. */
static void serves_an_older_host(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec = exec_begin(&host, (spawn_t){.argv = {"/bin/true"}, .flags = 1});
  event_t ev = expect_exit(&host, exec.id, 0, 0);
  assert_int_equal(ev.body.exited.reserved, 0);
  assert_int_equal(ev.fd_count, 0);
  exec_close(&exec);
  host_close(&host);
}

/* ---- failing --------------------------------------------------------------------- */

static void expect_refusal(host_t *host, spawn_t s, uint32_t stage, int error) {
  exec_t exec = exec_begin(host, s);
  expect_failed(host, exec.id, stage, error);
  assert_string_equal(exec_output(&exec), "");
  exec_close(&exec);
}

static void make_file(const char *name, const char *text, mode_t mode) {
  char path[160];
  snprintf(path, sizeof path, "%s/%s", guest.root, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  assert_int_equal(chmod(path, mode), 0);
}

static void names_the_stage_that_failed(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  char plain[160], noexec[160], directory[160];
  snprintf(plain, sizeof plain, "%s/plain", guest.root);
  snprintf(noexec, sizeof noexec, "%s/noexec", guest.root);
  snprintf(directory, sizeof directory, "%s", guest.root);
  make_file("plain", "text", 0644);
  make_file("noexec", "no program", 0755);
  expect_refusal(&host, (spawn_t){.argv = {"/nowhere"}}, AXO_STAGE_EXEC, ENOENT);
  expect_refusal(&host, (spawn_t){.argv = {"no-such-command"}}, AXO_STAGE_EXEC, ENOENT);
  expect_refusal(&host, (spawn_t){.argv = {""}}, AXO_STAGE_EXEC, ENOENT);
  expect_refusal(&host, (spawn_t){.argv = {plain}}, AXO_STAGE_EXEC, EACCES);
  expect_refusal(&host, (spawn_t){.argv = {noexec}}, AXO_STAGE_EXEC, ENOEXEC);
  expect_refusal(&host, (spawn_t){.argv = {directory}}, AXO_STAGE_EXEC, EACCES);
  expect_refusal(&host, (spawn_t){.argv = {"/bin/sh"}, .cwd = "/nowhere"},
                 AXO_STAGE_CWD, ENOENT);
  expect_refusal(&host, (spawn_t){.argv = {"/bin/sh"}, .cwd = plain}, AXO_STAGE_CWD,
                 ENOTDIR);
  expect_refusal(&host, (spawn_t){.argv = {"/bin/sh"}, .user = "no-such-user"},
                 AXO_STAGE_USER, ENOENT);
  expect_refusal(&host, (spawn_t){.argv = {"/bin/sh"}, .user = "0:no-such-group"},
                 AXO_STAGE_USER, ENOENT);
  assert_string_equal(shell(&host, "echo still here"), "still here\n");
  host_close(&host);
}

static void finds_commands_by_the_path_of_the_command(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  char path[200];
  make_file("tool", "#!/bin/sh\necho found\n", 0755);
  make_file("locked", "#!/bin/sh\n", 0644);
  snprintf(path, sizeof path, "PATH=::/nowhere:/dev/null:%s", guest.root);
  exec_t exec = exec_begin(&host, (spawn_t){.argv = {"tool"}, .env = {path}});
  assert_string_equal(exec_output(&exec), "found\n");
  expect_exit(&host, exec.id, 0, 0);
  exec_close(&exec);
  expect_refusal(&host, (spawn_t){.argv = {"locked"}, .env = {path}}, AXO_STAGE_EXEC,
                 EACCES);
  expect_refusal(&host, (spawn_t){.argv = {"tool"}, .env = {"PATH="}}, AXO_STAGE_EXEC,
                 ENOENT);
  host_close(&host);
}

/* ---- what a command gets --------------------------------------------------------- */

static void gives_directory_and_environment(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  setenv("AXO_TEST_UNUSED", "1", 1);
  exec_t exec =
      exec_begin(&host, (spawn_t){.argv = {"/bin/sh", "-c", "pwd; echo $A-$B-$HOME"},
                                  .cwd = guest.root,
                                  .env = {"A=1", "B=", "HOME=/h"}});
  assert_string_equal(exec_line(&exec), guest.root);
  assert_string_equal(exec_line(&exec), "1--/h");
  expect_exit(&host, exec.id, 0, 0);
  exec_close(&exec);
  host_close(&host);
}

static void leaves_nothing_of_its_own_behind(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  assert_string_equal(shell(&host, "ls /proc/self/fd | wc -l"), "4\n"); /* and ls's */
  assert_string_equal(shell(&host, "grep -c 'SigBlk:.0000000000000000' "
                                   "/proc/self/status"),
                      "1\n");
  assert_string_equal(shell(&host, "read -r a b c d e s f < /proc/self/stat; "
                                   "[ $a = $e ] && [ $a = $s ] && echo leads"),
                      "leads\n");
  host_close(&host);
}

static void takes_a_large_command_line(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  static char body[200000];
  static char word[150000];
  memset(word, 'w', sizeof word - 1);
  axo_spawn_t fixed = {.kind = AXO_KIND_EXEC, .argc = 4};
  size_t len = sizeof fixed + 2;
  memcpy(body, &fixed, sizeof fixed);
  const char *argv[] = {"/bin/sh", "-c", "echo ${#0} ${#1}"};
  for (int i = 0; i < 3; i++)
    len += (size_t)sprintf(body + len, "%s", argv[i]) + 1;
  word[100000] = 0;
  len += (size_t)sprintf(body + len, "%s", word) + 1;
  int file = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING), out[2];
  assert_int_equal(write(file, body, len), (ssize_t)len);
  assert_int_equal(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
  assert_int_equal(pipe2(out, O_CLOEXEC), 0);
  int fds[4] = {out[1], out[1], out[1], file};
  send_request(&host,
               &(request_t){AXO_REQ_SPAWN, 5, NULL, len, fds, 4, AXO_FLAG_MEMFD});
  close(out[1]);
  close(file);
  exec_t exec = {.id = 5, .in = -1, .out = out[0]};
  assert_string_equal(exec_output(&exec), "100000 0\n");
  expect_exit(&host, 5, 0, 0);
  close(out[0]);
  host_close(&host);
}

/* ---- bookkeeping ----------------------------------------------------------------- */

static void keeps_no_descriptors(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  shell(&host, "true");
  int before = count_fds(guest.pid);
  for (int i = 0; i < 30; i++) {
    exec_t exec = exec_begin(&host, (spawn_t){.argv = {"/nowhere"}});
    expect_failed(&host, exec.id, AXO_STAGE_EXEC, ENOENT);
    exec_close(&exec);
    shell(&host, "true");
  }
  assert_int_equal(count_fds(guest.pid), before);
  host_close(&host);
}

static void gives_the_limits_of_the_container(void **state) {
  (void)state;
  struct rlimit limit;
  char text[32];
  if (getenv("AXO_VALGRIND"))
    return; /* which keeps some descriptors for itself */
  host_t host = host_open("a.sock");
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  snprintf(text, sizeof text, "%llu\n", (unsigned long long)limit.rlim_cur);
  assert_string_equal(shell(&host, "ulimit -Sn"), text);
  host_close(&host);
}

/* sched_getattr(2), as linux/sched/types.h has it. */
struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

static struct attributes attributes_of(pid_t pid) {
  struct attributes a = {0};
  assert_int_equal(syscall(SYS_sched_getattr, pid, &a, sizeof a, 0), 0);
  return a;
}

/* Of the guest's processes it is, where the kernel can: they get their turn soon. */
static void schedules_its_own_alike_and_commands_as_others(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec = shell_begin(&host, "echo $PPID; echo $$; read line");
  pid_t sup = (pid_t)atoi(exec_line(&exec)), command = (pid_t)atoi(exec_line(&exec));
  struct attributes pid1 = attributes_of(guest.pid), own = attributes_of(sup);
  struct attributes theirs = attributes_of(command), ours = attributes_of(0);
  assert_memory_equal(&own, &pid1, sizeof own);
  assert_memory_equal(&theirs, &ours, sizeof theirs);
  exec_close(&exec);
  expect_exit(&host, exec.id, 1, 0);
  host_close(&host);
}

static void knows_what_an_exec_leaves(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec = shell_begin(&host, "setsid sleep 1000 >/dev/null 2>&1 & echo $!");
  pid_t left = (pid_t)atol(exec_line(&exec));
  event_t ev = expect_exit(&host, exec.id, 0, 0);
  assert_int_equal(ev.body.exited.left, 1);
  assert_int_equal(kill(left, SIGKILL), 0);
  expect(&host, AXO_EV_EMPTY, exec.id);
  exec_close(&exec);
  host_close(&host);
}

/* More than a pipe holds, after nobody reads any more. */
static void lets_what_is_left_go_on(void **state) {
  (void)state;
  static const char script[] =
      "exec 3<&0; (read line <&3; i=0; while [ $i -lt 60 ]; do printf %4096s; "
      "printf %4096s >&2; i=$((i + 1)); done; echo well >marker) & echo begun";
  char path[160];
  host_t host = host_open("a.sock");
  exec_t exec = exec_begin(
      &host, (spawn_t){.argv = {"/bin/sh", "-c", script}, .cwd = guest.root});
  assert_string_equal(exec_line(&exec), "begun");
  assert_int_equal(expect_exit(&host, exec.id, 0, 0).body.exited.left, 1);
  send_request(&host, &(request_t){.type = AXO_REQ_FORGET, .id = exec.id});
  close(exec.out);
  host_t other = host_open("b.sock"); /* the guest has heard of that */
  host_close(&host);
  assert_string_equal(shell(&other, "echo another"), "another\n");
  assert_int_equal(write(exec.in, "\n", 1), 1);
  close(exec.in);
  snprintf(path, sizeof path, "%s/marker", guest.root);
  for (int i = 0; i < PATIENCE_MS / 10 && access(path, F_OK) != 0; i++)
    usleep(10000);
  assert_int_equal(access(path, F_OK), 0);
  host_close(&other);
}

/* PID 1 may hold more memory than any of them. */
static void is_chosen_before_the_guest_when_memory_is_short(void **state) {
  (void)state;
  char path[40], own[16] = {0};
  host_t host = host_open("a.sock");
  snprintf(path, sizeof path, "/proc/%ld/oom_score_adj", (long)guest.pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  assert_true(fd >= 0 && read(fd, own, sizeof own - 1) > 0);
  close(fd);
  long score = strtol(shell(&host, "cat /proc/self/oom_score_adj"), NULL, 10);
  assert_true(score > strtol(own, NULL, 10) || score == 1000);
  host_close(&host);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      GUEST_TEST(lets_what_is_left_go_on),
      GUEST_TEST(is_chosen_before_the_guest_when_memory_is_short),
      GUEST_TEST(runs_a_command),
      GUEST_TEST(tells_a_signal_from_a_code),
      GUEST_TEST(uses_one_supervisor_again),
      GUEST_TEST(runs_many_at_once),
      GUEST_TEST(holds_the_output_open_to_the_end),
      GUEST_TEST(serves_an_older_host),
      GUEST_TEST(names_the_stage_that_failed),
      GUEST_TEST(finds_commands_by_the_path_of_the_command),
      GUEST_TEST(gives_directory_and_environment),
      GUEST_TEST(leaves_nothing_of_its_own_behind),
      GUEST_TEST(takes_a_large_command_line),
      GUEST_TEST(keeps_no_descriptors),
      GUEST_TEST(gives_the_limits_of_the_container),
      GUEST_TEST(schedules_its_own_alike_and_commands_as_others),
      GUEST_TEST(knows_what_an_exec_leaves),
  };
  return cmocka_run_group_tests_name("guest: exec", tests, NULL, NULL);
}
