/* axo_diag.h: which sockets there are in a network namespace, by NETLINK_SOCK_DIAG.
 * Part of axo_net.h.
 */
#ifndef AXO_DIAG_H
#define AXO_DIAG_H

#include "axo.h"

#define AXO_ADDRESS_MAX 46 /* INET6_ADDRSTRLEN */

/* What is told of a socket. IPv4 in IPv6 (::ffff:...) is told as IPv4. */
typedef struct axo_diag_socket {
  char address[AXO_ADDRESS_MAX]; /* own */
  char peer[AXO_ADDRESS_MAX];    /* unspecified without one */
  uint16_t port, peer_port;
  uint32_t inode; /* 0: of no descriptor any more, and in a destroyed one */
  uint32_t uid;   /* as the user namespace of the descriptor's maker numbers it */
  int protocol;   /* IPPROTO_TCP, IPPROTO_UDP; 0 where the kernel does not say */
  bool ipv6_only; /* one that listens on IPv6 and takes no IPv4 */
} axo_diag_socket_t;

typedef struct axo_endpoint {
  const char *address; /* IPv4 or IPv6, in digits */
  uint16_t port;
} axo_endpoint_t;

typedef struct axo_diag axo_diag_t;

/* Of `fd`, a socket of NETLINK_SOCK_DIAG, which tells of the namespace that it was made
 * in. It belongs to the diag on success only. UV_EINVAL: another kind of descriptor. */
AXO_EXTERN int axo_diag_open(int fd, axo_diag_t **out, axo_err_t *err);

/* The sockets below wait for nothing: the kernel answers while it is asked. They fail
 * with UV_EPROTO when the answer is cut or somebody else's, UV_EBUSY when the diag
 * watches (axo_diag_watch): have another for questions. */

/* How many sockets of a listing are read at all; of more it is UV_E2BIG. */
#define AXO_DIAG_SOCKETS_MAX 65536

/* The TCP sockets that listen, of IPv4 and then of IPv6: the first `max` in `out`, and
 * in `*count` how many there are. */
AXO_EXTERN int axo_diag_listening(axo_diag_t *diag, axo_diag_socket_t *out, size_t max,
                                  size_t *count, axo_err_t *err);

/* The socket of `own` and `peer`, as it is seen from its owner: `own` is where it is
 * bound. `protocol`: IPPROTO_TCP or IPPROTO_UDP. Without `peer` a TCP socket is one
 * that listens there, and a UDP socket whichever has the port. A UDP socket that is
 * found by its port alone, because it is connected to nobody, or elsewhere, must be the
 * only one. UV_ENOENT: none; UV_EINVAL: an address that is none, or two of different
 * families. */
AXO_EXTERN int axo_diag_find(axo_diag_t *diag, int protocol, const axo_endpoint_t *own,
                             const axo_endpoint_t *peer, axo_diag_socket_t *out,
                             axo_err_t *err);

/* A socket without a peer has ended: one that listened, or of UDP. NULL: some have that
 * could not be told, since they were too many at a time. */
typedef void (*axo_diag_cb)(void *data, const axo_diag_socket_t *socket);

/* Calls `cb` for each socket of `protocol` (IPPROTO_TCP, IPPROTO_UDP; 0: of both) that
 * ends from now on. Those with a peer the kernel drops before they wake anybody. Does
 * not keep the loop running. Once only: UV_EBUSY. */
AXO_EXTERN int axo_diag_watch(axo_diag_t *diag, uv_loop_t *loop, int protocol,
                              axo_diag_cb cb, void *data, axo_err_t *err);

/* Closes the descriptor. Also inside `cb`, which is not called any more. NULL is
 * nothing. */
AXO_EXTERN void axo_diag_close(axo_diag_t *diag);

#endif /* AXO_DIAG_H */
