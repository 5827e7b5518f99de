/* Files that the guest opens: beneath the root, and nowhere else. */
#include "guest_support.h"

static void put(char *out, int32_t flags, uint32_t mode, const char *path,
                size_t *len) {
  axo_open_t head = {flags, mode};
  memcpy(out, &head, sizeof head);
  strcpy(out + sizeof head, path);
  *len = sizeof head + strlen(path) + 1;
}

/* What paths are beneath; NULL: the session's root. */
static const char *root_;

static size_t put_root(char *body, size_t len) {
  return root_ ? len + (size_t)sprintf(body + len, "%s", root_) + 1 : len;
}

static event_t ask_open(host_t *host, const char *path, int flags, unsigned mode) {
  char body[8192];
  size_t len;
  event_t ev;
  uint64_t id = ++host->last_id;
  put(body, flags, mode, path, &len);
  len = put_root(body, len);
  send_request(host, &(request_t){AXO_REQ_OPEN, id, body, len, NULL, 0, 0});
  assert_true(receive(host, &ev));
  assert_int_equal(ev.head.id, id);
  return ev;
}

static int opened(host_t *host, const char *path, int flags) {
  event_t ev = ask_open(host, path, flags, 0644);
  assert_int_equal(ev.head.type, AXO_EV_OPENED);
  assert_int_equal(ev.fd_count, 1);
  return ev.fds[0];
}

static void expect_refusal(host_t *host, const char *path, int flags, int error) {
  event_t ev = ask_open(host, path, flags, 0);
  assert_int_equal(ev.head.type, AXO_EV_FAILED);
  assert_int_equal(ev.body.failed.stage, AXO_STAGE_FILE);
  assert_int_equal(ev.body.failed.error, error);
}

/* 0 or an errno. */
static int ask_path(host_t *host, uint32_t op, const char *from, const char *to) {
  char body[8192];
  axo_path_t head = {op, 0755};
  event_t ev;
  size_t len = sizeof head;
  uint64_t id = ++host->last_id;
  memcpy(body, &head, sizeof head);
  len += (size_t)sprintf(body + len, "%s", from) + 1;
  if (to)
    len += (size_t)sprintf(body + len, "%s", to) + 1;
  len = put_root(body, len);
  send_request(host, &(request_t){AXO_REQ_PATH, id, body, len, NULL, 0, 0});
  assert_true(receive(host, &ev));
  assert_int_equal(ev.head.id, id);
  return ev.head.type == AXO_EV_DONE ? 0 : ev.body.failed.error;
}

static const char *at(const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", guest.root, name);
  return path;
}

/* ---- opening --------------------------------------------------------------------- */

static void reads_and_writes_beneath_the_root(void **state) {
  (void)state;
  char text[8];
  host_t host = host_open("a.sock");
  int fd = opened(&host, "file", O_WRONLY | O_CREAT | O_EXCL);
  assert_int_equal(write(fd, "text", 4), 4);
  close(fd);
  fd = opened(&host, "file", O_RDONLY);
  assert_int_equal(read(fd, text, sizeof text), 4);
  assert_true(write(fd, "x", 1) < 0);
  close(fd);
  expect_refusal(&host, "file", O_WRONLY | O_CREAT | O_EXCL, EEXIST);
  expect_refusal(&host, "file/x", O_RDONLY, ENOTDIR);
  expect_refusal(&host, "none", O_RDONLY, ENOENT);
  fd = opened(&host, ".", O_RDONLY | O_DIRECTORY);
  close(fd);
  host_close(&host);
}

static void does_not_leave_the_root(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  assert_int_equal(symlink("/etc", at("absolute")), 0);
  assert_int_equal(symlink("../../..", at("up")), 0);
  assert_int_equal(symlink("/proc/self/root", at("magic")), 0);
  assert_int_equal(symlink("inside", at("good")), 0);
  assert_int_equal(mkdir(at("inside"), 0755), 0);
  expect_refusal(&host, "/etc/passwd", O_RDONLY, EXDEV);
  expect_refusal(&host, "..", O_PATH, EXDEV);
  expect_refusal(&host, "inside/../../links", O_PATH, EXDEV);
  expect_refusal(&host, "absolute/passwd", O_RDONLY, EXDEV);
  expect_refusal(&host, "up/etc/passwd", O_RDONLY, EXDEV);
  expect_refusal(&host, "magic/etc/passwd", O_RDONLY, EXDEV);
  expect_refusal(&host, "", O_RDONLY, ENOENT);
  close(opened(&host, "good", O_RDONLY | O_DIRECTORY));
  close(opened(&host, "absolute", O_PATH | O_NOFOLLOW));
  host_close(&host);
}

