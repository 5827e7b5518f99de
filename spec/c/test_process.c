/* Children and their bytes: what goes in, what comes out, and how much of it is kept.
 */
#include "process/process_util.h"
#include "process_support.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define MB ((size_t)1024 * 1024)

static char *random_bytes(size_t len) {
  char *bytes = malloc(len);
  uint32_t x = 2463534242u;
  assert_non_null(bytes);
  for (size_t i = 0; i < len; i++) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    bytes[i] = (char)(x >> 24);
  }
  return bytes;
}

static void collects_both_streams(void **state) {
  (void)state;
  run_t run = {0};
  run_to_end(&run, SH("printf out; printf error >&2; exit 200"));
  assert_int_equal(run.result.code, 200);
  assert_int_equal(run.result.signal, 0);
  assert_string_equal(run.out[0], "out");
  assert_string_equal(run.out[1], "error");
  assert_int_equal(run.result.out_len[0], 3);
  assert_int_equal(run.result.total[1], 5);
  assert_false(run.result.truncated[0] || run.result.truncated[1]);
  assert_false(run.result.timed_out || run.result.cancelled || run.result.limit_hit ||
               run.result.drain_cut);
  run_free(&run);
}

static void stdin_is_empty_by_default(void **state) {
  (void)state;
  run_t run = {0};
  run_to_end(&run, (char *[]){"cat", NULL});
  assert_int_equal(run.result.code, 0);
  assert_string_equal(run.out[0], "");
  run_free(&run);
}

static void environment_and_directory_are_given(void **state) {
  (void)state;
  run_t run = {0};
  run.options.env = (char *[]){"PATH=/usr/bin:/bin", "AXO_TEST=yes", NULL};
  run.options.cwd = "/usr";
  run_to_end(&run, SH("echo $AXO_TEST $HOME $(pwd)"));
  assert_string_equal(run.out[0], "yes /usr\n");
  run_free(&run);
}

static void random_bytes_survive(void **state) {
  (void)state;
  run_t run = {0};
  char *bytes = random_bytes(MB);
  run.options.stdin_pipe = true;
  run.options.input = bytes;
  run.options.input_len = MB;
  run_to_end(&run, (char *[]){"cat", NULL});
  assert_int_equal(run.result.code, 0);
  assert_int_equal(run.result.out_len[0], MB);
  assert_false(run.result.truncated[0]);
  assert_memory_equal(run.out[0], bytes, MB);
  free(bytes);
  run_free(&run);
}

/* The child reads nothing before it has written its 2 MB, and the other way round. */
static void both_ways_at_once(void **state) {
  (void)state;
  char *scripts[] = {
      "head -c 2097152 /dev/zero; cat | wc -c >&2",
      "exec 3>&1; (head -c 2097152 /dev/zero >&3) & cat | wc -c >&2; wait",
      "tee /dev/stderr | cat",
  };
  char *input = random_bytes(2 * MB);
  for (size_t i = 0; i < 3; i++) {
    run_t run = {0};
    run.options.stdin_pipe = true;
    run.options.input = input;
    run.options.input_len = 2 * MB;
    run.options.max_output = 4 * MB;
    run_to_end(&run, SH(scripts[i]));
    assert_int_equal(run.result.code, 0);
    assert_int_equal(run.result.out_len[0], 2 * MB);
    if (i < 2)
      assert_string_equal(run.out[1], "2097152\n");
    if (i == 2)
      assert_memory_equal(run.out[0], input, 2 * MB);
    run_free(&run);
  }
  free(input);
}

/* ---- stdin, piece by piece ------------------------------------------------------- */

static void feed(axo_process_t *p) {
  run_t *run = run_of(p);
  static const char piece[100000] = {'x'};
  assert_int_equal(axo_process_queued(p), 0);
  if (++run->calls <= 20) {
    assert_int_equal(axo_process_write(p, piece, sizeof piece), 0);
    assert_int_equal(axo_process_queued(p), sizeof piece);
  } else {
    axo_process_close_stdin(p);
    axo_process_close_stdin(p);
    assert_int_equal(axo_process_write(p, piece, 1), UV_EPIPE);
  }
}

static void more_input_follows(void **state) {
  (void)state;
  run_t run = {0};
  run.options.stdin_pipe = true;
  run.options.input = "begin";
  run.options.input_len = 5;
  run.options.input_more = true;
  run.options.on_drain = feed;
  run_to_end(&run, (char *[]){"wc", "-c", NULL});
  assert_string_equal(run.out[0], "2000005\n");
  assert_int_equal(run.calls, 21);
  run_free(&run);
}

