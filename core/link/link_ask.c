/* Requests with one answer: files, sockets, listings, emptying the session. */
#include "link/link_impl.h"
#include "link/link_spawn.h"
#include "process/process_util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>

typedef struct ask {
  axo__call_t call;
  uint8_t answer; /* the packet type that is a yes */
  axo_answer_cb cb;
  void *data;
  axo_socket_t socket; /* of what is OPENED; domain AF_UNSPEC: it is a file */
  char what[128];
} ask_t;

/* What looks like a file there and whose reader may wait for ever. */
static bool is_pseudo(int fd) {
  static const unsigned long magics[] = {PROC_SUPER_MAGIC,   SYSFS_MAGIC,
                                         TRACEFS_MAGIC,      DEBUGFS_MAGIC,
                                         CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC};
  struct statfs fs;
  if (fstatfs(fd, &fs) != 0)
    return true;
  for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
    if ((unsigned long)fs.f_type == magics[i])
      return true;
  return false;
}

static int option_of(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

/* That it is what was asked for, and that it makes this process neither wait, not even
 * when it is closed, nor pass it on to a program: the guest may be an impostor. */
static bool is_socket(int fd, const axo_socket_t *wanted) {
  const struct linger none = {0};
  int flags = fcntl(fd, F_GETFL);
  return option_of(fd, SO_DOMAIN) == wanted->domain &&
         option_of(fd, SO_TYPE) == wanted->type &&
         option_of(fd, SO_PROTOCOL) == wanted->protocol && flags >= 0 &&
         fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
         setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none) == 0 &&
         fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static int check_fd(const ask_t *ask, int fd, axo_err_t *err) {
  if (ask->socket.domain == AF_UNSPEC && is_pseudo(fd))
    return axo__err_set(err, UV_EINVAL, "link", NULL, "%s: not a file of a directory",
                        ask->what);
  if (ask->socket.domain != AF_UNSPEC && !is_socket(fd, &ask->socket))
    return axo__err_set(err, UV_EPROTO, "link", "stop the session and start it again",
                        "%s: the guest gave something else", ask->what);
  return 0;
}

static int take_fd(const ask_t *ask, axo__packet_t *packet, axo_answer_t *answer,
                   axo_err_t *err) {
  if (packet->fds_lost)
    return axo__err_code(err, UV_EMFILE, "link", "%s", ask->what);
  int rc = check_fd(ask, packet->fds[0], err);
  if (rc != 0)
    return rc;
  answer->fd = packet->fds[0];
  packet->fds[0] = -1;
  return 0;
}

static int take_entries(const ask_t *ask, const axo__packet_t *packet,
                        axo_answer_t *answer, axo_err_t *err) {
  if (packet->fds_lost)
    return axo__err_code(err, UV_EMFILE, "link", "%s", ask->what);
  answer->entries = packet->body;
  answer->count = packet->head.length / sizeof(axo_entry_t);
  return 0;
}

static int take(const ask_t *ask, axo__packet_t *packet, axo_answer_t *answer,
                axo_err_t *err) {
  if (!packet)
    return axo__err_set(err, UV_ECONNRESET, "link", NULL, "%s: the guest has gone",
                        ask->what);
  if (packet->head.type == AXO_EV_FAILED)
    return axo__failed_error(packet->body, ask->what, err);
  if (packet->head.type != ask->answer)
    return axo__err_set(err, UV_EPROTO, "link", NULL,
                        "%s: the guest answered something else", ask->what);
  if (ask->answer == AXO_EV_OPENED)
    return take_fd(ask, packet, answer, err);
  if (ask->answer == AXO_EV_LISTED)
    return take_entries(ask, packet, answer, err);
  if (ask->answer == AXO_EV_SIGNALLED)
    answer->count = ((const axo_signalled_t *)packet->body)->count;
  if (ask->answer == AXO_EV_OWNER)
    answer->owner = packet->body;
  return 0;
}

static void on_packet(axo__call_t *call, axo__packet_t *packet) {
  ask_t *ask = AXO__CONTAINER_OF(call, ask_t, call);
  axo_answer_t answer = {.fd = -1};
  axo_err_t err;
  axo__call_end(call);
  if (take(ask, packet, &answer, &err) != 0)
    answer.err = &err;
  ask->cb(ask->data, &answer);
  free(ask);
}

typedef struct request {
  uint8_t type;
  uint8_t answer;
  const void *body;
  size_t len;
  const char *what;
  const axo_socket_t *socket; /* NULL: it is not about one */
} request_t;

static int ask(axo_link_t *link, const request_t *r, axo_answer_cb cb, void *data,
               axo_err_t *err) {
  ask_t *a = calloc(1, sizeof *a);
  if (!a)
    return axo__err_set(err, UV_ENOMEM, "link", NULL, "out of memory");
  a->answer = r->answer;
  a->cb = cb;
  a->data = data;
  a->call.on_packet = on_packet;
  if (r->socket)
    a->socket = *r->socket;
  snprintf(a->what, sizeof a->what, "%s", r->what);
  int rc = axo__link_send(link, &a->call,
                          &(axo__message_t){r->type, r->body, r->len, NULL, 0});
  if (rc != 0) {
    free(a);
    return axo__link_error(rc, err);
  }
  axo__call_hold(&a->call, true);
  axo__call_expect(&a->call, link->options.answer_ms);
  /* The link has it: on_packet frees it. */
  /* cppcheck-suppress memleak */
  return 0;
}

/* A fixed head, then strings with their NULs; those that are NULL are left out. */
static size_t pack(char *out, size_t size, const void *head, size_t head_len,
                   const char *const strings[], size_t count) {
  memcpy(out, head, head_len);
  size_t at = head_len;
  for (size_t i = 0; i < count; i++) {
    size_t len = strings[i] ? strlen(strings[i]) + 1 : 0;
    if (len > size - at)
      return 0;
    if (len)
      memcpy(out + at, strings[i], len);
    at += len;
  }
  return at;
}

static int open_file(axo_link_t *link, const axo_file_request_t *file, axo_answer_cb cb,
                     void *data, axo_err_t *err) {
  char body[sizeof(axo_open_t) + PATH_MAX + PATH_MAX];
  axo_open_t head = {.flags = file->flags, .mode = file->mode};
  const char *const strings[] = {file->path, link->root};
  size_t len = pack(body, sizeof body, &head, sizeof head, strings, 2);
  if (len == 0)
    return axo__err_set(err, UV_ENAMETOOLONG, "open", NULL, "the path is too long");
  request_t r = {AXO_REQ_OPEN, AXO_EV_OPENED, body, len, file->path, NULL};
  return ask(link, &r, cb, data, err);
}

int axo_link_file(axo_link_t *link, const axo_file_request_t *file, axo_answer_cb cb,
                  void *data, axo_err_t *err) {
  char body[sizeof(axo_path_t) + PATH_MAX + PATH_MAX + PATH_MAX];
  int rc = axo__link_needs(link, link->root ? AXO_KNOWS_ROOT : 0,
                           "files beneath a directory of the session's", err);
  if (rc != 0)
    return rc;
  if (file->op == AXO_FILE_OPEN)
    return open_file(link, file, cb, data, err);
  axo_path_t head = {.op = (uint32_t)file->op, .mode = file->mode};
  const char *const strings[] = {
      file->path, file->op == AXO_FILE_RENAME ? file->to : NULL, link->root};
  size_t len = pack(body, sizeof body, &head, sizeof head, strings, 3);
  if (len == 0)
    return axo__err_set(err, UV_ENAMETOOLONG, "path", NULL, "the path is too long");
  request_t r = {AXO_REQ_PATH, AXO_EV_DONE, body, len, file->path, NULL};
  return ask(link, &r, cb, data, err);
}

static int protocol_of(int domain, int type) {
  if (domain == AF_NETLINK)
    return type == SOCK_DGRAM ? NETLINK_SOCK_DIAG : -1;
  if (domain != AF_INET && domain != AF_INET6)
    return -1;
  return type == SOCK_STREAM ? IPPROTO_TCP : type == SOCK_DGRAM ? IPPROTO_UDP : -1;
}

int axo_link_socket(axo_link_t *link, int domain, int type, axo_answer_cb cb,
                    void *data, axo_err_t *err) {
  axo_socket_t body = {
      .domain = domain, .type = type, .protocol = protocol_of(domain, type)};
  request_t r = {AXO_REQ_SOCKET, AXO_EV_OPENED, &body, sizeof body, "socket", &body};
  if (body.protocol < 0)
    return axo__err_set(err, UV_EPROTONOSUPPORT, "socket", NULL,
                        "a guest makes no such socket");
  int rc = axo__link_needs(link, AXO_KNOWS_SOCKET,
                           "sockets of the container, which a network by name and "
                           "forwarded ports take",
                           err);
  return rc != 0 ? rc : ask(link, &r, cb, data, err);
}

int axo_link_owner(axo_link_t *link, uint64_t inode, axo_answer_cb cb, void *data,
                   axo_err_t *err) {
  axo_inode_t body = {.inode = inode};
  request_t r = {AXO_REQ_OWNER, AXO_EV_OWNER, &body, sizeof body, "owner", NULL};
  int rc = axo__link_needs(link, AXO_KNOWS_OWNER,
                           "way to tell which command has a connection open", err);
  return rc != 0 ? rc : ask(link, &r, cb, data, err);
}

int axo_link_list(axo_link_t *link, const char *name, axo_answer_cb cb, void *data,
                  axo_err_t *err) {
  axo_attach_t body = {{0}};
  request_t r = {AXO_REQ_LIST, AXO_EV_LISTED, NULL, 0, "list", NULL};
  if (name) {
    if (!*name || strlen(name) >= sizeof body.name)
      return axo__err_set(err, UV_EINVAL, "list", NULL, "no such task: %.64s", name);
    memcpy(body.name, name, strlen(name));
    r.body = &body;
    r.len = sizeof body;
  }
  return ask(link, &r, cb, data, err);
}

int axo_link_kill_all(axo_link_t *link, axo_answer_cb cb, void *data, axo_err_t *err) {
  request_t r = {AXO_REQ_KILL_ALL, AXO_EV_DONE, NULL, 0, "kill everything", NULL};
  return ask(link, &r, cb, data, err);
}

int axo__link_signal(axo__call_t *call, int signum, bool tree, axo_answer_cb cb,
                     void *data, axo_err_t *err) {
  axo_signal_t body = {.work = call->id, .signal = signum, .tree = tree};
  request_t r = {AXO_REQ_SIGNAL, AXO_EV_SIGNALLED, &body, sizeof body, "signal", NULL};
  if (call->id == 0)
    return axo__err_set(err, UV_ESRCH, "signal", NULL, "it has ended");
  if (cb)
    return ask(call->link, &r, cb, data, err);
  int rc =
      axo__link_tell(call->link, &(axo__message_t){r.type, r.body, r.len, NULL, 0});
  return rc == 0 ? 0 : axo__link_error(rc, err);
}
