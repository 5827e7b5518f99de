/* The end of sockets, as the kernel tells it: no capability is needed to listen. */
#include "net/diag_impl.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#define OP "sock_diag"
/* Datagrams at a time, before the loop sees to others. */
#define BATCH 64
#define PEER_PORT                                                                      \
  (sizeof(struct nlmsghdr) + offsetof(struct inet_diag_msg, id) +                      \
   offsetof(struct inet_diag_sockid, idiag_dport))

/* Passes what has no peer. The end of each connection would wake the host otherwise,
 * and a container makes as many as it likes. */
static int filter_peers(int fd) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, PEER_PORT),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0
             ? 0
             : uv_translate_sys_error(errno);
}

/* A socket without an address hears nothing. */
static int join(int fd, int protocol) {
  static const int groups[] = {SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY,
                               SKNLGRP_INET_UDP_DESTROY, SKNLGRP_INET6_UDP_DESTROY};
  size_t from = protocol == IPPROTO_UDP ? 2 : 0, to = protocol == IPPROTO_TCP ? 2 : 4;
  struct sockaddr_nl own = {.nl_family = AF_NETLINK};
  if (bind(fd, (struct sockaddr *)&own, sizeof own) != 0)
    return uv_translate_sys_error(errno);
  for (size_t i = from; i < to; i++)
    if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
                   sizeof groups[i]) != 0)
      return uv_translate_sys_error(errno);
  return 0;
}

/* Tells of one datagram's sockets; false when the diag was closed meanwhile. */
static bool tell(axo_diag_t *diag, axo__diag_bytes_t bytes) {
  axo__diag_message_t message;
  int rc;
  while ((rc = axo__diag_next(&bytes, &message)) > 0) {
    if (message.kind == DIAG_SOCKET)
      diag->cb(diag->data, &message.socket);
    if (diag->is_closed)
      return false;
  }
  if (rc < 0)
    diag->cb(diag->data, NULL);
  return !diag->is_closed;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  axo_diag_t *diag = (axo_diag_t *)((char *)poll - offsetof(axo_diag_t, poll));
  (void)status;
  (void)events;
  for (int i = 0; i < BATCH; i++) {
    axo__diag_bytes_t bytes = {0};
    int rc = axo__diag_receive(diag, &bytes);
    if (rc == UV_EAGAIN)
      return;
    if (rc != 0)
      diag->cb(diag->data, NULL);
    if (diag->is_closed || !tell(diag, bytes))
      return;
    if (rc != 0 && rc != UV_ENOBUFS && rc != UV_EPROTO) {
      uv_poll_stop(poll);
      return;
    }
  }
}

int axo_diag_watch(axo_diag_t *diag, uv_loop_t *loop, int protocol, axo_diag_cb cb,
                   void *data, axo_err_t *err) {
  if (diag->is_watching)
    return axo__err_set(err, UV_EBUSY, OP, NULL, "this diag watches already");
  int rc = filter_peers(diag->fd);
  if (rc == 0)
    rc = join(diag->fd, protocol);
  if (rc == 0)
    rc = uv_poll_init(loop, &diag->poll, diag->fd);
  if (rc != 0)
    return axo__err_code(err, rc, OP, "watching for the end of sockets");
  diag->is_watching = true;
  diag->cb = cb;
  diag->data = data;
  diag->poll.data = NULL;
  uv_poll_start(&diag->poll, UV_READABLE, on_readable);
  uv_unref((uv_handle_t *)&diag->poll);
  return 0;
}
