/* Signals to process trees.
 *
 * A process that forks all the time cannot be caught by listing and signalling one by
 * one: its children are born between the two. A signal to a process *group* is atomic
 * against fork in the kernel, and each piece of work starts in a session of its own, so
 * the groups of its tree are its own. One pass therefore ends an ordinary fork bomb.
 * One that makes a new group for each child is met by stopping all of the container for
 * a moment; so are those that leave this process so little of the processor that to
 * list them all takes long.
 */
#include "guest.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STOPPED_MAX 32768
#define GROUP_SLOTS 1024
/* Hundreds of processes are listed in a tenth of it by whoever is let. */
#define PATIENCE_MS 100
/* Many times what the slowest fork takes; meanwhile all of the container stands still.
 */
#define STOPPING_MS 1000

enum verdict { UNKNOWN, OURS, OTHERS };

struct hunt {
  pid_t root; /* 0: what has no supervisor */
  bool (*is_sup)(pid_t pid);
  bool all; /* also what entered the container otherwise */
  int signum;
  uint64_t since;
  uint64_t until; /* ms: when listing while the others run has taken too long */
  struct tree_count count;
  int group_count;
  pid_t groups[GROUP_SLOTS]; /* those signalled already, by hash */
};

/* ---- who belongs to it ----------------------------------------------------------- */

/* What can be told of a process without its parent. */
static enum verdict own_verdict(const struct proc *p, const struct hunt *h) {
  if (h->root) {
    if (p->pid == h->root)
      return OTHERS;
    if (p->parent == h->root)
      return OURS;
  } else {
    if (h->is_sup(p->pid))
      return OTHERS;
    if (p->parent == g.self)
      return OURS;
    if (p->parent == 0 && h->all && g.is_init)
      return OURS;
  }
  return p->parent == 0 || p->parent == g.self ? OTHERS : UNKNOWN;
}

/* Up to the first ancestor of which it is known; all on the way learn it. */
static enum verdict judge(struct proc *p, const struct hunt *h) {
  struct proc *at = p;
  enum verdict verdict = UNKNOWN;
  for (int depth = 0; depth < STOPPED_MAX; depth++) {
    verdict = at->verdict ? (enum verdict)at->verdict : own_verdict(at, h);
    struct proc *parent = verdict ? NULL : procs_find(at->parent);
    if (!parent)
      break;
    at = parent;
  }
  if (!verdict)
    verdict = OTHERS; /* its parent has just ended: the next pass sees it again */
  for (; p != at; p = procs_find(p->parent))
    p->verdict = (uint8_t)verdict;
  at->verdict = (uint8_t)verdict;
  return verdict;
}

/* ---- signalling ------------------------------------------------------------------ */

/* Whether this group is met for the first time. `full`: it cannot be told. */
static bool is_first(struct hunt *h, pid_t group, bool *full) {
  *full = h->group_count >= GROUP_SLOTS * 3 / 4;
  unsigned slot = (unsigned)group * 2654435761U % GROUP_SLOTS;
  for (; h->groups[slot]; slot = (slot + 1) % GROUP_SLOTS)
    if (h->groups[slot] == group) {
      *full = false;
      return false;
    }
  if (*full)
    return false;
  h->groups[slot] = group;
  h->group_count++;
  return true;
}

/* The group at once, or where it is not the tree's alone, just the process. */
static void hit(struct hunt *h, const struct proc *p) {
  bool full = false;
  if (!p->alive)
    return;
  h->count.alive++;
  h->count.born += p->start > h->since;
  if (p->group <= 1 || p->group == g.group)
    kill(p->pid, h->signum);
  else if (is_first(h, p->group, &full))
    kill(-p->group, h->signum);
  else if (full)
    kill(p->pid, h->signum);
}

/* ---- while all stands still ------------------------------------------------------ */

static pid_t stopped[STOPPED_MAX];
static int stopped_count;

static bool was_stopped(pid_t pid) {
  int low = 0, high = stopped_count - 1;
  while (low <= high) {
    int mid = low + (high - low) / 2;
    if (stopped[mid] == pid)
      return true;
    if (stopped[mid] < pid)
      low = mid + 1;
    else
      high = mid - 1;
  }
  return false;
}

static bool in_time(struct proc *p, void *data) {
  const struct hunt *h = data;
  (void)p;
  return now_ms() < h->until;
}

/* What was stopped before stays so, as far as there is time to find it. */
static void remember_stopped(const struct procs *all) {
  stopped_count = 0;
  for (int i = 0; i < all->count; i++)
    if (all->at[i].state == 'T' && stopped_count < STOPPED_MAX)
      stopped[stopped_count++] = all->at[i].pid;
}

