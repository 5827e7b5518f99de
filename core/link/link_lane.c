/* Lanes: a command that follows another goes straight to the supervisor that ran that
 * one, and its end comes straight back. The guest is not woken, and a command costs two
 * hops instead of four. */
#include "link/link_impl.h"
#include "process/process_util.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* One stays; what a burst has left over is given back when it was idle for so long. */
#define KEEP 1
#define LINGER_MS 1000
#define RECEIVE_TURNS 8

/* Its handle, and its call. */
static void release(axo__lane_t *lane) {
  axo_link_t *link = lane->lease.link;
  if (--lane->refs > 0)
    return;
  free(lane);
  axo__link_release(link);
}

static void on_closed(uv_handle_t *handle) {
  release(AXO__CONTAINER_OF(handle, axo__lane_t, poll));
}

/* The handle first: later, the descriptor's number may be another's. */
static void hang_up(axo__lane_t *lane) {
  if (!lane->is_open)
    return;
  lane->is_open = false;
  uv_close((uv_handle_t *)&lane->poll, on_closed);
  close(lane->fd);
}

static void not_idle(const axo__lane_t *lane) {
  axo_link_t *link = lane->lease.link;
  for (unsigned i = 0; i < link->idle_count; i++)
    if (link->idle[i] == lane) {
      for (link->idle_count--; i < link->idle_count; i++)
        link->idle[i] = link->idle[i + 1];
      return;
    }
}

/* The guest has no part in it any more. */
static void lane_over(axo__lane_t *lane) {
  not_idle(lane);
  hang_up(lane);
  axo__call_end(&lane->lease);
  if (lane->running)
    lane->running->lane = NULL;
  lane->running = NULL;
  lane->lease.link->lane_count--;
  release(lane);
}

void axo__lane_drop(axo__lane_t *lane) {
  axo__call_drop(&lane->lease);
  lane_over(lane);
}

void axo__link_forget(axo__call_t *call) {
  if (call->id != 0 && call->lane)
    axo__lane_drop(call->lane);
  else
    axo__call_drop(call);
  axo__call_end(call);
}

void axo__lanes_retire(axo_link_t *link) {
  while (link->idle_count > 0)
    axo__lane_drop(link->idle[link->idle_count - 1]);
  for (unsigned i = 0; i < AXO__CALLS_MAX; i++)
    if (link->calls[i])
      link->calls[i]->spent = true;
}

/* ---- what comes ------------------------------------------------------------------ */

static bool is_expected(const axo__lane_t *lane, const axo_packet_t *head) {
  bool is_ours = lane->running && head->id == lane->running->id;
  return is_ours && (head->type == AXO_EV_EXITED || head->type == AXO_EV_FAILED ||
                     head->type == AXO_EV_EMPTY);
}

static void broken(axo__lane_t *lane) {
  axo_err_t err;
  axo__err_set(&err, UV_EPROTO, "link", NULL,
               "what the guest said on a lane makes no sense");
  axo__link_down(lane->lease.link, &err);
}

/* The supervisor has gone. What ran on it hears so from the guest. */
static void on_end(axo__lane_t *lane, int why) {
  if (why == UV_EPROTO)
    broken(lane);
  else if (lane->running)
    hang_up(lane);
  else
    axo__lane_drop(lane);
}

/* One packet. False when there is none. */
static bool receive(axo__lane_t *lane) {
  axo_link_t *link = lane->lease.link;
  axo__packet_t packet;
  int rc = axo__packet_receive(lane->fd, link->buf, sizeof link->buf, &packet, NULL);
  if (rc < 0)
    on_end(lane, rc);
  if (rc <= 0)
    return false;
  bool good = is_expected(lane, &packet.head);
  if (good)
    lane->running->on_packet(lane->running, &packet);
  axo__packet_release(&packet);
  if (!good)
    broken(lane);
  return good;
}

/* A callback may close the link and the lane with it; both are freed later, when the
 * handle is closed. */
