/* Tasks and terminals in the guest: their rings, their lists, who is told of them. */
#include "guest_support.h"
#include "ring_layout.h"

#include <sys/ioctl.h>
#include <termios.h>

typedef struct work {
  uint64_t id;
  int bell, ring, master;
  const axo__ring_header_t *header;
  size_t mapped;
} work_t;

static void work_map(work_t *w, const event_t *ev) {
  struct stat st;
  w->ring = ev->fds[0];
  w->master = ev->fd_count > 1 ? ev->fds[1] : -1;
  int seals = fcntl(w->ring, F_GET_SEALS);
  assert_true(seals & F_SEAL_SHRINK);
  assert_true(seals & F_SEAL_GROW);
  assert_int_equal(fstat(w->ring, &st), 0);
  w->mapped = (size_t)st.st_size;
  void *map = mmap(NULL, w->mapped, PROT_READ, MAP_SHARED, w->ring, 0);
  assert_true(map != MAP_FAILED);
  w->header = map;
  assert_int_equal(w->header->magic, AXO__RING_MAGIC);
  assert_int_equal(w->header->capacity, w->mapped - AXO__RING_HEADER_SIZE);
}

static work_t work_begin(host_t *host, spawn_t s) {
  work_t w = {.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!s.kind)
    s.kind = AXO_KIND_TASK;
  w.id = ask_spawn(host, &s, &w.bell, 1);
  event_t ev = expect(host, AXO_EV_SPAWNED, w.id);
  assert_true(ev.body.spawned.pid > 0);
  assert_int_equal(ev.fd_count, s.kind == AXO_KIND_TERMINAL ? 2 : 1);
  work_map(&w, &ev);
  return w;
}

static work_t task(host_t *host, const char *name, const char *script) {
  return work_begin(host, (spawn_t){.argv = {"/bin/sh", "-c", script}, .name = name});
}

static uint64_t head_of(const work_t *w) {
  return atomic_load_explicit(&w->header->head, memory_order_acquire);
}

/* Waits by the bell until there are so many bytes. */
static void await_bytes(const work_t *w, uint64_t count) {
  uint64_t rung;
  while (head_of(w) < count) {
    if (!is_readable(w->bell, PATIENCE_MS))
      fail_msg("the bell was not rung");
    (void)!read(w->bell, &rung, sizeof rung);
  }
}

/* The last bytes of the ring. */
static const char *tail_of(const work_t *w, size_t count) {
  static char text[8192];
  uint64_t head = head_of(w);
  const char *data = (const char *)w->header + AXO__RING_HEADER_SIZE;
  for (size_t i = 0; i < count; i++)
    text[i] = data[(head - count + i) & (w->header->capacity - 1)];
  text[count] = 0;
  return text;
}

static void work_close(work_t *w) {
  munmap((void *)w->header, w->mapped);
  close(w->ring);
  close(w->bell);
  if (w->master >= 0)
    close(w->master);
}

static void forget(host_t *host, const work_t *w) {
  send_request(host, &(request_t){.type = AXO_REQ_FORGET, .id = w->id});
}

/* ---- tasks ----------------------------------------------------------------------- */

static void writes_a_task_into_its_ring(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  work_t w = task(&host, "t1", "echo one; echo two >&2; read line; exit 3");
  expect_exit(&host, w.id, 3, 0); /* stdin is at its end */
  assert_int_equal(head_of(&w), 8);
  assert_string_equal(tail_of(&w, 8), "one\ntwo\n");
  work_close(&w);
  host_close(&host);
}

static void goes_round_the_ring(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  work_t w = work_begin(
      &host,
      (spawn_t){.argv = {"/bin/sh", "-c", "seq 1 50000"}, .name = "t1", .ring = 5000});
  assert_int_equal(w.header->capacity, 8192);
  expect_exit(&host, w.id, 0, 0);
  assert_int_equal(head_of(&w), 288894);
  assert_int_equal(atomic_load(&w.header->reserved), 288894);
  assert_string_equal(tail_of(&w, 12), "49999\n50000\n");
  work_close(&w);
  host_close(&host);
}

static void bounds_the_ring(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  work_t w = work_begin(
      &host, (spawn_t){.argv = {"/bin/true"}, .name = "t1", .ring = UINT32_MAX});
  assert_int_equal(w.header->capacity, AXO_RING_LIMIT);
  expect_exit(&host, w.id, 0, 0);
  work_close(&w);
  w = work_begin(&host, (spawn_t){.argv = {"/bin/true"}, .name = "t2", .ring = 1});
  assert_int_equal(w.header->capacity, AXO__RING_CAPACITY_MIN);
  expect_exit(&host, w.id, 0, 0);
  work_close(&w);
  host_close(&host);
}

