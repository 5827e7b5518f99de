/* The host's end of a link. The host listens and the guest connects: a container can
 * never make the host connect to something that it chose. */
#include "link/link_impl.h"
#include "process/process_util.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECEIVE_TURNS 64
/* More packets than a socket's buffer holds. */
#define CATCH_UP_TURNS 1024

uv_loop_t *axo__link_loop(const axo_link_t *link) { return link->loop; }
void *axo_link_data(const axo_link_t *link) { return link->options.data; }
bool axo_link_is_up(const axo_link_t *link) { return link->up; }
int axo_link_set_root(axo_link_t *link, const char *path) {
  if (*path != '/')
    return UV_EINVAL;
  char *copy = strdup(path);
  if (!copy)
    return UV_ENOMEM;
  free(link->root);
  link->root = copy;
  return 0;
}
uint32_t axo_link_uid(const axo_link_t *link) { return link->uid; }

/* ---- the end --------------------------------------------------------------------- */

static void fail(axo_link_t *link, int code, const char *message) {
  axo_err_t err;
  axo__err_set(&err, code, "link", NULL, "%s", message);
  axo__link_down(link, &err);
}

void axo_link_close(axo_link_t *link) {
  if (link->closed)
    return;
  link->closed = true;
  link->handles++;
  axo__link_unlisten(link);
  axo__peer_close(link);
  axo__calls_fail(link);
  axo__clock_close(link);
  link->handles--; /* the caller's */
  axo__link_release(link);
}

/* ---- receiving ------------------------------------------------------------------- */

int axo__link_needs(const axo_link_t *link, uint64_t knows, const char *what,
                    axo_err_t *err) {
  if (!link->up || (link->knows & knows) == knows)
    return 0;
  return axo__err_set(err, UV_ENOTSUP, "link", "stop the session and start it again",
                      "this session was started by an older axosandbox, which knows no "
                      "%s",
                      what);
}

static void on_hello(axo_link_t *link, const axo_hello_t *hello, uint64_t knows) {
  link->up = true;
  link->knows = knows;
  link->uid = hello->uid;
  axo__link_unlisten(link);
  if (link->options.on_up)
    link->options.on_up(link);
}

static void on_new(axo_link_t *link, const axo_attach_t *body) {
  char name[AXO_NAME_MAX + 1] = {0};
  memcpy(name, body->name, AXO_NAME_MAX);
  if (link->options.on_new)
    link->options.on_new(link, name);
}

/* False when it makes no sense at this point. */
static bool deliver(axo_link_t *link, axo__packet_t *packet) {
  uint8_t type = packet->head.type;
  if ((type == AXO_EV_HELLO) == link->up)
    return false;
  if (type == AXO_EV_HELLO) {
    on_hello(link, packet->body, packet->head.id);
    return true;
  }
  if (type == AXO_EV_NEW) {
    on_new(link, packet->body);
    return true;
  }
  if (!axo__call_was_issued(link, packet->head.id))
    return false;
  /* An id that is not in flight belongs to a call that was given up. */
  axo__call_t *call = axo__call_of(link, packet->head.id);
  if (call)
    call->on_packet(call, packet);
  return true;
}

/* One packet. False when there is none, or no link any more. */
static bool receive(axo_link_t *link) {
  axo__packet_t packet;
  axo_err_t err;
  int rc =
      axo__packet_receive(link->peer->fd, link->buf, sizeof link->buf, &packet, &err);
  if (rc < 0)
    axo__link_down(link, &err);
  if (rc <= 0)
    return false;
  bool good = deliver(link, &packet);
  axo__packet_release(&packet);
  if (!good && link->peer)
    fail(link, UV_EPROTO, "the guest said what makes no sense here");
  return good;
}

/* While nothing is awaited, more is not likely, and would show itself. */
static void receive_some(axo_link_t *link, int turns, bool all) {
  for (int turn = 0; turn < turns && link->peer; turn++)
    if (!receive(link) || (!all && !link->holding))
      break;
}

static void catch_up(axo_link_t *link) { receive_some(link, CATCH_UP_TURNS, true); }

static void on_peer(uv_poll_t *poll, int status, int events) {
  axo_link_t *link = AXO__CONTAINER_OF(poll, axo__peer_t, poll)->link;
  (void)status;    /* an error shows itself in recvmsg */
  link->handles++; /* a callback may close the link */
  int rc = events & UV_WRITABLE ? axo__outbox_flush(link) : 0;
  if (rc != 0)
    fail(link, rc, "the guest closed the link");
  /* Our own handle keeps `link` until the release below; the analyser does not count.
   */
  // NOLINTBEGIN(clang-analyzer-unix.Malloc)
  receive_some(link, RECEIVE_TURNS, false);
  axo__link_release(link);
  // NOLINTEND(clang-analyzer-unix.Malloc)
}

/* ---- opening --------------------------------------------------------------------- */

axo_link_t *axo__link_new(uv_loop_t *loop, const axo_link_options_t *options) {
  axo_link_t *link = calloc(1, sizeof *link);
  if (!link)
    return NULL;
  link->options = *options;
  link->options.dir = NULL;
  if (link->options.answer_ms == 0)
    link->options.answer_ms = AXO__ANSWER_MS;
  link->loop = loop;
  link->listen_fd = link->dir_fd = link->null_fd = -1;
  link->outbox_end = &link->outbox;
  link->handles = 1; /* the caller's, until axo_link_close */
  link->on_peer = on_peer;
  axo__clock_init(link, catch_up);
  return link;
}

int axo_link_open(uv_loop_t *loop, const axo_link_options_t *options, axo_link_t **out,
                  axo_err_t *err) {
  axo_link_t *link = axo__link_new(loop, options);
  if (!link)
    return axo__err_set(err, UV_ENOMEM, "link", NULL, "out of memory");
  int rc = axo__link_listen(link, options->dir);
  if (rc != 0) {
    axo_link_close(link);
    return axo__err_code(err, rc, "link", "cannot listen in %s", options->dir);
  }
  *out = link;
  return 0;
}
