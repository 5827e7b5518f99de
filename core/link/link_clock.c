/* How long a guest may take to answer: a container can be paused, and then says nothing
 * for ever. One timer serves all that is in flight, and runs only while something is.
 */
#include "link/link_impl.h"
#include "process/process_util.h"

#include <errno.h>

const axo_failed_t axo__silence = {AXO_STAGE_REQUEST, ETIMEDOUT};

static void on_clock(uv_timer_t *timer);

static void stop(axo_link_t *link) {
  link->due = 0;
  uv_timer_stop(&link->clock);
}

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

void axo__call_answered(axo__call_t *call) {
  if (call->deadline == 0)
    return;
  call->deadline = 0;
  if (--call->link->expecting == 0)
    stop(call->link);
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
  axo__link_catch_up(link);
  stop(link);
  expire_all(link, now);
  axo__link_release(link);
}

static void on_clock_closed(uv_handle_t *handle) {
  axo__link_release(AXO__CONTAINER_OF(handle, axo_link_t, clock));
}

void axo__clock_init(axo_link_t *link) {
  uv_timer_init(link->loop, &link->clock);
  uv_unref((uv_handle_t *)&link->clock);
  link->handles++;
}

void axo__clock_close(axo_link_t *link) {
  uv_close((uv_handle_t *)&link->clock, on_clock_closed);
}
