/* A reader that goes away. */
#include "axo.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static uv_loop_t loop;
static int told;

static void tell(void *data) { (*(int *)data)++; }

static void on_timer(uv_timer_t *timer) { uv_close((uv_handle_t *)timer, NULL); }

/* A loop that nothing keeps running does not look at its descriptors. */
static void turn(void) {
  uv_timer_t timer;
  uv_timer_init(&loop, &timer);
  uv_timer_start(&timer, on_timer, 0, 0);
  assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
}

static int set_up(void **state) {
  (void)state;
  told = 0;
  return uv_loop_init(&loop);
}

static int tear_down(void **state) {
  (void)state;
  turn();
  return uv_loop_close(&loop);
}

static axo_hangup_t *watch(int fd) {
  axo_hangup_t *made = NULL;
  assert_int_equal(axo_hangup_watch(&loop, fd, tell, &told, &made, NULL), 0);
  return made;
}

static void is_told_once(int ends[2]) {
  axo_hangup_t *made = watch(ends[1]);
  assert_int_equal(write(ends[1], "x", 1), 1);
  turn();
  assert_int_equal(told, 0);
  close(ends[0]);
  turn();
  turn();
  assert_int_equal(told, 1);
  axo_hangup_close(made);
  turn();
  close(ends[1]);
}

static void a_pipe_tells_once(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  is_told_once(ends);
}

static void a_socket_does_too(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  is_told_once(ends);
}

static void closed_it_tells_nothing(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  axo_hangup_t *made = watch(ends[1]);
  axo_hangup_close(made);
  close(ends[0]);
  turn();
  assert_int_equal(told, 0);
  close(ends[1]);
}

static axo_hangup_t *own;

static void close_own(void *data) {
  tell(data);
  axo_hangup_close(own);
}

static void it_may_be_closed_inside(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(axo_hangup_watch(&loop, ends[1], close_own, &told, &own, NULL), 0);
  close(ends[0]);
  turn();
  assert_int_equal(told, 1);
  close(ends[1]);
}

static void a_file_is_refused(void **state) {
  (void)state;
  axo_hangup_t *made = NULL;
  axo_err_t err = {0};
  char name[] = "/tmp/axo-test-hangup-XXXXXX";
  int fd = mkstemp(name);
  assert_true(fd >= 0);
  unlink(name);
  assert_int_equal(axo_hangup_watch(&loop, fd, tell, &told, &made, &err), UV_EPERM);
  assert_int_equal(err.code, UV_EPERM);
  assert_string_equal(err.op, "hangup");
  close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  const struct CMUnitTest tests[] = {
      TEST(a_pipe_tells_once),       TEST(a_socket_does_too),
      TEST(closed_it_tells_nothing), TEST(it_may_be_closed_inside),
      TEST(a_file_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
