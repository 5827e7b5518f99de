/* fuzz.h: what the fuzz targets share: an input to draw from, descriptors of all kinds,
 * and a check that ends the process. */
#ifndef FUZZ_H
#define FUZZ_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                               \
  do {                                                                                 \
    if (!(condition)) {                                                                \
      fprintf(stderr, "%s:%d: this does not hold: %s\n", __FILE__, __LINE__,           \
              #condition);                                                             \
      abort();                                                                         \
    }                                                                                  \
  } while (0)

/* ---- the input ------------------------------------------------------------------- */

typedef struct input {
  const uint8_t *at;
  size_t left;
} input_t;

/* What is missing at the end of the input is zero. */
static inline void draw(input_t *in, void *out, size_t size) {
  size_t n = size < in->left ? size : in->left;
  memset(out, 0, size);
  if (n)
    memcpy(out, in->at, n);
  in->at += n;
  in->left -= n;
}

static inline uint8_t draw8(input_t *in) {
  uint8_t value;
  draw(in, &value, sizeof value);
  return value;
}

static inline uint16_t draw16(input_t *in) {
  uint16_t value;
  draw(in, &value, sizeof value);
  return value;
}

static inline uint32_t draw32(input_t *in) {
  uint32_t value;
  draw(in, &value, sizeof value);
  return value;
}

static inline uint64_t draw64(input_t *in) {
  uint64_t value;
  draw(in, &value, sizeof value);
  return value;
}

/* At most `max` of the bytes that are left, in place. */
static inline input_t draw_part(input_t *in, size_t max) {
  input_t part = {in->at, max < in->left ? max : in->left};
  in->at += part.left;
  in->left -= part.left;
  return part;
}

/* ---- descriptors ----------------------------------------------------------------- */

#define FUZZ_FDS 96

/* Which descriptors are open: an input leaves none. To be asked before each, since
 * libFuzzer opens some of its own. */
static inline void fds_note(bool open_now[FUZZ_FDS]) {
  struct pollfd all[FUZZ_FDS];
  for (int fd = 0; fd < FUZZ_FDS; fd++)
    all[fd] = (struct pollfd){.fd = fd};
  CHECK(poll(all, FUZZ_FDS, 0) >= 0);
  for (int fd = 0; fd < FUZZ_FDS; fd++)
    open_now[fd] = !(all[fd].revents & POLLNVAL);
}

static inline void fds_check(const bool before[FUZZ_FDS]) {
  bool open_now[FUZZ_FDS];
  char path[32], target[128] = "";
  fds_note(open_now);
  for (int fd = 0; fd < FUZZ_FDS; fd++)
    if (open_now[fd] != before[fd]) {
      snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
      (void)!readlink(path, target, sizeof target - 1);
      fprintf(stderr, "descriptor %d (%s) was %s\n", fd, target,
              before[fd] ? "closed" : "left open");
      abort();
    }
}

/* From now on only `more` descriptors can be opened here; SIZE_MAX lifts that. */
static inline void fds_allow(size_t more) {
  static struct rlimit usual;
  if (usual.rlim_cur == 0)
    CHECK(getrlimit(RLIMIT_NOFILE, &usual) == 0);
  struct rlimit limit = usual;
  if (more != SIZE_MAX) {
    int next = dup(0);
    CHECK(next >= 0);
    close(next);
    limit.rlim_cur = (rlim_t)next + more;
  }
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static inline int memory(const void *bytes, size_t len, int seals) {
  int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  CHECK(fd >= 0);
  CHECK(len == 0 || write(fd, bytes, len) == (ssize_t)len);
  CHECK(seals == 0 || fcntl(fd, F_ADD_SEALS, seals) == 0);
  return fd;
}

#define SEALED (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* ---- packets --------------------------------------------------------------------- */

#define SEND_FDS_MAX 8

/* Sends bytes and descriptors, whatever they are; false when the other side is full or
 * gone. */
static inline bool send_raw(int fd, const void *bytes, size_t len, const int *fds,
                            size_t count) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * SEND_FDS_MAX)];
  } control;
  struct iovec iov = {(void *)bytes, len};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
  CHECK(count <= SEND_FDS_MAX);
  if (count > 0) {
    memset(&control, 0, sizeof control);
    msg.msg_control = control.bytes;
    msg.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
  }
  return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

/* The linker puts this in recvmsg's place: what lies behind a packet in its buffer must
 * not be looked at, though it may be read. */
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *msg, int flags);

ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags) {
  char *buf = msg->msg_iov->iov_base;
  size_t size = msg->msg_iov->iov_len;
  ASAN_UNPOISON_MEMORY_REGION(buf, size);
  ssize_t n = __real_recvmsg(fd, msg, flags);
  if (n >= 0)
    ASAN_POISON_MEMORY_REGION(buf + n, size - (size_t)n);
  return n;
}

#endif /* FUZZ_H */
