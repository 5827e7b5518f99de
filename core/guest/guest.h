/* guest.h: the state of the in-container guest: one process, one thread, no malloc.
 *
 * From above: each file calls those below it, and no other.
 *
 * main.c       PID 1: set-up, the loop, reaping, the way out
 * link.c       links to hosts: found, read, over
 * request.c    one function a request
 * kill_all.c   emptying the session
 * list.c       what runs, for a host that asks
 * owner.c      whose a socket is
 * end.c        how work ends, and how it is killed
 * tell.c       events: who is told what about a piece of work
 * pool.c       supervisors, as PID 1 keeps them
 * supervise.c  inside a supervisor: the small process that is parent of one work
 * spawn.c      the child: environment, descriptors, directory, program
 * schedule.c   how PID 1 and its supervisors are scheduled
 * user.c       users and groups, as the container's files have them
 * work.c       the table of work
 * pump.c       output into shared rings
 * send.c       what a host is sent
 * packet.c     packets: received, checked, sent, passed on
 * tree.c       signals to whole process trees
 * door.c       the directories where hosts leave their sockets
 * proc.c       /proc
 * files.c      opening beneath the root
 * socket.c     sockets for hosts
 * walk.c       the same without openat2
 * timer.c      the one timer: armed only while something is due
 * loop.c       what there is, and what is watched
 *
 * Every handler of an event tolerates one that is out of date: an index may have been
 * given up and taken anew since the kernel reported it.
 */
#ifndef AXO_GUEST_H
#define AXO_GUEST_H

#include "../link/protocol.h"
#include "walk.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Bounds of the tables; the fuzzer's are small, so that it fills them. */
#define LINKS_MAX 16
#ifndef WORKS_MAX
#define WORKS_MAX AXO_WORKS_MAX /* twice the default pids limit */
#endif
#define SUBS_MAX LINKS_MAX /* every host follows every task */
#define SUPS_MAX (WORKS_MAX + 64)
/* Finished tasks and terminals whose output is kept; then the oldest is forgotten. */
#ifndef ENDED_MAX
#define ENDED_MAX 64
#endif
/* Idle supervisors that are kept for good: after a fork bomb, when no process can be
 * made, they run the next exec. A burst of execs leaves more of them for a moment. */
#define IDLE_KEEP 8
#define IDLE_MAX 64
/* When the kernel is short of something that it does not tell us the return of. */
#define RETRY_MS 20
#define RING_DEFAULT (64 * 1024)
#define SOCKET_NAME_MAX 63
#define DOORS_MAX 2
#define DOOR_PATH_MAX 108 /* of sockaddr_un */

enum watch_kind {
  WATCH_SIGNAL = 1,
  WATCH_INOTIFY,
  WATCH_LINK,
  WATCH_SUP,
  WATCH_OUTPUT,
  WATCH_TIMER
};

/* An answer that did not fit into a link's socket. One is enough: while a link is
 * blocked, nothing is read from it. */
struct owed {
  bool is_set;
  axo_packet_t head;
  unsigned char body[sizeof(axo_owned_t)]; /* no answer has more */
  int fd;                                  /* or -1 */
};

struct link {
  int fd; /* -1: free */
  bool blocked;
  uint64_t retry; /* when to try again without being told; 0: when it is writable */
  struct owed owed;
  char name[SOCKET_NAME_MAX + 1];
};

/* One host's interest in a piece of work. */
struct sub {
  uint64_t id;
  int bell;     /* eventfd, or -1 */
  int next;     /* in its bucket */
  int16_t link; /* -1: free */
  uint8_t told; /* TOLD_* */
};
enum { TOLD_SPAWNED = 1, TOLD_END = 2, TOLD_LEFT = 4, TOLD_EMPTY = 8, TOLD_STUCK = 16 };

struct ring {
  unsigned char *map; /* NULL: none */
  size_t capacity;
  uint64_t head;
  int fd;
};