static void receive_some(axo__lane_t *lane, bool all) {
  for (int turn = 0; turn < RECEIVE_TURNS && lane->is_open; turn++)
    if (!receive(lane) || (!all && !lane->running))
      break;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  axo__lane_t *lane = AXO__CONTAINER_OF(poll, axo__lane_t, poll);
  (void)status; /* an error shows itself in recvmsg */
  (void)events;
  receive_some(lane, false);
}

/* ---- what the guest says of it --------------------------------------------------- */

/* The supervisor has been killed, or given back. What it said before comes first. */
static void on_over(axo__lane_t *lane, axo_exited_t body) {
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_EXITED, 0, sizeof body, 0};
  axo__packet_t packet = {.head = head, .body = &body};
  receive_some(lane, true);
  if (lane->lease.id == 0)
    return;
  axo__call_t *user = lane->running;
  lane_over(lane);
  body.left = body.lane = 0;
  if (user)
    user->on_packet(user, &packet);
}

static void on_packet(axo__call_t *call, axo__packet_t *packet) {
  axo__lane_t *lane = AXO__CONTAINER_OF(call, axo__lane_t, lease);
  if (!packet)
    lane_over(lane); /* its command hears of that itself */
  else if (packet->body == &axo__silence)
    axo__lane_drop(lane); /* idle for long */
  else if (packet->head.type == AXO_EV_EXITED)
    on_over(lane, *(const axo_exited_t *)packet->body);
  else if (packet->head.type == AXO_EV_STUCK && lane->running)
    lane->running->on_packet(lane->running, packet);
}

/* ---- using it -------------------------------------------------------------------- */

static void now_idle(axo__lane_t *lane) {
  axo_link_t *link = lane->lease.link;
  link->idle[link->idle_count++] = lane;
  if (link->idle_count > KEEP)
    axo__call_expect(&lane->lease, LINGER_MS);
}

/* Of anything else the end could not be told from an empty packet. */
static bool is_of_packets(int fd) {
  int type;
  socklen_t len = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
         type == SOCK_SEQPACKET;
}

static void done(axo__lane_t *lane) {
  bool is_spent = lane->running->spent || !lane->is_open;
  lane->running->lane = NULL;
  lane->running = NULL;
  if (is_spent)
    axo__lane_drop(lane);
  else
    now_idle(lane);
}

void axo__lane_adopt(axo__call_t *call, int fd) {
  axo_link_t *link = call->link;
  bool is_wanted = link->lane_count < AXO__LANES_MAX && is_of_packets(fd);
  axo__lane_t *lane = is_wanted ? calloc(1, sizeof *lane) : NULL;
  if (!lane || uv_poll_init(link->loop, &lane->poll, fd) != 0) {
    free(lane);
    close(fd);
    axo__link_forget(call);
    return;
  }
  lane->fd = fd;
  lane->is_open = true;
  lane->refs = 2;
  lane->lease.on_packet = on_packet;
  lane->done = done;
  axo__call_move(call, &lane->lease);
  link->handles++;
  link->lane_count++;
  uv_poll_start(&lane->poll, UV_READABLE, on_readable);
  uv_unref((uv_handle_t *)&lane->poll); /* who waits holds the link */
  now_idle(lane);
}

static int send_on(axo__lane_t *lane, axo__call_t *call, const axo__message_t *m) {
  axo_packet_t head = {AXO_PROTO_VERSION, m->type, 0, (uint32_t)m->len, call->id};
  int rc = axo__packet_send(lane->fd, &head, m->body, m->fds, m->fd_count);
  if (rc != 0)
    return rc;
  axo__call_answered(&lane->lease);
  lane->running = call;
  call->lane = lane;
  return 0;
}

int axo__lane_send(axo__call_t *call, const axo__message_t *m) {
  axo_link_t *link = call->link;
  if (!link->up || m->len > AXO_PACKET_MAX - sizeof(axo_packet_t))
    return UV_EAGAIN;
  while (link->idle_count > 0) {
    axo__lane_t *lane = link->idle[link->idle_count - 1];
    if (!axo__call_begin(link, call))
      return UV_ENOBUFS;
    link->idle_count--;
    if (send_on(lane, call, m) == 0)
      return 0;
    axo__call_end(call);
    axo__lane_drop(lane);
  }
  return UV_EAGAIN;
}
