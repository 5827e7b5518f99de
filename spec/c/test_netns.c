/* axo-netns, run on networks of the test's own: a child makes one, as a container's
 * first process has it, and plays what a program in there does. */
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

static struct sockaddr_in at(const char *address, uint16_t port) {
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
  CHECK(inet_pton(AF_INET, address, &in.sin_addr) == 1);
  return in;
}

static int bound(int type, const char *address, uint16_t port) {
  struct sockaddr_in where = at(address, port);
  int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  CHECK(bind(fd, (struct sockaddr *)&where, sizeof where) == 0);
  CHECK(type != SOCK_STREAM || listen(fd, 16) == 0);
  return fd;
}

static uint16_t port_of(int fd) {
  struct sockaddr_in in;
  socklen_t size = sizeof in;
  CHECK(getsockname(fd, (struct sockaddr *)&in, &size) == 0);
  return ntohs(in.sin_port);
}

static bool is_at(const struct sockaddr_in *in, const char *address, uint16_t port) {
  struct sockaddr_in expected = at(address, port);
  return in->sin_addr.s_addr == expected.sin_addr.s_addr &&
         in->sin_port == expected.sin_port;
}

static void set_up_loopback(void) {
  struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
  close(fd);
}

static int wait_readable(int fd) {
  struct pollfd p = {fd, POLLIN, 0};
  return poll(&p, 1, PATIENCE_MS);
}

static int connected(int type, const char *address, uint16_t port) {
  struct sockaddr_in where = at(address, port);
  int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&where, sizeof where) == 0);
  return fd;
}

