/* No memory, at each place where some is asked for: the connection ends by a reset or
 * goes another way, and nothing is left. */
#include "net_support.h"

static int fail_at = -1, asked;

void *__real_calloc(size_t count, size_t size);
void *__real_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_calloc(size_t count, size_t size) {
  return asked++ == fail_at ? NULL : __real_calloc(count, size);
}

void *__wrap_malloc(size_t size) {
  return asked++ == fail_at ? NULL : __real_malloc(size);
}

enum { SIZE = 600 * 1024 };

/* The server takes nothing until nothing moves any more, and then all. True when it got
 * everything, false when the connection was reset. */
static bool send_through(int client) {
  static char bytes[SIZE];
  size_t sent = 0, taken = 0;
  int server = -1;
  ssize_t n;
  for (int quiet = 0; taken < SIZE;) {
    n = sent < SIZE ? send(client, bytes, SIZE - sent, MSG_NOSIGNAL) : 0;
    sent += n > 0 ? (size_t)n : 0;
    quiet = n > 0 ? 0 : quiet + 1;
    if (server < 0)
      server = accept_now(heard.server);
    n = server >= 0 && quiet > 10 ? read_now(server, bytes, SIZE) : 0;
    taken += n > 0 ? (size_t)n : 0;
    if ((n < 0 && n != UV_EAGAIN) || read_now(client, bytes, 1) == UV_ECONNRESET)
      break;
    uv_run(&loop, UV_RUN_NOWAIT);
  }
  if (server >= 0)
    close(server);
  return taken == SIZE;
}

static int open_quietly(void) {
  axo_net_listener_options_t options = {.pipes = 1};
  axo_err_t err;
  assert_int_equal(axo_net_listen("127.0.0.1", 0, &options.fd, &heard.port, NULL), 0);
  options.on_connection = dials;
  options.on_gone = on_gone;
  int rc = axo_net_listener_open(&loop, &options, &heard.listener, &err);
  if (rc != 0)
    close(options.fd);
  return rc;
}

static void does_without_memory(void **state) {
  (void)state;
  unsigned refused = 0, reset_ones = 0, whole = 0;
  assert_int_equal(axo_net_listen("127.0.0.1", 0, &heard.server, &heard.to, NULL), 0);
  int before = count_fds();
  bool failed = true; /* until a place is reached where none is asked for */
  for (int place = 0; failed; place++) {
    asked = 0;
    fail_at = place;
    if (open_quietly() != 0) {
      refused++;
      continue;
    }
    int client = connect_to(heard.port);
    bool passed = send_through(client);
    failed = asked > place;
    whole += failed && passed;
    reset_ones += !passed;
    axo_net_listener_close(heard.listener);
    heard.listener = NULL;
    close(client);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(count_fds(), before);
  }
  fail_at = -1;
  assert_int_equal(refused, 1);
  assert_true(reset_ones >= 1); /* for the connection itself */
  assert_true(whole >= 1);      /* without a pipe it is copied */
}

int main(void) {
  const struct CMUnitTest tests[] = {NET_TEST(does_without_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
