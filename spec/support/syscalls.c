/* What the kernel answers to system calls of a session, by number: one line "NAME
 * ERRNO" for each, 0 for one that was let through to the kernel and succeeded. Static,
 * for any image.
 *
 *   syscalls DIR     files are made in DIR, which this user may write
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#define UPPER (1UL << 32)

static void say(const char *name, long rc) {
  printf("%s %d\n", name, rc < 0 ? errno : 0);
}

#define TRY(name, ...) say(name, syscall(__VA_ARGS__))

/* In a child: what succeeds may leave the caller in another namespace, or twice. */
static int in_child(const char *name, long (*fn)(long), long with) {
  int pipes[2], cause = 0;
  if (pipe(pipes))
    return -1;
  pid_t pid = fork();
  if (pid == 0) {
    errno = 0;
    cause = fn(with) < 0 ? errno : 0;
    (void)!write(pipes[1], &cause, sizeof cause);
    _exit(0);
  }
  close(pipes[1]);
  if (read(pipes[0], &cause, sizeof cause) != sizeof cause)
    cause = -1;
  close(pipes[0]);
  waitpid(pid, NULL, 0);
  printf("%s %d\n", name, cause);
  return cause;
}

static long do_unshare(long flags) { return syscall(SYS_unshare, flags); }

static long do_clone(long flags) {
  long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0)
    _exit(0);
  int cause = errno;
  if (pid > 0)
    waitpid((pid_t)pid, NULL, 0);
  errno = cause;
  return pid;
}

static long do_clone3(long flags) {
  uint64_t args[8] = {(uint64_t)flags, 0, 0, 0, SIGCHLD};
  long pid = syscall(SYS_clone3, args, sizeof args);
  if (pid == 0)
    _exit(0);
  return pid;
}

static const struct bit {
  const char *name;
  long flag;
} namespaces[] = {
    {"newns", 0x20000},           {"newcgroup", 0x2000000},
    {"newuts", 0x4000000},        {"newipc", 0x8000000},
    {"newuser", 0x10000000},      {"newpid", 0x20000000},
    {"newnet", 0x40000000},       {"newuser+upper", 0x10000000 | (long)UPPER},
    {"newuser+newns", 0x10020000}};

static void try_namespaces(void) {
  char name[64];
  for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
    (void)snprintf(name, sizeof name, "unshare:%s", namespaces[i].name);
    in_child(name, do_unshare, namespaces[i].flag);
    (void)snprintf(name, sizeof name, "clone:%s", namespaces[i].name);
    in_child(name, do_clone, namespaces[i].flag);
  }
  in_child("unshare:newtime", do_unshare, 0x80);
  in_child("unshare:files", do_unshare, 0x400);
  in_child("clone:none", do_clone, 0);
  in_child("clone3:none", do_clone3, 0);
  in_child("clone3:newuser", do_clone3, 0x10000000);
}

static void try_mounts(void) {
  static const struct {
    const char *name;
    long number;
  } calls[] = {{"setns", SYS_setns},
               {"mount", SYS_mount},
               {"umount2", SYS_umount2},
               {"pivot_root", SYS_pivot_root},
               {"mount_setattr", 442},
               {"move_mount", 429},
               {"open_tree", 428},
               {"fsopen", 430},
               {"fsconfig", 431},
               {"fsmount", 432},
               {"fspick", 433},
               {"keyctl", SYS_keyctl},
               {"add_key", SYS_add_key},
               {"request_key", SYS_request_key},
               {"io_uring_setup", 425},
               {"io_uring_enter", 426},
               {"io_uring_register", 427},
               {"syslog", SYS_syslog},
               {"memfd_secret", 447},
               {"bpf", SYS_bpf},
               {"userfaultfd", SYS_userfaultfd},
               {"fanotify_init", SYS_fanotify_init},
               {"perf_event_open", SYS_perf_event_open},
               {"quotactl", SYS_quotactl},
               {"quotactl_fd", 443},
               {"kcmp", SYS_kcmp},
               {"process_madvise", 440},
               {"reboot", SYS_reboot}};
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    TRY(calls[i].name, calls[i].number, -1L, -1L, -1L, -1L, -1L);
#ifdef SYS_modify_ldt
  TRY("modify_ldt", SYS_modify_ldt, 0, NULL, 0);
#endif
}

static void try_socket(const char *name, unsigned long family, long type,
                       unsigned long protocol) {
  long fd = syscall(SYS_socket, family, type, protocol);
  say(name, fd);
  if (fd >= 0)
    close((int)fd);
}

static void try_sockets(void) {
  char name[64];
  int two[2];
  try_socket("socket:unix", AF_UNIX, SOCK_STREAM, 0);
  try_socket("socket:inet", AF_INET, SOCK_STREAM, 0);
  try_socket("socket:inet6", AF_INET6, SOCK_DGRAM, 0);
  try_socket("socket:vsock", 40, SOCK_STREAM, 0);
  try_socket("socket:vsock+upper", 40 | UPPER, SOCK_STREAM, 0);
  for (unsigned long family = 0; family < 48; family++) {
    (void)snprintf(name, sizeof name, "family:%lu", family);
    if (family != AF_UNIX && family != AF_INET && family != AF_INET6 && family != 16)
      try_socket(name, family, SOCK_DGRAM, 0);
  }
  for (unsigned long protocol = 0; protocol < 24; protocol++) {
    (void)snprintf(name, sizeof name, "netlink:%lu", protocol);
    try_socket(name, 16, SOCK_RAW, protocol);
  }
  try_socket("netlink:9+upper", 16, SOCK_RAW, 9 | UPPER);
  try_socket("netlink+upper:9", 16 | UPPER, SOCK_RAW, 9);
  TRY("socketpair:unix", SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, two);
  TRY("socketpair:tipc", SYS_socketpair, 30, SOCK_STREAM, 0, two);
  TRY("socketpair:unix+upper", SYS_socketpair, AF_UNIX | UPPER, SOCK_STREAM, 0, two);
}