/* A connection to there arrives at `listener`, and where it was meant for is told. */
static void expect_arrival(int listener, const char *address, uint16_t port) {
  struct sockaddr_in meant;
  socklen_t size = sizeof meant;
  char text[4];
  int from = connected(SOCK_STREAM, address, port);
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

/* A question to there arrives at `socket`, and its answer comes from there. */
static void expect_question(int socket, const char *address) {
  struct sockaddr_in asker;
  socklen_t size = sizeof asker;
  char text[8];
  int from = connected(SOCK_DGRAM, address, 53);
  CHECK(send(from, "who", 3, 0) == 3 && wait_readable(socket) == 1);
  CHECK(recvfrom(socket, text, sizeof text, 0, (struct sockaddr *)&asker, &size) == 3);
  CHECK(sendto(socket, "me", 2, 0, (struct sockaddr *)&asker, size) == 2);
  CHECK(wait_readable(from) == 1 && recv(from, text, sizeof text, 0) == 2);
  close(from);
}

static void leads_connections(const sockets_t *s) {
  expect_arrival(s->tcp[0], "1.2.3.4", 80);
  expect_arrival(s->tcp[0], "198.18.0.2", 443);
  expect_arrival(s->tcp[0], "10.0.0.1", 53);
  expect_arrival(s->tcp[0], "169.254.169.254", 80);
  expect_arrival(s->tcp[0], "255.1.2.3", 65535);
}

static void leads_questions(const sockets_t *s) {
  expect_question(s->dns[0], "1.1.1.1");
  expect_question(s->dns[0], "198.18.0.1");
  expect_question(s->dns[0], "192.168.1.1");
}

static void expect_own(int listener, const char *address, uint16_t port) {
  int from = connected(SOCK_STREAM, address, port);
  CHECK(wait_readable(listener) == 1);
  int to = accept(listener, NULL, NULL);
  CHECK(to >= 0);
  close(to);
  close(from);
}

static void leaves_its_own_servers(const sockets_t *s) {
  int any = bound(SOCK_STREAM, "0.0.0.0", 443),
      dns = bound(SOCK_DGRAM, "127.0.0.1", 53);
  (void)s;
  expect_own(any, "127.0.0.1", 443);
  expect_own(any, "127.9.9.9", 443);
  expect_own(any, "198.18.0.1", 443);
  expect_question(dns, "127.0.0.1");
  expect_arrival(s->tcp[0], "1.2.3.4", 443);
  close(any);
  close(dns);
}

static void refuses_other_datagrams(const sockets_t *s) {
  char byte;
  int from = connected(SOCK_DGRAM, "1.2.3.4", 443);
  (void)s;
  CHECK(send(from, "quic", 4, 0) == 4 && wait_readable(from) == 1);
  CHECK(recv(from, &byte, 1, 0) == -1 && errno == ECONNREFUSED);
  close(from);
}

static void refuses_where_nobody_listens(const sockets_t *s) {
  struct sockaddr_in where = at("1.2.3.4", 80);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  close(s->tcp[0]);
  CHECK(connect(fd, (struct sockaddr *)&where, sizeof where) == -1);
  CHECK(errno == ECONNREFUSED);
  close(fd);
}

static void leads_to_the_second(const sockets_t *s) {
  expect_arrival(s->tcp[1], "1.2.3.4", 80);
  expect_question(s->dns[1], "1.1.1.1");
}

static void is_as_it_was(const sockets_t *s) {
  struct sockaddr_in where = at("1.2.3.4", 80);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  (void)s;
  CHECK(connect(fd, (struct sockaddr *)&where, sizeof where) == -1);
  CHECK(errno == ENETUNREACH);
  close(fd);
}

/* ---- the container --------------------------------------------------------------- */

typedef struct box {
  pid_t pid;
  int to, from; /* pipes */
  ports_t ports;
} box_t;

/* How it gets a network of its own. */
typedef enum owner { OWN_USERS, USERS_WITHIN, NO_USERS } owner_t;

static void put(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  close(fd);
}

static void become_root_of_users(void) {
  char map[2][32];
  snprintf(map[0], sizeof map[0], "0 %u 1", geteuid());
  snprintf(map[1], sizeof map[1], "0 %u 1", getegid());
  CHECK(unshare(CLONE_NEWUSER) == 0);
  put("/proc/self/uid_map", map[0]);
  put("/proc/self/setgroups", "deny");
  put("/proc/self/gid_map", map[1]);
}

static void leave(owner_t owner) {
  if (owner == USERS_WITHIN) {
    become_root_of_users();
    become_root_of_users(); /* two deep, as with keep-id */
  }
  int users = owner == OWN_USERS ? CLONE_NEWUSER : 0;
  CHECK(unshare(users | CLONE_NEWNET) == 0);
}

typedef void (*act_t)(const sockets_t *);

/* Does what it is told, by the address of a function: it is a fork. */
_Noreturn static void live(owner_t owner, int in, int out) {
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

static box_t box_open(owner_t owner) {
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

static void box_does(const box_t *box, act_t act) {
  char byte;
  assert_int_equal(write(box->to, &act, sizeof act), sizeof act);
  assert_int_equal(wait_readable(box->from), 1);
  assert_int_equal(read(box->from, &byte, 1), 1);
}

static void box_close(const box_t *box) {
  int status;
  close(box->to);
  close(box->from);
  assert_int_equal(waitpid(box->pid, &status, 0), box->pid);
  assert_int_equal(status, 0);
}

/* ---- the helper ------------------------------------------------------------------ */

static char said[1024]; /* on its stderr */

/* As a kernel without nftables answers. */
static void refuse_netfilter(void) {
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

static void become_helper(char *const *argv, int err) {
  /* Nobody can look into it, so no sanitiser can look for what it lost. */
  setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
  CHECK(dup2(err, STDERR_FILENO) >= 0);
  if (without_netfilter)
    refuse_netfilter();
  execv(AXO_NETNS, argv);
  CHECK(false);
}

/* Its exit status. */
static int run(char *const *argv) {
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

static unsigned long long start_of(pid_t pid) {
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

static int redirect_from(pid_t pid, unsigned long long start, const ports_t *ports,
                         int which) {
  char text[4][24], *argv[] = {AXO_NETNS, text[0], text[1], text[2], text[3], NULL};
  snprintf(text[0], sizeof text[0], "%d", (int)pid);
  snprintf(text[1], sizeof text[1], "%llu", start);
  snprintf(text[2], sizeof text[2], "%u", ports->tcp[which]);
  snprintf(text[3], sizeof text[3], "%u", ports->dns[which]);
  return run(argv);
}

static int redirect(const box_t *box, int which) {
  return redirect_from(box->pid, start_of(box->pid), &box->ports, which);
}

/* ---- tests ----------------------------------------------------------------------- */

static void expect_redirected(owner_t owner) {
  box_t box = box_open(owner);
  assert_int_equal(redirect(&box, 0), 0);
  assert_string_equal(said, "");
  box_does(&box, leads_connections);
  box_does(&box, leads_questions);
  box_does(&box, leaves_its_own_servers);
  box_does(&box, refuses_other_datagrams);
  box_does(&box, refuses_where_nobody_listens);
  box_close(&box);
}

static void leads_what_is_sent_out_to_two_sockets(void **state) {
  (void)state;
  expect_redirected(OWN_USERS);
}

static void enters_a_user_namespace_in_another(void **state) {
  (void)state;
  expect_redirected(USERS_WITHIN);
}

static void enters_a_network_of_its_own_user_namespace(void **state) {
  (void)state;
  if (geteuid() != 0)
    skip();
  expect_redirected(NO_USERS);
}

static void replaces_what_there_is(void **state) {
  (void)state;
  box_t box = box_open(OWN_USERS);
  for (int i = 0; i < 3; i++)
    assert_int_equal(redirect(&box, 0), 0);
  box_does(&box, leads_connections);
  assert_int_equal(redirect(&box, 1), 0);
  box_does(&box, leads_to_the_second);
  box_close(&box);
}

static void expect_failure(int status, const char *what) {
  assert_int_equal(status, 1);
  assert_non_null(strstr(said, what));
  assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
}

static void leaves_its_own_network_alone(void **state) {
  (void)state;
  const ports_t ports = {{1, 1}, {1, 1}};
  expect_failure(redirect_from(getpid(), start_of(getpid()), &ports, 0),
                 "the host's network");
}

static void leaves_alone_who_has_that_number_now(void **state) {
  (void)state;
  box_t box = box_open(OWN_USERS);
  expect_failure(redirect_from(box.pid, start_of(box.pid) + 1, &box.ports, 0),
                 "another one by now");
  box_does(&box, is_as_it_was);
  box_close(&box);
  expect_failure(redirect_from(box.pid, 1, &box.ports, 0), "no process");
}

static void takes_numbers_only(void **state) {
  (void)state;
  char *const bad[][6] = {
      {"axo-netns", NULL},
      {"axo-netns", "1", "2", "3", NULL},
      {"axo-netns", "0", "2", "3", "4", NULL},
      {"axo-netns", "-1", "2", "3", "4", NULL},
      {"axo-netns", "1", "+2", "3", "4", NULL},
      {"axo-netns", "1", "99999999999999999999", "3", "4", NULL},
      {"axo-netns", "1", "2", "0", "4", NULL},
      {"axo-netns", "1", "2", "65536", "4", NULL},
      {"axo-netns", "1", "2", "3", "4 ", NULL},
      {"axo-netns", "1", "2", "", "4", NULL},
      {"axo-netns", "../1", "2", "3", "4", NULL},
      {"axo-netns", "4294967297", "2", "3", "4", NULL},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    expect_failure(run(bad[i]), i < 2 ? "usage" : "is no number from 1 to");
}

static void says_that_the_kernel_does_not_have_it(void **state) {
  (void)state;
  box_t box = box_open(OWN_USERS);
  without_netfilter = true;
  int status = redirect(&box, 0);
  without_netfilter = false;
  assert_int_equal(status, 3);
  assert_non_null(strstr(said, strerror(EPROTONOSUPPORT)));
  box_does(&box, is_as_it_was);
  box_close(&box);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(leads_what_is_sent_out_to_two_sockets),
      cmocka_unit_test(enters_a_user_namespace_in_another),
      cmocka_unit_test(enters_a_network_of_its_own_user_namespace),
      cmocka_unit_test(replaces_what_there_is),
      cmocka_unit_test(leaves_its_own_network_alone),
      cmocka_unit_test(leaves_alone_who_has_that_number_now),
      cmocka_unit_test(takes_numbers_only),
      cmocka_unit_test(says_that_the_kernel_does_not_have_it),
  };
  signal(SIGPIPE, SIG_IGN);
  return cmocka_run_group_tests_name("netns", tests, NULL, NULL);
}
