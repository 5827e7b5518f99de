/* Files beneath the session's root, and nowhere else: the kernel refuses every way out.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From linux/openat2.h, which not every C library brings. */
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_NO_SYMLINKS 0x04
#define RESOLVE_BENEATH 0x08
struct open_how {
  uint64_t flags, mode, resolve;
};

#define FLAGS_ALLOWED                                                                  \
  (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_DIRECTORY | O_NOFOLLOW |      \
   O_PATH)

/* What a file is made with has no set-id bit. */
#define MODE_ALLOWED 01777

static int beneath(int dir, const char *path, int flags, mode_t mode) {
  struct open_how how = {
      .flags = (uint64_t)(flags | O_CLOEXEC),
      .mode = flags & O_CREAT ? mode & MODE_ALLOWED : 0,
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
  };
  int fd, tries = 16;
  do
    fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
  while (fd < 0 && errno == EAGAIN && --tries);
  return fd;
}

static int close_keeping_errno(int fd) {
  int cause = errno;
  close(fd);
  errno = cause;
  return -1;
}

/* Old kernels lack openat2; the profile of a session that may not make set-id files
 * refuses it, as old ones refuse what they do not know. */
static bool has_openat2(void) {
  static enum { UNTRIED, MISSING, PRESENT } state;
  if (state == UNTRIED) {
    int fd = beneath(g.root, ".", O_PATH | O_DIRECTORY, 0);
    state = fd < 0 && (errno == ENOSYS || errno == EPERM) ? MISSING : PRESENT;
    if (fd >= 0)
      close(fd);
  }
  return state == PRESENT;
}

static int open_beneath(int root, const char *path, int flags, mode_t mode) {
  /* EAGAIN: renames, of whatever files, race with "..". The walk does not mind them. */
  int fd = has_openat2() ? beneath(root, path, flags, mode) : -1;
  if (fd >= 0 || (has_openat2() && errno != EAGAIN))
    return fd;
  return walk_open(root, path, flags, mode & MODE_ALLOWED);
}

/* A link in the root's place, or on the way to it, would lead elsewhere. */
static int open_plain(const char *path) {
  struct open_how how = {
      .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
      .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
  };
  if (has_openat2())
    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
  int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (top < 0)
    return -1;
  int fd = walk_plain(top, path, O_PATH | O_DIRECTORY);
  close_keeping_errno(top);
  return fd;
}

static int root_open(const char *path) {
  if (!*path)
    return g.root;
  int fd = *path == '/' ? open_plain(path) : -1;
  if (fd < 0 && (*path != '/' || errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
    errno = ESTALE;
  return fd;
}

static int root_close(int root, int result) {
  if (root != g.root)
    close_keeping_errno(root);
  return result;
}

/* Non-blocking, so that a FIFO in a file's place cannot hold PID 1. */
int files_open(const char *path, const axo_open_t *how, const char *root) {
  if (how->flags & ~FLAGS_ALLOWED) {
    errno = EINVAL;
    return -1;
  }
  int extra = how->flags & O_PATH ? 0 : O_NOCTTY | O_NONBLOCK;
  int at = root_open(root);
  if (at < 0)
    return -1;
  return root_close(at, open_beneath(at, path, how->flags | extra, how->mode));
}

/* Splits off the last name; it must be a plain one. */
static int parent_of(int root, const char *path, const char **name) {
  static char dir[4096];
  const char *slash = strrchr(path, '/');
  *name = slash ? slash + 1 : path;
  size_t len = slash ? (size_t)(slash - path) : 0;
  if (!**name || !strcmp(*name, ".") || !strcmp(*name, "..") || len >= sizeof dir ||
      (slash && len == 0)) {
    errno = slash && len == 0 ? EXDEV : EINVAL;
    return -1;
  }
  memcpy(dir, len ? path : ".", len ? len : 1);
  dir[len ? len : 1] = 0;
  return open_beneath(root, dir, O_PATH | O_DIRECTORY, 0);
}

static int rename_beneath(int root, int from_dir, const char *from, const char *to) {
  const char *name;
  int to_dir = parent_of(root, to, &name);
  if (to_dir < 0)
    return -1;
  int failed = renameat(from_dir, from, to_dir, name);
  close_keeping_errno(to_dir);
  return failed;
}

static int change_mode(int dir, const char *name, mode_t mode) {
  int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0)
    return -1;
  int failed = fchmod(fd, mode);
  close_keeping_errno(fd);
  return failed;
}

static int path_beneath(int root, const axo_path_t *how, const char *from,
                        const char *to) {
  const char *name;
  int failed = -1;
  int dir = parent_of(root, from, &name);
  if (dir < 0)
    return -1;
  switch ((enum axo_path_op)how->op) {
  case AXO_PATH_UNLINK:
    failed = unlinkat(dir, name, 0);
    break;
  case AXO_PATH_RMDIR:
    failed = unlinkat(dir, name, AT_REMOVEDIR);
    break;
  case AXO_PATH_MKDIR:
    failed = mkdirat(dir, name, how->mode & MODE_ALLOWED);
    break;
  case AXO_PATH_CHMOD:
    failed = change_mode(dir, name, how->mode & MODE_ALLOWED);
    break;
  case AXO_PATH_RENAME:
    failed = rename_beneath(root, dir, name, to);
    break;
  default:
    errno = EINVAL;
  }
  close_keeping_errno(dir);
  return failed;
}

int files_path(const axo_path_t *how, const char *from, const char *to,
               const char *root) {
  int at = root_open(root);
  return at < 0 ? -1 : root_close(at, path_beneath(at, how, from, to));
}
