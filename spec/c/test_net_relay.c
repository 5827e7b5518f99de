/* Connections that are passed on: what each end sees of the other. */
#include "net_support.h"

static void passes_both_ways(void **state) {
  (void)state;
  OPEN_RELAY();
  ends_t ends = connect_ends();
  say(ends.client, "from the client");
  expect(ends.server, "from the client");
  say(ends.server, "from the other end");
  expect(ends.client, "from the other end");
  axo_net_traffic_t traffic = axo_net_conn_traffic(heard.conn);
  assert_int_equal(traffic.sent, 15);
  assert_int_equal(traffic.received, 18);
  assert_int_equal(heard.opens, 1);
  assert_int_equal(heard.open_code, 0);
  close_ends(ends);
  RUN_UNTIL(heard.closes == 1);
  assert_int_equal(heard.close_code, 0);
  assert_int_equal(heard.traffic.sent, 15);
}

/* ---- ends ------------------------------------------------------------------------ */

static void half_close(bool client_first) {
  OPEN_RELAY();
  ends_t ends = connect_ends();
  int first = client_first ? ends.client : ends.server;
  int second = client_first ? ends.server : ends.client;
  say(first, "a question");
  shutdown(first, SHUT_WR);
  expect(second, "a question");
  expect_end(second, 0);
  assert_int_equal(heard.closes, 0);
  say(second, "an answer");
  expect(first, "an answer");
  shutdown(second, SHUT_WR);
  expect_end(first, 0);
  RUN_UNTIL(heard.closes == 1);
  assert_int_equal(heard.close_code, 0);
  close_ends(ends);
}

static void passes_on_that_a_client_is_through(void **state) {
  (void)state;
  half_close(true);
}

static void passes_on_that_the_other_end_is_through(void **state) {
  (void)state;
  half_close(false);
}

static void passes_on_a_reset(void **state) {
  (void)state;
  OPEN_RELAY();
  ends_t ends = connect_ends();
  reset(ends.client);
  expect_end(ends.server, UV_ECONNRESET);
  RUN_UNTIL(heard.closes == 1);
  assert_int_equal(heard.close_code, UV_ECONNRESET);
  close(ends.server);
  ends = connect_ends();
  reset(ends.server);
  expect_end(ends.client, UV_ECONNRESET);
  RUN_UNTIL(heard.closes == 2);
  assert_int_equal(heard.close_code, UV_ECONNRESET);
  close(ends.client);
}

/* The receiver has said that it is through, and goes just after more has come for it:
 * what is sent to it then is EPIPE, and of splice a signal. */
static void survives_a_receiver_that_has_gone(void **state) {
  (void)state;
  enum { SIZE = 1 << 20 };
  static char bytes[SIZE];
  OPEN_RELAY();
  for (unsigned round = 1; round <= 20; round++) {
    ends_t ends = connect_ends();
    shutdown(ends.server, SHUT_WR);
    expect_end(ends.client, 0);
    size_t sent = 0, taken = 0;
    while (taken < SIZE) {
      ssize_t n = send(ends.client, bytes, SIZE - sent, MSG_NOSIGNAL);
      sent += n > 0 ? (size_t)n : 0;
      run_some();
      n = read_now(ends.server, bytes, SIZE);
      taken += n > 0 ? (size_t)n : 0;
    }
    assert_true(send(ends.client, bytes, SIZE, MSG_NOSIGNAL) > 0);
    reset(ends.server);
    RUN_UNTIL(heard.closes == round);
    assert_true(heard.close_code == UV_ECONNRESET || heard.close_code == UV_EPIPE);
    close(ends.client);
  }
}

static void passes_on_a_reset_while_the_receiver_takes_nothing(void **state) {
  (void)state;
  static char bytes[1 << 20];
  ssize_t n;
  OPEN_RELAY();
  ends_t ends = connect_ends();
  for (int quiet = 0; quiet<20; quiet = n> 0 ? 0 : quiet + 1) {
    n = send(ends.client, bytes, sizeof bytes, MSG_NOSIGNAL);
    uv_run(&loop, UV_RUN_NOWAIT);
  }
  assert_int_equal(heard.closes, 0);
  reset(ends.client);
  RUN_UNTIL(heard.closes == 1);
  assert_int_equal(heard.close_code, UV_ECONNRESET);
  close(ends.server);
}

/* ---- many ------------------------------------------------------------------------ */

/* Bytes that depend on their place, so that none can be lost, doubled or exchanged. */
static void fill(uint8_t *out, size_t len, uint64_t at, uint8_t seed) {
  for (size_t i = 0; i < len; i++, at++)
    out[i] = (uint8_t)((at * 2654435761u >> 13) + seed + (at >> 16));
}

typedef struct stream {
  int from, to;
  uint8_t seed;
  uint64_t size, sent, taken;
} stream_t;

static bool stream_step(stream_t *s) {
  static uint8_t bytes[1 << 16], right[1 << 16];
  bool moved = false;
  size_t len = s->size - s->sent < sizeof bytes ? s->size - s->sent : sizeof bytes;
  fill(bytes, len, s->sent, s->seed);
  ssize_t n = len ? send(s->from, bytes, len, MSG_NOSIGNAL) : 0;
  if (n > 0) {
    s->sent += (uint64_t)n;
    moved = true;
    if (s->sent == s->size)
      shutdown(s->from, SHUT_WR);
  }
  if ((n = read_now(s->to, bytes, sizeof bytes)) > 0) {
    fill(right, (size_t)n, s->taken, s->seed);
    assert_memory_equal(bytes, right, n);
    s->taken += (uint64_t)n;
    moved = true;
  }
  return moved;
}

