/* What a host asks for, one function a request. A handler returns false only when the
 * link is over. What merely fails is answered. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool answer(int link, uint64_t id, uint8_t type, const void *body,
                   uint32_t len) {
  axo_packet_t head = {AXO_PROTO_VERSION, type, 0, len, id};
  return link_answer(link, &head, len ? body : NULL, -1);
}

static bool refuse(int link, uint64_t id, enum axo_stage stage, int error) {
  axo_failed_t body = {stage, error};
  return answer(link, id, AXO_EV_FAILED, &body, sizeof body);
}

static void fail_work(struct work *w, enum axo_stage stage, int error) {
  struct sup_report r = {.type = SUP_FAILED, .failed = {stage, error}, .idle = 1};
  work_report(w, &r);
}

/* Keeps the arguments for `list`, as many as fit. */
static void keep_command(struct work *w, const struct packet *p) {
  const axo_spawn_t *fixed = (const axo_spawn_t *)p->body;
  const char *at = (const char *)(fixed + 1);
  char *out = work_command(w);
  for (int i = 0; i < 2; i++) /* the directory and the user */
    at += strlen(at) + 1;
  w->command_full = true;
  for (uint32_t i = 0; i < fixed->argc; i++) {
    size_t len = strlen(at) + 1;
    if (w->command_len + len > AXO_COMMAND_MAX) {
      w->command_full = false;
      return;
    }
    memcpy(out + w->command_len, at, len);
    w->command_len += (uint32_t)len;
    at += len;
  }
}

/* The host's /dev/null: what may be done to it here is done to the host's device. */
static bool is_host_null(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* Ours in its place. */
static int safe_stdin(int fd) { return is_host_null(fd) ? g.null : fd; }

static int stdin_of(const struct work *w, const struct packet *p) {
  if (w->kind == AXO_KIND_TERMINAL)
    return w->slave_fd;
  bool is_given = spawn_has_stdin((const axo_spawn_t *)p->body);
  return is_given ? safe_stdin(p->fds[1]) : g.null;
}

static void start(struct work *w, const struct packet *p, uint32_t ring) {
  int fds[3];
  if (w->kind == AXO_KIND_EXEC) {
    memcpy(fds, p->fds, sizeof fds);
    fds[0] = safe_stdin(fds[0]);
  } else {
    int stage = pump_open(w, ring);
    if (stage) {
      fail_work(w, (enum axo_stage)stage, errno);
      return;
    }
    fds[0] = stdin_of(w, p);
    fds[1] = fds[2] = w->slave_fd;
  }
  int error = sup_start(w, p, fds);
  if (error)
    fail_work(w, AXO_STAGE_FORK, error);
}

/* A bell is rung by PID 1, which must not wait for anybody. */
static bool is_bell(int fd) { return fcntl(fd, F_GETFL) & O_NONBLOCK; }

static bool on_spawn(int link, struct packet *p) {
  if (p->fds_lost)
    return refuse(link, p->head.id, AXO_STAGE_LIMIT, EMFILE);
  const axo_spawn_t *fixed = (const axo_spawn_t *)p->body;
  bool named = fixed->kind != AXO_KIND_EXEC;
  if (work_by_id(link, p->head.id) || (named && !is_bell(p->fds[0])))
    return false;
  if (named && work_by_name(fixed->name))
    return refuse(link, p->head.id, AXO_STAGE_REQUEST, EEXIST);
  struct work *w = work_new(link, p->head.id, fixed->kind, named ? p->fds[0] : -1);
  if (!w)
    return refuse(link, p->head.id, AXO_STAGE_LIMIT, ENOSPC);
  if (named) {
    p->fds[0] = -1; /* the work's now */
    w->rows = fixed->rows ? fixed->rows : 24;
    w->cols = fixed->cols ? fixed->cols : 80;
    work_set_name(w, fixed->name);
    keep_command(w, p);
  }
  start(w, p, fixed->ring);
  return true;
}

static bool on_signal(int link, const struct packet *p) {
  const axo_signal_t *how = (const axo_signal_t *)p->body;
  struct work *w = work_by_id(link, how->work);
  int count = w ? work_signal(w, p) : -1;
  if (!p->head.id)
    return true;
  if (count < 0) /* it ended meanwhile: its end is on the way, or was told */
    return refuse(link, p->head.id, AXO_STAGE_WORK, ESRCH);
  axo_signalled_t body = {.count = (uint32_t)count};
  return answer(link, p->head.id, AXO_EV_SIGNALLED, &body, sizeof body);
}

/* The string after this one; "" when it was the last. */
static const char *after(const struct packet *p, const char *string) {
  const char *end = (const char *)p->body + p->head.length;
  const char *next = string + strlen(string) + 1;
  return next < end ? next : "";
}

static bool answer_opened(int link, uint64_t id, int fd) {
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_OPENED, 0, 0, id};
  return link_answer(link, &head, NULL, fd);
}

