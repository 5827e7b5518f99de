/* Turns of the loop, which connections outlive that end in one, and deadlines. */
#include "net/net_impl.h"
#include "process/process_util.h"

#include <stdlib.h>

/* Deadlines are met to within so many milliseconds, so that a thousand of them are a
 * few runs of the clock. */
#define CLOCK_GRAIN 16

void axo__turn_begin(axo_net_listener_t *listener) {
  listener->turns++;
  listener->counts.wakes++;
}

void axo__conns_free(axo_net_listener_t *listener) {
  while (listener->turns == 0 && listener->ended) {
    axo_net_conn_t *conn = listener->ended;
    listener->ended = conn->next;
    free(conn);
  }
}

void axo__turn_end(axo_net_listener_t *listener) {
  listener->turns--;
  axo__conns_free(listener);
}

/* ---- deadlines ------------------------------------------------------------------- */

static void on_clock(uv_timer_t *timer);

static void run_clock(axo_net_listener_t *listener, uint64_t due) {
  uint64_t now = uv_now(listener->loop);
  listener->due = due;
  uv_timer_start(&listener->clock, on_clock, due > now ? due - now : 0, 0);
}

/* Those whose deadline has passed, in a list of their own: what is called for one may
 * end others, and take in new ones. */
static axo_net_conn_t *find_due(axo_net_listener_t *listener, uint64_t now) {
  axo_net_conn_t *found = NULL;
  for (axo_net_conn_t *conn = listener->conns; conn; conn = conn->next) {
    if (conn->deadline == 0 || conn->deadline > now)
      continue;
    conn->next_due = found;
    found = conn;
  }
  return found;
}

static void run_again(axo_net_listener_t *listener) {
  uint64_t due = 0;
  for (const axo_net_conn_t *conn = listener->conns; conn; conn = conn->next)
    if (conn->deadline != 0 && (due == 0 || conn->deadline < due))
      due = conn->deadline;
  if (due != 0 && !listener->closed)
    run_clock(listener, due);
}

static void on_clock(uv_timer_t *timer) {
  axo_net_listener_t *listener = AXO__CONTAINER_OF(timer, axo_net_listener_t, clock);
  uint64_t now = uv_now(listener->loop);
  listener->due = 0;
  axo__turn_begin(listener);
  for (axo_net_conn_t *conn = find_due(listener, now); conn; conn = conn->next_due)
    if (conn->deadline != 0 && conn->deadline <= now) {
      axo__conn_calm(conn);
      conn->on_deadline(conn);
    }
  run_again(listener);
  axo__turn_end(listener);
}

void axo__conn_expect(axo_net_conn_t *conn, uint64_t ms,
                      void (*on_deadline)(axo_net_conn_t *conn)) {
  axo_net_listener_t *listener = conn->listener;
  uint64_t grain = ms < CLOCK_GRAIN ? 1 : CLOCK_GRAIN;
  uint64_t now = uv_now(listener->loop);
  uint64_t at = ms < UINT64_MAX / 2 - now ? now + ms : UINT64_MAX / 2;
  if (conn->deadline == 0)
    listener->expecting++;
  conn->deadline = (at + grain - 1) / grain * grain;
  conn->on_deadline = on_deadline;
  if (conn->deadline == 0)
    conn->deadline = 1;
  if (listener->due == 0 || conn->deadline < listener->due)
    run_clock(listener, conn->deadline);
}

void axo__conn_calm(axo_net_conn_t *conn) {
  axo_net_listener_t *listener = conn->listener;
  if (conn->deadline == 0)
    return;
  conn->deadline = 0;
  if (--listener->expecting > 0)
    return;
  listener->due = 0;
  uv_timer_stop(&listener->clock);
}
