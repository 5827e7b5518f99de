/* netns_support.h: axo-netns, run on a network of the test's own: a child makes one, as
 * a container's first process has it, and plays what a program in there does. */
#ifndef NETNS_SUPPORT_H
#define NETNS_SUPPORT_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Only a failure waits so long. */
#define PATIENCE_MS 60000

/* ---- in the container ------------------------------------------------------------ */

/* What fails in there ends the child with the number of its line. */
#define CHECK(condition)                                                               \
  do {                                                                                 \
    if (!(condition)) {                                                                \
      fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #condition, strerror(errno));    \
      _exit(99);                                                                       \
    }                                                                                  \
  } while (0)

/* The host's sockets; a second pair for a second host. */
typedef struct sockets {
  int tcp[2], dns[2];
} sockets_t;
typedef struct ports {
  uint16_t tcp[2], dns[2];
} ports_t;

static inline struct sockaddr_in at(const char *address, uint16_t port) {
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
  CHECK(inet_pton(AF_INET, address, &in.sin_addr) == 1);
  return in;
}

static inline int bound(int type, const char *address, uint16_t port) {
  struct sockaddr_in where = at(address, port);
  int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  CHECK(bind(fd, (struct sockaddr *)&where, sizeof where) == 0);
  CHECK(type != SOCK_STREAM || listen(fd, 16) == 0);
  return fd;
}

static inline uint16_t port_of(int fd) {
  struct sockaddr_in in;
  socklen_t size = sizeof in;
  CHECK(getsockname(fd, (struct sockaddr *)&in, &size) == 0);
  return ntohs(in.sin_port);
}

static inline bool is_at(const struct sockaddr_in *in, const char *address,
                         uint16_t port) {
  struct sockaddr_in expected = at(address, port);
  return in->sin_addr.s_addr == expected.sin_addr.s_addr &&
         in->sin_port == expected.sin_port;
}

static inline void set_up_loopback(void) {
  struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
  close(fd);
}

static inline int wait_readable(int fd) {
  struct pollfd p = {fd, POLLIN, 0};
  return poll(&p, 1, PATIENCE_MS);
}

static inline int connected(int type, const char *address, uint16_t port) {
  struct sockaddr_in where = at(address, port);
  int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&where, sizeof where) == 0);
  return fd;
}

/* What `from` has connected to arrives at `listener`, and what that was is told. */
static inline void expect_arrival_of(int from, int listener, const char *address,
                                     uint16_t port) {
  struct sockaddr_in meant;
  socklen_t size = sizeof meant;
  char text[4];
  CHECK(wait_readable(listener) == 1);
  int to = accept(listener, NULL, NULL);
  CHECK(to >= 0);
  CHECK(getsockopt(to, SOL_IP, SO_ORIGINAL_DST, &meant, &size) == 0);
  CHECK(is_at(&meant, address, port));
  CHECK(write(from, "up", 2) == 2 && wait_readable(to) == 1 && read(to, text, 4) == 2);
  CHECK(write(to, "down", 4) == 4 && wait_readable(from) == 1);
  CHECK(read(from, text, 4) == 4 && memcmp(text, "down", 4) == 0);
  close(to);
  close(from);
}

static inline void expect_arrival(int listener, const char *address, uint16_t port) {
  expect_arrival_of(connected(SOCK_STREAM, address, port), listener, address, port);
}

/* What `from` asks arrives at `socket`, and the answer comes back. */
static inline void expect_question_of(int from, int socket) {
  struct sockaddr_in asker;
  socklen_t size = sizeof asker;
  char text[8];
  CHECK(send(from, "who", 3, 0) == 3 && wait_readable(socket) == 1);
  CHECK(recvfrom(socket, text, sizeof text, 0, (struct sockaddr *)&asker, &size) == 3);
  CHECK(sendto(socket, "me", 2, 0, (struct sockaddr *)&asker, size) == 2);
  CHECK(wait_readable(from) == 1 && recv(from, text, sizeof text, 0) == 2);
  close(from);
}

static inline void expect_question(int socket, const char *address) {
  expect_question_of(connected(SOCK_DGRAM, address, 53), socket);
}

/* ---- the container --------------------------------------------------------------- */

typedef struct box {
  pid_t pid;
  int to, from; /* pipes */
  ports_t ports;
} box_t;

/* How it gets a network of its own. */
typedef enum owner { OWN_USERS, USERS_WITHIN, NO_USERS } owner_t;

static inline void put(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  close(fd);
}

static inline void become_root_of_users(void) {
  char map[2][32];
  snprintf(map[0], sizeof map[0], "0 %u 1", geteuid());
  snprintf(map[1], sizeof map[1], "0 %u 1", getegid());
  CHECK(unshare(CLONE_NEWUSER) == 0);
  put("/proc/self/uid_map", map[0]);
  put("/proc/self/setgroups", "deny");
  put("/proc/self/gid_map", map[1]);
}

