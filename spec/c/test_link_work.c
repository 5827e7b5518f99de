/* Commands, tasks and terminals of a guest that is hostile: the test plays it. */
#include "link_host.h"
#include "ring_layout.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- commands -------------------------------------------------------------------- */

static struct {
  int exits, code, signal, failure;
  unsigned left;
  bool timed_out, cut;
  char out[64];
} ran;

static void on_exit_(axo_process_t *p, const axo_process_result_t *result) {
  (void)p;
  ran.exits++;
  ran.code = result->code;
  ran.signal = result->signal;
  ran.failure = result->failure ? result->failure->code : 0;
  ran.left = result->left_running;
  ran.timed_out = result->timed_out;
  ran.cut = result->drain_cut;
  snprintf(ran.out, sizeof ran.out, "%s", result->out[0]);
}

static axo_process_t *process;

/* Returns the request's id; the command's stdout is `out`. */
static uint64_t begin_exec(uint64_t timeout_ms, int *out) {
  char *argv[] = {"true", NULL};
  axo_spawn_spec_t spec = {.kind = AXO_EXEC, .argv = argv};
  axo_process_options_t options = {.timeout_ms = timeout_ms,
                                   .grace_ms = 20,
                                   .drain_ms = 50,
                                   .merge_stderr = true,
                                   .on_exit = on_exit_};
  axo_err_t err;
  int null = -1;
  memset(&ran, 0, sizeof ran);
  assert_int_equal(axo_link_exec(link_, &spec, &options, &process, &err), 0);
  uint64_t id = take_request_with(AXO_REQ_SPAWN, &null, out);
  close(null);
  return id;
}

static void say_exit(uint64_t id, int code, int signum, bool left) {
  const axo_exited_t body = {.code = code, .signal = signum, .left = left};
  say(&(event_t){AXO_EV_EXITED, id, &body, sizeof body, NULL, 0, 0});
}

static void runs_a_command(void **state) {
  (void)state;
  int out;
  uint64_t id = begin_exec(0, &out);
  assert_int_equal(write(out, "text", 4), 4);
  close(out);
  say_exit(id, 3, 0, false);
  run_until(&ran.exits, 1);
  assert_int_equal(ran.code, 3);
  assert_string_equal(ran.out, "text");
}

static void leaves_nothing_of_one_that_was_not_sent(void **state) {
  (void)state;
  char *argv[] = {"true", NULL};
  axo_spawn_spec_t spec = {.kind = AXO_EXEC, .argv = argv};
  axo_process_options_t options = {.on_exit = on_exit_};
  axo_err_t err;
  memset(&ran, 0, sizeof ran);
  close(guest);
  guest = -1;
  expect_down(UV_EOF);
  for (int i = 0; i < 10; i++)
    assert_int_equal(axo_link_exec(link_, &spec, &options, &process, &err),
                     UV_ENOTCONN);
  assert_int_equal(ran.exits, 0);
}

static void says_why_one_did_not_start(void **state) {
  (void)state;
  int out;
  const axo_failed_t body = {AXO_STAGE_EXEC, ENOENT};
  uint64_t id = begin_exec(0, &out);
  close(out);
  say(&(event_t){AXO_EV_FAILED, id, &body, sizeof body, NULL, 0, 0});
  run_until(&ran.exits, 1);
  assert_int_equal(ran.failure, UV_ENOENT);
}

static void fails_with_the_guest(void **state) {
  (void)state;
  int out;
  begin_exec(0, &out);
  close(out);
  close(guest);
  guest = -1;
  run_until(&ran.exits, 1);
  assert_int_equal(ran.failure, UV_ECONNRESET);
}

/* One that says nothing, and one that says that it ended but keeps the output. */
static void does_not_wait_for_ever(void **state) {
  (void)state;
  int out;
  uint64_t id = begin_exec(50, &out);
  say_exit(id, 0, 0, true);
  run_until(&ran.exits, 1);
  assert_true(ran.cut);
  close(out);
}

/* The next request is to count, and is answered. */
static void say_count(uint32_t count) {
  wait_for_request();
  const axo_signalled_t body = {.count = count};
  uint64_t id = take_request(AXO_REQ_SIGNAL, NULL);
  say(&(event_t){AXO_EV_SIGNALLED, id, &body, sizeof body, NULL, 0, 0});
}

static void tells_how_much_is_left(void **state) {
  (void)state;
  int out;
  uint64_t id = begin_exec(0, &out);
  say_exit(id, 0, 0, true);
  say_count(3);
  run_until(&ran.exits, 1);
  assert_int_equal(ran.left, 3);
  assert_int_equal(take_request(AXO_REQ_FORGET, NULL), id); /* it goes on */
  assert_false(has_request());
  close(out);
}

