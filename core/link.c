/* The host's end of a link. The host listens and the guest connects: a container can
 * never make the host connect to something that it chose. */
#include "link_impl.h"
#include "process_util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Packets that wait because the guest is slow to read. */
#define OUTBOX_MAX 1024
#define BACKLOG 16
#define RECEIVE_TURNS 64

typedef struct outgoing {
  struct outgoing *next;
  axo_packet_t head;
  int fds[AXO_FDS_MAX];
  int fd_count;
  char body[];
} outgoing_t;

struct axo_link {
  axo_link_options_t options;
  uv_loop_t *loop;
  uv_poll_t listener;
  uv_poll_t peer;
  int listen_fd;
  int peer_fd;
  int dir_fd;
  char name[32];
  unsigned handles;
  unsigned holding; /* calls that somebody waits for: they keep the loop running */
  bool up;
  uint32_t uid;
  bool closed; /* no more callbacks */
  uint64_t next_id;
  axo__call_t *calls[AXO__CALLS_MAX];
  unsigned next_slot;
  outgoing_t *outbox, **outbox_end;
  unsigned outbox_len;
  _Alignas(16) char buf[AXO_PACKET_MAX];
};

uv_loop_t *axo__link_loop(const axo_link_t *link) { return link->loop; }
void *axo_link_data(const axo_link_t *link) { return link->options.data; }
bool axo_link_is_up(const axo_link_t *link) { return link->up; }

/* ---- the end
 * ---------------------------------------------------------------------------- */

/* True when that was the last of it. */
static bool release(axo_link_t *link) {
  if (--link->handles > 0)
    return false;
  free(link);
  return true;
}

static void on_listener_closed(uv_handle_t *handle) {
  release(AXO__CONTAINER_OF(handle, axo_link_t, listener));
}

static void on_peer_closed(uv_handle_t *handle) {
  release(AXO__CONTAINER_OF(handle, axo_link_t, peer));
}

static void outbox_clear(axo_link_t *link) {
  while (link->outbox) {
    outgoing_t *o = link->outbox;
    link->outbox = o->next;
    for (int i = 0; i < o->fd_count; i++)
      close(o->fds[i]);
    free(o);
  }
  link->outbox_end = &link->outbox;
  link->outbox_len = 0;
}

static void close_peer(axo_link_t *link) {
  if (link->peer_fd < 0)
    return;
  uv_close((uv_handle_t *)&link->peer, on_peer_closed);
  close(link->peer_fd);
  link->peer_fd = -1;
  link->up = false;
  outbox_clear(link);
}

/* Tells everything in flight that its answer will not come. */
static void fail_calls(axo_link_t *link) {
  for (unsigned i = 0; i < AXO__CALLS_MAX; i++) {
    axo__call_t *call = link->calls[i];
    if (!call)
      continue;
    axo__call_end(call);
    call->on_packet(call, NULL);
  }
}

static void down(axo_link_t *link, const axo_err_t *why) {
  link->handles++; /* a callback may close the link */
  close_peer(link);
  fail_calls(link);
  if (!link->closed && link->options.on_down)
    link->options.on_down(link, why);
  release(link);
}

void axo__link_fail(axo_link_t *link, int code, const char *message) {
  axo_err_t err;
  axo__err_set(&err, code, "link", NULL, "%s", message);
  down(link, &err);
}

void axo_link_close(axo_link_t *link) {
  if (link->closed)
    return;
  link->closed = true;
  if (link->name[0])
    unlinkat(link->dir_fd, link->name, 0);
  close(link->dir_fd);
  uv_close((uv_handle_t *)&link->listener, on_listener_closed);
  close(link->listen_fd);
  link->handles++;
  close_peer(link);
  fail_calls(link);
  release(link);
}

/* ---- calls
 * ------------------------------------------------------------------------------- */

/* An id is a serial number and a slot: found at once, and never the same twice. */
static axo__call_t *call_of(const axo_link_t *link, uint64_t id) {
  axo__call_t *call = link->calls[id % AXO__CALLS_MAX];
  return call && call->id == id ? call : NULL;
}

static bool call_begin(axo_link_t *link, axo__call_t *call) {
  for (unsigned i = 0; i < AXO__CALLS_MAX; i++) {
    unsigned slot = (link->next_slot + i) % AXO__CALLS_MAX;
    if (link->calls[slot])
      continue;
    link->next_slot = slot + 1;
    link->calls[slot] = call;
    call->link = link;
    call->id = ++link->next_id * AXO__CALLS_MAX + slot;
    return true;
  }
  return false;
}

