/* The guest's end of a link, whose host may say anything. The input is a list of turns:
 * a host sends, reads or leaves, a supervisor reports, time passes. Whatever comes,
 * what the guest acts on lies within what was sent, no descriptor stays open, and a
 * host's parser takes every answer. */
#include "fuzz_guest.h"
#include "link/link_impl.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define HOSTS 2
#define BODY_MAX 2048

static int hosts[HOSTS]; /* their ends; -1: gone */

/* ---- requests -------------------------------------------------------------------- */

typedef struct request {
  axo_packet_t head;
  unsigned char body[BODY_MAX];
  int fds[SEND_FDS_MAX];
  size_t len, fd_count;
} request_t;

static void add(request_t *r, const void *bytes, size_t len) {
  CHECK(r->len + len <= sizeof r->body);
  memcpy(r->body + r->len, bytes, len);
  r->len += len;
}

static void add_string(request_t *r, input_t *in) {
  char text[32];
  size_t len = draw8(in) % sizeof text;
  draw(in, text, len);
  for (size_t i = 0; i < len; i++)
    if (!text[i])
      text[i] = '/';
  text[len] = 0;
  add(r, text, strlen(text) + 1);
}

static void draw_name(input_t *in, char name[AXO_NAME_MAX]) {
  uint8_t which = draw8(in);
  memset(name, 0, AXO_NAME_MAX);
  if (which < 0xf0)
    name[0] = (char)('a' + which % 4);
  else
    draw(in, name, AXO_NAME_MAX);
}

static int bell(int flags) {
  int fd = eventfd(0, EFD_CLOEXEC | flags);
  CHECK(fd >= 0);
  return fd;
}

static int null_fd(void) { return open("/dev/null", O_RDWR | O_CLOEXEC); }

static int draw_fd(input_t *in) {
  switch (draw8(in) % 4) {
  case 0:
    return bell(EFD_NONBLOCK);
  case 1:
    return bell(0);
  case 2:
    return memory(in->at, in->left < 256 ? in->left : 256, SEALED);
  default:
    return null_fd();
  }
}

static void add_spawn(request_t *r, input_t *in) {
  static const uint32_t many[] = {1, 3, 40, 65534, 65535, UINT32_MAX, 0, 2};
  uint8_t how = draw8(in), counts = draw8(in);
  axo_spawn_t fixed = {.kind = AXO_KIND_EXEC + how % 3,
                       .argc = 1 + counts % 4,
                       .envc = counts / 4 % 4,
                       .ring = how & 8 ? draw32(in) : 4096,
                       .rows = how & 16,
                       .cols = how & 32};
  draw_name(in, fixed.name);
  if (how & 64)
    fixed.argc = many[counts % 8];
  if (how & 128)
    fixed.envc = many[counts / 8 % 8];
  add(r, &fixed, sizeof fixed);
  for (uint32_t i = 0; i < 2 + fixed.argc % 64 + fixed.envc % 64 && i < 40; i++)
    add_string(r, in);
  if (fixed.kind == AXO_KIND_EXEC)
    for (int i = 0; i < 3; i++)
      r->fds[r->fd_count++] = null_fd();
  else
    r->fds[r->fd_count++] = bell(EFD_NONBLOCK);
}

static void add_signal(request_t *r, input_t *in) {
  axo_signal_t how = {.work = draw8(in) % 8};
  how.signal = draw8(in);
  how.tree = draw8(in);
  if (how.tree < 0xf0)
    how.tree &= 1;
  if (how.signal < 0xf0)
    how.signal = how.signal & 1 ? SIGKILL : how.signal % NSIG;
  add(r, &how, sizeof how);
}

static void add_attach(request_t *r, input_t *in) {
  axo_attach_t which;
  draw_name(in, which.name);
  add(r, &which, sizeof which);
}

static void add_path(request_t *r, input_t *in) {
  axo_path_t how = {.op = draw8(in) % 6};
  how.mode = draw16(in);
  add(r, &how, sizeof how);
  for (int i = 0; i < (how.op == AXO_PATH_RENAME ? 2 : 1); i++)
    add_string(r, in);
}

static void add_open(request_t *r, input_t *in) {
  axo_open_t how = {.flags = draw16(in)};
  how.mode = draw16(in);
  add(r, &how, sizeof how);
  add_string(r, in);
}

static void add_socket(request_t *r, input_t *in) {
  static const int32_t domains[] = {AF_INET, AF_INET6, AF_NETLINK, AF_UNIX};
  static const int32_t types[] = {SOCK_STREAM, SOCK_DGRAM};
  static const int32_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, 4, 0};
  uint8_t how = draw8(in);
  axo_socket_t what = {.domain = domains[how % 4],
                       .type = types[how / 4 % 2],
                       .protocol = protocols[how / 8 % 4]};
  if (how > 0xf0)
    what.type = (int32_t)draw32(in);
  add(r, &what, sizeof what);
}

