/* Netlink, and how to fail. */
#include "netns.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A kernel without nftables or a part of it, or one that does not let this user. */
static bool is_not_offered(int error) {
  return error == ENOENT || error == EOPNOTSUPP || error == EPROTONOSUPPORT ||
         error == EAFNOSUPPORT || error == ENOSYS || error == EPERM || error == EACCES;
}

void fail(int error, const char *what, ...) {
  char text[256];
  va_list list;
  va_start(list, what);
  vsnprintf(text, sizeof text, what, list);
  va_end(list);
  if (error)
    fprintf(stderr, "axo-netns: %s: %s\n", text, strerror(error));
  else
    fprintf(stderr, "axo-netns: %s\n", text);
  exit(is_not_offered(error) ? EXIT_NOT_OFFERED : EXIT_FAILED);
}

struct mnl_socket *talk_open(int bus) {
  struct mnl_socket *socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
  if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
    fail(errno, "cannot speak with the kernel about networks");
  return socket;
}

static int on_yes(const struct nlmsghdr *message, void *data) {
  unsigned *left = data;
  (void)message;
  return --*left ? MNL_CB_OK : MNL_CB_STOP;
}

/* What the kernel answers to messages is an errno, which libmnl makes of it; 0 comes
 * here. */
static int on_answer(const struct nlmsghdr *message, void *data) {
  const struct nlmsgerr *answer = mnl_nlmsg_get_payload(message);
  if (message->nlmsg_len < mnl_nlmsg_size(sizeof *answer)) {
    errno = EBADMSG;
    return MNL_CB_ERROR;
  }
  if (answer->error == 0)
    return on_yes(message, data);
  errno = answer->error < 0 ? -answer->error : answer->error;
  return MNL_CB_ERROR;
}

int talk(struct mnl_socket *socket, const void *bytes, size_t len, unsigned count) {
  static mnl_cb_t on[NLMSG_MIN_TYPE] = {[NLMSG_ERROR] = on_answer};
  static _Alignas(NLMSG_ALIGNTO) char buf[32768];
  unsigned port = mnl_socket_get_portid(socket);
  if (mnl_socket_sendto(socket, bytes, len) < 0)
    return errno;
  while (count > 0) {
    ssize_t n = mnl_socket_recvfrom(socket, buf, sizeof buf);
    if (n < 0 ||
        mnl_cb_run2(buf, (size_t)n, 0, port, NULL, &count, on, NLMSG_MIN_TYPE) < 0)
      return errno;
  }
  return 0;
}
