/* Events. Nothing is queued: what a host has been told of a piece of work is a bit in
 * its subscription, so one that was blocked catches up from the state. */
#include "guest.h"

static bool tell_spawned(const struct work *w, const struct sub *s) {
  axo_spawned_t body = {.work = w->number, .pid = w->pid};
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_SPAWNED, 0, sizeof body, s->id};
  int fds[2] = {w->ring.fd, w->out_fd};
  int count = w->kind == AXO_KIND_TERMINAL && w->output_open ? 2 : 1;
  return link_tell(s->link, &head, &body, fds, count);
}

static bool tell_failed(const struct work *w, const struct sub *s) {
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_FAILED, 0, sizeof w->failed, s->id};
  return link_tell(s->link, &head, &w->failed, NULL, 0);
}

static bool tell_exited(const struct work *w, struct sub *s) {
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_EXITED, 0, sizeof w->exited, s->id};
  axo_exited_t body = w->exited;
  body.left = w->sup >= 0;
  if (!link_tell(s->link, &head, &body, NULL, 0))
    return false;
  if (body.left)
    s->told |= TOLD_LEFT;
  return true;
}

static bool tell_bare(const struct sub *s, uint8_t type) {
  axo_packet_t head = {AXO_PROTO_VERSION, type, 0, 0, s->id};
  return link_tell(s->link, &head, NULL, NULL, 0);
}

/* How long each news lasts is what `told` depends on: a kill may be tried again. */
static bool is_untold(const struct work *w, const struct sub *s, uint8_t what) {
  if (s->told & what)
    return false;
  switch (what) {
  case TOLD_SPAWNED:
    return w->kind != AXO_KIND_EXEC && w->state != AXO_WORK_STARTING &&
           !w->spawn_failed;
  case TOLD_END:
    return w->state == AXO_WORK_ENDED;
  case TOLD_STUCK:
    return w->stuck;
  default:
    return s->told & TOLD_LEFT && w->sup < 0;
  }
}

static bool tell(const struct work *w, struct sub *s, uint8_t what) {
  switch (what) {
  case TOLD_SPAWNED:
    return tell_spawned(w, s);
  case TOLD_END:
    return w->spawn_failed ? tell_failed(w, s) : tell_exited(w, s);
  case TOLD_STUCK:
    return tell_bare(s, AXO_EV_STUCK);
  default:
    return tell_bare(s, AXO_EV_EMPTY);
  }
}

static void tell_one(const struct work *w, struct sub *s) {
  static const uint8_t order[] = {TOLD_SPAWNED, TOLD_END, TOLD_STUCK, TOLD_EMPTY};
  for (unsigned i = 0; i < sizeof order; i++) {
    if (!is_untold(w, s, order[i]))
      continue;
    if (!tell(w, s, order[i]))
      return;
    s->told |= order[i];
  }
}

/* Also the end of a work that nobody asks for any more. */
void work_tell(struct work *w) {
  for (int i = 0; i < SUBS_MAX; i++)
    if (w->subs[i].link >= 0)
      tell_one(w, &w->subs[i]);
  if (w->state != AXO_WORK_ENDED || w->sup >= 0)
    return;
  if (is_listed(w))
    work_shelve(w);
  else if (work_all_told(w))
    work_free(w);
}

void work_link_new(int link) {
  for (int i = 0; i < WORKS_MAX; i++)
    g.works[i].announced |= 1U << link;
}

/* Tells the other hosts of a task or a terminal that runs. */
void work_announce(struct work *w) {
  if (w->state == AXO_WORK_STARTING || !is_listed(w))
    return;
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_NEW, 0, AXO_NAME_MAX, 0};
  for (int i = 0; i < LINKS_MAX; i++) {
    if (g.links[i].fd < 0 || w->announced & 1U << i)
      continue;
    if (link_tell(i, &head, w->name, NULL, 0))
      w->announced |= 1U << i;
  }
}

static bool is_subscribed(const struct work *w, int link) {
  for (int i = 0; i < SUBS_MAX; i++)
    if (w->subs[i].link == link)
      return true;
  return false;
}

void work_tell_link(int link) {
  for (int i = 0; i < WORKS_MAX; i++) {
    struct work *w = &g.works[i];
    if (!w->state)
      continue;
    work_announce(w);
    if (is_subscribed(w, link))
      work_tell(w);
  }
}