static void closing_waits_for_the_queue(void **state) {
  (void)state;
  run_t run = {0};
  char *bytes = random_bytes(MB);
  run.options.stdin_pipe = true;
  assert_int_equal(run_start(&run, (char *[]){"wc", "-c", NULL}, NULL), 0);
  assert_int_equal(axo_process_write(run.process, bytes, MB), 0);
  axo_process_close_stdin(run.process);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_string_equal(run.out[0], "1048576\n");
  free(bytes);
  run_free(&run);
}

static void an_empty_input_is_an_end(void **state) {
  (void)state;
  run_t run = {0};
  run.options.stdin_pipe = true;
  run.options.input = "";
  run_to_end(&run, (char *[]){"wc", "-c", NULL});
  assert_string_equal(run.out[0], "0\n");
  run_free(&run);
}

static void the_queue_is_bounded(void **state) {
  (void)state;
  run_t run = {0};
  char *bytes = random_bytes(MB);
  run.options.stdin_pipe = true;
  assert_int_equal(run_start(&run, (char *[]){"wc", "-c", NULL}, NULL), 0);
  for (int i = 0; i < 16; i++) {
    assert_int_equal(axo_process_write(run.process, bytes, MB), 0);
  }
  assert_int_equal(axo_process_write(run.process, bytes, 1), UV_ENOBUFS);
  assert_int_equal(axo_process_queued(run.process), 16 * MB);
  axo_process_close_stdin(run.process);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_string_equal(run.out[0], "16777216\n");
  free(bytes);
  run_free(&run);
}

static bool sigpipe_is(int (*how)(sigset_t *)) {
  sigset_t set;
  sigemptyset(&set);
  how(&set);
  return sigismember(&set, SIGPIPE) == 1;
}

static int get_mask(sigset_t *set) { return pthread_sigmask(SIG_BLOCK, NULL, set); }

static void a_reader_that_leaves_is_no_error(void **state) {
  (void)state;
  char *bytes = random_bytes(2 * MB);
  struct sigaction before;
  struct sigaction after;
  sigaction(SIGPIPE, NULL, &before);
  run_t run = {0};
  run.options.stdin_pipe = true;
  run.options.input = bytes;
  run.options.input_len = 2 * MB;
  run_to_end(&run, SH("head -c 3 >/dev/null; exec <&-; echo done"));
  assert_int_equal(run.result.code, 0);
  assert_string_equal(run.out[0], "done\n");
  sigaction(SIGPIPE, NULL, &after);
  assert_true(before.sa_handler == SIG_DFL && after.sa_handler == SIG_DFL);
  assert_false(sigpipe_is(get_mask) || sigpipe_is(sigpending));
  free(bytes);
  run_free(&run);
}

/* A signal that was pending before belongs to somebody else and stays. */
static void sigpipe_is_not_raised(void **state) {
  (void)state;
  axo__queue_t queue = {0};
  int fds[2];
  assert_int_equal(uv_pipe(fds, 0, UV_NONBLOCK_PIPE), 0);
  close(fds[0]);
  assert_int_equal(axo__queue_push(&queue, "x", 1), 0);
  assert_int_equal(axo__queue_flush(&queue, fds[1]), UV_EPIPE);
  assert_false(sigpipe_is(get_mask) || sigpipe_is(sigpending));
  sigset_t set;
  sigset_t before;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, &before);
  assert_int_equal(axo__queue_flush(&queue, fds[1]), UV_EPIPE);
  assert_true(sigpipe_is(get_mask));
  assert_false(sigpipe_is(sigpending));
  raise(SIGPIPE);
  assert_int_equal(axo__queue_flush(&queue, fds[1]), UV_EPIPE);
  assert_true(sigpipe_is(sigpending));
  int signum;
  sigwait(&set, &signum);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  axo__queue_clear(&queue);
  close(fds[1]);
}

/* ---- output ---------------------------------------------------------------------- */

static void output_is_capped(void **state) {
  (void)state;
  run_t run = {0};
  run.options.max_output = 1000;
  run_to_end(&run, SH("head -c 3000000 /dev/zero; head -c 1000 /dev/zero >&2"));
  assert_int_equal(run.result.code, 0);
  assert_int_equal(run.result.out_len[0], 1000);
  assert_int_equal(run.result.total[0], 3000000);
  assert_true(run.result.truncated[0]);
  assert_int_equal(run.result.out_len[1], 1000);
  assert_false(run.result.truncated[1]);
  assert_false(run.result.limit_hit);
  run_free(&run);
}

static void a_limit_can_kill(void **state) {
  (void)state;
  run_t run = {0};
  run.options.max_output = 1000;
  run.options.on_limit = AXO_LIMIT_KILL;
  run_to_end(&run, (char *[]){"yes", NULL});
  assert_true(run.result.limit_hit);
  assert_true(run.result.truncated[0]);
  assert_false(run.result.timed_out || run.result.cancelled);
  assert_int_equal(run.result.signal, SIGTERM);
  assert_int_equal(run.result.code, -1);
  assert_int_equal(run.result.out_len[0], 1000);
  run_free(&run);
}

