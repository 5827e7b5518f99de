/* What the guest opens without openat2 is what openat2 would open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../core/guest/guest.h"

#define ROUNDS 20000

static char top[] = "/tmp/axotest-walk-XXXXXX";
static int root = -1;
static unsigned seed = 1;

static unsigned pick(unsigned below) {
  seed = seed * 1103515245U + 12345U;
  return (seed >> 16) % below;
}

struct how {
  uint64_t flags, mode, resolve;
};

/* RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS. EAGAIN: somebody on this machine renames
 * files. */
static int by_kernel(const char *path, int flags) {
  struct how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = 0x08 | 0x02};
  if (flags & O_CREAT)
    how.mode = 0600;
  int fd, tries = 100000;
  do
    fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
  while (fd < 0 && errno == EAGAIN && --tries);
  return fd;
}

static int make(void **state) {
  (void)state;
  static const char *const links[][2] = {{"dir", "l1"},
                                         {"dir/file", "l2"},
                                         {"../file", "dir/l3"},
                                         {"..", "dir/l4"},
                                         {"../..", "dir/l5"},
                                         {"/etc", "l6"},
                                         {"l7", "l7"},
                                         {"none", "l8"},
                                         {"l1/deep", "l9"},
                                         {".", "l10"},
                                         {"l9/../file", "l11"},
                                         {"dir/", "l12"},
                                         {"../../dir/l3", "dir/deep/l13"},
                                         {"l10/l10/l1", "l14"},
                                         {"file", "l15"},
                                         {"/proc/self/cwd", "l16"}};
  if (!mkdtemp(top) || (root = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
    return -1;
  if (mkdirat(root, "dir", 0700) || mkdirat(root, "dir/deep", 0700))
    return -1;
  close(openat(root, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  close(openat(root, "dir/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  for (size_t i = 0; i < sizeof links / sizeof *links; i++)
    if (symlinkat(links[i][0], root, links[i][1]))
      return -1;
  return 0;
}

static int end(void **state) {
  (void)state;
  char command[128];
  (void)snprintf(command, sizeof command, "rm -rf %s", top);
  close(root);
  return system(command);
}

static void compare(const char *path, int flags) {
  struct stat theirs = {0}, ours = {0};
  int kernel = by_kernel(path, flags), kernel_says = errno;
  int walked = walk_open(root, path, flags, 0600), walk_says = errno;
  if (kernel >= 0)
    assert_int_equal(fstat(kernel, &theirs), 0);
  if (walked >= 0)
    assert_int_equal(fstat(walked, &ours), 0);
  if ((kernel < 0) != (walked < 0) || theirs.st_ino != ours.st_ino)
    fail_msg("%s, flags %o: the kernel says %d (%s), the walk %d (%s)", path, flags,
             kernel, kernel < 0 ? strerror(kernel_says) : "", walked,
             walked < 0 ? strerror(walk_says) : "");
  if (kernel >= 0)
    close(kernel);
  if (walked >= 0)
    close(walked);
  /* ENOENT and the like are said to people; which of several refusals it was is not. */
  if (kernel < 0 && kernel_says != walk_says &&
      !(kernel_says == ELOOP && walk_says == EXDEV) &&
      !(kernel_says == EXDEV && walk_says == ELOOP))
    fail_msg("%s, flags %o: the kernel says %s, the walk %s", path, flags,
             strerror(kernel_says), strerror(walk_says));
}

static void random_path(char *path, size_t size) {
  static const char *const names[] = {
      "dir", "deep", "file", "none", ".",   "..",  "l1",  "l2",  "l3",  "l4",  "l5",
      "l6",  "l7",   "l8",   "l9",   "l10", "l11", "l12", "l13", "l14", "l15", "l16"};
  unsigned parts = 1 + pick(6);
  size_t used = 0;
  for (unsigned i = 0; i < parts; i++)
    used += (size_t)snprintf(path + used, size - used, "%s%s", i ? "/" : "",
                             names[pick(sizeof names / sizeof *names)]);
  if (pick(8) == 0)
    (void)snprintf(path + used, size - used, pick(2) ? "/" : "//");
}

/* Neither a kernel before 5.6 nor valgrind has openat2. */
static bool kernel_has_it(void) {
  int probe = by_kernel(".", O_PATH);
  if (probe >= 0)
    close(probe);
  return probe >= 0;
}

static void opens_what_openat2_opens(void **state) {
  (void)state;
  static const int flags[] = {O_RDONLY,
                              O_PATH,
                              O_PATH | O_DIRECTORY,
                              O_WRONLY,
                              O_RDONLY | O_NOFOLLOW,
                              O_PATH | O_NOFOLLOW,
                              O_RDONLY | O_DIRECTORY | O_NOFOLLOW};
  char path[256];
  if (!kernel_has_it())
    skip();
  for (int i = 0; i < ROUNDS; i++) {
    random_path(path, sizeof path);
    compare(path, flags[pick(sizeof flags / sizeof *flags)]);
  }
  compare("", O_RDONLY);
  compare("/etc", O_RDONLY);
}

static void makes_files_where_openat2_would(void **state) {
  (void)state;
  static const char *const paths[] = {"new",    "dir/new",    "l1/new",   "l8",
                                      "l4/new", "dir/l5/new", "none/new", "l7",
                                      "file",   "dir"};
  if (!kernel_has_it())
    skip();
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    struct stat st;
    int kernel = by_kernel(paths[i], O_CREAT | O_WRONLY), kernel_says = errno;
    if (kernel >= 0) {
      assert_int_equal(fstat(kernel, &st), 0);
      close(kernel);
    }
    int walked = walk_open(root, paths[i], O_CREAT | O_WRONLY, 0600);
    assert_int_equal(walked < 0 ? errno : 0, kernel < 0 ? kernel_says : 0);
    if (walked >= 0)
      close(walked);
    /* And the other way round, where nothing is yet. */
    if (unlinkat(root, "none", 0) == 0 || unlinkat(root, "new", 0) == 0 ||
        unlinkat(root, "dir/new", 0) == 0) {
      walked = walk_open(root, paths[i], O_CREAT | O_EXCL | O_WRONLY, 0640);
      assert_true(walked >= 0 || errno == EEXIST); /* l8 itself is there */
      if (walked >= 0)
        close(walked);
      (void)unlinkat(root, "new", 0);
      (void)unlinkat(root, "dir/new", 0);
    }
  }
}

static void follows_no_link_where_none_is_wanted(void **state) {
  (void)state;
  static const char *const through[] = {"l1", "/l1/deep", "dir/l4", "l10/dir",
                                        "dir/deep/l13"};
  int fd = walk_plain(root, "//dir/deep", O_PATH | O_DIRECTORY);
  assert_true(fd >= 0);
  close(fd);
  for (size_t i = 0; i < sizeof through / sizeof *through; i++) {
    assert_int_equal(walk_plain(root, through[i], O_PATH | O_DIRECTORY), -1);
    assert_true(errno == ELOOP || errno == ENOTDIR);
  }
}

static void has_bounds(void **state) {
  (void)state;
  char path[8192];
  memset(path, 'a', sizeof path);
  path[300] = 0;
  assert_int_equal(walk_open(root, path, O_RDONLY, 0), -1);
  assert_int_equal(errno, ENAMETOOLONG);
  memset(path, '/', sizeof path);
  for (size_t i = 0; i < 4094; i += 2)
    path[i] = '.';
  path[4095] = 0;
  int fd = walk_open(root, path, O_PATH, 0);
  assert_true(fd >= 0);
  close(fd);
  path[4095] = '/';
  path[5000] = 0;
  assert_int_equal(walk_open(root, path, O_PATH, 0), -1);
  assert_int_equal(errno, ENAMETOOLONG);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(opens_what_openat2_opens),
      cmocka_unit_test(makes_files_where_openat2_would),
      cmocka_unit_test(follows_no_link_where_none_is_wanted),
      cmocka_unit_test(has_bounds),
  };
  return cmocka_run_group_tests_name("walk", tests, make, end);
}
