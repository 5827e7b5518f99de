/* axo.h: the public face of the axosandbox core; axo_net.h, which it includes, has the
 * network.
 *
 * Conventions, true of every prototype unless it says otherwise:
 * - Functions return 0 or a negative UV_E* code. Those that can explain a failure take
 * a last `axo_err_t *err` (may be NULL), written on failure only.
 * - The library never prints, exits or aborts, and keeps no global mutable state.
 * - Strings passed in are borrowed for the call; what must live longer is copied.
 * - Objects on a loop belong to that loop's thread. A callback never fires before the
 * call that armed it has returned, and an `on_exit` fires exactly once.
 * - Times are milliseconds, sizes are bytes, unless the name says otherwise.
 */
#ifndef AXO_H
#define AXO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#if defined(__GNUC__)
#define AXO_EXTERN __attribute__((visibility("default")))
#else
#define AXO_EXTERN
#endif

/* ---- errors (error.c) ------------------------------------------------------------ */

#define AXO_MESSAGE_MAX 1024
#define AXO_HINT_MAX 512

/* What went wrong, in words a person can act on. Plain data: copy it freely. */
typedef struct axo_err {
  int code;                      /* negative UV_E* */
  const char *op;                /* static string: what was attempted, e.g. "spawn" */
  char message[AXO_MESSAGE_MAX]; /* what and why; one line, no trailing newline */
  char hint[AXO_HINT_MAX];       /* what to do next; "" when there is nothing to say */
  int stage;                     /* of a guest's refusal: enum axo_stage; else 0 */
} axo_err_t;

#define AXO_CODE_TEXT_MAX 96
/* The name ("ENOSPC") and the words of a UV_E* code, also of what libuv has none for
 * ("EDQUOT", or "E188"). Written into `buf`, which they return; nothing is allocated.
 */
AXO_EXTERN const char *axo_code_name(int code, char *buf, size_t size);
AXO_EXTERN const char *axo_code_text(int code, char *buf, size_t size);
/* What to do about it, where the code alone says so; else NULL. Static. */
AXO_EXTERN const char *axo_code_hint(int code);

/* The library's semantic version, e.g. "0.1.0". Static. */
AXO_EXTERN const char *axo_version(void);

/* ---- text (text.c) --------------------------------------------------------------- */

#define AXO_NO_CHARACTER UINT32_MAX

/* What a terminal obeys or does not show, in text of others: the one place that says.
 * Returns how many bytes at `text` (which ends in NUL; NUL itself counts as one of
 * them) may not be shown as they are, and 0 when the character there may. `character`
 * gets the character; AXO_NO_CHARACTER for a byte that is no UTF-8. */
AXO_EXTERN size_t axo_text_unseen(const char *text, uint32_t *character);

/* ---- argument vectors (argv*.c) -------------------------------------------------- */

/* An owned, NULL-terminated argument vector. Building one has no side effects, but for
 * the one file that axo_argv_run writes. */
typedef struct axo_argv axo_argv_t;

/* The strings, NULL-terminated; owned by `argv`, valid until axo_argv_free. */
AXO_EXTERN char *const *axo_argv_items(const axo_argv_t *argv);
/* How many strings, without the terminator. */
AXO_EXTERN size_t axo_argv_count(const axo_argv_t *argv);
/* Frees it; NULL is allowed. */
AXO_EXTERN void axo_argv_free(axo_argv_t *argv);

/* `key=value`. Keys of the environment are [A-Za-z_][A-Za-z0-9_]*; keys of labels are
 * [a-z0-9]([a-z0-9._-]*[a-z0-9])?. Values carry any byte but NUL (labels: nor newline).
 */
typedef struct axo_pair {
  const char *key;
  const char *value;
} axo_pair_t;

/* A bind mount. Both paths absolute and without "..", the target not "/"; a newline is
 * refused, anything else is quoted for podman's CSV. */
typedef struct axo_mount {
  const char *source;
  const char *target;
  bool read_only;
} axo_mount_t;

/* A TCP port published on `address` (an IPv4 or IPv6 literal, never empty). */
typedef struct axo_port {
  const char *address;
  uint16_t host;
  uint16_t container;
} axo_port_t;

/* A resource limit for --ulimit; `name` without the RLIMIT_ prefix, e.g. "nofile". */
typedef struct axo_ulimit {
  const char *name;
  uint64_t soft;
  uint64_t hard;
} axo_ulimit_t;

/* A range of users, or of groups, of a container: `id` is the one that whoever runs
 * podman is in there (root, unless it says otherwise), of `count` in all. */
typedef struct axo_id_map {
  uint32_t id;
  uint32_t count;
} axo_id_map_t;

/* Everything `podman run -d` is told. Zero-initialise, then fill in. The hardening
 * floor (no-new-privileges, the capability drops, the profile of system calls, no
 * healthcheck, no systemd mode) is emitted by the builder itself: no field turns it
 * off, and two give back a named part of it. */
