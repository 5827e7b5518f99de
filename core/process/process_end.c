#include "process/process_impl.h"

#include <signal.h>

/* How long a guest may take to kill a tree that fights back. */
#define KILL_MS 5000

static void on_process_closed(uv_handle_t *handle) {
  axo__process_release(AXO__CONTAINER_OF(handle, axo_process_t, process));
}

static void on_clock_closed(uv_handle_t *handle) {
  axo__process_release(AXO__CONTAINER_OF(handle, axo_process_t, clock));
}

static void on_drain_closed(uv_handle_t *handle) {
  axo__process_release(AXO__CONTAINER_OF(handle, axo_process_t, drain));
}

int axo__process_kill(axo_process_t *p, int signum) {
  return p->carrier ? p->carrier->signal(p, signum) : axo__kill_group(p->pid, signum);
}

static bool is_left(const axo_process_t *p) {
  return p->carrier ? p->carrier->left(p) : axo__kill_group(p->pid, 0) == 0;
}

static void close_handle(void *handle, uv_close_cb cb) {
  if (!uv_is_closing(handle))
    uv_close(handle, cb);
}

void axo__process_close_handles(axo_process_t *p) {
  axo__input_close(p);
  axo__output_close(&p->out[0]);
  axo__output_close(&p->out[1]);
  close_handle(&p->clock, on_clock_closed);
  close_handle(&p->drain, on_drain_closed);
  if (p->process.type == UV_PROCESS)
    close_handle(&p->process, on_process_closed);
}

/* The loop's idea of now may be as old as the last callback is long. */
static void timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t ms) {
  uv_update_time(timer->loop);
  uv_timer_start(timer, cb, ms, 0);
}

/* One that a guest ends is over when the guest says that nothing is left of it. */
static bool is_ending(const axo_process_t *p) {
  return p->carrier && p->phase != AXO__RUNNING && is_left(p);
}

static bool is_settled(const axo_process_t *p) {
  return p->exited && !p->out[0].is_open && !p->out[1].is_open && !is_ending(p);
}

/* Whether we made an end of it. */
static bool was_ended(const axo_process_t *p) {
  return p->phase != AXO__RUNNING || p->timed_out || p->cancelled || p->limit_hit;
}

/* What a guest's command leaves running is told with its end. True: not yet. */
static bool must_count(axo_process_t *p) {
  if (!p->carrier || !p->exited || !is_left(p) || was_ended(p))
    return false;
  if (p->count == AXO__UNCOUNTED) {
    p->left_running = 1;
    p->count = p->carrier->count(p) ? AXO__COUNTING : AXO__COUNTED;
  }
  return p->count == AXO__COUNTING;
}

static void finish(axo_process_t *p) {
  if (must_count(p))
    return;
  axo_process_result_t result = {
      .code = p->exited && !p->signal ? p->code : -1,
      .signal = p->signal,
      .timed_out = p->timed_out,
      .cancelled = p->cancelled,
      .limit_hit = p->limit_hit,
      .failure = p->failure.code ? &p->failure : NULL,
      .drain_cut = p->out[0].is_open || p->out[1].is_open,
      .left_running = p->carrier && is_left(p) ? p->left_running : 0,
      .duration_us = (uv_hrtime() - p->started) / 1000,
  };
  for (int i = 0; i < 2; i++) {
    result.out[i] = p->out[i].kept ? p->out[i].kept : "";
    result.out_len[i] = p->out[i].kept_len;
    result.truncated[i] = p->out[i].truncated;
    result.total[i] = p->out[i].total;
  }
  p->finished = true;
  if (p->carrier)
    p->carrier->release(p, was_ended(p));
  axo__process_close_handles(p);
  if (p->options.on_exit)
    p->options.on_exit(p, &result);
}

void axo__process_counted(axo_process_t *p) {
  p->count = AXO__COUNTED;
  if (!p->finished)
    finish(p);
}

void axo__process_settle(axo_process_t *p) {
  if (!p->finished && is_settled(p))
    finish(p);
}

void axo__process_take_rest(axo_process_t *p) {
  for (int i = 0; i < 2 && !p->finished; i++)
    if (axo__output_rest(&p->out[i]))
      axo__output_close(&p->out[i]);
}

/* A descendant holds a pipe and the time is up. What the child itself wrote is in the
 * pipe already, however late we are. */
static void cut(axo_process_t *p) {
  axo__output_rest(&p->out[0]);
  axo__output_rest(&p->out[1]);
  if (!p->finished)
    finish(p);
}

void axo__process_give_up(axo_process_t *p) { cut(p); }

static void on_drain_over(uv_timer_t *timer) {
  cut(AXO__CONTAINER_OF(timer, axo_process_t, drain));
}

static void start_drain(axo_process_t *p) {
  timer_start(&p->drain, on_drain_over, is_ending(p) ? KILL_MS : p->options.drain_ms);
}

static void on_grace_over(uv_timer_t *timer) {
  axo_process_t *p = AXO__CONTAINER_OF(timer, axo_process_t, clock);
  p->phase = AXO__KILLED;
  int rc = axo__process_kill(p, SIGKILL);
  if (p->exited) {
    start_drain(p);
  } else if (rc == UV_EPERM) {
    cut(p); /* it became another user: nothing that we may do will end it */
  } else if (p->carrier) {
    p->carrier->killed(p);
  }
}

void axo__process_end(axo_process_t *p) {
  if (p->phase != AXO__RUNNING || p->exited)
    return;
  p->phase = AXO__ENDING;
  timer_start(&p->clock, on_grace_over, p->options.grace_ms);
  if (p->options.on_deadline) {
    p->options.on_deadline(p);
  } else {
    axo__process_kill(p, SIGTERM);
  }
}

static void on_deadline(uv_timer_t *timer) {
  axo_process_t *p = AXO__CONTAINER_OF(timer, axo_process_t, clock);
  if (!p->cancelled)
    p->timed_out = true;
  if (p->exited) {
    cut(p);
  } else {
    axo__process_end(p);
  }
}

void axo__process_watch(axo_process_t *p) {
  if (p->options.timeout_ms > 0) {
    timer_start(&p->clock, on_deadline, p->options.timeout_ms);
  }
}

void axo__process_ended(axo_process_t *p, int code, int signum) {
  if (p->exited || p->finished)
    return;
  p->exited = true;
  p->code = code;
  p->signal = signum;
  if (is_settled(p)) {
    finish(p);
    return;
  }
  /* One that was asked to end may leave others of its group behind, who have what is
   * left of the grace and are then killed: `clock` goes on. Their group keeps the
   * number from being used again. */
  bool group_ends = p->phase == AXO__ENDING && is_left(p);
  if (!group_ends)
    start_drain(p);
}

void axo__process_on_exit(uv_process_t *handle, int64_t code, int signum) {
  axo__process_ended(AXO__CONTAINER_OF(handle, axo_process_t, process), (int)code,
                     signum);
}

void axo_process_cancel(axo_process_t *p) {
  if (p->finished || p->cancelled)
    return;
  p->cancelled = true;
  /* From the loop, because no callback may fire before this call has returned. */
  if (p->phase == AXO__RUNNING)
    timer_start(&p->clock, on_deadline, 0);
}

void axo_process_close(axo_process_t *p) {
  if (p->finished)
    return;
  p->finished = true;
  if (p->carrier)
    p->carrier->release(p, false);
  axo__process_close_handles(p);
  if (p->exited || p->carrier)
    return;
  int rc = axo__kill_group(p->pid, SIGKILL);
  axo__reap(p->process.loop, p->pid, rc == 0);
}
