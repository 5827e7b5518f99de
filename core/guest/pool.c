/* Supervisors, as PID 1 keeps them. Each piece of work gets one: a child subreaper, so
 * that what it starts is found again however it daemonises. One whose tree is empty
 * takes the next piece of work: in a steady state an exec costs one vfork. */
#include "guest.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PID_BUCKETS 1024
/* What a burst leaves idle stays for another burst, for so long. */
#define LINGER_MS 1000
#define HUNT_MS 10000
#define HUNT_PAUSE_MS 10

static int by_pid[PID_BUCKETS];
static int first_free;
static int youngest, oldest, idle; /* those that are idle, and how many */
static bool fork_failed;
static uint64_t trim_due;
/* Of a piece of work: what its supervisor says; its loss. */
static void (*hear)(struct work *w, const struct sup_report *r);
static void (*lose)(struct work *w);

/* ---- the lists ------------------------------------------------------------------- */

void sups_init(void (*on_report)(struct work *w, const struct sup_report *r),
               void (*on_lost)(struct work *w)) {
  hear = on_report;
  lose = on_lost;
  for (int i = 0; i < PID_BUCKETS; i++)
    by_pid[i] = -1;
  for (int i = 0; i < SUPS_MAX; i++) {
    g.sups[i].fd = g.sups[i].work = -1;
    g.sups[i].next = i + 1 < SUPS_MAX ? i + 1 : -1;
  }
  youngest = oldest = -1;
}

static int *pid_bucket(pid_t pid) { return &by_pid[(unsigned)pid % PID_BUCKETS]; }

static int sup_of(pid_t pid) {
  int i = *pid_bucket(pid);
  while (i >= 0 && g.sups[i].pid != pid)
    i = g.sups[i].pid_next;
  return i;
}

bool sup_owns(pid_t pid) { return sup_of(pid) >= 0; }

struct work *sup_work(pid_t pid) {
  int i = sup_of(pid);
  return i >= 0 && g.sups[i].work >= 0 ? &g.works[g.sups[i].work] : NULL;
}

static void idle_push(int index) {
  struct sup *s = &g.sups[index];
  s->work = -1;
  s->next = youngest;
  s->previous = -1;
  s->idle_since = now_ms();
  if (youngest >= 0)
    g.sups[youngest].previous = index;
  else
    oldest = index;
  youngest = index;
  idle++;
}

static void idle_remove(int index) {
  const struct sup *s = &g.sups[index];
  if (s->previous >= 0)
    g.sups[s->previous].next = s->next;
  else
    youngest = s->next;
  if (s->next >= 0)
    g.sups[s->next].previous = s->previous;
  else
    oldest = s->previous;
  idle--;
}

/* ---- one more, one less ---------------------------------------------------------- */

