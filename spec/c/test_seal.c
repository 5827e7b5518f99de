/* Making mounts of a container read-only: the child that does it is waited for so long.
 */
#include "axo.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const nowhere[] = {"/nowhere/at/all", NULL};

/* A process with mounts of its own. */
static pid_t container_start(void) {
  int ready[2];
  char byte = 0;
  assert_int_equal(pipe(ready), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
      _exit(1);
    if (write(ready[1], &byte, 1) != 1)
      _exit(1);
    for (;;)
      pause();
  }
  close(ready[1]);
  assert_int_equal(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  return pid;
}

/* No other child is left. */
static void container_end(pid_t pid) {
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(waitpid(-1, NULL, 0), pid);
  assert_int_equal(waitpid(-1, NULL, 0), -1);
  assert_int_equal(errno, ECHILD);
}

static void says_what_could_not_be_sealed(void **state) {
  (void)state;
  axo_err_t err = {0};
  pid_t pid = container_start();
  assert_int_equal(axo_mounts_seal(pid, nowhere, &err), UV_ENOENT);
  container_end(pid);
}

static bool is_silent;
static void before_it_works(void) {
  while (is_silent)
    pause();
}

static void gives_up_a_child_that_says_nothing(void **state) {
  (void)state;
  axo_err_t err = {0};
  pid_t pid = container_start();
  assert_int_equal(pthread_atfork(NULL, NULL, before_it_works), 0);
  is_silent = true;
  assert_int_equal(axo_mounts_seal(pid, nowhere, &err), UV_ETIMEDOUT);
  is_silent = false;
  container_end(pid);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(says_what_could_not_be_sealed),
      cmocka_unit_test(gives_up_a_child_that_says_nothing),
  };
  return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
