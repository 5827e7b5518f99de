/* Children on terminals of their own, by pidfd and by SIGCHLD. */
#include "process/pty_impl.h"
#include "process_support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FOREVER_MS 600000

typedef struct term {
  axo_pty_options_t options;
  axo_pty_t *pty;
  char *text;
  size_t len;
  int exits;
  int code;
  int signal;
  int calls;
  const char *script; /* what is typed once the child says "ready" */
} term_t;

/* Whether exits are noticed by pidfd; each test runs both ways. */
static bool by_pidfd = true;

static void on_text(axo_pty_t *pty, const char *bytes, size_t len) {
  term_t *term = axo_pty_data(pty);
  term->text = realloc(term->text, term->len + len + 1);
  assert_non_null(term->text);
  memcpy(term->text + term->len, bytes, len);
  term->len += len;
  term->text[term->len] = '\0';
  if (term->script && strstr(term->text, "ready")) {
    const char *script = term->script;
    term->script = NULL;
    assert_int_equal(axo_pty_write(pty, script, strlen(script)), 0);
  }
}

static void on_term_exit(axo_pty_t *pty, int code, int signum) {
  term_t *term = axo_pty_data(pty);
  term->exits++;
  term->code = code;
  term->signal = signum;
  term->pty = NULL;
}

static int term_start(term_t *term, char *const *argv, axo_err_t *err) {
  term->options.argv = argv;
  term->options.data = term;
  if (!term->options.on_output)
    term->options.on_output = on_text;
  if (!term->options.on_exit)
    term->options.on_exit = on_term_exit;
  return axo__pty_spawn(&loop, &term->options, by_pidfd, &term->pty, err);
}

static void term_to_end(term_t *term, char *const *argv) {
  assert_int_equal(term_start(term, argv, NULL), 0);
  assert_int_equal(term->exits, 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(term->exits, 1);
}

static void term_free(term_t *term) { free(term->text); }

/* ---- the terminal ---------------------------------------------------------------- */

static void it_is_a_controlling_terminal(void **state) {
  (void)state;
  term_t term = {0};
  term_to_end(&term, SH("test -t 0 && test -t 1 && test -t 2 && echo yes >/dev/tty;"
                        "exit 200"));
  assert_string_equal(term.text, "yes\r\n");
  assert_int_equal(term.code, 200);
  assert_int_equal(term.signal, 0);
  term_free(&term);
}

static void its_size_is_set_before_exec(void **state) {
  (void)state;
  term_t term = {.options = {.rows = 50, .cols = 132}};
  term_to_end(&term, (char *[]){"stty", "size", NULL});
  assert_string_equal(term.text, "50 132\r\n");
  term_free(&term);
  term = (term_t){.exits = 0};
  term_to_end(&term, (char *[]){"stty", "size", NULL});
  assert_string_equal(term.text, "24 80\r\n");
  term_free(&term);
}

static void on_text_resize(axo_pty_t *pty, const char *bytes, size_t len) {
  term_t *term = axo_pty_data(pty);
  on_text(pty, bytes, len);
  if (term->calls == 0 && strstr(term->text, "ready")) {
    term->calls++;
    assert_int_equal(axo_pty_resize(pty, 0, 10), UV_EINVAL);
    assert_int_equal(axo_pty_resize(pty, 10, 0), UV_EINVAL);
    assert_int_equal(axo_pty_resize(pty, 33, 99), 0);
  }
}

static void resize_sends_winch(void **state) {
  (void)state;
  term_t term = {.options = {.on_output = on_text_resize}};
  term_to_end(&term, SH("trap 'stty size; exit 5' WINCH; echo ready;"
                        "while :; do sleep 0.02; done"));
  assert_int_equal(term.code, 5);
  assert_non_null(strstr(term.text, "33 99"));
  term_free(&term);
}

static void environment_and_directory_are_given(void **state) {
  (void)state;
  term_t term = {.options = {.cwd = "/usr"}};
  term.options.env = (char *[]){"AXO_TEST=yes", "PATH=:/none:/usr/bin:/bin", NULL};
  term_to_end(&term, SH("echo $AXO_TEST $HOME $(pwd)"));
  assert_string_equal(term.text, "yes /usr\r\n");
  term_free(&term);
}

static void signals_are_the_default(void **state) {
  (void)state;
  sigset_t set;
  sigset_t before;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, &before);
  signal(SIGUSR2, SIG_IGN);
  term_t term = {0};
  term_to_end(&term,
              (char *[]){"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status", NULL});
  sigprocmask(SIG_SETMASK, &before, NULL);
  signal(SIGUSR2, SIG_DFL);
  assert_string_equal(term.text, "SigBlk:\t0000000000000000\r\n"
                                 "SigIgn:\t0000000000000000\r\n");
  term_free(&term);
}