void axo__call_hold(axo__call_t *call, bool hold) {
  axo_link_t *link = call->link;
  if (call->id == 0 || call->holds == hold)
    return;
  call->holds = hold;
  link->holding += hold ? 1 : -1;
  if (link->peer_fd < 0)
    return;
  if (link->holding)
    uv_ref((uv_handle_t *)&link->peer);
  else
    uv_unref((uv_handle_t *)&link->peer);
}

void axo__call_end(axo__call_t *call) {
  if (call->id == 0)
    return;
  axo__call_hold(call, false);
  call->link->calls[call->id % AXO__CALLS_MAX] = NULL;
  call->id = 0;
}

/* ---- sending
 * ----------------------------------------------------------------------------- */

static void watch_peer(axo_link_t *link);

static int outbox_push(axo_link_t *link, const axo_packet_t *head, const void *body,
                       const int *fds, int fd_count) {
  size_t len = head->flags & AXO_FLAG_MEMFD ? 0 : head->length;
  if (link->outbox_len >= OUTBOX_MAX)
    return UV_ENOBUFS;
  outgoing_t *o = malloc(sizeof *o + len);
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
      while (o->fd_count-- > 0)
        close(o->fds[o->fd_count]);
      free(o);
      return rc;
    }
  }
  *link->outbox_end = o;
  link->outbox_end = &o->next;
  link->outbox_len++;
  watch_peer(link);
  return 0;
}

static int outbox_flush(axo_link_t *link) {
  while (link->outbox) {
    outgoing_t *o = link->outbox;
    int rc = axo__packet_send(link->peer_fd, &o->head, o->body, o->fds, o->fd_count);
    if (rc == UV_EAGAIN)
      return 0;
    link->outbox = o->next;
    if (!link->outbox)
      link->outbox_end = &link->outbox;
    link->outbox_len--;
    for (int i = 0; i < o->fd_count; i++)
      close(o->fds[i]);
    free(o);
    if (rc != 0)
      return rc;
  }
  watch_peer(link);
  return 0;
}

static int send_packet(axo_link_t *link, const axo_packet_t *head, const void *body,
                       const int *fds, int fd_count) {
  int rc = link->outbox ? UV_EAGAIN
                        : axo__packet_send(link->peer_fd, head, body, fds, fd_count);
  return rc == UV_EAGAIN ? outbox_push(link, head, body, fds, fd_count) : rc;
}

static int body_file(const void *body, size_t len) {
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
  int rc = uv_translate_sys_error(errno);
  close(fd);
  return rc;
}

