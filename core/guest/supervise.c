/* Inside a supervisor: the parent of one piece of work, reaper of all its descendants.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of the container's memory in thousandths, and the kernel's bound. */
#define OOM_MORE 300
#define OOM_MOST 1000
#define DRAIN_PAUSE_MS 20

struct state {
  int fd;     /* to PID 1 */
  pid_t main; /* 0: none running */
  bool busy;
  int held[2];     /* where the command writes; -1 */
  int rest[2];     /* the other ends of those, once it has ended and others go on; -1 */
  bool draining;   /* the host reads no more */
  uint64_t rested; /* ms: until then nothing is drained; 0: it is */
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

static void close_both(int fds[2]) {
  for (int i = 0; i < 2; i++) {
    if (fds[i] >= 0)
      close(fds[i]);
    fds[i] = -1;
  }
}

/* ---- what goes on after its command ---------------------------------------------- */

/* What still writes would be ended by that when the host lets go of its ends. */
static void keep_rest(struct state *s) {
  char path[sizeof "/proc/self/fd/" + DECIMAL_SIZE], digits[DECIMAL_SIZE];
  struct stat st;
  for (int i = 0; i < 2; i++) {
    if (s->held[i] < 0 || fstat(s->held[i], &st) || !S_ISFIFO(st.st_mode))
      continue;
    strcpy(stpcpy(path, "/proc/self/fd/"), decimal((uint32_t)s->held[i], digits));
    s->rest[i] = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  }
}

/* Nobody reads it: it is taken so that its writer can go on, a pipe's worth at a time,
 * and not more often than the pause allows. */
static void drain(struct state *s, int i) {
  static char dropped[65536];
  ssize_t n = read(s->rest[i], dropped, sizeof dropped);
  if (n > 0)
    s->rested = now_ms() + DRAIN_PAUSE_MS;
  if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
    return;
  close(s->rest[i]);
  s->rest[i] = -1;
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
  if (s->main == 0 && s->busy)
    keep_rest(s);
  if (r.type || r.idle)
    tell(s, &r);
  if (s->main == 0)
    close_both(s->held);
  if (r.idle)
    close_both(s->rest);
}

/* ---- what is asked --------------------------------------------------------------- */

/* The end of its output is no news before its own end is, and would wake the host once
 * more for each. */
static void hold(struct state *s, struct packet *p) {
  for (int i = 0; i < 2; i++) {
    s->held[i] = p->fds[i + 1];
    p->fds[i + 1] = -1;
  }
}

/* Of a foreground command, only a failure is news: its end says that it ran. */
static void start(struct state *s, struct packet *p) {
  struct sup_report r = {0};
  struct spawn_args args = {0};
  r.failed.stage = p->fds_lost ? AXO_STAGE_LIMIT : AXO_STAGE_REQUEST;
  r.failed.error = p->fds_lost ? EMFILE : EINVAL;
  if (p->fd_count >= 3 && spawn_parse(p, &args))
    s->main = spawn_child(&args, p->fds, &r.failed);
  s->busy = s->main > 0;
  s->draining = false;
  s->rested = 0;
  if (s->busy && args.fixed && args.fixed->kind == AXO_KIND_EXEC) {
    hold(s, p);
    return;
  }
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
  else if (p.head.type == AXO_REQ_FORGET)
    s->draining = true;
  packet_release(&p);
}

/* ---- set-up ---------------------------------------------------------------------- */

/* Before Linux 5.9 one by one: what stayed open here would keep PID 1's links alive. */
static void close_from(int first, int last) {
  if (first < 0 || first > last ||
      syscall(SYS_close_range, (unsigned)first, (unsigned)last, 0) == 0)
    return;
  struct rlimit most;
  if (getrlimit(RLIMIT_NOFILE, &most) || most.rlim_cur > 65536)
    most.rlim_cur = 65536;
  for (int fd = first; fd <= last && fd < (int)most.rlim_cur; fd++)
    close(fd);
}

/* When memory is short, commands go before PID 1, whose rings may make it the largest.
 */
static void go_first(void) {
  char text[16] = {0}, digits[DECIMAL_SIZE];
  int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
  if (fd >= 0 && read(fd, text, sizeof text - 1) > 0) {
    uint64_t score = number(text) + OOM_MORE; /* a negative one counts as 0 */
    const char *most = decimal(score < OOM_MOST ? (uint32_t)score : OOM_MOST, digits);
    (void)!pwrite(fd, most, strlen(most), 0);
  }
  if (fd >= 0)
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
  schedule_guest();
  go_first();
  return signalfd(-1, &chld, SFD_NONBLOCK | SFD_CLOEXEC);
}

enum { FROM_GUEST, FROM_KERNEL, FROM_REST, SOURCES = FROM_REST + 2 };

/* Until the pause is over, whatever else happens meanwhile; -1: there is none. */
static int pause_left(struct state *s) {
  uint64_t now = s->rested ? now_ms() : 0;
  if (s->rested <= now)
    s->rested = 0;
  return s->rested ? (int)(s->rested - now) : -1;
}

/* Waits for something to do. */
static void await(struct state *s, struct pollfd fds[SOURCES]) {
  int left = pause_left(s);
  bool drains = s->draining && s->main == 0 && left < 0;
  for (int i = 0; i < 2; i++)
    fds[FROM_REST + i] = (struct pollfd){drains ? s->rest[i] : -1, POLLIN, 0};
  nfds_t count = drains ? SOURCES : FROM_REST;
  int n = poll(fds, count, left);
  if (n < 0 && errno != EINTR)
    _exit(1); /* somebody has taken our limits away */
  if (n <= 0)
    for (int i = 0; i < SOURCES; i++)
      fds[i].revents = 0;
}

_Noreturn void supervise(int fd) {
  struct state s = {.fd = fd, .held = {-1, -1}, .rest = {-1, -1}};
  struct pollfd fds[SOURCES] = {
      {fd, POLLIN, 0}, {prepare(fd), POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}};
  if (fds[FROM_KERNEL].fd < 0)
    _exit(1);
  for (;;) {
    await(&s, fds);
    if (fds[FROM_KERNEL].revents) {
      struct signalfd_siginfo info;
      (void)!read(fds[FROM_KERNEL].fd, &info, sizeof info); /* one stands for all */
      reap(&s);
    }
    if (fds[FROM_GUEST].revents)
      request(&s);
    for (int i = 0; i < 2; i++)
      if (fds[FROM_REST + i].revents && s.rest[i] >= 0)
        drain(&s, i);
  }
}
