/* The guest's links: hosts that talk nonsense, that do not listen, that are many. */
#include "guest_support.h"

/* The guest has ended this link, and serves the others. */
static void expect_end(host_t *host) {
  event_t ev;
  while (receive(host, &ev))
    close_fds(&ev);
  host_close(host);
}

static void expect_other_to_work(host_t *other) {
  assert_string_equal(shell(other, "echo fine"), "fine\n");
}

/* ---- garbage --------------------------------------------------------------------- */

static const axo_packet_t good_head = {AXO_PROTO_VERSION, AXO_REQ_LIST, 0, 0, 1};

static void ends_a_link_that_sends_garbage(void **state) {
  (void)state;
  host_t other = host_open("other.sock");
  axo_packet_t version = good_head, type = good_head, flags = good_head,
               length = good_head, id = good_head;
  version.version++;
  type.type = 99;
  flags.flags = 0x8000;
  length.length = 5;
  id.id = 0;
  const struct {
    const void *bytes;
    size_t len;
  } cases[] = {{"x", 1},
               {&good_head, sizeof good_head - 1},
               {&version, sizeof version},
               {&type, sizeof type},
               {&flags, sizeof flags},
               {&length, sizeof length},
               {&id, sizeof id}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    host_t host = host_open("bad.sock");
    assert_int_equal(send_raw(host.fd, cases[i].bytes, cases[i].len, NULL, 0), 0);
    expect_end(&host);
  }
  expect_other_to_work(&other);
  host_close(&other);
}

static void ends_a_link_at_a_packet_that_is_too_long(void **state) {
  (void)state;
  static char big[AXO_PACKET_MAX + 1];
  host_t host = host_open("bad.sock");
  axo_packet_t head = good_head;
  head.length = sizeof big - sizeof head;
  memcpy(big, &head, sizeof head);
  assert_int_equal(send_raw(host.fd, big, sizeof big, NULL, 0), 0);
  expect_end(&host);
}

