/* What the host makes of a guest's packets: the good ones, and everything else. */
#include "link_support.h"

#include <sys/resource.h>
#include <sys/stat.h>

static int ours, theirs, fds_before;
static _Alignas(16) char buf[AXO_PACKET_MAX];

static int set_up(void **state) {
  (void)state;
  int pair[2];
  fds_before = count_fds();
  assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
  ours = pair[0];
  theirs = pair[1];
  return 0;
}

/* Nothing stayed open. */
static int tear_down(void **state) {
  (void)state;
  close(ours);
  if (theirs >= 0)
    close(theirs);
  return count_fds() == fds_before ? 0 : -1;
}

#define PACKET_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int receive(axo__packet_t *packet, axo_err_t *err) {
  return axo__packet_receive(ours, buf, sizeof buf, packet, err);
}

static void expect_good(const event_t *ev) {
  axo__packet_t packet;
  axo_err_t err;
  assert_int_equal(send_event(theirs, ev), 0);
  assert_int_equal(receive(&packet, &err), 1);
  assert_int_equal(packet.head.type, ev->type);
  assert_int_equal(packet.head.id, ev->id);
  assert_int_equal(packet.fd_count, ev->fd_count);
  if (ev->len && !(ev->flags & AXO_FLAG_MEMFD))
    assert_memory_equal(packet.body, ev->body, ev->len);
  axo__packet_release(&packet);
}

static void expect_bad(const event_t *ev) {
  axo__packet_t packet;
  axo_err_t err;
  assert_int_equal(send_event(theirs, ev), 0);
  assert_int_equal(receive(&packet, &err), UV_EPROTO);
  assert_non_null(strstr(err.message, "not of the protocol"));
  assert_int_equal(packet.fd_count, 0);
  assert_null(packet.body);
}

/* ---- good ------------------------------------------------------------------------ */

static const char zeros[256];

static void takes_what_the_protocol_has(void **state) {
  (void)state;
  const int fds[2] = {ours, theirs};
  const event_t events[] = {
      {AXO_EV_HELLO, 0, zeros, sizeof(axo_hello_t), NULL, 0, 0},
      {AXO_EV_SPAWNED, 1, zeros, sizeof(axo_spawned_t), fds, 1, 0},
      {AXO_EV_SPAWNED, 2, zeros, sizeof(axo_spawned_t), fds, 2, 0},
      {AXO_EV_FAILED, 3, zeros, sizeof(axo_failed_t), NULL, 0, 0},
      {AXO_EV_EXITED, UINT64_MAX, zeros, sizeof(axo_exited_t), NULL, 0, 0},
      {AXO_EV_OPENED, 4, NULL, 0, fds, 1, 0},
      {AXO_EV_LISTED, 5, NULL, 0, NULL, 0, 0},
      {AXO_EV_DONE, 6, NULL, 0, NULL, 0, 0},
      {AXO_EV_EMPTY, 7, NULL, 0, NULL, 0, 0},
      {AXO_EV_NEW, 0, zeros, sizeof(axo_attach_t), NULL, 0, 0},
      {AXO_EV_STUCK, 8, NULL, 0, NULL, 0, 0},
      {AXO_EV_SIGNALLED, 9, zeros, sizeof(axo_signalled_t), NULL, 0, 0},
  };
  for (size_t i = 0; i < sizeof events / sizeof *events; i++)
    expect_good(&events[i]);
}

static void reads_a_listing(void **state) {
  (void)state;
  axo__packet_t packet;
  axo_err_t err;
  axo_entry_t entries[2] = {{.work = 1, .name = "a"}, {.work = 2, .name = "b"}};
  int file = memory(0, 0);
  assert_int_equal(write(file, entries, sizeof entries), sizeof entries);
  assert_int_equal(fcntl(file, F_ADD_SEALS, SEALED), 0);
  event_t ev = {AXO_EV_LISTED, 1, NULL, sizeof entries, &file, 1, AXO_FLAG_MEMFD};
  assert_int_equal(send_event(theirs, &ev), 0);
  assert_int_equal(receive(&packet, &err), 1);
  assert_memory_equal(packet.body, entries, sizeof entries);
  axo__packet_release(&packet);
  close(file);
}

