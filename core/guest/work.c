/* The table of work, and who is told about it. Nothing is queued: what a link has been
 * told is a bit a subscriber, so a link that was blocked catches up from the state. */
#include "guest.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* 250 ms of ticks: how long an exit waits for the last output when a descendant still
 * holds the pipe; as in the host's process.c. */
#define DRAIN_TICKS 50
/* 10 s of ticks; afterwards the tree is left to the death of the container. */
#define KILL_PASSES 2000

int work_index(const struct work *w) { return (int)(w - g.works); }

static uint64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void forget_oldest_ended(void) {
  struct work *oldest = NULL;
  int ended = 0;
  for (int i = 0; i < WORKS_MAX; i++) {
    struct work *w = &g.works[i];
    if (w->state != AXO_WORK_ENDED || w->sup >= 0)
      continue;
    ended++;
    if (!oldest || w->number < oldest->number)
      oldest = w;
  }
  if (ended > ENDED_MAX)
    work_free(oldest);
}

struct work *work_new(int link, uint64_t id, uint32_t kind, int bell) {
  forget_oldest_ended();
  for (int i = 0; i < WORKS_MAX; i++) {
    struct work *w = &g.works[i];
    if (w->state)
      continue;
    memset(w, 0, sizeof *w);
    w->state = AXO_WORK_STARTING;
    w->kind = (uint8_t)kind;
    w->number = g.next_work++;
    w->started_ms = now_ms();
    w->sup = w->out_fd = w->slave_fd = w->ring.fd = -1;
    for (int s = 0; s < SUBS_MAX; s++)
      w->subs[s].link = w->subs[s].bell = -1;
    work_subscribe(w, link, id, bell);
    w->announced = 1U << link;
    return w;
  }
  return NULL;
}

static void sub_close(struct sub *s) {
  if (s->bell >= 0)
    close(s->bell);
  *s = (struct sub){.link = -1, .bell = -1};
}

struct sub *work_subscribe(struct work *w, int link, uint64_t id, int bell) {
  for (int i = 0; i < SUBS_MAX; i++)
    if (w->subs[i].link < 0) {
      w->subs[i] = (struct sub){.link = link, .bell = bell, .id = id};
      return &w->subs[i];
    }
  return NULL;
}

struct work *work_by_id(int link, uint64_t id) {
  for (int i = 0; i < WORKS_MAX; i++)
    for (int s = 0; g.works[i].state && s < SUBS_MAX; s++)
      if (g.works[i].subs[s].link == link && g.works[i].subs[s].id == id)
        return &g.works[i];
  return NULL;
}

struct work *work_by_name(const char *name) {
  for (int i = 0; i < WORKS_MAX; i++)
    if (g.works[i].state && g.works[i].kind != AXO_KIND_EXEC &&
        strncmp(g.works[i].name, name, AXO_NAME_MAX) == 0)
      return &g.works[i];
  return NULL;
}

void work_free(struct work *w) {
  pump_close(w);
  if (w->slave_fd >= 0)
    close(w->slave_fd);
  for (int i = 0; i < SUBS_MAX; i++)
    sub_close(&w->subs[i]);
  w->state = 0;
}

static bool tell_spawned(const struct work *w, const struct sub *s) {
  axo_spawned_t body = {.work = w->number, .pid = w->pid};
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_SPAWNED, 0, sizeof body, s->id};
  int fds[2] = {w->ring.fd, w->out_fd}, count = 0;
  if (w->kind != AXO_KIND_EXEC)
    count = w->kind == AXO_KIND_TERMINAL && w->output_open ? 2 : 1;
  return link_send(s->link, &head, &body, fds, count);
}

static bool tell_end(const struct work *w, struct sub *s) {
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_EXITED, 0, sizeof w->exited, s->id};
  axo_exited_t body = w->exited;
  if (w->spawn_failed) {
    head.type = AXO_EV_FAILED;
    head.length = sizeof w->failed;
    return link_send(s->link, &head, &w->failed, NULL, 0);
  }
  body.left = w->sup >= 0;
  if (!link_send(s->link, &head, &body, NULL, 0))
    return false;
  if (body.left)
    s->told |= TOLD_LEFT;
  return true;
}

static bool tell_empty(const struct sub *s) {
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_EMPTY, 0, 0, s->id};
  return link_send(s->link, &head, NULL, NULL, 0);
}

static void tell_one(struct work *w, struct sub *s) {
  if (g.links[s->link].fd < 0 || g.links[s->link].blocked)
    return;
  if (!(s->told & TOLD_SPAWNED) && w->state != AXO_WORK_STARTING && !w->spawn_failed) {
    if (!tell_spawned(w, s))
      return;
    s->told |= TOLD_SPAWNED;
  }
  if (!(s->told & TOLD_END) && w->state == AXO_WORK_ENDED) {
    if (!tell_end(w, s))
      return;
    s->told |= TOLD_END;
  }
  if ((s->told & (TOLD_LEFT | TOLD_EMPTY)) == TOLD_LEFT && w->sup < 0 && tell_empty(s))
    s->told |= TOLD_EMPTY;
}

