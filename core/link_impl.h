/* link_impl.h: the inside of the host's end of a link, shared by link*.c alone. */
#ifndef AXO_LINK_IMPL_H
#define AXO_LINK_IMPL_H

#include "internal.h"
#include "protocol.h"

/* How many requests and pieces of work one link carries at once. */
#define AXO__CALLS_MAX 4096

/* A packet from the guest, checked: the right version, a known type, as many bytes and
 * descriptors as its type has. */
typedef struct axo__packet {
  axo_packet_t head;
  const void *body;     /* in the packet, or mapped */
  int fds[AXO_FDS_MAX]; /* the receiver takes what it keeps by setting it to -1 */
  int fd_count;
} axo__packet_t;

/* Something that the guest answers. `on_packet` is called for each packet that carries
 * its id, and with NULL when the link has gone: then, and after axo__call_end, never
 * again. */
typedef struct axo__call {
  uint64_t id; /* 0: not in flight */
  axo_link_t *link;
  bool holds;
  void (*on_packet)(struct axo__call *call, axo__packet_t *packet);
} axo__call_t;

/* What is sent: a request's body, and descriptors that stay the caller's. */
typedef struct axo__message {
  uint8_t type;
  const void *body;
  size_t len;
  const int *fds;
  int fd_count;
} axo__message_t;

/* Sends a request of `call`. UV_ENOTCONN before the guest is there, UV_EMFILE when too
 * much is in flight. */
int axo__link_send(axo_link_t *link, axo__call_t *call, const axo__message_t *message);
/* Whether the call keeps the loop running while it is in flight; not at first. */
void axo__call_hold(axo__call_t *call, bool hold);
/* Forgets the call: answers that still come are dropped. */
void axo__call_end(axo__call_t *call);

/* packet.c */
int axo__packet_send(int fd, const axo_packet_t *head, const void *body, const int *fds,
                     int fd_count);
/* 1: a packet; 0: nothing now; negative: the link is over, `err` says why. */
int axo__packet_receive(int fd, void *buf, size_t size, axo__packet_t *out,
                        axo_err_t *err);
void axo__packet_release(axo__packet_t *packet);

uv_loop_t *axo__link_loop(const axo_link_t *link);
void axo__link_fail(axo_link_t *link, int code, const char *message);

#endif /* AXO_LINK_IMPL_H */