/* Makes an idle one. False and errno when there is none to be had. */
static bool sup_make(void) {
  int pair[2], index = first_free;
  errno = ENOSPC;
  if (index < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
    return false;
  pid_t pid = fork();
  if (pid == 0)
    supervise(pair[1]);
  int cause = errno;
  close(pair[1]);
  if (pid < 0) {
    close(pair[0]);
    errno = cause;
    return false;
  }
  struct sup *s = &g.sups[index];
  first_free = s->next;
  *s = (struct sup){.fd = pair[0], .pid = pid, .pid_next = *pid_bucket(pid)};
  *pid_bucket(pid) = index;
  watch(s->fd, WATCH_SUP, index, EPOLLIN);
  idle_push(index);
  return true;
}

static void hunt_begin(void);

static void sup_close(int index) {
  struct sup *s = &g.sups[index];
  int work = s->work, *at = pid_bucket(s->pid);
  while (*at != index)
    at = &g.sups[*at].pid_next;
  *at = s->pid_next;
  if (work < 0)
    idle_remove(index);
  unwatch(s->fd);
  close(s->fd);
  *s = (struct sup){.fd = -1, .work = -1, .next = first_free};
  first_free = index;
  if (work < 0)
    return;
  hunt_begin();
  lose(&g.works[work]);
}

void sup_abandon(int index) {
  kill(g.sups[index].pid, SIGKILL);
  sup_close(index);
}

void sups_abandon(void) {
  for (int i = 0; i < SUPS_MAX; i++)
    if (g.sups[i].fd >= 0)
      sup_abandon(i);
}

int sup_start(struct work *w, const struct packet *p, const int fds[3]) {
  for (;;) {
    if (youngest < 0 && !sup_make())
      return errno;
    int index = youngest;
    int error = packet_relay(g.sups[index].fd, p, fds, 3);
    if (is_dead(error)) {
      sup_close(index); /* killed from inside, while it was idle */
      continue;
    }
    if (error)
      return error;
    idle_remove(index);
    g.sups[index].work = work_index(w);
    w->sup = index;
    return 0;
  }
}

/* Where it cannot be told, what is left waits when its pipe is full. */
void sup_drain(const struct work *w) {
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_REQ_FORGET, 0, 0, 0};
  if (w->sup >= 0)
    (void)packet_send(g.sups[w->sup].fd, &head, NULL, NULL, 0);
}

void sup_reserve(void) {
  if (youngest < 0 && !fork_failed)
    fork_failed = !sup_make();
}

void sup_retry(void) { fork_failed = false; }

/* Closing its socket tells an idle one to leave. */
static void trim(uint64_t now) {
  while (idle > IDLE_MAX ||
         (idle > IDLE_KEEP && g.sups[oldest].idle_since + LINGER_MS <= now))
    sup_close(oldest);
  trim_due = idle > IDLE_KEEP ? g.sups[oldest].idle_since + LINGER_MS : 0;
}

/* ---- what they say --------------------------------------------------------------- */

/* Takes one report. */
static bool report(int index) {
  struct sup *s = &g.sups[index];
  struct sup_report r;
  if (s->fd < 0)
    return false;
  ssize_t n = recv(s->fd, &r, sizeof r, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return false;
  if (n != (ssize_t)sizeof r) {
    sup_close(index);
    return false;
  }
  sup_retry();
  if (s->work < 0)
    return true;
  hear(&g.works[s->work], &r);
  if (r.idle)
    idle_push(index);
  return true;
}

void sup_ready(int index) {
  report(index);
  if (idle > IDLE_MAX || (idle > IDLE_KEEP && !trim_due)) {
    trim(now_ms());
    wake_at(trim_due);
  }
}

/* A child of PID 1 has ended: a supervisor, what one that was killed has left, or what
 * podman exec has left. */
void sup_reaped(pid_t pid) {
  int index = sup_of(pid);
  sup_retry();
  if (index < 0)
    return;
  while (report(index)) {
  }
  if (g.sups[index].fd >= 0 && g.sups[index].pid == pid)
    sup_close(index);
}

/* ---- what those leave that are killed from inside -------------------------------- */

static struct {
  uint64_t due, until, since;
  bool again;
} hunt;

static void hunt_begin(void) {
  uint64_t now = now_ms();
  hunt.until = now + HUNT_MS;
  if (hunt.due)
    return;
  hunt.since = tree_clock();
  hunt.again = false;
  hunt.due = now;
  wake_at(now);
}

static void hunt_on(uint64_t now) {
  struct tree_count left = strays_kill(sup_owns, false, hunt.since);
  if (hunt.again && left.born > 0)
    strays_kill_frozen(sup_owns);
  hunt.again = true;
  hunt.due = left.alive > 0 && now < hunt.until ? now + HUNT_PAUSE_MS : 0;
}

uint64_t sups_due(uint64_t now) {
  if (trim_due && trim_due <= now)
    trim(now);
  if (hunt.due && hunt.due <= now)
    hunt_on(now);
  return sooner(trim_due, hunt.due);
}