typedef struct axo_run_spec {
  const char *name;  /* required: [A-Za-z0-9][A-Za-z0-9_.-]{0,127} */
  const char *image; /* required: a reference that axo_reference_parse accepts;
                        emitted in full, by its digest alone if it has one */
  const char *const
      *command;        /* NULL-terminated; replaces ENTRYPOINT and CMD; required */
  const char *workdir; /* absolute, or NULL */
  const char *user;    /* NAME|UID[:GROUP|GID], or NULL for the image's */
  const char *network; /* "bridge" or "none"; NULL is "none" */
  const char *runtime; /* OCI runtime name or absolute path, or NULL */
  const char *pull;    /* "never", "missing" or "always"; NULL is "never" */
  const char *pidfile; /* absolute path that podman writes, or NULL */
  const char *cidfile; /* absolute path that podman writes, or NULL */
  const char *seccomp; /* required: an absolute path in a directory that nobody else may
                          write, where podman (if it is elsewhere, too) can read it. The
                          builder writes the profile there, in place of what is there;
                          remove it once podman has ended */
  const axo_mount_t *mounts;
  size_t mount_count;
  const axo_pair_t *env;
  size_t env_count;
  const axo_pair_t *labels;
  size_t label_count;
  const axo_port_t *ports;
  size_t port_count;
  const axo_ulimit_t *ulimits;
  size_t ulimit_count;
  uint64_t memory;        /* bytes; 0 leaves it out */
  uint64_t shm_size;      /* of /dev/shm in bytes; 0 leaves it to podman */
  double cpus;            /* CPUs; 0 leaves it out */
  int64_t pids;           /* processes; 0 leaves it out */
  bool init;              /* --init: podman's own reaper as PID 1 */
  bool http_proxy;        /* pass the host's proxy variables in; podman's default is
                             true, ours is false: they often carry credentials */
  bool setuid;            /* set-id bits may be set on files. Never where a user of the
                             host may run what root of the container leaves behind */
  bool nested_namespaces; /* user namespaces, mounts in them, and CAP_SETFCAP */
  axo_id_map_t users;     /* both or none: for a podman that is not root's. A `count` */
  axo_id_map_t groups;    /* of 0 leaves them to podman */
} axo_run_spec_t;

/* One `podman exec`. */
typedef struct axo_exec_spec {
  const char *container;      /* required: name or id */
  const char *const *command; /* required, NULL-terminated, at least one item */
  const char *workdir;        /* absolute, or NULL */
  const char *user;           /* as in axo_run_spec_t, or NULL */
  const axo_pair_t *env;
  size_t env_count;
  /* Names, NULL-terminated, or NULL: podman takes their values from its own
   * environment, so that they are in no argument. */
  const char *const *env_names;
  bool interactive; /* keep stdin open */
  bool tty;         /* allocate a terminal; detach keys are always off */
} axo_exec_spec_t;

/* Builders. `podman` is the program to run: an absolute path, or a bare name. Nothing
 * that begins with '-' is accepted where a name, an image, a user or a path belongs, no
 * argument may exceed the kernel's 128 KiB (MAX_ARG_STRLEN), and every one is UTF-8:
 * podman, which passes them on as JSON, would silently alter other bytes. Fail with
 * UV_EINVAL (a value that can never be right), UV_E2BIG or UV_ENOMEM. */
AXO_EXTERN int axo_argv_run(const char *podman, const axo_run_spec_t *spec,
                            axo_argv_t **out, axo_err_t *err);
AXO_EXTERN int axo_argv_exec(const char *podman, const axo_exec_spec_t *spec,
                             axo_argv_t **out, axo_err_t *err);
/* Removes at once (SIGKILL, no ten-second wait), with anonymous volumes. */
AXO_EXTERN int axo_argv_rm(const char *podman, const char *container, axo_argv_t **out,
                           axo_err_t *err);
/* The same of several, a NULL-terminated list: podman removes them side by side, and
 * prints the name of each that is gone. */
AXO_EXTERN int axo_argv_rm_all(const char *podman, const char *const *containers,
                               axo_argv_t **out, axo_err_t *err);
/* Stops after `timeout_s` seconds of grace. */
AXO_EXTERN int axo_argv_stop(const char *podman, const char *container,
                             unsigned timeout_s, axo_argv_t **out, axo_err_t *err);
/* All containers, running or not, that carry the label `label` (NAME or NAME=VALUE), as
 * JSON. A value with a comma or a quote is UV_EINVAL: podman versions differ in how
 * they read it. */
AXO_EXTERN int axo_argv_ps(const char *podman, const char *label, axo_argv_t **out,
                           axo_err_t *err);
/* `kind` is "container" or "image"; the answer is JSON. An image that is here already
 * may be named by its full id as well, here and in axo_argv_image_exists. */
AXO_EXTERN int axo_argv_inspect(const char *podman, const char *kind, const char *name,
                                axo_argv_t **out, axo_err_t *err);
AXO_EXTERN int axo_argv_pull(const char *podman, const char *image, axo_argv_t **out,
                             axo_err_t *err);