static void says_when_there_is_nothing(void **state) {
  (void)state;
  axo__packet_t packet;
  axo_err_t err;
  assert_int_equal(receive(&packet, &err), 0);
  close(theirs);
  theirs = -1;
  assert_int_equal(receive(&packet, &err), UV_EOF);
}

/* ---- bad ------------------------------------------------------------------------- */

static void refuses_headers(void **state) {
  (void)state;
  axo__packet_t packet;
  axo_err_t err;
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_DONE, 0, 0, 1};
  for (size_t len = 1; len < sizeof head; len++) {
    assert_int_equal(send_raw(theirs, &head, len, NULL, 0), 0);
    assert_int_equal(receive(&packet, &err), UV_EPROTO);
  }
  head.version = AXO_PROTO_VERSION + 1;
  assert_int_equal(send_raw(theirs, &head, sizeof head, NULL, 0), 0);
  assert_int_equal(receive(&packet, &err), UV_EPROTO);
}

static void refuses_unknown_types(void **state) {
  (void)state;
  for (int type = 0; type < 256; type++)
    if (type < AXO_EV_HELLO || type > AXO_EV_SIGNALLED)
      expect_bad(&(event_t){.type = (uint8_t)type, .id = 1});
}

static void refuses_flags(void **state) {
  (void)state;
  const int fd = ours;
  for (unsigned bit = 0; bit < 16; bit++)
    expect_bad(&(event_t){.type = AXO_EV_DONE, .flags = (uint16_t)(1U << bit)});
  expect_bad(&(event_t){.type = AXO_EV_OPENED, .flags = 1, .fds = &fd, .fd_count = 1});
}

static void refuses_wrong_lengths(void **state) {
  (void)state;
  const struct {
    uint8_t type;
    size_t len;
  } types[] = {{AXO_EV_HELLO, sizeof(axo_hello_t)},
               {AXO_EV_FAILED, sizeof(axo_failed_t)},
               {AXO_EV_EXITED, sizeof(axo_exited_t)},
               {AXO_EV_NEW, sizeof(axo_attach_t)},
               {AXO_EV_SIGNALLED, sizeof(axo_signalled_t)},
               {AXO_EV_DONE, 0},
               {AXO_EV_EMPTY, 0},
               {AXO_EV_STUCK, 0},
               {AXO_EV_LISTED, 0}};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    expect_bad(&(event_t){types[i].type, 1, zeros, types[i].len + 1, NULL, 0, 0});
    if (types[i].len)
      expect_bad(&(event_t){types[i].type, 1, zeros, types[i].len - 1, NULL, 0, 0});
  }
}

/* The header's length and the packet's differ. */
static void refuses_lengths_that_lie(void **state) {
  (void)state;
  axo__packet_t packet;
  axo_err_t err;
  char bytes[sizeof(axo_packet_t) + sizeof(axo_exited_t) + 8] = {0};
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_EXITED, 0, sizeof(axo_exited_t), 1};
  memcpy(bytes, &head, sizeof head);
  size_t good = sizeof head + sizeof(axo_exited_t);
  for (size_t len = sizeof head; len <= sizeof bytes; len++) {
    if (len == good)
      continue;
    assert_int_equal(send_raw(theirs, bytes, len, NULL, 0), 0);
    assert_int_equal(receive(&packet, &err), UV_EPROTO);
  }
}

static void refuses_wrong_numbers_of_descriptors(void **state) {
  (void)state;
  int fds[40];
  for (int i = 0; i < 40; i++)
    fds[i] = ours;
  const struct {
    uint8_t type;
    size_t len;
    int min, max;
  } types[] = {{AXO_EV_HELLO, sizeof(axo_hello_t), 0, 0},
               {AXO_EV_SPAWNED, sizeof(axo_spawned_t), 1, 2},
               {AXO_EV_FAILED, sizeof(axo_failed_t), 0, 0},
               {AXO_EV_EXITED, sizeof(axo_exited_t), 0, 0},
               {AXO_EV_OPENED, 0, 1, 1},
               {AXO_EV_LISTED, 0, 0, 0},
               {AXO_EV_DONE, 0, 0, 0},
               {AXO_EV_NEW, sizeof(axo_attach_t), 0, 0}};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    for (int count = 0; count <= 40; count += count < 6 ? 1 : 17)
      if (count < types[i].min || count > types[i].max)
        expect_bad(&(event_t){types[i].type, 1, zeros, types[i].len, fds, count, 0});
}

