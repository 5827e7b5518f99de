/* How the guest is scheduled: PID 1 and its supervisors. */
#include "guest.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

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
