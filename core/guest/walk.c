/* Opening beneath a directory without openat2: a kernel before 5.6, or a profile of
 * system calls that cannot read its mode. Name by name, from the root down; what a link
 * says is followed as text, and no name is ever "..": what is moved meanwhile leads
 * nowhere else.
 */
#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define NAME_BYTES 256
#define LINKS_FOLLOWED 40 /* as the kernel does */

struct walk {
  int root, at;          /* at: the directory that `done` leads to */
  int links;             /* followed so far */
  char done[PATH_BYTES]; /* from the root, plain names only */
  char todo[PATH_BYTES];
};

enum { AGAIN = -2 }; /* beside a descriptor and -1 */

static int fail(int cause) {
  errno = cause;
  return -1;
}

static void leave(struct walk *w) {
  int cause = errno;
  if (w->at != w->root)
    close(w->at);
  w->at = w->root;
  errno = cause;
}

static int enter(struct walk *w, const char *name) {
  int next = openat(w->at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (next < 0)
    return -1;
  leave(w);
  w->at = next;
  return AGAIN;
}

/* Down from the root once more. */
static int up(struct walk *w) {
  char name[NAME_BYTES];
  char *last = strrchr(w->done, '/');
  if (!last)
    return fail(EXDEV);
  *last = 0;
  leave(w);
  for (const char *at = w->done; *at;) {
    size_t len = (size_t)(strchrnul(at + 1, '/') - at) - 1;
    memcpy(name, at + 1, len);
    name[len] = 0;
    if (enter(w, name) == -1)
      return -1;
    at += len + 1;
  }
  return AGAIN;
}

static int follow(struct walk *w, const char *name, const char *rest) {
  char target[PATH_BYTES];
  ssize_t len = readlinkat(w->at, name, target, sizeof target);
  if (len < 0)
    return fail(errno == EINVAL ? ENOTDIR : errno);
  if (++w->links > LINKS_FOLLOWED)
    return fail(ELOOP);
  if (len > 0 && target[0] == '/')
    return fail(EXDEV);
  size_t left = strlen(rest) + 1;
  if ((size_t)len + left > sizeof w->todo)
    return fail(ENAMETOOLONG);
  memmove(w->todo + len, rest, left);
  memcpy(w->todo, target, (size_t)len);
  return AGAIN;
}

static int descend(struct walk *w, const char *name, const char *rest) {
  size_t used = strlen(w->done), len = strlen(name);
  if (used + len + 2 > sizeof w->done)
    return fail(ENAMETOOLONG);
  if (enter(w, name) == -1)
    return errno == ENOTDIR || errno == ELOOP ? follow(w, name, rest) : -1;
  w->done[used] = '/';
  memcpy(w->done + used + 1, name, len + 1);
  memmove(w->todo, rest, strlen(rest) + 1);
  return AGAIN;
}

static bool is_link(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
}

/* `rest` is what slashes stand behind the last name. */
static int open_last(struct walk *w, const char *name, const char *rest, int flags,
                     mode_t mode) {
  int extra = O_CLOEXEC | O_NOFOLLOW | (*rest ? O_DIRECTORY : 0);
  int fd = openat(w->at, name, flags | extra, mode & 07777);
  if (flags & O_NOFOLLOW && !*rest)
    return fd;
  if (fd >= 0 && !(flags & O_PATH && is_link(fd)))
    return fd;
  if (fd >= 0)
    close(fd);
  else if (errno != ELOOP && errno != ENOTDIR)
    return -1;
  return follow(w, name, rest);
}

static int step(struct walk *w, int flags, mode_t mode) {
  char name[NAME_BYTES];
  const char *path = w->todo + strspn(w->todo, "/");
  size_t len = strcspn(path, "/");
  const char *rest = path + len;
  if (len >= sizeof name)
    return fail(ENAMETOOLONG);
  memcpy(name, path, len);
  name[len] = 0;
  if (!len)
    return openat(w->at, ".", flags | O_CLOEXEC, mode & 07777);
  if (!strcmp(name, ".") || !strcmp(name, "..")) {
    memmove(w->todo, rest, strlen(rest) + 1);
    return name[1] ? up(w) : AGAIN;
  }
  if (rest[strspn(rest, "/")])
    return descend(w, name, rest);
  return open_last(w, name, rest, flags, mode);
}

static int walk(int root, const char *path, int flags, mode_t mode, int links) {
  struct walk w = {.root = root, .at = root, .links = links};
  size_t len = strlen(path);
  if (len >= sizeof w.todo)
    return fail(ENAMETOOLONG);
  memcpy(w.todo, path, len + 1);
  int fd;
  do
    fd = step(&w, flags, mode);
  while (fd == AGAIN);
  leave(&w);
  return fd;
}

int walk_open(int root, const char *path, int flags, mode_t mode) {
  if (!*path || *path == '/')
    return fail(*path ? EXDEV : ENOENT);
  return walk(root, path, flags, mode, 0);
}

int walk_plain(int root, const char *path, int flags) {
  return walk(root, path, flags | O_NOFOLLOW, 0, LINKS_FOLLOWED);
}
