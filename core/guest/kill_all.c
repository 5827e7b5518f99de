/* Emptying the session: everything but PID 1 is killed, and whoever asked is told when
 * nothing is left. */
#include "guest.h"

#include <errno.h>

#define WAITERS_MAX 32
#define PASS_MS 5
#define LIMIT_MS 10000

static struct waiter {
  uint64_t id; /* 0: free */
  int link;
  bool over;
  int error;
} waiters[WAITERS_MAX];
static uint64_t due, until;

static struct waiter *free_waiter(void) {
  for (int i = 0; i < WAITERS_MAX; i++)
    if (!waiters[i].id)
      return &waiters[i];
  return NULL;
}

/* Supervisors die with the rest; they are let go of at once, so that none of the dying
 * gets new work. */
bool kill_all(int link, uint64_t id) {
  struct waiter *waiter = free_waiter();
  if (!waiter)
    return false;
  *waiter = (struct waiter){.id = id, .link = link};
  everything_kill();
  sups_abandon();
  due = now_ms();
  until = due + LIMIT_MS;
  wake_at(due);
  return true;
}

void kill_all_flush(int link) {
  for (int i = 0; i < WAITERS_MAX; i++) {
    struct waiter *w = &waiters[i];
    if (!w->id || !w->over || w->link != link)
      continue;
    axo_failed_t body = {AXO_STAGE_WORK, w->error};
    axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_DONE, 0, 0, w->id};
    if (w->error) {
      head.type = AXO_EV_FAILED;
      head.length = sizeof body;
    }
    if (link_tell(link, &head, &body, NULL, 0))
      w->id = 0;
  }
}

void kill_all_forget(int link) {
  for (int i = 0; i < WAITERS_MAX; i++)
    if (waiters[i].link == link)
      waiters[i].id = 0;
}

uint64_t kill_all_due(uint64_t now) {
  if (!due || due > now)
    return due;
  bool left = strays_kill(sup_owns, true, 0).alive > 0;
  due = left && now < until ? now + PASS_MS : 0;
  if (due)
    return due;
  for (int i = 0; i < WAITERS_MAX; i++) {
    waiters[i].over = true;
    waiters[i].error = left ? ETIMEDOUT : 0;
  }
  for (int link = 0; link < LINKS_MAX; link++)
    kill_all_flush(link);
  return 0;
}