static bool all_told(const struct work *w) {
  for (int i = 0; i < SUBS_MAX; i++) {
    const struct sub *s = &w->subs[i];
    if (s->link < 0)
      continue;
    if (!(s->told & TOLD_END) || (s->told & (TOLD_LEFT | TOLD_EMPTY)) == TOLD_LEFT)
      return false;
  }
  return true;
}

void work_tell(struct work *w) {
  for (int i = 0; i < SUBS_MAX; i++)
    if (w->subs[i].link >= 0)
      tell_one(w, &w->subs[i]);
  bool keep = w->kind != AXO_KIND_EXEC && !w->spawn_failed;
  if (w->state == AXO_WORK_ENDED && w->sup < 0 && !keep && all_told(w))
    work_free(w);
}

/* A link that is new lists for itself what there was before. */
void work_link_new(int link) {
  for (int i = 0; i < WORKS_MAX; i++)
    g.works[i].announced |= 1U << link;
}

/* Tells the other hosts of a task or a terminal that runs. */
void work_announce(struct work *w) {
  if (w->kind == AXO_KIND_EXEC || w->state == AXO_WORK_STARTING || w->spawn_failed)
    return;
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_NEW, 0, AXO_NAME_MAX, 0};
  for (int i = 0; i < LINKS_MAX; i++) {
    if (g.links[i].fd < 0 || g.links[i].blocked || w->announced & 1U << i)
      continue;
    if (link_send(i, &head, w->name, NULL, 0))
      w->announced |= 1U << i;
  }
}

void work_tell_link(int link) {
  for (int i = 0; i < WORKS_MAX; i++)
    if (g.works[i].state)
      work_announce(&g.works[i]);
  for (int i = 0; i < WORKS_MAX; i++)
    for (int s = 0; g.works[i].state && s < SUBS_MAX; s++)
      if (g.works[i].subs[s].link == link) {
        work_tell(&g.works[i]);
        break;
      }
}

/* The host has gone. Foreground work dies with it; the rest stays. */
void work_link_gone(int link) {
  for (int i = 0; i < WORKS_MAX; i++) {
    struct work *w = &g.works[i];
    bool was = false;
    for (int s = 0; w->state && s < SUBS_MAX; s++)
      if (w->subs[s].link == link) {
        sub_close(&w->subs[s]);
        was = true;
      }
    if (!was)
      continue;
    if (w->kind == AXO_KIND_EXEC && w->state != AXO_WORK_ENDED)
      work_kill(w);
    work_tell(w);
  }
}

/* Whether the end can be told: exit and the last output, or enough of waiting for it.
 */
void work_settle(struct work *w) {
  if (!w->exit_known || w->state == AXO_WORK_ENDED)
    return;
  if (w->output_open && w->drain_ticks < DRAIN_TICKS) {
    tick();
    return;
  }
  w->state = AXO_WORK_ENDED;
  pump_bell(w);
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
    w->exited = r->exited;
    w->exit_known = true;
  }
  if (w->slave_fd >= 0) {
    close(w->slave_fd);
    w->slave_fd = -1;
  }
  if (r->idle) {
    w->sup = -1;
    w->killing = false;
  }
  work_settle(w);
  work_announce(w);
  work_tell(w);
}

/* The supervisor was killed from inside: its children are PID 1's now, and nobody's. */
void work_sup_lost(struct work *w) {
  w->sup = -1;
  if (!w->exit_known && !w->spawn_failed) {
    w->exit_known = true;
    w->exited = (axo_exited_t){.code = -1, .signal = SIGKILL};
    if (w->state == AXO_WORK_STARTING)
      w->state = AXO_WORK_RUNNING;
  }
  w->drain_ticks = DRAIN_TICKS;
  work_settle(w);
  work_tell(w);
}

static void kill_pass(struct work *w) {
  if (!w->killing || w->sup < 0)
    return;
  pid_t root = g.sups[w->sup].pid;
  struct tree_count left = tree_signal(root, SIGKILL, w->kill_since);
  /* It still grows: it makes a group for each child, and outruns the listing. */
  if (w->kill_passes > 0 && left.born > 0)
    tree_kill_frozen(root);
  if (++w->kill_passes < KILL_PASSES)
    tick();
  else
    w->killing = false;
}

void work_kill(struct work *w) {
  if (w->sup < 0)
    return;
  w->killing = true;
  w->kill_passes = 0;
  w->kill_since = tree_clock();
  kill_pass(w);
}

void work_tick(void) {
  if (g.orphans) {
    g.orphans = tree_kill_orphans() > 0;
    if (g.orphans)
      tick();
  }
  for (int i = 0; i < WORKS_MAX; i++) {
    struct work *w = &g.works[i];
    if (!w->state)
      continue;
    kill_pass(w);
    if (w->exit_known && w->state != AXO_WORK_ENDED) {
      w->drain_ticks++;
      work_settle(w);
      work_tell(w);
    }
  }
}