static void stream_both(ends_t ends, uint64_t size) {
  stream_t up = {ends.client, ends.server, 1, size, 0, 0};
  stream_t down = {ends.server, ends.client, 77, size, 0, 0};
  while (up.taken < size || down.taken < size) {
    bool moved = stream_step(&up);
    moved = stream_step(&down) || moved;
    if (moved)
      uv_run(&loop, UV_RUN_NOWAIT);
    else
      run_some();
  }
  expect_end(ends.server, 0);
  expect_end(ends.client, 0);
}

#ifdef __SANITIZE_ADDRESS__
#define MANY ((uint64_t)20 << 20)
#else
#define MANY ((uint64_t)100 << 20)
#endif

static void loses_nothing_of_much(void **state) {
  (void)state;
  OPEN_RELAY();
  ends_t ends = connect_ends();
  stream_both(ends, getenv("AXO_VALGRIND") ? MANY / 16 : MANY);
  RUN_UNTIL(heard.closes == 1);
  assert_int_equal(heard.close_code, 0);
  assert_int_equal(heard.traffic.sent, heard.traffic.received);
  close_ends(ends);
}

/* Those that take nothing have every pipe: the others go on by copying. */
static void slow_readers_hold_nobody_up(void **state) {
  (void)state;
  enum { SLOW = 6 };
  static char bytes[1 << 20];
  ends_t slow[SLOW];
  OPEN_RELAY(.pipes = 2);
  for (int i = 0; i < SLOW; i++) {
    slow[i] = connect_ends();
    for (int quiet = 0; quiet < 20;) {
      ssize_t n = send(slow[i].client, bytes, sizeof bytes, MSG_NOSIGNAL);
      uv_run(&loop, UV_RUN_NOWAIT);
      quiet = n > 0 ? 0 : quiet + 1;
    }
  }
  assert_int_equal(axo_net_listener_counts(heard.listener).pipes, 2);
  ends_t quick = connect_ends();
  stream_both(quick, 4 << 20);
  close_ends(quick);
  assert_int_equal(heard.closes, 1);
  for (int i = 0; i < SLOW; i++)
    close_ends(slow[i]);
  RUN_UNTIL(heard.closes == 1 + SLOW);
}

/* Who begins to take after a while gets all of it, in order. */
static void a_slow_reader_gets_all_of_it(void **state) {
  (void)state;
  OPEN_RELAY(.pipes = 1);
  ends_t first = connect_ends(), second = connect_ends();
  stream_t up[2] = {{first.client, first.server, 3, 8 << 20, 0, 0},
                    {second.client, second.server, 5, 8 << 20, 0, 0}};
  for (int i = 0; i < 2; i++)
    for (int quiet = 0; quiet < 20; quiet++) {
      stream_t half = up[i];
      half.to = -1;
      if (stream_step(&half))
        quiet = 0;
      up[i].sent = half.sent;
      uv_run(&loop, UV_RUN_NOWAIT);
    }
  for (int i = 0; i < 2; i++) {
    while (up[i].taken < up[i].size) {
      stream_step(&up[i]);
      uv_run(&loop, UV_RUN_NOWAIT);
    }
  }
  close_ends(first);
  close_ends(second);
}

static void send_much(int from, int to) {
  static char bytes[100000], got[sizeof bytes];
  ssize_t sent = send(from, bytes, sizeof bytes, MSG_DONTWAIT);
  assert_true(sent > 0);
  for (ssize_t at = 0; at < sent; run_some()) {
    ssize_t n = read_now(to, got, sizeof got);
    at += n > 0 ? n : 0;
  }
}

/* A byte that is sent as urgent is one of the stream, and holds up nothing behind it,
 * where few bytes come and where many do. */
static void passes_on_what_is_urgent(void **state) {
  (void)state;
  OPEN_RELAY();
  ends_t ends = connect_ends();
  for (int i = 0; i < 4; i++) {
    int from = i % 2 ? ends.server : ends.client,
        to = i % 2 ? ends.client : ends.server;
    if (i < 2)
      send_much(from, to); /* by a pipe from now on */
    assert_int_equal(send(from, "ab!", 3, MSG_OOB), 3);
    say(from, "cd");
    expect(to, "ab!cd");
    say(from, "ef");
    expect(to, "ef");
  }
  close_ends(ends);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      NET_TEST(passes_both_ways),
      NET_TEST(passes_on_that_a_client_is_through),
      NET_TEST(passes_on_that_the_other_end_is_through),
      NET_TEST(passes_on_a_reset),
      NET_TEST(survives_a_receiver_that_has_gone),
      NET_TEST(passes_on_a_reset_while_the_receiver_takes_nothing),
      NET_TEST(loses_nothing_of_much),
      NET_TEST(slow_readers_hold_nobody_up),
      NET_TEST(a_slow_reader_gets_all_of_it),
      NET_TEST(passes_on_what_is_urgent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
