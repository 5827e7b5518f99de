/* Which process has a socket open, and which work that belongs to. */
#include "guest_support.h"

#define NOBODY UINT64_C(18446744073709551615)

/* A socket of ours whose other end is `far`. */
typedef struct pair {
  int near, far;
  uint64_t inode; /* of `far` */
} pair_t;

static pair_t pair_open(void) {
  int fds[2];
  struct stat st;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  assert_int_equal(fstat(fds[1], &st), 0);
  return (pair_t){fds[0], fds[1], st.st_ino};
}

static void pair_close(const pair_t *pair) {
  close(pair->near);
  close(pair->far);
}

static uint64_t ask_owner(host_t *host, uint64_t inode) {
  axo_inode_t body = {inode};
  uint64_t id = ++host->last_id;
  send_request(host, &(request_t){AXO_REQ_OWNER, id, &body, sizeof body, NULL, 0, 0});
  return id;
}

static axo_owned_t owner_of(host_t *host, uint64_t inode) {
  uint64_t id = ask_owner(host, inode);
  return expect(host, AXO_EV_OWNER, id).body.owned;
}

static void expect_nobody(host_t *host, uint64_t inode) {
  axo_owned_t owner = owner_of(host, inode);
  assert_int_equal(owner.pid, 0);
  assert_int_equal(owner.id, 0);
  assert_int_equal(owner.cut, 0);
  assert_string_equal(owner.name, "");
}

/* A command whose stdin that is; it has said "up". */
static exec_t exec_with(host_t *host, const pair_t *pair, spawn_t s) {
  int out[2];
  assert_int_equal(pipe2(out, O_CLOEXEC), 0);
  s.kind = AXO_KIND_EXEC;
  int fds[3] = {pair->far, out[1], out[1]};
  exec_t exec = {.in = -1, .out = out[0], .id = ask_spawn(host, &s, fds, 3)};
  close(out[1]);
  assert_string_equal(exec_line(&exec), "up");
  return exec;
}

static spawn_t shell_of(const char *script) {
  return (spawn_t){.argv = {"/bin/sh", "-c", script}};
}

static void exec_kill(host_t *host, const exec_t *exec) {
  send_signal(host, exec->id, SIGKILL, true);
  expect_death(host, exec->id, SIGKILL);
  close(exec->out);
}

static void tells_the_command(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  pair_t pair = pair_open(), other = pair_open();
  exec_t exec = exec_with(&host, &pair, shell_of("echo up; exec sleep 1000"));
  axo_owned_t owner = owner_of(&host, pair.inode);
  assert_true(owner.pid > 1);
  assert_int_equal(owner.id, exec.id);
  assert_int_equal(owner.cut, 0);
  assert_string_equal(owner.name, "");
  expect_nobody(&host, other.inode);
  expect_nobody(&host, 0);
  expect_nobody(&host, NOBODY);
  exec_kill(&host, &exec);
  expect_nobody(&host, pair.inode);
  pair_close(&pair);
  pair_close(&other);
  host_close(&host);
}

/* Of the command itself nothing is left but what has left it. */
static void tells_it_of_what_has_gone_off(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  pair_t pair = pair_open();
  exec_t exec = exec_with(&host, &pair,
                          shell_of("exec 3<&0 </dev/null; "
                                   "(setsid sleep 1000 <&3 3<&- >/dev/null 2>&1 &); "
                                   "exec 3<&-; echo up; read line; exec sleep 1000"));
  axo_owned_t owner = owner_of(&host, pair.inode);
  assert_true(owner.pid > 1);
  assert_int_equal(owner.id, exec.id);
  exec_kill(&host, &exec);
  pair_close(&pair);
  host_close(&host);
}

static uint64_t task_with(host_t *host, const pair_t *pair, const char *name) {
  spawn_t s = {.kind = AXO_KIND_TASK,
               .argv = {"/bin/sh", "-c", "exec sleep 1000"},
               .name = name,
               .flags = AXO_SPAWN_STDIN};
  int fds[2] = {eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), pair->far};
  uint64_t id = ask_spawn(host, &s, fds, 2);
  event_t ev = expect(host, AXO_EV_SPAWNED, id);
  close_fds(&ev);
  close(fds[0]);
  return id;
}

/* By its name; the number is of the link that started it. */
static void tells_a_task_to_every_host(void **state) {
  (void)state;
  host_t host = host_open("a.sock"), other = host_open("b.sock");
  pair_t pair = pair_open();
  uint64_t id = task_with(&host, &pair, "a-task");
  expect(&other, AXO_EV_NEW, 0);
  axo_owned_t owner = owner_of(&host, pair.inode), seen;
  assert_int_equal(owner.id, id);
  assert_string_equal(owner.name, "a-task");
  seen = owner_of(&other, pair.inode);
  assert_int_equal(seen.pid, owner.pid);
  assert_int_equal(seen.id, 0);
  assert_string_equal(seen.name, "a-task");
  send_signal(&host, id, SIGKILL, true);
  expect_death(&host, id, SIGKILL);
  pair_close(&pair);
  host_close(&other);
  host_close(&host);
}

static void keeps_a_command_from_other_hosts(void **state) {
  (void)state;
  host_t host = host_open("a.sock"), other = host_open("b.sock");
  pair_t pair = pair_open();
  exec_t exec = exec_with(&host, &pair, shell_of("echo up; exec sleep 1000"));
  axo_owned_t owner = owner_of(&other, pair.inode);
  assert_true(owner.pid > 1);
  assert_int_equal(owner.id, 0);
  assert_string_equal(owner.name, "");
  exec_kill(&host, &exec);
  pair_close(&pair);
  host_close(&other);
  host_close(&host);
}

