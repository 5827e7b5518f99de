/* process_impl.h: the inside of a child process, shared by process*.c alone. */
#ifndef AXO_PROCESS_IMPL_H
#define AXO_PROCESS_IMPL_H

#include "process/process_util.h"

typedef void (*axo__output_cb)(axo_process_t *p);

/* stdout or stderr, as far as we hold its reading end. */
typedef struct axo__output {
  uv_poll_t poll;
  axo_process_t *owner;
  int fd;
  int stream; /* AXO_STDOUT, AXO_STDERR */
  bool is_open;
  bool truncated;
  char *kept;
  size_t kept_len;
  size_t kept_room;
  uint64_t total;
  axo__output_cb on_end, on_limit;
} axo__output_t;

/* stdin, as far as we hold its writing end. */
typedef struct axo__input {
  uv_poll_t poll;
  int fd;
  bool is_open;
  bool is_polling;
  bool ends; /* close it once the queue is empty */
  axo__queue_t queue;
} axo__input_t;

typedef enum axo__phase {
  AXO__RUNNING, /* `clock` runs to the deadline, if there is one */
  AXO__ENDING,  /* asked to end; `clock` runs to SIGKILL */
  AXO__KILLED
} axo__phase_t;

/* What runs the child, when it is not this host's kernel but a guest. */
typedef struct axo__carrier {
  /* Signals the child and all that it started. */
  int (*signal)(axo_process_t *p, int signum);
  /* It was sent SIGKILL: axo__process_ended or axo__process_give_up is to come soon. */
  void (*killed)(axo_process_t *p);
  /* Whether something that it started may still run. */
  bool (*left)(const axo_process_t *p);
  /* Asks how much of that does: `left_running`, then axo__process_counted. False: it
   * cannot be asked. */
  bool (*count)(axo_process_t *p);
  /* The process object is done with it; called once. What was not over is killed now,
   * and what is left as well where the command `ends` by our doing. */
  void (*release)(axo_process_t *p, bool ends);
} axo__carrier_t;

/* Starts the child with these descriptors as its own; -1 is /dev/null or, for stderr,
 * stdout's. */
typedef int (*axo__starter_t)(axo_process_t *p, const int fds[3], void *data);

struct axo_process {
  const axo__carrier_t *carrier; /* NULL: a child of this process */
  void *remote;                  /* the carrier's */
  axo_err_t failure; /* code 0: none. Why it never ran, or what became of it */
  int pid;
  uv_process_t process;
  uv_timer_t clock;
  uv_timer_t drain;
  axo__input_t in;
  axo__output_t out[2];
  axo_process_options_t options; /* argv, env, cwd and input are not to be used */
  axo__phase_t phase;
  unsigned handles; /* open uv handles; the last one's close callback frees */
  bool exited;
  bool finished; /* on_exit was called, or never will be: no more callbacks */
  bool timed_out;
  bool cancelled;
  bool limit_hit;
  enum { AXO__UNCOUNTED, AXO__COUNTING, AXO__COUNTED } count;
  unsigned left_running;
  int code;
  int signal;
  uint64_t started; /* uv_hrtime */
};

/* process.c */
int axo__process_start(uv_loop_t *loop, const axo_process_options_t *options,
                       axo__starter_t starter, void *data, axo_process_t **out);

/* process_io.c */
/* One of its handles is closed: with the last, it is freed. */
void axo__process_release(axo_process_t *p);
int axo__output_init(axo_process_t *p, int stream, int fd);
/* `on_end` is told that nothing more comes, `on_limit` that the process is to end
 * because it wrote too much. */
void axo__output_start(axo__output_t *out, axo__output_cb on_end,
                       axo__output_cb on_limit);
/* Reads what is there already, within AXO__READ_REST. Whether that was all. */
bool axo__output_rest(axo__output_t *out);
void axo__output_close(axo__output_t *out);
int axo__input_init(axo_process_t *p, int fd);
/* Writes what is queued, now or when stdin takes it; closes it when that is all. */
void axo__input_start(axo_process_t *p);
void axo__input_close(axo_process_t *p);

/* process_end.c */
void axo__process_watch(axo_process_t *p);
void axo__process_on_exit(uv_process_t *handle, int64_t code, int signum);
/* Signals the child and what it started. */
int axo__process_kill(axo_process_t *p, int signum);
/* The child has ended. */
void axo__process_ended(axo_process_t *p, int code, int signum);
/* How much is left of it has been told. */
void axo__process_counted(axo_process_t *p);
/* Nothing writes any more: what is in the pipes is all. */
void axo__process_take_rest(axo_process_t *p);
/* Whether it ends is not known, and will not be: it is left. */
void axo__process_give_up(axo_process_t *p);
/* Asks it to end, and sees to it that it does. */
void axo__process_end(axo_process_t *p);
/* Finishes when it has exited and both streams are at their end. */
void axo__process_settle(axo_process_t *p);
void axo__process_close_handles(axo_process_t *p);

#endif /* AXO_PROCESS_IMPL_H */
