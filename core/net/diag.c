/* Asks the kernel which sockets there are, and finds one. */
#include "net/diag_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OP "sock_diag"
/* What an earlier question has left, in datagrams of some 300 sockets. */
#define DRAIN_MAX (2 * AXO_DIAG_SOCKETS_MAX / 300)
#define ALL_STATES UINT32_MAX

/* ---- the descriptor -------------------------------------------------------------- */

static bool has_option(int fd, int option, int wanted) {
  int value = -1;
  socklen_t len = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == wanted;
}

int axo_diag_open(int fd, axo_diag_t **out, axo_err_t *err) {
  if (!has_option(fd, SO_DOMAIN, AF_NETLINK) ||
      !has_option(fd, SO_PROTOCOL, NETLINK_SOCK_DIAG))
    return axo__err_set(err, UV_EINVAL, OP, NULL,
                        "descriptor %d is no socket of NETLINK_SOCK_DIAG", fd);
  axo_diag_t *diag = calloc(1, sizeof *diag);
  if (!diag)
    return axo__err_code(err, UV_ENOMEM, OP, "a diag");
  diag->fd = fd;
  *out = diag;
  return 0;
}

static void on_closed(uv_handle_t *handle) {
  free((char *)handle - offsetof(axo_diag_t, poll));
}

void axo_diag_close(axo_diag_t *diag) {
  if (!diag)
    return;
  diag->is_closed = true;
  if (!diag->is_watching) {
    close(diag->fd);
    free(diag);
    return;
  }
  uv_poll_stop(&diag->poll);
  close(diag->fd);
  uv_close((uv_handle_t *)&diag->poll, on_closed);
}

int axo__diag_receive(axo_diag_t *diag, axo__diag_bytes_t *out) {
  struct sockaddr_nl from = {0};
  struct iovec iov = {diag->buffer.bytes, sizeof diag->buffer.bytes};
  struct msghdr msg = {
      .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1};
  ssize_t n;
  do
    n = recvmsg(diag->fd, &msg, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n < 0)
    return uv_translate_sys_error(errno);
  if (n == 0 || (msg.msg_flags & MSG_TRUNC) || msg.msg_namelen != sizeof from ||
      from.nl_pid != 0)
    return UV_EPROTO;
  *out = (axo__diag_bytes_t){diag->buffer.bytes, (size_t)n};
  return 0;
}

/* ---- one question ---------------------------------------------------------------- */

typedef struct question {
  uint8_t family, protocol;
  bool is_dump;
  uint32_t states;
  struct inet_diag_sockid id;
  /* Gets each socket that the kernel tells of. */
  void (*visit)(void *data, const axo_diag_socket_t *socket);
  void *data;
  size_t seen;
} question_t;

/* What an earlier one left: it failed midway, and its answers still come. */
static int drain(axo_diag_t *diag) {
  axo__diag_bytes_t bytes;
  for (int i = 0; i < DRAIN_MAX; i++)
    if (axo__diag_receive(diag, &bytes) == UV_EAGAIN)
      return 0;
  return UV_E2BIG;
}

static int send_question(axo_diag_t *diag, const question_t *q) {
  struct {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
  } request = {
      .head = {.nlmsg_len = sizeof request,
               .nlmsg_type = SOCK_DIAG_BY_FAMILY,
               .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | (q->is_dump ? NLM_F_DUMP : 0)),
               .nlmsg_seq = ++diag->sequence},
      .body = {.sdiag_family = q->family,
               .sdiag_protocol = q->protocol,
               .idiag_states = q->states,
               .id = q->id},
  };
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  ssize_t n = sendto(diag->fd, &request, sizeof request, MSG_DONTWAIT | MSG_NOSIGNAL,
                     (struct sockaddr *)&kernel, sizeof kernel);
  return n < 0 ? uv_translate_sys_error(errno) : 0;
}