AXO_EXTERN int axo_argv_image_exists(const char *podman, const char *image,
                                     axo_argv_t **out, axo_err_t *err);
/* Reads a root file system as a tar archive from stdin. `image` has no digest. */
AXO_EXTERN int axo_argv_import(const char *podman, const char *image, axo_argv_t **out,
                               axo_err_t *err);
/* Saves a container's root file system as `image`. */
AXO_EXTERN int axo_argv_commit(const char *podman, const char *container,
                               const char *image, axo_argv_t **out, axo_err_t *err);

/* ---- the profile of system calls (seccomp*.c) ------------------------------------ */

/* Which profile podman would use on this host, and ours is made from: that of
 * containers.conf, or the one installed with podman. Writes its path, or "" where there
 * is none: then it is one built in. Fails when the settings cannot be read or trusted.
 */
AXO_EXTERN int axo_seccomp_base(char *path, size_t size, axo_err_t *err);
/* The profile that axo_argv_run would write, as JSON; `free` it. */
AXO_EXTERN int axo_seccomp_profile(bool setuid_allowed, bool nested_namespaces,
                                   char **text, axo_err_t *err);

/* ---- mounts of a container (seal.c) ---------------------------------------------- */

/* Makes mounts of a container of this machine read-only, without set-id programs,
 * devices and execution: for as long as it runs, and for whatever is started in there.
 * `pid` is one of its processes, `paths` mount points as its mount table has them,
 * NULL-terminated. All are tried; the first that failed is reported. Blocks for the
 * milliseconds that a fork takes; UV_ETIMEDOUT after five seconds. Linux only:
 * UV_ENOTSUP elsewhere. */
AXO_EXTERN int axo_mounts_seal(int pid, const char *const *paths, axo_err_t *err);

/* ---- image references (reference.c) ---------------------------------------------- */

/* The OCI distribution grammar (github.com/distribution/reference): registry,
 * repository, tag, digest. Limits from there: 255 bytes of name, 128 of tag. */
typedef struct axo_reference {
  char registry[256];   /* "docker.io"; lower case; with ":port" when one was given */
  char repository[256]; /* "library/alpine" */
  char tag[129];        /* "" when only a digest was given, else "latest" by default */
  char digest[160];     /* "sha256:<64 hex>", or "" */
} axo_reference_t;

/* Parses and normalises `text` ("alpine" becomes docker.io/library/alpine:latest; a
 * registry is lower-cased, a repository must be lower case). Parsing what
 * axo_reference_format wrote gives the same reference again. Fails with UV_EINVAL and
 * leaves `out` alone. */
AXO_EXTERN int axo_reference_parse(const char *text, axo_reference_t *out,
                                   axo_err_t *err);
/* Writes registry/repository[:tag][@digest]; UV_ENOBUFS when `size` is too small. 800
 * bytes hold any reference. */
AXO_EXTERN int axo_reference_format(const axo_reference_t *ref, char *buf, size_t size);

/* ---- byte rings (ring.c) --------------------------------------------------------- */

/* A ring of bytes in memory that processes can share, addressed by absolute 64-bit
 * offsets that only grow. One writer; any number of readers, each of which owns its
 * cursor. The writer never waits: a reader that fell behind is told how many bytes it
 * lost. */
typedef struct axo_ring axo_ring_t;

#define AXO_RING_DEFAULT ((size_t)64 * 1024)
#define AXO_RING_MAX ((size_t)64 * 1024 * 1024)

/* A private ring; `capacity` is rounded up to a power of two of at least 4096.
 * UV_EINVAL above AXO_RING_MAX, UV_ENOMEM. */
AXO_EXTERN int axo_ring_new(size_t capacity, axo_ring_t **out);
/* Sizes the file (or memfd) behind `fd` and maps it for writing. `fd` stays the
 * caller's and may be closed afterwards... unless `bell` is set: then the ring keeps
 * its own duplicate and, after each write, writes one byte of its header through it, so
 * that an inotify watch on the file wakes. */
AXO_EXTERN int axo_ring_create_fd(int fd, size_t capacity, bool bell, axo_ring_t **out,
                                  axo_err_t *err);
/* Maps somebody else's ring read-only. The header is not trusted: a wrong magic, size
 * or capacity is UV_EINVAL, and a head that lies later never leads outside the mapping.
 */
AXO_EXTERN int axo_ring_open_fd(int fd, axo_ring_t **out, axo_err_t *err);
AXO_EXTERN void axo_ring_free(axo_ring_t *ring);
AXO_EXTERN size_t axo_ring_capacity(const axo_ring_t *ring);
/* Offset after the newest byte: also the count of all bytes ever written. */
AXO_EXTERN uint64_t axo_ring_head(const axo_ring_t *ring);
/* Offset of the oldest byte still held. */
AXO_EXTERN uint64_t axo_ring_tail(const axo_ring_t *ring);
/* Appends. UV_EPERM on a read-only ring. */
AXO_EXTERN int axo_ring_write(axo_ring_t *ring, const void *data, size_t len);
/* Copies up to `len` bytes from `*cursor` on, advances it past what was copied and past
 * what was lost, and adds the lost count to `*dropped`. A cursor beyond the head reads
 * nothing and is set back to the head. Returns the count copied. */
