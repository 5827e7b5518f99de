/* A guest that says nothing, as that of a paused container does; and a host that has no
 * descriptor left. The test plays the guest. */
#include "link_host.h"
#include "ring_layout.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define PATIENCE_MS 20

static int impatient_set_up(void **state) {
  answer_ms = PATIENCE_MS;
  int rc = up_set_up(state);
  answer_ms = 0;
  return rc;
}

#define SILENT_TEST(name)                                                              \
  cmocka_unit_test_setup_teardown(name, impatient_set_up, tear_down)

/* ---- requests with one answer ---------------------------------------------------- */

static struct {
  int answers, silences, code;
  char message[AXO_MESSAGE_MAX], hint[AXO_HINT_MAX];
  bool closes, asks_again;
} answered;

static void ask(void);

static void on_answer(void *data, const axo_answer_t *answer) {
  (void)data;
  answered.answers++;
  answered.code = answer->err ? answer->err->code : 0;
  answered.silences += answered.code == UV_ETIMEDOUT;
  if (answer->err) {
    strcpy(answered.message, answer->err->message);
    strcpy(answered.hint, answer->err->hint);
  }
  if (answered.closes && link_) {
    axo_link_close(link_);
    link_ = NULL;
  }
  if (answered.asks_again) {
    answered.asks_again = false;
    ask();
  }
}

static void ask(void) {
  axo_err_t err;
  assert_int_equal(axo_link_list(link_, NULL, on_answer, NULL, &err), 0);
}

static uint64_t ask_first(void) {
  memset(&answered, 0, sizeof answered);
  ask();
  return take_request(AXO_REQ_LIST, NULL);
}

static void say_none(uint64_t id) { say(&(event_t){.type = AXO_EV_LISTED, .id = id}); }

static void does_not_wait_for_ever(void **state) {
  (void)state;
  uint64_t id = ask_first();
  run_until(&answered.answers, 1);
  assert_int_equal(answered.code, UV_ETIMEDOUT);
  assert_non_null(strstr(answered.message, "does not answer"));
  assert_non_null(strstr(answered.hint, "paused"));
  say_none(
      id); /* it comes back: that is no offence, and the link is as good as before */
  run_some();
  assert_int_equal(heard.downs, 0);
  assert_int_equal(answered.answers, 1);
  say_none(ask_first());
  run_until(&answered.answers, 1);
  assert_int_equal(answered.code, 0);
}

static void counts_for_each_alone(void **state) {
  (void)state;
  ask_first();
  ask();
  say_none(take_request(AXO_REQ_LIST, NULL));
  run_until(&answered.answers, 1);
  assert_int_equal(answered.code, 0);
  answered.asks_again = true; /* from the callback that hears of the first one's end */
  run_until(&answered.answers, 3);
  assert_int_equal(answered.silences, 2);
}

/* As after a host was stopped for a while: the answer is there, and not read yet. */
static void hears_first_what_has_come(void **state) {
  (void)state;
  uint64_t id = ask_first();
  say_none(id);
  poll(NULL, 0, 2 * PATIENCE_MS);
  run_until(&answered.answers, 1);
  assert_int_equal(answered.code, 0);
}

static void may_be_closed_by_a_silence(void **state) {
  (void)state;
  ask_first();
  for (int i = 0; i < 9; i++)
    ask();
  answered.closes = true;
  run_until(&answered.answers, 10);
  assert_int_equal(answered.silences, 1);
  assert_int_equal(answered.code, UV_ECONNRESET);
}

/* No wake-up while nothing happens. */
static void wakes_nobody_once_it_has_answered(void **state) {
  (void)state;
  uint64_t id = ask_first();
  assert_true(uv_is_active((uv_handle_t *)&link_->clock));
  say_none(id);
  run_until(&answered.answers, 1);
  assert_false(uv_is_active((uv_handle_t *)&link_->clock));
}

/* ---- commands -------------------------------------------------------------------- */

static struct {
  int exits, code, signal, failure;
  bool timed_out, cancelled;
} ran;

static void on_exit_(axo_process_t *p, const axo_process_result_t *result) {
  (void)p;
  ran.exits++;
  ran.code = result->code;
  ran.signal = result->signal;
  ran.failure = result->failure ? result->failure->code : 0;
  ran.timed_out = result->timed_out;
  ran.cancelled = result->cancelled;
}

