/* The host's end of the link against a guest that is hostile: the test plays it. */
#include "link_host.h"

#include <sys/wait.h>

/* ---- who may speak --------------------------------------------------------------- */

static void turns_impostors_away(void **state) {
  (void)state;
  int status;
  open_link(getpid());
  for (int i = 0; i < 20; i++) {
    pid_t pid = fork_with(-1);
    if (pid == 0) { /* another process, though of the same program */
      guest = connect_to_host();
      const axo_hello_t body = {.pid = 1};
      event_t ev = {.type = AXO_EV_HELLO, .body = &body, .len = sizeof body};
      char byte;
      send_event(guest, &ev);
      _exit(guest >= 0 && read(guest, &byte, 1) <= 0 ? 0 : 1);
    }
    while (waitpid(pid, &status, WNOHANG) == 0)
      run_some();
    assert_int_equal(status, 0);
  }
  assert_int_equal(heard.ups, 0);
  guest = connect_to_host(); /* the right one is still welcome */
  hello();
  run_until(&heard.ups, 1);
}

static void answered_not(void *data, const axo_answer_t *answer) {
  (void)data;
  (void)answer;
  fail_msg("it was asked");
}

/* What would end the link of an older guest is not asked of it. */
static void asks_an_older_guest_for_what_it_knows(void **state) {
  (void)state;
  char *argv[] = {"cat", NULL};
  axo_spawn_spec_t spec = {.kind = AXO_TASK, .argv = argv, .name = "t"};
  axo_work_options_t options = {.stdin_pipe = true};
  axo_file_request_t file = {.op = AXO_FILE_UNLINK, .path = "f"};
  axo_work_t *work;
  axo_err_t err;
  open_link(getpid());
  guest = connect_to_host();
  hello_knowing(0);
  run_until(&heard.ups, 1);
  assert_int_equal(axo_work_start(link_, &spec, &options, &work, &err), UV_ENOTSUP);
  assert_non_null(strstr(err.message, "an older axosandbox"));
  assert_non_null(strstr(err.hint, "start it again"));
  assert_int_equal(axo_link_set_root(link_, "/elsewhere"), 0);
  assert_int_equal(axo_link_file(link_, &file, answered_not, NULL, &err), UV_ENOTSUP);
  file.op = AXO_FILE_OPEN;
  assert_int_equal(axo_link_file(link_, &file, answered_not, NULL, &err), UV_ENOTSUP);
  options.stdin_pipe = false;
  assert_int_equal(axo_work_start(link_, &spec, &options, &work, &err), 0);
  int bell = -1;
  take_request_with(AXO_REQ_SPAWN, &bell, NULL);
  close(bell);
  axo_work_close(work);
  assert_int_equal(heard.downs, 0);
}

static void listens_no_more_once_it_is_up(void **state) {
  (void)state;
  open_link(getpid());
  guest = connect_to_host();
  assert_true(guest >= 0);
  hello();
  run_until(&heard.ups, 1);
  assert_int_equal(connect_to_host(), -1);
  assert_int_equal(axo_link_uid(link_), 0);
}

static void waits_for_one_that_is_interrupted(void **state) {
  (void)state;
  open_link(getpid());
  for (int i = 0; i < 3; i++) {
    guest = connect_to_host();
    run_some();
    if (i == 1)
      assert_int_equal(send_raw(guest, "junk", 4, NULL, 0), 0);
    run_some();
    close(guest);
    run_some();
  }
  assert_int_equal(heard.ups + heard.downs, 0);
  guest = connect_to_host();
  hello();
  run_until(&heard.ups, 1);
}

static void one_at_a_time(void **state) {
  (void)state;
  char byte;
  open_link(getpid());
  int first = connect_to_host();
  run_some();
  guest = connect_to_host();
  run_some();
  assert_int_equal(read(guest, &byte, 1), 0);
  close(guest);
  guest = first;
  hello();
  run_until(&heard.ups, 1);
}

static void says_why_it_cannot_listen(void **state) {
  (void)state;
  axo_err_t err;
  axo_link_options_t options = {.dir = "/nowhere", .guest_pid = 1};
  assert_int_equal(axo_link_open(&loop, &options, &link_, &err), UV_ENOENT);
  assert_non_null(strstr(err.message, "/nowhere"));
  options.dir = "/dev/null";
  assert_int_equal(axo_link_open(&loop, &options, &link_, &err), UV_ENOTDIR);
  link_ = NULL;
}

/* ---- what makes no sense --------------------------------------------------------- */

static void ends_at_a_second_hello(void **state) {
  (void)state;
  hello();
  expect_down(UV_EPROTO);
  assert_int_equal(heard.ups, 1);
}

static void ends_at_ids_that_it_never_gave(void **state) {
  (void)state;
  say(&(event_t){.type = AXO_EV_DONE, .id = 12345678});
  expect_down(UV_EPROTO);
}

