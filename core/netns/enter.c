/* Into the network of a process, with no power but over that: what speaks with the
 * kernel then could change nothing else, not even by mistake. */
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of /proc/PID/stat, counted from behind the name: field 22. */
#define START_FIELD 20

/* A process that has ended is no failing of this host. */
_Noreturn static void fail_by_process(const char *what) {
  if (errno == ESRCH || errno == ENOENT)
    fail(0, "the container's first process has ended");
  fail(errno, "the network of the container's first process %s", what);
}

static uint64_t start_in(const char *stat) {
  const char *at = strrchr(stat, ')'); /* the name may hold anything */
  for (int i = 0; at && i < START_FIELD; i++)
    at = strchr(at + 1, ' ');
  return at ? strtoull(at + 1, NULL, 10) : 0;
}

static uint64_t start_of(int process) {
  char text[1024];
  int fd = openat(process, "stat", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (n < 0)
    fail_by_process("cannot be read");
  close(fd);
  text[n < 0 ? 0 : n] = 0; /* fail() does not return, which cppcheck does not see */
  return start_in(text);
}

/* The directory stands for that one process: once it has ended, nothing can be opened
 * in it any more, whoever gets its number. */
static int open_process(pid_t pid, uint64_t start) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%ld", (long)pid);
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    fail_by_process("cannot be looked for");
  if (start_of(fd) != start)
    fail(0, "process %ld is another one by now", (long)pid);
  return fd;
}

static bool is_own(int ns, const char *own) {
  struct stat a, b;
  if (fstat(ns, &a) || stat(own, &b))
    fail(errno, "%s", own);
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int open_network(int process) {
  int ns = openat(process, "ns/net", O_RDONLY | O_CLOEXEC);
  if (ns < 0)
    fail_by_process("cannot be opened");
  if (is_own(ns, "/proc/self/ns/net"))
    fail(0, "the process has the host's network, which is left as it is");
  return ns;
}

/* Whose capabilities count in that network. */
static void join_users(int network) {
  int users = ioctl(network, NS_GET_USERNS);
  if (users < 0)
    fail(errno, "the container's network is not this user's");
  if (!is_own(users, "/proc/self/ns/user") && setns(users, CLONE_NEWUSER))
    fail(errno, "the container's user namespace cannot be entered");
  close(users);
}

static void keep_one_capability(void) {
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct caps[2] = {{0}};
  caps[0].effective = caps[0].permitted = UINT32_C(1) << CAP_NET_ADMIN;
  if (syscall(SYS_capset, &head, caps))
    fail(errno, "it has no power over the container's network");
  /* By entering, the kernel may have made it so again. */
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
    fail(errno, "prctl");
}

void enter(pid_t pid, uint64_t start) {
  int process = open_process(pid, start);
  int network = open_network(process);
  join_users(network);
  if (setns(network, CLONE_NEWNET))
    fail(errno, "the container's network cannot be entered");
  keep_one_capability();
  close(network);
  close(process);
}
