/* link_support.h: the other side of a link, written by the test: it may say anything.
 */
#ifndef LINK_SUPPORT_H
#define LINK_SUPPORT_H

#include "link/link_impl.h"
#include "own_fds.h"
#include "send_raw.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct event {
  uint8_t type;
  uint64_t id;
  const void *body;
  size_t len;
  const int *fds;
  int fd_count;
  uint16_t flags;
} event_t;

static inline int send_event(int fd, const event_t *ev) {
  char buf[512];
  axo_packet_t head = {AXO_PROTO_VERSION, ev->type, ev->flags, (uint32_t)ev->len,
                       ev->id};
  size_t here = ev->flags & AXO_FLAG_MEMFD ? 0 : ev->len;
  memcpy(buf, &head, sizeof head);
  if (here)
    memcpy(buf + sizeof head, ev->body, here);
  return send_raw(fd, buf, sizeof head + here, ev->fds, ev->fd_count);
}

/* A memfd of this many bytes, with these seals. */
static inline int memory(size_t size, int seals) {
  int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  assert_true(fd >= 0);
  assert_int_equal(ftruncate(fd, (off_t)size), 0);
  if (seals)
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
  return fd;
}

#define SEALED (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

#endif /* LINK_SUPPORT_H */
