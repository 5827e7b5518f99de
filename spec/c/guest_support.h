/* guest_support.h: runs the real guest, in a directory of the test's own, and speaks to
 * it as a host does. Most tests run it as an ordinary process; those that need the
 * powers of PID 1 put it into a pid namespace. */
#ifndef GUEST_SUPPORT_H
#define GUEST_SUPPORT_H

#include "link/protocol.h"
#include "send_raw.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Only a failure waits so long. */
#define PATIENCE_MS 60000

typedef struct guest {
  pid_t child; /* of this process */
  pid_t pid;   /* the guest itself */
  bool is_init;
  rlim_t nofile; /* 0: as many as this process */
  char dir[64], root[80], links[80];
} guest_t;
static guest_t guest;

typedef struct host {
  int fd;
  uint64_t last_id;
} host_t;

typedef struct event {
  axo_packet_t head;
  union {
    axo_hello_t hello;
    axo_spawned_t spawned;
    axo_failed_t failed;
    axo_exited_t exited;
    axo_signalled_t signalled;
    axo_attach_t attach;
    axo_owned_t owned;
    unsigned char bytes[256];
  } body;
  int fds[AXO_FDS_MAX];
  int fd_count;
} event_t;

/* ---- the guest ------------------------------------------------------------------- */

static inline void become_init(void) {
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("proc", "/proc", "proc", 0, NULL) != 0)
    _exit(97);
}

static inline void run_guest(void) {
  prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
  setpgid(0, 0);
  if (guest.nofile > 0)
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){guest.nofile, guest.nofile});
  if (guest.is_init)
    become_init();
  execl(AXO_GUEST, AXO_GUEST, guest.root, guest.links, (char *)NULL);
  _exit(98);
}

/* A process between us and the namespace; its exit is the guest's. */
static inline void run_in_namespace(int report) {
  int status;
  prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
  if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0 &&
      unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) != 0)
    _exit(96);
  pid_t pid = fork();
  if (pid == 0)
    run_guest();
  if (write(report, &pid, sizeof pid) != (ssize_t)sizeof pid)
    _exit(95);
  signal(SIGTERM, SIG_IGN); /* meant for the guest; we end with it */
  waitpid(pid, &status, 0);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

/* `inner` is a directory to be made in the link directory, or NULL. */
static inline void guest_start_with(bool is_init, rlim_t nofile, const char *inner) {
  int report[2];
  char path[128];
  guest = (guest_t){.is_init = is_init, .nofile = nofile};
  snprintf(guest.dir, sizeof guest.dir, "/tmp/axo-test-guest-XXXXXX");
  assert_non_null(mkdtemp(guest.dir));
  assert_int_equal(chmod(guest.dir, 0755), 0);
  snprintf(guest.root, sizeof guest.root, "%s/root", guest.dir);
  snprintf(guest.links, sizeof guest.links, "%s/links", guest.dir);
  assert_int_equal(mkdir(guest.root, 0755), 0);
  assert_int_equal(mkdir(guest.links, 0755), 0);
  snprintf(path, sizeof path, "%s/%s", guest.links, inner ? inner : "");
  assert_true(!inner || mkdir(path, 0755) == 0);
  assert_int_equal(pipe2(report, O_CLOEXEC), 0);
  guest.child = guest.pid = fork();
  assert_true(guest.child >= 0);
  if (guest.child == 0 && is_init)
    run_in_namespace(report[1]);
  if (guest.child == 0)
    run_guest();
  close(report[1]);
  if (is_init && read(report[0], &guest.pid, sizeof guest.pid) != sizeof guest.pid)
    fail_msg("no pid namespace could be made");
  close(report[0]);
}

static inline void guest_start(bool is_init, rlim_t nofile) {
  guest_start_with(is_init, nofile, NULL);
}

static inline void remove_tree(const char *path) {
  char command[PATH_MAX];
  snprintf(command, sizeof command, "rm -rf '%s'", path);
  assert_int_equal(system(command), 0);
}

