#include "base/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often a lock file may be replaced under our hands before that counts as busy. */
#define LOCK_ATTEMPTS 8

struct axo_lock {
  int fd;
  bool exclusive;
};

static int flock_now(int fd, bool exclusive) {
  int rc;
  do {
    rc = flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
  } while (rc != 0 && errno == EINTR);
  if (rc == 0)
    return 0;
  return errno == EWOULDBLOCK ? UV_EBUSY : uv_translate_sys_error(errno);
}

static int refuse(axo_err_t *err, const char *path, const char *why) {
  return axo__err_set(err, UV_EPERM, "lock", "remove it, if nobody else needs it",
                      "%s: %s", path, why);
}

static int fail(axo_err_t *err, const char *path, int code) {
  if (code == UV_EBUSY) {
    return axo__err_set(err, code, "lock", NULL, "%s: another process holds it", path);
  }
  return axo__err_code(err, code, "lock", "%s", path);
}

/* Sees to it that the file is ours alone. */
static int lock_check(int fd, const char *path, axo_err_t *err) {
  struct stat st;
  if (fstat(fd, &st) != 0)
    return fail(err, path, uv_translate_sys_error(errno));
  if (!S_ISREG(st.st_mode))
    return refuse(err, path, "it is not a regular file");
  if (st.st_uid != geteuid())
    return refuse(err, path, "it belongs to another user");
  if ((st.st_mode & 0077) == 0 || fchmod(fd, 0600) == 0)
    return 0;
  return fail(err, path, uv_translate_sys_error(errno));
}

/* O_NONBLOCK: a FIFO in its place
 * must not hang us. */
static int lock_open(const char *path, int *fd, axo_err_t *err) {
  int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  *fd = open(path, flags, 0600);
  if (*fd < 0) {
    if (errno == ELOOP)
      return refuse(err, path, "it is a symbolic link");
    return fail(err, path, uv_translate_sys_error(errno));
  }
  int rc = lock_check(*fd, path, err);
  if (rc != 0)
    close(*fd);
  return rc;
}

/* Somebody who cleans up may have unlinked the file between our open and our flock:
 * then the next one to come would lock another file. */
static bool is_still_there(const char *path, int fd) {
  struct stat by_path;
  struct stat by_fd;
  return fd >= 0 && lstat(path, &by_path) == 0 && fstat(fd, &by_fd) == 0 &&
         by_path.st_dev == by_fd.st_dev && by_path.st_ino == by_fd.st_ino;
}

static int lock_open_and_take(const char *path, bool exclusive, int *fd,
                              axo_err_t *err) {
  for (int attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
    int rc = lock_open(path, fd, err);
    if (rc != 0)
      return rc;
    rc = flock_now(*fd, exclusive);
    if (rc == 0 && is_still_there(path, *fd))
      return 0;
    close(*fd);
    if (rc != 0)
      return fail(err, path, rc);
  }
  return fail(err, path, UV_EBUSY);
}

int axo_lock_take(const char *path, bool exclusive, axo_lock_t **out, axo_err_t *err) {
  axo_lock_t *lock = malloc(sizeof *lock);
  if (!lock)
    return fail(err, path, UV_ENOMEM);
  int rc = lock_open_and_take(path, exclusive, &lock->fd, err);
  if (rc != 0) {
    free(lock);
    return rc;
  }
  lock->exclusive = exclusive;
  *out = lock;
  return 0;
}

int axo_lock_change(axo_lock_t *lock, bool exclusive, axo_err_t *err) {
  static const char op[] = "lock";
  if (lock->exclusive == exclusive)
    return 0;
  int rc = flock_now(lock->fd, exclusive);
  if (rc == 0) {
    lock->exclusive = exclusive;
    return 0;
  }
  /* flock drops the old mode before it tries the new one. */
  if (flock_now(lock->fd, lock->exclusive) != 0) {
    return axo__err_set(err, UV_ECANCELED, op, "take the lock again",
                        "another process took the lock while its mode was changed");
  }
  if (rc == UV_EBUSY)
    return axo__err_set(err, rc, op, NULL, "another process holds the lock");
  return axo__err_code(err, rc, op, "cannot change the lock's mode");
}

void axo_lock_free(axo_lock_t *lock) {
  if (!lock)
    return;
  close(lock->fd);
  free(lock);
}

/* The number in a file of /proc; UINT64_MAX when there is none. */
static uint64_t read_number(const char *path) {
  FILE *file = fopen(path, "re");
  if (!file)
    return UINT64_MAX;
  char line[32];
  uint64_t value = UINT64_MAX;
  if (fgets(line, sizeof line, file)) {
    char *end = line;
    errno = 0;
    unsigned long long n = strtoull(line, &end, 10);
    if (end != line && errno == 0)
      value = n;
  }
  fclose(file);
  return value;
}

static uint64_t at_most(rlim_t limit, uint64_t most) {
  if (limit == RLIM_INFINITY || (uint64_t)limit > most)
    return most;
  return (uint64_t)limit;
}

int axo_hard_limits_get(axo_hard_limits_t *out) {
  struct rlimit nofile;
  struct rlimit nproc;
  if (getrlimit(RLIMIT_NOFILE, &nofile) != 0 || getrlimit(RLIMIT_NPROC, &nproc) != 0) {
    return uv_translate_sys_error(errno);
  }
  out->nofile = at_most(nofile.rlim_max, read_number("/proc/sys/fs/nr_open"));
  out->nproc = at_most(nproc.rlim_max, read_number("/proc/sys/kernel/pid_max"));
  return 0;
}