/* 1 when the answer is whole, 0 when it goes on. */
static int take_message(question_t *q, const axo__diag_message_t *message) {
  if (message->kind == DIAG_ERROR)
    return message->error;
  if (message->kind == DIAG_DONE)
    return q->is_dump ? 1 : UV_EPROTO;
  if (message->kind != DIAG_SOCKET)
    return UV_EPROTO;
  if (++q->seen > AXO_DIAG_SOCKETS_MAX)
    return UV_E2BIG;
  q->visit(q->data, &message->socket);
  return q->is_dump ? 0 : 1;
}

static int take_datagram(axo_diag_t *diag, question_t *q) {
  axo__diag_bytes_t bytes = {0};
  axo__diag_message_t message;
  int rc = axo__diag_receive(diag, &bytes);
  while (rc == 0 && (rc = axo__diag_next(&bytes, &message)) > 0)
    rc = message.sequence == diag->sequence ? take_message(q, &message) : UV_EPROTO;
  return rc;
}

static int ask(axo_diag_t *diag, question_t *q, axo_err_t *err) {
  int rc = diag->is_watching ? UV_EBUSY : drain(diag);
  if (rc == 0)
    rc = send_question(diag, q);
  while (rc == 0)
    rc = take_datagram(diag, q);
  if (rc > 0)
    return 0;
  if (rc == UV_EBUSY)
    return axo__err_set(err, rc, OP, "have a second one made for questions",
                        "this diag watches, and answers nothing");
  if (rc ==
      UV_EAGAIN) /* the kernel has answered by now, or somebody else has read it */
    rc = UV_EPROTO;
  return axo__err_code(err, rc, OP, "asking for sockets");
}

/* ---- what listens ---------------------------------------------------------------- */

typedef struct listing {
  axo_diag_socket_t *out;
  size_t max, count;
} listing_t;

static void take_listener(void *data, const axo_diag_socket_t *socket) {
  listing_t *listing = data;
  if (listing->count < listing->max)
    listing->out[listing->count] = *socket;
  listing->count++;
}

int axo_diag_listening(axo_diag_t *diag, axo_diag_socket_t *out, size_t max,
                       size_t *count, axo_err_t *err) {
  static const uint8_t families[] = {AF_INET, AF_INET6};
  listing_t listing = {out, max, 0};
  for (size_t i = 0; i < 2; i++) {
    question_t q = {.family = families[i],
                    .protocol = IPPROTO_TCP,
                    .is_dump = true,
                    .states = 1u << TCP_LISTEN,
                    .visit = take_listener,
                    .data = &listing,
                    .seen = listing.count};
    int rc = ask(diag, &q, err);
    if (rc != 0 && !(rc == UV_ENOENT && families[i] == AF_INET6)) /* no IPv6 here */
      return rc;
  }
  *count = listing.count;
  return 0;
}

/* ---- one socket ------------------------------------------------------------------ */

/* Where somebody is bound, as the kernel has it. */
typedef struct place {
  uint8_t family;
  uint16_t port; /* network order */
  uint32_t address[4];
} place_t;

static bool read_place(const axo_endpoint_t *in, place_t *out) {
  memset(out, 0, sizeof *out);
  out->port = htons(in->port);
  out->family = AF_INET;
  if (uv_inet_pton(AF_INET, in->address, out->address) == 0)
    return true;
  out->family = AF_INET6;
  if (uv_inet_pton(AF_INET6, in->address, out->address) != 0)
    return false;
  if (out->address[0] == 0 && out->address[1] == 0 && out->address[2] == htonl(0xffff))
    *out =
        (place_t){.family = AF_INET, .port = out->port, .address = {out->address[3]}};
  return true;
}

typedef struct search {
  const axo_endpoint_t *own, *peer; /* peer may be NULL */
  axo_diag_socket_t *out;
  char address[AXO_ADDRESS_MAX]; /* own's, as the kernel's answer is written */
  int rank;  /* of what was found: 2 is bound to the address, 1 to any, 0 is none */
  int found; /* of that rank */
} search_t;

static int rank_of(const search_t *s, const axo_diag_socket_t *socket) {
  if (socket->port != s->own->port)
    return 0;
  if (strcmp(socket->address, s->address) == 0)
    return 2;
  return strcmp(socket->address, "0.0.0.0") == 0 || strcmp(socket->address, "::") == 0;
}