/* It leaves when it is told to, and no sanitiser had anything to say. */
static inline void guest_stop(void) {
  int status = -1;
  assert_int_equal(kill(guest.pid, SIGTERM), 0);
  assert_int_equal(waitpid(guest.child, &status, 0), guest.child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  remove_tree(guest.dir);
}

static inline int plain_set_up(void **state) {
  (void)state;
  guest_start(false, 0);
  return 0;
}

static inline int init_set_up(void **state) {
  (void)state;
  guest_start(true, 0);
  return 0;
}

static inline int poor_set_up(void **state) {
  (void)state;
  guest_start(false, 64);
  return 0;
}

static inline int guest_tear_down(void **state) {
  (void)state;
  guest_stop();
  return 0;
}

#define GUEST_TEST(name)                                                               \
  cmocka_unit_test_setup_teardown(name, plain_set_up, guest_tear_down)
/* One that may have few descriptors. */
#define POOR_TEST(name)                                                                \
  cmocka_unit_test_setup_teardown(name, poor_set_up, guest_tear_down)
#define INIT_TEST(name)                                                                \
  cmocka_unit_test_setup_teardown(name, init_set_up, guest_tear_down)

/* Where only root may look, the same number for everybody. */
static inline int count_fds(pid_t pid) {
  char path[40];
  int count = 0;
  snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
  DIR *dir = opendir(path);
  if (!dir)
    return 0;
  while (readdir(dir))
    count++;
  closedir(dir);
  return count;
}

/* ---- packets --------------------------------------------------------------------- */

typedef struct request {
  uint8_t type;
  uint64_t id;
  const void *body;
  size_t len;
  const int *fds;
  int fd_count;
  uint16_t flags;
} request_t;

static inline int try_send(const host_t *host, const request_t *r) {
  static unsigned char buf[AXO_PACKET_MAX];
  axo_packet_t head = {AXO_PROTO_VERSION, r->type, r->flags, (uint32_t)r->len, r->id};
  size_t here = r->flags & AXO_FLAG_MEMFD ? 0 : r->len;
  memcpy(buf, &head, sizeof head);
  if (here)
    memcpy(buf + sizeof head, r->body, here);
  return send_raw(host->fd, buf, sizeof head + here, r->fds, r->fd_count);
}

static inline void send_request(const host_t *host, const request_t *r) {
  assert_int_equal(try_send(host, r), 0);
}

static inline bool is_readable(int fd, int ms) {
  struct pollfd p = {fd, POLLIN, 0};
  return poll(&p, 1, ms) > 0;
}

/* The next event; false when the guest has closed the link. */
static inline bool receive(const host_t *host, event_t *ev) {
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * AXO_FDS_MAX)];
  struct iovec iov[2] = {{&ev->head, sizeof ev->head}, {&ev->body, sizeof ev->body}};
  struct msghdr msg = {.msg_iov = iov,
                       .msg_iovlen = 2,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
  if (!is_readable(host->fd, PATIENCE_MS))
    fail_msg("the guest says nothing");
  memset(ev, 0, sizeof *ev);
  ssize_t n = recvmsg(host->fd, &msg, MSG_CMSG_CLOEXEC);
  if (n <= 0)
    return false;
  struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
  if (c) {
    ev->fd_count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(ev->fds, CMSG_DATA(c), sizeof(int) * (size_t)ev->fd_count);
  }
  assert_int_equal(ev->head.version, AXO_PROTO_VERSION);
  return true;
}

static inline void close_fds(const event_t *ev) {
  for (int i = 0; i < ev->fd_count; i++)
    close(ev->fds[i]);
}

/* The next event is this one. */
static inline event_t expect(const host_t *host, uint8_t type, uint64_t id) {
  event_t ev;
  assert_true(receive(host, &ev));
  assert_int_equal(ev.head.type, type);
  assert_int_equal(ev.head.id, id);
  return ev;
}

static inline void expect_failed(const host_t *host, uint64_t id, uint32_t stage,
                                 int error) {
  event_t ev = expect(host, AXO_EV_FAILED, id);
  assert_int_equal(ev.body.failed.stage, stage);
  assert_int_equal(ev.body.failed.error, error);
}

static inline event_t expect_exit(const host_t *host, uint64_t id, int code,
                                  int signum) {
  event_t ev = expect(host, AXO_EV_EXITED, id);
  assert_int_equal(ev.body.exited.code, code);
  assert_int_equal(ev.body.exited.signal, signum);
  return ev;
}

/* Its end by a signal, and that of everything it started. */
static inline void expect_death(const host_t *host, uint64_t id, int signum) {
  if (expect_exit(host, id, -1, signum).body.exited.left)
    expect(host, AXO_EV_EMPTY, id);
}

/* ---- hosts ----------------------------------------------------------------------- */

static inline int host_listen(const char *name) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  char shown[128], *hidden = at.sun_path;
  int len = snprintf(hidden, sizeof at.sun_path, "%s/.%s", guest.links, name);
  assert_true(len < (int)sizeof at.sun_path);
  snprintf(shown, sizeof shown, "%s/%s", guest.links, name);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(chmod(hidden, 0666), 0);
  assert_int_equal(listen(fd, 4), 0);
  assert_int_equal(rename(hidden, shown), 0);
  return fd;
}

/* Listens under this name; the guest connects and greets. */
static inline host_t host_open(const char *name) {
  event_t ev;
  int listener = host_listen(name);
  if (!is_readable(listener, PATIENCE_MS))
    fail_msg("the guest does not connect");
  host_t host = {.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)};
  close(listener);
  assert_true(host.fd >= 0);
  assert_true(receive(&host, &ev));
  assert_int_equal(ev.head.type, AXO_EV_HELLO);
  assert_int_equal(ev.head.id, AXO_KNOWS_ROOT | AXO_KNOWS_STDIN | AXO_KNOWS_SOCKET |
                                   AXO_KNOWS_OWNER);
  assert_int_equal(ev.body.hello.pid, guest.is_init ? 1 : (uint32_t)guest.pid);
  return host;
}

