#include "process/process_impl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT_ROOM_MIN ((size_t)4096)

void axo__process_release(axo_process_t *p) {
  if (--p->handles > 0)
    return;
  free(p->out[0].kept);
  free(p->out[1].kept);
  axo__queue_clear(&p->in.queue);
  free(p);
}

/* ---- stdout and stderr ----------------------------------------------------------- */

static bool is_streamed(const axo__output_t *out) {
  const axo_process_options_t *options = &out->owner->options;
  return options->on_output &&
         (options->streams == 0 || options->streams & out->stream);
}

/* Room for `len` bytes and a NUL. */
static bool kept_reserve(axo__output_t *out, size_t len) {
  if (len < out->kept_room)
    return true;
  size_t room = out->kept_room < SIZE_MAX / 2 ? out->kept_room * 2 : len + 1;
  if (room < KEPT_ROOM_MIN)
    room = KEPT_ROOM_MIN;
  if (room < len + 1)
    room = len + 1;
  char *kept = realloc(out->kept, room);
  if (!kept)
    return false;
  out->kept = kept;
  out->kept_room = room;
  return true;
}

static void keep(axo__output_t *out, const char *bytes, size_t len) {
  axo_process_t *p = out->owner;
  size_t wanted = p->options.max_output - out->kept_len;
  if (wanted > len)
    wanted = len;
  if (!kept_reserve(out, out->kept_len + wanted))
    wanted = 0;
  if (wanted > 0) {
    memcpy(out->kept + out->kept_len, bytes, wanted);
    out->kept_len += wanted;
    out->kept[out->kept_len] = '\0';
  }
  if (wanted == len)
    return;
  out->truncated = true;
  if (p->options.on_limit != AXO_LIMIT_KILL || p->limit_hit)
    return;
  p->limit_hit = true;
  out->on_limit(p);
}

static void take(axo__output_t *out, const char *bytes, size_t len) {
  axo_process_t *p = out->owner;
  out->total += len;
  if (p->options.ring)
    axo_ring_write(p->options.ring, bytes, len);
  if (is_streamed(out)) {
    p->options.on_output(p, out->stream, bytes, len);
  } else if (!p->options.ring) {
    keep(out, bytes, len);
  }
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  axo__output_t *out = AXO__CONTAINER_OF(poll, axo__output_t, poll);
  char buf[AXO__READ_SIZE];
  (void)status;
  (void)events;
  for (int turn = 0; turn < AXO__READ_TURNS; turn++) {
    ssize_t n = axo__read(out->fd, buf, sizeof buf);
    if (n == UV_EAGAIN)
      return;
    if (n <= 0) {
      axo__output_close(out);
      out->on_end(out->owner);
      return;
    }
    take(out, buf, (size_t)n);
    if (!out->is_open || (size_t)n < sizeof buf)
      return;
  }
}

bool axo__output_rest(axo__output_t *out) {
  char buf[AXO__READ_SIZE];
  for (size_t seen = 0; out->is_open && seen < AXO__READ_REST;) {
    ssize_t n = axo__read(out->fd, buf, sizeof buf);
    if (n == UV_EAGAIN)
      return true;
    if (n <= 0) {
      axo__output_close(out);
      return true;
    }
    seen += (size_t)n;
    take(out, buf, (size_t)n);
  }
  return !out->is_open;
}

static void on_output_closed(uv_handle_t *handle) {
  axo__process_release(AXO__CONTAINER_OF(handle, axo__output_t, poll)->owner);
}

int axo__output_init(axo_process_t *p, int stream, int fd) {
  axo__output_t *out = &p->out[stream - 1];
  int rc = uv_poll_init(p->process.loop, &out->poll, fd);
  if (rc != 0)
    return rc;
  out->poll.data = NULL;
  out->owner = p;
  out->stream = stream;
  out->fd = fd;
  out->is_open = true;
  p->handles++;
  return 0;
}

void axo__output_start(axo__output_t *out, axo__output_cb on_end,
                       axo__output_cb on_limit) {
  out->on_end = on_end;
  out->on_limit = on_limit;
  if (out->is_open)
    uv_poll_start(&out->poll, UV_READABLE, on_readable);
}

void axo__output_close(axo__output_t *out) {
  if (!out->is_open)
    return;
  out->is_open = false;
  uv_handle_t *handle = (uv_handle_t *)&out->poll;
  if (!uv_is_closing(handle))
    uv_close(handle, on_output_closed);
  close(out->fd);
}

/* ---- stdin ----------------------------------------------------------------------- */

static void on_writable(uv_poll_t *poll, int status, int events) {
  axo_process_t *p = AXO__CONTAINER_OF(poll, axo_process_t, in.poll);
  (void)events;
  /* POLLERR: the last reader is gone. */
  int rc = status < 0 ? UV_EPIPE : axo__queue_flush(&p->in.queue, p->in.fd);
  if (rc == UV_EAGAIN)
    return;
  if (rc != 0 || p->in.ends) {
    axo__input_close(p);
  } else {
    uv_poll_stop(&p->in.poll);
    p->in.is_polling = false;
  }
  if (rc == 0 && !p->in.ends && p->options.on_drain)
    p->options.on_drain(p);
}

static void on_input_closed(uv_handle_t *handle) {
  axo__process_release(AXO__CONTAINER_OF(handle, axo_process_t, in.poll));
}

int axo__input_init(axo_process_t *p, int fd) {
  int rc = uv_poll_init(p->process.loop, &p->in.poll, fd);
  if (rc != 0)
    return rc;
  p->in.poll.data = NULL;
  p->in.fd = fd;
  p->in.is_open = true;
  p->handles++;
  return 0;
}

void axo__input_start(axo_process_t *p) {
  if (!p->in.is_open || p->in.is_polling)
    return;
  if (axo__queue_size(&p->in.queue) > 0) {
    p->in.is_polling = true;
    uv_poll_start(&p->in.poll, UV_WRITABLE, on_writable);
  } else if (p->in.ends) {
    axo__input_close(p);
  }
}

void axo__input_close(axo_process_t *p) {
  if (!p->in.is_open)
    return;
  p->in.is_open = false;
  axo__queue_clear(&p->in.queue);
  uv_handle_t *handle = (uv_handle_t *)&p->in.poll;
  if (!uv_is_closing(handle))
    uv_close(handle, on_input_closed);
  close(p->in.fd);
}