static void take_candidate(void *data, const axo_diag_socket_t *socket) {
  search_t *s = data;
  int rank = rank_of(s, socket);
  if (rank == 0 || rank < s->rank)
    return;
  s->found = rank == s->rank ? s->found + 1 : 1;
  s->rank = rank;
  *s->out = *socket;
}

/* The kernel answers with one that listens, or is connected elsewhere, where there is
 * no better. */
static void take_exact(void *data, const axo_diag_socket_t *socket) {
  search_t *s = data;
  if (socket->peer_port == (s->peer ? s->peer->port : 0))
    take_candidate(s, socket);
}

/* For UDP the kernel has the two the other way round, "for historical reasons"
 * (udp_diag.c). */
static int ask_exact(axo_diag_t *diag, int protocol, const place_t *own,
                     const place_t *peer, search_t *s, axo_err_t *err) {
  bool is_swapped = protocol == IPPROTO_UDP;
  const place_t *source = is_swapped ? peer : own, *target = is_swapped ? own : peer;
  question_t q = {.family = own->family,
                  .protocol = (uint8_t)protocol,
                  .states = ALL_STATES,
                  .visit = take_exact,
                  .data = s};
  q.id.idiag_sport = source->port;
  q.id.idiag_dport = target->port;
  memcpy(q.id.idiag_src, source->address, sizeof q.id.idiag_src);
  memcpy(q.id.idiag_dst, target->address, sizeof q.id.idiag_dst);
  q.id.idiag_cookie[0] = q.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return ask(diag, &q, err);
}

/* Of UDP, by the port alone; a socket of IPv6 may speak IPv4. */
static int ask_port(axo_diag_t *diag, uint8_t family, const place_t *own, search_t *s,
                    axo_err_t *err) {
  question_t q = {.family = family,
                  .protocol = IPPROTO_UDP,
                  .is_dump = true,
                  .states = ALL_STATES,
                  .visit = take_candidate,
                  .data = s};
  q.id.idiag_sport = own->port;
  return ask(diag, &q, err);
}

static int search(axo_diag_t *diag, int protocol, const place_t *own,
                  const place_t *peer, search_t *s, axo_err_t *err) {
  bool is_udp = protocol == IPPROTO_UDP;
  int rc =
      is_udp && !s->peer ? UV_ENOENT : ask_exact(diag, protocol, own, peer, s, err);
  if (!is_udp || s->found == 1 || (rc != 0 && rc != UV_ENOENT))
    return rc;
  s->found = s->rank = 0;
  rc = own->family == AF_INET ? ask_port(diag, AF_INET, own, s, err) : 0;
  return rc == 0 ? ask_port(diag, AF_INET6, own, s, err) : rc;
}

int axo_diag_find(axo_diag_t *diag, int protocol, const axo_endpoint_t *own,
                  const axo_endpoint_t *peer, axo_diag_socket_t *out, axo_err_t *err) {
  place_t here, there = {0};
  axo_diag_socket_t found = {0};
  search_t s = {.own = own, .peer = peer, .out = &found};
  if (!read_place(own, &here) || (peer && !read_place(peer, &there)))
    return axo__err_set(err, UV_EINVAL, OP, NULL, "not an address: %s",
                        peer ? peer->address : own->address);
  if (peer && here.family != there.family)
    return axo__err_set(err, UV_EINVAL, OP, NULL, "%s and %s are of two families",
                        own->address, peer->address);
  (void)inet_ntop(here.family, here.address, s.address, sizeof s.address);
  int rc = search(diag, protocol, &here, &there, &s, err);
  if (rc != 0 && rc != UV_ENOENT)
    return rc;
  if (rc == 0 && s.found == 1) {
    *out = found;
    return 0;
  }
  return axo__err_set(err, UV_ENOENT, OP, NULL, "%s socket of %s, port %u",
                      s.found > 1 ? "more than one" : "no", own->address, own->port);
}