AXO_EXTERN size_t axo_ring_read(const axo_ring_t *ring, uint64_t *cursor, void *buf,
                                size_t len, uint64_t *dropped);

/* ---- child processes (process.c) ------------------------------------------------- */

typedef struct axo_process axo_process_t;

enum { AXO_STDOUT = 1, AXO_STDERR = 2 };

typedef enum axo_limit_action {
  AXO_LIMIT_TRUNCATE, /* keep the first max_output bytes, drain and drop the rest */
  AXO_LIMIT_KILL      /* the same, and end the process as if cancelled */
} axo_limit_action_t;

typedef struct axo_process_result {
  int code;              /* exit code; -1 when a signal ended it */
  int signal;            /* signal number; 0 with code -1: it could not be killed at its
                            deadline (it had become another user, or hangs in the kernel), and
                            was left */
  bool timed_out;        /* the deadline passed before the end */
  bool cancelled;        /* axo_process_cancel came before the end */
  bool limit_hit;        /* AXO_LIMIT_KILL acted */
  bool drain_cut;        /* a descendant held a pipe beyond the drain bound */
  unsigned left_running; /* axo_link_exec: processes that it started and that still run;
                            they go on, and what they write is dropped */
  const char *out[2];    /* collected stdout, stderr; borrowed for the callback */
  size_t out_len[2];
  bool truncated[2]; /* bytes were dropped from that stream */
  uint64_t total[2]; /* bytes seen on each stream, dropped ones included */
  uint64_t duration_us;
  const axo_err_t *failure; /* axo_link_exec: why it never ran, or that the guest has
                               gone, or does not answer (UV_ETIMEDOUT); NULL otherwise.
                               Borrowed for the callback */
} axo_process_result_t;

typedef struct axo_process_options {
  char *const *argv; /* required; argv[0] is looked up in PATH of `env` */
  char *const *env;  /* NULL-terminated "K=V"; NULL inherits */
  const char *cwd;   /* NULL inherits */
  bool stdin_pipe;   /* false: /dev/null */
  const void *input; /* with stdin_pipe: written first (copied, of any size); NULL
                        leaves stdin open, as input_more does */
  size_t input_len;
  bool input_more;     /* keep stdin open after `input`; else it is closed */
  uint64_t timeout_ms; /* covers everything, input and drain included; 0: none */
  uint64_t grace_ms;   /* from TERM (or on_deadline) to KILL; 0: 2000 */
  uint64_t drain_ms;   /* how long to wait for EOF after the exit; 0: 250 */
  size_t max_output;   /* kept bytes, each stream; 0: 1 MiB */
  axo_limit_action_t on_limit;
  bool merge_stderr; /* stderr goes into stdout's pipe */
  axo_ring_t *ring;  /* all output goes here instead of being collected; borrowed,
                        must outlive the process */
  void *data;
  /* A piece of output; when set, that stream is not collected (with a ring: called
   * after the ring was written). `stream` is AXO_STDOUT or AXO_STDERR. */
  void (*on_output)(axo_process_t *p, int stream, const char *bytes, size_t len);
  int streams; /* which streams on_output gets: AXO_STDOUT | AXO_STDERR; 0
                  is both. The other one is collected */
  /* The queue of stdin has emptied: time to write more. */
  void (*on_drain)(axo_process_t *p);
  /* The deadline passed, cancel was called or the limit was hit: replaces SIGTERM, for
   * those who end the work another way first. SIGKILL still follows after grace_ms. */
  void (*on_deadline)(axo_process_t *p);
  /* The end: the process has exited and its pipes are at EOF, or the drain bound has
   * passed. Exactly once; `p` frees itself after it returns. */
  void (*on_exit)(axo_process_t *p, const axo_process_result_t *result);
} axo_process_options_t;

/* Starts a child in a session of its own. A failure to start (UV_ENOENT, UV_EACCES,
 * ...) is returned and no callback fires. On success `*out` is valid until on_exit
 * returns or axo_process_close is called, whichever is first. */
AXO_EXTERN int axo_process_spawn(uv_loop_t *loop, const axo_process_options_t *options,
                                 axo_process_t **out, axo_err_t *err);
AXO_EXTERN void *axo_process_data(const axo_process_t *p);
AXO_EXTERN int axo_process_pid(const axo_process_t *p);
/* Queues a copy for stdin. UV_EPIPE when stdin is closed; UV_ENOBUFS when more than 16
 * MiB are queued. A reader that went away is not an error of the process. */
