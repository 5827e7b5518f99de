/* guest.h: the state of the in-container guest, one process, one thread, no malloc.
 *
 * main.c   PID 1: set-up, the loop, reaping, the way out
 * link.c   sockets to hosts: connect, receive, send
 * request.c  one function a request
 * work.c   the table of work, and who is told about it
 * pump.c   output into shared rings
 * tree.c   signals to whole process trees
 * files.c  opening beneath the root
 * supervise.c  the small process that is parent of one piece of work
 * spawn.c  the child: user, directory, program
 */
#ifndef AXO_GUEST_H
#define AXO_GUEST_H

#include "../protocol.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bounds of the tables. 1,024 pieces of work are twice the default pids limit. */
#define LINKS_MAX 16
#define WORKS_MAX 1024
/* Every host follows every task. */
#define SUBS_MAX LINKS_MAX
#define SUPS_MAX (WORKS_MAX + 16)
/* Finished tasks and terminals whose output is kept; then the oldest is forgotten. */
#define ENDED_MAX 64
/* Idle supervisors that are kept: after a fork bomb they are what runs the next exec.
 */
#define SUPS_IDLE_MAX 8
#define RING_DEFAULT (64 * 1024)
#define RING_LIMIT (4 * 1024 * 1024)

enum watch_kind {
  WATCH_SIGNAL = 1,
  WATCH_INOTIFY,
  WATCH_LINK,
  WATCH_SUP,
  WATCH_OUTPUT,
  WATCH_TIMER
};

struct link {
  int fd; /* -1: free */
  bool blocked;
};

/* One host's interest in a piece of work. */
struct sub {
  int link; /* -1: free */
  int bell; /* eventfd, or -1 */
  uint64_t id;
  uint8_t told; /* TOLD_* */
};
enum { TOLD_SPAWNED = 1, TOLD_END = 2, TOLD_LEFT = 4, TOLD_EMPTY = 8 };

struct ring {
  unsigned char *map; /* NULL: none */
  size_t capacity;
  int fd;
};

struct work {
  uint32_t announced; /* a bit for each link that knows of it */
  uint8_t state;      /* 0 is free, else enum axo_work_state */
  uint8_t kind;
  bool killing;
  bool output_open;
  bool exit_known;
  bool spawn_failed;
  uint16_t kill_passes;
  uint16_t drain_ticks;
  uint64_t kill_since;
  int sup; /* -1: none any more */
  int32_t pid;
  int out_fd; /* read end or master; -1 */
  int slave_fd;
  uint16_t rows, cols;
  uint64_t number;
  uint64_t started_ms;
  axo_failed_t failed;
  axo_exited_t exited;
  struct ring ring;
  struct sub subs[SUBS_MAX];
  uint32_t command_len;
  bool command_full;
  char name[AXO_NAME_MAX];
  char command[AXO_COMMAND_MAX];
};

struct sup {
  int fd; /* -1: free */
  pid_t pid;
  int work; /* -1: idle */
};

struct guest {
  int epoll, signals, inotify, timer, root, link_dir;
  bool ticking;
  bool orphans; /* a supervisor was killed: its children are to be found */
  char **environment;
  uint64_t next_work;
  struct link links[LINKS_MAX];
  struct work works[WORKS_MAX];
  struct sup sups[SUPS_MAX];
};
extern struct guest g;

/* A received packet: the header, its body (in the packet, or mapped), its descriptors.
 */
struct packet {
  axo_packet_t head;
  const unsigned char *body;
  void *mapped; /* to unmap, or NULL */
  int fds[AXO_FDS_MAX];
  int fd_count;
};

/* What a supervisor tells PID 1. */
enum sup_type { SUP_SPAWNED = 1, SUP_FAILED, SUP_EXITED };
struct sup_report {
  uint32_t type;
  uint32_t idle; /* nothing of the work is left */
  int32_t pid;
  axo_failed_t failed;
  axo_exited_t exited;
};

/* The strings of a spawn request, as pointers into its body. */
struct spawn_args {
  const axo_spawn_t *fixed;
  const char *cwd;
  const char *user;
  char **argv;
  char **env;
};

void watch(int fd, enum watch_kind kind, int index, bool write);
void unwatch(int fd);
void tick(void);
_Noreturn void leave(void);

void link_scan(void);
void link_inotify(void);
void link_ready(int index, uint32_t events);
void link_drop(int index);
/* Sends one packet. False when it cannot be sent now; the link is then marked blocked.
 */
bool link_send(int index, const axo_packet_t *head, const void *body, const int *fds,
               int count);
int packet_receive(int fd, struct packet *p);
void packet_release(struct packet *p);
int packet_relay(int fd, const struct packet *p, const int *fds, int count);

/* Answers a packet. False ends the link: the packet was not of the protocol. */
bool request_handle(int link, struct packet *p);

struct work *work_new(int link, uint64_t id, uint32_t kind, int bell);
struct work *work_by_id(int link, uint64_t id);
struct work *work_by_name(const char *name);
int work_index(const struct work *w);
struct sub *work_subscribe(struct work *w, int link, uint64_t id, int bell);
void work_report(struct work *w, const struct sup_report *r);
void work_sup_lost(struct work *w);
void work_tell(struct work *w);
void work_tell_link(int link);
void work_link_gone(int link);
void work_link_new(int link);
void work_announce(struct work *w);
void work_settle(struct work *w);
void work_kill(struct work *w);
void work_tick(void);
void work_free(struct work *w);

int sup_take(void);
void sup_reserve(void);
bool sup_owns(pid_t pid);
void sup_ready(int index);
void sup_reaped(pid_t pid);
_Noreturn void supervise(int fd);
/* Parses the body into pointers; false when it is malformed. Not re-entrant. */
bool spawn_parse(const struct packet *p, struct spawn_args *out);
pid_t spawn_child(const struct spawn_args *args, const int fds[3],
                  axo_failed_t *failed);

int pump_open(struct work *w, uint32_t wanted);
void pump_ready(struct work *w);
void pump_close(struct work *w);
void pump_bell(struct work *w);
uint64_t ring_head(const struct ring *r);

struct tree_count {
  int alive;
  int born; /* of those, after the moment asked about */
};
/* Now, in the unit of process start times. */
uint64_t tree_clock(void);
/* Signals the process groups of all descendants of `root`. */
struct tree_count tree_signal(pid_t root, int signum, uint64_t since);
/* Kills them while everything else in the container stands still. Follows tree_signal.
 */
void tree_kill_frozen(pid_t root);

/* Kills the children of PID 1 that are not supervisors. Returns how many there were. */
int tree_kill_orphans(void);

int files_open(const char *path, const axo_open_t *how);
int files_path(const axo_path_t *how, const char *from, const char *to);

#endif