static bool on_open(int link, const struct packet *p) {
  const axo_open_t *how = (const axo_open_t *)p->body;
  const char *path = (const char *)(how + 1);
  int fd = files_open(path, how, after(p, path));
  if (fd < 0)
    return refuse(link, p->head.id, AXO_STAGE_FILE, errno);
  return answer_opened(link, p->head.id, fd);
}

static bool on_socket(int link, const struct packet *p) {
  int fd = socket_make((const axo_socket_t *)p->body);
  if (fd < 0)
    return refuse(link, p->head.id, AXO_STAGE_SOCKET, errno);
  return answer_opened(link, p->head.id, fd);
}

static bool on_owner(int link, const struct packet *p) {
  axo_owned_t body;
  owner_find(((const axo_inode_t *)p->body)->inode, link, &body);
  return answer(link, p->head.id, AXO_EV_OWNER, &body, sizeof body);
}

static bool on_path(int link, const struct packet *p) {
  const axo_path_t *how = (const axo_path_t *)p->body;
  const char *from = (const char *)(how + 1);
  const char *to = how->op == AXO_PATH_RENAME ? after(p, from) : from;
  if (files_path(how, from, to, after(p, to)))
    return refuse(link, p->head.id, AXO_STAGE_FILE, errno);
  return answer(link, p->head.id, AXO_EV_DONE, NULL, 0);
}

static bool on_list(int link, const struct packet *p) {
  uint32_t length;
  int fd = list_file(p->head.length ? (const char *)p->body : NULL, &length);
  if (fd < 0)
    return refuse(link, p->head.id, AXO_STAGE_LIMIT, errno);
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_LISTED, length ? AXO_FLAG_MEMFD : 0,
                       length, p->head.id};
  if (!length) {
    close(fd);
    fd = -1;
  }
  return link_answer(link, &head, NULL, fd);
}

static bool on_attach(int link, struct packet *p) {
  if (p->fds_lost)
    return refuse(link, p->head.id, AXO_STAGE_LIMIT, EMFILE);
  if (work_by_id(link, p->head.id) || !is_bell(p->fds[0]))
    return false;
  struct work *w = work_by_name((const char *)p->body);
  if (!w || !is_listed(w))
    return refuse(link, p->head.id, AXO_STAGE_WORK, ESRCH);
  if (!work_subscribe(w, link, p->head.id, p->fds[0]))
    return refuse(link, p->head.id, AXO_STAGE_LIMIT, EUSERS);
  p->fds[0] = -1;
  work_tell(w);
  return true;
}

static bool on_forget(int link, const struct packet *p) {
  struct work *w = work_by_id(link, p->head.id);
  if (w) {
    work_unsubscribe(w, link, p->head.id);
    if (w->kind == AXO_KIND_EXEC && w->exit_known)
      sup_drain(w);
    work_tell(w);
  }
  return true;
}

static bool on_kill_all(int link, const struct packet *p) {
  return kill_all(link, p->head.id) || refuse(link, p->head.id, AXO_STAGE_LIMIT, EBUSY);
}

bool request_handle(int link, struct packet *p) {
  if (!packet_is_request(p))
    return false;
  switch ((enum axo_packet_type)p->head.type) {
  case AXO_REQ_SPAWN:
    return on_spawn(link, p);
  case AXO_REQ_SIGNAL:
    return on_signal(link, p);
  case AXO_REQ_OPEN:
    return on_open(link, p);
  case AXO_REQ_LIST:
    return on_list(link, p);
  case AXO_REQ_ATTACH:
    return on_attach(link, p);
  case AXO_REQ_FORGET:
    return on_forget(link, p);
  case AXO_REQ_KILL_ALL:
    return on_kill_all(link, p);
  case AXO_REQ_PATH:
    return on_path(link, p);
  case AXO_REQ_SOCKET:
    return on_socket(link, p);
  case AXO_REQ_OWNER:
    return on_owner(link, p);
  default:
    return false;
  }
}
