/* What a process in a container can do to the first one there by way of the kernel:
 * prints the name of each attempt that succeeded, one a line. Then what it may do to
 * itself and to its child: "own" and how often that succeeded. Static, for any image.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* As the kernel takes it, and with what it overlooks in the upper half. */
static const long ones[] = {1, 1L | 1L << 32, 1L | 1L << 63};
#define ONES (sizeof ones / sizeof *ones)

static int is_own, succeeded;

static void result(const char *what, long rc) {
  succeeded += rc >= 0;
  if (rc >= 0 && !is_own)
    printf("%s\n", what);
}

static void write_to(const char *path, const char *text) {
  char name[128];
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return;
  snprintf(name, sizeof name, "write %s", path);
  struct stat st;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) /* else it has been masked */
    result(name, write(fd, text, strlen(text)));
  close(fd);
}

static void limits(long pid) {
  static const int which[] = {RLIMIT_CPU,   RLIMIT_NOFILE, RLIMIT_AS,
                              RLIMIT_FSIZE, RLIMIT_NPROC,  RLIMIT_STACK};
  /* The soft one alone, and as large as can be: nothing breaks where it succeeds. */
  struct rlimit limit;
  for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
    getrlimit(which[i], &limit);
    result("prlimit", syscall(SYS_prlimit64, pid, which[i], &limit, NULL));
  }
}

static void scheduling(long pid) {
  struct sched_param none = {0};
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attr = {.size = 48};
  unsigned long all[16];
  memset(all, 0xff, sizeof all);
  result("setpriority", syscall(SYS_setpriority, PRIO_PROCESS, pid, 0));
  result("setpriority of its group", syscall(SYS_setpriority, PRIO_PGRP, pid, 0));
  result("sched_setscheduler",
         syscall(SYS_sched_setscheduler, pid, SCHED_OTHER, &none));
  result("sched_setattr", syscall(SYS_sched_setattr, pid, &attr, 0));
  result("sched_setaffinity", syscall(SYS_sched_setaffinity, pid, sizeof all, all));
  result("ioprio_set", syscall(SYS_ioprio_set, 1, pid, 2 << 13 | 4));
  result("ioprio_set of its group", syscall(SYS_ioprio_set, 2, pid, 2 << 13 | 4));
}

static void memory(long pid) {
  char byte;
  struct iovec here = {&byte, 1}, there = {&byte, 1};
  result("process_vm_readv",
         syscall(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0));
  result("ptrace", syscall(SYS_ptrace, PTRACE_SEIZE, pid, 0, 0));
  result("move_pages", syscall(SYS_move_pages, pid, 0, NULL, NULL, NULL, 0));
  result("migrate_pages", syscall(SYS_migrate_pages, pid, 0, NULL, NULL));
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  result("pidfd_getfd", fd < 0 ? -1 : syscall(SYS_pidfd_getfd, fd, 0, 0));
}

/* Signal 0 asks only whether another might be sent. */
static void signals(long pid) {
  siginfo_t own = {.si_code = SI_QUEUE};
  result("tkill", syscall(SYS_tkill, pid, 0));
  result("tgkill", syscall(SYS_tgkill, pid, pid, 0));
  result("sigqueue", syscall(SYS_rt_sigqueueinfo, pid, 0, &own));
  result("tgsigqueue", syscall(SYS_rt_tgsigqueueinfo, pid, pid, 0, &own));
}

/* With the queue full, the kernel drops who sent a signal, as it does for a sender from
 * outside. */
static void forge(void) {
  enum { MANY = 1000000, HALT = 37 };
  siginfo_t own = {.si_signo = SIGTERM, .si_code = SI_QUEUE};
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  for (int i = 0; i < MANY; i++)
    if (sigqueue(getpid(), SIGRTMIN, (union sigval){0}) != 0)
      break;
  syscall(SYS_tkill, 1, SIGTERM);
  syscall(SYS_tgkill, 1, 1, SIGTERM);
  syscall(SYS_rt_sigqueueinfo, 1, SIGTERM, &own);
  syscall(SYS_rt_tgsigqueueinfo, 1, 1, SIGTERM, &own);
  int fd = (int)syscall(SYS_pidfd_open, 1, 0);
  result("pidfd_send_signal", syscall(SYS_pidfd_send_signal, fd, SIGTERM, &own, 0));
  for (int number = 1; number < 65; number++)
    kill(1, number);
}

int main(void) {
  static const char *const files[][2] = {{"/proc/1/oom_score_adj", "1000"},
                                         {"/proc/1/task/1/oom_score_adj", "1000"},
                                         {"/proc/1/oom_adj", "15"},
                                         {"/proc/1/task/1/oom_adj", "15"},
                                         {"/proc/1/autogroup", "19"},
                                         {"/proc/1/timerslack_ns", "1000000000"},
                                         {"/proc/1/comm", "x"},
                                         {"/proc/1/mem", "x"},
                                         {"/proc/1/uid_map", "0 0 1"},
                                         {"/proc/1/setgroups", "deny"},
                                         {"/proc/1/attr/current", "x"},
                                         {"/proc/1/fail-nth", "1"},
                                         {"/proc/1/make-it-fail", "1"},
                                         {"/proc/1/loginuid", "1"},
                                         {"/proc/1/latency", "0"}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++)
    write_to(files[i][0], files[i][1]);
  for (size_t i = 0; i < ONES; i++) {
    limits(ones[i]);
    scheduling(ones[i]);
    signals(ones[i]);
  }
  result("setpriority of its user", syscall(SYS_setpriority, PRIO_USER, 0, 0));
  result("ioprio_set of its user", syscall(SYS_ioprio_set, 3, 0, 2 << 13 | 4));
  memory(1);
  is_own = 1;
  succeeded = 0;
  pid_t child = fork();
  if (child == 0)
    for (;;)
      pause();
  const long own[] = {0, getpid(), child};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    limits(own[i]);
    scheduling(own[i]);
    signals(own[i]);
  }
  kill(child, SIGKILL);
  printf("own %d\n", succeeded);
  fflush(stdout);
  is_own = 0;
  forge();
  return 0;
}
