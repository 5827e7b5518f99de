/* Tasks and terminals that the guest runs: their ring is the guest's, mapped here, and
 * rings a bell when it has grown. They outlive this process. */
#include "link/link_impl.h"
#include "link/link_spawn.h"
#include "process/process_util.h"
#include "ring_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#define MAX_TYPED ((size_t)1024 * 1024)

struct axo_work {
  axo__call_t call;
  axo_work_options_t options;
  uv_poll_t bell;
  uv_poll_t master;
  int bell_fd;
  int master_fd;
  bool bell_open, master_open, master_polling;
  bool is_pipe, pipe_ends; /* `master` is a task's stdin; and no more comes */
  bool attached; /* somebody else's: not ours to end when it cannot be taken up */
  bool started, ended, closed, left;
  int32_t pid;
  unsigned handles;
  axo_ring_t *ring;
  axo__queue_t typed;
};

void *axo_work_data(const axo_work_t *w) { return w->options.data; }
int axo_work_pid(const axo_work_t *w) { return w->pid; }
axo_ring_t *axo_work_take_ring(axo_work_t *w) {
  axo_ring_t *ring = w->ring;
  w->ring = NULL;
  return ring;
}

void axo_work_hold(axo_work_t *w, bool hold) { axo__call_hold(&w->call, hold); }

/* ---- the end --------------------------------------------------------------------- */

static void release(axo_work_t *w) {
  if (--w->handles > 0)
    return;
  axo_ring_free(w->ring);
  axo__queue_clear(&w->typed);
  free(w);
}

static void on_bell_closed(uv_handle_t *handle) {
  release(AXO__CONTAINER_OF(handle, axo_work_t, bell));
}

static void on_master_closed(uv_handle_t *handle) {
  release(AXO__CONTAINER_OF(handle, axo_work_t, master));
}

static void close_bell(axo_work_t *w) {
  if (!w->bell_open)
    return;
  w->bell_open = false;
  uv_close((uv_handle_t *)&w->bell, on_bell_closed);
  close(w->bell_fd);
}

static void close_master(axo_work_t *w) {
  if (!w->master_open)
    return;
  w->master_open = false;
  uv_close((uv_handle_t *)&w->master, on_master_closed);
  close(w->master_fd);
}

void axo_work_close(axo_work_t *w) {
  if (w->closed)
    return;
  w->closed = true;
  axo__link_forget(&w->call);
  close_bell(w);
  close_master(w);
  release(w);
}

/* ---- what the guest says --------------------------------------------------------- */

static void output(axo_work_t *w) {
  if (!w->closed && w->options.on_output)
    w->options.on_output(w);
}

/* The guest holds the bell too, and could make it wait: this read does not, whatever
 * its flags. Before Linux 5.9 there is no such read. */
static bool was_rung(int fd) {
  uint64_t rung;
  struct iovec iov = {&rung, sizeof rung};
  ssize_t n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
  if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
    n = read(fd, &rung, sizeof rung);
  return n == (ssize_t)sizeof rung;
}

static void on_bell(uv_poll_t *poll, int status, int events) {
  axo_work_t *w = AXO__CONTAINER_OF(poll, axo_work_t, bell);
  (void)status;
  (void)events;
  if (was_rung(w->bell_fd))
    output(w);
}

/* Before it is mapped: what can be cut, or is not there when it is looked at, can raise
 * SIGBUS here. */
static bool is_safe(int fd) {
  struct statfs fs;
  struct stat st;
  int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && seals & F_SEAL_SHRINK && fstatfs(fd, &fs) == 0 &&
         fs.f_type == TMPFS_MAGIC && fstat(fd, &st) == 0 &&
         st.st_size <= (off_t)(AXO_RING_LIMIT + AXO__RING_HEADER_SIZE);
}

static int take_ring(axo_work_t *w, const axo__packet_t *packet, axo_err_t *err) {
  if (packet->fds_lost)
    return axo__err_code(err, UV_EMFILE, "link", "%s",
                         w->options.what ? w->options.what : "the task");
  if (!is_safe(packet->fds[0]))
    return axo__err_set(err, UV_EPROTO, "link", NULL, "the guest's ring is not sealed");
  return axo_ring_open_fd(packet->fds[0], &w->ring, err);
}

