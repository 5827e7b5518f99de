/* process_util.h: what child processes and pseudo-terminals share: a queue of bytes to
 * write, signals, exits. Private to core. */
#ifndef AXO_PROCESS_UTIL_H
#define AXO_PROCESS_UTIL_H

#include "base/internal.h"

/* Its versions differ on this. */
/* clang-format off */
#define AXO__CONTAINER_OF(ptr, type, member)                                           \
  ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
/* clang-format on */

/* Read at a time: what a pipe holds by default. It lies on the stack of the callback,
 * so that a thousand idle children have no buffers. */
#define AXO__READ_SIZE ((size_t)64 * 1024)
/* Reads before the loop gets its turn. */
#define AXO__READ_TURNS 16
/* Read at most once the time to drain is up: no pipe of an unprivileged process holds
 * more, so that whatever the child wrote before it ended is always seen. */
#define AXO__READ_REST ((size_t)1024 * 1024)

#define AXO__DRAIN_MS 250
#define AXO__GRACE_MS 2000

/* Bytes on their way into a descriptor. Zero-initialised is empty. */
typedef struct axo__queue {
  char *data;
  size_t start;
  size_t end;
  size_t room;
} axo__queue_t;

/* Appends a copy. UV_ENOMEM. */
int axo__queue_push(axo__queue_t *queue, const void *data, size_t len);
size_t axo__queue_size(const axo__queue_t *queue);
void axo__queue_clear(axo__queue_t *queue);
/* Writes what `fd` takes. 0 when the queue is empty, UV_EAGAIN when the rest must wait
 * until `fd` is writable, or an error. Never raises SIGPIPE. */
int axo__queue_flush(axo__queue_t *queue, int fd);

/* read(2): the count, 0 at the end, UV_EAGAIN, or an error. */
ssize_t axo__read(int fd, char *buf, size_t len);

/* Signals the process group `pid` leads. */
int axo__kill_group(int pid, int signum);

/* Reaps a child that is abandoned: now if it has ended, else, when it `dies`, on a
 * thread of the pool, so that no handle has to stay open for it. */
void axo__reap(uv_loop_t *loop, int pid, bool dies);

/* Why `file` could not be started in `cwd`, in words; returns `code`. */
int axo__start_error(axo_err_t *err, int code, const char *op, const char *file,
                     const char *cwd);

#endif /* AXO_PROCESS_UTIL_H */