static inline void host_close(host_t *host) {
  close(host->fd);
  host->fd = -1;
}

/* ---- work ------------------------------------------------------------------------ */

typedef struct spawn {
  uint32_t kind;
  const char *argv[8];
  const char *env[8];
  const char *cwd, *user, *name;
  uint32_t ring, flags;
  uint16_t rows, cols;
} spawn_t;

static inline size_t put_strings(char *out, const char *const *list, uint32_t *count) {
  size_t len = 0;
  for (*count = 0; *count < 8 && list[*count]; ++*count) {
    strcpy(out + len, list[*count]);
    len += strlen(list[*count]) + 1;
  }
  return len;
}

static inline size_t spawn_body(char *out, const spawn_t *s) {
  axo_spawn_t fixed = {.kind = s->kind,
                       .ring = s->ring,
                       .flags = s->flags,
                       .rows = s->rows,
                       .cols = s->cols};
  size_t len = sizeof fixed;
  if (s->name)
    strcpy(fixed.name, s->name);
  len += (size_t)sprintf(out + len, "%s", s->cwd ? s->cwd : "") + 1;
  len += (size_t)sprintf(out + len, "%s", s->user ? s->user : "") + 1;
  len += put_strings(out + len, s->argv, &fixed.argc);
  len += put_strings(out + len, s->env, &fixed.envc);
  memcpy(out, &fixed, sizeof fixed);
  return len;
}

/* Asks for it, with descriptors that stay ours. Returns its id. */
static inline uint64_t ask_spawn(host_t *host, const spawn_t *s, const int *fds,
                                 int fd_count) {
  char body[4096];
  size_t len = spawn_body(body, s);
  uint64_t id = ++host->last_id;
  send_request(host, &(request_t){AXO_REQ_SPAWN, id, body, len, fds, fd_count, 0});
  return id;
}

typedef struct exec {
  uint64_t id;
  int in, out; /* ours */
} exec_t;

/* stderr goes where stdout goes. */
static inline exec_t exec_begin(host_t *host, spawn_t s) {
  int in[2], out[2];
  assert_int_equal(pipe2(in, O_CLOEXEC), 0);
  assert_int_equal(pipe2(out, O_CLOEXEC), 0);
  s.kind = AXO_KIND_EXEC;
  int fds[3] = {in[0], out[1], out[1]};
  exec_t exec = {.in = in[1], .out = out[0], .id = ask_spawn(host, &s, fds, 3)};
  close(in[0]);
  close(out[1]);
  return exec;
}

static inline exec_t shell_begin(host_t *host, const char *script) {
  return exec_begin(host, (spawn_t){.argv = {"/bin/sh", "-c", script}});
}

/* What it writes up to the end. */
static inline const char *exec_output(exec_t *exec) {
  static char text[65536];
  size_t len = 0;
  ssize_t n;
  while (len < sizeof text - 1 && is_readable(exec->out, PATIENCE_MS) &&
         (n = read(exec->out, text + len, sizeof text - 1 - len)) > 0)
    len += (size_t)n;
  text[len] = 0;
  return text;
}

static inline void exec_close(exec_t *exec) {
  close(exec->in);
  close(exec->out);
}

/* One line of it. */
static inline const char *exec_line(const exec_t *exec) {
  static char text[4096];
  size_t len = 0;
  while (len < sizeof text - 1 && is_readable(exec->out, PATIENCE_MS) &&
         read(exec->out, text + len, 1) == 1 && text[len] != '\n')
    len++;
  text[len] = 0;
  return text;
}

/* Runs a shell script to its end, which is a good one. */
static inline const char *shell(host_t *host, const char *script) {
  exec_t exec = shell_begin(host, script);
  close(exec.in);
  exec.in = -1;
  const char *text = exec_output(&exec);
  event_t ev = expect_exit(host, exec.id, 0, 0);
  if (ev.body.exited.left)
    expect(host, AXO_EV_EMPTY, exec.id);
  close(exec.out);
  return text;
}

static inline void send_signal(host_t *host, uint64_t work, int signum, bool tree) {
  axo_signal_t body = {.work = work, .signal = signum, .tree = tree};
  send_request(host,
               &(request_t){.type = AXO_REQ_SIGNAL, .body = &body, .len = sizeof body});
}

/* How many processes there were. */
static inline uint32_t count_signal(host_t *host, uint64_t work, int signum,
                                    bool tree) {
  axo_signal_t body = {.work = work, .signal = signum, .tree = tree};
  uint64_t id = ++host->last_id;
  send_request(host, &(request_t){AXO_REQ_SIGNAL, id, &body, sizeof body, NULL, 0, 0});
  return expect(host, AXO_EV_SIGNALLED, id).body.signalled.count;
}

#endif /* GUEST_SUPPORT_H */