static int take_master(axo_work_t *w, axo__packet_t *packet, axo_err_t *err) {
  if (packet->fd_count < 2 || w->is_pipe)
    return 0; /* attached after its end, or a task */
  int fd = packet->fds[1];
  int flags = fcntl(fd, F_GETFL);
  if (!isatty(fd) || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
      uv_poll_init(axo__link_loop(w->call.link), &w->master, fd) != 0)
    return axo__err_set(err, UV_EPROTO, "link", NULL, "the guest's terminal is none");
  w->master.data = NULL;
  packet->fds[1] = -1;
  w->master_fd = fd;
  w->master_open = true;
  w->handles++;
  return 0;
}

static void started(axo_work_t *w, const axo_err_t *err) {
  w->started = true;
  if (w->options.on_started)
    w->options.on_started(w, err);
}

/* It may run there, or run yet: nobody would know of it. */
static void disown(axo_work_t *w, const axo_err_t *err) {
  if (!w->attached)
    axo__link_signal(&w->call, SIGKILL, true, NULL, NULL, NULL);
  axo__link_forget(&w->call);
  started(w, err);
}

static void on_spawned(axo_work_t *w, axo__packet_t *packet) {
  axo_err_t err;
  const axo_spawned_t *body = packet->body;
  if (w->started)
    return;
  axo__call_answered(&w->call);
  int rc = take_ring(w, packet, &err);
  if (rc == 0)
    rc = take_master(w, packet, &err);
  if (rc != 0) {
    disown(w, &err);
    return;
  }
  w->pid = body->pid;
  started(w, NULL);
  output(w);
}

static void ended(axo_work_t *w, const axo_work_end_t *end) {
  if (w->ended || w->closed)
    return;
  w->ended = true;
  if (w->is_pipe)
    close_master(w);
  output(w);
  if (!w->closed && w->options.on_exit)
    w->options.on_exit(w, end);
}

static void on_exited(axo_work_t *w, const axo_exited_t *body) {
  axo_work_end_t end = {.code = body->signal ? -1 : body->code,
                        .signal = body->signal,
                        .left = body->left != 0};
  w->left = end.left;
  if (!end.left)
    axo__call_answered(&w->call);
  ended(w, &end);
}

static void on_empty(axo_work_t *w) {
  if (!w->left || w->closed)
    return;
  w->left = false;
  axo__call_answered(&w->call);
  if (w->options.on_empty)
    w->options.on_empty(w);
}

static void on_stuck(axo_work_t *w) {
  axo__call_answered(&w->call);
  if (!w->closed && w->options.on_stuck)
    w->options.on_stuck(w);
}

static void on_gone(axo_work_t *w) {
  axo_work_end_t end = {.code = -1, .gone = true};
  axo_err_t err;
  if (w->ended) {
    on_empty(w);
    return;
  }
  if (w->started) {
    ended(w, &end);
    return;
  }
  axo__err_set(&err, UV_ECONNRESET, "link", NULL, "the guest has gone");
  started(w, &err);
}

static void on_failed(axo_work_t *w, const axo_failed_t *body) {
  axo_err_t err;
  axo__failed_error(body, w->options.what, &err);
  if (body == &axo__silence) {
    disown(w, &err);
    return;
  }
  axo__call_end(&w->call);
  started(w, &err);
}

static void on_packet(axo__call_t *call, axo__packet_t *packet) {
  axo_work_t *w = AXO__CONTAINER_OF(call, axo_work_t, call);
  w->handles++; /* a callback may close it */
  if (!packet) {
    on_gone(w);
  } else if (packet->head.type == AXO_EV_SPAWNED) {
    on_spawned(w, packet);
  } else if (packet->head.type == AXO_EV_EXITED && w->started) {
    on_exited(w, packet->body);
  } else if (packet->head.type == AXO_EV_EMPTY) {
    on_empty(w);
  } else if (packet->head.type == AXO_EV_STUCK ||
             (packet->body == &axo__silence && w->started)) {
    on_stuck(w);
  } else if (packet->head.type == AXO_EV_FAILED && !w->started) {
    on_failed(w, packet->body);
  }
  release(w);
}