static void ends_at_an_id_of_nothing(void **state) {
  (void)state;
  say(&(event_t){.type = AXO_EV_EMPTY, .id = 0});
  expect_down(UV_EPROTO);
}

static void ends_at_garbage(void **state) {
  (void)state;
  assert_int_equal(send_raw(guest, "garbage", 7, NULL, 0), 0);
  expect_down(UV_EPROTO);
}

static void ends_with_its_guest(void **state) {
  (void)state;
  close(guest);
  guest = -1;
  expect_down(UV_EOF);
}

static void hears_of_works_of_others(void **state) {
  (void)state;
  axo_attach_t body;
  memset(&body, 'n', sizeof body); /* without an end */
  say(&(event_t){.type = AXO_EV_NEW, .body = &body, .len = sizeof body});
  run_until(&heard.news, 1);
  assert_int_equal(strlen(heard.name), AXO_NAME_MAX);
}

/* However much it says, the loop goes round. */
static void is_not_held_up_by_a_flood(void **state) {
  (void)state;
  axo_attach_t body = {"t1"};
  event_t ev = {.type = AXO_EV_NEW, .body = &body, .len = sizeof body};
  pid_t pid = fork_with(guest);
  if (pid == 0) {
    while (send_event(guest, &ev) == 0) {
    }
    _exit(0);
  }
  for (int turn = 0; turn < 20000 && heard.news == 0; turn++)
    uv_run(&loop, UV_RUN_ONCE);
  assert_true(heard.news > 0);
  for (int turn = 0; turn < 50; turn++) {
    int before = heard.news;
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_true(heard.news - before <= 64);
  }
  axo_link_close(link_);
  link_ = NULL;
  close(guest);
  guest = -1;
  assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- requests with one answer ---------------------------------------------------- */

static struct {
  int answers, code, fd;
  size_t count;
  char message[AXO_MESSAGE_MAX];
  bool closes;
} answered;

static void on_answer(void *data, const axo_answer_t *answer) {
  (void)data;
  answered.answers++;
  answered.code = answer->err ? answer->err->code : 0;
  strcpy(answered.message, answer->err ? answer->err->message : "");
  answered.fd = answer->fd;
  answered.count = answer->count;
  if (answered.closes) {
    axo_link_close(link_);
    link_ = NULL;
  }
}

static uint64_t ask_open(void) {
  axo_err_t err;
  axo_file_request_t file = {.op = AXO_FILE_OPEN, .path = "file", .flags = O_RDONLY};
  memset(&answered, 0, sizeof answered);
  assert_int_equal(axo_link_file(link_, &file, on_answer, NULL, &err), 0);
  return take_request(AXO_REQ_OPEN, NULL);
}

static void takes_a_file(void **state) {
  (void)state;
  int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
  uint64_t id = ask_open();
  say(&(event_t){.type = AXO_EV_OPENED, .id = id, .fds = &file, .fd_count = 1});
  run_until(&answered.answers, 1);
  assert_int_equal(answered.code, 0);
  assert_true(answered.fd >= 0);
  close(answered.fd);
  close(file);
}

/* An answer that came once does not come twice. */
static void ignores_late_answers(void **state) {
  (void)state;
  int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
  uint64_t id = ask_open();
  for (int i = 0; i < 3; i++)
    say(&(event_t){.type = AXO_EV_OPENED, .id = id, .fds = &file, .fd_count = 1});
  run_until(&answered.answers, 1);
  run_some();
  assert_int_equal(answered.answers, 1);
  assert_int_equal(heard.downs, 0);
  close(answered.fd);
  close(file);
}

static void takes_no_file_that_could_hold_it_up(void **state) {
  (void)state;
  const char *paths[] = {"/proc/self/maps", "/proc/kmsg", "/sys/kernel/uevent_seqnum"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    int file = open(paths[i], O_RDONLY | O_CLOEXEC);
    if (file < 0)
      continue; /* not everybody may */
    uint64_t id = ask_open();
    say(&(event_t){.type = AXO_EV_OPENED, .id = id, .fds = &file, .fd_count = 1});
    run_until(&answered.answers, 1);
    assert_int_equal(answered.code, UV_EINVAL);
    assert_int_equal(answered.fd, -1);
    close(file);
  }
}

static void takes_no_other_answer(void **state) {
  (void)state;
  const axo_signalled_t signalled = {.count = 3};
  const axo_exited_t exited = {.code = 0};
  uint64_t id = ask_open();
  say(&(event_t){AXO_EV_SIGNALLED, id, &signalled, sizeof signalled, NULL, 0, 0});
  run_until(&answered.answers, 1);
  assert_int_equal(answered.code, UV_EPROTO);
  id = ask_open();
  say(&(event_t){AXO_EV_EXITED, id, &exited, sizeof exited, NULL, 0, 0});
  run_until(&answered.answers, 1);
  assert_int_equal(answered.code, UV_EPROTO);
  id = ask_open();
  say(&(event_t){.type = AXO_EV_EMPTY, .id = id});
  run_until(&answered.answers, 1);
  assert_int_equal(answered.code, UV_EPROTO);
}

static void makes_an_error_of_any_failure(void **state) {
  (void)state;
  const int32_t errors[] = {0, -1, 5000, INT32_MIN, INT32_MAX};
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    const axo_failed_t body = {.stage = 0xffffffff, .error = errors[i]};
    uint64_t id = ask_open();
    say(&(event_t){AXO_EV_FAILED, id, &body, sizeof body, NULL, 0, 0});
    run_until(&answered.answers, 1);
    assert_int_equal(answered.code, UV_EPROTO);
  }
}