static void does_not_wait_for_what_it_opens(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  assert_int_equal(mkfifo(at("fifo"), 0644), 0);
  int fd = opened(&host, "fifo", O_RDONLY); /* and nobody writes to it */
  struct stat st;
  assert_int_equal(fstat(fd, &st), 0);
  assert_true(S_ISFIFO(st.st_mode));
  close(fd);
  expect_refusal(&host, "fifo", O_WRONLY, ENXIO);
  int file = open(at("leased"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  assert_int_equal(fcntl(file, F_SETLEASE, F_WRLCK), 0);
  signal(SIGIO, SIG_IGN);
  expect_refusal(&host, "leased", O_RDONLY, EWOULDBLOCK);
  close(file);
  host_close(&host);
}

static void takes_only_flags_that_are_harmless(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  expect_refusal(&host, "file", O_RDONLY | O_NONBLOCK, EINVAL);
  expect_refusal(&host, ".", O_RDWR | O_TMPFILE, EINVAL);
  expect_refusal(&host, "file", O_RDONLY | O_ASYNC, EINVAL);
  expect_refusal(&host, "file", -1, EINVAL);
  expect_refusal(&host, "file", O_PATH | O_CREAT, EINVAL);
  host_close(&host);
}

/* ---- names ----------------------------------------------------------------------- */

static void changes_names_beneath_the_root(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  assert_int_equal(ask_path(&host, AXO_PATH_MKDIR, "dir", NULL), 0);
  assert_int_equal(ask_path(&host, AXO_PATH_MKDIR, "dir", NULL), EEXIST);
  close(opened(&host, "dir/a", O_WRONLY | O_CREAT));
  assert_int_equal(ask_path(&host, AXO_PATH_RENAME, "dir/a", "b"), 0);
  assert_int_equal(ask_path(&host, AXO_PATH_UNLINK, "dir/a", NULL), ENOENT);
  assert_int_equal(ask_path(&host, AXO_PATH_UNLINK, "dir", NULL), EISDIR);
  assert_int_equal(ask_path(&host, AXO_PATH_RMDIR, "dir", NULL), 0);
  assert_int_equal(ask_path(&host, AXO_PATH_UNLINK, "b", NULL), 0);
  assert_int_equal(ask_path(&host, 99, "b", NULL), EINVAL);
  host_close(&host);
}

static void changes_no_names_elsewhere(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  char outside[160];
  snprintf(outside, sizeof outside, "%s/outside", guest.dir);
  assert_int_equal(mkdir(outside, 0755), 0);
  assert_int_equal(symlink("../outside", at("out")), 0);
  close(open(at("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  const char *bad[] = {"../x", "/x", "out/x", "out/../../x"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(ask_path(&host, AXO_PATH_MKDIR, bad[i], NULL), EXDEV);
    assert_int_equal(ask_path(&host, AXO_PATH_RMDIR, bad[i], NULL), EXDEV);
    assert_int_equal(ask_path(&host, AXO_PATH_UNLINK, bad[i], NULL), EXDEV);
    assert_int_equal(ask_path(&host, AXO_PATH_RENAME, "file", bad[i]), EXDEV);
    assert_int_equal(ask_path(&host, AXO_PATH_RENAME, bad[i], "file"), EXDEV);
  }
  const char *odd[] = {".", "..", "", "dir/", "dir/.", "dir/.."};
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
    assert_int_equal(ask_path(&host, AXO_PATH_MKDIR, odd[i], NULL), EINVAL);
  assert_int_equal(rmdir(outside), 0); /* it is empty */
  host_close(&host);
}

static void bounds_the_length_of_paths(void **state) {
  (void)state;
  static char path[6000];
  memset(path, 'a', sizeof path - 1);
  host_t host = host_open("a.sock");
  expect_refusal(&host, path, O_RDONLY, ENAMETOOLONG);
  assert_int_equal(ask_path(&host, AXO_PATH_MKDIR, path, NULL), ENAMETOOLONG);
  path[5000] = '/';
  assert_int_equal(ask_path(&host, AXO_PATH_MKDIR, path, NULL), EINVAL);
  host_close(&host);
}

/* ---- another root ---------------------------------------------------------------- */

static void works_beneath_another_root(void **state) {
  (void)state;
  char sub[256], link[256];
  host_t host = host_open("a.sock");
  snprintf(sub, sizeof sub, "%s", at("sub"));
  snprintf(link, sizeof link, "%s", at("link"));
  assert_int_equal(mkdir(sub, 0755), 0);
  assert_int_equal(symlink("sub", link), 0);
  close(opened(&host, "file", O_WRONLY | O_CREAT));
  root_ = sub;
  close(opened(&host, "inner", O_WRONLY | O_CREAT));
  expect_refusal(&host, "file", O_RDONLY, ENOENT);
  expect_refusal(&host, "../file", O_RDONLY, EXDEV);
  assert_int_equal(ask_path(&host, AXO_PATH_RENAME, "inner", "other"), 0);
  assert_int_equal(ask_path(&host, AXO_PATH_RENAME, "other", "../x"), EXDEV);
  assert_int_equal(ask_path(&host, AXO_PATH_UNLINK, "../file", NULL), EXDEV);
  assert_int_equal(ask_path(&host, AXO_PATH_UNLINK, "other", NULL), 0);
  root_ = guest.root;
  close(opened(&host, "file", O_RDONLY));
  char deep[300], none[300];
  snprintf(deep, sizeof deep, "%s/.", link);
  snprintf(none, sizeof none, "%s/none", sub);
  const char *bad[] = {link, deep, none, "sub", "../sub", at("file")};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    root_ = bad[i];
    expect_refusal(&host, ".", O_PATH, ESTALE);
    assert_int_equal(ask_path(&host, AXO_PATH_MKDIR, "x", NULL), ESTALE);
  }
  root_ = NULL;
  host_close(&host);
}

static void makes_nothing_with_a_set_id_bit(void **state) {
  (void)state;
  struct stat st;
  host_t host = host_open("a.sock");
  event_t ev = ask_open(&host, "file", O_WRONLY | O_CREAT, 07755);
  assert_int_equal(fstat(ev.fds[0], &st), 0);
  assert_int_equal(st.st_mode & 06000, 0);
  close_fds(&ev);
  host_close(&host);
}

/* ---- a link that is swapped ------------------------------------------------------ */

static void holds_against_a_race(void **state) {
  (void)state;
  host_t host = host_open("a.sock");
  char secret[160], text[16];
  snprintf(secret, sizeof secret, "%s/secret", guest.dir);
  FILE *f = fopen(secret, "w");
  assert_non_null(f);
  fputs("secret", f);
  fclose(f);
  assert_int_equal(mkdir(at("d"), 0755), 0);
  assert_int_equal(mkdir(at("safe"), 0755), 0);
  exec_t exec = exec_begin(
      &host,
      (spawn_t){.argv = {"/bin/sh", "-c",
                         "echo harmless > safe/secret; ln -s .. bad; ln -s safe "
                         "good; echo up; while :; do mv -T bad x; mv -T good bad; "
                         "mv -T x good; done 2>/dev/null"},
                .cwd = guest.root});
  assert_string_equal(exec_line(&exec), "up");
  for (int i = 0; i < 2000; i++) {
    event_t ev = ask_open(&host, "bad/secret", O_RDONLY, 0);
    if (ev.head.type != AXO_EV_OPENED)
      continue;
    assert_int_equal(read(ev.fds[0], text, 8), 8);
    assert_memory_equal(text, "harmless", 8);
    close_fds(&ev);
  }
  send_signal(&host, exec.id, SIGKILL, true);
  expect_death(&host, exec.id, SIGKILL);
  exec_close(&exec);
  host_close(&host);
}

static pid_t rename_all_the_time(const char *name) {
  char from[256], to[256];
  snprintf(from, sizeof from, "%s/%s.1", guest.root, name);
  snprintf(to, sizeof to, "%s/%s.2", guest.root, name);
  pid_t pid = fork();
  if (pid)
    return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  close(open(from, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  for (;;)
    if (rename(from, to) || rename(to, from))
      _exit(1);
}

/* openat2 says EAGAIN when any rename of the machine races with a "..". */
static void is_not_kept_from_a_file_by_renames_of_others(void **state) {
  (void)state;
  char path[1024] = "";
  host_t host = host_open("a.sock");
  assert_int_equal(mkdir(at("d"), 0755), 0);
  fclose(fopen(at("file"), "w"));
  for (int i = 0; i < 120; i++)
    strcat(path, "d/../");
  strcat(path, "file");
  pid_t renaming[] = {rename_all_the_time("a"), rename_all_the_time("b")};
  for (int i = 0; i < 3000; i++)
    close(opened(&host, path, O_RDONLY));
  for (size_t i = 0; i < sizeof renaming / sizeof *renaming; i++) {
    assert_int_equal(kill(renaming[i], SIGKILL), 0);
    assert_int_equal(waitpid(renaming[i], NULL, 0), renaming[i]);
  }
  host_close(&host);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      GUEST_TEST(reads_and_writes_beneath_the_root),
      GUEST_TEST(does_not_leave_the_root),
      GUEST_TEST(does_not_wait_for_what_it_opens),
      GUEST_TEST(takes_only_flags_that_are_harmless),
      GUEST_TEST(changes_names_beneath_the_root),
      GUEST_TEST(changes_no_names_elsewhere),
      GUEST_TEST(bounds_the_length_of_paths),
      GUEST_TEST(works_beneath_another_root),
      GUEST_TEST(makes_nothing_with_a_set_id_bit),
      GUEST_TEST(holds_against_a_race),
      GUEST_TEST(is_not_kept_from_a_file_by_renames_of_others),
  };
  return cmocka_run_group_tests_name("guest: files", tests, NULL, NULL);
}