static void tells_of_nothing_that_has_ended_meanwhile(void **state) {
  (void)state;
  int out;
  uint64_t id = begin_exec(0, &out);
  close(out);
  say_exit(id, 0, 0, true);
  wait_for_request();
  say(&(event_t){.type = AXO_EV_EMPTY, .id = id});
  run_until(&ran.exits, 1);
  assert_int_equal(ran.left, 0);
  say_count(0); /* nobody asks any more */
  run_some();
}

static void asks_it_to_end_and_then_kills(void **state) {
  (void)state;
  int out;
  uint64_t id = begin_exec(20, &out);
  close(out);
  wait_for_request();
  assert_int_equal(take_signal(), SIGTERM);
  wait_for_request();
  assert_int_equal(take_signal(), SIGKILL);
  say_exit(id, -1, SIGKILL, true);
  run_some();
  assert_int_equal(ran.exits, 0); /* not while something is left */
  say(&(event_t){.type = AXO_EV_EMPTY, .id = id});
  run_until(&ran.exits, 1);
  assert_true(ran.timed_out);
  assert_int_equal(ran.signal, SIGKILL);
}

static void takes_nonsense_about_a_command(void **state) {
  (void)state;
  int out;
  int32_t worst[] = {INT32_MIN, -2, 256, INT32_MAX};
  for (size_t i = 0; i < sizeof worst / sizeof *worst; i++) {
    uint64_t id = begin_exec(0, &out);
    close(out);
    say(&(event_t){.type = AXO_EV_EMPTY, .id = id});
    say(&(event_t){.type = AXO_EV_STUCK, .id = id});
    say_exit(id, worst[i], worst[i], true);
    say_exit(id, 0, 0, false);
    say(&(event_t){.type = AXO_EV_EMPTY, .id = id});
    say(&(event_t){.type = AXO_EV_EMPTY, .id = id});
    run_until(&ran.exits, 1);
    run_some();
    assert_int_equal(ran.exits, 1);
    drop_requests(); /* what it says to be left is forgotten */
  }
}

/* ---- tasks and terminals --------------------------------------------------------- */

static struct {
  int starts, start_code, outputs, exits, empties, stucks;
  axo_work_end_t end;
  bool closes;
} heard_work;
static axo_work_t *work;

static void close_work(axo_work_t *w) {
  if (heard_work.closes) {
    axo_work_close(w);
    work = NULL;
  }
}

static void on_started(axo_work_t *w, const axo_err_t *err) {
  heard_work.starts++;
  heard_work.start_code = err ? err->code : 0;
  close_work(w);
}

static void on_output(axo_work_t *w) {
  (void)w;
  heard_work.outputs++;
}

static void on_work_exit(axo_work_t *w, const axo_work_end_t *end) {
  heard_work.exits++;
  heard_work.end = *end;
  close_work(w);
}

static void on_empty(axo_work_t *w) {
  (void)w;
  heard_work.empties++;
}

static void on_stuck(axo_work_t *w) {
  (void)w;
  heard_work.stucks++;
}

static const axo_work_options_t callbacks = {.what = "it",
                                             .on_started = on_started,
                                             .on_output = on_output,
                                             .on_exit = on_work_exit,
                                             .on_empty = on_empty,
                                             .on_stuck = on_stuck};

static uint64_t begin_work(axo_work_kind_t kind, int *bell) {
  char *argv[] = {"true", NULL};
  axo_spawn_spec_t spec = {.kind = kind, .argv = argv, .name = "t1"};
  axo_err_t err;
  memset(&heard_work, 0, sizeof heard_work);
  assert_int_equal(axo_work_start(link_, &spec, &callbacks, &work, &err), 0);
  return take_request_with(AXO_REQ_SPAWN, bell, NULL);
}

/* As core/guest makes one, but for what the test changes. */
static int make_ring(size_t capacity, int seals) {
  int fd = memory(AXO__RING_HEADER_SIZE + capacity, 0);
  axo__ring_header_t header = {.magic = AXO__RING_MAGIC,
                               .version = AXO__RING_VERSION,
                               .header_size = AXO__RING_HEADER_SIZE,
                               .capacity = capacity};
  assert_int_equal(pwrite(fd, &header, sizeof header, 0), sizeof header);
  if (seals)
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
  return fd;
}

static void say_spawned(uint64_t id, const int *fds, int count) {
  const axo_spawned_t body = {.work = 1, .pid = 7};
  say(&(event_t){AXO_EV_SPAWNED, id, &body, sizeof body, fds, count, 0});
}