/* asan and valgrind see what is lost: libuv allocates a text for such a code. */
static void keeps_nothing_of_an_unknown_failure(void **state) {
  (void)state;
  const axo_failed_t body = {AXO_STAGE_FILE, 4000};
  uint64_t id = ask_open();
  say(&(event_t){AXO_EV_FAILED, id, &body, sizeof body, NULL, 0, 0});
  run_until(&answered.answers, 1);
  assert_int_equal(answered.code, -4000);
  assert_non_null(strstr(answered.message, "error 4000 of the system"));
}

static void reads_a_huge_listing(void **state) {
  (void)state;
  axo_err_t err;
  size_t len = AXO_WORKS_MAX * sizeof(axo_entry_t);
  int file = memory(len, SEALED);
  memset(&answered, 0, sizeof answered);
  assert_int_equal(axo_link_list(link_, NULL, on_answer, NULL, &err), 0);
  uint64_t id = take_request(AXO_REQ_LIST, NULL);
  say(&(event_t){AXO_EV_LISTED, id, NULL, len, &file, 1, AXO_FLAG_MEMFD});
  run_until(&answered.answers, 1);
  assert_int_equal(answered.count, AXO_WORKS_MAX);
  close(file);
}

static void tells_what_is_in_flight_of_the_end(void **state) {
  (void)state;
  axo_err_t err;
  memset(&answered, 0, sizeof answered);
  for (int i = 0; i < 1000; i++)
    assert_int_equal(axo_link_list(link_, NULL, on_answer, NULL, &err), 0);
  close(guest);
  guest = -1;
  run_until(&answered.answers, 1000);
  assert_int_equal(answered.code, UV_ECONNRESET);
  assert_int_equal(axo_link_list(link_, NULL, on_answer, NULL, &err), UV_ENOTCONN);
}

static void bounds_what_is_in_flight(void **state) {
  (void)state;
  axo_err_t err;
  int sent = 0, rc;
  memset(&answered, 0, sizeof answered);
  while ((rc = axo_link_list(link_, NULL, on_answer, NULL, &err)) == 0)
    sent++;
  assert_int_equal(rc, UV_ENOBUFS);
  assert_string_equal(err.message, "too much is in flight");
  assert_in_range(sent, 1000, 5000);
  axo_link_close(link_);
  link_ = NULL;
  assert_int_equal(answered.answers, sent);
}

static void may_be_closed_by_an_answer(void **state) {
  (void)state;
  uint64_t id = ask_open();
  answered.closes = true;
  say(&(event_t){.type = AXO_EV_DONE, .id = id});
  say(&(event_t){.type = AXO_EV_DONE, .id = id});
  run_until(&answered.answers, 1);
  run_some();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      LINK_TEST(turns_impostors_away),
      LINK_TEST(listens_no_more_once_it_is_up),
      LINK_TEST(asks_an_older_guest_for_what_it_knows),
      LINK_TEST(waits_for_one_that_is_interrupted),
      LINK_TEST(one_at_a_time),
      LINK_TEST(says_why_it_cannot_listen),
      UP_TEST(ends_at_a_second_hello),
      UP_TEST(ends_at_ids_that_it_never_gave),
      UP_TEST(ends_at_an_id_of_nothing),
      UP_TEST(ends_at_garbage),
      UP_TEST(ends_with_its_guest),
      UP_TEST(hears_of_works_of_others),
      UP_TEST(is_not_held_up_by_a_flood),
      UP_TEST(takes_a_file),
      UP_TEST(ignores_late_answers),
      UP_TEST(takes_no_file_that_could_hold_it_up),
      UP_TEST(takes_no_other_answer),
      UP_TEST(makes_an_error_of_any_failure),
      UP_TEST(keeps_nothing_of_an_unknown_failure),
      UP_TEST(reads_a_huge_listing),
      UP_TEST(tells_what_is_in_flight_of_the_end),
      UP_TEST(bounds_what_is_in_flight),
      UP_TEST(may_be_closed_by_an_answer),
  };
  return cmocka_run_group_tests_name("link", tests, warm_up, NULL);
}