AXO_EXTERN int axo_process_write(axo_process_t *p, const void *data, size_t len);
/* Bytes queued for stdin. */
AXO_EXTERN size_t axo_process_queued(const axo_process_t *p);
/* Closes stdin once the queue is written. Idempotent. */
AXO_EXTERN int axo_process_close_stdin(axo_process_t *p);
/* Signals the child's process group. UV_ESRCH after its exit. */
AXO_EXTERN int axo_process_signal(axo_process_t *p, int signum);
/* As if the deadline had passed now, with `cancelled` set. Idempotent. */
AXO_EXTERN void axo_process_cancel(axo_process_t *p);
/* Abandons it: SIGKILL to the group; no callback fires any more. */
AXO_EXTERN void axo_process_close(axo_process_t *p);

/* ---- pseudo-terminals (pty.c) ---------------------------------------------------- */

typedef struct axo_pty axo_pty_t;

typedef struct axo_pty_options {
  char *const *argv; /* required */
  char *const *env;  /* NULL inherits */
  const char *cwd;
  uint16_t rows;     /* 0: 24 */
  uint16_t cols;     /* 0: 80 */
  bool raw;          /* no echo and no line discipline, from the start: for a child that
                        is but another terminal's keyboard and screen, as `podman exec -t`
                        is, so that nothing typed ahead is echoed twice */
  uint64_t drain_ms; /* as in axo_process_options_t */
  axo_ring_t *ring;  /* output goes here first; borrowed; may be NULL */
  void *data;
  void (*on_output)(axo_pty_t *pty, const char *bytes, size_t len);
  /* Exactly once, after exit *and* the last byte. `code` is -1 when a signal ended it;
   * with `signal` 0, somebody else has reaped it, and how it ended is lost. */
  void (*on_exit)(axo_pty_t *pty, int code, int signal);
} axo_pty_options_t;

/* Starts a child on a new terminal: its controlling terminal, of the given size before
 * exec. Failures of exec (UV_ENOENT, ...) are returned, and no callback fires. */
AXO_EXTERN int axo_pty_spawn(uv_loop_t *loop, const axo_pty_options_t *options,
                             axo_pty_t **out, axo_err_t *err);
AXO_EXTERN void *axo_pty_data(const axo_pty_t *pty);
AXO_EXTERN int axo_pty_pid(const axo_pty_t *pty);
/* Queues a copy as typed input. UV_ENOBUFS beyond 1 MiB queued, UV_EPIPE after the end.
 */
AXO_EXTERN int axo_pty_write(axo_pty_t *pty, const void *data, size_t len);
/* TIOCSWINSZ; the foreground group gets SIGWINCH. UV_EINVAL for 0. */
AXO_EXTERN int axo_pty_resize(axo_pty_t *pty, uint16_t rows, uint16_t cols);
/* Signals the child's session leader's group. */
AXO_EXTERN int axo_pty_signal(axo_pty_t *pty, int signum);
/* SIGHUP and SIGKILL to the group, closes the master; no callback fires any more. */
AXO_EXTERN void axo_pty_close(axo_pty_t *pty);

/* ---- a terminal's screen (screen.c) ---------------------------------------------- */

#define AXO_SCREEN_ROWS_MAX 500
#define AXO_SCREEN_COLS_MAX 1000
#define AXO_SCREEN_LINES_MAX 100000
#define AXO_SCREEN_TITLE_MAX 512
/* Six characters of four bytes a cell. */
#define AXO_SCREEN_ROW_MAX (AXO_SCREEN_COLS_MAX * 24)

/* What somebody would see who sat at a terminal, worked out of the bytes it was sent.
 * They may be anybody's: the text that comes out is UTF-8 without control characters
 * (axo_text_unseen; U+FFFD stands for those). Answers that they ask for are not sent.
 */
typedef struct axo_screen axo_screen_t;

typedef struct axo_screen_state {
  uint16_t rows, cols;
  uint16_t cursor_row, cursor_col; /* from 0 */
  bool cursor_visible;
  bool alternate;    /* on the alternate screen, as full-screen programs are */
  size_t lines;      /* kept of those that have scrolled off the top */
  uint64_t scrolled; /* how many ever have */
} axo_screen_state_t;

/* An empty one that keeps at most `lines` scrolled lines. UV_EINVAL for a size above
 * the limits, UV_ENOMEM. */
AXO_EXTERN int axo_screen_new(uint16_t rows, uint16_t cols, size_t lines,
                              axo_screen_t **out);
/* NULL is nothing. */
AXO_EXTERN void axo_screen_free(axo_screen_t *screen);
/* A sequence or a character may be cut anywhere. */
AXO_EXTERN void axo_screen_write(axo_screen_t *screen, const void *bytes, size_t len);
AXO_EXTERN int axo_screen_resize(axo_screen_t *screen, uint16_t rows, uint16_t cols);
AXO_EXTERN axo_screen_state_t axo_screen_state(const axo_screen_t *screen);
/* The title; its length. */
AXO_EXTERN size_t axo_screen_title(const axo_screen_t *screen,
                                   char out[AXO_SCREEN_TITLE_MAX]);
/* A row of the screen without blanks at its end; its length. Not terminated. */
AXO_EXTERN size_t axo_screen_row(const axo_screen_t *screen, uint16_t row,
                                 char out[AXO_SCREEN_ROW_MAX]);
