/* Links to hosts: each *.sock behind a door is one. The doors are mounted read-only, so
 * only a host can put a socket there. */
#include "guest.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SUFFIX ".sock"
/* A host that is busy, or flooded by others, takes a moment to accept: some 3 s. */
#define SCANS_MAX 20
#define SCAN_MS 5
#define SCAN_MS_MAX 160
#define TURNS 16

static uint64_t scan_due;
static unsigned scans;
static bool was_full; /* a host found no slot */

void links_init(void) {
  for (int i = 0; i < LINKS_MAX; i++)
    g.links[i].fd = g.links[i].owed.fd = -1;
}

/* ---- finding hosts --------------------------------------------------------------- */

static bool is_socket_name(const char *name) {
  size_t len = strlen(name);
  size_t suffix = sizeof SUFFIX - 1;
  return len > suffix && len <= SOCKET_NAME_MAX && name[0] != '.' &&
         strcmp(name + len - suffix, SUFFIX) == 0;
}

static int free_slot(void) {
  for (int i = 0; i < LINKS_MAX; i++)
    if (g.links[i].fd < 0)
      return i;
  return -1;
}

static bool is_known(const char *name) {
  for (int i = 0; i < LINKS_MAX; i++)
    if (g.links[i].fd >= 0 && strcmp(g.links[i].name, name) == 0)
      return true;
  return false;
}

static void scan_later(unsigned ms) {
  scan_due = now_ms() + ms;
  wake_at(scan_due);
}

static int open_socket(int door, const char *name) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  door_path(at.sun_path, door, name);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
    return fd;
  /* Refused: the socket of a host that has died. */
  if ((fd < 0 || errno == EAGAIN) && scans < SCANS_MAX) {
    unsigned ms = SCAN_MS << (scans < 5 ? scans : 5);
    scan_later(ms < SCAN_MS_MAX ? ms : SCAN_MS_MAX);
  }
  if (fd >= 0)
    close(fd);
  return -1;
}

static void hello(int index) {
  axo_hello_t body = {.pid = (uint32_t)g.self, .uid = (uint32_t)geteuid()};
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_HELLO, 0, sizeof body,
                       AXO_KNOWS_ROOT | AXO_KNOWS_STDIN | AXO_KNOWS_SOCKET |
                           AXO_KNOWS_OWNER};
  if (link_tell(index, &head, &body, NULL, 0))
    return;
  link_drop(index);
  if (scans < SCANS_MAX)
    scan_later(RETRY_MS);
}

static void link_open(int door, const char *name) {
  if (!is_socket_name(name) || is_known(name))
    return;
  int index = free_slot();
  if (index < 0) {
    was_full = true;
    return;
  }
  int fd = open_socket(door, name);
  if (fd < 0)
    return;
  g.links[index] = (struct link){.fd = fd, .owed.fd = -1};
  strcpy(g.links[index].name, name);
  watch(fd, WATCH_LINK, index, EPOLLIN);
  work_link_new(index);
  hello(index);
}

void links_scan(void) { doors_list(link_open); }

void links_news(void) {
  scans = 0;
  links_scan();
}

/* ---- one link -------------------------------------------------------------------- */

void link_drop(int index) {
  struct link *link = &g.links[index];
  if (link->fd < 0)
    return;
  unwatch(link->fd);
  close(link->fd);
  if (link->owed.fd >= 0)
    close(link->owed.fd);
  *link = (struct link){.fd = -1, .owed.fd = -1};
  kill_all_forget(index);
  work_link_gone(index);
  if (was_full) {
    was_full = false;
    scan_later(0);
  }
}

static void receive(int index) {
  const struct link *link = &g.links[index];
  struct packet p;
  /* A few at a time, so that one host does not starve the others, and of what may take
   * long one. */
  for (int i = 0; i < TURNS && link->fd >= 0 && !link->blocked; i++) {
    int got = packet_receive(link->fd, &p);
    if (got == 0)
      return;
    bool good = got > 0 && request_handle(index, &p);
    if (got > 0)
      packet_release(&p);
    if (!good) {
      link_drop(index);
      return;
    }
    if (p.head.type == AXO_REQ_OWNER)
      return;
  }
}

/* The host reads again: what it is owed, then all that has happened meanwhile. */
static void unblock(int index) {
  struct link *link = &g.links[index];
  link->blocked = false;
  link->retry = 0;
  watch(link->fd, WATCH_LINK, index, EPOLLIN);
  link_pay(index);
  if (!link->blocked)
    kill_all_flush(index);
  if (!link->blocked)
    work_tell_link(index);
}

void link_ready(int index, uint32_t events) {
  const struct link *link = &g.links[index];
  if (link->fd < 0)
    return;
  if (link->blocked && events & (EPOLLHUP | EPOLLERR)) {
    link_drop(index);
    return;
  }
  if (link->blocked && events & EPOLLOUT)
    unblock(index);
  receive(index);
}

uint64_t links_due(uint64_t now) {
  uint64_t due = 0;
  for (int i = 0; i < LINKS_MAX; i++) {
    if (g.links[i].fd >= 0 && g.links[i].retry && g.links[i].retry <= now)
      unblock(i);
    due = sooner(due, g.links[i].retry);
  }
  if (scan_due && scan_due <= now) {
    scan_due = 0;
    scans++;
    links_scan();
  }
  return sooner(due, scan_due);
}
