/* fuzz_guest.h: what the fuzzed guest stands on: supervisors without processes, a clock
 * that the input moves, a tree with nobody in it, files that are not opened. */
#ifndef FUZZ_GUEST_H
#define FUZZ_GUEST_H

#include "../../core/guest/guest.h"
#include "fuzz.h"

#include <signal.h>

struct guest g;

static input_t *source; /* of what the stand-ins answer */
static uint64_t now = 1000;
static size_t allowed = SIZE_MAX; /* descriptors that a supervisor may still open */

/* ---- loop.c, timer.c ------------------------------------------------------------- */

void watch(int fd, enum watch_kind kind, int index, uint32_t events) {
  CHECK(fd >= 0 && kind >= WATCH_SIGNAL && index >= 0);
  (void)events;
}

void unwatch(int fd) { CHECK(fd >= 0); }
uint64_t now_ms(void) { return now; }
void wake_at(uint64_t ms) { (void)ms; }

uint64_t sooner(uint64_t a, uint64_t b) {
  if (!a || !b)
    return a ? a : b;
  return a < b ? a : b;
}

/* ---- tree.c ---------------------------------------------------------------------- */

static struct tree_count drawn_count(void) {
  struct tree_count count = {.alive = draw8(source) % 3};
  count.born = count.alive ? draw8(source) % 2 : 0;
  return count;
}

uint64_t tree_clock(void) { return now; }
void tree_kill_frozen(pid_t root) { CHECK(root > 1); }
void strays_kill_frozen(bool (*is_sup)(pid_t pid)) { (void)is_sup; }
void everything_kill(void) {}

struct tree_count tree_signal(pid_t root, int signum, uint64_t since) {
  (void)since;
  CHECK(root > 1 && signum >= 0 && signum < NSIG);
  return drawn_count();
}

struct tree_count strays_kill(bool (*is_sup)(pid_t pid), bool all, uint64_t since) {
  (void)is_sup;
  (void)all;
  (void)since;
  return drawn_count();
}

/* ---- files.c --------------------------------------------------------------------- */

static void check_path(const char *path, uint32_t limit) {
  CHECK(strlen(path) < limit); /* asan: it ends where it may be read */
}

int files_open(const char *path, const axo_open_t *how, const char *root) {
  (void)how;
  check_path(root, AXO_PACKET_MAX);
  check_path(path, AXO_PACKET_MAX);
  errno = ENOENT;
  return draw8(source) & 1 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
}

int files_path(const axo_path_t *how, const char *from, const char *to,
               const char *root) {
  check_path(root, AXO_PACKET_MAX);
  check_path(from, AXO_PACKET_MAX);
  check_path(to, AXO_PACKET_MAX);
  CHECK(how->op == AXO_PATH_RENAME || to == from);
  errno = EINVAL;
  return draw8(source) & 1 ? 0 : -1;
}

/* ---- owner.c --------------------------------------------------------------------- */

void owner_find(uint64_t inode, int link, axo_owned_t *out) {
  CHECK(link >= 0 && link < LINKS_MAX);
  *out = (axo_owned_t){.pid = (int32_t)inode, .cut = draw8(source) & 1};
}

/* ---- pool.c ---------------------------------------------------------------------- */

#define POOL_MAX 6

/* What a supervisor has told so far. */
enum phase { STARTING, RUNNING, OVER };

static struct pool {
  int far; /* the supervisor's end of its socket */
  int out; /* where its command writes */
  enum phase phase;
} pool[POOL_MAX];

static void pool_close(int index) {
  close(g.sups[index].fd);
  close(pool[index].far);
  if (pool[index].out >= 0)
    close(pool[index].out);
  g.sups[index] = (struct sup){.fd = -1, .work = -1};
}

/* Each string ends within the body, and the last one with it. */
static void check_args(const struct packet *p, const struct spawn_args *args) {
  const char *at = (const char *)p->body + sizeof(axo_spawn_t);
  const char *end = (const char *)p->body + p->head.length;
  CHECK(args->cwd == at);
  at += strnlen(at, (size_t)(end - at)) + 1;
  CHECK(args->user == at && at < end);
  at += strnlen(at, (size_t)(end - at)) + 1;
  for (uint32_t i = 0; i < args->fixed->argc + args->fixed->envc; i++) {
    bool is_arg = i < args->fixed->argc;
    CHECK((is_arg ? args->argv[i] : args->env[i - args->fixed->argc]) == at);
    CHECK(at < end);
    at += strnlen(at, (size_t)(end - at)) + 1;
  }
  CHECK(at == end && args->fixed->argc > 0);
  CHECK(!args->argv[args->fixed->argc] && !args->env[args->fixed->envc]);
}

