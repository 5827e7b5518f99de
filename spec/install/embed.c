/* A C program that uses the installed library, as its author would: pkg-config says
 * how. Runs a child on a libuv loop and prints what it printed, then the library's
 * version. */
#include <axo.h>
#include <stdio.h>

static void on_exit(axo_process_t *process, const axo_process_result_t *result) {
  int *code = axo_process_data(process);
  *code = result->code;
  fwrite(result->out[0], 1, result->out_len[0], stdout);
}

int main(void) {
  char *argv[] = {"printf", "a child says hello; ", NULL};
  int code = -1;
  axo_process_options_t options = {.argv = argv, .data = &code, .on_exit = on_exit};
  axo_process_t *process = NULL;
  axo_err_t err = {0};
  uv_loop_t loop;
  if (uv_loop_init(&loop) != 0)
    return 1;
  if (axo_process_spawn(&loop, &options, &process, &err) != 0) {
    fprintf(stderr, "%s\n", err.message);
    return 1;
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  printf("libaxo %s\n", axo_version());
  return uv_loop_close(&loop) == 0 ? code : 1;
}
