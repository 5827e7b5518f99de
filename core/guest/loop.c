/* What there is, and what is watched: below all others. */
#include "guest.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

struct guest g;

static uint64_t tag(enum watch_kind kind, int index) {
  return (uint64_t)kind << 32 | (uint32_t)index;
}

void watch(int fd, enum watch_kind kind, int index, uint32_t events) {
  struct epoll_event ev = {.events = events, .data.u64 = tag(kind, index)};
  if (epoll_ctl(g.epoll, EPOLL_CTL_ADD, fd, &ev) && errno == EEXIST)
    epoll_ctl(g.epoll, EPOLL_CTL_MOD, fd, &ev);
}

/* Explicit, since a duplicate held elsewhere would keep the registration alive. */
void unwatch(int fd) { epoll_ctl(g.epoll, EPOLL_CTL_DEL, fd, NULL); }

bool signals_mask(uint64_t mask) {
  return syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask) == 0;
}