static void nobody_else_can_write_a_ring(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  work_t w = task(&host, "t1", "true");
  expect_exit(&host, w.id, 0, 0);
  assert_true(mmap(NULL, w.mapped, PROT_WRITE, MAP_SHARED, w.ring, 0) == MAP_FAILED);
  assert_true(pwrite(w.ring, "x", 1, 64) < 0);
  assert_true(ftruncate(w.ring, 0) < 0);
  work_close(&w);
  host_close(&host);
}

/* The end is told when the output is at its end, or some time after the exit. */
static void does_not_wait_for_what_holds_the_output(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  work_t w = task(&host, "t1", "sleep 1000 & echo $!");
  event_t ev = expect_exit(&host, w.id, 0, 0);
  assert_int_equal(ev.body.exited.left, 1);
  pid_t left = (pid_t)atol(tail_of(&w, (size_t)head_of(&w)));
  assert_int_equal(kill(left, SIGKILL), 0);
  expect(&host, AXO_EV_EMPTY, w.id);
  work_close(&w);
  host_close(&host);
}

static void fails_like_an_exec(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  spawn_t s = {.kind = AXO_KIND_TASK, .argv = {"/nowhere"}, .name = "t1"};
  for (int i = 0; i < 3; i++) { /* and leaves its name free */
    uint64_t id = ask_spawn(&host, &s, &bell, 1);
    expect_failed(&host, id, AXO_STAGE_EXEC, ENOENT);
  }
  close(bell);
  host_close(&host);
}

static void refuses_a_name_twice(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  work_t w = task(&host, "t1", "true");
  expect_exit(&host, w.id, 0, 0);
  spawn_t s = {.kind = AXO_KIND_TASK, .argv = {"/bin/true"}, .name = "t1"};
  uint64_t id = ask_spawn(&host, &s, &w.bell, 1);
  expect_failed(&host, id, AXO_STAGE_REQUEST, EEXIST);
  work_close(&w);
  host_close(&host);
}

/* ---- terminals ------------------------------------------------------------------- */

static void runs_a_terminal(void **state) {
  (void)state;
  struct winsize size = {.ws_row = 10, .ws_col = 20};
  host_t host = host_open("a.sock");
  work_t w = work_begin(&host, (spawn_t){.kind = AXO_KIND_TERMINAL,
                                         .argv = {"/bin/sh", "-c",
                                                  "stty -echo; tty -s && stty size; "
                                                  "read x; echo got $x; stty size"},
                                         .name = "p1",
                                         .rows = 5,
                                         .cols = 7});
  await_bytes(&w, 5);
  assert_string_equal(tail_of(&w, 5), "5 7\r\n");
  assert_int_equal(ioctl(w.master, TIOCSWINSZ, &size), 0);
  assert_int_equal(write(w.master, "hi\n", 3), 3);
  expect_exit(&host, w.id, 0, 0);
  assert_string_equal(tail_of(&w, 15), "got hi\r\n10 20\r\n");
  work_close(&w);
  host_close(&host);
}

static void interrupts_by_the_terminal(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  work_t w = work_begin(
      &host, (spawn_t){.kind = AXO_KIND_TERMINAL,
                       .argv = {"/bin/sh", "-c", "stty -echo; echo up; sleep 1000"},
                       .name = "p1"});
  await_bytes(&w, 4);
  /* More than once: also a bare terminal loses one now and then, while the shell forks.
   */
  do
    assert_int_equal(write(w.master, "\3", 1), 1);
  while (!is_readable(host.fd, 100));
  expect_death(&host, w.id, SIGINT);
  work_close(&w);
  host_close(&host);
}

/* ---- lists ----------------------------------------------------------------------- */

/* The entries, mapped; their number in `count`. */
static const axo_entry_t *list(host_t *host, const char *only, size_t *count) {
  axo_attach_t name = {{0}};
  uint64_t id = ++host->last_id;
  if (only)
    strcpy(name.name, only);
  send_request(
      host, &(request_t){AXO_REQ_LIST, id, &name, only ? sizeof name : 0, NULL, 0, 0});
  event_t ev = expect(host, AXO_EV_LISTED, id);
  *count = ev.head.length / sizeof(axo_entry_t);
  if (*count == 0) {
    assert_int_equal(ev.fd_count, 0);
    return NULL;
  }
  assert_int_equal(ev.fd_count, 1);
  assert_true(fcntl(ev.fds[0], F_GET_SEALS) & F_SEAL_WRITE);
  void *map = mmap(NULL, ev.head.length, PROT_READ, MAP_PRIVATE, ev.fds[0], 0);
  assert_true(map != MAP_FAILED);
  close(ev.fds[0]);
  return map;
}

