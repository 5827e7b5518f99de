/* Sockets that a host asks for. They are of the container's network, since this process
 * is; what is done with them, the host does. */
#include "guest.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* From linux/netlink.h, which not every C library brings. */
#define NETLINK_SOCK_DIAG 4

static const axo_socket_t kinds[] = {
    {.domain = AF_INET, .type = SOCK_STREAM, .protocol = IPPROTO_TCP},
    {.domain = AF_INET, .type = SOCK_DGRAM, .protocol = IPPROTO_UDP},
    {.domain = AF_INET6, .type = SOCK_STREAM, .protocol = IPPROTO_TCP},
    {.domain = AF_INET6, .type = SOCK_DGRAM, .protocol = IPPROTO_UDP},
    {.domain = AF_NETLINK, .type = SOCK_DGRAM, .protocol = NETLINK_SOCK_DIAG},
};

static bool is_offered(const axo_socket_t *how) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (how->domain == kinds[i].domain && how->type == kinds[i].type &&
        how->protocol == kinds[i].protocol)
      return true;
  return false;
}

int socket_make(const axo_socket_t *how) {
  if (!is_offered(how)) {
    errno = EPROTONOSUPPORT;
    return -1;
  }
  return socket(how->domain, how->type | SOCK_NONBLOCK | SOCK_CLOEXEC, how->protocol);
}
