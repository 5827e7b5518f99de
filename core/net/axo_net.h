/* axo_net.h: connections that are taken in and passed on; included by axo.h, whose
 * conventions hold. Linux.
 *
 * A listener takes connections in from a socket of any network namespace. Each is held
 * until somebody says where it leads (axo_net_conn_dial) or ends it; then bytes are
 * passed both ways until both ends are through. Nothing here decides.
 */
#ifndef AXO_NET_H
#define AXO_NET_H

#include "axo.h"

#include "axo_diag.h"
#include "axo_dns.h"

/* ---- addresses and sockets (socket.c) -------------------------------------------- */

/* An IPv4 or IPv6 address as text, and a port. */
typedef struct axo_net_address {
  char address[AXO_ADDRESS_MAX];
  uint16_t port;
} axo_net_address_t;

/* Binds a socket of this or another namespace to `address` (a literal of the socket's
 * family) and `port` (0: the kernel chooses); one for streams listens, too, and may
 * take a port over whose old connections are still in TIME_WAIT. A datagram socket
 * never gets SO_REUSEADDR: somebody else could then bind the same port and take what
 * comes. `bound` gets the port. The socket becomes non-blocking and close-on-exec, and
 * stays the caller's. UV_EADDRINUSE, UV_EADDRNOTAVAIL, UV_EACCES, UV_EINVAL ... */
AXO_EXTERN int axo_net_bind(int fd, const char *address, uint16_t port, uint16_t *bound,
                            axo_err_t *err);
/* Closes a socket, and waits for nothing: who shares it, a guest, may have asked for
 * close() to wait until all is sent. */
AXO_EXTERN void axo_net_close(int fd);
/* A listening TCP socket of this process's namespace, which is the caller's. */
AXO_EXTERN int axo_net_listen(const char *address, uint16_t port, int *fd,
                              uint16_t *bound, axo_err_t *err);

/* ---- the name in a TLS ClientHello (sni.c) --------------------------------------- */

/* The longest that is looked at, in bytes of the stream. Hellos with post-quantum keys
 * have some 2,000. */
#define AXO_NET_HELLO_MAX 16384
#define AXO_NET_NAME_MAX 254

typedef enum axo_net_hello {
  AXO_NET_HELLO_MORE,  /* nothing is known yet: `need` bytes, at least, say more */
  AXO_NET_HELLO_OTHER, /* what no server takes for TLS */
  AXO_NET_HELLO_TLS,   /* a ClientHello; without a server name, `name` is "" */
  /* What a server may take for the beginning of TLS, and that is not well-formed here,
   * or too long: whom it names cannot be told. */
  AXO_NET_HELLO_UNREADABLE
} axo_net_hello_t;

/* Reads the first bytes that a client sent. Pure; looks at each byte once. `name` gets
 * the server name in lower case: letters, digits, '-', '_' and '.', at most 253, and
 * nothing else is taken for well-formed. `need` is more than `len` and at most
 * AXO_NET_HELLO_MAX. */
AXO_EXTERN axo_net_hello_t axo_net_hello_read(const void *bytes, size_t len,
                                              char name[AXO_NET_NAME_MAX],
                                              size_t *need);

/* ---- listeners (listener.c) ------------------------------------------------------ */

typedef struct axo_net_listener axo_net_listener_t;
typedef struct axo_net_conn axo_net_conn_t;

#define AXO_NET_CONNS_DEFAULT 1024
#define AXO_NET_CONNS_MAX 65536
#define AXO_NET_PIPES_DEFAULT 64
#define AXO_NET_PIPES_MAX 1024

typedef struct axo_net_listener_options {
  int fd; /* a listening socket; the listener's from a successful call on */
  /* Connections at once; 0 is AXO_NET_CONNS_DEFAULT. More wait in the kernel's queue
   * until one ends. */
  unsigned max;
  /* Pipes at once, two descriptors each; 0 is AXO_NET_PIPES_DEFAULT. */
  unsigned pipes;
  void *data;
  /* One has come. It is held, and read by nobody, until axo_net_conn_dial; whoever has
   * no use for it closes or resets it. */
  void (*on_connection)(axo_net_listener_t *listener, axo_net_conn_t *conn);
  /* This process may have no more descriptors (UV_EMFILE, UV_ENFILE): connections are
   * reset as they come. Told when it begins, and again only after one could be taken.
   * May be NULL. */
  void (*on_refusal)(axo_net_listener_t *listener, const axo_err_t *why);
  /* The connection is no more: its pointer is not to be used again. The last that is
   * heard of each, whatever ended it. It may be called from axo_net_listener_close and
   * from within axo_net_conn_close and _reset: no function of this header may be called
   * in it but axo_net_conn_data and axo_net_conn_traffic. May be NULL. */
  void (*on_gone)(axo_net_conn_t *conn);
} axo_net_listener_options_t;