static axo_process_t *process;

static uint64_t begin_exec(uint64_t timeout_ms) {
  char *argv[] = {"true", NULL};
  axo_spawn_spec_t spec = {.kind = AXO_EXEC, .argv = argv};
  axo_process_options_t options = {
      .timeout_ms = timeout_ms, .grace_ms = 5, .drain_ms = 50, .on_exit = on_exit_};
  axo_err_t err;
  memset(&ran, 0, sizeof ran);
  assert_int_equal(axo_link_exec(link_, &spec, &options, &process, &err), 0);
  return take_request(AXO_REQ_SPAWN, NULL);
}

static void expect_signals(void) {
  wait_for_request();
  assert_int_equal(take_signal(), SIGTERM);
  wait_for_request();
  assert_int_equal(take_signal(), SIGKILL);
}

static void gives_up_a_command(void **state) {
  (void)state;
  begin_exec(10);
  expect_signals();
  run_until(&ran.exits, 1);
  assert_int_equal(ran.failure, UV_ETIMEDOUT);
  assert_true(ran.timed_out);
  assert_int_equal(ran.code, -1);
  /* One that comes back finds that it is to be killed, and that nobody waits. */
  assert_int_equal(take_signal(), SIGKILL);
  take_request(AXO_REQ_FORGET, NULL);
  assert_int_equal(heard.downs, 0);
}

static void gives_up_one_that_is_cancelled(void **state) {
  (void)state;
  begin_exec(0);
  axo_process_cancel(process);
  run_until(&ran.exits, 1);
  assert_int_equal(ran.failure, UV_ETIMEDOUT);
  assert_true(ran.cancelled);
}

static void gives_up_one_that_cannot_be_killed(void **state) {
  (void)state;
  uint64_t id = begin_exec(5);
  expect_signals();
  say(&(event_t){.type = AXO_EV_STUCK, .id = id});
  run_until(&ran.exits, 1);
  assert_int_equal(ran.failure, 0);
  assert_true(ran.timed_out);
  assert_int_equal(ran.code, -1);
  assert_int_equal(ran.signal, 0);
}

/* It may run for as long as it likes. */
static void lets_a_command_be_silent(void **state) {
  (void)state;
  uint64_t id = begin_exec(0);
  ask_first();
  run_until(&answered.answers, 1);
  assert_int_equal(answered.code, UV_ETIMEDOUT);
  assert_int_equal(ran.exits, 0);
  const axo_exited_t body = {.code = 3};
  say(&(event_t){AXO_EV_EXITED, id, &body, sizeof body, NULL, 0, 0});
  run_until(&ran.exits, 1);
  assert_int_equal(ran.code, 3);
}

/* ---- tasks ----------------------------------------------------------------------- */

static struct {
  int starts, start_code;
  int exits, stucks;
} heard_work;
static axo_work_t *work;

static void on_started(axo_work_t *w, const axo_err_t *err) {
  (void)w;
  heard_work.starts++;
  heard_work.start_code = err ? err->code : 0;
}

static void on_work_exit(axo_work_t *w, const axo_work_end_t *end) {
  (void)w;
  (void)end;
  heard_work.exits++;
}

static void on_stuck(axo_work_t *w) {
  (void)w;
  heard_work.stucks++;
}

static uint64_t begin_task(int *bell) {
  static const axo_work_options_t callbacks = {
      .on_started = on_started, .on_exit = on_work_exit, .on_stuck = on_stuck};
  char *argv[] = {"true", NULL};
  axo_spawn_spec_t spec = {.kind = AXO_TASK, .argv = argv, .name = "t1"};
  axo_err_t err;
  memset(&heard_work, 0, sizeof heard_work);
  assert_int_equal(axo_work_start(link_, &spec, &callbacks, &work, &err), 0);
  return take_request(AXO_REQ_SPAWN, bell);
}

