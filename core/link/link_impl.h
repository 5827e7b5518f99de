/* link_impl.h: the inside of the host's end of a link, shared by link*.c alone. */
#ifndef AXO_LINK_IMPL_H
#define AXO_LINK_IMPL_H

#include "base/internal.h"
#include "link/protocol.h"

/* How many requests and pieces of work one link carries at once. */
#define AXO__CALLS_MAX 4096
/* How long a guest may take to answer; it needs 10 s at most, to kill all there is. */
#define AXO__ANSWER_MS 30000
/* A guest that is there says within 10 s that what was killed has ended, or cannot be.
 */
#define AXO__KILL_ANSWER_MS 12000

/* A packet from the guest, checked: the right version, a known type, as many bytes and
 * descriptors as its type has. */
typedef struct axo__packet {
  axo_packet_t head;
  const void *body; /* in the packet, or `owned` */
  void *owned;
  int fds[AXO_FDS_MAX]; /* the receiver takes what it keeps by setting it to -1 */
  int fd_count;
  bool fds_lost; /* this process may have no more open: there are fewer than was sent */
} axo__packet_t;

/* Something that the guest answers. `on_packet` is called for each packet that carries
 * its id, and with NULL when the link has gone: then, and after axo__call_end, never
 * again. */
typedef struct axo__call {
  uint64_t id; /* 0: not in flight */
  axo_link_t *link;
  uint64_t deadline; /* uv_now; 0: it has none */
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

/* Sends a request of `call`. UV_ENOTCONN before the guest is there, UV_ENOBUFS when too
 * much is in flight. */
int axo__link_send(axo_link_t *link, axo__call_t *call, const axo__message_t *message);
/* Those bytes, in memory that nobody can change: a descriptor at their end, or UV_E*.
 */
int axo__sealed_file(const void *bytes, size_t len);
/* Sends one that is not answered. */
int axo__link_tell(axo_link_t *link, const axo__message_t *message);
/* Signals the work of `call`, and with `tree` all that it started. With `cb`, the
 * answer counts the processes. */
int axo__link_signal(axo__call_t *call, int signum, bool tree, axo_answer_cb cb,
                     void *data, axo_err_t *err);
/* Whether the call keeps the loop running while it is in flight; not at first. */
void axo__call_hold(axo__call_t *call, bool hold);
/* Forgets the call: answers that still come are dropped. */
void axo__call_end(axo__call_t *call);
/* The guest has `ms` to answer: then `on_packet` gets a FAILED whose body is
 * axo__silence. Again: from now on. */
void axo__call_expect(axo__call_t *call, uint64_t ms);
/* The same for the end of what was killed. */
void axo__call_expect_end(axo__call_t *call);
/* It has answered: no deadline any more. */
void axo__call_answered(axo__call_t *call);
/* What a guest that says nothing has said. */
extern const axo_failed_t axo__silence;

typedef struct axo__outgoing {
  struct axo__outgoing *next;
  axo_packet_t head;
  int fds[AXO_FDS_MAX];
  int fd_count;
  char body[];
} axo__outgoing_t;

/* One connection of the guest; freed by its close callback. */
typedef struct axo__peer {
  uv_poll_t poll;
  axo_link_t *link;
  int fd;
} axo__peer_t;

struct axo_link {
  axo_link_options_t options;
  char *root; /* NULL: the session's */
  uv_loop_t *loop;
  uv_poll_t listener;
  uv_timer_t clock;   /* runs while a call has a deadline */
  uint64_t due;       /* when it fires; 0: it does not run */
  unsigned expecting; /* calls with a deadline */
  axo__peer_t *peer;  /* NULL: none */
  int listen_fd;      /* -1 once the guest is there: nobody else has business with us */
  int dir_fd;
  int null_fd; /* for commands without stdin; -1 until the first */
  char name[48];
  unsigned handles;
  unsigned holding; /* calls that somebody waits for: they keep the loop running */
  bool up;
  uint32_t uid;
  bool closed;    /* no more callbacks */
  uint64_t knows; /* what its guest does: enum axo_knows */
  uint64_t next_id;
  axo__call_t *calls[AXO__CALLS_MAX];
  unsigned next_slot;
  axo__outgoing_t *outbox, **outbox_end;
  unsigned outbox_len;
  uv_poll_cb on_peer;                 /* takes what the peer sends */
  void (*catch_up)(axo_link_t *link); /* hears what has come already */
  _Alignas(16) char buf[AXO_PACKET_MAX];
};

/* Each file calls those that come after its own here, and no other. */

/* link.c */

/* One without a socket, which nobody connects to; NULL when there is no memory. */
axo_link_t *axo__link_new(uv_loop_t *loop, const axo_link_options_t *options);
uv_loop_t *axo__link_loop(const axo_link_t *link);
/* Refuses what a guest of an older version does not know: `what` says which. */
int axo__link_needs(const axo_link_t *link, uint64_t knows, const char *what,
                    axo_err_t *err);

/* link_listen.c */

/* Listens in `dir`; UV_E*. */
int axo__link_listen(axo_link_t *link, const char *dir);
/* Takes `fd` for the guest's connection. False: it stays the caller's. */
bool axo__link_take_peer(axo_link_t *link, int fd);
/* The socket goes, too: whoever it was meant for is there, or will not come. */
void axo__link_unlisten(axo_link_t *link);

/* link_end.c */

/* It is over, because of what the guest sent. Before its greeting a guest may try
 * again. */
void axo__link_down(axo_link_t *link, const axo_err_t *why);
void axo__peer_close(axo_link_t *link);
/* Tells everything in flight that its answer will not come. */
void axo__calls_fail(axo_link_t *link);

/* link_send.c */

/* Waits for what comes, and while something is queued, for room. */
void axo__link_watch(axo_link_t *link);
/* Sends what is queued. Negative: the connection is over. A callback may close the
 * link: the caller holds it. */
int axo__outbox_flush(axo_link_t *link);
void axo__outbox_clear(axo_link_t *link);
/* Drops the work of `call`: it goes on, and nobody here hears of it. */
void axo__link_forget(axo__call_t *call);

/* link_call.c */

/* Lets go of one of the link's `handles`; true when that was the last of it. */
bool axo__link_release(axo_link_t *link);
/* At the beginning; the clock's handle is one of the link's. A callback of `catch_up`
 * may close the link, which is held meanwhile. */
void axo__clock_init(axo_link_t *link, void (*catch_up)(axo_link_t *link));
void axo__clock_close(axo_link_t *link);
/* Gives the call an id. False when too much is in flight. */
bool axo__call_begin(axo_link_t *link, axo__call_t *call);
/* The call of this id; NULL when it is not in flight. */
axo__call_t *axo__call_of(const axo_link_t *link, uint64_t id);
/* Whether there ever was one of this id. */
bool axo__call_was_issued(const axo_link_t *link, uint64_t id);

/* packet.c */
int axo__packet_send(int fd, const axo_packet_t *head, const void *body, const int *fds,
                     int fd_count);
/* 1: a packet; 0: nothing now; negative: the link is over, `err` says why. */
int axo__packet_receive(int fd, void *buf, size_t size, axo__packet_t *out,
                        axo_err_t *err);
void axo__packet_release(axo__packet_t *packet);

#endif /* AXO_LINK_IMPL_H */
