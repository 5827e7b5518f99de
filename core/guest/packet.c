/* Packets: received and checked, sent, and passed on. Nothing here acts on them. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define STRINGS_MAX 65536
#define TMPFS_MAGIC 0x01021994

typedef union control {
  struct cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * AXO_FDS_MAX)];
} control_t;

/* ---- receiving ------------------------------------------------------------------- */

static void collect_fds(struct msghdr *msg, struct packet *p) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
      continue;
    size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < n; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + sizeof fd * i, sizeof fd);
      if (p->fd_count < AXO_FDS_MAX)
        p->fds[p->fd_count++] = fd;
      else
        close(fd);
    }
  }
}

/* Ordinary memory whose size and bytes are final: only that can be mapped and read
 * without a surprise (a huge page that is not there is SIGBUS, too). */
static bool is_sealed(int fd, size_t length) {
  struct statfs fs;
  struct stat st;
  int seals = fcntl(fd, F_GET_SEALS);
  int needed = F_SEAL_SHRINK | F_SEAL_WRITE;
  return seals >= 0 && (seals & needed) == needed && fstatfs(fd, &fs) == 0 &&
         fs.f_type == TMPFS_MAGIC && fstat(fd, &st) == 0 && st.st_size >= (off_t)length;
}

static bool map_body(struct packet *p) {
  if (p->head.length == 0 || p->head.length > AXO_BODY_MAX || p->fd_count == 0 ||
      !is_sealed(p->fds[p->fd_count - 1], p->head.length))
    return false;
  void *map =
      mmap(NULL, p->head.length, PROT_READ, MAP_PRIVATE, p->fds[p->fd_count - 1], 0);
  if (map == MAP_FAILED)
    return false;
  p->mapped = map;
  p->body = map;
  return true;
}

static bool parse(struct packet *p, const unsigned char *buf, size_t n) {
  if (n < sizeof p->head)
    return false;
  memcpy(&p->head, buf, sizeof p->head);
  if (p->head.version != AXO_PROTO_VERSION || p->head.flags & ~AXO_FLAG_MEMFD)
    return false;
  size_t here = p->head.flags & AXO_FLAG_MEMFD ? 0 : p->head.length;
  if (n - sizeof p->head != here)
    return false;
  if (p->head.flags & AXO_FLAG_MEMFD)
    return p->fds_lost || map_body(p); /* lost with its descriptor: there is no body */
  p->body = buf + sizeof p->head;
  return true;
}

int packet_receive(int fd, struct packet *p) {
  static _Alignas(16) unsigned char buf[AXO_PACKET_MAX];
  control_t control;
  struct iovec iov = {buf, sizeof buf};
  struct msghdr msg = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control};
  memset(p, 0, offsetof(struct packet, fds));
  p->fd_count = 0;
  p->fds_lost = false;
  ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0)
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
  collect_fds(&msg, p);
  bool cut = msg.msg_flags & MSG_CTRUNC;
  p->fds_lost = cut && p->fd_count < AXO_FDS_MAX;
  if (!(msg.msg_flags & MSG_TRUNC) && (!cut || p->fds_lost) && parse(p, buf, (size_t)n))
    return 1;
  packet_release(p);
  return -1;
}

void packet_release(struct packet *p) {
  if (p->mapped)
    munmap(p->mapped, p->head.length);
  for (int i = 0; i < p->fd_count; i++)
    if (p->fds[i] >= 0)
      close(p->fds[i]);
  p->fd_count = 0;
  p->mapped = NULL;
}

/* ---- what a request consists of -------------------------------------------------- */

/* Strings up to the end of the body, `count` of them. */
static bool is_strings(const unsigned char *at, size_t left, size_t count) {
  for (; count; count--) {
    const unsigned char *end = memchr(at, 0, left);
    if (!end)
      return false;
    left -= (size_t)(end + 1 - at);
    at = end + 1;
  }
  return left == 0;
}

static bool is_name(const char name[AXO_NAME_MAX]) {
  return name[0] && memchr(name, 0, AXO_NAME_MAX);
}

static bool is_spawn(const struct packet *p) {
  const axo_spawn_t *fixed = (const axo_spawn_t *)p->body;
  if (p->head.length < sizeof *fixed || fixed->kind < AXO_KIND_EXEC ||
      fixed->kind > AXO_KIND_TERMINAL || fixed->argc == 0 ||
      fixed->argc >= STRINGS_MAX || fixed->envc >= STRINGS_MAX / 2 ||
      (fixed->kind != AXO_KIND_EXEC && !is_name(fixed->name)))
    return false;
  return is_strings(p->body + sizeof *fixed, p->head.length - sizeof *fixed,
                    (size_t)2 + fixed->argc + fixed->envc);
}

bool spawn_has_stdin(const axo_spawn_t *fixed) {
  return fixed->kind == AXO_KIND_TASK && fixed->flags & AXO_SPAWN_STDIN;
}

/* An exec brings its stdio, the others a bell, and a task perhaps a stdin; a large body
 * comes in one more. */