static long resident_kb(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

static void yes_leaves_memory_flat(void **state) {
  (void)state;
  run_t run = {0};
  run.options.max_output = MB;
  run.options.timeout_ms = 1000;
  long before = resident_kb();
  run_to_end(&run, (char *[]){"yes", NULL});
  assert_true(run.result.timed_out);
  assert_int_equal(run.result.out_len[0], MB);
  assert_true(run.result.truncated[0]);
  assert_true(run.result.total[0] > 4 * MB);
  assert_true(resident_kb() - before < 16 * 1024);
  run_free(&run);
}

static void stderr_can_be_merged(void **state) {
  (void)state;
  run_t run = {0};
  run.options.merge_stderr = true;
  run_to_end(&run, SH("printf a; printf b >&2; printf c; printf d >&2"));
  assert_string_equal(run.out[0], "abcd");
  assert_int_equal(run.result.total[1], 0);
  run_free(&run);
}

static void on_piece(axo_process_t *p, int stream, const char *bytes, size_t len) {
  run_t *run = run_of(p);
  assert_true(stream == AXO_STDOUT || stream == AXO_STDERR);
  assert_non_null(bytes);
  assert_true(len > 0);
  run->bytes += len;
  run->calls |= stream;
}

static void output_is_streamed(void **state) {
  (void)state;
  run_t run = {0};
  run.options.on_output = on_piece;
  run.options.max_output = 1;
  run.options.on_limit = AXO_LIMIT_KILL;
  run_to_end(&run, SH("head -c 3000000 /dev/zero; printf error >&2"));
  assert_int_equal(run.result.code, 0);
  assert_int_equal(run.bytes, 3000005);
  assert_int_equal(run.calls, AXO_STDOUT | AXO_STDERR);
  assert_int_equal(run.result.out_len[0], 0);
  assert_int_equal(run.result.total[0], 3000000);
  assert_false(run.result.truncated[0] || run.result.limit_hit);
  run_free(&run);
}

static void one_stream_is_streamed(void **state) {
  (void)state;
  run_t run = {0};
  run.options.on_output = on_piece;
  run.options.streams = AXO_STDERR;
  run_to_end(&run, SH("printf out; printf error >&2"));
  assert_int_equal(run.bytes, 5);
  assert_int_equal(run.calls, AXO_STDERR);
  assert_string_equal(run.out[0], "out");
  assert_string_equal(run.out[1], "");
  run_free(&run);
}

static void output_goes_to_a_ring(void **state) {
  (void)state;
  run_t run = {0};
  char buf[64];
  uint64_t cursor = 0;
  uint64_t dropped = 0;
  assert_int_equal(axo_ring_new(4096, &run.options.ring), 0);
  run.options.on_output = on_piece;
  run_to_end(&run, SH("printf ring; exec >&2; printf s"));
  assert_int_equal(run.bytes, 5);
  assert_int_equal(run.result.out_len[0], 0);
  assert_int_equal(axo_ring_read(run.options.ring, &cursor, buf, sizeof buf, &dropped),
                   5);
  axo_ring_free(run.options.ring);
  run_free(&run);
}

/* A pipe, not a socket: only that can be opened again by its name. */
static void stdio_can_be_reopened(void **state) {
  (void)state;
  run_t run = {0};
  run.options.stdin_pipe = true;
  run.options.input = "through";
  run.options.input_len = 7;
  run_to_end(&run, SH("cat /dev/stdin >/dev/stdout; echo error >/dev/stderr"));
  assert_string_equal(run.out[0], "through");
  assert_string_equal(run.out[1], "error\n");
  run_free(&run);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      LOOP_TEST(yes_leaves_memory_flat),
      LOOP_TEST(collects_both_streams),
      LOOP_TEST(stdin_is_empty_by_default),
      LOOP_TEST(environment_and_directory_are_given),
      LOOP_TEST(random_bytes_survive),
      LOOP_TEST(both_ways_at_once),
      LOOP_TEST(more_input_follows),
      LOOP_TEST(closing_waits_for_the_queue),
      LOOP_TEST(an_empty_input_is_an_end),
      LOOP_TEST(the_queue_is_bounded),
      LOOP_TEST(a_reader_that_leaves_is_no_error),
      LOOP_TEST(sigpipe_is_not_raised),
      LOOP_TEST(output_is_capped),
      LOOP_TEST(a_limit_can_kill),
      LOOP_TEST(stderr_can_be_merged),
      LOOP_TEST(output_is_streamed),
      LOOP_TEST(one_stream_is_streamed),
      LOOP_TEST(output_goes_to_a_ring),
      LOOP_TEST(stdio_can_be_reopened),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
