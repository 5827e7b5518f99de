#include "base/internal.h"
#include "ring_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often a read starts over because the writer overtook all of it. */
#define READ_ATTEMPTS 4
/* Bytes after which a reader lets go of the pages that it has read. */
#define GIVE_BACK UINT64_C(16384)

struct axo_ring {
  axo__ring_header_t *header;
  char *data;
  size_t capacity; /* checked once; the copy in the header is never looked at again */
  size_t mapped;
  uint64_t written; /* the writer's own head */
  int bell;
  bool writable;
};

static size_t min_size(uint64_t a, uint64_t b) { return (size_t)(a < b ? a : b); }

static bool is_capacity(uint64_t n) {
  return n >= AXO__RING_CAPACITY_MIN && n <= AXO_RING_MAX && (n & (n - 1)) == 0;
}

static size_t round_up(size_t capacity) {
  size_t n = AXO__RING_CAPACITY_MIN;
  while (n < capacity)
    n *= 2;
  return n;
}

/* Maps `size` bytes of `fd` (-1: anonymous memory). NULL, and the code in `rc`. */
static axo_ring_t *ring_map(int fd, size_t size, bool writable, int *rc) {
  *rc = UV_ENOMEM;
  axo_ring_t *ring = calloc(1, sizeof *ring);
  if (!ring)
    return NULL;
  int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
  void *base = mmap(NULL, size, protection, flags, fd, 0);
  if (base == MAP_FAILED) {
    *rc = uv_translate_sys_error(errno);
    free(ring);
    return NULL;
  }
  ring->header = base;
  ring->data = (char *)base + AXO__RING_HEADER_SIZE;
  ring->capacity = size - AXO__RING_HEADER_SIZE;
  ring->mapped = size;
  ring->bell = -1;
  ring->writable = writable;
  *rc = 0;
  return ring;
}

static void ring_format(axo_ring_t *ring) {
  axo__ring_header_t *header = ring->header;
  header->version = AXO__RING_VERSION;
  header->header_size = AXO__RING_HEADER_SIZE;
  header->capacity = ring->capacity;
  atomic_init(&header->reserved, 0);
  atomic_init(&header->head, 0);
  atomic_thread_fence(memory_order_release);
  header->magic = AXO__RING_MAGIC;
}

int axo_ring_new(size_t capacity, axo_ring_t **out) {
  if (capacity > AXO_RING_MAX)
    return UV_EINVAL;
  int rc;
  *out = ring_map(-1, AXO__RING_HEADER_SIZE + round_up(capacity), true, &rc);
  if (*out)
    ring_format(*out);
  return rc;
}

/* Storage is reserved now: a store into a mapped hole of a full file system is SIGBUS.
 */
static int file_allocate(int fd, size_t size) {
  if (ftruncate(fd, 0) != 0 || ftruncate(fd, (off_t)size) != 0) {
    return uv_translate_sys_error(errno);
  }
#ifdef __APPLE__
  char zeros[4096] = {0};
  for (size_t at = 0; at < size; at += sizeof zeros) {
    ssize_t n = pwrite(fd, zeros, min_size(sizeof zeros, size - at), (off_t)at);
    if (n < 0)
      return uv_translate_sys_error(errno);
  }
  return 0;
#else
  int error;
  do {
    error = posix_fallocate(fd, 0, (off_t)size);
  } while (error == EINTR);
  return error ? uv_translate_sys_error(error) : 0;
#endif
}

int axo_ring_create_fd(int fd, size_t capacity, bool bell, axo_ring_t **out,
                       axo_err_t *err) {
  static const char op[] = "create ring";
  if (capacity > AXO_RING_MAX) {
    return axo__err_set(err, UV_EINVAL, op, NULL, "a ring holds at most %zu bytes",
                        AXO_RING_MAX);
  }
  size_t size = AXO__RING_HEADER_SIZE + round_up(capacity);
  int rc = file_allocate(fd, size);
  axo_ring_t *ring = rc == 0 ? ring_map(fd, size, true, &rc) : NULL;
  if (ring && bell) {
    ring->bell = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (ring->bell < 0)
      rc = uv_translate_sys_error(errno);
  }
  if (!ring || rc != 0) {
    axo_ring_free(ring);
    return axo__err_code(err, rc, op, "cannot make a ring of %zu bytes", size);
  }
  ring_format(ring);
  *out = ring;
  return 0;
}

/* What is wrong with a header that somebody else wrote; NULL when it is a ring's. */
static const char *header_problem(const axo_ring_t *ring) {
  const axo__ring_header_t *header = ring->header;
  if (header->magic != AXO__RING_MAGIC)
    return "it is not a ring";
  atomic_thread_fence(memory_order_acquire);
  if (header->version != AXO__RING_VERSION)
    return "it is a ring of another version";
  if (header->header_size != AXO__RING_HEADER_SIZE)
    return "its header size is wrong";
  if (header->capacity != ring->capacity)
    return "its capacity does not fit its size";
  return NULL;
}

