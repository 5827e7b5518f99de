/* How children end, and how they are ended: exits, signals, deadlines, descendants who
 * hold a pipe, failures to start, and being abandoned at any moment. */
#include "process/process_util.h"
#include "process_support.h"

#include <sys/stat.h>
#include <sys/wait.h>

/* A deadline that is never reached in these tests. */
#define FOREVER_MS 600000

static void signals_are_told_from_codes(void **state) {
  (void)state;
  run_t run = {0};
  run_to_end(&run, SH("kill -SEGV $$"));
  assert_int_equal(run.result.signal, SIGSEGV);
  assert_int_equal(run.result.code, -1);
  run_free(&run);
  run = (run_t){0};
  run_to_end(&run, SH("exit 139"));
  assert_int_equal(run.result.signal, 0);
  assert_int_equal(run.result.code, 139);
  run_free(&run);
}

static void closing_stdout_is_not_the_end(void **state) {
  (void)state;
  run_t run = {0};
  run_to_end(&run, SH("echo before; exec >&- 2>&-; sleep 0.2; exit 7"));
  assert_int_equal(run.result.code, 7);
  assert_string_equal(run.out[0], "before\n");
  assert_false(run.result.drain_cut);
  run_free(&run);
}

/* ---- descendants who hold a pipe ------------------------------------------------- */

static int pid_from(const char *text) {
  int pid = atoi(text);
  assert_true(pid > 1);
  return pid;
}

static void a_daemon_does_not_hold_us(void **state) {
  (void)state;
  run_t run = {0};
  run.options.drain_ms = 50;
  run_to_end(&run, SH("setsid sleep 600 & echo $!; head -c 60000 /dev/zero; exit 3"));
  assert_int_equal(run.result.code, 3);
  assert_true(run.result.drain_cut);
  assert_true(run.result.total[0] > 60000);
  int daemon = pid_from(run.out[0]);
  assert_false(has_ended(daemon));
  kill(daemon, SIGKILL);
  run_free(&run);
}

typedef struct late {
  run_t run;
  uv_check_t check;
  const char *fifo;
  char text[64];
  size_t len;
} late_t;

static void on_late_output(axo_process_t *p, int stream, const char *bytes,
                           size_t len) {
  late_t *late = (late_t *)(void *)run_of(p);
  assert_int_equal(stream, AXO_STDOUT);
  assert_true(late->len + len < sizeof late->text);
  memcpy(late->text + late->len, bytes, len);
  late->len += len;
}

/* Once the child is gone, this keeps the loop busy until its descendant has written and
 * ended, and the time to drain is over. */
static void on_late_check(uv_check_t *check) {
  late_t *late = AXO__CONTAINER_OF(check, late_t, check);
  if (!late->run.process || kill(axo_process_pid(late->run.process), 0) == 0)
    return;
  FILE *fifo = fopen(late->fifo, "we");
  assert_non_null(fifo);
  fputs("go\n", fifo);
  fclose(fifo);
  await_end_of(atoi(late->text));
  usleep(100 * 1000);
  uv_close((uv_handle_t *)check, NULL);
}

