/* Where the guest finds us: a socket in the session's link directory. */
#include "link/link_impl.h"
#include "process/process_util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64
#define ACCEPT_TURNS 16

/* Only the container's init may speak: whoever else reached the socket is turned away.
 */
static bool is_guest(const axo_link_t *link, int fd) {
  struct ucred peer;
  socklen_t len = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid > 0 &&
         peer.pid == link->options.guest_pid;
}

bool axo__link_take_peer(axo_link_t *link, int fd) {
  axo__peer_t *peer = calloc(1, sizeof *peer);
  if (!peer || uv_poll_init(link->loop, &peer->poll, fd) != 0) {
    free(peer);
    return false;
  }
  peer->poll.data = NULL;
  peer->link = link;
  peer->fd = fd;
  link->peer = peer;
  link->handles++;
  axo__link_watch(link);
  uv_unref((uv_handle_t *)&peer->poll);
  return true;
}

/* This process cannot take the guest in: says so, and listens no more. */
static void fail(axo_link_t *link, int code) {
  axo_err_t err;
  axo__err_code(&err, code, "link", "the guest's connection cannot be taken");
  axo__link_unlisten(link);
  if (link->options.on_down)
    link->options.on_down(link, &err);
}

static void on_connection(uv_poll_t *poll, int status, int events) {
  axo_link_t *link = AXO__CONTAINER_OF(poll, axo_link_t, listener);
  (void)status;
  (void)events;
  for (int turn = 0; turn < ACCEPT_TURNS; turn++) {
    int fd = accept4(link->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
      fail(link, uv_translate_sys_error(errno));
    if (fd < 0)
      return;
    if (link->peer || !is_guest(link, fd) || !axo__link_take_peer(link, fd))
      close(fd);
  }
}

static int bind_name(axo_link_t *link, char *hidden, size_t size) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  uint64_t token;
  int rc = uv_random(NULL, NULL, &token, sizeof token, 0, NULL);
  if (rc != 0)
    return rc;
  snprintf(link->name, sizeof link->name, "%ld-%016llx.sock", (long)getpid(),
           (unsigned long long)token);
  snprintf(hidden, size, ".%s", link->name);
  /* By the directory's descriptor: a socket's path holds 107 bytes and no more. */
  snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/%s", link->dir_fd,
           hidden);
  if (bind(link->listen_fd, (struct sockaddr *)&at, sizeof at) != 0)
    return uv_translate_sys_error(errno);
  return 0;
}

static int bind_socket(axo_link_t *link) {
  char hidden[sizeof link->name + 1];
  int rc = bind_name(link, hidden, sizeof hidden);
  if (rc != 0)
    return rc;
  /* The guest connects when the name appears: only then is somebody listening. Mode
   * 0666, because a guest that runs as another user must be able to connect; the
   * directory is private, and SO_PEERCRED tells who it is. */
  if (fchmodat(link->dir_fd, hidden, 0666, 0) != 0 ||
      listen(link->listen_fd, BACKLOG) != 0 ||
      renameat(link->dir_fd, hidden, link->dir_fd, link->name) != 0) {
    rc = uv_translate_sys_error(errno);
    unlinkat(link->dir_fd, hidden, 0);
    return rc;
  }
  return 0;
}

static int open_socket(axo_link_t *link, const char *dir) {
  link->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (link->dir_fd < 0)
    return uv_translate_sys_error(errno);
  link->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (link->listen_fd < 0)
    return uv_translate_sys_error(errno);
  int rc = bind_socket(link);
  if (rc != 0)
    link->name[0] = 0;
  return rc != 0 ? rc : uv_poll_init(link->loop, &link->listener, link->listen_fd);
}

/* What there is of the socket. */
static void close_socket(axo_link_t *link) {
  if (link->name[0] && link->dir_fd >= 0)
    unlinkat(link->dir_fd, link->name, 0);
  if (link->listen_fd >= 0)
    close(link->listen_fd);
  if (link->dir_fd >= 0)
    close(link->dir_fd);
  link->listen_fd = link->dir_fd = -1;
}

int axo__link_listen(axo_link_t *link, const char *dir) {
  int rc = open_socket(link, dir);
  if (rc != 0) {
    close_socket(link);
    return rc;
  }
  link->listener.data = NULL;
  link->handles++;
  uv_poll_start(&link->listener, UV_READABLE, on_connection);
  /* Whoever waits for the guest has a timer of its own. */
  uv_unref((uv_handle_t *)&link->listener);
  return 0;
}

static void on_listener_closed(uv_handle_t *handle) {
  axo__link_release(AXO__CONTAINER_OF(handle, axo_link_t, listener));
}

void axo__link_unlisten(axo_link_t *link) {
  if (link->listen_fd < 0)
    return;
  uv_close((uv_handle_t *)&link->listener, on_listener_closed);
  close_socket(link);
}
