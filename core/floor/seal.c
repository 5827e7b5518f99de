#include "base/internal.h"

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* It takes microseconds, unless a file system under the container does not answer. */
#define SEAL_MS 5000
/* What a killed child may take to end; beyond, the kernel holds it, and it stays. */
#define REAP_MS 1000

typedef struct failure {
  int cause; /* an errno; 0 is none */
  size_t at; /* of the paths; their number: before the first */
} failure_t;

static int open_namespace(int pid, const char *kind) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, kind);
  return open(path, O_RDONLY | O_CLOEXEC);
}

static bool is_own(int fd, const char *path) {
  struct stat theirs, ours;
  return fstat(fd, &theirs) == 0 && stat(path, &ours) == 0 &&
         theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

/* In a child of its own: a process enters no user namespace beside other threads, and
 * leaves none. Nothing here may allocate or lock. */
static failure_t seal(int user, int mount_ns, const char *const *paths) {
  static const unsigned long flags =
      MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  failure_t failure = {0, 0};
  while (paths[failure.at])
    failure.at++;
  if ((user >= 0 && setns(user, CLONE_NEWUSER) != 0) || setns(mount_ns, CLONE_NEWNS)) {
    failure.cause = errno;
    return failure;
  }
  for (size_t i = 0; paths[i]; i++) {
    if (mount(NULL, paths[i], NULL, flags, NULL) != 0 && failure.cause == 0)
      failure = (failure_t){errno, i};
  }
  return failure;
}

/* Reads what the child found. 0 or a negative UV_E*: it ended without a word, or is
 * silent. */
static int hear(int fd, failure_t *failure) {
  uint64_t end = uv_hrtime() / 1000000 + SEAL_MS;
  for (;;) {
    uint64_t now = uv_hrtime() / 1000000;
    struct pollfd ready = {fd, POLLIN, 0};
    int n = poll(&ready, 1, now < end ? (int)(end - now) : 0);
    if (n > 0)
      return read(fd, failure, sizeof *failure) == (ssize_t)sizeof *failure ? 0
                                                                            : UV_EIO;
    if (n == 0)
      return UV_ETIMEDOUT;
    if (errno != EINTR)
      return uv_translate_sys_error(errno);
  }
}

/* It has nothing more to do. */
static void end(pid_t child) {
  kill(child, SIGKILL);
  for (int i = 0; i < REAP_MS; i++) {
    pid_t got = waitpid(child, NULL, WNOHANG);
    if (got == child || (got < 0 && errno != EINTR))
      return;
    uv_sleep(1);
  }
}

static int run(int user, int mount_ns, const char *const *paths, failure_t *failure) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return uv_translate_sys_error(errno);
  pid_t child = fork();
  int cause = errno;
  if (child == 0) {
    failure_t found = seal(user, mount_ns, paths);
    ssize_t sent = write(ends[1], &found, sizeof found);
    _exit(sent == (ssize_t)sizeof found ? 0 : 1);
  }
  close(ends[1]);
  int rc = uv_translate_sys_error(cause);
  if (child > 0) {
    rc = hear(ends[0], failure);
    end(child);
  }
  close(ends[0]);
  return rc;
}

static int enter_and_seal(int pid, int mount_ns, const char *const *paths,
                          axo_err_t *err) {
  failure_t failure = {0, 0};
  int user = open_namespace(pid, "user");
  if (user < 0)
    return axo__err_code(err, uv_translate_sys_error(errno), "seal",
                         "the container's user namespace");
  bool same = is_own(user, "/proc/self/ns/user");
  int rc = run(same ? -1 : user, mount_ns, paths, &failure);
  close(user);
  if (rc == 0 && failure.cause == 0)
    return 0;
  rc = rc == 0 ? uv_translate_sys_error(failure.cause) : rc;
  const char *path = paths[failure.at];
  return axo__err_code(err, rc, "seal", "%s",
                       failure.cause && path ? path : "the container's mounts");
}

int axo_mounts_seal(int pid, const char *const *paths, axo_err_t *err) {
  int mount_ns = open_namespace(pid, "mnt");
  if (mount_ns < 0)
    return axo__err_code(err, uv_translate_sys_error(errno), "seal",
                         "the container's mounts");
  int rc = is_own(mount_ns, "/proc/self/ns/mnt")
               ? axo__err_set(err, UV_EINVAL, "seal", NULL,
                              "the process %d is in no container", pid)
               : enter_and_seal(pid, mount_ns, paths, err);
  close(mount_ns);
  return rc;
}

#else

int axo_mounts_seal(int pid, const char *const *paths, axo_err_t *err) {
  (void)pid;
  (void)paths;
  return axo__err_set(err, UV_ENOTSUP, "seal", NULL,
                      "the container's mounts cannot be reached from here");
}

#endif