static void add_inode(request_t *r, input_t *in) {
  axo_inode_t which = {.inode = draw64(in)};
  add(r, &which, sizeof which);
}

static void add_body(request_t *r, input_t *in) {
  switch (r->head.type) {
  case AXO_REQ_SPAWN:
    add_spawn(r, in);
    break;
  case AXO_REQ_SIGNAL:
    add_signal(r, in);
    break;
  case AXO_REQ_OPEN:
    add_open(r, in);
    break;
  case AXO_REQ_LIST:
    if (draw8(in) & 1)
      add_attach(r, in);
    break;
  case AXO_REQ_ATTACH:
    add_attach(r, in);
    r->fds[r->fd_count++] = bell(EFD_NONBLOCK);
    break;
  case AXO_REQ_PATH:
    add_path(r, in);
    break;
  case AXO_REQ_SOCKET:
    add_socket(r, in);
    break;
  case AXO_REQ_OWNER:
    add_inode(r, in);
    break;
  default:
    break;
  }
}

/* Nearly right: `wrong` says in what it is not. */
static void spoil(request_t *r, input_t *in, uint8_t wrong) {
  if (wrong & 1)
    r->len = draw16(in) % BODY_MAX; /* cut, or with zeros behind it */
  if (wrong & 2)
    r->head.length = draw32(in);
  if (wrong & 4)
    r->body[draw16(in) % BODY_MAX] = draw8(in);
  if (wrong & 8)
    r->head.flags = draw16(in);
  if (wrong & 16)
    r->head.version = draw8(in);
  if (wrong & 32) {
    size_t count = draw8(in) % (SEND_FDS_MAX - 4);
    for (size_t i = 0; i < count; i++)
      CHECK((r->fds[r->fd_count++] = draw_fd(in)) >= 0);
  }
  if (wrong & 64 && r->fd_count > 0)
    close(r->fds[--r->fd_count]);
}

/* With `how` & 16, its last string is longer than a packet. */
static size_t in_memory(request_t *r, uint8_t how) {
  static const int seals[] = {SEALED, SEALED, 0, F_SEAL_WRITE};
  static unsigned char bytes[BODY_MAX + AXO_PACKET_MAX];
  size_t len = r->len;
  memcpy(bytes, r->body, len);
  if (how & 16 && len > 0) {
    memset(bytes + len - 1, 'x', AXO_PACKET_MAX);
    len += AXO_PACKET_MAX;
    bytes[len - 1] = r->body[r->len - 1];
  }
  if (r->head.length == r->len)
    r->head.length = (uint32_t)len;
  r->head.flags |= AXO_FLAG_MEMFD;
  r->fds[r->fd_count++] = memory(bytes, len, seals[how % 4]);
  return 0;
}

static void host_send(input_t *in, int host, bool large) {
  static unsigned char bytes[sizeof(axo_packet_t) + BODY_MAX];
  request_t r = {.head.version = AXO_PROTO_VERSION};
  uint8_t wrong = draw8(in);
  if (draw8(in) % 4) /* mostly right, since the first mistake ends the link */
    wrong = 0;
  r.head.type = AXO_REQ_SPAWN + draw8(in) % 10;
  r.head.id = draw8(in) % 8;
  add_body(&r, in);
  r.head.length = (uint32_t)r.len;
  spoil(&r, in, wrong);
  if (!(wrong & 2))
    r.head.length = (uint32_t)r.len;
  size_t here = large ? in_memory(&r, draw8(in)) : r.len;
  memcpy(bytes, &r.head, sizeof r.head);
  memcpy(bytes + sizeof r.head, r.body, here);
  if (hosts[host] >= 0)
    send_raw(hosts[host], bytes, sizeof r.head + here, r.fds, r.fd_count);
  for (size_t i = 0; i < r.fd_count; i++)
    close(r.fds[i]);
}

static void host_send_raw(input_t *in, int host) {
  input_t part = draw_part(in, draw8(in));
  if (hosts[host] >= 0)
    send_raw(hosts[host], part.at, part.left, NULL, 0);
}

/* ---- answers --------------------------------------------------------------------- */

static void check_entries(const axo__packet_t *p) {
  const axo_entry_t *e = p->body;
  for (size_t i = 0; i < p->head.length / sizeof *e; i++) {
    CHECK(e[i].name[0] && memchr(e[i].name, 0, sizeof e[i].name));
    CHECK(e[i].command_len <= sizeof e[i].command && e[i].state <= AXO_WORK_ENDED);
    CHECK(e[i].command_len == 0 || e[i].command[e[i].command_len - 1] == 0);
    CHECK(e[i].kind == AXO_KIND_TASK || e[i].kind == AXO_KIND_TERMINAL);
  }
}