/* ---- starting -------------------------------------------------------------------- */

/* The task's end of a pipe; ours is written to like a terminal. */
static int open_pipe(axo_work_t *w) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return uv_translate_sys_error(errno);
  int rc = fcntl(ends[1], F_SETFL, O_NONBLOCK) != 0
               ? uv_translate_sys_error(errno)
               : uv_poll_init(axo__link_loop(w->call.link), &w->master, ends[1]);
  if (rc != 0) {
    close(ends[0]);
    close(ends[1]);
    return rc;
  }
  w->master.data = NULL;
  w->master_fd = ends[1];
  w->master_open = w->is_pipe = true;
  w->handles++;
  return ends[0];
}

/* In memory that nobody can change: the task needs nobody to feed it. */
static int whole(const void *bytes, size_t len) {
  int fd = axo__sealed_file(bytes, len);
  if (fd >= 0)
    lseek(fd, 0, SEEK_SET);
  return fd;
}

/* The descriptor that the task gets, -1 for none, or what went wrong below that.
 * Whoever it runs as may open its /dev/stdin again. */
static int open_stdin(axo_work_t *w) {
  const axo_work_options_t *o = &w->options;
  if (!o->input && !o->stdin_pipe)
    return -1;
  int fd = o->input ? whole(o->input, o->input_len) : open_pipe(w);
  if (fd >= 0)
    (void)fchmod(fd, 0666);
  return fd == -1 ? UV_EIO : fd;
}

static int work_new(axo_link_t *link, const axo_work_options_t *options,
                    axo_work_t **out) {
  axo_work_t *w = calloc(1, sizeof *w);
  if (!w)
    return UV_ENOMEM;
  w->options = *options;
  w->call.link = link;
  w->call.on_packet = on_packet;
  w->handles = 1;
  w->master_fd = -1;
  w->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int rc = w->bell_fd < 0 ? uv_translate_sys_error(errno)
                          : uv_poll_init(axo__link_loop(link), &w->bell, w->bell_fd);
  if (rc != 0) {
    if (w->bell_fd >= 0)
      close(w->bell_fd);
    free(w);
    return rc;
  }
  w->bell.data = NULL;
  w->bell_open = true;
  w->handles++;
  uv_poll_start(&w->bell, UV_READABLE, on_bell);
  uv_unref((uv_handle_t *)&w->bell);
  *out = w;
  return 0;
}

/* Sends what begins it, with its stdin unless that is -1. */
static int begin(axo_work_t *w, axo__message_t message, int input, axo_work_t **out,
                 axo_err_t *err) {
  int fds[2] = {w->bell_fd, input};
  message.fds = fds;
  message.fd_count = input < 0 ? 1 : 2;
  int rc = axo__link_send(w->call.link, &w->call, &message);
  if (rc != 0) {
    axo_work_close(w);
    return axo__link_error(rc, err);
  }
  axo__call_hold(&w->call, true);
  axo__call_expect(&w->call, w->call.link->options.answer_ms);
  *out = w;
  return 0;
}

static int start(axo_work_t *w, const axo__body_t *body, axo_work_t **out,
                 axo_err_t *err) {
  int input = open_stdin(w);
  if (input < -1) {
    axo_work_close(w);
    return axo__link_error(input, err);
  }
  if (input >= 0)
    ((axo_spawn_t *)body->bytes)->flags |= AXO_SPAWN_STDIN;
  w->options.input = NULL;
  int rc = begin(w, (axo__message_t){AXO_REQ_SPAWN, body->bytes, body->len, NULL, 0},
                 input, out, err);
  if (input >= 0)
    close(input);
  return rc;
}

int axo_work_start(axo_link_t *link, const axo_spawn_spec_t *spec,
                   const axo_work_options_t *options, axo_work_t **out,
                   axo_err_t *err) {
  axo__body_t body;
  axo_work_t *w;
  if (!spec->name || !*spec->name)
    return axo__err_set(err, UV_EINVAL, "spawn", NULL, "a task has an id");
  bool has_input = options->input || options->stdin_pipe;
  int rc =
      axo__link_needs(link, has_input ? AXO_KNOWS_STDIN : 0, "input of tasks", err);
  if (rc == 0)
    rc = axo__spawn_body(spec, &body, err);
  if (rc != 0)
    return rc;
  rc = work_new(link, options, &w);
  rc = rc == 0 ? start(w, &body, out, err) : axo__link_error(rc, err);
  free(body.bytes);
  return rc;
}

