/* Whose a socket is: which process has it open, and of which work that process is.
 *
 * A process whose user is not ours is looked into as that user, where we may be: the
 * kernel then asks for no capability that the container lacks. What hides itself
 * (PR_SET_DUMPABLE) is not seen, and owns nothing.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How much of the container is looked at for one question: some hundredths of a second
 * for which nobody else is served. Of each process so much that one with many open
 * files does not use it up for all. */
#define PROCESSES_MAX 4096
#define DESCRIPTORS_MAX 8192
#define DESCRIPTORS_EACH 2048
#define DEPTH_MAX 4096 /* generations */
#define LINK_SIZE 32   /* "socket:[" and an inode */

struct search {
  char wanted[LINK_SIZE];     /* what the link of its descriptor says */
  int processes, descriptors; /* that may still be looked at */
  bool cut;                   /* not all was looked at */
};

/* Entries of a directory of /proc, numbers only, until `each` says false. */
static void walk_numbers(int dir, char *buf, size_t size,
                         bool (*each)(const char *name, void *data), void *data) {
  long n;
  while ((n = syscall(SYS_getdents64, dir, buf, size)) > 0)
    for (long at = 0; at < n;) {
      const struct linux_dirent64 *entry = (const struct linux_dirent64 *)(buf + at);
      at += entry->d_reclen;
      if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' &&
          !each(entry->d_name, data))
        return;
    }
}

/* ---- one process ----------------------------------------------------------------- */

struct look {
  struct search *search;
  int dir;
  int left;
  bool found;
};

static bool look_at(const char *name, void *data) {
  struct look *look = data;
  char link[LINK_SIZE];
  if (look->left == 0 || look->search->descriptors == 0) {
    look->search->cut = true;
    return false;
  }
  look->left--;
  look->search->descriptors--;
  ssize_t n = readlinkat(look->dir, name, link, sizeof link - 1);
  link[n > 0 ? n : 0] = 0;
  look->found = strcmp(link, look->search->wanted) == 0;
  return !look->found;
}

/* As whom files are opened. The kernel may make us readable by that. */
static void become(uid_t uid, gid_t gid) {
  setfsgid(gid);
  setfsuid(uid);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int open_descriptors(const char *pid, struct search *search) {
  char path[24];
  if (strlen(pid) > 10)
    return -1;
  strcpy(stpcpy(path, pid), "/fd");
  int dir = openat(g.proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0 && (errno == EMFILE || errno == ENFILE))
    search->cut = true;
  return dir;
}

static bool has_it(const char *pid, struct search *search) {
  static _Alignas(8) char buf[8192];
  struct look look = {.search = search, .left = DESCRIPTORS_EACH};
  struct stat st;
  bool is_other = geteuid() == 0 && fstatat(g.proc, pid, &st, 0) == 0 &&
                  (st.st_uid != 0 || st.st_gid != getegid());
  if (is_other)
    become(st.st_uid, st.st_gid);
  look.dir = open_descriptors(pid, search);
  if (look.dir >= 0) {
    walk_numbers(look.dir, buf, sizeof buf, look_at, &look);
    close(look.dir);
  }
  if (is_other)
    become(0, getegid());
  return look.found;
}

/* ---- all of them ----------------------------------------------------------------- */

struct hunt {
  struct search search;
  pid_t pid; /* 0: none so far */
};

static bool hunt_in(const char *pid, void *data) {
  struct hunt *hunt = data;
  if (hunt->search.processes == 0 || hunt->search.descriptors == 0) {
    hunt->search.cut = true;
    return false;
  }
  hunt->search.processes--;
  if ((pid_t)number(pid) != g.self && has_it(pid, &hunt->search))
    hunt->pid = (pid_t)number(pid);
  return hunt->pid == 0;
}

/* What a process descends from is a supervisor, with its work; or neither. */
static const struct work *work_of(pid_t pid) {
  struct proc p = {.pid = pid};
  for (int depth = 0; depth < DEPTH_MAX && p.pid > 1 && p.pid != g.self; depth++) {
    if (sup_owns(p.pid))
      return sup_work(p.pid);
    if (!proc_read(p.pid, &p))
      break;
    p.pid = p.parent;
  }
  return NULL;
}

static uint64_t id_for(const struct work *w, int link) {
  for (int i = 0; i < SUBS_MAX; i++)
    if (w->subs[i].link == link)
      return w->subs[i].id;
  return 0;
}

static void spell(uint64_t inode, char out[LINK_SIZE]) {
  char digits[24], *at = &digits[sizeof digits - 1];
  *at = 0;
  do
    *--at = (char)('0' + inode % 10);
  while (inode /= 10);
  strcpy(stpcpy(stpcpy(out, "socket:["), at), "]");
}

void owner_find(uint64_t inode, int link, axo_owned_t *out) {
  static _Alignas(8) char buf[16384];
  struct hunt hunt = {
      .search = {.processes = PROCESSES_MAX, .descriptors = DESCRIPTORS_MAX}};
  spell(inode, hunt.search.wanted);
  lseek(g.proc, 0, SEEK_SET);
  walk_numbers(g.proc, buf, sizeof buf, hunt_in, &hunt);
  *out = (axo_owned_t){.pid = hunt.pid, .cut = hunt.pid == 0 && hunt.search.cut};
  const struct work *w = hunt.pid ? work_of(hunt.pid) : NULL;
  if (!w)
    return;
  out->id = id_for(w, link);
  memcpy(out->name, w->name, sizeof out->name);
}
