/* Locks against other processes and other files, and the hard limits. */
#include "axo.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];
static char path[96];

static int set_up(void **state) {
  (void)state;
  strcpy(directory, "/tmp/axo-test-host-XXXXXX");
  if (!mkdtemp(directory))
    return -1;
  snprintf(path, sizeof path, "%s/lock", directory);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  unlink(path);
  rmdir(path);
  char other[96];
  snprintf(other, sizeof other, "%s/other", directory);
  unlink(other);
  return rmdir(directory);
}

static axo_lock_t *take(bool exclusive) {
  axo_lock_t *lock = NULL;
  assert_int_equal(axo_lock_take(path, exclusive, &lock, NULL), 0);
  assert_non_null(lock);
  return lock;
}

static void assert_taken(bool exclusive, int code) {
  axo_lock_t *lock = NULL;
  axo_err_t err = {0};
  assert_int_equal(axo_lock_take(path, exclusive, &lock, &err), code);
  assert_int_equal(err.code, code);
  assert_string_equal(err.op, "lock");
  assert_non_null(strstr(err.message, path));
}

static void exclusive_means_alone(void **state) {
  (void)state;
  axo_lock_t *lock = take(true);
  assert_taken(true, UV_EBUSY);
  assert_taken(false, UV_EBUSY);
  axo_lock_free(lock);
  axo_lock_free(take(true));
  axo_lock_free(NULL);
}

static void shared_means_together(void **state) {
  (void)state;
  axo_lock_t *one = take(false);
  axo_lock_t *two = take(false);
  assert_taken(true, UV_EBUSY);
  axo_lock_free(one);
  assert_taken(true, UV_EBUSY);
  axo_lock_free(two);
  axo_lock_free(take(true));
}

static void the_mode_changes(void **state) {
  (void)state;
  axo_err_t err = {0};
  axo_lock_t *one = take(true);
  assert_int_equal(axo_lock_change(one, false, NULL), 0);
  assert_int_equal(axo_lock_change(one, false, NULL), 0);
  axo_lock_t *two = take(false);
  assert_int_equal(axo_lock_change(one, true, &err), UV_EBUSY);
  assert_int_equal(err.code, UV_EBUSY);
  axo_lock_free(two);
  /* The failed change left `one` shared: */
  assert_taken(true, UV_EBUSY);
  axo_lock_free(take(false));
  assert_int_equal(axo_lock_change(one, true, NULL), 0);
  assert_taken(false, UV_EBUSY);
  axo_lock_free(one);
}

static void death_frees_it(void **state) {
  (void)state;
  int ready[2];
  assert_int_equal(pipe(ready), 0);
  pid_t pid = fork();
  if (pid == 0) {
    axo_lock_t *lock;
    int rc = axo_lock_take(path, true, &lock, NULL);
    if (write(ready[1], rc == 0 ? "y" : "n", 1) != 1)
      _exit(1);
    for (;;)
      pause();
  }
  char answer = 0;
  assert_int_equal(read(ready[0], &answer, 1), 1);
  assert_int_equal(answer, 'y');
  assert_taken(true, UV_EBUSY);
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  axo_lock_free(take(true));
  close(ready[0]);
  close(ready[1]);
}

static void programs_do_not_inherit_it(void **state) {
  (void)state;
  int ready[2];
  assert_int_equal(pipe(ready), 0);
  axo_lock_t *lock = take(true);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(ready[1], STDOUT_FILENO);
    execl("/bin/sh", "sh", "-c", "echo ready; exec sleep 60", (char *)NULL);
    _exit(127);
  }
  char answer = 0;
  assert_int_equal(read(ready[0], &answer, 1), 1);
  axo_lock_free(lock);
  axo_lock_free(take(true));
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  close(ready[0]);
  close(ready[1]);
}

