/* Links to hosts: each *.sock in the link directory is one. The directory is mounted
 * read-only, so only the host can put a socket there. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define SUFFIX ".sock"
#define NAME_LEN_MAX 63

static bool is_socket_name(const char *name) {
  size_t len = strlen(name);
  size_t suffix = sizeof SUFFIX - 1;
  return len > suffix && len <= NAME_LEN_MAX && name[0] != '.' &&
         strcmp(name + len - suffix, SUFFIX) == 0;
}

static int free_slot(void) {
  for (int i = 0; i < LINKS_MAX; i++)
    if (g.links[i].fd < 0)
      return i;
  return -1;
}

static int open_socket(const char *name) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  int n = -1;
  /* By descriptor: however long the directory's path, this fits. */
  static const char prefix[] = "/proc/self/fd/";
  char digits[12];
  int d = 0;
  for (int v = g.link_dir; d == 0 || v; v /= 10)
    digits[d++] = (char)('0' + v % 10);
  char *out = at.sun_path;
  out = stpcpy(out, prefix);
  while (d)
    *out++ = digits[--d];
  *out++ = '/';
  strcpy(out, name); /* is_socket_name bounded it to 63 */
  n = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (n >= 0 && connect(n, (struct sockaddr *)&at, sizeof at)) {
    close(n);
    return -1;
  }
  return n;
}

static void hello(int index) {
  axo_hello_t body = {.pid = (uint32_t)getpid(), .uid = (uint32_t)geteuid()};
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_HELLO, 0, sizeof body, 0};
  if (!link_send(index, &head, &body, NULL, 0))
    link_drop(index);
}

static void link_open(const char *name) {
  int index = free_slot();
  if (!is_socket_name(name) || index < 0)
    return;
  int fd = open_socket(name);
  if (fd < 0)
    return; /* the socket of a host that has died */
  g.links[index].fd = fd;
  g.links[index].blocked = false;
  watch(fd, WATCH_LINK, index, false);
  work_link_new(index);
  hello(index);
}

struct dirent64 {
  uint64_t d_ino;
  int64_t d_off;
  unsigned short d_reclen;
  unsigned char d_type;
  char d_name[];
};

void link_scan(void) {
  static _Alignas(8) char buf[8192];
  long n;
  lseek(g.link_dir, 0, SEEK_SET);
  while ((n = syscall(SYS_getdents64, g.link_dir, buf, sizeof buf)) > 0) {
    for (long at = 0; at < n;) {
      const struct dirent64 *entry = (const struct dirent64 *)(buf + at);
      link_open(entry->d_name);
      at += entry->d_reclen;
    }
  }
}

void link_inotify(void) {
  static _Alignas(8) char buf[4096 + sizeof(struct inotify_event) + NAME_MAX + 1];
  ssize_t n;
  while ((n = read(g.inotify, buf, sizeof buf)) > 0) {
    for (char *at = buf; at < buf + n;) {
      const struct inotify_event *ev = (const struct inotify_event *)at;
      if (ev->len)
        link_open(ev->name);
      at += sizeof *ev + ev->len;
    }
  }
}

void link_drop(int index) {
  if (g.links[index].fd < 0)
    return;
  unwatch(g.links[index].fd);
  close(g.links[index].fd);
  g.links[index].fd = -1;
  work_link_gone(index);
}

bool link_send(int index, const axo_packet_t *head, const void *body, const int *fds,
               int count) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * AXO_FDS_MAX)];
  } control;
  struct iovec iov[2] = {
      {(void *)head, sizeof *head},
      {(void *)body, head->flags & AXO_FLAG_MEMFD ? 0 : head->length}};
  struct msghdr msg = {.msg_iov = iov, .msg_iovlen = body ? 2 : 1};
  if (count) {
    msg.msg_control = control.bytes;
    msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
    memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)count);
  }
  struct link *link = &g.links[index];
  if (sendmsg(link->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
    return true;
  if ((errno == EAGAIN || errno == ENOBUFS) && !link->blocked) {
    link->blocked = true;
    watch(link->fd, WATCH_LINK, index, true);
  }
  return false;
}

static void collect_fds(struct msghdr *msg, struct packet *p) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
      continue;
    int n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (int i = 0; i < n; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + sizeof(int) * (size_t)i, sizeof fd);
      if (p->fd_count < AXO_FDS_MAX)
        p->fds[p->fd_count++] = fd;
      else
        close(fd);
    }
  }
}

/* Maps a body that came as a sealed memfd: what cannot shrink cannot raise SIGBUS. */
static int map_body(struct packet *p) {
  if (p->head.length == 0 || p->head.length > AXO_BODY_MAX || p->fd_count == 0)
    return -1;
  int fd = p->fds[p->fd_count - 1];
  int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 ||
      (seals & (F_SEAL_SHRINK | F_SEAL_WRITE)) != (F_SEAL_SHRINK | F_SEAL_WRITE))
    return -1;
  if (lseek(fd, 0, SEEK_END) < (off_t)p->head.length)
    return -1;
  p->mapped = mmap(NULL, p->head.length, PROT_READ, MAP_PRIVATE, fd, 0);
  if (p->mapped == MAP_FAILED) {
    p->mapped = NULL;
    return -1;
  }
  p->body = p->mapped;
  return 0;
}

/* Returns 1 for a packet, 0 for nothing now, -1 for the end of the link. */
int packet_receive(int fd, struct packet *p) {
  static _Alignas(16) unsigned char buf[AXO_PACKET_MAX];
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * AXO_FDS_MAX)];
  } control;
  struct iovec iov = {buf, sizeof buf};
  struct msghdr msg = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control};
  *p = (struct packet){0};
  ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0)
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
  collect_fds(&msg, p);
  if ((size_t)n < sizeof p->head || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
    goto bad;
  memcpy(&p->head, buf, sizeof p->head);
  if (p->head.version != AXO_PROTO_VERSION || p->head.flags & ~AXO_FLAG_MEMFD)
    goto bad;
  p->body = buf + sizeof p->head;
  if (p->head.flags & AXO_FLAG_MEMFD) {
    if ((size_t)n != sizeof p->head || map_body(p))
      goto bad;
  } else if ((size_t)n - sizeof p->head != p->head.length) {
    goto bad;
  }
  return 1;
bad:
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

void link_ready(int index, uint32_t events) {
  struct link *link = &g.links[index];
  if (link->fd < 0)
    return;
  if (events & EPOLLOUT && link->blocked) {
    link->blocked = false;
    watch(link->fd, WATCH_LINK, index, false);
    work_tell_link(index);
  }
  struct packet p;
  /* A few at a time, so that one host does not starve the others. */
  for (int i = 0; i < 16 && link->fd >= 0 && !link->blocked; i++) {
    int got = packet_receive(link->fd, &p);
    if (got == 0)
      return;
    bool good = got > 0 && request_handle(index, &p);
    if (got > 0)
      packet_release(&p);
    if (!good) {
      link_drop(index);
      return;
    }
  }
}