/* Each is one byte, one string or one field away from a good one. */
static void ends_a_link_at_a_malformed_request(void **state) {
  (void)state;
  char spawn[512], name_full[AXO_NAME_MAX], signal_bad[sizeof(axo_signal_t)] = {0};
  size_t len = spawn_body(
      spawn, &(spawn_t){.kind = AXO_KIND_EXEC, .argv = {"/bin/true"}, .env = {"A=1"}});
  char kind[512], argc[512], envc[512], cut[512], unnamed[512];
  memcpy(kind, spawn, len);
  memcpy(argc, spawn, len);
  memcpy(envc, spawn, len);
  memcpy(cut, spawn, len);
  memcpy(unnamed, spawn, len);
  ((axo_spawn_t *)(void *)kind)->kind = 9;
  ((axo_spawn_t *)(void *)argc)->argc = 0;
  ((axo_spawn_t *)(void *)envc)->envc = UINT32_MAX;
  cut[len - 1] = 'x';
  ((axo_spawn_t *)(void *)unnamed)->kind = AXO_KIND_TASK;
  memset(name_full, 'n', sizeof name_full);
  ((axo_signal_t *)(void *)signal_bad)->signal = 65;
  const int fds[3] = {0, 1, 2};
  const request_t cases[] = {
      {AXO_REQ_SPAWN, 1, kind, len, fds, 3, 0},
      {AXO_REQ_SPAWN, 1, argc, len, fds, 3, 0},
      {AXO_REQ_SPAWN, 1, envc, len, fds, 3, 0},
      {AXO_REQ_SPAWN, 1, cut, len, fds, 3, 0},
      {AXO_REQ_SPAWN, 1, unnamed, len, fds, 1, 0},
      {AXO_REQ_SPAWN, 1, spawn, len - 1, fds, 3, 0},
      {AXO_REQ_SPAWN, 1, spawn, sizeof(axo_spawn_t) - 1, fds, 3, 0},
      {AXO_REQ_SPAWN, 1, spawn, len, fds, 2, 0},
      {AXO_REQ_SPAWN, 1, spawn, len, fds, 0, 0},
      {AXO_REQ_SPAWN, 0, spawn, len, fds, 3, 0},
      {AXO_REQ_SIGNAL, 1, signal_bad, sizeof signal_bad, NULL, 0, 0},
      {AXO_REQ_SIGNAL, 1, "", 0, NULL, 0, 0},
      {AXO_REQ_OPEN, 1, "12345678", 8, NULL, 0, 0},
      {AXO_REQ_OPEN, 1, "12345678a", 9, NULL, 0, 0},
      {AXO_REQ_OPEN, 1, "12345678a\0b\0c", 14, NULL, 0, 0},
      {AXO_REQ_OPEN, 1, "12345678a", 10, fds, 1, 0},
      {AXO_REQ_PATH, 1, "\4\0\0\0\0\0\0\0a", 10, NULL, 0, 0},
      {AXO_REQ_LIST, 1, "x", 1, NULL, 0, 0},
      {AXO_REQ_LIST, 1, name_full, sizeof name_full, NULL, 0, 0},
      {AXO_REQ_ATTACH, 1, name_full, sizeof name_full, fds, 1, 0},
      {AXO_REQ_FORGET, 1, "x", 1, NULL, 0, 0},
      {AXO_REQ_KILL_ALL, 1, "x", 1, NULL, 0, 0},
      {AXO_EV_HELLO, 1, "12345678", 8, NULL, 0, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    host_t host = host_open("bad.sock");
    send_request(&host, &cases[i]);
    expect_end(&host);
  }
}

static void ends_a_link_that_uses_an_id_twice(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  exec_t exec = shell_begin(&host, "read line");
  host.last_id--;
  exec_t again = shell_begin(&host, "true");
  expect_end(&host);
  exec_close(&exec);
  exec_close(&again);
}

/* A bell that could hold PID 1 up. */
static void refuses_a_bell_that_blocks(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  int bell = eventfd(0, EFD_CLOEXEC);
  ask_spawn(&host,
            &(spawn_t){.kind = AXO_KIND_TASK, .argv = {"/bin/true"}, .name = "t1"},
            &bell, 1);
  expect_end(&host);
  close(bell);
}

/* ---- bodies in files ------------------------------------------------------------- */

static int body_file(const char *bytes, size_t len, int seals) {
  int fd = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  assert_int_equal(write(fd, bytes, len), (ssize_t)len);
  assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
  return fd;
}

static void send_file(host_t *host, int file, uint32_t len) {
  int fds[4] = {0, 1, 2, file};
  send_request(host, &(request_t){AXO_REQ_SPAWN, 1, NULL, len, fds, 4, AXO_FLAG_MEMFD});
}

static void takes_only_sealed_bodies(void **state) {
  (void)state;
  char spawn[512];
  size_t len =
      spawn_body(spawn, &(spawn_t){.kind = AXO_KIND_EXEC, .argv = {"/bin/true"}});
  const struct {
    int seals;
    uint32_t len;
  } cases[] = {{0, (uint32_t)len},
               {F_SEAL_SHRINK, (uint32_t)len},
               {F_SEAL_WRITE, (uint32_t)len},
               {F_SEAL_SHRINK | F_SEAL_WRITE, 0},
               {F_SEAL_SHRINK | F_SEAL_WRITE, (uint32_t)len + 1},
               {F_SEAL_SHRINK | F_SEAL_WRITE, (uint32_t)len - 1},
               {F_SEAL_SHRINK | F_SEAL_WRITE, AXO_BODY_MAX + 1},
               {F_SEAL_SHRINK | F_SEAL_WRITE, UINT32_MAX}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    host_t host = host_open("bad.sock");
    int file = body_file(spawn, len, cases[i].seals);
    send_file(&host, file, cases[i].len);
    expect_end(&host);
    close(file);
  }
  host_t host = host_open("good.sock");
  int file = body_file(spawn, len, F_SEAL_SHRINK | F_SEAL_WRITE);
  send_file(&host, file, (uint32_t)len);
  expect_exit(&host, 1, 0, 0);
  close(file);
  host_close(&host);
}

static void takes_no_other_file_for_a_body(void **state) {
  (void)state;
  char path[160];
  int pipes[2];
  snprintf(path, sizeof path, "%s/body", guest.root);
  assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
  int files[] = {open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), pipes[0],
                 open("/dev/zero", O_RDONLY | O_CLOEXEC),
                 open("/", O_PATH | O_CLOEXEC)};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    host_t host = host_open("bad.sock");
    send_file(&host, files[i], 64);
    expect_end(&host);
    close(files[i]);
  }
  close(pipes[1]);
}

/* ---- descriptors ----------------------------------------------------------------- */

static void keeps_no_descriptor_of_what_it_refuses(void **state) {
  (void)state;
  host_t other = host_open("other.sock");
  expect_other_to_work(&other);
  int before = count_fds(guest.pid);
  const int fds[5] = {0, 1, 2, 0, 1};
  for (int count = 1; count <= 5; count++) {
    host_t host = host_open("bad.sock");
    send_request(&host, &(request_t){AXO_REQ_LIST, 1, "", 0, fds, count, 0});
    expect_end(&host);
  }
  host_t host = host_open("bad.sock");
  const int many[16] = {0};
  send_raw(host.fd, &good_head, sizeof good_head, many, 16);
  expect_end(&host);
  expect_other_to_work(&other);
  assert_int_equal(count_fds(guest.pid), before);
  host_close(&other);
}

