/* How a supervisor is scheduled. On a lane it is woken by a host that is about to
 * sleep. If it preempts the host, the program that it starts meets a processor with
 * somebody still on it, is sent to another one, and starts there with cold caches:
 * measured, an exec then takes 1.4 times what a local one takes, and else 1.15.
 * SCHED_BATCH does not preempt. But on a machine with more to run than processors it
 * waits for the others' slices, so there a supervisor is scheduled as everybody is. */
#include "guest.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* More than any machine has processors. */
#define MANY 100000

static int load = -1; /* /proc/loadavg; -1: left as it is */
static int processors;
static bool waits;

static bool policy(int which) {
  struct sched_param none = {0};
  return syscall(SYS_sched_setscheduler, 0, which, &none) == 0;
}

/* sched_setattr(2), as linux/sched/types.h has it. */
struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

/* Among many that are always busy everybody waits for the turns of all others, unless
 * turns are asked for that are shorter than theirs (from Linux 6.12 on; before, this
 * has no effect). No right is needed, and no more of the processor is got by it. What
 * this process starts is scheduled as ever. */
void schedule_guest(void) {
  enum { RESET_ON_FORK = 1, SHORTEST_NS = 100000 };
  struct attributes own = {0};
  if (syscall(SYS_sched_getattr, 0, &own, sizeof own, 0) || own.policy != SCHED_OTHER ||
      own.nice < 0) /* which would not be inherited then */
    return;
  own.size = sizeof own;
  own.flags |= RESET_ON_FORK;
  own.runtime = SHORTEST_NS;
  syscall(SYS_sched_setattr, 0, &own, 0);
}

void schedule_init(void) {
  processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
  if (syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER)
    load = open("/proc/loadavg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

/* How many could run now: the number before the slash. 0 when it is not told. */
static int runnable(void) {
  char text[64];
  int count = 0;
  ssize_t n = pread(load, text, sizeof text, 0), at = 0;
  while (at < n && text[at] != '/') {
    bool is_digit = text[at] >= '0' && text[at] <= '9';
    count = is_digit && count < MANY ? count * 10 + (text[at] - '0') : 0;
    at++;
  }
  return at < n ? count : 0;
}

void schedule_adapt(void) {
  int others = load >= 0 ? runnable() - 1 : -1; /* this one is running */
  bool is_free = others >= 0 && others <= processors;
  if (is_free == waits)
    return;
  if (policy(is_free ? SCHED_BATCH : SCHED_OTHER))
    waits = is_free;
}

void schedule_child(void) {
  if (waits)
    policy(SCHED_OTHER);
}

void schedule_plain(void) {
  schedule_child();
  waits = false;
}
