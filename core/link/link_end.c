/* The end of a connection, and of what was in flight on it. */
#include "link/link_impl.h"
#include "process/process_util.h"

#include <stdlib.h>
#include <unistd.h>

static void on_peer_closed(uv_handle_t *handle) {
  axo__peer_t *peer = AXO__CONTAINER_OF(handle, axo__peer_t, poll);
  axo__link_release(peer->link);
  free(peer);
}

void axo__peer_close(axo_link_t *link) {
  axo__peer_t *peer = link->peer;
  if (!peer)
    return;
  link->peer = NULL;
  link->up = false;
  uv_close((uv_handle_t *)&peer->poll, on_peer_closed);
  close(peer->fd);
  axo__outbox_clear(link);
}

void axo__calls_fail(axo_link_t *link) {
  for (unsigned i = 0; i < AXO__CALLS_MAX; i++) {
    axo__call_t *call = link->calls[i];
    if (!call)
      continue;
    axo__call_end(call);
    call->on_packet(call, NULL);
  }
}

void axo__link_down(axo_link_t *link, const axo_err_t *why) {
  bool was_up = link->up;
  link->handles++; /* a callback may close the link */
  axo__peer_close(link);
  if (was_up) {
    axo__calls_fail(link);
    if (!link->closed && link->options.on_down)
      link->options.on_down(link, why);
  }
  axo__link_release(link);
}
