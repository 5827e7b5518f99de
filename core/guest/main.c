/* PID 1 of the session's container. Sets everything up first; from then on nothing
 * makes it leave but SIGTERM. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct guest g;

#define EVENTS_MAX 64
#define TICK_MS 5

static uint64_t tag(enum watch_kind kind, int index) {
  return (uint64_t)kind << 32 | (uint32_t)index;
}

void watch(int fd, enum watch_kind kind, int index, bool write) {
  struct epoll_event ev = {.events = EPOLLIN, .data.u64 = tag(kind, index)};
  if (write)
    ev.events |= EPOLLOUT;
  if (epoll_ctl(g.epoll, EPOLL_CTL_ADD, fd, &ev) && errno == EEXIST)
    epoll_ctl(g.epoll, EPOLL_CTL_MOD, fd, &ev);
}

/* Explicit, since a duplicate held elsewhere would keep the registration alive. */
void unwatch(int fd) { epoll_ctl(g.epoll, EPOLL_CTL_DEL, fd, NULL); }

/* Arms the tick: only while something is being killed or drained. */
void tick(void) {
  if (g.ticking)
    return;
  struct itimerspec at = {.it_value = {.tv_nsec = TICK_MS * 1000000L}};
  g.ticking = timerfd_settime(g.timer, 0, &at, NULL) == 0;
}

_Noreturn void leave(void) {
  kill(-1, SIGKILL);
  while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
  }
  _exit(0);
}

static void reap(void) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
    sup_reaped(pid);
}

static void on_signal(void) {
  struct signalfd_siginfo info;
  while (read(g.signals, &info, sizeof info) == (ssize_t)sizeof info) {
    if (info.ssi_signo == SIGTERM)
      leave();
  }
  reap();
}

static void on_timer(void) {
  uint64_t count;
  if (read(g.timer, &count, sizeof count) < 0 && errno == EAGAIN)
    return;
  g.ticking = false;
  work_tick();
}

static void dispatch(const struct epoll_event *ev) {
  int index = (int)(uint32_t)ev->data.u64;
  switch ((enum watch_kind)(ev->data.u64 >> 32)) {
  case WATCH_SIGNAL:
    on_signal();
    break;
  case WATCH_INOTIFY:
    link_inotify();
    break;
  case WATCH_LINK:
    link_ready(index, ev->events);
    break;
  case WATCH_SUP:
    sup_ready(index);
    break;
  case WATCH_OUTPUT:
    pump_ready(&g.works[index]);
    break;
  case WATCH_TIMER:
    on_timer();
    break;
  }
}

static void tables(void) {
  for (int i = 0; i < LINKS_MAX; i++)
    g.links[i].fd = -1;
  for (int i = 0; i < SUPS_MAX; i++)
    g.sups[i].fd = g.sups[i].work = -1;
  g.next_work = 1;
}

static int signals(void) {
  sigset_t all;
  sigfillset(&all);
  if (sigprocmask(SIG_BLOCK, &all, NULL))
    return -1;
  sigset_t ours;
  sigemptyset(&ours);
  sigaddset(&ours, SIGCHLD);
  sigaddset(&ours, SIGTERM);
  return signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
}

static bool set_up(char **argv, char **envp) {
  tables();
  g.environment = envp;
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  /* Where this is not PID 1 (under test), orphans come here all the same. */
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  umask(022);
  g.root = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
  g.link_dir = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g.signals = signals();
  g.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  g.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  g.epoll = epoll_create1(EPOLL_CLOEXEC);
  if (g.root < 0 || g.link_dir < 0 || g.signals < 0 || g.timer < 0 || g.inotify < 0 ||
      g.epoll < 0)
    return false;
  if (inotify_add_watch(g.inotify, argv[2], IN_MOVED_TO | IN_ONLYDIR) < 0)
    return false;
  watch(g.signals, WATCH_SIGNAL, 0, false);
  watch(g.timer, WATCH_TIMER, 0, false);
  watch(g.inotify, WATCH_INOTIFY, 0, false);
  return true;
}

int main(int argc, char **argv, char **envp) {
  if (argc != 3 || !set_up(argv, envp)) {
    static const char usage[] =
        "axo-guest: cannot start: usage: axo-guest ROOT LINK-DIR\n";
    (void)!write(2, usage, sizeof usage - 1);
    return 111;
  }
  sup_reserve();
  link_scan();
  struct epoll_event events[EVENTS_MAX];
  for (;;) {
    int n = epoll_wait(g.epoll, events, EVENTS_MAX, -1);
    for (int i = 0; i < n; i++)
      dispatch(&events[i]);
    sup_reserve();
  }
}
