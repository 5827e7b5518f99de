/* Packets on a SOCK_SEQPACKET socket, as the host sends and receives them. */
#include "link/link_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef union control {
  struct cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * AXO_FDS_MAX)];
} control_t;

static void put_fds(struct msghdr *msg, control_t *control, const int *fds, int count) {
  size_t size = sizeof(int) * (size_t)count;
  memset(control, 0, sizeof *control);
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

/* Copies a body that came in a memfd: a mapping of what somebody else holds could fault
 * under our hands, a read cannot. */
static int read_body(axo__packet_t *p) {
  size_t len = p->head.length, done = 0;
  if (p->head.type != AXO_EV_LISTED || len > AXO_WORKS_MAX * sizeof(axo_entry_t))
    return UV_EPROTO;
  p->owned = malloc(len);
  if (!p->owned)
    return UV_ENOMEM;
  while (done < len) {
    ssize_t n = pread(p->fds[p->fd_count - 1], (char *)p->owned + done, len - done,
                      (off_t)done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return UV_EPROTO;
    done += (size_t)n;
  }
  p->body = p->owned;
  return 0;
}

/* Whether reading it cannot wait for anybody: a sealed memfd, which is plain memory. */
static bool is_memory(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && seals & F_SEAL_WRITE;
}

/* What each type of the guest's packets consists of. */
static const struct kind {
  uint8_t type;
  uint32_t length; /* UINT32_MAX: any number of axo_entry_t, in a memfd when not 0 */
  int fds_min, fds_max;
} kinds[] = {
    {AXO_EV_HELLO, sizeof(axo_hello_t), 0, 0},
    {AXO_EV_SPAWNED, sizeof(axo_spawned_t), 1, 2},
    {AXO_EV_FAILED, sizeof(axo_failed_t), 0, 0},
    {AXO_EV_EXITED, sizeof(axo_exited_t), 0, 0},
    {AXO_EV_OPENED, 0, 1, 1},
    {AXO_EV_LISTED, UINT32_MAX, 0, 1},
    {AXO_EV_DONE, 0, 0, 0},
    {AXO_EV_EMPTY, 0, 0, 0},
    {AXO_EV_NEW, sizeof(axo_attach_t), 0, 0},
    {AXO_EV_STUCK, 0, 0, 0},
    {AXO_EV_SIGNALLED, sizeof(axo_signalled_t), 0, 0},
    {AXO_EV_OWNER, sizeof(axo_owned_t), 0, 0},
};

static bool is_listing(const axo__packet_t *p) {
  bool in_memfd = p->head.flags & AXO_FLAG_MEMFD;
  return p->head.length % sizeof(axo_entry_t) == 0 &&
         in_memfd == (p->head.length > 0) &&
         (p->fds_lost || p->fd_count == (in_memfd ? 1 : 0));
}

static bool is_valid(const axo__packet_t *p) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const struct kind *kind = &kinds[i];
    if (kind->type != p->head.type)
      continue;
    if (kind->length == UINT32_MAX)
      return is_listing(p);
    return p->head.flags == 0 && p->head.length == kind->length &&
           (p->fds_lost ? kind->fds_max > 0 : p->fd_count >= kind->fds_min) &&
           p->fd_count <= kind->fds_max;
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
  if (!(out->head.flags & AXO_FLAG_MEMFD) || out->fds_lost)
    return 0;
  return is_memory(out->fds[0]) ? read_body(out) : UV_EPROTO;
}

int axo__packet_receive(int fd, void *buf, size_t size, axo__packet_t *out,
                        axo_err_t *err) {
  control_t control;
  struct iovec iov = {buf, size};
  struct msghdr msg = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
  *out = (axo__packet_t){.owned = NULL};
  ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return 0;
  if (n <= 0) {
    int rc = n == 0 ? UV_EOF : uv_translate_sys_error(errno);
    return axo__err_set(err, rc, "link", NULL, "the guest closed the link");
  }
  take_fds(&msg, out);
  /* Cut short with room to spare: this process may have no more descriptors. */
  bool cut = msg.msg_flags & MSG_CTRUNC;
  out->fds_lost = cut && out->fd_count < AXO_FDS_MAX;
  int rc = msg.msg_flags & MSG_TRUNC || (cut && !out->fds_lost)
               ? UV_EPROTO
               : parse(buf, (size_t)n, out);
  if (rc == 0)
    return 1;
  axo__packet_release(out);
  return axo__err_set(err, rc, "link", NULL,
                      "the guest sent what is not of the protocol (%zd bytes)", n);
}

void axo__packet_release(axo__packet_t *packet) {
  free(packet->owned);
  packet->owned = NULL;
  packet->body = NULL;
  for (int i = 0; i < packet->fd_count; i++)
    if (packet->fds[i] >= 0)
      close(packet->fds[i]);
  packet->fd_count = 0;
}