static void lists_what_runs_and_what_ran(void **state) {
  (void)state;
  size_t count;
  host_t host = host_open("a.sock");
  assert_null(list(&host, NULL, &count));
  work_t a = task(&host, "t1", "exit 4");
  expect_exit(&host, a.id, 4, 0);
  work_t b = task(&host, "t2", "echo up; sleep 1000");
  await_bytes(&b, 3);
  exec_t exec = shell_begin(&host, "read line"); /* not listed */
  const axo_entry_t *all = list(&host, NULL, &count);
  assert_int_equal(count, 2);
  assert_string_equal(all[0].name, "t1");
  assert_int_equal(all[0].state, AXO_WORK_ENDED);
  assert_int_equal(all[0].code, 4);
  assert_string_equal(all[1].name, "t2");
  assert_int_equal(all[1].state, AXO_WORK_RUNNING);
  assert_int_equal(all[1].head, 3);
  assert_int_equal(all[1].command_full, 1);
  assert_memory_equal(all[1].command, "/bin/sh\0-c\0echo up; sleep 1000", 31);
  munmap((void *)all, count * sizeof *all);
  all = list(&host, "t2", &count);
  assert_int_equal(count, 1);
  assert_string_equal(all->name, "t2");
  munmap((void *)all, sizeof *all);
  assert_null(list(&host, "t3", &count));
  close(exec.in);
  expect_exit(&host, exec.id, 1, 0);
  close(exec.out);
  work_close(&a);
  work_close(&b);
  host_close(&host);
}

static void forgets_the_oldest(void **state) {
  (void)state;
  enum { COUNT = 80 };
  size_t count;
  char name[16];
  host_t host = host_open("a.sock");
  for (int i = 0; i < 3; i++) /* there are as many supervisors now as there will be */
    shell(&host, "true");
  int before = count_fds(guest.pid);
  for (int i = 0; i < COUNT; i++) {
    snprintf(name, sizeof name, "t%d", i);
    work_t w = task(&host, name, "true");
    expect_exit(&host, w.id, 0, 0);
    work_close(&w);
  }
  const axo_entry_t *all = list(&host, NULL, &count);
  assert_in_range(count, 64, 66);
  munmap((void *)all, count * sizeof *all);
  size_t none;
  assert_null(list(&host, "t0", &none));
  int kept = count_fds(guest.pid) - before;
  assert_true(kept == 0 || kept == (int)count * 2); /* ring and bell each */
  host_close(&host);
}

/* Tasks that last, until one is refused: its stage and error. */
static axo_failed_t fill(host_t *host, uint32_t *started) {
  int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  char name[16];
  event_t ev;
  *started = 0;
  do {
    snprintf(name, sizeof name, "t%u", *started);
    spawn_t s = {.kind = AXO_KIND_TASK,
                 .argv = {"/bin/sleep", "1000"},
                 .name = name,
                 .ring = 4096};
    ask_spawn(host, &s, &bell, 1);
    assert_true(receive(host, &ev));
    close_fds(&ev);
  } while (ev.head.type == AXO_EV_SPAWNED && ++*started <= AXO_WORKS_MAX);
  assert_int_equal(ev.head.type, AXO_EV_FAILED);
  close(bell);
  return ev.body.failed;
}

#ifndef __SANITIZE_ADDRESS__ /* two thousand processes */
static void says_when_it_is_full(void **state) {
  (void)state;
  uint32_t started;
  host_t host = host_open("a.sock");
  axo_failed_t failed = fill(&host, &started);
  /* Where processes or descriptors are few, those run out first. */
  if (failed.stage == AXO_STAGE_LIMIT && failed.error == ENOSPC)
    assert_int_equal(started, AXO_WORKS_MAX);
  else
    assert_true(failed.error == EAGAIN || failed.error == EMFILE);
  host_close(&host);
}
#endif

