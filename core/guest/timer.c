/* The one timer. Whatever waits for a moment says when; it is armed for the earliest,
 * and only while somebody waits: an idle session has no wake-ups. */
#include "guest.h"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static uint64_t armed; /* ms; 0: not */

uint64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t sooner(uint64_t a, uint64_t b) {
  if (!a || !b)
    return a ? a : b;
  return a < b ? a : b;
}

void wake_at(uint64_t ms) {
  if (!ms || (armed && armed <= ms))
    return;
  struct itimerspec at = {
      .it_value = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000}};
  if (timerfd_settime(g.timer, TFD_TIMER_ABSTIME, &at, NULL) == 0)
    armed = ms;
}

bool timer_take(void) {
  uint64_t count;
  if (read(g.timer, &count, sizeof count) != (ssize_t)sizeof count)
    return false;
  armed = 0;
  return true;
}
