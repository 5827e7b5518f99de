/* What is said of a tree whose processes could not all be listed in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../../core/guest/guest.h"

enum { ROOT = 5, FIRST = 10, OTHERS = 3, COUNT = 5 };

struct guest g = {.self = 1, .group = 1, .is_init = true};

static struct proc list[COUNT];
static uint64_t clock_ms, step_ms;
static int stops, signals;
static int hidden; /* scans of all in which the last one is not there yet */
static bool stopped[COUNT];

/* ---- what tree.c asks: it stands alone, and nothing here is signalled ---------- */

int kill(pid_t pid, int signum) {
  stops += pid == -1 && signum == SIGSTOP;
  signals += pid >= FIRST && signum != SIGCONT;
  for (int i = 0; i < COUNT; i++) {
    if (pid == -1 && signum == SIGSTOP)
      stopped[i] = true;
    if (pid == list[i].pid && signum == SIGCONT)
      stopped[i] = false;
  }
  return 0;
}

int nanosleep(const struct timespec *wanted, struct timespec *left) {
  (void)left;
  clock_ms += (uint64_t)wanted->tv_nsec / 1000000;
  return 0;
}

uint64_t now_ms(void) { return clock_ms; }

struct proc *procs_find(pid_t pid) {
  for (int i = 0; i < COUNT; i++)
    if (list[i].pid == pid)
      return &list[i];
  return NULL;
}

struct procs procs_scan(bool (*seen)(struct proc *p, void *data), void *data) {
  bool is_hidden = !seen && hidden > 0;
  struct procs all = {.at = list, .count = COUNT - is_hidden};
  for (int i = 0; i < COUNT; i++) {
    list[i].verdict = 0;
    list[i].state = stopped[i] ? 'T' : 'S';
  }
  /* It is forking: it stops when that is done. */
  if (is_hidden && stopped[0]) {
    list[0].state = 'R';
    hidden--;
  }
  for (int i = 0; seen && i < COUNT; i++) {
    clock_ms += step_ms;
    if (!seen(&list[i], data))
      return (struct procs){.at = list, .count = i + 1, .left = true};
  }
  return all;
}

/* ---- the tests ----------------------------------------------------------------- */

/* Others come first; then two that descend from ROOT, one from the other. */
static int set_up(void **state) {
  (void)state;
  for (int i = 0; i < COUNT; i++)
    list[i] = (struct proc){.pid = FIRST + i, .group = 1, .state = 'S', .alive = true};
  list[OTHERS].parent = ROOT;
  list[OTHERS + 1].parent = FIRST + OTHERS;
  clock_ms = 1;
  step_ms = stops = signals = hidden = 0;
  memset(stopped, 0, sizeof stopped);
  assert_int_equal(kill(FIRST, 0), 0);
  assert_int_equal(signals, 1);
  signals = 0;
  return 0;
}

static void in_time_all_are_counted(void **state) {
  (void)state;
  assert_int_equal(tree_signal(ROOT, SIGTERM, 0).alive, 2);
  assert_int_equal(stops, 0);
  assert_int_equal(signals, 2);
}

static void what_is_signalled_while_all_stand_still_is_counted(void **state) {
  (void)state;
  step_ms = 1000;
  assert_int_equal(tree_signal(ROOT, SIGTERM, 0).alive, 2);
  assert_int_equal(stops, 1);
  assert_int_equal(signals, 2);
}

static void what_is_not_known_is_not_none(void **state) {
  (void)state;
  step_ms = 1000;
  assert_true(tree_signal(ROOT, 0, 0).alive > 0);
  assert_int_equal(stops, 0);
}

static void a_tree_that_is_gone_is_none(void **state) {
  (void)state;
  list[OTHERS].alive = list[OTHERS + 1].alive = false;
  assert_int_equal(tree_signal(ROOT, SIGKILL, 0).alive, 0);
  step_ms = 1000;
  assert_int_equal(tree_signal(ROOT, SIGKILL, 0).alive, 0);
}

static void nobody_is_left_standing(void **state) {
  (void)state;
  step_ms = 1000;
  assert_true(tree_signal(ROOT, SIGTERM, 0).alive > 0);
  for (int i = 0; i < COUNT; i++)
    assert_false(stopped[i]);
}

static void what_is_born_meanwhile_is_not_left_standing(void **state) {
  (void)state;
  step_ms = 1000;
  hidden = 3;
  assert_true(tree_signal(ROOT, SIGTERM, 0).alive > 0);
  assert_int_equal(hidden, 0);
  assert_false(stopped[COUNT - 1]);
}

static void who_never_stops_is_not_waited_for_for_ever(void **state) {
  (void)state;
  step_ms = 1000;
  hidden = 1 << 20;
  assert_true(tree_signal(ROOT, SIGTERM, 0).alive > 0);
  assert_true(hidden > 0);
}

#define TREE_TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
  const struct CMUnitTest tests[] = {
      TREE_TEST(in_time_all_are_counted),
      TREE_TEST(what_is_signalled_while_all_stand_still_is_counted),
      TREE_TEST(what_is_not_known_is_not_none),
      TREE_TEST(a_tree_that_is_gone_is_none),
      TREE_TEST(nobody_is_left_standing),
      TREE_TEST(what_is_born_meanwhile_is_not_left_standing),
      TREE_TEST(who_never_stops_is_not_waited_for_for_ever),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