/* As supervise.c takes a request; what it may look at is what came with it. */
static bool supervisor_takes(int index, const axo_packet_t *sent) {
  struct packet p;
  struct spawn_args args;
  if (allowed != SIZE_MAX)
    fds_allow(allowed);
  int got = packet_receive(pool[index].far, &p);
  if (allowed != SIZE_MAX)
    fds_allow(SIZE_MAX);
  allowed = SIZE_MAX;
  CHECK(got == 1 && memcmp(&p.head, sent, sizeof *sent) == 0);
  bool good = p.fd_count >= 3 && spawn_parse(&p, &args);
  CHECK(good == !p.fds_lost);
  if (good) {
    check_args(&p, &args);
    pool[index].out = dup(p.fds[1]);
  }
  packet_release(&p);
  return good;
}

int sup_start(struct work *w, const struct packet *p, const int fds[3]) {
  int pair[2], index = 0;
  while (index < POOL_MAX && g.sups[index].fd >= 0)
    index++;
  if (index == POOL_MAX)
    return EAGAIN;
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
  axo_packet_t head = p->head;
  pool[index] = (struct pool){.far = pair[1], .out = -1};
  g.sups[index] = (struct sup){.fd = pair[0], .pid = 2, .work = work_index(w)};
  CHECK(packet_relay(pair[0], p, fds, 3) == 0);
  if (!supervisor_takes(index, &head)) {
    pool_close(index);
    return EMFILE;
  }
  w->sup = index;
  return 0;
}

void sup_drain(const struct work *w) {
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_REQ_FORGET, 0, 0, 0};
  if (w->sup >= 0)
    CHECK(packet_send(g.sups[w->sup].fd, &head, NULL, NULL, 0) == 0);
}

bool sup_owns(pid_t pid) { return pid == 2; }

void sup_abandon(int index) {
  int work = g.sups[index].work;
  CHECK(g.sups[index].fd >= 0);
  pool_close(index);
  work_sup_lost(&g.works[work]);
}

void sups_abandon(void) {
  for (int i = 0; i < POOL_MAX; i++)
    if (g.sups[i].fd >= 0)
      sup_abandon(i);
}

/* What a supervisor reports next, as supervise.c has it. */
static struct sup_report drawn_report(const struct work *w, struct pool *sup) {
  struct sup_report r = {.type = SUP_NOTHING, .idle = 1};
  uint8_t how = draw8(source);
  if (sup->phase == OVER)
    return r;
  if (sup->phase == STARTING && how & 1) {
    r.type = SUP_FAILED;
    r.failed = (axo_failed_t){AXO_STAGE_EXEC, ENOENT};
    return r;
  }
  if (sup->phase == STARTING && w->kind != AXO_KIND_EXEC) {
    sup->phase = RUNNING;
    return (struct sup_report){.type = SUP_SPAWNED, .pid = 7};
  }
  sup->phase = OVER;
  r.type = SUP_EXITED;
  r.idle = how & 2;
  r.exited = (axo_exited_t){.code = 3};
  return r;
}

static void sup_reports(int index) {
  if (g.sups[index].fd < 0)
    return;
  struct work *w = &g.works[g.sups[index].work];
  struct sup_report r = drawn_report(w, &pool[index]);
  if (r.idle)
    pool_close(index);
  work_report(w, &r);
}

/* After its start it gets signals; or the word that its host reads no more of what a
 * command has left. */
static void sup_reads(int index) {
  struct packet p;
  while (g.sups[index].fd >= 0 && packet_receive(pool[index].far, &p) > 0) {
    if (p.head.type == AXO_REQ_FORGET)
      CHECK(p.fd_count == 0);
    else
      CHECK(p.head.type == AXO_REQ_SIGNAL && packet_is_request(&p));
    packet_release(&p);
  }
}

#endif /* FUZZ_GUEST_H */