static void a_late_loop_loses_nothing(void **state) {
  (void)state;
  char directory[] = "/tmp/axo-test-process-XXXXXX";
  char fifo[64];
  char script[128];
  assert_non_null(mkdtemp(directory));
  snprintf(fifo, sizeof fifo, "%s/fifo", directory);
  assert_int_equal(mkfifo(fifo, 0600), 0);
  snprintf(script, sizeof script, "(read x <%s; echo late) & echo $!", fifo);
  late_t late = {.fifo = fifo};
  late.run.options.on_output = on_late_output;
  late.run.options.drain_ms = 50;
  uv_check_init(&loop, &late.check);
  uv_check_start(&late.check, on_late_check);
  assert_int_equal(run_start(&late.run, SH(script), NULL), 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  unlink(fifo);
  rmdir(directory);
  assert_int_equal(late.run.exits, 1);
  assert_non_null(strstr(late.text, "\nlate\n"));
  assert_false(late.run.result.drain_cut);
  run_free(&late.run);
}

static void a_short_lived_descendant_is_awaited(void **state) {
  (void)state;
  run_t run = {0};
  run.options.drain_ms = FOREVER_MS;
  run_to_end(&run, SH("(sleep 0.2; echo late) & exit 0"));
  assert_string_equal(run.out[0], "late\n");
  assert_false(run.result.drain_cut);
  run_free(&run);
}

static void a_deadline_cuts_the_drain(void **state) {
  (void)state;
  run_t run = {0};
  run.options.drain_ms = FOREVER_MS;
  run.options.timeout_ms = 300;
  run_to_end(&run, SH("setsid sleep 600 & echo $!; exit 0"));
  assert_int_equal(run.result.code, 0);
  assert_true(run.result.timed_out);
  assert_true(run.result.drain_cut);
  kill(pid_from(run.out[0]), SIGKILL);
  run_free(&run);
}

/* ---- deadlines ------------------------------------------------------------------- */

static void a_deadline_terminates(void **state) {
  (void)state;
  run_t run = {0};
  run.options.timeout_ms = 100;
  run.options.grace_ms = FOREVER_MS;
  run_to_end(&run, SH("trap 'echo bye; exit 9' TERM; while :; do sleep 0.02; done"));
  assert_true(run.result.timed_out);
  assert_false(run.result.cancelled);
  assert_int_equal(run.result.code, 9);
  assert_string_equal(run.out[0], "bye\n");
  assert_true(run.result.duration_us >= 100000);
  run_free(&run);
}

static void who_ignores_term_is_killed(void **state) {
  (void)state;
  run_t run = {0};
  run.options.timeout_ms = 100;
  run.options.grace_ms = 100;
  run.options.drain_ms = FOREVER_MS; /* the sleep has the pipe until it has died, too */
  run_to_end(&run, SH("trap '' TERM; while :; do sleep 0.02; done"));
  assert_true(run.result.timed_out);
  assert_int_equal(run.result.signal, SIGKILL);
  assert_false(run.result.drain_cut);
  run_free(&run);
}

static void the_whole_group_ends(void **state) {
  (void)state;
  run_t run = {0};
  run.options.timeout_ms = 200;
  run.options.grace_ms = 100;
  run.options.drain_ms = 1;
  run_to_end(&run, SH("sh -c 'trap \"\" TERM; while :; do sleep 0.02; done' & "
                      "echo $!; wait"));
  assert_true(run.result.timed_out);
  assert_int_equal(run.result.signal, SIGTERM);
  await_end_of(pid_from(run.out[0]));
  run_free(&run);
}

static void a_deadline_covers_input(void **state) {
  (void)state;
  run_t run = {0};
  static char input[1024 * 1024];
  run.options.stdin_pipe = true;
  run.options.input = input;
  run.options.input_len = sizeof input;
  run.options.timeout_ms = 100;
  run_to_end(&run, SH("exec sleep 600"));
  assert_true(run.result.timed_out);
  assert_int_equal(run.result.signal, SIGTERM);
  run_free(&run);
}

static void on_deadline_interrupt(axo_process_t *p) {
  run_of(p)->calls++;
  assert_int_equal(axo_process_signal(p, SIGINT), 0);
}

static void a_hook_replaces_term(void **state) {
  (void)state;
  run_t run = {0};
  run.options.timeout_ms = 200;
  run.options.grace_ms = FOREVER_MS;
  run.options.on_deadline = on_deadline_interrupt;
  run_to_end(&run, SH("trap 'exit 1' TERM; trap 'exit 2' INT;"
                      "while :; do sleep 0.02; done"));
  assert_int_equal(run.calls, 1);
  assert_true(run.result.timed_out);
  assert_int_equal(run.result.code, 2);
  run_free(&run);
}

static void on_deadline_nothing(axo_process_t *p) { run_of(p)->calls++; }

static void kill_follows_a_hook(void **state) {
  (void)state;
  run_t run = {0};
  run.options.timeout_ms = 50;
  run.options.grace_ms = 50;
  run.options.on_deadline = on_deadline_nothing;
  run_to_end(&run, SH("exec sleep 600"));
  assert_int_equal(run.calls, 1);
  assert_int_equal(run.result.signal, SIGKILL);
  run_free(&run);
}

/* The loop's clock is as old as its last turn: a deadline counts from the start. It is
 * long enough for a program on a busy machine. */
static void a_stale_clock_does_not_matter(void **state) {
  (void)state;
  run_t run = {0};
  uv_update_time(&loop);
  usleep(3100 * 1000);
  run.options.timeout_ms = 3000;
  run_to_end(&run, (char *[]){"true", NULL});
  assert_int_equal(run.result.code, 0);
  assert_false(run.result.timed_out);
  run_free(&run);
}

/* ---- cancel and signal ----------------------------------------------------------- */

static void cancel_is_like_a_deadline(void **state) {
  (void)state;
  run_t run = {0};
  run.options.on_deadline = on_deadline_interrupt;
  run.options.timeout_ms = FOREVER_MS;
  assert_int_equal(run_start(&run, SH("exec sleep 600"), NULL), 0);
  axo_process_cancel(run.process);
  axo_process_cancel(run.process);
  assert_int_equal(run.calls, 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(run.exits, 1);
  assert_int_equal(run.calls, 1);
  assert_true(run.result.cancelled);
  assert_false(run.result.timed_out);
  assert_int_equal(run.result.signal, SIGINT);
  run_free(&run);
}

static void a_signal_reaches_the_group(void **state) {
  (void)state;
  run_t run = {0};
  assert_int_equal(run_start(&run, SH("sleep 600 | sleep 600"), NULL), 0);
  assert_int_equal(axo_process_signal(run.process, SIGUSR1), 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(run.result.signal, SIGUSR1);
  assert_false(run.result.drain_cut);
  run_free(&run);
}

static void on_exit_signal(axo_process_t *p, const axo_process_result_t *result) {
  (void)result;
  run_of(p)->exits++;
  assert_int_equal(axo_process_signal(p, SIGTERM), UV_ESRCH);
  assert_int_equal(axo_process_write(p, "x", 1), UV_EPIPE);
  axo_process_cancel(p);
  axo_process_close_stdin(p);
  axo_process_close(p);
  axo_process_close(p);
}

static void after_the_exit_there_is_nothing(void **state) {
  (void)state;
  run_t run = {.options = {.argv = (char *[]){"true", NULL}}};
  run.options.data = &run;
  run.options.stdin_pipe = true;
  run.options.on_exit = on_exit_signal;
  assert_int_equal(axo_process_spawn(&loop, &run.options, &run.process, NULL), 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(run.exits, 1);
}

/* ---- failures to start ----------------------------------------------------------- */

static void assert_no_start(char *program, const char *cwd, int code,
                            const char *named) {
  run_t run = {0};
  axo_err_t err = {0};
  char *argv[] = {program, NULL};
  static const char input[] = "never read";
  run.options.cwd = cwd;
  run.options.stdin_pipe = true;
  run.options.input = input;
  run.options.input_len = sizeof input;
  run.options.timeout_ms = 1;
  assert_int_equal(run_start(&run, argv, &err), code);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(run.exits, 0);
  assert_int_equal(err.code, code);
  assert_non_null(strstr(err.message, named));
  assert_true(strlen(err.hint) > 0 || code == UV_ENOTDIR);
}

static void failures_to_start_are_returned(void **state) {
  (void)state;
  char directory[] = "/tmp/axo-test-process-XXXXXX";
  char file[64];
  assert_non_null(mkdtemp(directory));
  snprintf(file, sizeof file, "%s/file", directory);
  fclose(fopen(file, "we"));
  char under[80];
  snprintf(under, sizeof under, "%s/under", file);
  int descriptors = count_descriptors();
  assert_no_start("axo-no-such-program", NULL, UV_ENOENT, "axo-no-such-program");
  assert_no_start(file, NULL, UV_EACCES, file);
  assert_no_start(under, NULL, UV_ENOTDIR, under);
  assert_no_start("true", under, UV_ENOTDIR, under);
  assert_no_start("true", file, UV_ENOTDIR, file);
  unlink(file);
  rmdir(directory);
  assert_no_start("true", directory, UV_ENOENT, directory);
  assert_int_equal(count_descriptors(), descriptors);
}

static void a_vector_is_needed(void **state) {
  (void)state;
  run_t run = {0};
  axo_err_t err;
  assert_int_equal(run_start(&run, NULL, &err), UV_EINVAL);
  assert_int_equal(run_start(&run, (char *[]){NULL}, &err), UV_EINVAL);
}

/* ---- close ----------------------------------------------------------------------- */

static void on_output_close(axo_process_t *p, int stream, const char *bytes,
                            size_t len) {
  (void)stream;
  (void)bytes;
  (void)len;
  run_of(p)->calls++;
  axo_process_close(p);
}

static void on_drain_close(axo_process_t *p) {
  run_of(p)->calls++;
  axo_process_close(p);
}

static void close_within(run_t *run, char *script) {
  assert_int_equal(run_start(run, SH(script), NULL), 0);
  int pid = axo_process_pid(run->process);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(run->calls, 1);
  assert_int_equal(run->exits, 0);
  /* Reaped as well: no zombie is left. */
  assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
}

static void closes_within_on_output(void **state) {
  (void)state;
  run_t run = {.options = {.on_output = on_output_close}};
  close_within(&run, "yes & yes >&2");
}

static void closes_within_on_drain(void **state) {
  (void)state;
  run_t run = {.options = {.on_drain = on_drain_close, .stdin_pipe = true}};
  run.options.input = "x";
  run.options.input_len = 1;
  run.options.input_more = true;
  close_within(&run, "exec sleep 600");
}

static void closes_within_on_deadline(void **state) {
  (void)state;
  run_t run = {.options = {.on_deadline = on_drain_close, .timeout_ms = 50}};
  close_within(&run, "exec sleep 600");
  run = (run_t){.options = {.on_deadline = on_drain_close, .max_output = 9}};
  run.options.on_limit = AXO_LIMIT_KILL;
  close_within(&run, "exec yes");
}

static void closes_at_once(void **state) {
  (void)state;
  run_t run = {.options = {.stdin_pipe = true, .timeout_ms = 1}};
  assert_int_equal(run_start(&run, SH("sleep 600 & sleep 600"), NULL), 0);
  int pid = axo_process_pid(run.process);
  axo_process_write(run.process, "x", 1);
  axo_process_cancel(run.process);
  axo_process_close(run.process);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(run.exits, 0);
  assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
  while (kill(-pid, 0) == 0 && !has_ended(pid))
    usleep(1000);
}

static void closes_what_has_ended(void **state) {
  (void)state;
  run_t run = {0};
  assert_int_equal(run_start(&run, (char *[]){"true", NULL}, NULL), 0);
  int pid = axo_process_pid(run.process);
  await_end_of(pid);
  axo_process_close(run.process);
  assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(run.exits, 0);
}

/* ---- many ------------------------------------------------------------------------ */

/* A fork of a program under a checker is slow. */
static int children(void) {
#ifdef __SANITIZE_ADDRESS__
  return 200;
#else
  return getenv("AXO_VALGRIND") ? 100 : 1000;
#endif
}

static void a_thousand_leave_nothing_open(void **state) {
  (void)state;
  run_t first = {0};
  run_to_end(&first, (char *[]){"true", NULL});
  run_free(&first);
  int descriptors = count_descriptors();
  for (int done = 0, all = children(); done < all; done += 10) {
    run_t runs[10];
    memset(runs, 0, sizeof runs);
    for (int i = 0; i < 10; i++) {
      runs[i].options.stdin_pipe = i % 2 == 0;
      assert_int_equal(run_start(&runs[i], (char *[]){"true", NULL}, NULL), 0);
      if (i % 3 == 0) {
        axo_process_close(runs[i].process);
        runs[i].process = NULL;
      }
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 10; i++) {
      assert_int_equal(runs[i].exits, i % 3 != 0);
      run_free(&runs[i]);
    }
  }
  assert_int_equal(count_descriptors(), descriptors);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      LOOP_TEST(signals_are_told_from_codes),
      LOOP_TEST(closing_stdout_is_not_the_end),
      LOOP_TEST(a_daemon_does_not_hold_us),
      LOOP_TEST(a_late_loop_loses_nothing),
      LOOP_TEST(a_short_lived_descendant_is_awaited),
      LOOP_TEST(a_deadline_cuts_the_drain),
      LOOP_TEST(a_deadline_terminates),
      LOOP_TEST(who_ignores_term_is_killed),
      LOOP_TEST(the_whole_group_ends),
      LOOP_TEST(a_deadline_covers_input),
      LOOP_TEST(a_hook_replaces_term),
      LOOP_TEST(kill_follows_a_hook),
      LOOP_TEST(a_stale_clock_does_not_matter),
      LOOP_TEST(cancel_is_like_a_deadline),
      LOOP_TEST(a_signal_reaches_the_group),
      LOOP_TEST(after_the_exit_there_is_nothing),
      LOOP_TEST(failures_to_start_are_returned),
      LOOP_TEST(a_vector_is_needed),
      LOOP_TEST(closes_within_on_output),
      LOOP_TEST(closes_within_on_drain),
      LOOP_TEST(closes_within_on_deadline),
      LOOP_TEST(closes_at_once),
      LOOP_TEST(closes_what_has_ended),
      LOOP_TEST(a_thousand_leave_nothing_open),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