int axo_work_attach(axo_link_t *link, const char *name,
                    const axo_work_options_t *options, axo_work_t **out,
                    axo_err_t *err) {
  axo_attach_t body = {{0}};
  axo_work_t *w;
  if (!*name || strlen(name) >= sizeof body.name)
    return axo__err_set(err, UV_EINVAL, "attach", NULL, "no such task: %.64s", name);
  memcpy(body.name, name, strlen(name));
  int rc = work_new(link, options, &w);
  if (rc != 0)
    return axo__link_error(rc, err);
  w->attached = true;
  return begin(w, (axo__message_t){AXO_REQ_ATTACH, &body, sizeof body, NULL, 0}, -1,
               out, err);
}

/* ---- talking to it --------------------------------------------------------------- */

int axo_work_signal(axo_work_t *w, int signum, bool tree, axo_answer_cb cb, void *data,
                    axo_err_t *err) {
  int rc = axo__link_signal(&w->call, signum, tree, cb, data, err);
  if (rc == 0 && signum == SIGKILL && tree)
    axo__call_expect_end(&w->call);
  return rc;
}

/* The guest holds the terminal too, and could make it wait: it must not now. */
static int flush_typed(axo_work_t *w) {
  int flags = fcntl(w->master_fd, F_GETFL);
  if (flags < 0 || fcntl(w->master_fd, F_SETFL, flags | O_NONBLOCK) != 0)
    return uv_translate_sys_error(errno);
  return axo__queue_flush(&w->typed, w->master_fd);
}

static void on_writable(uv_poll_t *poll, int status, int events) {
  axo_work_t *w = AXO__CONTAINER_OF(poll, axo_work_t, master);
  (void)events;
  int rc = status < 0 ? status : flush_typed(w);
  if (rc == UV_EAGAIN)
    return;
  w->master_polling = false;
  uv_poll_stop(&w->master);
  if (rc != 0 || w->pipe_ends)
    close_master(w); /* or nobody has it open any more at the other end */
  else if (!w->closed && w->options.on_drain)
    w->options.on_drain(w);
}

int axo_work_write(axo_work_t *w, const void *data, size_t len) {
  if (!w->master_open || w->ended || w->pipe_ends)
    return UV_EPIPE;
  size_t queued = axo__queue_size(&w->typed);
  if (queued > MAX_TYPED || len > MAX_TYPED - queued)
    return UV_ENOBUFS;
  int rc = axo__queue_push(&w->typed, data, len);
  if (rc == 0 && !w->master_polling) {
    w->master_polling = true;
    uv_poll_start(&w->master, UV_WRITABLE, on_writable);
  }
  return rc;
}

int axo_work_close_stdin(axo_work_t *w) {
  if (!w->is_pipe || !w->master_open || w->ended)
    return UV_EPIPE;
  w->pipe_ends = true;
  if (!w->master_polling)
    close_master(w);
  return 0;
}

int axo_work_resize(axo_work_t *w, uint16_t rows, uint16_t cols) {
  struct winsize size = {.ws_row = rows, .ws_col = cols};
  if (rows == 0 || cols == 0)
    return UV_EINVAL;
  if (!w->master_open || w->is_pipe)
    return UV_EPIPE;
  return ioctl(w->master_fd, TIOCSWINSZ, &size) == 0 ? 0
                                                     : uv_translate_sys_error(errno);
}

int axo_work_size(const axo_work_t *w, uint16_t *rows, uint16_t *cols) {
  struct winsize size;
  if (!w->master_open || w->is_pipe)
    return UV_EPIPE;
  if (ioctl(w->master_fd, TIOCGWINSZ, &size) != 0)
    return uv_translate_sys_error(errno);
  *rows = size.ws_row;
  *cols = size.ws_col;
  return 0;
}