struct work {
  uint8_t state; /* 0 is free, else enum axo_work_state */
  uint8_t kind;
  bool output_open;
  bool exit_known;
  bool spawn_failed;
  bool killing;
  bool stuck;           /* the last kill ran out its time */
  bool shelved;         /* ended, and in the list of those */
  uint32_t kill_passes; /* of the kill that is going on */
  uint64_t kill_since;  /* in ticks of process start times */
  /* ms: when the kill began, its tree was last alive, it goes on; the drain's end */
  uint64_t kill_from, kill_seen, kill_due, drain_until;
  int sup; /* -1: none any more */
  int32_t pid;
  int out_fd; /* read end or master; -1 */
  int slave_fd;
  int next, previous; /* free: the next free one; ended: younger and older */
  int name_next;      /* in its bucket */
  uint32_t announced; /* a bit for each link that knows of it */
  uint32_t command_len;
  uint16_t rows, cols;
  bool command_full;
  uint64_t number;
  uint64_t started_ms;
  axo_failed_t failed;
  axo_exited_t exited;
  struct ring ring;
  char name[AXO_NAME_MAX];
  struct sub subs[SUBS_MAX];
};

struct sup {
  int fd; /* -1: free */
  pid_t pid;
  int work; /* -1: idle */
  int next,
      previous; /* free: the next free one; idle: the ones idle before and since */
  int pid_next; /* in its bucket */
  uint64_t idle_since;
};

struct guest {
  int epoll, signals, timer, root, null, proc, spare;
  int doors[DOORS_MAX]; /* -1: none */
  pid_t self, group;
  bool is_init;
  bool home_is_own; /* HOME in `environment` is what the user files say */
  char **environment;
  struct rlimit nofile; /* as the container has it; raised for this process */
  bool nofile_raised;
  uint64_t next_work;
  struct link links[LINKS_MAX];
  struct work works[WORKS_MAX];
  struct sup sups[SUPS_MAX];
};
extern struct guest g;

/* A received packet: the header, its body (in the packet, or mapped; NULL when it was
 * in a descriptor that is lost), its descriptors. */
struct packet {
  axo_packet_t head;
  const unsigned char *body;
  void *mapped; /* to unmap, or NULL */
  int fds[AXO_FDS_MAX];
  int fd_count;
  bool fds_lost; /* this process may have no more open */
};

/* What a supervisor tells PID 1. */
enum sup_type { SUP_NOTHING, SUP_SPAWNED, SUP_FAILED, SUP_EXITED };
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

/* ---- loop.c, timer.c */

/* Without EPOLLIN or EPOLLOUT, only the end is reported. */
void watch(int fd, enum watch_kind kind, int index, uint32_t events);
void unwatch(int fd);
/* Blocks these signals and no others: all of them, also those that libc keeps for
 * itself, by which a supervisor could be killed. */
bool signals_mask(uint64_t mask);
/* Milliseconds of a clock that only goes forward. */
uint64_t now_ms(void);
/* Has everything that is due looked at, no later than then. */
void wake_at(uint64_t ms);
/* The timer has fired: whether something is due. */
bool timer_take(void);
/* The earlier of two moments, of which 0 is none. */
uint64_t sooner(uint64_t a, uint64_t b);

/* ---- door.c */

/* Silent: neither dnotify nor inotify is to be had. */
enum door_state { DOORS_OPEN, DOORS_MISSING, DOORS_SILENT };
enum door_state doors_open(const char *dir);
/* Something has appeared behind one. */
void doors_inotify(void);
void doors_list(void (*found)(int door, const char *name));
void door_path(char out[DOOR_PATH_MAX], int door, const char *name);

/* ---- link.c */

/* No host is there yet. */
void links_init(void);
/* Connects to each socket behind a door that has no link yet. */
void links_scan(void);
/* Something has appeared behind a door. */
void links_news(void);
void link_ready(int index, uint32_t events);
void link_drop(int index);
uint64_t links_due(uint64_t now);

/* ---- send.c */

/* Sends an event. False when that cannot be now; the link is then blocked, or over. */
bool link_tell(int index, const axo_packet_t *head, const void *body, const int *fds,
               int count);
/* Answers a request: now, or as soon as the host reads. False: the link is over. */
bool link_answer(int index, const axo_packet_t *head, const void *body, int fd);
/* The answer that it is owed, to one that reads again. */
void link_pay(int index);

/* ---- packet.c */