/* A line that has scrolled off, 0 the oldest kept. Until the next write. */
AXO_EXTERN const char *axo_screen_line(const axo_screen_t *screen, size_t index,
                                       size_t *len);

/* ---- the link to a guest (link*.c; Linux) ---------------------------------------- */

/* The host's end of the link to one container's guest (core/guest,
 * core/link/protocol.h). */
typedef struct axo_link axo_link_t;

typedef struct axo_link_options {
  const char *dir; /* the session's link directory: absolute, private to this user */
  int guest_pid; /* the container's init, as this host numbers it: nobody else may speak
                  */
  uint64_t answer_ms; /* how long it may take to answer; 0: 30000. Then a request fails
                         with UV_ETIMEDOUT: a container can be paused. Not how long a
                         command may run */
  void *data;
  /* The guest has connected and greets: requests may be made. At most once; the socket
   * is then gone. */
  void (*on_up)(axo_link_t *link);
  /* The connection ended, once and for all, or this process has no descriptor for it;
   * all that was in flight was told so before. */
  void (*on_down)(axo_link_t *link, const axo_err_t *why);
  /* Another host has started a task or a terminal of this id. */
  void (*on_new)(axo_link_t *link, const char *name);
} axo_link_options_t;

/* Listens in `dir`; the guest finds the socket and connects. Neither the listening nor
 * an idle connection keeps the loop running. */
AXO_EXTERN int axo_link_open(uv_loop_t *loop, const axo_link_options_t *options,
                             axo_link_t **out, axo_err_t *err);
AXO_EXTERN void *axo_link_data(const axo_link_t *link);
AXO_EXTERN bool axo_link_is_up(const axo_link_t *link);
/* What axo_link_file works beneath from now on: an absolute path in the container,
 * without symbolic links. Where there is no such directory, it fails with UV_ESTALE.
 * Before this, the session's directory. 0, UV_EINVAL, UV_ENOMEM. */
AXO_EXTERN int axo_link_set_root(axo_link_t *link, const char *path);
/* Whom the guest runs as, inside; valid while it is up. Only a guest that is root (0)
 * can run commands as somebody else. */
AXO_EXTERN uint32_t axo_link_uid(const axo_link_t *link);
/* Closes it. What is in flight is told that the guest has gone; foreground commands die
 * with their link, tasks and terminals stay. */
AXO_EXTERN void axo_link_close(axo_link_t *link);

typedef enum axo_work_kind {
  AXO_EXEC = 1,
  AXO_TASK = 2,
  AXO_TERMINAL = 3
} axo_work_kind_t;

/* What the guest is to start. */
typedef struct axo_spawn_spec {
  axo_work_kind_t kind;
  char *const *argv;
  char *const *env; /* "K=V", over the container's own; or NULL */
  const char *cwd;  /* NULL: the container's */
  const char *user; /* NAME|UID[:GROUP|GID]; NULL: the container's */
  const char *name; /* tasks and terminals: the id, at most 31 bytes */
  size_t ring;      /* bytes; 0 is AXO_RING_DEFAULT */
  uint16_t rows;
  uint16_t cols;
} axo_spawn_spec_t;

/* Runs a foreground command: a process as axo_process_spawn makes one, but in the
 * container; `options` as there, its argv, env and cwd ignored. Signals go to the whole
 * tree. That the command could not be started arrives with on_exit as `failure`. */
AXO_EXTERN int axo_link_exec(axo_link_t *link, const axo_spawn_spec_t *spec,
                             const axo_process_options_t *options, axo_process_t **out,
                             axo_err_t *err);

/* How axo_link_owner calls a process of axo_link_exec: not 0, and never another's on
 * that link. 0 once the link has let go of it, and for a child of this process. */
AXO_EXTERN uint64_t axo_link_exec_id(const axo_process_t *p);

/* The answer to one request. Borrowed for the callback, but `fd` is the receiver's. */
typedef struct axo_answer {
  const axo_err_t *err; /* NULL: it went well */
  int fd;               /* AXO_FILE_OPEN, axo_link_socket; else -1 */
  const void *entries;  /* axo_link_list: axo_entry_t of core/link/protocol.h */
  size_t count;         /* of entries; of processes that a signal was sent to */
  const void *owner;    /* axo_link_owner: axo_owned_t of core/link/protocol.h */
} axo_answer_t;
typedef void (*axo_answer_cb)(void *data, const axo_answer_t *answer);

/* Signals a process of axo_link_exec; with `tree`, everything that it started, too.
 * `cb` (may be NULL) hears how many processes there were. UV_ESRCH after its end. */
AXO_EXTERN int axo_link_exec_signal(axo_process_t *p, int signum, bool tree,
                                    axo_answer_cb cb, void *data, axo_err_t *err);

/* A task or a terminal of the guest. */
typedef struct axo_work axo_work_t;

