/* The doors: the directories where hosts leave their sockets, and how this process
 * learns of a new one.
 *
 * A host that finds us moves the inner directory out of what is mounted here. Then
 * nothing in the container has a name for it, and only this process, which holds it
 * open, reaches the sockets in it. The outer one is where older hosts leave theirs.
 *
 * dnotify tells of news by a signal and is counted against nobody; of inotify's
 * instances a user has no more than some hundred, for all containers.
 */
#include "guest.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

static int by_inotify = -1;

/* By descriptor: however long the directory's path, and wherever it is now. */
void door_path(char out[DOOR_PATH_MAX], int door, const char *name) {
  char digits[DECIMAL_SIZE];
  out = stpcpy(out, "/proc/self/fd/");
  out = stpcpy(out, decimal((uint32_t)g.doors[door], digits));
  *out++ = '/';
  strcpy(out, name); /* at most SOCKET_NAME_MAX bytes */
}

static bool inotify_on(int door) {
  char path[DOOR_PATH_MAX];
  if (by_inotify < 0)
    by_inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  door_path(path, door, "");
  return by_inotify >= 0 &&
         inotify_add_watch(by_inotify, path, IN_MOVED_TO | IN_ONLYDIR) >= 0;
}

static bool wake_on(int door) {
  return fcntl(g.doors[door], F_NOTIFY, DN_RENAME | DN_MULTISHOT) == 0 ||
         inotify_on(door);
}

enum door_state doors_open(const char *dir) {
  int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  g.doors[0] = g.doors[1] = -1;
  int outer = open(dir, flags);
  if (outer < 0)
    return DOORS_MISSING;
  int inner = openat(outer, AXO_LINK_INNER, flags | O_NOFOLLOW);
  g.doors[0] = outer;
  g.doors[1] = inner;
  for (int i = 0; i < DOORS_MAX; i++)
    if (g.doors[i] >= 0 && !wake_on(i))
      return DOORS_SILENT;
  if (by_inotify >= 0)
    watch(by_inotify, WATCH_INOTIFY, 0, EPOLLIN);
  return DOORS_OPEN;
}

void doors_inotify(void) {
  static _Alignas(8) char buf[4096];
  while (read(by_inotify, buf, sizeof buf) > 0) {
  }
}

void doors_list(void (*found)(int door, const char *name)) {
  static _Alignas(8) char buf[4096];
  for (int i = 0; i < DOORS_MAX; i++) {
    long n;
    if (g.doors[i] < 0)
      continue;
    lseek(g.doors[i], 0, SEEK_SET);
    while ((n = syscall(SYS_getdents64, g.doors[i], buf, sizeof buf)) > 0) {
      for (long at = 0; at < n;) {
        const struct linux_dirent64 *entry = (const struct linux_dirent64 *)(buf + at);
        found(i, entry->d_name);
        at += entry->d_reclen;
      }
    }
  }
}
