/* fuzz_link.h: the guest of a fuzzed link, which may say anything. */
#ifndef FUZZ_LINK_H
#define FUZZ_LINK_H

#include "../../core/guest/guest.h"
#include "fuzz.h"
#include "link/link_impl.h"
#include "ring_layout.h"

#define IDS 8

static int guest;         /* its end; -1: closed */
static int terminal = -1; /* a master, to be passed off as its own */
static int ring_fd;       /* the latest ring, as it still holds it; -1: none */
static uint64_t ids[IDS]; /* of the latest requests */
static unsigned id_count;

/* What the host has sent is what a guest takes. */
static void guest_read(void) {
  struct packet p;
  while (guest >= 0 && packet_receive(guest, &p) > 0) {
    CHECK(packet_is_request(&p));
    if (p.head.id)
      ids[id_count++ % IDS] = p.head.id;
    packet_release(&p);
  }
}

static int ring_file(input_t *in) {
  static unsigned char bytes[AXO__RING_HEADER_SIZE + AXO__RING_CAPACITY_MIN];
  axo__ring_header_t h = {.magic = AXO__RING_MAGIC,
                          .version = AXO__RING_VERSION,
                          .header_size = AXO__RING_HEADER_SIZE,
                          .capacity = AXO__RING_CAPACITY_MIN};
  h.head = draw16(in);
  uint8_t how = draw8(in);
  h.reserved = h.head + (how & 3);
  memcpy(bytes, &h, sizeof h);
  if (ring_fd >= 0)
    close(ring_fd);
  ring_fd = memory(bytes, sizeof bytes, how & 4 ? 0 : F_SEAL_SHRINK);
  return dup(ring_fd);
}

static int entries_file(input_t *in, int seals) {
  static unsigned char bytes[3 * sizeof(axo_entry_t)];
  input_t part = draw_part(in, draw8(in));
  memset(bytes, 0, sizeof bytes);
  draw(&part, bytes, part.left);
  return memory(bytes, draw8(in) % 4 * sizeof(axo_entry_t), seals);
}

static int draw_fd(input_t *in) {
  int pair[2];
  switch (draw8(in) % 10) {
  case 0:
    return open("/dev/null", O_RDWR | O_CLOEXEC);
  case 1:
    return ring_file(in);
  case 2:
    return entries_file(in, SEALED);
  case 3:
    return entries_file(in, 0);
  case 4:
    return terminal >= 0 ? dup(terminal) : dup(guest);
  case 5:
    return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  case 6:
    return open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  case 7: /* a ring of any bytes */
    return memory(in->at, in->left < 128 ? in->left : 128, SEALED);
  case 8:
    return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  default:
    CHECK(pipe(pair) == 0);
    close(pair[1]);
    return pair[0];
  }
}

/* As the protocol has it for this type. */
static uint32_t natural_length(uint8_t type) {
  switch (type) {
  case AXO_EV_HELLO:
    return sizeof(axo_hello_t);
  case AXO_EV_SPAWNED:
    return sizeof(axo_spawned_t);
  case AXO_EV_FAILED:
    return sizeof(axo_failed_t);
  case AXO_EV_EXITED:
    return sizeof(axo_exited_t);
  case AXO_EV_NEW:
    return sizeof(axo_attach_t);
  case AXO_EV_SIGNALLED:
    return sizeof(axo_signalled_t);
  case AXO_EV_OWNER:
    return sizeof(axo_owned_t);
  default:
    return 0;
  }
}

static uint64_t draw_id(input_t *in) {
  uint8_t which = draw8(in);
  return which < 0xf0 ? ids[which % IDS] : draw64(in);
}

/* Nearly right: `wrong` says in what it is not. */
static size_t draw_packet(input_t *in, unsigned char buf[512]) {
  uint8_t wrong = draw8(in), type = draw8(in);
  axo_packet_t head = {.version = AXO_PROTO_VERSION};
  head.type = wrong & 1 ? type : AXO_EV_HELLO + type % 12;
  head.id = draw_id(in);
  size_t len = wrong & 2 ? draw8(in) : natural_length(head.type);
  head.length = wrong & 4 ? draw32(in) : (uint32_t)len;
  if (wrong & 8)
    head.flags = draw16(in);
  if (wrong & 16)
    head.version = draw8(in);
  if (head.type == AXO_EV_LISTED && !(wrong & 6)) {
    head.length = draw8(in) % 4 * (uint32_t)sizeof(axo_entry_t);
    head.flags = head.length ? AXO_FLAG_MEMFD : 0;
  }
  memcpy(buf, &head, sizeof head);
  draw(in, buf + sizeof head, len);
  return sizeof head + len;
}

static void guest_send(input_t *in) {
  unsigned char buf[512];
  int fds[SEND_FDS_MAX];
  if (guest < 0)
    return;
  size_t len = draw_packet(in, buf);
  size_t count = draw8(in) % (SEND_FDS_MAX + 1);
  for (size_t i = 0; i < count; i++)
    CHECK((fds[i] = draw_fd(in)) >= 0);
  send_raw(guest, buf, len, fds, count);
  for (size_t i = 0; i < count; i++)
    close(fds[i]);
}

static void guest_send_raw(input_t *in) {
  input_t part = draw_part(in, draw8(in));
  if (guest >= 0)
    send_raw(guest, part.at, part.left, NULL, 0);
}

/* The ring is cut under the reader's hands, unless it is sealed, or its head lies. */
static void guest_spoil_ring(input_t *in) {
  uint64_t head = draw64(in);
  if (ring_fd < 0)
    return;
  if (draw8(in) & 1)
    (void)!ftruncate(ring_fd, 0);
  else
    (void)!pwrite(ring_fd, &head, sizeof head, offsetof(axo__ring_header_t, head));
}

static void guest_leave(void) {
  if (guest >= 0)
    close(guest);
  guest = -1;
}

#endif /* FUZZ_LINK_H */