static inline void leave(owner_t owner) {
  if (owner == USERS_WITHIN) {
    become_root_of_users();
    become_root_of_users(); /* two deep, as with keep-id */
  }
  int users = owner == OWN_USERS ? CLONE_NEWUSER : 0;
  CHECK(unshare(users | CLONE_NEWNET) == 0);
}

typedef void (*act_t)(const sockets_t *);

/* Does what it is told, by the address of a function: it is a fork. */
_Noreturn static inline void live(owner_t owner, int in, int out) {
  sockets_t s;
  ports_t ports;
  act_t act;
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  leave(owner);
  set_up_loopback();
  for (int i = 0; i < 2; i++) {
    s.tcp[i] = bound(SOCK_STREAM, "127.0.0.1", 0);
    s.dns[i] = bound(SOCK_DGRAM, "127.0.0.1", 0);
    ports.tcp[i] = port_of(s.tcp[i]);
    ports.dns[i] = port_of(s.dns[i]);
  }
  CHECK(write(out, &ports, sizeof ports) == sizeof ports);
  while (read(in, &act, sizeof act) == sizeof act) {
    act(&s);
    CHECK(write(out, "", 1) == 1);
  }
  _exit(0);
}

static inline box_t box_open(owner_t owner) {
  int to[2], from[2];
  box_t box;
  assert_int_equal(pipe2(to, O_CLOEXEC), 0);
  assert_int_equal(pipe2(from, O_CLOEXEC), 0);
  box = (box_t){.pid = fork(), .to = to[1], .from = from[0]};
  assert_true(box.pid >= 0);
  if (box.pid == 0) {
    close(to[1]);
    close(from[0]);
    live(owner, to[0], from[1]);
  }
  close(to[0]);
  close(from[1]);
  assert_int_equal(read(box.from, &box.ports, sizeof box.ports), sizeof box.ports);
  return box;
}

static inline void box_does(const box_t *box, act_t act) {
  char byte;
  assert_int_equal(write(box->to, &act, sizeof act), sizeof act);
  assert_int_equal(wait_readable(box->from), 1);
  assert_int_equal(read(box->from, &byte, 1), 1);
}

static inline void box_close(const box_t *box) {
  int status;
  close(box->to);
  close(box->from);
  assert_int_equal(waitpid(box->pid, &status, 0), box->pid);
  assert_int_equal(status, 0);
}

/* ---- the helper ------------------------------------------------------------------ */

static char said[1024]; /* on its stderr */

/* As a kernel without nftables answers. */
static inline void refuse_netfilter(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NETLINK_NETFILTER, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static bool without_netfilter;

static inline void become_helper(char *const *argv, int err) {
  /* Nobody can look into it, so no sanitiser can look for what it lost. */
  setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
  CHECK(dup2(err, STDERR_FILENO) >= 0);
  if (without_netfilter)
    refuse_netfilter();
  execv(AXO_NETNS, argv);
  CHECK(false);
}

/* Its exit status. */
static inline int run(char *const *argv) {
  int err[2], status;
  size_t len = 0;
  ssize_t n;
  assert_int_equal(pipe2(err, O_CLOEXEC), 0);
  pid_t pid = fork();
  if (pid == 0)
    become_helper(argv, err[1]);
  close(err[1]);
  while ((n = read(err[0], said + len, sizeof said - 1 - len)) > 0)
    len += (size_t)n;
  said[len] = 0;
  close(err[0]);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static inline unsigned long long start_of(pid_t pid) {
  char path[64], text[1024];
  unsigned long long start = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = read(fd, text, sizeof text - 1);
  assert_true(n > 0);
  text[n] = 0;
  close(fd);
  const char *name = strrchr(text, ')');
  assert_int_equal(sscanf(name + 2,
                          "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
                          "%*d %*d %*d %*d %*d %llu",
                          &start),
                   1);
  return start;
}

static inline int redirect_from(pid_t pid, unsigned long long start,
                                const ports_t *ports, int which) {
  char text[4][24], *argv[] = {AXO_NETNS, text[0], text[1], text[2], text[3], NULL};
  snprintf(text[0], sizeof text[0], "%d", (int)pid);
  snprintf(text[1], sizeof text[1], "%llu", start);
  snprintf(text[2], sizeof text[2], "%u", ports->tcp[which]);
  snprintf(text[3], sizeof text[3], "%u", ports->dns[which]);
  return run(argv);
}

static inline int redirect(const box_t *box, int which) {
  return redirect_from(box->pid, start_of(box->pid), &box->ports, which);
}

#endif /* NETNS_SUPPORT_H */