/* 1 for a packet, 0 for nothing now, -1 for the end of the link: the other side has
 * gone, or what it sent is not of the protocol. Not re-entrant: the body of the last
 * packet is overwritten. */
int packet_receive(int fd, struct packet *p);
void packet_release(struct packet *p);
/* 0, or an errno. */
int packet_send(int fd, const axo_packet_t *head, const void *body, const int *fds,
                int count);
/* Whether that errno says that there is nobody to send to. */
bool is_dead(int error);
/* Passes a packet on to a supervisor as it stands, with other descriptors. */
int packet_relay(int fd, const struct packet *p, const int *fds, int count);
/* Whether it is a request: of a known type, as long as that is, with its descriptors.
 */
bool packet_is_request(const struct packet *p);
/* Whether the host brings a task its stdin: its second descriptor. */
bool spawn_has_stdin(const axo_spawn_t *fixed);
/* Parses the body into pointers; false when it is malformed. Not re-entrant. */
bool spawn_parse(const struct packet *p, struct spawn_args *out);

/* ---- request.c, list.c */

/* Answers a request. False ends the link. */
bool request_handle(int link, struct packet *p);
/* All that is listed, or `only` one, in a sealed memfd. -1 and errno on failure. */
int list_file(const char *only, uint32_t *length);
char *work_command(const struct work *w);

/* ---- owner.c */

/* Who has the socket of this number open, as far as can be seen. Takes some hundredths
 * of a second where much is open. */
void owner_find(uint64_t inode, int link, axo_owned_t *out);

/* ---- kill_all.c */

/* False when too many wait for it already. */
bool kill_all(int link, uint64_t id);
uint64_t kill_all_due(uint64_t now);
/* Answers that a blocked link is owed, or that a lost one is not. */
void kill_all_flush(int link);
void kill_all_forget(int link);

/* ---- work.c */

/* The table is empty. */
void works_init(void);
/* NULL when the table is full. */
struct work *work_new(int link, uint64_t id, uint32_t kind, int bell);
struct work *work_by_id(int link, uint64_t id);
struct work *work_by_name(const char *name);
void work_set_name(struct work *w, const char *name);
static inline int work_index(const struct work *w) { return (int)(w - g.works); }
struct sub *work_subscribe(struct work *w, int link, uint64_t id, int bell);
void work_unsubscribe(struct work *w, int link, uint64_t id);
/* Of all its requests; whether there were any. */
bool work_unsubscribe_link(struct work *w, int link);
/* Whether a host that asks hears of it. */
bool is_listed(const struct work *w);
/* Whether every host that follows it has heard all. */
bool work_all_told(const struct work *w);
/* Ended, with nothing left: the oldest such is forgotten when there are many. */
void work_shelve(struct work *w);
/* The next of those after `before`, or the oldest for NULL; NULL at the end. */
const struct work *work_shelf(const struct work *before);
void work_free(struct work *w);

/* ---- tell.c */

/* Tells its subscribers what they have not heard, then lets go of one that is over. */
void work_tell(struct work *w);
/* Of all work, once a link that was blocked takes packets again. */
void work_tell_link(int link);
/* Tells every host that has not heard of it that it runs. */
void work_announce(struct work *w);
/* A link that is new lists for itself what there was before. */
void work_link_new(int link);

/* ---- end.c */

/* What its supervisor says: it was started, could not be, or has ended. */
void work_report(struct work *w, const struct sup_report *r);
/* Its output has come to its end. */
void work_output_over(struct work *w);
void work_sup_lost(struct work *w);
void work_link_gone(int link);
/* Until nothing of it is left. Returns how many processes there are now. */
int work_kill(struct work *w);
/* Signals the main process or the tree: how many processes there were, -1: none any
 * more. */
int work_signal(struct work *w, const struct packet *p);
uint64_t works_due(uint64_t now);

/* ---- pool.c, supervise.c */

/* Whom to tell what the supervisor of a work says, and of its loss: work_report and
 * work_sup_lost. */
void sups_init(void (*on_report)(struct work *w, const struct sup_report *r),
               void (*on_lost)(struct work *w));