static int send_large(axo_link_t *link, axo_packet_t *head, const axo__message_t *m) {
  int all[AXO_FDS_MAX];
  int file = body_file(m->body, m->len);
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

int axo__link_send(axo_link_t *link, axo__call_t *call, const axo__message_t *m) {
  if (!link->up)
    return UV_ENOTCONN;
  if (m->len > AXO_BODY_MAX)
    return UV_E2BIG;
  bool fresh = call->id == 0;
  if (fresh && !call_begin(link, call))
    return UV_EMFILE;
  axo_packet_t head = {AXO_PROTO_VERSION, m->type, 0, (uint32_t)m->len, call->id};
  int rc = m->len > AXO_PACKET_MAX - sizeof head
               ? send_large(link, &head, m)
               : send_packet(link, &head, m->body, m->fds, m->fd_count);
  if (rc != 0 && fresh)
    axo__call_end(call);
  return rc;
}

/* ---- receiving
 * --------------------------------------------------------------------------- */

uint32_t axo_link_uid(const axo_link_t *link) { return link->uid; }

static void on_hello(axo_link_t *link, const axo_hello_t *hello) {
  if (link->up)
    return;
  link->up = true;
  link->uid = hello->uid;
  if (link->options.on_up)
    link->options.on_up(link);
}

static void on_new(axo_link_t *link, const axo_attach_t *body) {
  char name[AXO_NAME_MAX + 1] = {0};
  memcpy(name, body->name, AXO_NAME_MAX);
  if (link->up && link->options.on_new)
    link->options.on_new(link, name);
}

static void deliver(axo_link_t *link, axo__packet_t *packet) {
  if (packet->head.type == AXO_EV_HELLO) {
    on_hello(link, packet->body);
    return;
  }
  if (packet->head.type == AXO_EV_NEW) {
    on_new(link, packet->body);
    return;
  }
  /* An id that is not in flight belongs to a call that was given up. */
  axo__call_t *call = call_of(link, packet->head.id);
  if (call)
    call->on_packet(call, packet);
}

static void on_peer(uv_poll_t *poll, int status, int events) {
  axo_link_t *link = AXO__CONTAINER_OF(poll, axo_link_t, peer);
  axo_err_t err;
  (void)status; /* an error shows itself in recvmsg */
  int rc = events & UV_WRITABLE ? outbox_flush(link) : 0;
  if (rc != 0) {
    axo__link_fail(link, rc, "the guest closed the link");
    return;
  }
  for (int turn = 0; turn < RECEIVE_TURNS && link->peer_fd >= 0; turn++) {
    axo__packet_t packet;
    rc = axo__packet_receive(link->peer_fd, link->buf, sizeof link->buf, &packet, &err);
    if (rc == 0)
      return;
    if (rc < 0) {
      down(link, &err);
      return;
    }
    link->handles++;
    deliver(link, &packet);
    axo__packet_release(&packet);
    if (release(link))
      return;
  }
}

static void watch_peer(axo_link_t *link) {
  uv_poll_start(&link->peer, UV_READABLE | (link->outbox ? UV_WRITABLE : 0), on_peer);
}

/* ---- listening
 * --------------------------------------------------------------------------- */

/* Only the container's init may speak: whoever else reached the socket is turned away.
 */
static bool is_guest(const axo_link_t *link, int fd) {
  struct ucred peer;
  socklen_t len = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
         peer.pid == link->options.guest_pid;
}

static void on_connection(uv_poll_t *poll, int status, int events) {
  axo_link_t *link = AXO__CONTAINER_OF(poll, axo_link_t, listener);
  (void)status;
  (void)events;
  int fd = accept4(link->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0)
    return;
  /* The close callback of an earlier peer must have run before its handle is used anew.
   */
  bool is_free = link->peer_fd < 0 && link->handles == 1;
  if (!is_free || !is_guest(link, fd) ||
      uv_poll_init(link->loop, &link->peer, fd) != 0) {
    close(fd);
    return;
  }
  link->peer.data = NULL;
  link->peer_fd = fd;
  link->handles++;
  watch_peer(link);
  uv_unref((uv_handle_t *)&link->peer);
}

/* By the directory's descriptor, since a socket's path holds 107 bytes and no more. */
static int bind_socket(axo_link_t *link) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  char hidden[sizeof link->name + 1];
  snprintf(link->name, sizeof link->name, "%ld-%04x.sock", (long)getpid(),
           (unsigned)(uv_hrtime() & 0xffff));
  snprintf(hidden, sizeof hidden, ".%s", link->name);
  snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/%s", link->dir_fd,
           hidden);
  if (bind(link->listen_fd, (struct sockaddr *)&at, sizeof at) != 0)
    return uv_translate_sys_error(errno);
  /* The guest connects when the name appears: only then is somebody listening. Mode
   * 0666, because a guest that runs as another user must be able to connect; the
   * directory is private, and SO_PEERCRED tells who it is. */
  if (fchmodat(link->dir_fd, hidden, 0666, 0) != 0 ||
      listen(link->listen_fd, BACKLOG) != 0 ||
      renameat(link->dir_fd, hidden, link->dir_fd, link->name) != 0) {
    int rc = uv_translate_sys_error(errno);
    unlinkat(link->dir_fd, hidden, 0);
    return rc;
  }
  return 0;
}

static int listen_in(axo_link_t *link, const char *dir) {
  link->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (link->dir_fd < 0)
    return uv_translate_sys_error(errno);
  link->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (link->listen_fd < 0)
    return uv_translate_sys_error(errno);
  return uv_poll_init(link->loop, &link->listener, link->listen_fd);
}

static void discard(axo_link_t *link) {
  if (link->dir_fd >= 0)
    close(link->dir_fd);
  if (link->listen_fd >= 0)
    close(link->listen_fd);
  free(link);
}

int axo_link_open(uv_loop_t *loop, const axo_link_options_t *options, axo_link_t **out,
                  axo_err_t *err) {
  axo_link_t *link = calloc(1, sizeof *link);
  if (!link)
    return axo__err_set(err, UV_ENOMEM, "link", NULL, "out of memory");
  link->options = *options;
  link->options.dir = NULL;
  link->loop = loop;
  link->listen_fd = link->peer_fd = link->dir_fd = -1;
  link->outbox_end = &link->outbox;
  int rc = listen_in(link, options->dir);
  if (rc != 0) {
    discard(link);
    return axo__err_set(err, rc, "link", NULL, "cannot listen in %s: %s", options->dir,
                        uv_strerror(rc));
  }
  link->listener.data = NULL;
  link->handles = 1;
  rc = bind_socket(link);
  if (rc != 0) {
    link->name[0] = 0;
    axo_link_close(link);
    return axo__err_set(err, rc, "link", NULL, "cannot listen in %s: %s", options->dir,
                        uv_strerror(rc));
  }
  uv_poll_start(&link->listener, UV_READABLE, on_connection);
  *out = link;
  /* Whoever waits for the guest has a timer of its own. */
  uv_unref((uv_handle_t *)&link->listener);
  return 0;
}