static bool has_spawn_fds(const struct packet *p) {
  const axo_spawn_t *fixed = (const axo_spawn_t *)p->body;
  int fds = fixed->kind == AXO_KIND_EXEC ? 3 : 1 + spawn_has_stdin(fixed);
  return p->fd_count == fds + (p->head.flags & AXO_FLAG_MEMFD ? 1 : 0);
}

/* So many paths, and perhaps the root that they are relative to. */
static bool is_paths(const struct packet *p, size_t fixed, size_t count) {
  const unsigned char *at = p->body + fixed;
  size_t left = p->head.length - fixed;
  return is_strings(at, left, count) || is_strings(at, left, count + 1);
}

static bool is_path(const struct packet *p) {
  size_t fixed = sizeof(axo_path_t);
  if (p->head.length < fixed)
    return false;
  bool two = ((const axo_path_t *)p->body)->op == AXO_PATH_RENAME;
  return is_paths(p, fixed, two ? 2 : 1);
}

static bool is_signal(const struct packet *p) {
  const axo_signal_t *how = (const axo_signal_t *)p->body;
  return p->head.length == sizeof *how && how->signal >= 0 && how->signal < NSIG &&
         how->tree <= 1;
}

static bool has_name(const struct packet *p) {
  return p->head.length == sizeof(axo_attach_t) && is_name((const char *)p->body);
}

bool packet_is_request(const struct packet *p) {
  uint8_t type = p->head.type;
  if (type == AXO_REQ_SPAWN)
    return p->head.id && (p->fds_lost || (is_spawn(p) && has_spawn_fds(p)));
  if (p->head.flags || (!p->head.id && type != AXO_REQ_SIGNAL))
    return false;
  if (type == AXO_REQ_ATTACH)
    return has_name(p) && (p->fds_lost || p->fd_count == 1);
  if (p->fd_count || p->fds_lost)
    return false;
  switch (type) {
  case AXO_REQ_SIGNAL:
    return is_signal(p);
  case AXO_REQ_OPEN:
    return p->head.length > sizeof(axo_open_t) && is_paths(p, sizeof(axo_open_t), 1);
  case AXO_REQ_LIST:
    return p->head.length == 0 || has_name(p);
  case AXO_REQ_FORGET:
  case AXO_REQ_KILL_ALL:
    return p->head.length == 0;
  case AXO_REQ_PATH:
    return is_path(p);
  case AXO_REQ_SOCKET:
    return p->head.length == sizeof(axo_socket_t);
  case AXO_REQ_OWNER:
    return p->head.length == sizeof(axo_inode_t);
  default:
    return false;
  }
}

static char *next_string(const unsigned char **at, const unsigned char *end) {
  const unsigned char *nul = memchr(*at, 0, (size_t)(end - *at));
  char *s = (char *)*at;
  if (!nul)
    return NULL;
  *at = nul + 1;
  return s;
}

static bool strings(const unsigned char **at, const unsigned char *end, char **out,
                    uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    out[i] = next_string(at, end);
    if (!out[i])
      return false;
  }
  out[count] = NULL;
  return true;
}

bool spawn_parse(const struct packet *p, struct spawn_args *out) {
  static char *argv[STRINGS_MAX], *env[STRINGS_MAX];
  if (!p->body || !is_spawn(p))
    return false;
  const axo_spawn_t *fixed = (const axo_spawn_t *)p->body;
  const unsigned char *at = p->body + sizeof *fixed, *end = p->body + p->head.length;
  *out = (struct spawn_args){.fixed = fixed, .argv = argv, .env = env};
  out->cwd = next_string(&at, end);
  out->user = out->cwd ? next_string(&at, end) : NULL;
  return out->user && strings(&at, end, argv, fixed->argc) &&
         strings(&at, end, env, fixed->envc);
}

/* ---- sending --------------------------------------------------------------------- */

static void put_fds(struct msghdr *msg, control_t *control, const int *fds, int count) {
  size_t size = sizeof(int) * (size_t)count;
  msg->msg_control = control->bytes;
  msg->msg_controllen = CMSG_SPACE(size);
  struct cmsghdr *c = CMSG_FIRSTHDR(msg);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(c), fds, size);
}

int packet_send(int fd, const axo_packet_t *head, const void *body, const int *fds,
                int count) {
  control_t control;
  size_t here = head->flags & AXO_FLAG_MEMFD ? 0 : head->length;
  struct iovec iov[2] = {{(void *)head, sizeof *head}, {(void *)body, here}};
  struct msghdr msg = {.msg_iov = iov, .msg_iovlen = here ? 2 : 1};
  if (fds && count > 0)
    put_fds(&msg, &control, fds, count);
  return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

bool is_dead(int error) {
  return error == EPIPE || error == ECONNRESET || error == ENOTCONN;
}

int packet_relay(int fd, const struct packet *p, const int *fds, int count) {
  int all[AXO_FDS_MAX];
  for (int i = 0; i < count; i++)
    all[i] = fds[i];
  if (p->head.flags & AXO_FLAG_MEMFD)
    all[count++] = p->fds[p->fd_count - 1];
  return packet_send(fd, &p->head, p->body, all, count);
}