static void say_spawned(uint64_t id) {
  const axo_spawned_t body = {.work = 1, .pid = 7};
  axo__ring_header_t header = {.magic = AXO__RING_MAGIC,
                               .version = AXO__RING_VERSION,
                               .header_size = AXO__RING_HEADER_SIZE,
                               .capacity = AXO__RING_CAPACITY_MIN};
  int ring = memory(AXO__RING_HEADER_SIZE + AXO__RING_CAPACITY_MIN, 0);
  assert_int_equal(pwrite(ring, &header, sizeof header, 0), sizeof header);
  assert_int_equal(fcntl(ring, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  say(&(event_t){AXO_EV_SPAWNED, id, &body, sizeof body, &ring, 1, 0});
  close(ring);
}

static void gives_up_a_task_that_does_not_start(void **state) {
  (void)state;
  int bell;
  begin_task(&bell);
  run_until(&heard_work.starts, 1);
  assert_int_equal(heard_work.start_code, UV_ETIMEDOUT);
  assert_int_equal(take_signal(), SIGKILL);
  take_request(AXO_REQ_FORGET, NULL);
  axo_work_close(work);
  close(bell);
}

/* Once it runs it may be silent; once it is killed, not. */
static void says_when_a_task_does_not_end(void **state) {
  (void)state;
  int bell;
  axo_err_t err;
  uint64_t id = begin_task(&bell);
  say_spawned(id);
  run_until(&heard_work.starts, 1);
  ask_first();
  run_until(&answered.answers, 1);
  assert_int_equal(heard_work.stucks + heard_work.exits, 0);
  assert_int_equal(axo_work_signal(work, SIGKILL, true, NULL, NULL, &err), 0);
  run_until(&heard_work.stucks, 1);
  const axo_exited_t body = {.code = -1, .signal = SIGKILL};
  say(&(event_t){AXO_EV_EXITED, id, &body, sizeof body, NULL, 0, 0});
  run_until(&heard_work.exits, 1);
  axo_work_close(work);
  close(bell);
}

/* ---- no more descriptors --------------------------------------------------------- */

static struct rlimit limit;

static void run_out_of_descriptors(void) {
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  struct rlimit none = {0, limit.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void have_descriptors_again(void) {
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void expect_no_descriptors(int rc, const axo_err_t *err) {
  assert_int_equal(rc, UV_EMFILE);
  assert_int_equal(err->code, UV_EMFILE);
  assert_non_null(strstr(err->message, "too many open files"));
  assert_non_null(strstr(err->hint, "ulimit -n"));
}

static void says_that_it_has_no_descriptors(void **state) {
  (void)state;
  char *argv[] = {"true", NULL};
  axo_spawn_spec_t spec = {.kind = AXO_EXEC, .argv = argv};
  axo_process_options_t options = {.on_exit = on_exit_};
  axo_work_options_t callbacks = {.on_started = on_started};
  axo_err_t exec_err, task_err;
  if (getenv("AXO_VALGRIND"))
    return; /* which has a limit of its own */
  run_out_of_descriptors();
  int exec_rc = axo_link_exec(link_, &spec, &options, &process, &exec_err);
  spec.kind = AXO_TASK;
  spec.name = "t1";
  int task_rc = axo_work_start(link_, &spec, &callbacks, &work, &task_err);
  have_descriptors_again();
  expect_no_descriptors(exec_rc, &exec_err);
  expect_no_descriptors(task_rc, &task_err);
}

/* It would come to the socket again and again. */
static void says_that_it_cannot_let_the_guest_in(void **state) {
  (void)state;
  if (getenv("AXO_VALGRIND"))
    return;
  open_link(getpid());
  guest = connect_to_host();
  run_out_of_descriptors();
  run_until(&heard.downs, 1);
  have_descriptors_again();
  assert_int_equal(heard.down_code, UV_EMFILE);
  assert_int_equal(connect_to_host(), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SILENT_TEST(does_not_wait_for_ever),
      SILENT_TEST(counts_for_each_alone),
      SILENT_TEST(hears_first_what_has_come),
      SILENT_TEST(may_be_closed_by_a_silence),
      SILENT_TEST(wakes_nobody_once_it_has_answered),
      SILENT_TEST(gives_up_a_command),
      SILENT_TEST(gives_up_one_that_is_cancelled),
      SILENT_TEST(gives_up_one_that_cannot_be_killed),
      SILENT_TEST(lets_a_command_be_silent),
      SILENT_TEST(gives_up_a_task_that_does_not_start),
      SILENT_TEST(says_when_a_task_does_not_end),
      UP_TEST(says_that_it_has_no_descriptors),
      LINK_TEST(says_that_it_cannot_let_the_guest_in),
  };
  return cmocka_run_group_tests_name("silence", tests, warm_up, NULL);
}
