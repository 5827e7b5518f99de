#include "base/internal.h"
#include "process/process_util.h"

#include <stdlib.h>

struct axo_hangup {
  uv_poll_t poll;
  axo_hangup_cb cb; /* NULL once it was called, or is not to be called any more */
  void *data;
};

static void on_event(uv_poll_t *poll, int status, int events) {
  axo_hangup_t *watch = AXO__CONTAINER_OF(poll, axo_hangup_t, poll);
  axo_hangup_cb cb = watch->cb;
  (void)status;
  (void)events;
  uv_poll_stop(poll);
  watch->cb = NULL;
  if (cb)
    cb(watch->data);
}

/* No event but POLLERR and POLLHUP, which come unasked: what is written to has no
 * urgent data. */
int axo_hangup_watch(uv_loop_t *loop, int fd, axo_hangup_cb cb, void *data,
                     axo_hangup_t **out, axo_err_t *err) {
  axo_hangup_t *watch = calloc(1, sizeof *watch);
  int rc = watch ? uv_poll_init(loop, &watch->poll, fd) : UV_ENOMEM;
  if (!watch || rc != 0) {
    free(watch);
    return axo__err_set(err, rc, "hangup", NULL, "descriptor %d: %s", fd,
                        uv_strerror(rc));
  }
  watch->poll.data = NULL;
  watch->cb = cb;
  watch->data = data;
  uv_poll_start(&watch->poll, UV_PRIORITIZED, on_event);
  uv_unref((uv_handle_t *)&watch->poll);
  *out = watch;
  return 0;
}

static void on_closed(uv_handle_t *handle) {
  free(AXO__CONTAINER_OF(handle, axo_hangup_t, poll));
}

void axo_hangup_close(axo_hangup_t *watch) {
  watch->cb = NULL;
  uv_close((uv_handle_t *)&watch->poll, on_closed);
}
