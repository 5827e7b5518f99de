/* link_host.h: a link on a loop of the test's own, whose guest the test plays. */
#ifndef LINK_HOST_H
#define LINK_HOST_H

#include "link_support.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/un.h>

static uv_loop_t loop;
static axo_link_t *link_;
static char dir[] = "/tmp/axo-test-link-XXXXXX";
static int fds_before;
static uint64_t answer_ms; /* of links that are opened; 0: as usual */
static int guest = -1;

/* What the link has said. */
static struct {
  int ups, downs, news;
  int down_code;
  char name[64];
} heard;

static inline void on_up(axo_link_t *link) {
  (void)link;
  heard.ups++;
}

static inline void on_down(axo_link_t *link, const axo_err_t *why) {
  (void)link;
  heard.downs++;
  heard.down_code = why->code;
}

static inline void on_new(axo_link_t *link, const char *name) {
  (void)link;
  heard.news++;
  snprintf(heard.name, sizeof heard.name, "%s", name);
}

/* A link does not keep the loop running: this does. */
static uv_timer_t ticker;
static inline void on_tick(uv_timer_t *timer) { (void)timer; }

/* Runs the loop while `until` is not reached; only a failure is so patient. */
static inline void run_until(const int *value, int until) {
  for (int turn = 0; turn < 20000 && *value < until; turn++)
    uv_run(&loop, UV_RUN_ONCE);
  assert_int_equal(*value, until);
}

static inline void run_some(void) {
  for (int turn = 0; turn < 10; turn++)
    uv_run(&loop, UV_RUN_ONCE);
}

/* A child with nothing of ours but this descriptor; it ends with us. */
static inline pid_t fork_with(int kept) {
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid > 0)
    return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  for (int fd = 3; fd < 256; fd++)
    if (fd != kept)
      close(fd);
  return 0;
}

/* ---- the guest's side ------------------------------------------------------------ */

static inline int connect_to_host(void) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  DIR *d = opendir(dir);
  struct dirent *entry;
  assert_non_null(d);
  while ((entry = readdir(d)))
    if (entry->d_name[0] != '.')
      snprintf(at.sun_path, sizeof at.sun_path, "%s/%.60s", dir, entry->d_name);
  closedir(d);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
    return fd;
  close(fd);
  return -1;
}

static inline void say(const event_t *ev) {
  assert_int_equal(send_event(guest, ev), 0);
}

static inline void hello_knowing(uint64_t knows) {
  const axo_hello_t body = {.pid = 1, .uid = 0};
  say(&(event_t){.type = AXO_EV_HELLO, .id = knows, .body = &body, .len = sizeof body});
}

static inline void hello(void) {
  hello_knowing(AXO_KNOWS_ROOT | AXO_KNOWS_STDIN | AXO_KNOWS_SOCKET | AXO_KNOWS_OWNER);
}

/* The next request, whole; its descriptors are closed but for the first two, where
 * asked for. */
static inline size_t take_packet(void *body, size_t size, int *first, int *second) {
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * AXO_FDS_MAX)];
  struct iovec iov = {body, size};
  struct msghdr msg = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
  ssize_t n = recvmsg(guest, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  assert_true(n >= (ssize_t)sizeof(axo_packet_t));
  struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
  for (size_t i = 0; c && i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
    int fd;
    memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
    if (i == 0 && first)
      *first = fd;
    else if (i == 1 && second)
      *second = fd;
    else
      close(fd);
  }
  return (size_t)n;
}

/* The id of the next request, which is of this type. */
static inline uint64_t take_request_with(uint8_t type, int *first, int *second) {
  static _Alignas(16) char body[AXO_PACKET_MAX];
  const axo_packet_t *head = (const axo_packet_t *)(const void *)body;
  take_packet(body, sizeof body, first, second);
  assert_int_equal(head->type, type);
  return head->id;
}

static inline uint64_t take_request(uint8_t type, int *first) {
  return take_request_with(type, first, NULL);
}

/* The number of the signal that the next request asks for. */
static inline int take_signal(void) {
  static _Alignas(16) char body[AXO_PACKET_MAX];
  const axo_packet_t *head = (const axo_packet_t *)(const void *)body;
  take_packet(body, sizeof body, NULL, NULL);
  assert_int_equal(head->type, AXO_REQ_SIGNAL);
  return ((const axo_signal_t *)(const void *)(head + 1))->signal;
}

static inline bool has_request(void) {
  char byte;
  return recv(guest, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static inline void wait_for_request(void) {
  for (int turn = 0; turn < 20000 && !has_request(); turn++)
    uv_run(&loop, UV_RUN_ONCE);
  assert_true(has_request());
}

static inline void drop_requests(void) {
  static char body[AXO_PACKET_MAX];
  while (has_request())
    take_packet(body, sizeof body, NULL, NULL);
}

/* ---- set-up ---------------------------------------------------------------------- */

static inline void open_link(int guest_pid) {
  axo_err_t err;
  axo_link_options_t options = {.dir = dir,
                                .guest_pid = guest_pid,
                                .answer_ms = answer_ms,
                                .on_up = on_up,
                                .on_down = on_down,
                                .on_new = on_new};
  assert_int_equal(axo_link_open(&loop, &options, &link_, &err), 0);
}

static inline int set_up(void **state) {
  (void)state;
  fds_before = count_fds();
  memset(&heard, 0, sizeof heard);
  strcpy(dir + strlen(dir) - 6, "XXXXXX");
  assert_non_null(mkdtemp(dir));
  assert_int_equal(uv_loop_init(&loop), 0);
  uv_timer_init(&loop, &ticker);
  return uv_timer_start(&ticker, on_tick, 1, 1);
}

/* No descriptor, no handle, no socket is left. */
static inline int tear_down(void **state) {
  (void)state;
  if (link_)
    axo_link_close(link_);
  link_ = NULL;
  if (guest >= 0)
    close(guest);
  guest = -1;
  uv_close((uv_handle_t *)&ticker, NULL);
  uv_run(&loop, UV_RUN_DEFAULT);
  int rc = uv_loop_close(&loop);
  assert_int_equal(rc, 0);
  assert_int_equal(rmdir(dir), 0);
  assert_int_equal(count_fds(), fds_before);
  return rc;
}

static inline int up_set_up(void **state) {
  set_up(state);
  open_link(getpid());
  guest = connect_to_host();
  assert_true(guest >= 0);
  hello();
  run_until(&heard.ups, 1);
  return 0;
}

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define UP_TEST(name) cmocka_unit_test_setup_teardown(name, up_set_up, tear_down)

static inline void expect_down(int code) {
  run_until(&heard.downs, 1);
  assert_int_equal(heard.down_code, code);
  assert_false(axo_link_is_up(link_));
}

/* What libuv opens once and for all. */
static inline int warm_up(void **state) {
  (void)state;
  assert_int_equal(uv_loop_init(&loop), 0);
  return uv_loop_close(&loop);
}

#endif /* LINK_HOST_H */
