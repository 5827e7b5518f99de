/* The pipes that bytes go through, lent to whoever has some to pass on. */
#include "net/net_impl.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* How many are kept open that nobody uses. */
#define IDLE_MAX 2

static bool open_pipe(int fds[2]) {
  if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0)
    return false;
  if (!axo__fd_is_of_the_last(fds[1]))
    return true;
  close(fds[0]);
  close(fds[1]);
  return false;
}

static axo__pipe_t *new_pipe(axo__pool_t *pool) {
  axo__pipe_t *made = calloc(1, sizeof *made);
  if (!made || !open_pipe(made->fds)) {
    free(made);
    return NULL;
  }
  /* A user may have no more in pipes than pipe-user-pages-soft says: a smaller one does
   * as well, at more turns. */
  fcntl(made->fds[1], F_SETPIPE_SZ, (int)AXO__CHUNK);
  pool->open++;
  return made;
}

static void close_pipe(axo__pool_t *pool, axo__pipe_t *pipe) {
  close(pipe->fds[0]);
  close(pipe->fds[1]);
  free(pipe);
  pool->open--;
}

static unsigned count_idle(const axo__pool_t *pool) {
  unsigned count = 0;
  for (const axo__pipe_t *pipe = pool->idle; pipe; pipe = pipe->next)
    count++;
  return count;
}

void axo__pool_close(axo__pool_t *pool) {
  while (pool->idle) {
    axo__pipe_t *pipe = pool->idle;
    pool->idle = pipe->next;
    close_pipe(pool, pipe);
  }
}

axo__pipe_t *axo__pool_lend(axo__pool_t *pool) {
  axo__pipe_t *pipe = pool->idle;
  if (pipe)
    pool->idle = pipe->next;
  else if (pool->open < pool->max)
    pipe = new_pipe(pool);
  return pipe;
}

void axo__pool_return(axo__pool_t *pool, axo__pipe_t *pipe, bool is_empty) {
  if (!is_empty || count_idle(pool) >= IDLE_MAX) {
    close_pipe(pool, pipe);
    return;
  }
  pipe->next = pool->idle;
  pool->idle = pipe;
}
