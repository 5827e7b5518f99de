/* net_impl.h: the inside of listeners and their connections, shared by net/ alone. */
#ifndef AXO_NET_IMPL_H
#define AXO_NET_IMPL_H

#include "base/internal.h"

#include <sys/epoll.h>
#include <sys/socket.h>

/* ---- sockets (socket.c) ---------------------------------------------------------- */

/* UV_EINVAL for what is no literal; `len` gets the length of what was made of it. */
int axo__address_read(const char *address, uint16_t port, struct sockaddr_storage *out,
                      socklen_t *len);
int axo__socket_error(int fd);
/* Whether it ends on loopback: then so does the other end. */
bool axo__socket_is_local(int fd);
/* Closes it so that the other end sees a reset. */
void axo__socket_reset(int fd);
/* Makes one that was given non-blocking and close-on-exec. UV_E*. */
int axo__socket_make_ours(int fd);
/* Whether so many descriptors are in use, the last of which is `fd`, that connections
 * are to leave the rest to others. */
bool axo__fd_is_of_the_last(int fd);

/* ---- pipes (pipes.c) ------------------------------------------------------------- */

/* What goes through a pipe at a time, and what it holds where the user may have so
 * much; and what is copied at a time, where that is quicker, or there is no pipe. */
#define AXO__CHUNK ((size_t)256 * 1024)
#define AXO__COPY ((size_t)16 * 1024)

typedef struct axo__pipe {
  struct axo__pipe *next;
  int fds[2];
} axo__pipe_t;

typedef struct axo__pool {
  axo__pipe_t *idle;
  unsigned open, max;
} axo__pool_t;

void axo__pool_close(axo__pool_t *pool);
/* NULL: there is none, all are with those who wait, or none can be made. */
axo__pipe_t *axo__pool_lend(axo__pool_t *pool);
/* One that is not empty is closed: what is in it would come out at its next owner's. */
void axo__pool_return(axo__pool_t *pool, axo__pipe_t *pipe, bool is_empty);

/* ---- connections ----------------------------------------------------------------- */

/* What a connection waits for. */
typedef enum axo__state {
  AXO__HELD, /* for its owner */
  AXO__HELLO,
  AXO__DIALING,
  AXO__OPEN, /* for either end */
  AXO__ENDED
} axo__state_t;

typedef enum axo__end { AXO__CLIENT, AXO__REMOTE } axo__end_t;

/* Where a connection ends. It is watched for changes alone (EPOLLET), so that what does
 * not move wakes nobody: readiness is what was last heard of it. */
typedef struct axo__side {
  struct axo_net_conn *conn;
  int fd; /* -1: none */
  bool readable, writable;
  bool hung;   /* it will send no more: read on until the end */
  bool urgent; /* some byte was: until it is taken, what comes is read in parts */
} axo__side_t;

/* One way of a connection: what was read and not yet taken is either in a pipe, which
 * is lent while there is something, or in memory. */
typedef struct axo__flow {
  axo__pipe_t *pipe;
  size_t held; /* bytes in the pipe */
  char *copy;  /* NULL: none */
  size_t copy_at, copy_end;
  uint64_t total; /* that the receiver took */
  bool is_bulk;   /* it comes by more than AXO__COPY at a time */
  bool ended;     /* the sender is through */
  bool done;      /* and the receiver was told */
} axo__flow_t;

struct axo_net_conn {
  axo_net_listener_t *listener;
  struct axo_net_conn *next, *previous; /* of the listener's, or of those that ended */
  struct axo_net_conn *next_due;
  void *data;
  axo__state_t state;
  axo__side_t sides[2];
  axo__flow_t flows[2]; /* from sides[i] to the other */
  uint64_t deadline;    /* uv_now; 0: none */
  uint64_t opened_ns;
  int failed;   /* dial: what the clock is to say; 0: that time is up */
  int gone;     /* why the client has; 0: it has not */
  bool is_gone; /* its owner was told, or need not be */
  axo_net_address_t to;
  /* A side has changed; NULL: nobody waits for that. */
  void (*on_event)(struct axo_net_conn *conn, axo__side_t *side, uint32_t events);
  void (*on_deadline)(struct axo_net_conn *conn);
  axo_net_hello_cb on_hello;
  void (*on_open)(struct axo_net_conn *conn, const axo_err_t *err);
  void (*on_close)(struct axo_net_conn *conn, const axo_net_result_t *result);
};

struct axo_net_listener {
  axo_net_listener_options_t options;
  uv_loop_t *loop;
  uv_poll_t poll;     /* of epoll_fd */
  uv_timer_t clock;   /* runs while a connection has a deadline */
  uint64_t due;       /* when it fires; 0: it does not run */
  unsigned expecting; /* connections with a deadline */
  uv_timer_t rest;    /* runs while nothing is taken in for want of descriptors */
  int epoll_fd;
  int spare_fd; /* given up for a moment to take in what can only be refused */
  axo__pool_t pool;
  axo_net_conn_t *conns, *ended;
  axo_net_counts_t counts;
  unsigned handles;
  unsigned turns;    /* under way: connections that end are freed after them */
  bool is_listening; /* the socket is watched */
  bool refusing;     /* for want of descriptors */
  bool closed;
  void (*on_room)(axo_net_listener_t *listener); /* a connection has ended */
};

/* Each file calls those that come after its own here, and pipes.c and socket.c, which
 * are below all; pipes.c calls socket.c. */

/* dial.c, hello.c, listener.c: nobody's. */

/* pump.c */

/* Passes on what comes, from now on. In a turn. */
void axo__pump_start(axo_net_conn_t *conn);

/* conn.c */

/* Takes over `fd`; NULL, and it stays the caller's, when there is no memory. */
axo_net_conn_t *axo__conn_new(axo_net_listener_t *listener, int fd);
/* Takes over a descriptor and watches it. UV_E*: it stays the caller's. */
int axo__side_open(axo__side_t *side, int fd);
void axo__side_close(axo__side_t *side, bool reset);
/* Has on_event called once more, after all others had their turn. */
void axo__side_again(axo__side_t *side);
/* Waits for nothing but its owner. */
void axo__conn_hold(axo_net_conn_t *conn);
/* Closes what it has, by a reset if told so; then, once its owner has heard why, lets
 * go of it. Its memory stays until the turn is over. */
void axo__conn_shut(axo_net_conn_t *conn, bool reset);
void axo__conn_forget(axo_net_conn_t *conn);
/* Those that are dialled for clients who will say no more are heard of once more: such
 * a client has left, or waits for an answer, and nobody can tell which. */
void axo__conns_ask_again(axo_net_listener_t *listener);
/* UV_ENOTCONN, UV_EBUSY, or 0 when it is held and waits for nothing. */
int axo__conn_idle(const axo_net_conn_t *conn, const char *op, axo_err_t *err);

/* turn.c */

void axo__turn_begin(axo_net_listener_t *listener);
void axo__turn_end(axo_net_listener_t *listener);
/* Frees those that have ended, unless a turn is under way. */
void axo__conns_free(axo_net_listener_t *listener);
/* Calls it in `ms`, in a turn, and keeps the loop running until then. */
void axo__conn_expect(axo_net_conn_t *conn, uint64_t ms,
                      void (*on_deadline)(axo_net_conn_t *conn));
/* Has no deadline any more. */
void axo__conn_calm(axo_net_conn_t *conn);

#endif /* AXO_NET_IMPL_H */
