#include "process/process_impl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_OUTPUT ((size_t)1024 * 1024)
#define MAX_QUEUED ((size_t)16 * 1024 * 1024)

/* The child's ends of its pipes; closed here as soon as it has its own. */
typedef struct child_ends {
  int fd[3];
} child_ends_t;

static void close_ends(child_ends_t *ends) {
  for (int i = 0; i < 3; i++) {
    if (ends->fd[i] >= 0)
      close(ends->fd[i]);
  }
}

/* Pipes, and not the socket pairs of UV_CREATE_PIPE: a child can open /dev/stdout again
 * only when it is a pipe. */
static int open_input(axo_process_t *p, child_ends_t *ends) {
  int fds[2];
  int rc = uv_pipe(fds, 0, 0); /* our end becomes non-blocking when it is watched */
  if (rc != 0)
    return rc;
  ends->fd[0] = fds[0];
  rc = axo__input_init(p, fds[1]);
  if (rc != 0)
    close(fds[1]);
  return rc;
}

static int open_output(axo_process_t *p, child_ends_t *ends, int stream) {
  int fds[2];
  int rc = uv_pipe(fds, 0, 0);
  if (rc != 0)
    return rc;
  ends->fd[stream] = fds[1];
  rc = axo__output_init(p, stream, fds[0]);
  if (rc != 0)
    close(fds[0]);
  return rc;
}

static int open_pipes(axo_process_t *p, child_ends_t *ends) {
  int rc = 0;
  if (p->options.stdin_pipe)
    rc = open_input(p, ends);
  if (rc == 0)
    rc = open_output(p, ends, AXO_STDOUT);
  if (rc == 0 && !p->options.merge_stderr)
    rc = open_output(p, ends, AXO_STDERR);
  return rc;
}

static int start_child(axo_process_t *p, const int fds[3], void *data) {
  const axo_process_options_t *options = data;
  uv_stdio_container_t stdio[3];
  for (int i = 0; i < 3; i++) {
    int fd = i == AXO_STDERR && options->merge_stderr ? fds[1] : fds[i];
    stdio[i].flags = fd < 0 ? UV_IGNORE : UV_INHERIT_FD;
    stdio[i].data.fd = fd;
  }
  uv_process_options_t spawn = {
      .exit_cb = axo__process_on_exit,
      .file = options->argv[0],
      .args = (char **)options->argv,
      .env = (char **)options->env,
      .cwd = options->cwd,
      .flags = UV_PROCESS_DETACHED,
      .stdio_count = 3,
      .stdio = stdio,
  };
  int rc = uv_spawn(p->process.loop, &p->process, &spawn);
  /* A spawn that failed leaves a handle to close, too. */
  if (p->process.type == UV_PROCESS)
    p->handles++;
  p->process.data = NULL;
  p->pid = p->process.pid;
  return rc;
}

static void set_defaults(axo_process_t *p, const axo_process_options_t *options) {
  p->options = *options;
  if (p->options.grace_ms == 0)
    p->options.grace_ms = AXO__GRACE_MS;
  if (p->options.drain_ms == 0)
    p->options.drain_ms = AXO__DRAIN_MS;
  if (p->options.max_output == 0)
    p->options.max_output = MAX_OUTPUT;
  p->in.ends = options->input && !options->input_more;
  p->started = uv_hrtime();
}

static int set_up(axo_process_t *p, const axo_process_options_t *options,
                  axo__starter_t starter, void *data) {
  child_ends_t ends = {{-1, -1, -1}};
  int rc = 0;
  if (options->stdin_pipe && options->input) {
    rc = axo__queue_push(&p->in.queue, options->input, options->input_len);
  }
  if (rc == 0)
    rc = open_pipes(p, &ends);
  if (rc == 0)
    rc = starter(p, ends.fd, data);
  close_ends(&ends);
  return rc;
}

int axo__process_start(uv_loop_t *loop, const axo_process_options_t *options,
                       axo__starter_t starter, void *data, axo_process_t **out) {
  axo_process_t *p = calloc(1, sizeof *p);
  if (!p)
    return UV_ENOMEM;
  set_defaults(p, options);
  uv_timer_init(loop, &p->clock);
  uv_timer_init(loop, &p->drain);
  p->process.loop = loop;
  p->handles = 2;
  int rc = set_up(p, options, starter, data);
  if (rc != 0) {
    p->finished = true;
    axo__process_close_handles(p);
    return rc;
  }
  axo__process_watch(p);
  for (int i = 0; i < 2; i++)
    axo__output_start(&p->out[i], axo__process_settle, axo__process_end);
  axo__input_start(p);
  *out = p;
  return 0;
}

int axo_process_spawn(uv_loop_t *loop, const axo_process_options_t *options,
                      axo_process_t **out, axo_err_t *err) {
  static const char op[] = "spawn";
  if (!options->argv || !options->argv[0]) {
    return axo__err_set(err, UV_EINVAL, op, NULL, "an argument vector is needed");
  }
  int rc = axo__process_start(loop, options, start_child, (void *)options, out);
  if (rc != 0)
    return axo__start_error(err, rc, op, options->argv[0], options->cwd);
  return 0;
}

void *axo_process_data(const axo_process_t *p) { return p->options.data; }

int axo_process_pid(const axo_process_t *p) { return p->pid; }

int axo_process_write(axo_process_t *p, const void *data, size_t len) {
  if (!p->in.is_open || p->in.ends)
    return UV_EPIPE;
  size_t queued = axo__queue_size(&p->in.queue);
  if (queued > MAX_QUEUED || len > MAX_QUEUED - queued)
    return UV_ENOBUFS;
  int rc = axo__queue_push(&p->in.queue, data, len);
  if (rc == 0)
    axo__input_start(p);
  return rc;
}

size_t axo_process_queued(const axo_process_t *p) {
  return axo__queue_size(&p->in.queue);
}

int axo_process_close_stdin(axo_process_t *p) {
  p->in.ends = true;
  axo__input_start(p);
  return 0;
}

int axo_process_signal(axo_process_t *p, int signum) {
  if (p->exited)
    return UV_ESRCH;
  return axo__process_kill(p, signum);
}
