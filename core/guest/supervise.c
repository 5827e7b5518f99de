/* Inside a supervisor: the parent of one piece of work, reaper of all its descendants.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct state {
  int fd;
  pid_t main; /* 0: none running */
  bool busy;
};

static void tell(const struct state *s, const struct sup_report *r) {
  /* Blocking: PID 1 always reads. When it has gone, so do we. */
  if (send(s->fd, r, sizeof *r, MSG_NOSIGNAL) < 0)
    _exit(0);
}

static uint64_t micros(struct timeval t) {
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

static void ended(struct sup_report *r, int status, const struct rusage *use) {
  r->type = SUP_EXITED;
  r->exited = (axo_exited_t){
      .code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
      .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
      .utime_us = micros(use->ru_utime),
      .stime_us = micros(use->ru_stime),
      .maxrss_kb = (uint64_t)use->ru_maxrss,
  };
}

/* Reaps all that has ended, and reports the end of the main process and of the tree. */
static void reap(struct state *s) {
  struct sup_report r = {0};
  struct rusage use;
  int status;
  pid_t pid;
  while ((pid = wait4(-1, &status, WNOHANG, &use)) > 0) {
    if (pid == s->main) {
      ended(&r, status, &use);
      s->main = 0;
    }
  }
  r.idle = pid < 0 && errno == ECHILD && s->busy;
  if (r.idle)
    s->busy = false;
  if (r.type || r.idle)
    tell(s, &r);
}

/* Of a foreground command, only a failure is news: its end says that it ran. */
static void start(struct state *s, const struct packet *p) {
  struct sup_report r = {0};
  struct spawn_args args = {0};
  r.failed.stage = AXO_STAGE_REQUEST;
  r.failed.error = p->fds_lost ? EMFILE : EINVAL;
  if (p->fd_count >= 3 && spawn_parse(p, &args))
    s->main = spawn_child(&args, p->fds, &r.failed);
  s->busy = s->main > 0;
  if (s->busy && args.fixed && args.fixed->kind == AXO_KIND_EXEC)
    return;
  r.type = s->busy ? SUP_SPAWNED : SUP_FAILED;
  r.idle = !s->busy;
  r.pid = s->main;
  tell(s, &r);
}

/* Exact: what we have not reaped cannot have been reused. */
static void pass_on(const struct state *s, const axo_signal_t *how) {
  if (s->main > 0)
    kill(how->tree ? -s->main : s->main, how->signal);
}

static void request(struct state *s) {
  struct packet p;
  int got = packet_receive(s->fd, &p);
  if (got < 0)
    _exit(0);
  if (got == 0)
    return;
  if (p.head.type == AXO_REQ_SPAWN && !s->busy)
    start(s, &p);
  else if (p.head.type == AXO_REQ_SIGNAL && p.head.length == sizeof(axo_signal_t))
    pass_on(s, (const axo_signal_t *)p.body);
  packet_release(&p);
}

/* Before Linux 5.9 one by one: what stayed open here would keep PID 1's links alive. */
static void close_from(int first, int last) {
  if (first > last || syscall(SYS_close_range, (unsigned)first, (unsigned)last, 0) == 0)
    return;
  struct rlimit most;
  if (getrlimit(RLIMIT_NOFILE, &most) || most.rlim_cur > 65536)
    most.rlim_cur = 65536;
  for (int fd = first; fd <= last && fd < (int)most.rlim_cur; fd++)
    close(fd);
}

static int prepare(int fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  close_from(3, fd - 1);
  close_from(fd + 1, INT32_MAX);
  sigset_t chld;
  sigemptyset(&chld);
  sigaddset(&chld, SIGCHLD);
  return signalfd(-1, &chld, SFD_NONBLOCK | SFD_CLOEXEC);
}

_Noreturn void supervise(int fd) {
  struct state s = {.fd = fd};
  struct pollfd fds[2] = {{fd, POLLIN, 0}, {prepare(fd), POLLIN, 0}};
  if (fds[1].fd < 0)
    _exit(1);
  for (;;) {
    if (poll(fds, 2, -1) < 0)
      continue;
    if (fds[1].revents) {
      struct signalfd_siginfo info;
      (void)!read(fds[1].fd, &info, sizeof info); /* one stands for all */
      reap(&s);
    }
    if (fds[0].revents)
      request(&s);
  }
}
