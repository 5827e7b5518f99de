/* sigpipe.h: writing to what may have no reader, in a library that leaves the process's
 * disposition of signals alone. */
#ifndef AXO_SIGPIPE_H
#define AXO_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

/* SIGPIPE is blocked in this thread for the write, and taken back if it came by it. */
typedef struct axo__sigpipe {
  sigset_t mask;
  bool was_pending;
} axo__sigpipe_t;

void axo__sigpipe_hold(axo__sigpipe_t *guard);
/* `raised`: the write said EPIPE. */
void axo__sigpipe_release(axo__sigpipe_t *guard, bool raised);

#endif /* AXO_SIGPIPE_H */
