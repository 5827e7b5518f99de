/* What is in flight: how it is found, what it keeps running, and how long a guest may
 * take to answer. A container can be paused, and then says nothing for ever: one timer
 * serves all that is in flight, and runs only while something is. */
#include "link/link_impl.h"
#include "process/process_util.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

const axo_failed_t axo__silence = {AXO_STAGE_REQUEST, ETIMEDOUT};

bool axo__link_release(axo_link_t *link) {
  if (--link->handles > 0)
    return false;
  if (link->null_fd >= 0)
    close(link->null_fd);
  free(link->root);
  free(link);
  return true;
}

/* ---- calls ----------------------------------------------------------------------- */

/* An id is a serial number and a slot: found at once, and never the same twice. */
axo__call_t *axo__call_of(const axo_link_t *link, uint64_t id) {
  axo__call_t *call = link->calls[id % AXO__CALLS_MAX];
  return call && call->id == id ? call : NULL;
}

bool axo__call_was_issued(const axo_link_t *link, uint64_t id) {
  uint64_t serial = id / AXO__CALLS_MAX;
  return serial > 0 && serial <= link->next_id;
}

bool axo__call_begin(axo_link_t *link, axo__call_t *call) {
  for (unsigned i = 0; i < AXO__CALLS_MAX; i++) {
    unsigned slot = (link->next_slot + i) % AXO__CALLS_MAX;
    if (link->calls[slot])
      continue;
    link->next_slot = slot + 1;
    link->calls[slot] = call;
    call->link = link;
    call->id = ++link->next_id * AXO__CALLS_MAX + slot;
    return true;
  }
  return false;
}

void axo__call_hold(axo__call_t *call, bool hold) {
  axo_link_t *link = call->link;
  if (call->id == 0 || call->holds == hold)
    return;
  call->holds = hold;
  link->holding += hold ? 1 : -1;
  if (!link->peer)
    return;
  if (link->holding)
    uv_ref((uv_handle_t *)&link->peer->poll);
  else
    uv_unref((uv_handle_t *)&link->peer->poll);
}

static void stop(axo_link_t *link) {
  link->due = 0;
  uv_timer_stop(&link->clock);
}

void axo__call_answered(axo__call_t *call) {
  if (call->deadline == 0)
    return;
  call->deadline = 0;
  if (--call->link->expecting == 0)
    stop(call->link);
}

void axo__call_end(axo__call_t *call) {
  if (call->id == 0)
    return;
  axo__call_hold(call, false);
  axo__call_answered(call);
  call->link->calls[call->id % AXO__CALLS_MAX] = NULL;
  call->id = 0;
}

/* ---- how long they may take ---------------------------------------------------- */

static void on_clock(uv_timer_t *timer);

static void fire_at(axo_link_t *link, uint64_t due) {
  if (link->due != 0 && link->due <= due)
    return;
  uint64_t now = uv_now(link->loop);
  link->due = due;
  uv_timer_start(&link->clock, on_clock, due > now ? due - now : 0, 0);
}

void axo__call_expect(axo__call_t *call, uint64_t ms) {
  axo_link_t *link = call->link;
  if (call->id == 0)
    return;
  uv_update_time(link->loop); /* it may be as old as the last callback is long */
  if (call->deadline == 0)
    link->expecting++;
  call->deadline = uv_now(link->loop) + ms;
  fire_at(link, call->deadline);
}

void axo__call_expect_end(axo__call_t *call) {
  uint64_t ms = call->link->options.answer_ms;
  axo__call_expect(call, ms < AXO__KILL_ANSWER_MS ? ms : AXO__KILL_ANSWER_MS);
}

static void expire(axo__call_t *call) {
  axo__packet_t packet = {.head.type = AXO_EV_FAILED, .body = &axo__silence};
  axo__call_answered(call);
  call->on_packet(call, &packet);
}

/* A callback may send more, end some, and close the link, which ends them all. */
static void expire_all(axo_link_t *link, uint64_t now) {
  for (unsigned i = 0; i < AXO__CALLS_MAX && link->expecting > 0; i++) {
    axo__call_t *call = link->calls[i];
    if (!call || call->deadline == 0)
      continue;
    if (call->deadline <= now)
      expire(call);
    else
      fire_at(link, call->deadline);
  }
}

static void on_clock(uv_timer_t *timer) {
  axo_link_t *link = AXO__CONTAINER_OF(timer, axo_link_t, clock);
  uint64_t now = uv_now(link->loop);
  link->handles++;
  /* Timers come before what has been read: a host that was stopped for a while has
   * answers that it does not know of. */
  link->catch_up(link);
  stop(link);
  expire_all(link, now);
  axo__link_release(link);
}

static void on_clock_closed(uv_handle_t *handle) {
  axo__link_release(AXO__CONTAINER_OF(handle, axo_link_t, clock));
}

void axo__clock_init(axo_link_t *link, void (*catch_up)(axo_link_t *link)) {
  link->catch_up = catch_up;
  uv_timer_init(link->loop, &link->clock);
  uv_unref((uv_handle_t *)&link->clock);
  link->handles++;
}

void axo__clock_close(axo_link_t *link) {
  uv_close((uv_handle_t *)&link->clock, on_clock_closed);
}
