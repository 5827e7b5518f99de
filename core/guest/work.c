/* The table of work: found by a host's id or by name at once, however much there is. */
#include "guest.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define ID_BUCKETS 2048
#define NAME_BUCKETS 512

/* Of subs, numbered across all works; of works, by name. */
static int by_id[ID_BUCKETS];
static int by_name[NAME_BUCKETS];
static int first_free;
/* What has ended with nothing left, oldest first. */
static int oldest, newest, shelved;

void works_init(void) {
  for (int i = 0; i < ID_BUCKETS; i++)
    by_id[i] = -1;
  for (int i = 0; i < NAME_BUCKETS; i++)
    by_name[i] = -1;
  for (int i = 0; i < WORKS_MAX; i++)
    g.works[i].next = i + 1 < WORKS_MAX ? i + 1 : -1;
  first_free = 0;
  oldest = newest = -1;
}

static uint64_t wall_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- those that have ended ------------------------------------------------------- */

void work_shelve(struct work *w) {
  int index = work_index(w);
  if (w->shelved)
    return;
  w->shelved = true;
  w->next = -1;
  w->previous = newest;
  if (newest >= 0)
    g.works[newest].next = index;
  else
    oldest = index;
  newest = index;
  shelved++;
}

static void unshelve(struct work *w) {
  if (!w->shelved)
    return;
  w->shelved = false;
  shelved--;
  if (w->previous >= 0)
    g.works[w->previous].next = w->next;
  else
    oldest = w->next;
  if (w->next >= 0)
    g.works[w->next].previous = w->previous;
  else
    newest = w->previous;
}

const struct work *work_shelf(const struct work *before) {
  int index = before ? before->next : oldest;
  return index >= 0 ? &g.works[index] : NULL;
}

bool is_listed(const struct work *w) {
  return w->state && w->kind != AXO_KIND_EXEC && !w->spawn_failed;
}

bool work_all_told(const struct work *w) {
  for (int i = 0; i < SUBS_MAX; i++) {
    const struct sub *s = &w->subs[i];
    if (s->link >= 0 &&
        (!(s->told & TOLD_END) || (s->told & (TOLD_LEFT | TOLD_EMPTY)) == TOLD_LEFT))
      return false;
  }
  return true;
}

/* The oldest of which every host has heard the end. */
static void forget_one(void) {
  for (int i = oldest; i >= 0; i = g.works[i].next)
    if (work_all_told(&g.works[i])) {
      work_free(&g.works[i]);
      return;
    }
}

/* ---- names ----------------------------------------------------------------------- */

static unsigned name_bucket(const char *name) {
  unsigned hash = 2166136261U;
  for (; *name; name++)
    hash = (hash ^ (unsigned char)*name) * 16777619U;
  return hash % NAME_BUCKETS;
}

struct work *work_by_name(const char *name) {
  for (int i = by_name[name_bucket(name)]; i >= 0; i = g.works[i].name_next)
    if (strcmp(g.works[i].name, name) == 0)
      return &g.works[i];
  return NULL;
}

void work_set_name(struct work *w, const char *name) {
  unsigned bucket = name_bucket(name);
  strcpy(w->name, name); /* packet.c bounded it */
  w->name_next = by_name[bucket];
  by_name[bucket] = work_index(w);
}

static void drop_name(const struct work *w) {
  if (!w->name[0])
    return;
  int *at = &by_name[name_bucket(w->name)];
  while (*at != work_index(w))
    at = &g.works[*at].name_next;
  *at = w->name_next;
}

/* ---- who is interested ----------------------------------------------------------- */

static struct sub *sub_at(int index) {
  return &g.works[index / SUBS_MAX].subs[index % SUBS_MAX];
}

static int *id_bucket(int link, uint64_t id) {
  uint64_t hash = (id + ((uint64_t)link << 48)) * UINT64_C(0x9e3779b97f4a7c15);
  return &by_id[hash >> 53];
}
_Static_assert(ID_BUCKETS == 1 << (64 - 53), "a bucket for each hash");

struct work *work_by_id(int link, uint64_t id) {
  for (int i = *id_bucket(link, id); i >= 0; i = sub_at(i)->next)
    if (sub_at(i)->link == link && sub_at(i)->id == id)
      return &g.works[i / SUBS_MAX];
  return NULL;
}

struct sub *work_subscribe(struct work *w, int link, uint64_t id, int bell) {
  for (int i = 0; i < SUBS_MAX; i++) {
    struct sub *s = &w->subs[i];
    if (s->link >= 0)
      continue;
    int *bucket = id_bucket(link, id);
    *s = (struct sub){.link = (int16_t)link, .bell = bell, .id = id, .next = *bucket};
    *bucket = work_index(w) * SUBS_MAX + i;
    return s;
  }
  return NULL;
}

static void sub_close(struct work *w, struct sub *s) {
  int index = work_index(w) * SUBS_MAX + (int)(s - w->subs);
  int *at = id_bucket(s->link, s->id);
  while (*at != index)
    at = &sub_at(*at)->next;
  *at = s->next;
  if (s->bell >= 0)
    close(s->bell);
  *s = (struct sub){.link = -1, .bell = -1};
}

void work_unsubscribe(struct work *w, int link, uint64_t id) {
  for (int i = 0; i < SUBS_MAX; i++)
    if (w->subs[i].link == link && w->subs[i].id == id)
      sub_close(w, &w->subs[i]);
}

bool work_unsubscribe_link(struct work *w, int link) {
  bool was = false;
  for (int i = 0; i < SUBS_MAX; i++)
    if (w->subs[i].link == link) {
      sub_close(w, &w->subs[i]);
      was = true;
    }
  return was;
}

/* ---- one ------------------------------------------------------------------------- */

struct work *work_new(int link, uint64_t id, uint32_t kind, int bell) {
  if (shelved > ENDED_MAX || first_free < 0)
    forget_one();
  if (first_free < 0)
    return NULL;
  struct work *w = &g.works[first_free];
  first_free = w->next;
  memset(w, 0, sizeof *w);
  w->state = AXO_WORK_STARTING;
  w->kind = (uint8_t)kind;
  w->number = g.next_work++;
  w->started_ms = wall_ms();
  w->sup = w->out_fd = w->slave_fd = w->ring.fd = -1;
  for (int s = 0; s < SUBS_MAX; s++)
    w->subs[s].link = w->subs[s].bell = -1;
  work_subscribe(w, link, id, bell);
  w->announced = 1U << link;
  return w;
}

void work_free(struct work *w) {
  unshelve(w);
  drop_name(w);
  pump_close(w);
  if (w->slave_fd >= 0)
    close(w->slave_fd);
  for (int i = 0; i < SUBS_MAX; i++)
    if (w->subs[i].link >= 0)
      sub_close(w, &w->subs[i]);
  w->state = 0;
  w->name[0] = 0;
  w->next = first_free;
  first_free = work_index(w);
}