static void descriptors_are_not_inherited(void **state) {
  (void)state;
  int fds[2];
  assert_int_equal(pipe(fds), 0);
  int high = fcntl(fds[0], F_DUPFD, 500);
  term_t term = {0};
  term_to_end(&term, SH("for fd in /proc/$$/fd/*; do echo ${fd##*/}; done"));
  close(fds[0]);
  close(fds[1]);
  close(high);
  /* The shell's own: it may read its directory through one more. */
  assert_null(strstr(term.text, "500"));
  char number[16];
  snprintf(number, sizeof number, "\n%d\r", fds[1]);
  assert_null(strstr(term.text, number));
  term_free(&term);
}

/* ---- input ----------------------------------------------------------------------- */

static void it_is_typed_to(void **state) {
  (void)state;
  term_t term = {.script = "hello\n\004"};
  term_to_end(&term, SH("stty -echo; echo ready; cat; exit 4"));
  assert_string_equal(term.text, "ready\r\nhello\r\n");
  assert_int_equal(term.code, 4);
  term_free(&term);
}

static void ctrl_c_interrupts(void **state) {
  (void)state;
  term_t term = {.script = "\003"};
  term_to_end(&term, SH("echo ready; exec sleep 600"));
  assert_int_equal(term.signal, SIGINT);
  assert_int_equal(term.code, -1);
  term_free(&term);
}

static void input_waits_for_its_reader(void **state) {
  (void)state;
  static char input[1024 * 1024];
  memset(input, 'x', sizeof input);
  term_t term = {0};
  assert_int_equal(term_start(&term,
                              SH("stty raw -echo; echo ready; head -c 1048576 | wc -c"),
                              NULL),
                   0);
  while (!term.text)
    uv_run(&loop, UV_RUN_ONCE);
  assert_int_equal(axo_pty_write(term.pty, input, sizeof input), 0);
  assert_int_equal(axo_pty_write(term.pty, "x", 1), UV_ENOBUFS);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_non_null(strstr(term.text, "1048576"));
  term_free(&term);
}

/* ---- output ---------------------------------------------------------------------- */

static void nothing_is_lost_at_the_exit(void **state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    term_t term = {0};
    term_to_end(&term, (char *[]){"seq", "20000", NULL});
    assert_int_equal(term.len, 128894); /* 108894 and 20000 carriage returns */
    assert_string_equal(term.text + term.len - 7, "20000\r\n");
    assert_int_equal(term.code, 0);
    term_free(&term);
  }
}

static void output_goes_to_a_ring_first(void **state) {
  (void)state;
  term_t term = {0};
  char buf[64] = {0};
  uint64_t cursor = 0;
  uint64_t dropped = 0;
  assert_int_equal(axo_ring_new(4096, &term.options.ring), 0);
  term_to_end(&term, SH("echo ring"));
  assert_int_equal(axo_ring_read(term.options.ring, &cursor, buf, sizeof buf, &dropped),
                   6);
  assert_string_equal(buf, "ring\r\n");
  assert_string_equal(term.text, "ring\r\n");
  axo_ring_free(term.options.ring);
  term_free(&term);
}

static void the_terminal_can_be_left_and_opened_again(void **state) {
  (void)state;
  term_t term = {0};
  term_to_end(&term, SH("exec <&- >&- 2>&-; sleep 0.2; echo back >/dev/tty; exit 6"));
  assert_string_equal(term.text, "back\r\n");
  assert_int_equal(term.code, 6);
  term_free(&term);
}

/* ---- the end --------------------------------------------------------------------- */

static void a_grandchild_does_not_hold_us(void **state) {
  (void)state;
  term_t term = {.options = {.drain_ms = 50}};
  term_to_end(&term, SH("trap '' HUP; sleep 600 & echo $!; exit 3"));
  assert_int_equal(term.code, 3);
  int grandchild = atoi(term.text);
  assert_true(grandchild > 1);
  assert_false(has_ended(grandchild));
  kill(grandchild, SIGKILL);
  term_free(&term);
}

typedef struct late {
  term_t term;
  uv_check_t check;
  const char *fifo;
} late_t;

/* Once the child is gone, this keeps the loop busy until its descendant has written and
 * ended, and the time to drain is over. */
