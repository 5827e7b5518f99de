/* The ring against a model that remembers everything, against headers that lie, and
 * against a writer in another process. */
#include "ring_layout.h"

#include "axo.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
#include <poll.h>
#include <sys/inotify.h>
#endif

#include <cmocka.h>

#define MIN_FILE (AXO__RING_HEADER_SIZE + AXO__RING_CAPACITY_MIN)

/* The byte at an offset, so that a wrong one cannot look right. */
static char byte_at(uint64_t offset) {
  return (char)((offset * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static uint32_t next_random(uint32_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

/* A file without a name. */
static int temporary_file(void) {
  char path[] = "/tmp/axo-test-ring-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  unlink(path);
  return fd;
}

static void write_pattern(axo_ring_t *ring, size_t len) {
  static char bytes[256 * 1024];
  assert_true(len <= sizeof bytes);
  uint64_t head = axo_ring_head(ring);
  for (size_t i = 0; i < len; i++)
    bytes[i] = byte_at(head + i);
  assert_int_equal(axo_ring_write(ring, bytes, len), 0);
}

static void capacity_is_a_power_of_two(void **state) {
  (void)state;
  const size_t asked[] = {0, 1, 4096, 4097, 65536, 65537, AXO_RING_MAX};
  const size_t given[] = {4096, 4096, 4096, 8192, 65536, 131072, AXO_RING_MAX};
  for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
    axo_ring_t *ring;
    assert_int_equal(axo_ring_new(asked[i], &ring), 0);
    assert_int_equal(axo_ring_capacity(ring), given[i]);
    axo_ring_free(ring);
  }
  axo_ring_t *ring;
  assert_int_equal(axo_ring_new(AXO_RING_MAX + 1, &ring), UV_EINVAL);
  axo_ring_free(NULL);
}

static void reads_what_was_written(void **state) {
  (void)state;
  axo_ring_t *ring;
  char buf[16];
  uint64_t cursor = 0;
  uint64_t dropped = 0;
  assert_int_equal(axo_ring_new(4096, &ring), 0);
  assert_int_equal(axo_ring_read(ring, &cursor, buf, sizeof buf, &dropped), 0);
  axo_ring_write(ring, "", 0);
  axo_ring_write(ring, "hello\0world", 11);
  assert_int_equal(axo_ring_read(ring, &cursor, buf, 4, &dropped), 4);
  assert_memory_equal(buf, "hell", 4);
  assert_int_equal(axo_ring_read(ring, &cursor, buf, sizeof buf, &dropped), 7);
  assert_memory_equal(buf, "o\0world", 7);
  assert_int_equal(cursor, 11);
  assert_int_equal(dropped, 0);
  cursor = 12;
  assert_int_equal(axo_ring_read(ring, &cursor, buf, sizeof buf, &dropped), 0);
  assert_int_equal(cursor, 11);
  axo_ring_free(ring);
}

static void counts_what_was_lost(void **state) {
  (void)state;
  axo_ring_t *ring;
  char buf[8192];
  uint64_t cursor = 0;
  uint64_t dropped = 0;
  assert_int_equal(axo_ring_new(4096, &ring), 0);
  write_pattern(ring, 100000);
  assert_int_equal(axo_ring_head(ring), 100000);
  assert_int_equal(axo_ring_tail(ring), 100000 - 4096);
  assert_int_equal(axo_ring_read(ring, &cursor, buf, sizeof buf, &dropped), 4096);
  assert_int_equal(dropped, 100000 - 4096);
  for (size_t i = 0; i < 4096; i++) {
    assert_int_equal(buf[i], byte_at(100000 - 4096 + i));
  }
  axo_ring_free(ring);
}

typedef struct reader {
  uint64_t cursor;
  uint64_t dropped;
  uint64_t seen;
} reader_t;

/* What a reader must get is known exactly: history has not been forgotten by the model.
 */
static void read_against_model(const axo_ring_t *ring, reader_t *reader, size_t len) {
  static char buf[64 * 1024];
  uint64_t head = axo_ring_head(ring);
  uint64_t capacity = axo_ring_capacity(ring);
  uint64_t tail = head > capacity ? head - capacity : 0;
  uint64_t start = reader->cursor < tail ? tail : reader->cursor;
  uint64_t lost = reader->dropped + (start - reader->cursor);
  uint64_t count = head - start < len ? head - start : len;
  size_t n = axo_ring_read(ring, &reader->cursor, buf, len, &reader->dropped);
  assert_int_equal(n, count);
  assert_int_equal(reader->cursor, start + count);
  assert_int_equal(reader->dropped, lost);
  for (size_t i = 0; i < n; i++)
    assert_int_equal(buf[i], byte_at(start + i));
  reader->seen += n;
}

static void agrees_with_a_model(void **state) {
  (void)state;
  uint32_t random = 20240607;
  for (int round = 0; round < 20; round++) {
    axo_ring_t *ring;
    reader_t readers[3] = {{0}};
    size_t capacity = (size_t)4096 << (next_random(&random) % 4);
    assert_int_equal(axo_ring_new(capacity, &ring), 0);
    for (int step = 0; step < 400; step++) {
      uint32_t kind = next_random(&random) % 4;
      size_t most = next_random(&random) % 8 == 0 ? capacity * 2 : capacity / 3;
      size_t len = next_random(&random) % most;
      if (kind == 3) {
        write_pattern(ring, len);
      } else {
        read_against_model(ring, &readers[kind], len);
      }
    }
    for (int i = 0; i < 3; i++) {
      read_against_model(ring, &readers[i], capacity);
      assert_int_equal(readers[i].seen + readers[i].dropped, axo_ring_head(ring));
    }
    axo_ring_free(ring);
  }
}

static void a_file_is_shared(void **state) {
  (void)state;
  int fd = temporary_file();
  axo_ring_t *writer;
  axo_ring_t *reader;
  axo_err_t err;
  char buf[16];
  uint64_t cursor = 0;
  uint64_t dropped = 0;
  assert_int_equal(axo_ring_create_fd(fd, 5000, false, &writer, &err), 0);
  assert_int_equal(axo_ring_open_fd(fd, &reader, &err), 0);
  close(fd);
  assert_int_equal(axo_ring_capacity(reader), 8192);
  axo_ring_write(writer, "shared", 6);
  assert_int_equal(axo_ring_read(reader, &cursor, buf, sizeof buf, &dropped), 6);
  assert_memory_equal(buf, "shared", 6);
  assert_int_equal(axo_ring_write(reader, "x", 1), UV_EPERM);
  axo_ring_free(writer);
  assert_int_equal(axo_ring_head(reader), 6);
  axo_ring_free(reader);
}

static void refuses_a_full_disk(void **state) {
  (void)state;
  int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
  axo_ring_t *ring;
  axo_err_t err;
  assert_true(axo_ring_create_fd(fd, 4096, false, &ring, &err) < 0);
  assert_true(axo_ring_open_fd(fd, &ring, &err) == UV_EINVAL);
  assert_true(axo_ring_open_fd(-1, &ring, &err) == UV_EBADF);
  close(fd);
}

#ifdef __linux__
static void a_bell_wakes_a_watcher(void **state) {
  (void)state;
  char path[] = "/tmp/axo-test-ring-XXXXXX";
  int fd = mkstemp(path);
  axo_ring_t *ring;
  axo_err_t err;
  assert_int_equal(axo_ring_create_fd(fd, 4096, true, &ring, &err), 0);
  close(fd);
  int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  assert_true(inotify_add_watch(watch, path, IN_MODIFY) >= 0);
  struct pollfd wait = {.fd = watch, .events = POLLIN};
  assert_int_equal(poll(&wait, 1, 0), 0);
  write_pattern(ring, 3);
  assert_int_equal(poll(&wait, 1, 10000), 1);
  axo_ring_free(ring);
  close(watch);
  unlink(path);
}
#endif

/* ---- headers that lie ------------------------------------------------------------ */

static int ring_file(void) {
  int fd = temporary_file();
  axo_ring_t *ring;
  assert_int_equal(axo_ring_create_fd(fd, 4096, false, &ring, NULL), 0);
  write_pattern(ring, 5000);
  axo_ring_free(ring);
  return fd;
}

static void store(int fd, size_t at, uint64_t value, size_t len) {
  assert_int_equal(pwrite(fd, &value, len, (off_t)at), len);
}

static void assert_refused(int fd) {
  axo_ring_t *ring;
  axo_err_t err = {0};
  assert_int_equal(axo_ring_open_fd(fd, &ring, &err), UV_EINVAL);
  assert_int_equal(err.code, UV_EINVAL);
  assert_true(strlen(err.message) > 0);
}

static void refuses_a_wrong_header(void **state) {
  (void)state;
  const struct {
    size_t at, len;
    uint64_t value;
  } lies[] = {
      {offsetof(axo__ring_header_t, magic), 8, AXO__RING_MAGIC + 1},
      {offsetof(axo__ring_header_t, version), 4, AXO__RING_VERSION + 1},
      {offsetof(axo__ring_header_t, header_size), 4, 128},
      {offsetof(axo__ring_header_t, capacity), 8, 8192},
      {offsetof(axo__ring_header_t, capacity), 8, 0},
      {offsetof(axo__ring_header_t, capacity), 8, UINT64_MAX},
  };
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    int fd = ring_file();
    store(fd, lies[i].at, lies[i].value, lies[i].len);
    assert_refused(fd);
    close(fd);
  }
}

static void refuses_a_wrong_size(void **state) {
  (void)state;
  const off_t sizes[] = {0,
                         1,
                         AXO__RING_HEADER_SIZE,
                         MIN_FILE - 1,
                         MIN_FILE + 1,
                         AXO__RING_HEADER_SIZE + 3 * 4096,
                         (off_t)AXO__RING_HEADER_SIZE + 2 * (off_t)AXO_RING_MAX};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    int fd = ring_file();
    store(fd, offsetof(axo__ring_header_t, capacity),
          (uint64_t)sizes[i] - AXO__RING_HEADER_SIZE, 8);
    assert_int_equal(ftruncate(fd, sizes[i]), 0);
    assert_refused(fd);
    close(fd);
  }
}

static void a_lying_head_stays_inside(void **state) {
  (void)state;
  const uint64_t heads[] = {
      0, 1, 4096, 4097, 5000, 8192, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};
  size_t count = sizeof heads / sizeof *heads;
  int fd = ring_file();
  axo_ring_t *ring;
  assert_int_equal(axo_ring_open_fd(fd, &ring, NULL), 0);
  char *buf = malloc(8192);
  for (size_t i = 0; i < count * count * count; i++) {
    uint64_t head = heads[i % count];
    store(fd, offsetof(axo__ring_header_t, head), head, 8);
    store(fd, offsetof(axo__ring_header_t, reserved), heads[i / count % count], 8);
    store(fd, offsetof(axo__ring_header_t, capacity), UINT64_MAX, 8);
    uint64_t cursor = heads[i / count / count];
    uint64_t dropped = 0;
    uint64_t before = cursor;
    size_t n = axo_ring_read(ring, &cursor, buf, 8192, &dropped);
    assert_true(n <= 4096);
    assert_true(cursor <= head);
    if (before <= head)
      assert_true(cursor - before == n + dropped);
    assert_true(axo_ring_tail(ring) <= axo_ring_head(ring));
  }
  free(buf);
  axo_ring_free(ring);
  close(fd);
}

/* ---- a writer in another process ------------------------------------------------- */

#define RACE_BYTES (UINT64_C(512) * 1024 * 1024)
/* Large, so that a copy lasts long enough to be overtaken in its middle. */
#define RACE_CAPACITY ((size_t)256 * 1024)
/* The pattern's period fits the capacity at no offset: what is stale looks wrong. */
#define RACE_PERIOD ((size_t)65521)
#define RACE_PIECE ((size_t)64 * 1024)

static char race_pattern[RACE_PERIOD + RACE_PIECE];

static const char *race_bytes(uint64_t offset) {
  return race_pattern + offset % RACE_PERIOD;
}

static int race_write(int fd) {
  axo_ring_t *ring;
  uint32_t random = 42;
  if (axo_ring_create_fd(fd, RACE_CAPACITY, false, &ring, NULL) != 0)
    return 1;
  for (uint64_t head = 0; head < RACE_BYTES;) {
    size_t len = 1 + next_random(&random) % RACE_PIECE;
    if (len > RACE_BYTES - head)
      len = (size_t)(RACE_BYTES - head);
    axo_ring_write(ring, race_bytes(head), len);
    head += len;
  }
  axo_ring_free(ring);
  return 0;
}

static axo_ring_t *open_when_ready(int fd) {
  axo_ring_t *ring = NULL;
  while (axo_ring_open_fd(fd, &ring, NULL) != 0)
    usleep(100);
  return ring;
}

typedef struct race {
  int fd;
  pid_t writer;
  axo_ring_t *ring;
} race_t;

static race_t race_begin(void) {
  race_t race = {.fd = temporary_file()};
  for (size_t i = 0; i < sizeof race_pattern; i++) {
    race_pattern[i] = byte_at(i % RACE_PERIOD);
  }
  race.writer = fork();
  assert_true(race.writer >= 0);
  if (race.writer == 0)
    _exit(race_write(race.fd));
  race.ring = open_when_ready(race.fd);
  return race;
}

static void race_end(race_t *race) {
  int status;
  assert_int_equal(waitpid(race->writer, &status, 0), race->writer);
  assert_int_equal(status, 0);
  assert_int_equal(axo_ring_head(race->ring), RACE_BYTES);
  axo_ring_free(race->ring);
  close(race->fd);
}

static size_t race_read(const race_t *race, uint64_t *cursor) {
  static char buf[RACE_PIECE];
  uint64_t before = *cursor;
  uint64_t dropped = 0;
  size_t n = axo_ring_read(race->ring, cursor, buf, sizeof buf, &dropped);
  if (n > 0)
    assert_memory_equal(buf, race_bytes(*cursor - n), n);
  assert_int_equal(*cursor, before + n + dropped);
  return n;
}

/* Always what will be overwritten next. */
static void a_race_for_the_oldest_is_never_wrong(void **state) {
  (void)state;
  race_t race = race_begin();
  while (axo_ring_head(race.ring) < RACE_BYTES) {
    uint64_t cursor = axo_ring_tail(race.ring);
    race_read(&race, &cursor);
  }
  race_end(&race);
}

static void a_race_is_counted(void **state) {
  (void)state;
  race_t race = race_begin();
  uint64_t cursor = 0;
  while (cursor < RACE_BYTES)
    race_read(&race, &cursor);
  race_end(&race);
}

#ifdef __linux__
/* Pages of files and shared memory that are mapped and count. */
static long shared_pages(void) {
  char text[128] = "";
  FILE *file = fopen("/proc/self/statm", "r");
  assert_non_null(file);
  assert_true(fread(text, 1, sizeof text - 1, file) > 0);
  fclose(file);
  char *at = text;
  (void)strtol(at, &at, 10);
  (void)strtol(at, &at, 10);
  return strtol(at, &at, 10);
}

static void what_was_read_of_another_s_ring_does_not_stay_mapped(void **state) {
  (void)state;
  enum { CAPACITY = 4 * 1024 * 1024, PIECE = 64 * 1024 };
  static char buf[PIECE];
  axo_ring_t *ring;
  uint64_t cursor = 0, dropped = 0;
  int fd = temporary_file();
  assert_int_equal(axo_ring_create_fd(fd, CAPACITY, false, &ring, NULL), 0);
  for (int i = 0; i < CAPACITY / PIECE; i++)
    write_pattern(ring, PIECE);
  axo_ring_free(ring);
  assert_int_equal(axo_ring_open_fd(fd, &ring, NULL), 0);
  long before = shared_pages();
  while (cursor < CAPACITY) {
    uint64_t at = cursor;
    size_t n = axo_ring_read(ring, &cursor, buf, sizeof buf, &dropped);
    assert_int_equal(n, PIECE);
    assert_int_equal(buf[0], byte_at(at));
    assert_int_equal(buf[n - 1], byte_at(cursor - 1));
  }
  assert_true(shared_pages() - before < CAPACITY / 4096 / 8);
  assert_int_equal(dropped, 0);
  axo_ring_free(ring);
  close(fd);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(capacity_is_a_power_of_two),
      cmocka_unit_test(reads_what_was_written),
      cmocka_unit_test(counts_what_was_lost),
      cmocka_unit_test(agrees_with_a_model),
      cmocka_unit_test(a_file_is_shared),
      cmocka_unit_test(refuses_a_full_disk),
#ifdef __linux__
      cmocka_unit_test(a_bell_wakes_a_watcher),
      cmocka_unit_test(what_was_read_of_another_s_ring_does_not_stay_mapped),
#endif
      cmocka_unit_test(refuses_a_wrong_header),
      cmocka_unit_test(refuses_a_wrong_size),
      cmocka_unit_test(a_lying_head_stays_inside),
      cmocka_unit_test(a_race_for_the_oldest_is_never_wrong),
      cmocka_unit_test(a_race_is_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
