/* A ring whose memory belongs to somebody hostile. The input: the size of the file, its
 * header, then reads, between which the header is changed. */
#include "axo.h"
#include "fuzz.h"
#include "ring_layout.h"

#define READ_MAX 20000

static int file = -1;
static size_t file_size;

/* What lies in the data at this place. */
static char pattern(size_t at) { return (char)(at ^ (at >> 8) ^ (at >> 16)); }

/* Sizes that a ring may have, some of them one off, and others. */
static size_t draw_size(input_t *in) {
  uint8_t choice = draw8(in);
  if (choice >= 0xf0)
    return draw16(in);
  return AXO__RING_HEADER_SIZE + ((size_t)4096 << (choice & 3)) +
         ((choice & 0xc) == 4) - ((choice & 0xc) == 8);
}

static void make_file(size_t size) {
  static char bytes[1 << 16];
  CHECK(size <= sizeof bytes);
  memset(bytes, 0, sizeof bytes);
  for (size_t i = AXO__RING_HEADER_SIZE; i < size; i++)
    bytes[i] = pattern(i - AXO__RING_HEADER_SIZE);
  file = memory(bytes, size, 0);
  file_size = size;
}

static void put(size_t at, const void *bytes, size_t len) {
  if (at + len <= file_size)
    CHECK(pwrite(file, bytes, len, (off_t)at) == (ssize_t)len);
}

static void put64(size_t at, uint64_t value) { put(at, &value, sizeof value); }

/* What is right, but for what the input has against it. */
static void make_header(input_t *in) {
  axo__ring_header_t h = {.magic = AXO__RING_MAGIC,
                          .version = AXO__RING_VERSION,
                          .header_size = AXO__RING_HEADER_SIZE,
                          .capacity = file_size - AXO__RING_HEADER_SIZE};
  uint8_t wrong = draw8(in);
  if (wrong & 1)
    h.magic = draw64(in);
  if (wrong & 2)
    h.version = draw32(in);
  if (wrong & 4)
    h.header_size = draw32(in);
  if (wrong & 8)
    h.capacity = draw64(in);
  put(0, &h, sizeof h);
}

/* Far from everything, or near to what there is. */
static uint64_t draw_offset(input_t *in, uint64_t near) {
  uint8_t choice = draw8(in);
  switch (choice & 3) {
  case 0:
    return near + (uint64_t)(int64_t)(int16_t)draw16(in);
  case 1:
    return draw16(in);
  case 2:
    return UINT64_MAX - draw16(in);
  default:
    return draw64(in);
  }
}

static void check_bytes(const axo_ring_t *ring, const char *got, size_t n,
                        uint64_t cursor) {
  for (size_t i = 0; i < n; i++) {
    size_t at = (size_t)((cursor - n + i) & (axo_ring_capacity(ring) - 1));
    CHECK(got[i] == pattern(at));
  }
}

static void read_some(const axo_ring_t *ring, input_t *in) {
  uint64_t head = axo_ring_head(ring), tail = axo_ring_tail(ring);
  uint64_t cursor = draw_offset(in, head), before = cursor;
  uint64_t dropped = draw8(in), dropped_before = dropped;
  size_t len = draw16(in) % READ_MAX;
  char *buf = malloc(len + 1);
  CHECK(buf);
  size_t n = axo_ring_read(ring, &cursor, buf, len, &dropped);
  CHECK(n <= len && n <= axo_ring_capacity(ring));
  CHECK(tail <= head && head - tail <= axo_ring_capacity(ring));
  if (before >= head) {
    CHECK(n == 0 && cursor == head && dropped == dropped_before);
  } else {
    CHECK(cursor > before || (len == 0 && cursor == before));
    CHECK(cursor <= head && n + (dropped - dropped_before) == cursor - before);
    check_bytes(ring, buf, n, cursor);
  }
  free(buf);
}

static void use(const axo_ring_t *ring, input_t *in) {
  CHECK(axo_ring_capacity(ring) == file_size - AXO__RING_HEADER_SIZE);
  while (in->left) {
    uint8_t op = draw8(in) % 5;
    if (op == 0)
      put64(offsetof(axo__ring_header_t, head), draw_offset(in, axo_ring_head(ring)));
    else if (op == 1)
      put64(offsetof(axo__ring_header_t, reserved),
            draw_offset(in, axo_ring_head(ring)));
    else if (op == 2) /* too late: it has been looked at */
      put64(offsetof(axo__ring_header_t, capacity), draw64(in));
    else
      read_some(ring, in);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  input_t in = {data, size};
  axo_ring_t *ring;
  axo_err_t err;
  make_file(draw_size(&in));
  make_header(&in);
  int rc = axo_ring_open_fd(file, &ring, &err);
  if (rc == 0) {
    CHECK(axo_ring_write((axo_ring_t *)ring, "x", 1) == UV_EPERM);
    use(ring, &in);
    axo_ring_free(ring);
  } else {
    CHECK(rc == err.code && err.message[0]);
  }
  close(file);
  return 0;
}
