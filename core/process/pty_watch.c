#include "process/pty_impl.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

/* A descriptor that becomes readable when `pid` exits; O_CLOEXEC. */
static int pidfd_open_of(pid_t pid) {
#ifdef SYS_pidfd_open
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  return fd < 0 ? uv_translate_sys_error(errno) : fd;
#else
  (void)pid;
  return UV_ENOSYS;
#endif
}

static void check(axo__watch_t *watch) {
  int status;
  pid_t pid;
  do {
    pid = waitpid(watch->pid, &status, WNOHANG);
  } while (pid < 0 && errno == EINTR);
  if (pid == 0)
    return;
  /* ECHILD: somebody else in the process reaped it, and how it ended is lost. */
  if (pid < 0)
    status = -1;
  watch->pid = 0;
  if (watch->by_signal) {
    uv_signal_stop(&watch->uv.signal);
  } else {
    uv_poll_stop(&watch->uv.poll);
  }
  watch->on_exit(watch, status);
}

static void on_sigchld(uv_signal_t *signal, int signum) {
  axo__watch_t *watch = AXO__CONTAINER_OF(signal, axo__watch_t, uv.signal);
  (void)signum;
  if (watch->pid > 0)
    check(watch);
}

static void on_pidfd(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  check(AXO__CONTAINER_OF(poll, axo__watch_t, uv.poll));
}

int axo__watch_init(axo__watch_t *watch, uv_loop_t *loop, bool pidfd) {
  watch->loop = loop;
  watch->pid = 0;
  watch->is_open = false;
  watch->pidfd = pidfd ? pidfd_open_of(getpid()) : -1;
  watch->by_signal = watch->pidfd < 0;
  if (!watch->by_signal) {
    close(watch->pidfd);
    watch->pidfd = -1;
    return 0;
  }
  int rc = uv_signal_init(loop, &watch->uv.signal);
  if (rc != 0)
    return rc;
  watch->uv.handle.data = NULL;
  watch->is_open = true;
  return uv_signal_start(&watch->uv.signal, on_sigchld, SIGCHLD);
}

int axo__watch_start(axo__watch_t *watch, pid_t pid,
                     void (*on_exit)(axo__watch_t *, int)) {
  watch->on_exit = on_exit;
  watch->pid = pid;
  if (watch->by_signal)
    return 0;
  watch->pidfd = pidfd_open_of(pid);
  if (watch->pidfd < 0)
    return watch->pidfd;
  int rc = uv_poll_init(watch->loop, &watch->uv.poll, watch->pidfd);
  if (rc != 0)
    return rc;
  watch->uv.handle.data = NULL;
  watch->is_open = true;
  return uv_poll_start(&watch->uv.poll, UV_READABLE, on_pidfd);
}

bool axo__watch_close(axo__watch_t *watch, uv_close_cb cb) {
  bool closes = watch->is_open && !uv_is_closing(&watch->uv.handle);
  if (closes)
    uv_close(&watch->uv.handle, cb);
  if (watch->pidfd >= 0)
    close(watch->pidfd);
  watch->is_open = false;
  watch->pidfd = -1;
  return closes;
}