/* Gives a spawn request to a supervisor: 0, or an errno. */
int sup_start(struct work *w, const struct packet *p, const int fds[3]);
/* The host of what an exec has left running reads no more of it. */
void sup_drain(const struct work *w);
/* Keeps one in hand: when the pids have run out, none can be made. */
void sup_reserve(void);
/* A process has ended somewhere: there may be room again. */
void sup_retry(void);
bool sup_owns(pid_t pid);
/* The work of the supervisor of that number; NULL where there is none. */
struct work *sup_work(pid_t pid);
void sup_ready(int index);
void sup_reaped(pid_t pid);
/* Lets go of one that does not answer, or of all. Their children are killed. */
void sup_abandon(int index);
void sups_abandon(void);
uint64_t sups_due(uint64_t now);
_Noreturn void supervise(int fd);

/* ---- schedule.c */

/* This process soon gets its turn, however many others want theirs; what it starts does
 * not. */
void schedule_guest(void);

/* ---- spawn.c, user.c */

/* The child's pid, or 0 and what went wrong. */
pid_t spawn_child(const struct spawn_args *args, const int fds[3],
                  axo_failed_t *failed);
char *get_env(char **env, const char *key);

#define GROUPS_MAX 256
#define HOME_MAX 4096
struct identity {
  bool given;
  uid_t uid;
  gid_t gid;
  int group_count;
  gid_t groups[GROUPS_MAX];
  char name[64];
  char home[HOME_MAX];
};
/* `spec` is [NAME|UID][:GROUP|GID]; "" keeps the guest's own identity. */
bool user_resolve(const char *spec, struct identity *id);

/* ---- pump.c */

/* Makes ring and pipe (or terminal). 0, or the stage that failed, errno set. */
int pump_open(struct work *w, uint32_t wanted);
/* Moves what there is: true when that was the last. */
bool pump_ready(struct work *w);
void pump_close(struct work *w);
void pump_bell(struct work *w);

/* ---- proc.c, tree.c */

#define DECIMAL_SIZE 12
/* Points into `out`. */
char *decimal(uint32_t value, char out[DECIMAL_SIZE]);
/* The digits there; 0 where there are none. */
uint64_t number(const char *at);

struct proc {
  pid_t pid, parent, group;
  uint64_t start; /* clock ticks since boot */
  char state;
  bool alive;
  uint8_t verdict; /* tree.c's */
};
struct procs {
  struct proc *at;
  int count;
  bool cut;  /* there are more than fit */
  bool left; /* `seen` wanted no more */
};
/* Lists all processes but this one; `seen` is called for each as it is found, until it
 * returns false. */
struct procs procs_scan(bool (*seen)(struct proc *p, void *data), void *data);
struct proc *procs_find(pid_t pid);
/* The one of that number, as it is now; false when it has ended. */
bool proc_read(pid_t pid, struct proc *out);

struct tree_count {
  int alive;
  int born; /* of those, after the moment asked about */
};
/* Now, in the unit of process start times. */
uint64_t tree_clock(void);
/* Signals all descendants of `root`, but not itself. */
struct tree_count tree_signal(pid_t root, int signum, uint64_t since);
/* Kills them while everything else in the container stands still. Only as PID 1. */
void tree_kill_frozen(pid_t root);
/* Kills what descends from this process but from none of its supervisors, which
 * `is_sup` knows; with `all` also what entered the container otherwise. Returns how
 * many there were. */
struct tree_count strays_kill(bool (*is_sup)(pid_t pid), bool all, uint64_t since);
void strays_kill_frozen(bool (*is_sup)(pid_t pid));
/* Kills everything but this process, supervisors included. */
void everything_kill(void);

/* ---- files.c */

/* Beneath `root`, an absolute path; "" is the session's. */
int files_open(const char *path, const axo_open_t *how, const char *root);
int files_path(const axo_path_t *how, const char *from, const char *to,
               const char *root);

/* ---- socket.c */

/* One of the container's network, or -1 and errno. */
int socket_make(const axo_socket_t *how);

/* What getdents64(2) returns; not every C library names it. */
struct linux_dirent64 {
  uint64_t d_ino;
  int64_t d_off;
  unsigned short d_reclen;
  unsigned char d_type;
  char d_name[];
};

#endif
