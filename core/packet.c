/* Packets on a SOCK_SEQPACKET socket, as the host sends and receives them. */
#include "link_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

typedef union control {
  struct cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * AXO_FDS_MAX)];
} control_t;

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

int axo__packet_send(int fd, const axo_packet_t *head, const void *body, const int *fds,
                     int fd_count) {
  control_t control;
  struct iovec iov[2] = {{(void *)head, sizeof *head}, {(void *)body, head->length}};
  bool inline_body = head->length > 0 && !(head->flags & AXO_FLAG_MEMFD);
  struct msghdr msg = {.msg_iov = iov, .msg_iovlen = inline_body ? 2 : 1};
  if (fd_count > 0)
    put_fds(&msg, &control, fds, fd_count);
  ssize_t n;
  do
    n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  return n < 0 ? uv_translate_sys_error(errno) : 0;
}

static void take_fds(struct msghdr *msg, axo__packet_t *out) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
      continue;
    size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < n; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      if (out->fd_count < AXO_FDS_MAX)
        out->fds[out->fd_count++] = fd;
      else
        close(fd);
    }
  }
}

/* Maps a body that came in a memfd. Sealed, or it could be cut while it is read. */
static int map_body(axo__packet_t *p) {
  struct stat st;
  int fd = p->fd_count > 0 ? p->fds[p->fd_count - 1] : -1;
  int seals = fd >= 0 ? fcntl(fd, F_GET_SEALS) : -1;
  if (seals < 0 || !(seals & F_SEAL_SHRINK) || !(seals & F_SEAL_WRITE))
    return UV_EPROTO;
  if (p->head.length == 0 || p->head.length > AXO_BODY_MAX || fstat(fd, &st) != 0 ||
      st.st_size < (off_t)p->head.length)
    return UV_EPROTO;
  void *map = mmap(NULL, p->head.length, PROT_READ, MAP_PRIVATE, fd, 0);
  if (map == MAP_FAILED)
    return uv_translate_sys_error(errno);
  p->body = map;
  return 0;
}

/* What each type of the guest's packets consists of. */
static const struct kind {
  uint8_t type;
  uint32_t length; /* UINT32_MAX: any number of axo_entry_t, in a memfd when not 0 */
  int fds_min, fds_max;
} kinds[] = {
    {AXO_EV_HELLO, sizeof(axo_hello_t), 0, 0},
    {AXO_EV_SPAWNED, sizeof(axo_spawned_t), 0, 2},
    {AXO_EV_FAILED, sizeof(axo_failed_t), 0, 0},
    {AXO_EV_EXITED, sizeof(axo_exited_t), 0, 0},
    {AXO_EV_OPENED, 0, 1, 1},
    {AXO_EV_LISTED, UINT32_MAX, 0, 1},
    {AXO_EV_DONE, 0, 0, 0},
    {AXO_EV_EMPTY, 0, 0, 0},
    {AXO_EV_NEW, sizeof(axo_attach_t), 0, 0},
};

static bool is_listing(const axo__packet_t *p) {
  bool in_memfd = p->head.flags & AXO_FLAG_MEMFD;
  return p->head.length % sizeof(axo_entry_t) == 0 &&
         in_memfd == (p->head.length > 0) && p->fd_count == (in_memfd ? 1 : 0);
}

static bool is_valid(const axo__packet_t *p) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const struct kind *kind = &kinds[i];
    if (kind->type != p->head.type)
      continue;
    if (kind->length == UINT32_MAX)
      return is_listing(p);
    return p->head.flags == 0 && p->head.length == kind->length &&
           p->fd_count >= kind->fds_min && p->fd_count <= kind->fds_max;
  }
  return false;
}

static int parse(const void *buf, size_t n, axo__packet_t *out) {
  if (n < sizeof out->head)
    return UV_EPROTO;
  memcpy(&out->head, buf, sizeof out->head);
  out->body = (const char *)buf + sizeof out->head;
  if (out->head.version != AXO_PROTO_VERSION || !is_valid(out))
    return UV_EPROTO;
  size_t inline_len = out->head.flags & AXO_FLAG_MEMFD ? 0 : out->head.length;
  if (n - sizeof out->head != inline_len)
    return UV_EPROTO;
  if (!(out->head.flags & AXO_FLAG_MEMFD))
    return 0;
  out->body = NULL;
  return map_body(out);
}

int axo__packet_receive(int fd, void *buf, size_t size, axo__packet_t *out,
                        axo_err_t *err) {
  control_t control;
  struct iovec iov = {buf, size};
  struct msghdr msg = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
  *out = (axo__packet_t){.fd_count = 0};
  ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return 0;
  if (n <= 0) {
    int rc = n == 0 ? UV_EOF : uv_translate_sys_error(errno);
    return axo__err_set(err, rc, "link", NULL, "the guest closed the link");
  }
  take_fds(&msg, out);
  int rc =
      msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? UV_EPROTO : parse(buf, (size_t)n, out);
  if (rc == 0)
    return 1;
  axo__packet_release(out);
  return axo__err_set(err, rc, "link", NULL,
                      "the guest sent what is not of the protocol (%zd bytes)", n);
}

void axo__packet_release(axo__packet_t *packet) {
  if (packet->head.flags & AXO_FLAG_MEMFD && packet->body)
    munmap((void *)packet->body, packet->head.length);
  packet->body = NULL;
  for (int i = 0; i < packet->fd_count; i++)
    if (packet->fds[i] >= 0)
      close(packet->fds[i]);
  packet->fd_count = 0;
}
