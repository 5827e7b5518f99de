/* What a host is sent: now, or as soon as it reads. */
#include "guest.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void block(int index, uint64_t retry) {
  struct link *link = &g.links[index];
  link->blocked = true;
  link->retry = retry;
  watch(link->fd, WATCH_LINK, index, retry ? 0 : EPOLLOUT);
  wake_at(retry);
}

static bool is_shortage(int error) {
  return error == ENOBUFS || error == ENOMEM || error == ETOOMANYREFS ||
         error == EMFILE || error == ENFILE;
}

/* True when it was sent; else the link is blocked, or its end will be reported. */
static bool send_now(int index, const axo_packet_t *head, const void *body,
                     const int *fds, int count) {
  int error = packet_send(g.links[index].fd, head, body, fds, count);
  if (error == EAGAIN)
    block(index, 0);
  else if (is_shortage(error))
    block(index, now_ms() + RETRY_MS);
  else if (error)
    shutdown(g.links[index].fd, SHUT_RDWR);
  return error == 0;
}

bool link_tell(int index, const axo_packet_t *head, const void *body, const int *fds,
               int count) {
  const struct link *link = &g.links[index];
  return link->fd >= 0 && !link->blocked && send_now(index, head, body, fds, count);
}

bool link_answer(int index, const axo_packet_t *head, const void *body, int fd) {
  struct link *link = &g.links[index];
  size_t len = body ? head->length : 0;
  if (!link->blocked && send_now(index, head, body, &fd, fd >= 0 ? 1 : 0)) {
    if (fd >= 0)
      close(fd);
    return true;
  }
  if (!link->blocked || link->owed.is_set || len > sizeof link->owed.body) {
    if (fd >= 0)
      close(fd);
    return false;
  }
  link->owed = (struct owed){.is_set = true, .head = *head, .fd = fd};
  if (len)
    memcpy(link->owed.body, body, len);
  return true;
}

void link_pay(int index) {
  struct owed *owed = &g.links[index].owed;
  if (!owed->is_set ||
      !send_now(index, &owed->head, owed->body, &owed->fd, owed->fd >= 0 ? 1 : 0))
    return;
  if (owed->fd >= 0)
    close(owed->fd);
  *owed = (struct owed){.fd = -1};
}