static void on_late_check(uv_check_t *check) {
  late_t *late = AXO__CONTAINER_OF(check, late_t, check);
  if (!late->term.pty || kill(axo_pty_pid(late->term.pty), 0) == 0)
    return;
  FILE *fifo = fopen(late->fifo, "we");
  assert_non_null(fifo);
  fputs("go\n", fifo);
  fclose(fifo);
  await_end_of(atoi(late->term.text));
  usleep(100 * 1000);
  uv_close((uv_handle_t *)check, NULL);
}

static void a_late_loop_loses_nothing(void **state) {
  (void)state;
  char directory[] = "/tmp/axo-test-pty-XXXXXX";
  char fifo[64];
  char script[128];
  assert_non_null(mkdtemp(directory));
  snprintf(fifo, sizeof fifo, "%s/fifo", directory);
  assert_int_equal(mkfifo(fifo, 0600), 0);
  /* The child goes when it is known that its first line has arrived. */
  snprintf(script, sizeof script,
           "trap '' HUP; (read x <%s; echo late) & echo $! ready; read y", fifo);
  late_t late = {.fifo = fifo, .term.script = "\n"};
  late.term.options.drain_ms = 50;
  uv_check_init(&loop, &late.check);
  uv_check_start(&late.check, on_late_check);
  assert_int_equal(term_start(&late.term, SH(script), NULL), 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  unlink(fifo);
  rmdir(directory);
  assert_int_equal(late.term.exits, 1);
  assert_non_null(strstr(late.term.text, "\nlate\r\n"));
  term_free(&late.term);
}

static void a_signal_ends_it(void **state) {
  (void)state;
  term_t term = {.options = {.drain_ms = FOREVER_MS}};
  assert_int_equal(term_start(&term, SH("exec sleep 600"), NULL), 0);
  assert_int_equal(axo_pty_signal(term.pty, SIGTERM), 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(term.signal, SIGTERM);
  assert_int_equal(term.code, -1);
  term_free(&term);
}

static void on_exit_use(axo_pty_t *pty, int code, int signum) {
  on_term_exit(pty, code, signum);
  assert_int_equal(axo_pty_signal(pty, SIGTERM), UV_ESRCH);
  assert_int_equal(axo_pty_write(pty, "x", 1), UV_EPIPE);
  assert_int_equal(axo_pty_resize(pty, 1, 1), UV_EPIPE);
  axo_pty_close(pty);
}

static void after_the_exit_there_is_nothing(void **state) {
  (void)state;
  term_t term = {.options = {.on_exit = on_exit_use}};
  term_to_end(&term, (char *[]){"true", NULL});
  term_free(&term);
}

static void on_text_close(axo_pty_t *pty, const char *bytes, size_t len) {
  term_t *term = axo_pty_data(pty);
  (void)bytes;
  (void)len;
  term->calls++;
  axo_pty_close(pty);
}

/* A host that reaps all its children, whoever started them. */
static void an_exit_that_others_reap_is_not_a_success(void **state) {
  (void)state;
  term_t term = {0};
  assert_int_equal(term_start(&term, SH("exit 3"), NULL), 0);
  assert_int_equal(waitpid(axo_pty_pid(term.pty), NULL, 0), axo_pty_pid(term.pty));
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(term.exits, 1);
  assert_int_equal(term.code, -1);
  assert_int_equal(term.signal, 0);
  term_free(&term);
}

static void closes_within_on_output(void **state) {
  (void)state;
  term_t term = {.options = {.on_output = on_text_close}};
  assert_int_equal(term_start(&term, SH("trap '' HUP; yes"), NULL), 0);
  int pid = axo_pty_pid(term.pty);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(term.calls, 1);
  assert_int_equal(term.exits, 0);
  assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
}

/* A shell with job control runs its job in another group, which ignores SIGHUP. */
static void close_ends_the_foreground_job(void **state) {
  (void)state;
  term_t term = {0};
  char *argv[] = {"bash", "--norc", "-i", NULL};
  term.options.env = (char *[]){"PS1=ready", "PATH=/usr/bin:/bin", NULL};
  term.script = "sh -c 'trap \"\" HUP; echo job=$$; exec sleep 600'\n";
  assert_int_equal(term_start(&term, argv, NULL), 0);
  char *job = NULL;
  while (!job || !strchr(job, '\n')) {
    uv_run(&loop, UV_RUN_ONCE);
    job = term.text ? strstr(term.text, "\njob=") : NULL;
    if (job)
      job++;
  }
  int pid = atoi(job + 4);
  assert_true(pid > 1);
  assert_false(has_ended(pid));
  axo_pty_close(term.pty);
  await_end_of(pid);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(term.exits, 0);
  term_free(&term);
}

static void closes_what_has_ended(void **state) {
  (void)state;
  term_t term = {0};
  assert_int_equal(term_start(&term, (char *[]){"true", NULL}, NULL), 0);
  int pid = axo_pty_pid(term.pty);
  await_end_of(pid);
  axo_pty_close(term.pty);
  assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(term.exits, 0);
}

/* ---- failures to start ----------------------------------------------------------- */

static void assert_no_start(char *program, const char *cwd, int code,
                            const char *named) {
  term_t term = {.options = {.cwd = cwd}};
  axo_err_t err = {0};
  assert_int_equal(term_start(&term, (char *[]){program, NULL}, &err), code);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(term.exits, 0);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
  assert_int_equal(err.code, code);
  assert_non_null(strstr(err.message, named));
}

static void failures_to_start_are_returned(void **state) {
  (void)state;
  char directory[] = "/tmp/axo-test-pty-XXXXXX";
  char file[64];
  assert_non_null(mkdtemp(directory));
  snprintf(file, sizeof file, "%s/file", directory);
  fclose(fopen(file, "we"));
  char under[80];
  snprintf(under, sizeof under, "%s/under", file);
  term_t warm = {0};
  term_to_end(&warm, (char *[]){"true", NULL});
  int descriptors = count_descriptors();
  assert_no_start("axo-no-such-program", NULL, UV_ENOENT, "axo-no-such-program");
  assert_no_start("", NULL, UV_ENOENT, "cannot run");
  assert_no_start(file, NULL, UV_EACCES, file);
  assert_no_start(under, NULL, UV_ENOTDIR, under);
  assert_no_start("true", file, UV_ENOTDIR, file);
  unlink(file);
  rmdir(directory);
  assert_no_start("true", directory, UV_ENOENT, directory);
  assert_int_equal(count_descriptors(), descriptors);
  term_free(&warm);
}

static void a_script_without_an_interpreter_runs(void **state) {
  (void)state;
  char file[] = "/tmp/axo-test-pty-XXXXXX";
  int fd = mkstemp(file);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "echo script $1\n", 15), 15);
  fchmod(fd, 0755);
  close(fd);
  term_t term = {0};
  term_to_end(&term, (char *[]){file, "one", NULL});
  unlink(file);
  assert_string_equal(term.text, "script one\r\n");
  term_free(&term);
}