int axo_ring_open_fd(int fd, axo_ring_t **out, axo_err_t *err) {
  static const char op[] = "open ring";
  struct stat st;
  if (fstat(fd, &st) != 0) {
    int rc = uv_translate_sys_error(errno);
    return axo__err_code(err, rc, op, "cannot stat it");
  }
  if (!S_ISREG(st.st_mode) || st.st_size < (off_t)AXO__RING_HEADER_SIZE ||
      !is_capacity((uint64_t)st.st_size - AXO__RING_HEADER_SIZE)) {
    return axo__err_set(err, UV_EINVAL, op, NULL, "it has not the size of a ring");
  }
  int rc;
  axo_ring_t *ring = ring_map(fd, (size_t)st.st_size, false, &rc);
  if (!ring) {
    return axo__err_code(err, rc, op, "cannot map it");
  }
  const char *problem = header_problem(ring);
  if (problem) {
    axo_ring_free(ring);
    return axo__err_set(err, UV_EINVAL, op, NULL, "%s", problem);
  }
  *out = ring;
  return 0;
}

void axo_ring_free(axo_ring_t *ring) {
  if (!ring)
    return;
  if (ring->bell >= 0)
    close(ring->bell);
  munmap(ring->header, ring->mapped);
  free(ring);
}

size_t axo_ring_capacity(const axo_ring_t *ring) { return ring->capacity; }

uint64_t axo_ring_head(const axo_ring_t *ring) {
  return atomic_load_explicit(&ring->header->head, memory_order_acquire);
}

/* The oldest offset that is intact, as of now, for somebody who saw `head`. Whatever
 * the header claims, the answer lies in [head - capacity, head]. */
static uint64_t oldest(const axo_ring_t *ring, uint64_t head) {
  uint64_t newest = atomic_load_explicit(&ring->header->reserved, memory_order_relaxed);
  if (newest < head)
    newest = head;
  uint64_t tail = newest > ring->capacity ? newest - ring->capacity : 0;
  return tail < head ? tail : head;
}

uint64_t axo_ring_tail(const axo_ring_t *ring) {
  return oldest(ring, axo_ring_head(ring));
}

static void copy_in(axo_ring_t *ring, uint64_t offset, const char *from, size_t len) {
  size_t at = (size_t)(offset & (ring->capacity - 1));
  size_t first = min_size(len, ring->capacity - at);
  memcpy(ring->data + at, from, first);
  memcpy(ring->data, from + first, len - first);
}

static void copy_out(const axo_ring_t *ring, uint64_t offset, char *to, size_t len) {
  size_t at = (size_t)(offset & (ring->capacity - 1));
  size_t first = min_size(len, ring->capacity - at);
  memcpy(to, ring->data + at, first);
  memcpy(to + first, ring->data, len - first);
}

int axo_ring_write(axo_ring_t *ring, const void *data, size_t len) {
  if (!ring->writable)
    return UV_EPERM;
  if (len == 0)
    return 0;
  axo__ring_header_t *header = ring->header;
  const char *from = data;
  /* In quarters, so that readers never lose the whole window to one write. */
  for (size_t left = len; left > 0;) {
    size_t piece = min_size(left, ring->capacity / 4);
    uint64_t next = ring->written + piece;
    atomic_store_explicit(&header->reserved, next, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    copy_in(ring, ring->written, from, piece);
    atomic_store_explicit(&header->head, next, memory_order_release);
    ring->written = next;
    from += piece;
    left -= piece;
  }
  if (ring->bell >= 0) {
    /* The bytes are there already; a bell that fails has nobody to be told. */
    ssize_t rung = pwrite(ring->bell, "", 1, (off_t)offsetof(axo__ring_header_t, bell));
    (void)rung;
  }
  return 0;
}

static size_t read_once(const axo_ring_t *ring, uint64_t head, uint64_t *cursor,
                        char *buf, size_t len, uint64_t *dropped) {
  uint64_t start = oldest(ring, head);
  if (start < *cursor)
    start = *cursor;
  size_t n = min_size(len, head - start);
  copy_out(ring, start, buf, n);
  atomic_thread_fence(memory_order_acquire);
  uint64_t safe = oldest(ring, head);
  size_t lost = safe > start ? min_size(safe - start, n) : 0;
  if (lost > 0)
    memmove(buf, buf + lost, n - lost);
  *dropped += start + lost - *cursor;
  *cursor = start + n;
  return n - lost;
}

/* Pages of somebody else's ring that were read would count as this process's for as
 * long as it is mapped: they are given back now and then. They stay where the writer
 * has them, and to map 64 KiB anew is one fault. */
static void give_back(const axo_ring_t *ring, uint64_t before, uint64_t after) {
  if (!ring->writable && before / GIVE_BACK != after / GIVE_BACK)
    madvise(ring->data, ring->capacity, MADV_DONTNEED);
}

static size_t read_some(const axo_ring_t *ring, uint64_t *cursor, void *buf, size_t len,
                        uint64_t *dropped) {
  for (int attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
    uint64_t head = axo_ring_head(ring);
    if (*cursor >= head) {
      *cursor = head;
      return 0;
    }
    size_t n = read_once(ring, head, cursor, buf, len, dropped);
    if (n > 0 || len == 0)
      return n;
  }
  return 0;
}

size_t axo_ring_read(const axo_ring_t *ring, uint64_t *cursor, void *buf, size_t len,
                     uint64_t *dropped) {
  uint64_t before = *cursor;
  size_t n = read_some(ring, cursor, buf, len, dropped);
  give_back(ring, before, *cursor);
  return n;
}