static void check_ring(int fd) {
  axo_ring_t *ring;
  axo_err_t err;
  CHECK(axo_ring_open_fd(fd, &ring, &err) == 0);
  CHECK(axo_ring_capacity(ring) <= AXO_RING_LIMIT);
  CHECK(axo_ring_head(ring) - axo_ring_tail(ring) <= axo_ring_capacity(ring));
  axo_ring_free(ring);
}

/* False when there is nothing more. */
static bool host_read(int host) {
  static _Alignas(16) char buf[AXO_PACKET_MAX];
  axo__packet_t p;
  axo_err_t err;
  if (hosts[host] < 0)
    return false;
  int rc = axo__packet_receive(hosts[host], buf, sizeof buf, &p, &err);
  CHECK(rc == 1 || rc == 0 || rc == UV_EOF || rc == UV_ECONNRESET);
  if (rc != 1)
    return false;
  CHECK((p.head.id == 0) == (p.head.type == AXO_EV_NEW));
  if (p.head.type == AXO_EV_LISTED)
    check_entries(&p);
  if (p.head.type == AXO_EV_SPAWNED)
    check_ring(p.fds[0]);
  axo__packet_release(&p);
  return true;
}

/* ---- one input ------------------------------------------------------------------- */

static void attend(int host) {
  link_ready(host, EPOLLIN);
  for (int i = 0; i < POOL_MAX; i++)
    sup_reads(i);
}

static void host_leave(int host) {
  if (hosts[host] >= 0)
    close(hosts[host]);
  hosts[host] = -1;
  link_ready(host, EPOLLIN | EPOLLHUP);
  CHECK(g.links[host].fd < 0);
}

static void pass_time(uint64_t ms) {
  now += ms;
  works_due(now);
  kill_all_due(now);
  links_due(now);
}

static void output(int index, size_t len) {
  static const char bytes[256];
  if (g.sups[index].fd < 0 || pool[index].out < 0)
    return;
  (void)!write(pool[index].out, bytes, len);
  struct work *w = &g.works[g.sups[index].work];
  if (w->out_fd >= 0 && pump_ready(w))
    work_output_over(w);
}

static void turn(input_t *in) {
  uint8_t op = draw8(in);
  int host = op >> 7, index = draw8(in) % POOL_MAX;
  switch (op % 16) {
  case 0:
    host_send_raw(in, host);
    break;
  case 1:
    sup_reports(index);
    break;
  case 2:
    pass_time(draw16(in));
    break;
  case 3:
    output(index, draw8(in));
    break;
  case 4:
    if (draw8(in) > 0xe0)
      host_leave(host);
    break;
  case 5:
    if (g.sups[index].fd >= 0)
      sup_abandon(index);
    break;
  case 6:
    allowed = draw8(in) % 6;
    return;
  case 7:
    while (host_read(host)) {
    }
    link_ready(host, EPOLLOUT);
    break;
  default:
    host_send(in, host, op % 16 < 10);
  }
  attend(host);
}

static void open_links(void) {
  for (int i = 0; i < HOSTS; i++) {
    int pair[2], small = 1;
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) ==
          0);
    /* So that a host that does not read blocks its link soon. */
    CHECK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
    hosts[i] = pair[1];
    g.links[i] = (struct link){.fd = pair[0], .owed.fd = -1};
    work_link_new(i);
  }
}

/* Everything ends; nobody is left to be told of it. */
static void close_all(void) {
  for (int i = 0; i < HOSTS; i++)
    if (g.links[i].fd >= 0)
      host_leave(i);
    else if (hosts[i] >= 0)
      close(hosts[i]);
  sups_abandon();
  pass_time(UINT16_MAX);
  for (int i = 0; i < WORKS_MAX; i++)
    if (g.works[i].state) {
      CHECK(g.works[i].state == AXO_WORK_ENDED && is_listed(&g.works[i]));
      work_free(&g.works[i]);
    }
}

static void set_up(void) {
  signal(SIGPIPE, SIG_IGN); /* PID 1 has all signals blocked */
  g.null = null_fd();
  g.next_work = 1;
  g.doors[0] = g.doors[1] = -1;
  links_init();
  works_init();
  for (int i = 0; i < SUPS_MAX; i++)
    g.sups[i] = (struct sup){.fd = -1, .work = -1};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static bool is_set_up, fds_before[FUZZ_FDS];
  input_t in = {data, size};
  source = &in;
  if (!is_set_up)
    set_up();
  is_set_up = true;
  fds_note(fds_before);
  open_links();
  while (in.left)
    turn(&in);
  close_all();
  fds_check(fds_before);
  return 0;
}
