#include "base/sigpipe.h"

static bool is_pending(void) {
  sigset_t set;
  sigemptyset(&set);
  sigpending(&set);
  return sigismember(&set, SIGPIPE) == 1;
}

void axo__sigpipe_hold(axo__sigpipe_t *guard) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, &guard->mask);
  /* One that was not blocked would have come before. */
  guard->was_pending = sigismember(&guard->mask, SIGPIPE) == 1 && is_pending();
}

void axo__sigpipe_release(axo__sigpipe_t *guard, bool raised) {
  if (raised && !guard->was_pending && is_pending()) {
    sigset_t set;
    int signum;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigwait(&set, &signum);
  }
  pthread_sigmask(SIG_SETMASK, &guard->mask, NULL);
}