static void follows_a_task(void **state) {
  (void)state;
  int bell, ring = make_ring(4096, F_SEAL_SHRINK | F_SEAL_GROW);
  uint64_t id = begin_work(AXO_TASK, &bell), one = 1;
  say_spawned(id, &ring, 1);
  run_until(&heard_work.starts, 1);
  assert_int_equal(heard_work.start_code, 0);
  assert_int_equal(axo_work_pid(work), 7);
  int before = heard_work.outputs;
  assert_int_equal(write(bell, &one, sizeof one), sizeof one);
  run_until(&heard_work.outputs, before + 1);
  say_exit(id, 5, 0, true);
  run_until(&heard_work.exits, 1);
  assert_int_equal(heard_work.end.code, 5);
  say(&(event_t){.type = AXO_EV_EMPTY, .id = id});
  run_until(&heard_work.empties, 1);
  axo_work_close(work);
  close(bell);
  close(ring);
}

/* A ring that could shrink or fault, that is none, or that is too large. */
static void takes_only_rings_that_are_safe(void **state) {
  (void)state;
  char path[] = "/tmp/axo-test-ring-XXXXXX";
  int seals = F_SEAL_SHRINK | F_SEAL_GROW, pipes[2];
  assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
  int file = mkstemp(path);
  assert_int_equal(unlink(path), 0);
  int huge = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
  int rings[] = {make_ring(4096, 0),
                 make_ring(4096, F_SEAL_GROW),
                 make_ring(4000, seals),
                 make_ring(16 * 1024 * 1024, seals),
                 memory(AXO__RING_HEADER_SIZE + 4096, seals),
                 memory(0, seals),
                 open("/dev/zero", O_RDWR | O_CLOEXEC),
                 open("/", O_PATH | O_CLOEXEC),
                 pipes[0],
                 file,
                 huge >= 0 ? huge : memory(0, 0)};
  for (size_t i = 0; i < sizeof rings / sizeof *rings; i++) {
    int bell;
    uint64_t id = begin_work(AXO_TASK, &bell);
    say_spawned(id, &rings[i], 1);
    run_until(&heard_work.starts, 1);
    assert_true(heard_work.start_code < 0);
    assert_int_equal(take_signal(), SIGKILL); /* nobody would know of it */
    take_request(AXO_REQ_FORGET, NULL);
    axo_work_close(work);
    close(bell);
    close(rings[i]);
  }
  close(pipes[1]);
}

/* The head may be anything, and change at any time: what is read lies in the ring. */
static void survives_heads_that_lie(void **state) {
  (void)state;
  const uint64_t lies[] = {1, 4096, 1U << 31, UINT64_MAX, UINT64_MAX - 4096, 0};
  int bell, fd = make_ring(4096, F_SEAL_SHRINK | F_SEAL_GROW);
  char buf[8192];
  axo__ring_header_t *header =
      mmap(NULL, AXO__RING_HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  assert_true(header != MAP_FAILED);
  uint64_t id = begin_work(AXO_TASK, &bell), cursor = 0, dropped = 0;
  say_spawned(id, &fd, 1);
  run_until(&heard_work.starts, 1);
  axo_ring_t *ring = axo_work_take_ring(work);
  assert_non_null(ring);
  assert_null(axo_work_take_ring(work));
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    atomic_store(&header->head, lies[i]);
    atomic_store(&header->reserved, lies[sizeof lies / sizeof *lies - 1 - i]);
    size_t n = axo_ring_read(ring, &cursor, buf, sizeof buf, &dropped);
    assert_true(n <= 4096);
    assert_true(cursor <= lies[i]);
  }
  axo_ring_free(ring);
  axo_work_close(work);
  munmap(header, AXO__RING_HEADER_SIZE);
  close(bell);
  close(fd);
}

/* It takes the bell's O_NONBLOCK away, and rings without there being anything. */
static void is_not_held_up_by_its_bell(void **state) {
  (void)state;
  int bell, ring = make_ring(4096, F_SEAL_SHRINK);
  uint64_t id = begin_work(AXO_TASK, &bell), count, one = 1;
  say_spawned(id, &ring, 1);
  run_until(&heard_work.starts, 1);
  assert_int_equal(fcntl(bell, F_SETFL, 0), 0);
  pid_t pid = fork_with(bell);
  if (pid == 0) {
    for (;;) { /* and drinks it up before the host can */
      struct pollfd p = {bell, POLLIN, 0};
      (void)!write(bell, &one, sizeof one);
      if (poll(&p, 1, 0) > 0)
        (void)!read(bell, &count, sizeof count);
    }
  }
  run_some();
  run_some();
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
  axo_work_close(work);
  close(bell);
  close(ring);
}

static void takes_only_terminals(void **state) {
  (void)state;
  int bell, pipes[2];
  assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
  const int fds[2] = {make_ring(4096, F_SEAL_SHRINK), pipes[1]};
  uint64_t id = begin_work(AXO_TERMINAL, &bell);
  say_spawned(id, fds, 2);
  run_until(&heard_work.starts, 1);
  assert_int_equal(heard_work.start_code, UV_EPROTO);
  axo_work_close(work);
  close(bell);
  close(fds[0]);
  close(pipes[0]);
  close(pipes[1]);
}

