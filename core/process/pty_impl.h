/* pty_impl.h: the inside of a pseudo-terminal, shared by pty*.c and its test. */
#ifndef AXO_PTY_IMPL_H
#define AXO_PTY_IMPL_H

#include "process/process_util.h"

#include <sys/types.h>

/* Notices the exit of one child: by its pidfd, or by SIGCHLD where there is none. */
typedef struct axo__watch axo__watch_t;
struct axo__watch {
  union {
    uv_handle_t handle;
    uv_poll_t poll;
    uv_signal_t signal;
  } uv;
  uv_loop_t *loop;
  pid_t pid;
  int pidfd;
  bool by_signal;
  bool is_open;                                     /* there is a uv handle */
  void (*on_exit)(axo__watch_t *watch, int status); /* once; as of waitpid, or -1 */
};

/* Before the fork, so that no SIGCHLD is missed. `pidfd` false: not even if there are.
 */
int axo__watch_init(axo__watch_t *watch, uv_loop_t *loop, bool pidfd);
/* After it. */
int axo__watch_start(axo__watch_t *watch, pid_t pid,
                     void (*on_exit)(axo__watch_t *, int));
/* False when there was nothing to close and `cb` will not be called. */
bool axo__watch_close(axo__watch_t *watch, uv_close_cb cb);

typedef struct axo__terminal {
  int master; /* O_NONBLOCK, O_CLOEXEC */
  int slave;  /* kept open while the child lives: see pty.c */
} axo__terminal_t;

/* A new terminal of that size. */
int axo__terminal_open(axo__terminal_t *terminal, uint16_t rows, uint16_t cols);
void axo__terminal_make_raw(const axo__terminal_t *terminal);
int axo__terminal_resize(const axo__terminal_t *terminal, uint16_t rows, uint16_t cols);
/* Runs options->argv on it. Returns once the child has executed its program, or says
 * why it could not. */
int axo__terminal_run(const axo__terminal_t *terminal, const axo_pty_options_t *options,
                      pid_t *pid, axo_err_t *err);

/* axo_pty_spawn, choosing how the exit is noticed. */
int axo__pty_spawn(uv_loop_t *loop, const axo_pty_options_t *options, bool pidfd,
                   axo_pty_t **out, axo_err_t *err);

#endif /* AXO_PTY_IMPL_H */