static void the_file_is_ours_alone(void **state) {
  (void)state;
  struct stat st;
  umask(0);
  axo_lock_free(take(true));
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  assert_int_equal(chmod(path, 0666), 0);
  axo_lock_free(take(true));
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_link_is_refused(void **state) {
  (void)state;
  char other[96];
  snprintf(other, sizeof other, "%s/other", directory);
  assert_int_equal(symlink(other, path), 0);
  assert_taken(true, UV_EPERM);
  assert_int_not_equal(access(other, F_OK), 0);
}

static void other_files_are_refused(void **state) {
  (void)state;
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_taken(true, UV_EPERM);
  unlink(path);
  assert_int_equal(mkdir(path, 0700), 0);
  assert_taken(true, UV_EISDIR);
}

static void another_owner_is_refused(void **state) {
  (void)state;
  if (geteuid() != 0)
    return; /* only root can make such a file */
  axo_lock_free(take(true));
  assert_int_equal(chown(path, 12345, 12345), 0);
  assert_taken(true, UV_EPERM);
}

static void a_replaced_file_is_another_lock(void **state) {
  (void)state;
  axo_lock_t *old = take(true);
  unlink(path);
  axo_lock_t *fresh = take(true);
  assert_taken(true, UV_EBUSY);
  axo_lock_free(old);
  assert_taken(true, UV_EBUSY);
  axo_lock_free(fresh);
}

/* Holders who remove the file when they are done must not let two in at once. */
static int compete(_Atomic int *inside) {
  int broken = 0;
  for (int turns = 0; turns < 300;) {
    axo_lock_t *lock;
    int rc = axo_lock_take(path, true, &lock, NULL);
    if (rc == UV_EBUSY)
      continue;
    if (rc != 0)
      return 1;
    broken += atomic_fetch_add(inside, 1) != 0;
    sched_yield();
    atomic_fetch_sub(inside, 1);
    unlink(path);
    axo_lock_free(lock);
    turns++;
  }
  return broken ? 2 : 0;
}

static void removing_it_lets_no_two_in(void **state) {
  (void)state;
  _Atomic int *inside = mmap(NULL, sizeof *inside, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(inside != MAP_FAILED);
  pid_t pids[4];
  for (int i = 0; i < 4; i++) {
    pids[i] = fork();
    if (pids[i] == 0)
      _exit(compete(inside));
  }
  for (int i = 0; i < 4; i++) {
    int status;
    assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
    assert_int_equal(status, 0);
  }
  munmap(inside, sizeof *inside);
}

static void a_missing_directory_is_named(void **state) {
  (void)state;
  char good[96];
  strcpy(good, path);
  snprintf(path, sizeof path, "%s/none/lock", directory);
  assert_taken(true, UV_ENOENT);
  strcpy(path, good);
}

static void hard_limits_are_the_process_s(void **state) {
  (void)state;
  axo_hard_limits_t limits;
  struct rlimit nofile;
  struct rlimit nproc;
  assert_int_equal(axo_hard_limits_get(&limits), 0);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &nofile), 0);
  assert_int_equal(getrlimit(RLIMIT_NPROC, &nproc), 0);
  if (nofile.rlim_max != RLIM_INFINITY) {
    assert_int_equal(limits.nofile, nofile.rlim_max);
  }
  uint64_t expected = nproc.rlim_max == RLIM_INFINITY ? UINT64_MAX : nproc.rlim_max;
  FILE *file = fopen("/proc/sys/kernel/pid_max", "re");
  unsigned long pid_max;
  if (file && fscanf(file, "%lu", &pid_max) == 1 && pid_max < expected) {
    expected = pid_max;
  }
  if (file)
    fclose(file);
  assert_int_equal(limits.nproc, expected);
}

static void a_lowered_limit_is_seen(void **state) {
  (void)state;
  pid_t pid = fork();
  if (pid == 0) {
    struct rlimit low = {.rlim_cur = 77, .rlim_max = 77};
    axo_hard_limits_t limits;
    bool ok = setrlimit(RLIMIT_NPROC, &low) == 0 && axo_hard_limits_get(&limits) == 0 &&
              limits.nproc == 77;
    _exit(ok ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

#define LOCK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      LOCK_TEST(exclusive_means_alone),
      LOCK_TEST(shared_means_together),
      LOCK_TEST(the_mode_changes),
      LOCK_TEST(death_frees_it),
      LOCK_TEST(programs_do_not_inherit_it),
      LOCK_TEST(the_file_is_ours_alone),
      LOCK_TEST(a_link_is_refused),
      LOCK_TEST(other_files_are_refused),
      LOCK_TEST(another_owner_is_refused),
      LOCK_TEST(a_replaced_file_is_another_lock),
      LOCK_TEST(removing_it_lets_no_two_in),
      LOCK_TEST(a_missing_directory_is_named),
      cmocka_unit_test(hard_limits_are_the_process_s),
      cmocka_unit_test(a_lowered_limit_is_seen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