/* What /proc says of the guest's powers. */
static const char *powers(void) {
  static char text[4096];
  char path[40], whole[4096];
  snprintf(path, sizeof path, "/proc/%ld/status", (long)guest.pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = read(fd, whole, sizeof whole - 1);
  close(fd);
  assert_true(n > 0);
  whole[n] = 0;
  char *at = text;
  for (char *line = strtok(whole, "\n"); line; line = strtok(NULL, "\n"))
    if (!strncmp(line, "Uid", 3) || !strncmp(line, "Gid", 3) ||
        !strncmp(line, "Cap", 3))
      at += sprintf(at, "%s\n", line);
  return text;
}

/* The guest of a container cannot trace: it looks as that user, and is itself again. */
static void tells_a_command_of_another_user(void **state) {
  (void)state;
  char before[4096];
  if (geteuid() != 0)
    skip();
  host_t host = host_open("a.sock");
  pair_t pair = pair_open();
  strcpy(before, powers());
  spawn_t s = shell_of("echo up; exec sleep 1000");
  s.user = "4321:1234";
  s.cwd = "/";
  exec_t exec = exec_with(&host, &pair, s);
  axo_owned_t owner = owner_of(&host, pair.inode);
  assert_true(owner.pid > 1);
  assert_int_equal(owner.id, exec.id);
  assert_string_equal(powers(), before);
  exec_kill(&host, &exec);
  pair_close(&pair);
  host_close(&host);
}

/* ---- much that is open ----------------------------------------------------------- */

/* As the program of a command: opens so many, and stays. */
static int hold(int count) {
  struct rlimit limit = {(rlim_t)count + 64, (rlim_t)count + 64};
  setrlimit(RLIMIT_NOFILE, &limit);
  for (int i = 0; i < count; i++)
    if (fcntl(2, F_DUPFD, 3) < 0)
      return 1;
  puts("up");
  fflush(stdout);
  pause();
  return 0;
}

static exec_t exec_hold(host_t *host, const pair_t *pair, const char *count) {
  static char self[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  assert_true(n > 0);
  self[n] = 0;
  return exec_with(host, pair, (spawn_t){.argv = {self, "hold", count}});
}

#define HOLDERS 5

/* Asks for what costs nothing, and has its answer. */
static void expect_served(host_t *host) {
  axo_signal_t body = {.work = NOBODY};
  uint64_t id = ++host->last_id;
  send_request(host, &(request_t){AXO_REQ_SIGNAL, id, &body, sizeof body, NULL, 0, 0});
  expect_failed(host, id, AXO_STAGE_WORK, ESRCH);
}

#define QUESTIONS 30

/* Another host waits for one question, not for all. */
static void expect_turns(host_t *host, host_t *other) {
  uint64_t first = host->last_id + 1;
  int answered = 0;
  for (int i = 0; i < QUESTIONS; i++)
    ask_owner(host, 1);
  expect_served(other);
  while (is_readable(host->fd, 0) && answered < QUESTIONS)
    expect(host, AXO_EV_OWNER, first + (uint64_t)answered++);
  assert_true(answered < QUESTIONS);
  for (; answered < QUESTIONS; answered++)
    expect(host, AXO_EV_OWNER, first + (uint64_t)answered);
}

/* One alone hides nobody; all together are too much, which is said. */
static void looks_at_so_much_and_no_more(void **state) {
  (void)state;
  host_t host = host_open("a.sock"), other = host_open("b.sock");
  pair_t many[HOLDERS], last = pair_open();
  exec_t holders[HOLDERS];
  many[0] = pair_open();
  holders[0] = exec_hold(&host, &many[0], "4000");
  exec_t exec = exec_with(&host, &last, shell_of("echo up; exec sleep 1000"));
  assert_int_equal(owner_of(&host, last.inode).id, exec.id);
  exec_kill(&host, &exec);
  for (int i = 1; i < HOLDERS; i++) {
    many[i] = pair_open();
    holders[i] = exec_hold(&host, &many[i], "4000");
  }
  axo_owned_t owner = owner_of(&host, last.inode);
  assert_int_equal(owner.pid, 0);
  assert_int_equal(owner.cut, 1);
  assert_int_equal(owner_of(&host, many[0].inode).id, holders[0].id);
  expect_turns(&host, &other);
  for (int i = 0; i < HOLDERS; i++) {
    exec_kill(&host, &holders[i]);
    pair_close(&many[i]);
  }
  pair_close(&last);
  host_close(&other);
  host_close(&host);
}

static void keeps_nothing_open(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  owner_of(&host, 1);
  int before = count_fds(guest.pid);
  for (int i = 0; i < 20; i++)
    owner_of(&host, 1);
  assert_int_equal(count_fds(guest.pid), before);
  host_close(&host);
}

static void ends_the_link_at_another_length(void **state) {
  (void)state;
  const axo_inode_t body[2] = {{1}};
  const size_t lengths[] = {0, sizeof *body - 1, sizeof *body + 1};
  event_t ev;
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    host_t host = host_open("a.sock");
    send_request(&host, &(request_t){AXO_REQ_OWNER, 1, body, lengths[i], NULL, 0, 0});
    assert_false(receive(&host, &ev));
    host_close(&host);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      INIT_TEST(tells_the_command),
      INIT_TEST(tells_it_of_what_has_gone_off),
      INIT_TEST(tells_a_task_to_every_host),
      INIT_TEST(keeps_a_command_from_other_hosts),
      INIT_TEST(tells_a_command_of_another_user),
      INIT_TEST(looks_at_so_much_and_no_more),
      GUEST_TEST(keeps_nothing_open),
      GUEST_TEST(ends_the_link_at_another_length),
  };
  if (argc == 3)
    return hold(atoi(argv[2]));
  return cmocka_run_group_tests_name("guest: owners", tests, NULL, NULL);
}
