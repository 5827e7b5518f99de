/* process_support.h: runs real children on a loop of the test's own, and remembers what
 * came of them. */
#ifndef PROCESS_SUPPORT_H
#define PROCESS_SUPPORT_H

#include "axo.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* One child: fill in `options`, start it, run the loop. */
typedef struct run {
  axo_process_options_t options;
  axo_process_t *process;
  axo_process_result_t result; /* `out` copied */
  int exits;
  char *out[2];
  /* What tests count in their own callbacks. */
  size_t bytes;
  int calls;
} run_t;

static uv_loop_t loop;

static inline int loop_set_up(void **state) {
  (void)state;
  return uv_loop_init(&loop);
}

/* Closing a loop fails while a handle of ours is open: nothing was forgotten. */
static inline int loop_tear_down(void **state) {
  (void)state;
  uv_run(&loop, UV_RUN_DEFAULT);
  return uv_loop_close(&loop);
}

#define LOOP_TEST(name)                                                                \
  cmocka_unit_test_setup_teardown(name, loop_set_up, loop_tear_down)

static inline run_t *run_of(axo_process_t *p) { return axo_process_data(p); }

static inline char *copy_of(const char *bytes, size_t len) {
  char *copy = malloc(len + 1);
  assert_non_null(copy);
  memcpy(copy, bytes, len + 1); /* the NUL is part of the contract */
  return copy;
}

static inline void on_run_exit(axo_process_t *p, const axo_process_result_t *result) {
  run_t *run = run_of(p);
  run->exits++;
  run->result = *result;
  run->process = NULL;
  for (int i = 0; i < 2; i++)
    run->out[i] = copy_of(result->out[i], result->out_len[i]);
}

/* `argv` ends with NULL and lives as long as the run. */
static inline int run_start(run_t *run, char *const *argv, axo_err_t *err) {
  run->options.argv = argv;
  run->options.data = run;
  run->options.on_exit = on_run_exit;
  return axo_process_spawn(&loop, &run->options, &run->process, err);
}

static inline void run_to_end(run_t *run, char *const *argv) {
  assert_int_equal(run_start(run, argv, NULL), 0);
  assert_int_equal(run->exits, 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_int_equal(run->exits, 1);
}

static inline void run_free(run_t *run) {
  free(run->out[0]);
  free(run->out[1]);
}

#define SH(script) ((char *[]){"sh", "-c", (script), NULL})

static inline int count_descriptors(void) {
  int count = 0;
  DIR *dir = opendir("/dev/fd");
  assert_non_null(dir);
  while (readdir(dir))
    count++;
  closedir(dir);
  return count;
}

/* Whether `pid`, which need not be a child, has ended: a zombie has. */
static inline bool has_ended(int pid) {
  char path[64];
  char state = 'Z';
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE *file = fopen(path, "re");
  if (!file)
    return true;
  if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
    state = 'Z';
  fclose(file);
  return state == 'Z' || state == 'X';
}

static inline void await_end_of(int pid) {
  while (!has_ended(pid))
    usleep(1000);
}

#endif /* PROCESS_SUPPORT_H */
