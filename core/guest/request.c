/* What a host asks for, one function a request. A handler returns false only for what
 * is not of the protocol: that ends the link. What merely fails is answered. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool answer(int link, uint64_t id, uint8_t type, const void *body,
                   uint32_t len) {
  axo_packet_t head = {AXO_PROTO_VERSION, type, 0, len, id};
  /* Room was made before the request was read: link_ready reads none while blocked. One
   * that still does not fit belongs to a host that does not read. */
  return link_send(link, &head, len ? body : NULL, NULL, 0);
}

static bool refuse(int link, uint64_t id, enum axo_stage stage, int error) {
  axo_failed_t body = {stage, error};
  return answer(link, id, AXO_EV_FAILED, &body, sizeof body);
}

static bool done(int link, uint64_t id, bool failed, enum axo_stage stage) {
  return failed ? refuse(link, id, stage, errno)
                : answer(link, id, AXO_EV_DONE, NULL, 0);
}

static void fail_work(struct work *w, enum axo_stage stage, int error) {
  struct sup_report r = {.type = SUP_FAILED, .failed = {stage, error}, .idle = 1};
  work_report(w, &r);
}

/* Passes a packet on to a supervisor as it stands, with other descriptors. */
int packet_relay(int fd, const struct packet *p, const int *fds, int count) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * AXO_FDS_MAX)];
  } control;
  int all[AXO_FDS_MAX];
  if (count > 0)
    memcpy(all, fds, sizeof(int) * (size_t)count);
  if (p->head.flags & AXO_FLAG_MEMFD)
    all[count++] = p->fds[p->fd_count - 1];
  struct iovec iov[2] = {{(void *)&p->head, sizeof p->head},
                         {(void *)p->body, p->mapped ? 0 : p->head.length}};
  struct msghdr msg = {.msg_iov = iov,
                       .msg_iovlen = 2,
                       .msg_control = control.bytes,
                       .msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count)};
  struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
  memcpy(CMSG_DATA(c), all, sizeof(int) * (size_t)count);
  return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -1 : 0;
}

/* Keeps the arguments for `list`, as many as fit. */
static void keep_command(struct work *w, const struct packet *p) {
  const axo_spawn_t *fixed = (const axo_spawn_t *)p->body;
  const unsigned char *at = p->body + sizeof *fixed, *end = p->body + p->head.length;
  memcpy(w->name, fixed->name, AXO_NAME_MAX - 1);
  w->command_full = true;
  for (uint32_t i = 0; i < fixed->argc + 2 && at < end; i++) {
    const unsigned char *nul = memchr(at, 0, (size_t)(end - at));
    if (!nul)
      return;
    size_t len = (size_t)(nul + 1 - at);
    if (i >= 2) { /* after the directory and the user */
      if (w->command_len + len > AXO_COMMAND_MAX) {
        w->command_full = false;
        return;
      }
      memcpy(w->command + w->command_len, at, len);
      w->command_len += (uint32_t)len;
    }
    at = nul + 1;
  }
}

static void start(struct work *w, const struct packet *p, uint32_t ring) {
  int fds[3];
  if (w->kind == AXO_KIND_EXEC) {
    memcpy(fds, p->fds, sizeof fds);
  } else {
    int stage = pump_open(w, ring);
    if (stage) {
      fail_work(w, (enum axo_stage)stage, errno);
      return;
    }
    fds[0] = fds[1] = fds[2] = w->slave_fd;
    if (w->kind == AXO_KIND_TASK)
      fds[0] = 0; /* PID 1's own /dev/null */
  }
  int sup = sup_take();
  if (sup < 0) {
    fail_work(w, AXO_STAGE_FORK, errno);
    return;
  }
  if (packet_relay(g.sups[sup].fd, p, fds, 3)) {
    fail_work(w, AXO_STAGE_FORK, errno);
    return;
  }
  w->sup = sup;
  g.sups[sup].work = work_index(w);
}

static bool on_spawn(int link, struct packet *p) {
  const axo_spawn_t *fixed = (const axo_spawn_t *)p->body;
  if (p->head.length < sizeof *fixed || fixed->kind < AXO_KIND_EXEC ||
      fixed->kind > AXO_KIND_TERMINAL)
    return false;
  int own = fixed->kind == AXO_KIND_EXEC ? 3 : 1;
  if (p->fd_count != own + (p->head.flags & AXO_FLAG_MEMFD ? 1 : 0))
    return false;
  if (work_by_id(link, p->head.id))
    return false;
  bool named = fixed->kind != AXO_KIND_EXEC;
  if (named && (!fixed->name[0] || work_by_name(fixed->name)))
    return refuse(link, p->head.id, AXO_STAGE_REQUEST, EEXIST);
  struct work *w = work_new(link, p->head.id, fixed->kind, named ? p->fds[0] : -1);
  if (!w)
    return refuse(link, p->head.id, AXO_STAGE_LIMIT, ENOSPC);
  if (named)
    p->fds[0] = -1; /* the work's now */
  w->rows = fixed->rows ? fixed->rows : 24;
  w->cols = fixed->cols ? fixed->cols : 80;
  keep_command(w, p);
  start(w, p, fixed->ring);
  return true;
}

