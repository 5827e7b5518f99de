/* Output of tasks and terminals: from a pipe or a master straight into a ring that the
 * host has mapped. */
#include "../ring_layout.h"
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

/* One wake's worth, so that a noisy task does not starve the rest. */
#define BUDGET (256 * 1024)
#define CHUNK (64 * 1024)

static axo__ring_header_t *header(const struct ring *r) {
  return (axo__ring_header_t *)r->map;
}

static size_t round_up(size_t wanted) {
  size_t size = 4096;
  while (size < wanted && size < AXO_RING_LIMIT)
    size *= 2;
  return size;
}

/* Sealed: the host maps it knowing that nobody can cut it or write to it anew. */
static int ring_open(struct ring *r, uint32_t wanted) {
  r->capacity = round_up(wanted ? wanted : RING_DEFAULT);
  size_t size = AXO__RING_HEADER_SIZE + r->capacity;
  r->fd = (int)syscall(SYS_memfd_create, "axo-ring", 3U /* CLOEXEC | ALLOW_SEALING */);
  if (r->fd < 0 || ftruncate(r->fd, (off_t)size))
    return -1;
  void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
  if (map == MAP_FAILED)
    return -1;
  r->map = map;
  /* Supervisors must not keep it alive after it is forgotten. */
  madvise(map, size, MADV_DONTFORK);
  axo__ring_header_t *h = header(r);
  h->version = AXO__RING_VERSION;
  h->header_size = AXO__RING_HEADER_SIZE;
  h->capacity = r->capacity;
  h->magic = AXO__RING_MAGIC;
  int seals = F_SEAL_SHRINK | F_SEAL_GROW;
  if (fcntl(r->fd, F_ADD_SEALS, seals | 0x10 /* FUTURE_WRITE, Linux 5.1 */))
    fcntl(r->fd, F_ADD_SEALS, seals);
  fcntl(r->fd, F_ADD_SEALS, F_SEAL_SEAL);
  return 0;
}

static int terminal_open(struct work *w) {
  struct winsize size = {.ws_row = w->rows, .ws_col = w->cols};
  int unlock = 0;
  w->out_fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (w->out_fd < 0 || ioctl(w->out_fd, TIOCSPTLCK, &unlock))
    return -1;
  /* O_CLOEXEC would stay among the flags that commands see. */
  w->slave_fd = ioctl(w->out_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY);
  if (w->slave_fd < 0 || ioctl(w->out_fd, TIOCSWINSZ, &size))
    return -1;
  return fcntl(w->slave_fd, F_SETFD, FD_CLOEXEC);
}

static int pipe_open(struct work *w) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC))
    return -1;
  w->out_fd = ends[0];
  w->slave_fd = ends[1];
  return fcntl(ends[0], F_SETFL, O_NONBLOCK);
}

int pump_open(struct work *w, uint32_t wanted) {
  if (ring_open(&w->ring, wanted))
    return AXO_STAGE_RING;
  int failed = w->kind == AXO_KIND_TERMINAL ? terminal_open(w) : pipe_open(w);
  if (failed)
    return w->kind == AXO_KIND_TERMINAL ? AXO_STAGE_TERMINAL : AXO_STAGE_FORK;
  w->output_open = true;
  watch(w->out_fd, WATCH_OUTPUT, work_index(w), EPOLLIN);
  return 0;
}

static void end_output(struct work *w) {
  unwatch(w->out_fd);
  close(w->out_fd);
  w->out_fd = -1;
  w->output_open = false;
}

void pump_close(struct work *w) {
  if (w->out_fd >= 0) {
    unwatch(w->out_fd);
    close(w->out_fd);
  }
  if (w->ring.map)
    munmap(w->ring.map, AXO__RING_HEADER_SIZE + w->ring.capacity);
  if (w->ring.fd >= 0)
    close(w->ring.fd);
  w->out_fd = w->ring.fd = -1;
  w->ring.map = NULL;
}

void pump_bell(struct work *w) {
  uint64_t one = 1;
  for (int i = 0; i < SUBS_MAX; i++)
    if (w->subs[i].link >= 0 && w->subs[i].bell >= 0)
      (void)!write(w->subs[i].bell, &one, sizeof one); /* full means: already rung */
}

/* Announces which old bytes are about to go, replaces them, publishes the new: the
 * steps of ring_layout.h. At most a quarter at a time, so that readers keep the rest.
 */
static void ring_write(struct ring *r, const unsigned char *bytes, size_t len) {
  axo__ring_header_t *h = header(r);
  uint64_t head = r->head;
  while (len) {
    size_t piece = len < r->capacity / 4 ? len : r->capacity / 4;
    size_t at = (size_t)(head & (r->capacity - 1));
    size_t first = piece < r->capacity - at ? piece : r->capacity - at;
    atomic_store_explicit(&h->reserved, head + piece, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    memcpy(r->map + AXO__RING_HEADER_SIZE + at, bytes, first);
    memcpy(r->map + AXO__RING_HEADER_SIZE, bytes + first, piece - first);
    head += piece;
    atomic_store_explicit(&h->head, head, memory_order_release);
    bytes += piece;
    len -= piece;
  }
  r->head = head;
}

static ssize_t pump_some(struct work *w) {
  static unsigned char buf[CHUNK];
  ssize_t n = read(w->out_fd, buf, sizeof buf);
  if (n > 0)
    ring_write(&w->ring, buf, (size_t)n);
  return n;
}

bool pump_ready(struct work *w) {
  size_t moved = 0;
  ssize_t n = 1;
  while (w->output_open && moved < BUDGET && (n = pump_some(w)) > 0)
    moved += (size_t)n;
  /* A terminal answers EIO when its last slave closes: that is its end. Asked before
   * the bell, which has an errno of its own. */
  bool is_over = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
  if (moved)
    pump_bell(w);
  if (is_over)
    end_output(w);
  return is_over;
}
