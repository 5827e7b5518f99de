/* Lanes, as PID 1 sees them: a supervisor lent to a host, which then gives it one
 * command after the other, and of which nothing is heard here until it is given back,
 * killed or lost. A lane is work like any other: signals find its tree, and it dies
 * with its link. */
#include "guest.h"

#include <sys/socket.h>
#include <unistd.h>

/* A supervisor that cannot be told is of no use. */
static bool tell_sup(const struct work *w, uint8_t type, const int *fd) {
  axo_packet_t head = {AXO_PROTO_VERSION, type, 0, 0, 0};
  return packet_send(g.sups[w->sup].fd, &head, NULL, fd, fd ? 1 : 0) == 0;
}

/* Where it cannot be told, what is left waits when its pipe is full. */
void sup_drain(const struct work *w) {
  if (w->sup >= 0)
    (void)tell_sup(w, AXO_REQ_FORGET, NULL);
}

static bool is_asked_for(const struct work *w) {
  for (int i = 0; i < SUBS_MAX; i++)
    if (w->subs[i].link >= 0)
      return true;
  return false;
}

bool lane_begin(struct work *w, const struct sup_report *r) {
  int pair[2];
  if (r->type != SUP_EXITED || !r->idle || !w->lane_wanted || w->killing ||
      !is_asked_for(w) ||
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
    return false;
  bool told = tell_sup(w, SUP_LANE, &pair[1]);
  close(pair[1]);
  if (!told) {
    close(pair[0]);
    return false;
  }
  w->lent = true;
  w->lane_fd = pair[0];
  return true;
}

void lane_begun(struct work *w) {
  close(w->lane_fd);
  w->lane_fd = -1;
  w->state = AXO_WORK_RUNNING;
  w->exit_known = false;
  for (int i = 0; i < SUBS_MAX; i++)
    w->subs[i].told = 0;
}

void lane_end(struct work *w) {
  if (w->sup < 0 || w->lent_ending)
    return;
  w->lent_ending = true;
  if (!tell_sup(w, AXO_REQ_FORGET, NULL))
    sup_abandon(w->sup);
}

void lane_over(struct work *w) {
  w->lent = false;
  if (w->lane_fd >= 0) { /* the host was never told of it */
    close(w->lane_fd);
    w->lane_fd = -1;
  } else if (!w->exit_known) {
    /* To a host that still waits for a command of it: that one did not end well. */
    w->exited = (axo_exited_t){.code = -1, .signal = SIGKILL};
    w->exit_known = true;
  }
}
