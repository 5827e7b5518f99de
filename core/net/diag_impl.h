/* The insides of a diag, and how what the kernel says is read. */
#ifndef AXO_DIAG_IMPL_H
#define AXO_DIAG_IMPL_H

#include "base/internal.h"

/* The kernel fills no larger buffer (SKB_WITH_OVERHEAD(32768) in af_netlink.c). */
#define AXO__DIAG_BUFFER 32768

struct axo_diag {
  uv_poll_t poll;
  axo_diag_cb cb;
  void *data;
  int fd;
  uint32_t sequence;
  bool is_watching;
  bool is_closed;
  union {
    uint8_t bytes[AXO__DIAG_BUFFER];
    uint64_t align;
  } buffer;
};

/* One message of the kernel's. */
typedef struct axo__diag_message {
  enum { DIAG_SOCKET, DIAG_DONE, DIAG_ERROR, DIAG_OTHER } kind;
  uint32_t sequence;
  int error; /* DIAG_ERROR: UV_E* */
  axo_diag_socket_t socket;
} axo__diag_message_t;

typedef struct axo__diag_bytes {
  const uint8_t *at;
  size_t left;
} axo__diag_bytes_t;

/* Takes the next message. 1; 0 at the end; UV_EPROTO for what is cut or no message. */
int axo__diag_next(axo__diag_bytes_t *in, axo__diag_message_t *out);

/* Receives one datagram of the kernel's into the diag's buffer without waiting.
 * UV_EAGAIN: there is none; UV_EPROTO: somebody else's, or cut; UV_ENOBUFS: some were
 * lost. */
int axo__diag_receive(axo_diag_t *diag, axo__diag_bytes_t *out);

#endif /* AXO_DIAG_IMPL_H */