static void try_modes(const char *what, unsigned mode) {
  char name[64];
  uint64_t how[3] = {O_CREAT | O_WRONLY, mode, 0};
#define MODE(call, ...)                                                                \
  do {                                                                                 \
    (void)snprintf(name, sizeof name, "%s:%s", call, what);                            \
    say(name, syscall(__VA_ARGS__));                                                   \
  } while (0)
  int fd = open("f", O_CREAT | O_RDWR, 0600);
#ifdef SYS_chmod
  MODE("chmod", SYS_chmod, "f", mode);
  MODE("open", SYS_open, "o", O_CREAT | O_WRONLY, mode);
  MODE("open-tmpfile", SYS_open, ".", O_TMPFILE | O_WRONLY, mode);
  MODE("creat", SYS_creat, "c", mode);
  MODE("mknod", SYS_mknod, "n", S_IFREG | mode, 0);
#endif
  MODE("fchmod", SYS_fchmod, fd, mode);
  MODE("fchmodat", SYS_fchmodat, AT_FDCWD, "f", mode);
  MODE("fchmodat2", SYS_fchmodat2, AT_FDCWD, "f", mode, 0);
  MODE("openat", SYS_openat, AT_FDCWD, "oa", O_CREAT | O_WRONLY, mode);
  MODE("openat-tmpfile", SYS_openat, AT_FDCWD, ".", O_TMPFILE | O_WRONLY, mode);
  MODE("openat2", SYS_openat2, AT_FDCWD, "o2", how, sizeof how);
  MODE("mknodat", SYS_mknodat, AT_FDCWD, "na", S_IFREG | mode, 0);
  MODE("mkdir", SYS_mkdirat, AT_FDCWD, "d", mode);
  /* Without O_CREAT the register holds anything. */
  MODE("openat-garbage", SYS_openat, AT_FDCWD, "f", O_RDONLY, mode | 0xffff0000);
  for (const char *all[] = {"f", "o", "c", "n", "oa", "o2", "na"}, **at = all;
       at < all + 7; at++) {
    struct stat st;
    if (stat(*at, &st) == 0 && st.st_mode & 06000)
      printf("left:%s:%s %o\n", *at, what, st.st_mode & 06000);
    unlink(*at);
  }
  rmdir("d");
  close(fd);
}

#if defined(__x86_64__)
/* The same kernel by its older door. */
static long by_i386(long number, long a, long b, long c) {
  long rc;
  __asm__ volatile("int $0x80"
                   : "=a"(rc)
                   : "a"(number), "b"(a), "c"(b), "d"(c)
                   : "memory", "r8", "r9", "r10", "r11");
  if ((int)rc < 0) {
    errno = -(int)rc;
    return -1;
  }
  return rc;
}

static long i386_unshare(long flags) { return by_i386(310, flags, 0, 0); }
static long i386_pid(long unused) { return by_i386(20, unused, 0, 0); }

/* A kernel without that door kills who knocks. */
static void try_i386(void) {
  if (in_child("i386:getpid", i386_pid, 0) != 0)
    return;
  int fd = open("f", O_CREAT | O_RDWR, 0600);
  in_child("i386:unshare:newuser", i386_unshare, 0x10000000);
  say("i386:socketcall", by_i386(102, 1, 0, 0));
  say("i386:socket:vsock", by_i386(359, 40, SOCK_STREAM, 0));
  say("i386:socket:inet", by_i386(359, AF_INET, SOCK_STREAM, 0));
  say("i386:keyctl", by_i386(288, 0, 0, 0));
  say("i386:mount", by_i386(21, 0, 0, 0));
  say("i386:umount", by_i386(22, 0, 0, 0));
  say("i386:fchmod:suid", by_i386(94, fd, 04755, 0));
  say("i386:fchmod:plain", by_i386(94, fd, 0700, 0));
  close(fd);
  unlink("f");
}

static long x32_keyctl(long unused) {
  (void)unused;
  return syscall(SYS_keyctl | 0x40000000, 0, 0, 0, 0, 0);
}
#endif

/* VFS_CAP_REVISION_2 with CAP_SYS_ADMIN permitted, and effective. */
static void try_file_capability(void) {
  static const uint32_t capability[] = {0x02000001, 1u << 21, 0, 0, 0};
  int fd = open("f", O_CREAT | O_RDWR, 0700);
  TRY("setxattr:capability", SYS_fsetxattr, fd, "security.capability", capability,
      sizeof capability, 0);
  close(fd);
  unlink("f");
}

int main(int argc, char **argv) {
  if (argc != 2 || chdir(argv[1]) != 0)
    return 2;
  umask(0);
  setvbuf(stdout, NULL, _IONBF, 0); /* children have nothing to say again */
  try_namespaces();
  try_mounts();
  try_sockets();
  try_modes("plain", 0755);
  try_modes("suid", 04755);
  try_modes("sgid", 02755);
  try_modes("both", 06755);
  try_file_capability();
#if defined(__x86_64__)
  try_i386();
  in_child("x32:keyctl", x32_keyctl, 0);
#endif
  return 0;
}