static bool on_signal(int link, const struct packet *p) {
  const axo_signal_t *how = (const axo_signal_t *)p->body;
  if (p->head.length != sizeof *how || how->signal < 0 || how->signal >= NSIG)
    return false;
  struct work *w = work_by_id(link, p->head.id);
  if (!w || w->sup < 0)
    return true; /* it ended meanwhile: its end is on the way, or was told */
  if (how->tree && how->signal == SIGKILL)
    work_kill(w);
  else if (how->tree)
    tree_signal(g.sups[w->sup].pid, how->signal, 0);
  else
    packet_relay(g.sups[w->sup].fd, p, NULL, 0);
  return true;
}

static const char *string_at(const struct packet *p, size_t from) {
  if (p->head.length <= from || p->body[p->head.length - 1])
    return NULL;
  return (const char *)p->body + from;
}

static bool on_open(int link, const struct packet *p) {
  const char *path = string_at(p, sizeof(axo_open_t));
  if (!path)
    return false;
  int fd = files_open(path, (const axo_open_t *)p->body);
  if (fd < 0)
    return refuse(link, p->head.id, AXO_STAGE_FILE, errno);
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_OPENED, 0, 0, p->head.id};
  bool sent = link_send(link, &head, NULL, &fd, 1);
  close(fd);
  return sent;
}

static bool on_path(int link, const struct packet *p) {
  const axo_path_t *how = (const axo_path_t *)p->body;
  const char *from = string_at(p, sizeof *how);
  const char *to = "";
  if (!from)
    return false;
  size_t used = sizeof *how + strlen(from) + 1;
  if (used < p->head.length)
    to = (const char *)p->body + used;
  return done(link, p->head.id, files_path(how, from, to) != 0, AXO_STAGE_FILE);
}

static void fill_entry(axo_entry_t *e, const struct work *w) {
  *e = (axo_entry_t){
      .work = w->number,
      .started_ms = w->started_ms,
      .head = ring_head(&w->ring),
      .kind = w->kind,
      .state = w->state,
      .code = w->exited.code,
      .signal = w->exited.signal,
      .pid = w->pid,
      .rows = w->rows,
      .cols = w->cols,
      .command_len = w->command_len,
      .command_full = w->command_full,
  };
  memcpy(e->name, w->name, AXO_NAME_MAX);
  memcpy(e->command, w->command, w->command_len);
}

static bool listed(const struct work *w) {
  return w->state && w->kind != AXO_KIND_EXEC && !w->spawn_failed;
}

/* All entries go into one memfd, sealed. */
static int list_file(uint32_t *length) {
  static axo_entry_t entry;
  int fd = (int)syscall(SYS_memfd_create, "axo-list", 3U /* CLOEXEC | ALLOW_SEALING */);
  *length = 0;
  for (int i = 0; fd >= 0 && i < WORKS_MAX; i++) {
    if (!listed(&g.works[i]))
      continue;
    fill_entry(&entry, &g.works[i]);
    if (write(fd, &entry, sizeof entry) != (ssize_t)sizeof entry) {
      close(fd);
      return -1;
    }
    *length += sizeof entry;
  }
  if (fd >= 0)
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  return fd;
}

static bool on_list(int link, const struct packet *p) {
  uint32_t length;
  int fd = list_file(&length);
  if (fd < 0)
    return refuse(link, p->head.id, AXO_STAGE_LIMIT, errno);
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_LISTED, AXO_FLAG_MEMFD, length,
                       p->head.id};
  if (!length)
    head.flags = 0;
  bool sent = link_send(link, &head, NULL, &fd, length ? 1 : 0);
  close(fd);
  return sent;
}

static bool on_attach(int link, struct packet *p) {
  const axo_attach_t *how = (const axo_attach_t *)p->body;
  if (p->head.length != sizeof *how || p->fd_count != 1)
    return false;
  if (work_by_id(link, p->head.id))
    return false;
  struct work *w = work_by_name(how->name);
  if (!w || !listed(w))
    return refuse(link, p->head.id, AXO_STAGE_WORK, ESRCH);
  if (!work_subscribe(w, link, p->head.id, p->fds[0]))
    return refuse(link, p->head.id, AXO_STAGE_LIMIT, EUSERS);
  p->fds[0] = -1;
  work_tell(w);
  return true;
}

static bool on_forget(int link, const struct packet *p) {
  struct work *w = work_by_id(link, p->head.id);
  for (int i = 0; w && i < SUBS_MAX; i++)
    if (w->subs[i].link == link && w->subs[i].id == p->head.id) {
      if (w->subs[i].bell >= 0)
        close(w->subs[i].bell);
      w->subs[i] = (struct sub){.link = -1, .bell = -1};
    }
  if (w)
    work_tell(w);
  return true;
}

/* Everything but PID 1: its supervisors too, which are made anew. */
static bool on_kill_all(int link, const struct packet *p) {
  bool failed = kill(-1, SIGKILL) && errno != ESRCH;
  return done(link, p->head.id, failed, AXO_STAGE_WORK);
}

bool request_handle(int link, struct packet *p) {
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
  default:
    return false;
  }
}
