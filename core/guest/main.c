/* PID 1 of the session's container. Sets everything up first; from then on nothing
 * makes it leave but a signal from outside. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVENTS_MAX 64
#define PENDING_MOST 4096
#define QUEUED_MOST (256 * 1024) /* bytes */

/* ---- signals --------------------------------------------------------------------- */

_Noreturn static void leave(void) {
  do {
    everything_kill();
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
  } while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
  _exit(0);
}

/* As PID 1 it is stopped from outside only, where the sender has no number that we can
 * know; the sender of sigqueue(3) writes its own. A full queue loses that: of kill(2)
 * with a real-time signal, which is therefore none of ours, and of other calls, which
 * the session's profile refuses. */
static bool is_from_outside(const struct signalfd_siginfo *info) {
  return !g.is_init || (info->ssi_code == SI_USER && info->ssi_pid == 0);
}

static void reap(void) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
    if (!WIFSTOPPED(status))
      sup_reaped(pid);
    else if (sup_owns(pid))
      kill(pid, SIGCONT); /* whoever may signal it may stop it, but it stays so not */
  }
}

static void on_signal(void) {
  struct signalfd_siginfo info;
  bool news = false;
  while (read(g.signals, &info, sizeof info) == (ssize_t)sizeof info) {
    if (info.ssi_signo == SIGIO)
      news = true;
    else if (info.ssi_signo != SIGCHLD && is_from_outside(&info))
      leave();
  }
  reap();
  if (news)
    links_news();
}

static int signals(void) {
  static const int stops[] = {SIGTERM, SIGINT, SIGQUIT};
  sigset_t ours;
  sigemptyset(&ours);
  sigaddset(&ours, SIGCHLD);
  sigaddset(&ours, SIGIO); /* of a door */
  for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
    sigaddset(&ours, stops[i]);
  if (!signals_mask(~UINT64_C(0)))
    return -1;
  /* What was ignored where the container was started is not to be ignored in it. */
  for (int i = 1; i < NSIG; i++)
    signal(i, SIG_DFL);
  return signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* ---- set-up ---------------------------------------------------------------------- */

/* Descriptors 0 to 2 are taken before anything else is opened. */
static bool stdio(void) {
  int fd;
  do
    fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= 2);
  if (fd < 0)
    return fcntl(2, F_GETFD) >= 0 && (g.null = fcntl(0, F_DUPFD_CLOEXEC, 3)) >= 0;
  close(fd);
  g.null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  return g.null >= 0;
}

/* podman gives HOSTNAME to the first process alone. */
static void drop_hostname(char **env) {
  struct utsname name;
  char *value = get_env(env, "HOSTNAME");
  if (!value || uname(&name) || strcmp(value, name.nodename))
    return;
  while (*env + sizeof "HOSTNAME=" - 1 != value)
    env++;
  for (; *env; env++)
    *env = env[1];
}

/* podman sets HOME from the user files when nobody else has set it. */
static bool home_is_own(char **env) {
  static struct identity id;
  char digits[DECIMAL_SIZE];
  const char *home = get_env(env, "HOME");
  return !home ||
         (user_resolve(decimal(geteuid(), digits), &id) && strcmp(home, id.home) == 0);
}

/* Descriptors are what many tasks need most; commands get the limit as it was. */
static void raise_limit(void) {
  if (getrlimit(RLIMIT_NOFILE, &g.nofile))
    return;
  struct rlimit most = {g.nofile.rlim_max, g.nofile.rlim_max};
  g.nofile_raised =
      g.nofile.rlim_cur < g.nofile.rlim_max && setrlimit(RLIMIT_NOFILE, &most) == 0;
}

/* What the kernel counts for a user, on the host and in all containers together: who
 * took all of it would leave programs of the host without timers or queues. */
static void leave_some(int resource, rlim_t most) {
  struct rlimit limit;
  if (getrlimit(resource, &limit))
    return;
  if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max / 4 < most)
    most = limit.rlim_max / 4;
  if (limit.rlim_cur > most)
    limit.rlim_cur = most;
  if (limit.rlim_max > most)
    limit.rlim_max = most;
  setrlimit(resource, &limit);
}

static bool open_all(char **argv) {
  g.root = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
  g.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g.spare = fcntl(g.root, F_DUPFD_CLOEXEC, 3);
  g.signals = signals();
  g.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  g.epoll = epoll_create1(EPOLL_CLOEXEC);
  return g.root >= 0 && g.proc >= 0 && g.signals >= 0 && g.timer >= 0 && g.epoll >= 0;
}

static bool set_up(char **argv, char **env) {
  if (!stdio())
    return false;
  g.self = getpid();
  g.group = getpgrp();
  g.is_init = g.self == 1;
  g.environment = env;
  g.next_work = 1;
  /* Nothing in the container may trace it or see its descriptors. */
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  /* Where this is not PID 1 (under test), orphans come here all the same. */
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  links_init();
  works_init();
  sups_init(work_report, work_sup_lost);
  raise_limit();
  if (g.is_init) {
    leave_some(RLIMIT_SIGPENDING, PENDING_MOST);
    leave_some(RLIMIT_MSGQUEUE, QUEUED_MOST);
  }
  schedule_guest();
  drop_hostname(env);
  g.home_is_own = home_is_own(env);
  /* As podman exec starts commands when it is not told a user: without groups. */
  if (geteuid() == 0 && g.is_init)
    (void)setgroups(0, NULL);
  if (!open_all(argv))
    return false;
  watch(g.signals, WATCH_SIGNAL, 0, EPOLLIN);
  watch(g.timer, WATCH_TIMER, 0, EPOLLIN);
  return true;
}

/* ---- the loop -------------------------------------------------------------------- */

static void on_timer(void) {
  if (!timer_take())
    return;
  uint64_t now = now_ms();
  uint64_t due = sooner(works_due(now), kill_all_due(now));
  wake_at(sooner(due, sooner(sups_due(now), links_due(now))));
}

static void dispatch(const struct epoll_event *ev) {
  int index = (int)(uint32_t)ev->data.u64;
  switch ((enum watch_kind)(ev->data.u64 >> 32)) {
  case WATCH_SIGNAL:
    on_signal();
    break;
  case WATCH_INOTIFY:
    doors_inotify();
    links_news();
    break;
  case WATCH_LINK:
    link_ready(index, ev->events);
    break;
  case WATCH_SUP:
    sup_ready(index);
    break;
  case WATCH_OUTPUT:
    if (pump_ready(&g.works[index]))
      work_output_over(&g.works[index]);
    break;
  case WATCH_TIMER:
    on_timer();
    break;
  }
}

_Noreturn static void refuse(const char *why, int status) {
  (void)!write(2, why, strlen(why));
  _exit(status);
}

int main(int argc, char **argv, char **envp) {
  if (argc != 3 || !set_up(argv, envp))
    refuse("axo-guest: cannot start: usage: axo-guest ROOT LINK-DIR\n", 111);
  enum door_state doors = doors_open(argv[2]);
  if (doors == DOORS_MISSING)
    refuse("axo-guest: there is no link directory\n", 111);
  if (doors == DOORS_SILENT)
    refuse("axo-guest: the kernel cannot tell of new sockets\n", AXO_EXIT_SILENT);
  sup_reserve();
  links_scan();
  struct epoll_event events[EVENTS_MAX];
  for (;;) {
    int n = epoll_wait(g.epoll, events, EVENTS_MAX, -1);
    for (int i = 0; i < n; i++)
      dispatch(&events[i]);
    sup_reserve();
  }
}