static void many_leave_nothing_open(void **state) {
  (void)state;
  term_t first = {0};
  term_to_end(&first, (char *[]){"true", NULL});
  term_free(&first);
  int descriptors = count_descriptors();
  for (int i = 0; i < 50; i++) {
    term_t one = {0};
    term_t two = {0};
    assert_int_equal(term_start(&one, (char *[]){"true", NULL}, NULL), 0);
    assert_int_equal(term_start(&two, (char *[]){"cat", NULL}, NULL), 0);
    axo_pty_close(two.pty);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(one.exits, 1);
    assert_int_equal(two.exits, 0);
    term_free(&one);
    term_free(&two);
  }
  assert_int_equal(count_descriptors(), descriptors);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      LOOP_TEST(it_is_a_controlling_terminal),
      LOOP_TEST(its_size_is_set_before_exec),
      LOOP_TEST(resize_sends_winch),
      LOOP_TEST(environment_and_directory_are_given),
      LOOP_TEST(signals_are_the_default),
      LOOP_TEST(descriptors_are_not_inherited),
      LOOP_TEST(it_is_typed_to),
      LOOP_TEST(ctrl_c_interrupts),
      LOOP_TEST(input_waits_for_its_reader),
      LOOP_TEST(nothing_is_lost_at_the_exit),
      LOOP_TEST(output_goes_to_a_ring_first),
      LOOP_TEST(the_terminal_can_be_left_and_opened_again),
      LOOP_TEST(a_grandchild_does_not_hold_us),
      LOOP_TEST(a_late_loop_loses_nothing),
      LOOP_TEST(a_signal_ends_it),
      LOOP_TEST(after_the_exit_there_is_nothing),
      LOOP_TEST(an_exit_that_others_reap_is_not_a_success),
      LOOP_TEST(closes_within_on_output),
      LOOP_TEST(close_ends_the_foreground_job),
      LOOP_TEST(closes_what_has_ended),
      LOOP_TEST(failures_to_start_are_returned),
      LOOP_TEST(a_script_without_an_interpreter_runs),
      LOOP_TEST(many_leave_nothing_open),
  };
  int failed = cmocka_run_group_tests_name("by pidfd", tests, NULL, NULL);
  by_pidfd = false;
  failed += cmocka_run_group_tests_name("by SIGCHLD", tests, NULL, NULL);
  return failed;
}
