#include "process/pty_impl.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define MAX_QUEUED ((size_t)1024 * 1024)

/* The slave stays open here while the child lives, and is closed when it has exited. So
 * the master reports its end only then, also for a child that closes its terminal and
 * opens /dev/tty again, and what the child wrote last is not discarded with its last
 * descriptor. */
struct axo_pty {
  uv_poll_t io;
  uv_timer_t drain;
  axo__watch_t watch;
  axo__terminal_t terminal;
  axo__queue_t queue;
  axo_pty_options_t options; /* argv, env and cwd are not to be used */
  unsigned handles;          /* open uv handles; the last one's close callback frees */
  int polled;                /* the events that `io` waits for */
  pid_t pid;
  bool has_io;
  bool exited;
  bool at_end;
  bool finished; /* on_exit was called, or never will be: no more callbacks */
  int status;
};

/* ---- the end --------------------------------------------------------------------- */

static void release(axo_pty_t *pty) {
  if (--pty->handles > 0)
    return;
  axo__queue_clear(&pty->queue);
  free(pty);
}

static void on_io_closed(uv_handle_t *handle) {
  release(AXO__CONTAINER_OF(handle, axo_pty_t, io));
}

static void on_drain_closed(uv_handle_t *handle) {
  release(AXO__CONTAINER_OF(handle, axo_pty_t, drain));
}

static void on_watch_closed(uv_handle_t *handle) {
  release(AXO__CONTAINER_OF(handle, axo_pty_t, watch.uv.handle));
}

static void close_slave(axo_pty_t *pty) {
  if (pty->terminal.slave >= 0)
    close(pty->terminal.slave);
  pty->terminal.slave = -1;
}

static void close_handle(void *handle, uv_close_cb cb) {
  if (!uv_is_closing(handle))
    uv_close(handle, cb);
}

static void close_all(axo_pty_t *pty) {
  pty->finished = true;
  if (pty->has_io)
    close_handle(&pty->io, on_io_closed);
  close_handle(&pty->drain, on_drain_closed);
  axo__watch_close(&pty->watch, on_watch_closed);
  close_slave(pty);
  if (pty->terminal.master >= 0)
    close(pty->terminal.master);
  pty->terminal.master = -1;
}

static void finish(axo_pty_t *pty) {
  close_all(pty);
  bool is_known = pty->status >= 0;
  int code = is_known && WIFEXITED(pty->status) ? WEXITSTATUS(pty->status) : -1;
  int signum = is_known && WIFSIGNALED(pty->status) ? WTERMSIG(pty->status) : 0;
  if (pty->options.on_exit)
    pty->options.on_exit(pty, code, signum);
}

/* ---- bytes ----------------------------------------------------------------------- */

/* A terminal gives little at a time: several reads make one piece. EIO is the end. */
static size_t fill(axo_pty_t *pty, char *buf, size_t size, bool *is_empty) {
  size_t len = 0;
  while (len < size) {
    ssize_t n = axo__read(pty->terminal.master, buf + len, size - len);
    if (n > 0) {
      len += (size_t)n;
      continue;
    }
    *is_empty = true;
    if (n != UV_EAGAIN)
      pty->at_end = true;
    break;
  }
  return len;
}

/* Reads at most `most` bytes, in whole buffers. */
static void read_output(axo_pty_t *pty, size_t most) {
  char buf[AXO__READ_SIZE];
  bool is_empty = false;
  for (size_t seen = 0; seen < most && !is_empty && !pty->finished;) {
    size_t len = fill(pty, buf, sizeof buf, &is_empty);
    if (len == 0)
      return;
    seen += len;
    if (pty->options.ring)
      axo_ring_write(pty->options.ring, buf, len);
    if (pty->options.on_output)
      pty->options.on_output(pty, buf, len);
  }
}

static void update_poll(axo_pty_t *pty);

static void on_io(uv_poll_t *poll, int status, int events) {
  axo_pty_t *pty = AXO__CONTAINER_OF(poll, axo_pty_t, io);
  if (events & UV_WRITABLE) {
    int rc = axo__queue_flush(&pty->queue, pty->terminal.master);
    if (rc != 0 && rc != UV_EAGAIN)
      axo__queue_clear(&pty->queue);
  }
  if (status < 0)
    pty->polled = 0; /* libuv has stopped it */
  if (status < 0 || events & UV_READABLE) {
    read_output(pty, AXO__READ_SIZE * AXO__READ_TURNS);
  }
  if (pty->finished)
    return;
  if (pty->at_end && pty->exited) {
    finish(pty);
  } else {
    update_poll(pty);
  }
}

static void update_poll(axo_pty_t *pty) {
  int events = pty->at_end ? 0 : UV_READABLE;
  if (axo__queue_size(&pty->queue) > 0)
    events |= UV_WRITABLE;
  if (events == pty->polled)
    return;
  pty->polled = events;
  uv_poll_start(&pty->io, events, on_io);
}

static void on_drain_over(uv_timer_t *timer) {
  axo_pty_t *pty = AXO__CONTAINER_OF(timer, axo_pty_t, drain);
  read_output(pty, AXO__READ_REST);
  if (!pty->finished)
    finish(pty);
}