/* A process in an uninterruptible sleep stops later: its signal waits for it. */
static bool stand_still(const struct procs *all) {
  for (int i = 0; i < all->count; i++)
    if (all->at[i].alive && !strchr("TtD", all->at[i].state))
      return false;
  return true;
}

/* A fork that is under way when all are stopped is finished first, and its child is
 * born stopped (from Linux 4.19 on): who lists too soon does not see it, and it would
 * stand still for ever. No signal takes that back. So all are waited for, and listed
 * anew then: a child may have a lower number than its parent. */
static struct procs scan_stopped(void) {
  static const struct timespec moment = {.tv_nsec = 1000000};
  uint64_t until = now_ms() + STOPPING_MS;
  bool stood_still = false;
  for (;;) {
    struct procs all = procs_scan(NULL, NULL);
    bool still = stand_still(&all);
    if ((still && stood_still) || now_ms() >= until)
      return all;
    stood_still = still;
    if (!still)
      nanosleep(&moment, NULL);
  }
}

static void hunt_frozen(struct hunt *h, const struct procs *before) {
  remember_stopped(before);
  kill(-1, SIGSTOP); /* at once: from here on nothing in the container begins a fork */
  struct procs all = scan_stopped();
  h->count.alive = 0;
  for (int i = 0; i < all.count; i++) {
    if (judge(&all.at[i], h) != OURS)
      continue;
    h->count.alive += all.at[i].alive;
    kill(all.at[i].pid, h->signum);
  }
  /* Children first, so that no shell sees that its job stood still. */
  for (int i = all.count - 1; i >= 0; i--)
    if (!was_stopped(all.at[i].pid))
      kill(all.at[i].pid, SIGCONT);
  if (all.cut)
    kill(-1, SIGCONT);
}

static void kill_frozen(struct hunt *h) {
  if (!g.is_init)
    return;
  h->until = now_ms() + PATIENCE_MS;
  struct procs all = procs_scan(in_time, h);
  hunt_frozen(h, &all);
}

void tree_kill_frozen(pid_t root) {
  kill_frozen(&(struct hunt){.root = root, .signum = SIGKILL});
}

void strays_kill_frozen(bool (*is_sup)(pid_t pid)) {
  kill_frozen(&(struct hunt){.is_sup = is_sup, .signum = SIGKILL});
}

/* ---- while it runs ------------------------------------------------------------- */

/* As soon as one of ours is seen its whole group is hit: under a bomb PID 1 gets little
 * of the processor, and must not spend it on listing first. */
static bool on_seen(struct proc *p, void *data) {
  struct hunt *h = data;
  enum verdict verdict = own_verdict(p, h);
  const struct proc *parent = verdict ? NULL : procs_find(p->parent);
  if (parent && parent->verdict == OURS)
    verdict = OURS;
  if (verdict == OURS) {
    p->verdict = OURS;
    hit(h, p);
  }
  return now_ms() < h->until;
}

static struct tree_count hunt(struct hunt *h) {
  h->until = g.is_init ? now_ms() + PATIENCE_MS : UINT64_MAX;
  struct procs all = procs_scan(on_seen, h);
  if (all.left) {
    if (h->signum)
      hunt_frozen(h, &all);
    else if (h->count.alive == 0)
      h->count.alive = 1; /* what was not listed is not gone */
    return h->count;
  }
  /* Numbers wrap around: a child may have been listed before its parent. */
  for (int i = 0; i < all.count; i++)
    if (all.at[i].verdict != OURS && judge(&all.at[i], h) == OURS)
      hit(h, &all.at[i]);
  return h->count;
}

uint64_t tree_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_BOOTTIME, &t);
  return (uint64_t)t.tv_sec * 100 + (uint64_t)t.tv_nsec / 10000000; /* USER_HZ is 100 */
}

struct tree_count tree_signal(pid_t root, int signum, uint64_t since) {
  struct hunt h = {.root = root, .signum = signum, .since = since};
  return hunt(&h);
}

struct tree_count strays_kill(bool (*is_sup)(pid_t pid), bool all, uint64_t since) {
  struct hunt h = {.is_sup = is_sup, .all = all, .signum = SIGKILL, .since = since};
  return hunt(&h);
}

/* ---- everything ------------------------------------------------------------------ */

/* As PID 1 in one stroke, which nothing that forks can escape. */
void everything_kill(void) {
  if (g.is_init)
    kill(-1, SIGKILL);
  else
    tree_signal(g.self, SIGKILL, 0);
}