/* Out of descriptors it still refuses, lists, and kills. */
static void gets_along_with_few_descriptors(void **state) {
  (void)state;
  uint32_t started, ended = 0;
  host_t host = host_open("a.sock");
  axo_failed_t failed = fill(&host, &started);
  assert_int_equal(failed.error, EMFILE);
  assert_in_range(started, 5, 30);
  for (uint64_t id = 1; id <= started; id++)
    send_signal(&host, id, SIGKILL, true);
  while (ended < started) {
    event_t ev;
    assert_true(receive(&host, &ev));
    ended += ev.head.type == AXO_EV_EXITED;
  }
  for (uint64_t id = 1; id <= started; id++)
    send_request(&host, &(request_t){.type = AXO_REQ_FORGET, .id = id});
  assert_string_equal(shell(&host, "echo fine"), "fine\n");
  host_close(&host);
}

/* ---- several hosts --------------------------------------------------------------- */

static event_t attach(host_t *host, const char *name, int bell) {
  axo_attach_t body = {{0}};
  uint64_t id = ++host->last_id;
  event_t ev;
  strcpy(body.name, name);
  send_request(host, &(request_t){AXO_REQ_ATTACH, id, &body, sizeof body, &bell, 1, 0});
  assert_true(receive(host, &ev));
  assert_int_equal(ev.head.id, id);
  return ev;
}

static void outlives_its_host(void **state) {
  (void)state;
  host_t first = host_open("a.sock");
  work_t w = task(&first, "t1",
                  "echo up; while [ ! -e go ]; do sleep 0.01; done; "
                  "echo down");
  await_bytes(&w, 3);
  work_close(&w);
  host_close(&first);
  host_t second = host_open("b.sock");
  work_t again = {.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  event_t ev = attach(&second, "t1", again.bell);
  assert_int_equal(ev.head.type, AXO_EV_SPAWNED);
  again.id = ev.head.id;
  work_map(&again, &ev);
  assert_string_equal(tail_of(&again, 3), "up\n");
  send_signal(&second, again.id, SIGUSR1, true);
  expect_death(&second, again.id, SIGUSR1);
  ev = attach(&second, "t1", again.bell);
  assert_int_equal(ev.head.type, AXO_EV_SPAWNED);
  close_fds(&ev);
  expect_death(&second, ev.head.id, SIGUSR1);
  ev = attach(&second, "t2", again.bell);
  assert_int_equal(ev.head.type, AXO_EV_FAILED);
  assert_int_equal(ev.body.failed.stage, AXO_STAGE_WORK);
  work_close(&again);
  host_close(&second);
}

static void tells_other_hosts(void **state) {
  (void)state;
  host_t a = host_open("a.sock");
  host_t b = host_open("b.sock");
  work_t w = task(&a, "t1", "sleep 1000");
  event_t ev = expect(&b, AXO_EV_NEW, 0);
  assert_string_equal(ev.body.attach.name, "t1");
  int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  ev = attach(&b, "t1", bell);
  close_fds(&ev);
  forget(&a, &w);
  send_signal(&b, ev.head.id, SIGTERM, true);
  expect_death(&b, ev.head.id, SIGTERM);
  assert_string_equal(shell(&a, "echo quiet"), "quiet\n"); /* and nothing of t1 */
  close(bell);
  work_close(&w);
  host_close(&a);
  host_close(&b);
}

static void bounds_those_who_follow(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  work_t w = task(&host, "t1", "sleep 1000");
  int followers = 1;
  event_t ev;
  do {
    ev = attach(&host, "t1", w.bell);
    close_fds(&ev);
  } while (ev.head.type == AXO_EV_SPAWNED && ++followers < 100);
  assert_int_equal(followers, 16);
  assert_int_equal(ev.body.failed.error, EUSERS);
  work_close(&w);
  host_close(&host);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      GUEST_TEST(writes_a_task_into_its_ring),
      GUEST_TEST(goes_round_the_ring),
      GUEST_TEST(bounds_the_ring),
      GUEST_TEST(nobody_else_can_write_a_ring),
      GUEST_TEST(does_not_wait_for_what_holds_the_output),
      GUEST_TEST(fails_like_an_exec),
      GUEST_TEST(refuses_a_name_twice),
      GUEST_TEST(runs_a_terminal),
      GUEST_TEST(interrupts_by_the_terminal),
      GUEST_TEST(lists_what_runs_and_what_ran),
      GUEST_TEST(forgets_the_oldest),
#ifndef __SANITIZE_ADDRESS__
      GUEST_TEST(says_when_it_is_full),
#endif
      POOR_TEST(gets_along_with_few_descriptors),
      GUEST_TEST(outlives_its_host),
      GUEST_TEST(tells_other_hosts),
      GUEST_TEST(bounds_those_who_follow),
  };
  return cmocka_run_group_tests_name("guest: tasks and terminals", tests, NULL, NULL);
}
