/* Supervisors. Each piece of work gets one: a child subreaper, so that what it starts
 * is found again however it daemonises. One whose tree is empty takes the next piece of
 * work, so that in a steady state an exec costs one vfork. */
#include "guest.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- inside PID 1
 * --------------------------------------------------------------------- */

static int idle_sup(int *spare) {
  *spare = -1;
  for (int i = 0; i < SUPS_MAX; i++) {
    if (g.sups[i].fd < 0) {
      if (*spare < 0)
        *spare = i;
    } else if (g.sups[i].work < 0) {
      return i;
    }
  }
  return -1;
}

/* An idle supervisor, or a new one; -1 with errno when there is none to be had. */
int sup_take(void) {
  int spare, pair[2];
  int idle = idle_sup(&spare);
  if (idle >= 0)
    return idle;
  if (spare < 0) {
    errno = ENOSPC;
    return -1;
  }
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
    return -1;
  pid_t pid = fork();
  if (pid == 0)
    supervise(pair[1]);
  close(pair[1]);
  if (pid < 0) {
    int cause = errno;
    close(pair[0]);
    errno = cause;
    return -1;
  }
  g.sups[spare] = (struct sup){pair[0], pid, -1};
  watch(pair[0], WATCH_SUP, spare, false);
  return spare;
}

/* Keeps one in hand: when the pids have run out, none can be made. */
void sup_reserve(void) {
  int spare;
  if (idle_sup(&spare) < 0)
    sup_take();
}

static void sup_close(int index) {
  struct sup *s = &g.sups[index];
  unwatch(s->fd);
  close(s->fd);
  s->fd = -1;
  int work = s->work;
  s->work = -1;
  if (work < 0)
    return;
  g.orphans = true;
  tick();
  work_sup_lost(&g.works[work]);
}

/* Ends an idle supervisor when there are plenty: closing its socket tells it to leave.
 */
static void sup_trim(int index) {
  int idle = 0;
  for (int i = 0; i < SUPS_MAX; i++)
    idle += g.sups[i].fd >= 0 && g.sups[i].work < 0;
  if (idle > SUPS_IDLE_MAX)
    sup_close(index);
}

void sup_ready(int index) {
  struct sup *s = &g.sups[index];
  struct sup_report report;
  while (s->fd >= 0) {
    ssize_t n = recv(s->fd, &report, sizeof report, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
      return;
    if (n != (ssize_t)sizeof report) {
      sup_close(index);
      return;
    }
    int work = s->work;
    if (work < 0)
      continue;
    if (report.idle)
      s->work = -1;
    work_report(&g.works[work], &report);
    if (report.idle)
      sup_trim(index);
  }
}

bool sup_owns(pid_t pid) {
  for (int i = 0; i < SUPS_MAX; i++)
    if (g.sups[i].fd >= 0 && g.sups[i].pid == pid)
      return true;
  return false;
}

/* A child of PID 1 has ended: a supervisor (its socket says the rest), or an orphan of
 * one that was killed. */
void sup_reaped(pid_t pid) {
  for (int i = 0; i < SUPS_MAX; i++)
    if (g.sups[i].fd >= 0 && g.sups[i].pid == pid) {
      sup_ready(i);
      if (g.sups[i].fd >= 0)
        sup_close(i);
      return;
    }
}

/* ---- inside the supervisor
 * ------------------------------------------------------------ */

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
  while ((pid = (pid_t)syscall(SYS_wait4, -1, &status, WNOHANG, &use)) > 0) {
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

static void start(struct state *s, const struct packet *p) {
  struct sup_report r = {0};
  struct spawn_args args;
  r.failed.stage = AXO_STAGE_REQUEST;
  r.failed.error = EINVAL;
  if (p->fd_count >= 3 && spawn_parse(p, &args))
    s->main = spawn_child(&args, p->fds, &r.failed);
  s->busy = s->main > 0;
  r.type = s->busy ? SUP_SPAWNED : SUP_FAILED;
  r.idle = !s->busy;
  r.pid = s->main;
  tell(s, &r);
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
  else if (p.head.type == AXO_REQ_SIGNAL && p.head.length == sizeof(axo_signal_t) &&
           s->main > 0)
    /* Exact: what we have not reaped cannot have been reused. */
    kill(s->main, ((const axo_signal_t *)p.body)->signal);
  packet_release(&p);
}

static int prepare(int fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (fd > 3)
    syscall(SYS_close_range, 3, (unsigned)fd - 1, 0);
  syscall(SYS_close_range, (unsigned)fd + 1, ~0U, 0);
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
      while (read(fds[1].fd, &info, sizeof info) > 0) {
      }
      reap(&s);
    }
    if (fds[0].revents)
      request(&s);
  }
}