/* ---- hosts that do not listen ---------------------------------------------------- */

static void waits_for_a_host_that_does_not_read(void **state) {
  (void)state;
  enum { COUNT = 2000 };
  host_t slow = host_open("slow.sock"), other = host_open("other.sock");
  char body[] = "\0\0\0\0\0\0\0\0.";
  int sent = 0;
  assert_int_equal(fcntl(slow.fd, F_SETFL, O_NONBLOCK), 0);
  /* As many requests as fit, none of whose answers is read. */
  while (sent < COUNT &&
         try_send(&slow, &(request_t){AXO_REQ_OPEN, (uint64_t)sent + 1, body,
                                      sizeof body, NULL, 0, 0}) == 0)
    sent++;
  expect_other_to_work(&other);
  for (int i = 0; i < sent; i++) {
    event_t ev = expect(&slow, AXO_EV_OPENED, (uint64_t)i + 1);
    assert_int_equal(ev.fd_count, 1);
    close_fds(&ev);
  }
  slow.last_id = COUNT;
  assert_string_equal(shell(&slow, "echo caught up"), "caught up\n");
  host_close(&slow);
  host_close(&other);
}

static void tells_a_slow_host_every_end(void **state) {
  (void)state;
  enum { COUNT = 600 };
  host_t slow = host_open("slow.sock"), other = host_open("other.sock");
  static bool seen[COUNT + 1];
  char body[512];
  int null = open("/dev/null", O_RDWR | O_CLOEXEC), sent = 0;
  const int fds[3] = {null, null, null};
  size_t len =
      spawn_body(body, &(spawn_t){.kind = AXO_KIND_EXEC, .argv = {"/bin/true"}});
  assert_int_equal(fcntl(slow.fd, F_SETFL, O_NONBLOCK), 0);
  while (sent < COUNT && try_send(&slow, &(request_t){AXO_REQ_SPAWN, (uint64_t)sent + 1,
                                                      body, len, fds, 3, 0}) == 0)
    sent++;
  assert_true(sent > 100);
  expect_other_to_work(&other);
  for (int i = 0; i < sent; i++) {
    event_t ev;
    assert_true(receive(&slow, &ev));
    assert_int_equal(ev.head.type, AXO_EV_EXITED);
    assert_in_range(ev.head.id, 1, sent);
    assert_false(seen[ev.head.id]);
    seen[ev.head.id] = true;
  }
  close(null);
  host_close(&slow);
  host_close(&other);
}

/* While it waits for a host, it sleeps. */
static uint64_t ticks_of(pid_t pid) {
  char path[40], text[1024] = "";
  unsigned long user = 0, sys = 0;
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  assert_non_null(fgets(text, sizeof text, f));
  fclose(f);
  assert_int_equal(sscanf(strrchr(text, ')'),
                          ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                          &user, &sys),
                   2);
  return user + sys;
}

static void sleeps_while_a_host_does_not_read(void **state) {
  (void)state;
  host_t slow = host_open("slow.sock");
  char body[] = "\0\0\0\0\0\0\0\0.";
  request_t r = {AXO_REQ_OPEN, 1, body, sizeof body, NULL, 0, 0};
  assert_int_equal(fcntl(slow.fd, F_SETFL, O_NONBLOCK), 0);
  for (int quiet = 0; quiet < 20; quiet++) {
    for (; try_send(&slow, &r) == 0; r.id++)
      quiet = 0;
    usleep(5000);
  }
  uint64_t before = ticks_of(guest.pid);
  usleep(500000);
  assert_true(ticks_of(guest.pid) - before <= 10); /* of 50 */
  host_close(&slow);
}

/* ---- many hosts ------------------------------------------------------------------ */

static void serves_as_many_as_it_says(void **state) {
  (void)state;
  host_t hosts[16];
  char name[16];
  for (int i = 0; i < 16; i++) {
    snprintf(name, sizeof name, "h%d.sock", i);
    hosts[i] = host_open(name);
  }
  int late = host_listen("late.sock");
  assert_false(is_readable(late, 50));
  expect_other_to_work(&hosts[15]);
  host_close(&hosts[3]);
  assert_true(is_readable(late, PATIENCE_MS)); /* its turn has come */
  close(late);
  for (int i = 0; i < 16; i++)
    if (hosts[i].fd >= 0)
      host_close(&hosts[i]);
}