static void refuses_packets_that_are_too_long(void **state) {
  (void)state;
  static char big[AXO_PACKET_MAX + 100];
  axo__packet_t packet;
  axo_err_t err;
  axo_packet_t head = {AXO_PROTO_VERSION, AXO_EV_EXITED, 0, sizeof big - sizeof head,
                       1};
  memcpy(big, &head, sizeof head);
  assert_int_equal(send_raw(theirs, big, sizeof big, &ours, 1), 0);
  assert_int_equal(receive(&packet, &err), UV_EPROTO);
}

/* ---- listings -------------------------------------------------------------------- */

static void refuses_listings_that_are_not_final(void **state) {
  (void)state;
  size_t len = sizeof(axo_entry_t);
  int pipes[2];
  assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
  int files[] = {memory(len, 0),
                 memory(len, F_SEAL_SHRINK),
                 memory(len - 1, SEALED),
                 memory(0, SEALED),
                 open("/dev/zero", O_RDONLY | O_CLOEXEC),
                 open("/proc/self/maps", O_RDONLY | O_CLOEXEC),
                 open("/", O_PATH | O_CLOEXEC),
                 pipes[0],
                 pipes[1]};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    expect_bad(&(event_t){AXO_EV_LISTED, 1, NULL, len, &files[i], 1, AXO_FLAG_MEMFD});
    close(files[i]);
  }
}

static void refuses_listings_of_a_wrong_size(void **state) {
  (void)state;
  size_t most = AXO_WORKS_MAX * sizeof(axo_entry_t);
  const size_t lengths[] = {1, sizeof(axo_entry_t) - 1, most + sizeof(axo_entry_t),
                            UINT32_MAX};
  int file = memory(most + sizeof(axo_entry_t), SEALED);
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
    expect_bad(
        &(event_t){AXO_EV_LISTED, 1, NULL, lengths[i], &file, 1, AXO_FLAG_MEMFD});
  expect_good(&(event_t){AXO_EV_LISTED, 1, NULL, most, &file, 1, AXO_FLAG_MEMFD});
  expect_bad(&(event_t){AXO_EV_LISTED, 1, NULL, 0, &file, 1, AXO_FLAG_MEMFD});
  expect_bad(&(event_t){AXO_EV_LISTED, 1, NULL, 0, &file, 1, 0});
  const int two[2] = {file, file};
  expect_bad(
      &(event_t){AXO_EV_LISTED, 1, NULL, sizeof(axo_entry_t), two, 2, AXO_FLAG_MEMFD});
  close(file);
}

/* ---- running out ----------------------------------------------------------------- */

/* That is this process's trouble, not the guest's fault. */
static void tells_when_descriptors_run_out(void **state) {
  (void)state;
  axo__packet_t packet;
  axo_err_t err;
  struct rlimit limit, tight;
  const int fds[2] = {ours, theirs};
  if (getenv("AXO_VALGRIND"))
    return; /* which has a limit of its own */
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  int next = dup(ours);
  close(next);
  tight = (struct rlimit){(rlim_t)next, limit.rlim_max};
  assert_int_equal(send_event(theirs, &(event_t){AXO_EV_SPAWNED, 1, zeros,
                                                 sizeof(axo_spawned_t), fds, 2, 0}),
                   0);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
  int got = receive(&packet, &err);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  assert_int_equal(got, 1);
  assert_true(packet.fds_lost);
  axo__packet_release(&packet);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      PACKET_TEST(takes_what_the_protocol_has),
      PACKET_TEST(reads_a_listing),
      PACKET_TEST(says_when_there_is_nothing),
      PACKET_TEST(refuses_headers),
      PACKET_TEST(refuses_unknown_types),
      PACKET_TEST(refuses_flags),
      PACKET_TEST(refuses_wrong_lengths),
      PACKET_TEST(refuses_lengths_that_lie),
      PACKET_TEST(refuses_wrong_numbers_of_descriptors),
      PACKET_TEST(refuses_packets_that_are_too_long),
      PACKET_TEST(refuses_listings_that_are_not_final),
      PACKET_TEST(refuses_listings_of_a_wrong_size),
      PACKET_TEST(tells_when_descriptors_run_out),
  };
  return cmocka_run_group_tests_name("packets", tests, NULL, NULL);
}