typedef struct axo_work_end {
  int code; /* -1 when a signal ended it, or when it is gone */
  int signal;
  bool gone; /* the link ended first: what became of it is not known */
  bool left; /* something that it started still runs: on_empty follows */
} axo_work_end_t;

typedef struct axo_work_options {
  const char *what; /* static: how messages call it */
  void *data;
  /* Tasks: stdin. `input` (borrowed for the call) is there whole, whatever becomes of
   * this process; with `stdin_pipe` it is what axo_work_write gives, until
   * axo_work_close_stdin or the end of this process. Otherwise there is none. */
  const void *input; /* NULL: none */
  size_t input_len;
  bool stdin_pipe;
  /* What was written to stdin, or typed, has been taken: time for more. */
  void (*on_drain)(axo_work_t *work);
  /* Exactly once: it runs (err NULL; axo_work_take_ring has it), or it does not. */
  void (*on_started)(axo_work_t *work, const axo_err_t *err);
  /* The ring has grown. */
  void (*on_output)(axo_work_t *work);
  /* Exactly once, after on_started without err. */
  void (*on_exit)(axo_work_t *work, const axo_work_end_t *end);
  /* At most once, after an on_exit with `left`: nothing of it runs any more. */
  void (*on_empty)(axo_work_t *work);
  /* A SIGKILL to the tree ran out its time: some of it cannot be killed, or the guest
   * does not answer. */
  void (*on_stuck)(axo_work_t *work);
} axo_work_options_t;

/* Asks the guest to start a task or a terminal; on_started says whether it has. */
AXO_EXTERN int axo_work_start(axo_link_t *link, const axo_spawn_spec_t *spec,
                              const axo_work_options_t *options, axo_work_t **out,
                              axo_err_t *err);
/* Takes up one that another process, or an earlier one, has started. */
AXO_EXTERN int axo_work_attach(axo_link_t *link, const char *name,
                               const axo_work_options_t *options, axo_work_t **out,
                               axo_err_t *err);
AXO_EXTERN void *axo_work_data(const axo_work_t *work);
/* Its output: read-only, and the caller's from now on. NULL before on_started, and when
 * it was taken already. */
AXO_EXTERN axo_ring_t *axo_work_take_ring(axo_work_t *work);
AXO_EXTERN int axo_work_pid(const axo_work_t *work);
/* Whether waiting for it keeps the loop running. It does until on_started. */
AXO_EXTERN void axo_work_hold(axo_work_t *work, bool hold);
/* `tree`: everything that it started, too; with SIGKILL until nothing is left. `cb`
 * (may be NULL) hears how many processes there were. UV_ESRCH after its end. */
AXO_EXTERN int axo_work_signal(axo_work_t *work, int signum, bool tree,
                               axo_answer_cb cb, void *data, axo_err_t *err);
/* Types on a terminal, or writes to a task's stdin. UV_ENOBUFS beyond 1 MiB queued,
 * UV_EPIPE after the end, and where there is no stdin. */
AXO_EXTERN int axo_work_write(axo_work_t *work, const void *data, size_t len);
/* Ends a task's stdin once what is queued has been taken. UV_EPIPE as above. */
AXO_EXTERN int axo_work_close_stdin(axo_work_t *work);
AXO_EXTERN int axo_work_resize(axo_work_t *work, uint16_t rows, uint16_t cols);
AXO_EXTERN int axo_work_size(const axo_work_t *work, uint16_t *rows, uint16_t *cols);
/* Lets go of it here; it runs on. No callback fires any more. */
AXO_EXTERN void axo_work_close(axo_work_t *work);

typedef enum axo_file_op {
  AXO_FILE_OPEN,
  AXO_FILE_UNLINK,
  AXO_FILE_RMDIR,
  AXO_FILE_MKDIR,
  AXO_FILE_RENAME,
  AXO_FILE_CHMOD /* of a file itself, not of what a link leads to */
} axo_file_op_t;

/* Paths are relative to the session's root and stay beneath it, whatever links say. */
typedef struct axo_file_request {
  axo_file_op_t op;
  const char *path;
  const char *to; /* AXO_FILE_RENAME */
  int flags;      /* AXO_FILE_OPEN: O_*; it never blocks on what it opens */
  unsigned mode; /* AXO_FILE_MKDIR and _CHMOD, and _OPEN with O_CREAT; no set-id bits */
} axo_file_request_t;

/* Asks the guest to act on a file. `cb` is called once, later, if this returns 0. */
AXO_EXTERN int axo_link_file(axo_link_t *link, const axo_file_request_t *file,
                             axo_answer_cb cb, void *data, axo_err_t *err);
/* Asks the guest for a socket of the container's network: AF_INET or AF_INET6 with
 * SOCK_STREAM or SOCK_DGRAM, or AF_NETLINK with SOCK_DGRAM, which is NETLINK_SOCK_DIAG.
 * The guest makes it and no more; the receiver may bind, listen and connect it, as if
 * it were in the container. It is what was asked for, non-blocking and close-on-exec,
 * but the guest may hold it, too, and make it one that waits again. While it is open,
 * the container's network stays. UV_EPROTONOSUPPORT, and UV_ENOTSUP of a guest too old
 * to know of it. */