static void ignores_what_is_no_socket(void **state) {
  (void)state;
  char path[160];
  const char *names[] = {"file.sock", "dir.sock", ".hidden.sock", "none"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char hidden[160];
    snprintf(hidden, sizeof hidden, "%s/.tmp", guest.links);
    snprintf(path, sizeof path, "%s/%s", guest.links, names[i]);
    if (i == 1)
      assert_int_equal(mkdir(hidden, 0755), 0);
    else
      close(open(hidden, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    assert_int_equal(rename(hidden, path), 0);
  }
  host_t host = host_open("real.sock");
  expect_other_to_work(&host);
  host_close(&host);
}

static void finds_hosts_that_are_busy(void **state) {
  (void)state;
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  char shown[128];
  snprintf(at.sun_path, sizeof at.sun_path, "%s/.busy", guest.links);
  snprintf(shown, sizeof shown, "%s/busy.sock", guest.links);
  int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(listener, 0), 0);
  int first = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(first, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(rename(at.sun_path, shown), 0);
  usleep(20000); /* the guest has found no room */
  close(accept(listener, NULL, NULL));
  assert_true(is_readable(listener, PATIENCE_MS));
  host_t host = {.fd = accept(listener, NULL, NULL)};
  expect(&host, AXO_EV_HELLO,
         AXO_KNOWS_ROOT | AXO_KNOWS_STDIN | AXO_KNOWS_SOCKET | AXO_KNOWS_OWNER);
  close(first);
  close(listener);
  host_close(&host);
}

static void leaves_no_trace_of_hosts(void **state) {
  (void)state;
  host_t other = host_open("other.sock");
  expect_other_to_work(&other);
  int before = count_fds(guest.pid);
  for (int i = 0; i < 40; i++) {
    host_t host = host_open("short.sock");
    exec_t exec = shell_begin(&host, "true");
    host_close(&host);
    exec_output(&exec);
    exec_close(&exec);
  }
  for (int ms = 0; ms < PATIENCE_MS && count_fds(guest.pid) > before + 8; ms += 20)
    usleep(20000);
  assert_true(count_fds(guest.pid) <= before + 8); /* idle supervisors */
  host_close(&other);
}

/* ---- doors ----------------------------------------------------------------------- */

static int inner_set_up(void **state) {
  (void)state;
  guest_start_with(false, 0, AXO_LINK_INNER);
  return 0;
}

/* As a host takes it out of the container. */
static void move_inner(void) {
  char from[128], to[128];
  snprintf(from, sizeof from, "%s/%s", guest.links, AXO_LINK_INNER);
  snprintf(to, sizeof to, "%s/hidden", guest.dir);
  assert_int_equal(rename(from, to), 0);
}

static void finds_hosts_wherever_the_inner_directory_is(void **state) {
  (void)state;
  char outer[sizeof guest.links];
  strcpy(outer, guest.links);
  snprintf(guest.links, sizeof guest.links, "%s/links/%s", guest.dir, AXO_LINK_INNER);
  host_t before = host_open("before.sock");
  strcpy(guest.links, outer);
  move_inner();
  snprintf(guest.links, sizeof guest.links, "%s/hidden", guest.dir);
  host_t after = host_open("after.sock");
  strcpy(guest.links, outer);
  host_t older = host_open("older.sock");
  expect_other_to_work(&before);
  expect_other_to_work(&after);
  expect_other_to_work(&older);
  host_close(&before);
  host_close(&after);
  host_close(&older);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(finds_hosts_wherever_the_inner_directory_is,
                                      inner_set_up, guest_tear_down),
      GUEST_TEST(ends_a_link_that_sends_garbage),
      GUEST_TEST(ends_a_link_at_a_packet_that_is_too_long),
      GUEST_TEST(ends_a_link_at_a_malformed_request),
      GUEST_TEST(ends_a_link_that_uses_an_id_twice),
      GUEST_TEST(refuses_a_bell_that_blocks),
      GUEST_TEST(takes_only_sealed_bodies),
      GUEST_TEST(takes_no_other_file_for_a_body),
      GUEST_TEST(keeps_no_descriptor_of_what_it_refuses),
      GUEST_TEST(waits_for_a_host_that_does_not_read),
      GUEST_TEST(tells_a_slow_host_every_end),
      GUEST_TEST(sleeps_while_a_host_does_not_read),
      GUEST_TEST(serves_as_many_as_it_says),
      GUEST_TEST(ignores_what_is_no_socket),
      GUEST_TEST(finds_hosts_that_are_busy),
      GUEST_TEST(leaves_no_trace_of_hosts),
  };
  return cmocka_run_group_tests_name("guest: links", tests, NULL, NULL);
}
