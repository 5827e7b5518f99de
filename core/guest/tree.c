/* Process trees, by /proc.
 *
 * A process that forks all the time cannot be caught by listing and signalling one by
 * one: its children are born between the two. A signal to a process *group* is atomic
 * against fork in the kernel, and each piece of work starts in a session of its own, so
 * the groups of its tree are its own. One pass therefore ends an ordinary fork bomb.
 * One that makes a new group for each child is met by stopping all of the container for
 * a moment.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PROCS_MAX 32768
#define GROUPS_SEEN 64

struct proc {
  pid_t pid, parent, group;
  uint64_t start; /* clock ticks since boot */
  char state;
  bool ours;
};

static struct proc procs[PROCS_MAX];
static int proc_count;

static uint64_t number(const char *at) {
  uint64_t value = 0;
  while (*at >= '0' && *at <= '9')
    value = value * 10 + (uint64_t)(*at++ - '0');
  return value;
}

/* The start of the field `count` fields on; "" when there are not that many. */
static const char *field(const char *at, int count) {
  for (; count && *at; count--) {
    at = strchrnul(at, ' ');
    at += *at == ' ';
  }
  return at;
}

static bool read_stat(const char *name, struct proc *out) {
  char buf[512], path[40] = "/proc/";
  if (strlen(name) > 10)
    return false;
  strcpy(stpcpy(path + 6, name), "/stat");
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  ssize_t n = read(fd, buf, sizeof buf - 1);
  close(fd);
  if (n <= 0)
    return false;
  buf[n] = 0;
  /* The program's name may hold anything, brackets and blanks included, but is at most
   * 64 bytes, and nothing after it holds a bracket: the last one ends it. */
  const char *at = strrchr(buf, ')');
  if (!at || strlen(at) < 5)
    return false;
  out->pid = (pid_t)number(name);
  out->state = at[2];
  out->parent = (pid_t)number(field(at + 2, 1));
  out->group = (pid_t)number(field(at + 2, 2));
  out->start = number(field(at + 2, 19)); /* field 22 of proc(5) */
  return true;
}

/* /proc lists pids in ascending order, so the table is sorted. */
static struct proc *find(pid_t pid) {
  int low = 0, high = proc_count - 1;
  while (low <= high) {
    int mid = (low + high) / 2;
    if (procs[mid].pid == pid)
      return &procs[mid];
    if (procs[mid].pid < pid)
      low = mid + 1;
    else
      high = mid - 1;
  }
  return NULL;
}

static bool descends(const struct proc *p, pid_t root) {
  for (int depth = 0; p && depth < proc_count; depth++) {
    if (p->parent == root || p->ours)
      return true;
    p = find(p->parent);
  }
  return false;
}

struct dirent64 {
  uint64_t d_ino;
  int64_t d_off;
  unsigned short d_reclen;
  unsigned char d_type;
  char d_name[];
};

/* Lists all processes; `seen` is called for each as it is found. */
static void scan(void (*seen)(struct proc *p, void *data), void *data) {
  static _Alignas(8) char buf[16384];
  proc_count = 0;
  int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return;
  long n;
  while ((n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0) {
    for (long at = 0; at < n;) {
      const struct dirent64 *entry = (const struct dirent64 *)(buf + at);
      at += entry->d_reclen;
      struct proc p = {0};
      if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || proc_count == PROCS_MAX ||
          !read_stat(entry->d_name, &p) || p.pid == 1)
        continue;
      procs[proc_count++] = p;
      if (seen)
        seen(&procs[proc_count - 1], data);
    }
  }
  close(fd);
}

/* ---- one tree
 * ------------------------------------------------------------------------- */

struct hunt {
  pid_t root;
  int signum;
  uint64_t since;
  struct tree_count count;
  int group_count;
  pid_t groups[GROUPS_SEEN];
};

static bool group_done(struct hunt *h, pid_t group) {
  for (int i = 0; i < h->group_count; i++)
    if (h->groups[i] == group)
      return true;
  if (h->group_count < GROUPS_SEEN)
    h->groups[h->group_count++] = group;
  return false;
}

static bool alive(const struct proc *p) { return p->state != 'Z' && p->state != 'X'; }

/* As soon as one of ours is seen its whole group is hit: under a bomb PID 1 gets little
 * of the processor, and must not spend it on listing first. */
static void hit(struct proc *p, void *data) {
  struct hunt *h = data;
  p->ours = descends(p, h->root);
  if (!p->ours || !alive(p))
    return;
  h->count.alive++;
  h->count.born += p->start > h->since;
  if (p->group > 1 && p->group != h->root && !group_done(h, p->group))
    kill(-p->group, h->signum);
}

uint64_t tree_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_BOOTTIME, &t);
  return (uint64_t)t.tv_sec * 100 + (uint64_t)t.tv_nsec / 10000000; /* USER_HZ is 100 */
}

struct tree_count tree_signal(pid_t root, int signum, uint64_t since) {
  struct hunt h = {.root = root, .signum = signum, .since = since};
  scan(hit, &h);
  return h.count;
}

/* ---- what a killed supervisor leaves
 * ---------------------------------------------------- */

static void hit_orphan(struct proc *p, void *data) {
  int *found = data;
  if (p->parent != 1 || !alive(p) || sup_owns(p->pid))
    return;
  ++*found;
  kill(p->pid, SIGKILL);
}

int tree_kill_orphans(void) {
  int found = 0;
  scan(hit_orphan, &found);
  return found;
}

/* ---- one tree, when it runs away
 * ------------------------------------------------------- */

static bool was_stopped(pid_t pid, const pid_t *stopped, int count) {
  for (int i = 0; i < count; i++)
    if (stopped[i] == pid)
      return true;
  return false;
}

void tree_kill_frozen(pid_t root) {
  static pid_t stopped[GROUPS_SEEN];
  int count = 0;
  /* What was stopped before, by the last listing, stays so. */
  for (int i = 0; i < proc_count && count < GROUPS_SEEN; i++)
    if (procs[i].state == 'T')
      stopped[count++] = procs[i].pid;
  kill(-1, SIGSTOP); /* atomic: from here on nothing in the container can fork */
  scan(NULL, NULL);
  for (int i = 0; i < proc_count; i++) {
    procs[i].ours = descends(&procs[i], root);
    if (procs[i].ours && alive(&procs[i]))
      kill(procs[i].pid, SIGKILL);
  }
  for (int i = 0; i < proc_count; i++)
    if (!procs[i].ours && !was_stopped(procs[i].pid, stopped, count))
      kill(procs[i].pid, SIGCONT);
}