static void types_into_a_terminal(void **state) {
  (void)state;
  char text[16];
  int bell, master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  assert_int_equal(unlockpt(master), 0);
  int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  const int fds[2] = {make_ring(4096, F_SEAL_SHRINK), master};
  uint64_t id = begin_work(AXO_TERMINAL, &bell);
  say_spawned(id, fds, 2);
  run_until(&heard_work.starts, 1);
  assert_int_equal(axo_work_write(work, "hello\n", 6), 0);
  assert_int_equal(axo_work_resize(work, 0, 1), UV_EINVAL);
  assert_int_equal(axo_work_resize(work, 3, 4), 0);
  run_some();
  assert_int_equal(read(slave, text, sizeof text), 6);
  close(slave);
  close(master);
  say_exit(id, 0, 0, false);
  run_until(&heard_work.exits, 1);
  assert_int_equal(axo_work_write(work, "x", 1), UV_EPIPE);
  axo_work_close(work);
  close(bell);
  close(fds[0]);
}

static void takes_nonsense_about_a_task(void **state) {
  (void)state;
  int bell, ring = make_ring(4096, F_SEAL_SHRINK);
  const axo_failed_t failed = {AXO_STAGE_EXEC, ENOENT};
  uint64_t id = begin_work(AXO_TASK, &bell);
  say_exit(id, 0, 0, true); /* before it has started */
  say(&(event_t){.type = AXO_EV_EMPTY, .id = id});
  say_spawned(id, &ring, 1);
  say_spawned(id, &ring, 1);
  say(&(event_t){AXO_EV_FAILED, id, &failed, sizeof failed, NULL, 0, 0});
  say(&(event_t){.type = AXO_EV_STUCK, .id = id});
  say_exit(id, INT32_MAX, INT32_MIN, true);
  say_exit(id, 1, 0, false);
  run_until(&heard_work.exits, 1);
  say(&(event_t){.type = AXO_EV_EMPTY, .id = id});
  say(&(event_t){.type = AXO_EV_EMPTY, .id = id});
  run_some();
  assert_int_equal(heard_work.starts, 1);
  assert_int_equal(heard_work.exits, 1);
  assert_int_equal(heard_work.stucks, 1);
  assert_true(heard_work.empties <= 1);
  axo_work_close(work);
  close(bell);
  close(ring);
}

static void may_be_closed_at_any_moment(void **state) {
  (void)state;
  for (int moment = 0; moment < 3; moment++) {
    int bell, ring = make_ring(4096, F_SEAL_SHRINK);
    uint64_t id = begin_work(AXO_TASK, &bell);
    heard_work.closes = moment == 1; /* in on_started */
    if (moment == 0)
      axo_work_close(work);
    say_spawned(id, &ring, 1);
    run_some();
    if (moment == 2) {
      heard_work.closes = true; /* in on_exit */
      say_exit(id, 0, 0, false);
      run_until(&heard_work.exits, 1);
    }
    run_some();
    if (moment < 2)
      take_request(AXO_REQ_FORGET, NULL);
    else
      drop_requests();
    close(bell);
    close(ring);
  }
}

static void tells_tasks_of_the_end_of_the_link(void **state) {
  (void)state;
  int bell, ring = make_ring(4096, F_SEAL_SHRINK);
  uint64_t id = begin_work(AXO_TASK, &bell);
  say_spawned(id, &ring, 1);
  run_until(&heard_work.starts, 1);
  close(guest);
  guest = -1;
  run_until(&heard_work.exits, 1);
  assert_true(heard_work.end.gone);
  axo_work_close(work);
  close(bell);
  close(ring);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      UP_TEST(runs_a_command),
      UP_TEST(leaves_nothing_of_one_that_was_not_sent),
      UP_TEST(says_why_one_did_not_start),
      UP_TEST(fails_with_the_guest),
      UP_TEST(does_not_wait_for_ever),
      UP_TEST(tells_how_much_is_left),
      UP_TEST(tells_of_nothing_that_has_ended_meanwhile),
      UP_TEST(asks_it_to_end_and_then_kills),
      UP_TEST(takes_nonsense_about_a_command),
      UP_TEST(follows_a_task),
      UP_TEST(takes_only_rings_that_are_safe),
      UP_TEST(survives_heads_that_lie),
      UP_TEST(is_not_held_up_by_its_bell),
      UP_TEST(takes_only_terminals),
      UP_TEST(types_into_a_terminal),
      UP_TEST(takes_nonsense_about_a_task),
      UP_TEST(may_be_closed_at_any_moment),
      UP_TEST(tells_tasks_of_the_end_of_the_link),
  };
  return cmocka_run_group_tests_name("link: work", tests, warm_up, NULL);
}
