/* send_raw.h: packets that may be anything, from either end of a link. */
#ifndef SEND_RAW_H
#define SEND_RAW_H

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* At most so many descriptors. */
#define SEND_RAW_FDS 64

/* Sends bytes and descriptors, whatever they are. 0 or an errno. */
static inline int send_raw(int fd, const void *bytes, size_t len, const int *fds,
                           int n) {
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * SEND_RAW_FDS)] = {0};
  struct iovec iov = {(void *)bytes, len};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
  if (n > 0) {
    size_t size = sizeof(int) * (size_t)n;
    msg.msg_control = control;
    msg.msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), fds, size);
  }
  return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? errno : 0;
}

#endif
