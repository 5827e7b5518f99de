/* How work ends, and how it is killed. */
#include "guest.h"

#include <unistd.h>

/* How long an exit waits for the last output when a descendant still holds the pipe; as
 * in the host's process.c. */
#define DRAIN_MS 250
/* Passes of a kill follow each other ever more slowly, for this long. */
#define KILL_MS 10000
#define PASS_MS 5
#define PASS_MS_MAX 320
/* Nothing of the tree lives, and the supervisor, which has only to reap it, does not
 * say so: somebody has stopped it, or it hangs in a file system. */
#define SILENCE_MS 2000

/* ---- the end --------------------------------------------------------------------- */

/* Whether the end can be told: exit and the last output, or enough of waiting for it.
 */
static void work_settle(struct work *w) {
  if (!w->exit_known || w->state == AXO_WORK_ENDED)
    return;
  uint64_t now = now_ms();
  if (w->output_open && !w->drain_until)
    w->drain_until = now + DRAIN_MS;
  if (w->output_open && now < w->drain_until) {
    wake_at(w->drain_until);
    return;
  }
  w->state = AXO_WORK_ENDED;
  pump_bell(w);
}

static void kill_over(struct work *w) {
  w->killing = false;
  w->kill_due = 0;
}

void work_report(struct work *w, const struct sup_report *r) {
  if (r->type == SUP_SPAWNED) {
    w->state = AXO_WORK_RUNNING;
    w->pid = r->pid;
  } else if (r->type == SUP_FAILED) {
    w->failed = r->failed;
    w->spawn_failed = true;
    w->state = AXO_WORK_ENDED;
  } else if (r->type == SUP_EXITED) {
    if (w->state == AXO_WORK_STARTING)
      w->state = AXO_WORK_RUNNING;
    w->exited = r->exited;
    w->exit_known = true;
  }
  if (w->slave_fd >= 0) {
    close(w->slave_fd);
    w->slave_fd = -1;
  }
  if (r->idle) {
    w->sup = -1;
    kill_over(w);
  }
  work_settle(w);
  work_announce(w);
  work_tell(w);
}

void work_output_over(struct work *w) {
  work_settle(w);
  work_tell(w);
}

/* The supervisor was killed from inside: its children are PID 1's now, and nobody's. */
void work_sup_lost(struct work *w) {
  struct sup_report r = {.type = SUP_NOTHING, .idle = 1};
  if (!w->exit_known && !w->spawn_failed) {
    r.type = SUP_EXITED;
    r.exited = (axo_exited_t){.code = -1, .signal = SIGKILL};
  }
  w->drain_until = 1; /* long past: what held the output is being killed */
  work_report(w, &r);
}

/* The host has gone. Foreground work dies with it, and so does what a command has left
 * behind while its host still watched that; the rest stays. */
void work_link_gone(int link) {
  for (int i = 0; i < WORKS_MAX; i++) {
    struct work *w = &g.works[i];
    if (!w->state || !work_unsubscribe_link(w, link))
      continue;
    if (w->kind == AXO_KIND_EXEC)
      work_kill(w);
    work_tell(w);
  }
}

/* ---- killing --------------------------------------------------------------------- */

static uint64_t pause_ms(uint32_t passes) {
  unsigned doubled = passes < 16 ? 0 : (passes - 16) / 4;
  uint64_t ms = (uint64_t)PASS_MS << (doubled < 6 ? doubled : 6);
  return ms < PASS_MS_MAX ? ms : PASS_MS_MAX;
}

static int kill_pass(struct work *w) {
  pid_t root = g.sups[w->sup].pid;
  struct tree_count left = tree_signal(root, SIGKILL, w->kill_since);
  /* It still grows: it makes a group for each child, and outruns the listing. */
  if (w->kill_passes > 0 && left.born > 0)
    tree_kill_frozen(root);
  uint64_t now = now_ms(), took = now - w->kill_from;
  if (left.alive > 0)
    w->kill_seen = now;
  w->kill_passes++;
  if (left.alive == 0 && now - w->kill_seen > SILENCE_MS) {
    kill_over(w);
    sup_abandon(w->sup);
  } else if (took > KILL_MS) {
    kill_over(w);
    w->stuck = true;
    work_tell(w);
  } else {
    w->kill_due = now + pause_ms(w->kill_passes);
    wake_at(w->kill_due);
  }
  return left.alive;
}

int work_kill(struct work *w) {
  if (w->sup < 0)
    return 0;
  w->killing = true;
  w->stuck = false;
  for (int i = 0; i < SUBS_MAX; i++)
    w->subs[i].told &= (uint8_t)~TOLD_STUCK;
  w->kill_passes = 0;
  w->kill_since = tree_clock();
  w->kill_from = w->kill_seen = now_ms();
  return kill_pass(w);
}

/* Counted before: a signal ends some before they are listed. */
static int count_before(const struct sup *sup, const struct packet *p) {
  return p->head.id ? tree_signal(sup->pid, 0, UINT64_MAX).alive : 0;
}

int work_signal(struct work *w, const struct packet *p) {
  const axo_signal_t *how = (const axo_signal_t *)p->body;
  if (w->sup < 0)
    return -1;
  const struct sup *sup = &g.sups[w->sup];
  if (!how->tree)
    return w->exit_known || packet_relay(sup->fd, p, NULL, 0) ? -1 : 1;
  int count = count_before(sup, p);
  int found = how->signal == SIGKILL
                  ? work_kill(w)
                  : tree_signal(sup->pid, how->signal, UINT64_MAX).alive;
  if (found > 0 || w->exit_known || how->signal == SIGKILL || how->signal == 0)
    return count > found ? count : found;
  /* It is about to start: its supervisor gets to this after that. */
  return packet_relay(sup->fd, p, NULL, 0) ? -1 : 1;
}

uint64_t works_due(uint64_t now) {
  uint64_t due = 0;
  for (int i = 0; i < WORKS_MAX; i++) {
    struct work *w = &g.works[i];
    if (w->state && w->killing && w->kill_due <= now)
      kill_pass(w);
    if (w->state && w->exit_known && w->state != AXO_WORK_ENDED) {
      work_settle(w);
      work_tell(w);
    }
    if (!w->state)
      continue;
    due = sooner(due, w->kill_due);
    if (w->exit_known && w->state != AXO_WORK_ENDED)
      due = sooner(due, w->drain_until);
  }
  return due;
}