AXO_EXTERN int axo_link_socket(axo_link_t *link, int domain, int type, axo_answer_cb cb,
                               void *data, axo_err_t *err);
/* Asks the guest which process has the socket of this inode open (as sock_diag tells
 * it), and of which work that is. Ask for one at a time: it looks at up to 8192
 * descriptors for it, and serves nobody else meanwhile. What it says is the container's
 * word. UV_ENOTSUP of a guest too old to know of it. */
AXO_EXTERN int axo_link_owner(axo_link_t *link, uint64_t inode, axo_answer_cb cb,
                              void *data, axo_err_t *err);
/* The tasks and terminals that the guest runs or remembers; with `name`, that one. */
AXO_EXTERN int axo_link_list(axo_link_t *link, const char *name, axo_answer_cb cb,
                             void *data, axo_err_t *err);
/* Kills everything in the container but the guest; answers when nothing is left. */
AXO_EXTERN int axo_link_kill_all(axo_link_t *link, axo_answer_cb cb, void *data,
                                 axo_err_t *err);

/* ---- a reader that goes away (hangup.c) ------------------------------------------ */

typedef struct axo_hangup axo_hangup_t;
typedef void (*axo_hangup_cb)(void *data);

/* Watches what `fd` writes to: `cb` is called once, when a pipe's last reader has gone
 * or a socket's or terminal's other end has. Does not keep the loop running. `fd`
 * becomes non-blocking, stays the caller's, and stays open until this is closed. */
AXO_EXTERN int axo_hangup_watch(uv_loop_t *loop, int fd, axo_hangup_cb cb, void *data,
                                axo_hangup_t **out, axo_err_t *err);
/* Also inside `cb`, which is not called any more. */
AXO_EXTERN void axo_hangup_close(axo_hangup_t *watch);

/* ---- podman (podman.c) ----------------------------------------------------------- */

/* Finds podman: `override` (a path, or a name to look up) when not NULL, else "podman"
 * in `path` (a PATH string; NULL or "" finds nothing). Writes an absolute path.
 * UV_ENOENT with the command that installs it as hint. */
AXO_EXTERN int axo_podman_find(const char *override, const char *path, char *buf,
                               size_t size, axo_err_t *err);

typedef enum axo_podman_fault {
  AXO_FAULT_NONE,           /* the exit belongs to the command */
  AXO_FAULT_PODMAN,         /* podman or its runtime failed: see the message */
  AXO_FAULT_NOT_FOUND,      /* exec: no such command in the container */
  AXO_FAULT_NOT_EXECUTABLE, /* exec: permission denied, or not a program */
  AXO_FAULT_NO_DIRECTORY,   /* exec: the working directory is missing */
  AXO_FAULT_NO_USER,        /* exec: no such user in the container */
  AXO_FAULT_GONE            /* exec: the container is not running, or was removed */
} axo_podman_fault_t;

/* What one finished `podman exec` of a command says about itself. */
typedef struct axo_exec_outcome {
  int code;
  const char *argv0;    /* the command that was asked for */
  const char *err_text; /* what arrived on stderr, without lines of podman's log */
  size_t err_len;
  uint64_t out_total; /* bytes that arrived on stdout */
} axo_exec_outcome_t;

/* Tells podman's own failures from the command's exit code. Podman answers 125, 126,
 * 127 and 255 for itself, and so may the command: it is podman's only when the whole of
 * stderr is podman's complaint and nothing came on stdout. */
AXO_EXTERN axo_podman_fault_t axo_podman_judge(const axo_exec_outcome_t *outcome,
                                               axo_err_t *err);

/* ---- the host (host.c) ----------------------------------------------------------- */

/* An advisory lock on a file (flock): held until freed or until the process dies, and
 * not inherited by children. */
typedef struct axo_lock axo_lock_t;

/* Takes it at once or fails with UV_EBUSY. The file is made with mode 0600; a symlink
 * or a file of another owner is refused (UV_EPERM). */
AXO_EXTERN int axo_lock_take(const char *path, bool exclusive, axo_lock_t **out,
                             axo_err_t *err);
/* Changes the mode without blocking. UV_EBUSY leaves it as it was; UV_ECANCELED:
 * another process came between, and the lock is lost. */
AXO_EXTERN int axo_lock_change(axo_lock_t *lock, bool exclusive, axo_err_t *err);
AXO_EXTERN void axo_lock_free(axo_lock_t *lock);

typedef struct axo_hard_limits {
  uint64_t nofile; /* RLIMIT_NOFILE, hard */
  uint64_t
      nproc; /* RLIMIT_NPROC, hard, and at most kernel.pid_max: podman lowers its
                own  limit to that before it starts the runtime (seen with 4.3.1) */
} axo_hard_limits_t;
AXO_EXTERN int axo_hard_limits_get(axo_hard_limits_t *out);

#include "axo_net.h"

#endif /* AXO_H */