static void on_child_exit(axo__watch_t *watch, int status) {
  axo_pty_t *pty = AXO__CONTAINER_OF(watch, axo_pty_t, watch);
  pty->exited = true;
  pty->status = status;
  axo__queue_clear(&pty->queue);
  close_slave(pty);
  pty->at_end = false; /* if it was, it is noticed again */
  pty->polled = 0;
  update_poll(pty);
  uv_update_time(pty->drain.loop);
  uv_timer_start(&pty->drain, on_drain_over, pty->options.drain_ms, 0);
}

/* ---- the beginning --------------------------------------------------------------- */

static void set_defaults(axo_pty_t *pty, const axo_pty_options_t *options) {
  pty->options = *options;
  if (pty->options.rows == 0)
    pty->options.rows = 24;
  if (pty->options.cols == 0)
    pty->options.cols = 80;
  if (pty->options.drain_ms == 0)
    pty->options.drain_ms = AXO__DRAIN_MS;
  pty->terminal.master = pty->terminal.slave = -1;
}

static int set_up(axo_pty_t *pty, uv_loop_t *loop, bool pidfd) {
  int rc = axo__terminal_open(&pty->terminal, pty->options.rows, pty->options.cols);
  if (rc == 0 && pty->options.raw)
    axo__terminal_make_raw(&pty->terminal);
  if (rc == 0)
    rc = uv_poll_init(loop, &pty->io, pty->terminal.master);
  if (rc != 0)
    return rc;
  pty->has_io = true;
  pty->io.data = NULL;
  pty->handles++;
  rc = axo__watch_init(&pty->watch, loop, pidfd);
  if (pty->watch.is_open)
    pty->handles++;
  return rc;
}

static int watch_child(axo_pty_t *pty) {
  bool was_open = pty->watch.is_open;
  int rc = axo__watch_start(&pty->watch, pty->pid, on_child_exit);
  if (pty->watch.is_open && !was_open)
    pty->handles++;
  if (rc == 0)
    return 0;
  int killed = axo__kill_group(pty->pid, SIGKILL);
  axo__reap(pty->drain.loop, pty->pid, killed == 0);
  return rc;
}

int axo__pty_spawn(uv_loop_t *loop, const axo_pty_options_t *options, bool pidfd,
                   axo_pty_t **out, axo_err_t *err) {
  static const char op[] = "terminal";
  if (!options->argv || !options->argv[0]) {
    return axo__err_set(err, UV_EINVAL, op, NULL, "an argument vector is needed");
  }
  axo_pty_t *pty = calloc(1, sizeof *pty);
  if (!pty)
    return axo__err_set(err, UV_ENOMEM, op, NULL, "out of memory");
  set_defaults(pty, options);
  uv_timer_init(loop, &pty->drain);
  pty->handles = 1;
  pty->watch.pidfd = -1;
  int rc = set_up(pty, loop, pidfd);
  if (rc != 0) {
    axo__err_code(err, rc, op, "cannot open a terminal");
  } else {
    rc = axo__terminal_run(&pty->terminal, options, &pty->pid, err);
    if (rc == 0) {
      rc = watch_child(pty);
      if (rc != 0)
        axo__err_code(err, rc, op, "cannot watch the child");
    }
  }
  if (rc != 0) {
    close_all(pty);
    return rc;
  }
  update_poll(pty);
  *out = pty;
  return 0;
}

int axo_pty_spawn(uv_loop_t *loop, const axo_pty_options_t *options, axo_pty_t **out,
                  axo_err_t *err) {
  return axo__pty_spawn(loop, options, true, out, err);
}

void *axo_pty_data(const axo_pty_t *pty) { return pty->options.data; }

int axo_pty_pid(const axo_pty_t *pty) { return pty->pid; }

int axo_pty_write(axo_pty_t *pty, const void *data, size_t len) {
  if (pty->exited || pty->finished)
    return UV_EPIPE;
  size_t queued = axo__queue_size(&pty->queue);
  if (len > MAX_QUEUED - queued)
    return UV_ENOBUFS;
  int rc = axo__queue_push(&pty->queue, data, len);
  if (rc == 0)
    update_poll(pty);
  return rc;
}

int axo_pty_resize(axo_pty_t *pty, uint16_t rows, uint16_t cols) {
  if (rows == 0 || cols == 0)
    return UV_EINVAL;
  if (pty->finished)
    return UV_EPIPE;
  return axo__terminal_resize(&pty->terminal, rows, cols);
}

int axo_pty_signal(axo_pty_t *pty, int signum) {
  if (pty->exited)
    return UV_ESRCH;
  return axo__kill_group(pty->pid, signum);
}

/* A shell with job control runs its foreground job in a group of its own. */
static void hang_up(const axo_pty_t *pty) {
  pid_t foreground = tcgetpgrp(pty->terminal.master);
  if (foreground > 1 && foreground != pty->pid) {
    axo__kill_group(foreground, SIGHUP);
    axo__kill_group(foreground, SIGKILL);
  }
  axo__kill_group(pty->pid, SIGHUP);
}

void axo_pty_close(axo_pty_t *pty) {
  if (pty->finished)
    return;
  if (pty->exited) {
    close_all(pty);
    return;
  }
  hang_up(pty);
  int rc = axo__kill_group(pty->pid, SIGKILL);
  uv_loop_t *loop = pty->drain.loop;
  close_all(pty);
  axo__reap(loop, pty->pid, rc == 0);
}
