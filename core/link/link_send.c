/* What is sent: now, or when the guest reads again. */
#include "link/link_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Packets that wait because the guest is slow to read. */
#define OUTBOX_MAX 1024

/* ---- the outbox ------------------------------------------------------------------ */

void axo__link_watch(axo_link_t *link) {
  int events = UV_READABLE | (link->outbox ? UV_WRITABLE : 0);
  uv_poll_start(&link->peer->poll, events, link->on_peer);
}

static void outgoing_free(axo__outgoing_t *o) {
  for (int i = 0; i < o->fd_count; i++)
    close(o->fds[i]);
  free(o);
}

void axo__outbox_clear(axo_link_t *link) {
  while (link->outbox) {
    axo__outgoing_t *o = link->outbox;
    link->outbox = o->next;
    outgoing_free(o);
  }
  link->outbox_end = &link->outbox;
  link->outbox_len = 0;
}

static int outbox_push(axo_link_t *link, const axo_packet_t *head, const void *body,
                       const int *fds, int fd_count) {
  size_t len = head->flags & AXO_FLAG_MEMFD ? 0 : head->length;
  if (link->outbox_len >= OUTBOX_MAX)
    return UV_ENOBUFS;
  axo__outgoing_t *o = malloc(sizeof *o + len);
  if (!o)
    return UV_ENOMEM;
  o->next = NULL;
  o->head = *head;
  if (len)
    memcpy(o->body, body, len);
  for (o->fd_count = 0; o->fd_count < fd_count; o->fd_count++) {
    o->fds[o->fd_count] = fcntl(fds[o->fd_count], F_DUPFD_CLOEXEC, 3);
    if (o->fds[o->fd_count] < 0) {
      int rc = uv_translate_sys_error(errno);
      outgoing_free(o);
      return rc;
    }
  }
  *link->outbox_end = o;
  link->outbox_end = &o->next;
  link->outbox_len++;
  axo__link_watch(link);
  return 0;
}

/* Whether it is the connection that failed, and not this one packet. */
static bool is_broken(int rc) {
  return rc == UV_EPIPE || rc == UV_ECONNRESET || rc == UV_ENOTCONN || rc == UV_EBADF;
}

/* What was queued cannot be sent after all: its call hears so. */
static void refuse(axo_link_t *link, uint64_t id, int rc) {
  axo_failed_t failed = {AXO_STAGE_REQUEST, -rc};
  axo__packet_t packet = {.head.type = AXO_EV_FAILED, .body = &failed};
  axo__call_t *call = axo__call_of(link, id);
  if (call)
    call->on_packet(call, &packet);
}

int axo__outbox_flush(axo_link_t *link) {
  while (link->outbox && link->peer) {
    axo__outgoing_t *o = link->outbox;
    int rc = axo__packet_send(link->peer->fd, &o->head, o->body, o->fds, o->fd_count);
    if (rc == UV_EAGAIN)
      return 0;
    if (is_broken(rc))
      return rc;
    link->outbox = o->next;
    if (!link->outbox)
      link->outbox_end = &link->outbox;
    link->outbox_len--;
    uint64_t id = o->head.id;
    outgoing_free(o);
    if (rc != 0)
      refuse(link, id, rc);
  }
  if (link->peer)
    axo__link_watch(link);
  return 0;
}

/* ---- sending --------------------------------------------------------------------- */

static int send_packet(axo_link_t *link, const axo_packet_t *head, const void *body,
                       const int *fds, int fd_count) {
  int rc = link->outbox ? UV_EAGAIN
                        : axo__packet_send(link->peer->fd, head, body, fds, fd_count);
  if (rc == UV_EAGAIN)
    return outbox_push(link, head, body, fds, fd_count);
  return is_broken(rc) ? UV_ENOTCONN : rc;
}

int axo__sealed_file(const void *body, size_t len) {
  int fd = memfd_create("axo-body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    return uv_translate_sys_error(errno);
  size_t done = 0;
  while (done < len) {
    ssize_t n = write(fd, (const char *)body + done, len - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    done += (size_t)n;
  }
  int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
  if (done == len && fcntl(fd, F_ADD_SEALS, seals) == 0)
    return fd;
  int rc = errno ? uv_translate_sys_error(errno) : UV_EIO;
  close(fd);
  return rc;
}

static int send_large(axo_link_t *link, axo_packet_t *head, const axo__message_t *m) {
  int all[AXO_FDS_MAX];
  int file = axo__sealed_file(m->body, m->len);
  if (file < 0)
    return file;
  for (int i = 0; i < m->fd_count; i++)
    all[i] = m->fds[i];
  all[m->fd_count] = file;
  head->flags |= AXO_FLAG_MEMFD;
  int rc = send_packet(link, head, NULL, all, m->fd_count + 1);
  close(file);
  return rc;
}

static int send_message(axo_link_t *link, uint64_t id, const axo__message_t *m) {
  if (!link->up)
    return UV_ENOTCONN;
  if (m->len > AXO_BODY_MAX)
    return UV_E2BIG;
  axo_packet_t head = {AXO_PROTO_VERSION, m->type, 0, (uint32_t)m->len, id};
  return m->len > AXO_PACKET_MAX - sizeof head
             ? send_large(link, &head, m)
             : send_packet(link, &head, m->body, m->fds, m->fd_count);
}

int axo__link_send(axo_link_t *link, axo__call_t *call, const axo__message_t *m) {
  if (!link->up)
    return UV_ENOTCONN;
  if (!axo__call_begin(link, call))
    return UV_ENOBUFS;
  int rc = send_message(link, call->id, m);
  if (rc != 0)
    axo__call_end(call);
  return rc;
}

int axo__link_tell(axo_link_t *link, const axo__message_t *m) {
  return send_message(link, 0, m);
}

void axo__link_forget(axo__call_t *call) {
  if (call->id == 0)
    return;
  send_message(call->link, call->id, &(axo__message_t){.type = AXO_REQ_FORGET});
  axo__call_end(call);
}