/* Begins to take connections in. Neither the listening nor a connection that is passed
 * on keeps the loop running; axo_net_conn_hello and axo_net_conn_dial do until they
 * call back. Memory is bounded by `max` connections, `pipes` of 256 KiB, and 32 KiB for
 * each connection whose ends take nothing. */
AXO_EXTERN int axo_net_listener_open(uv_loop_t *loop,
                                     const axo_net_listener_options_t *options,
                                     axo_net_listener_t **out, axo_err_t *err);
AXO_EXTERN void *axo_net_listener_data(const axo_net_listener_t *listener);
/* Closes the socket and resets all its connections; no callback fires any more but
 * on_gone. Also inside a callback. */
AXO_EXTERN void axo_net_listener_close(axo_net_listener_t *listener);

typedef struct axo_net_counts {
  unsigned conns; /* now */
  unsigned pipes; /* that are open now, in use or not */
  uint64_t wakes; /* how often the loop came here: none while nothing moves */
} axo_net_counts_t;
AXO_EXTERN axo_net_counts_t axo_net_listener_counts(const axo_net_listener_t *listener);

/* ---- connections (conn.c, hello.c, dial.c, pump.c) ------------------------------- */

AXO_EXTERN void axo_net_conn_set_data(axo_net_conn_t *conn, void *data);
AXO_EXTERN void *axo_net_conn_data(const axo_net_conn_t *conn);
/* Where the client meant to go: what it dialled before netfilter redirected it
 * (SO_ORIGINAL_DST), else the address it was taken in at. */
AXO_EXTERN int axo_net_conn_destination(const axo_net_conn_t *conn,
                                        axo_net_address_t *out);
/* Where it comes from. */
AXO_EXTERN int axo_net_conn_peer(const axo_net_conn_t *conn, axo_net_address_t *out);

/* Bytes that the other end has taken of the client's, and the client of its. */
typedef struct axo_net_traffic {
  uint64_t sent;
  uint64_t received;
} axo_net_traffic_t;
AXO_EXTERN axo_net_traffic_t axo_net_conn_traffic(const axo_net_conn_t *conn);

/* `kind` is AXO_NET_HELLO_OTHER, _TLS or _UNREADABLE, and `name` NULL when there is
 * none; with `err`, neither is known. Borrowed for the callback. */
typedef void (*axo_net_hello_cb)(axo_net_conn_t *conn, const axo_err_t *err,
                                 axo_net_hello_t kind, const char *name);
/* Waits until it is known whether the client speaks TLS, and to whom. Takes nothing
 * from the stream. `cb` is called once: UV_ETIMEDOUT after `timeout_ms` (0 is 10,000),
 * UV_ECONNRESET and the like when the client has gone. Only before a dial and one at a
 * time: UV_EBUSY; UV_ENOTCONN: it has ended. */
AXO_EXTERN int axo_net_conn_hello(axo_net_conn_t *conn, uint64_t timeout_ms,
                                  axo_net_hello_cb cb, axo_err_t *err);

typedef struct axo_net_result {
  axo_net_traffic_t traffic;
  uint64_t duration_us; /* since it was open */
  const axo_err_t *err; /* NULL: both ends are through. Borrowed for the callback */
} axo_net_result_t;

typedef struct axo_net_dial {
  const char *address; /* a literal */
  uint16_t port;       /* not 0 */
  /* A TCP socket of another namespace to do it with, which is the connection's from the
   * call on, whatever comes of it; -1 is one of this process's. */
  int fd;
  uint64_t timeout_ms; /* 0 is 30,000 */
  /* Once: it leads there (err NULL), or it does not, and may be dialled again unless it
   * is the client who has gone. UV_ECONNABORTED: the listener has all the connections
   * that it may have, and this client had sent its end, after which it may wait for an
   * answer or not. */
  void (*on_open)(axo_net_conn_t *conn, const axo_err_t *err);
  /* Once after an on_open without err: both ends are through, or one of them has reset
   * it, which the other then sees, too. May be NULL. */
  void (*on_close)(axo_net_conn_t *conn, const axo_net_result_t *result);
} axo_net_dial_t;

/* Connects to where it leads, and then passes on what comes. A half that ends is passed
 * on as such, a reset as a reset; urgent data is not told from other. UV_EINVAL: what
 * is no address; UV_EBUSY, UV_ENOTCONN as above. All that the network says comes to
 * on_open. */
AXO_EXTERN int axo_net_conn_dial(axo_net_conn_t *conn, const axo_net_dial_t *dial,
                                 axo_err_t *err);

/* Ends it in either of two ways, at once: both ends see an end, or both a reset. No
 * callback fires any more but on_gone. */
AXO_EXTERN void axo_net_conn_close(axo_net_conn_t *conn);
AXO_EXTERN void axo_net_conn_reset(axo_net_conn_t *conn);

#endif /* AXO_NET_H */
