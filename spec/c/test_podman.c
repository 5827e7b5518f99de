#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "axo.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- find ---- */

static char dir[64];

static const char *in_dir(const char *name) {
  static char path[16][128];
  static int turn;
  char *out = path[turn = (turn + 1) % 16];
  assert_true(snprintf(out, sizeof path[0], "%s/%s", dir, name) > 0);
  return out;
}

static void make_file(const char *path, mode_t mode) {
  FILE *file = fopen(path, "we");
  assert_non_null(file);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(chmod(path, mode), 0);
}

/* a/podman runs, b/podman does not, c/podman is a directory. */
static int make_dir(void **state) {
  (void)state;
  strcpy(dir, "/tmp/axo-test-podman-XXXXXX");
  if (!mkdtemp(dir)) {
    return -1;
  }
  mkdir(in_dir("a"), 0755);
  mkdir(in_dir("b"), 0755);
  mkdir(in_dir("c"), 0755);
  mkdir(in_dir("c/podman"), 0755);
  make_file(in_dir("a/podman"), 0755);
  make_file(in_dir("b/podman"), 0644);
  return 0;
}

static int remove_dir(void **state) {
  (void)state;
  unlink(in_dir("a/podman"));
  unlink(in_dir("b/podman"));
  rmdir(in_dir("c/podman"));
  rmdir(in_dir("c"));
  rmdir(in_dir("b"));
  rmdir(in_dir("a"));
  return rmdir(dir);
}

static void expect_found(const char *override, const char *path, const char *expected) {
  char buf[256];
  axo_err_t err = {0};
  if (axo_podman_find(override, path, buf, sizeof buf, &err) != 0) {
    fail_msg("%s", err.message);
  }
  assert_string_equal(buf, expected);
}

static void expect_lost(const char *override, const char *path, int code,
                        const char *says) {
  char buf[256] = "untouched";
  axo_err_t err = {0};
  assert_int_equal(axo_podman_find(override, path, buf, sizeof buf, &err), code);
  assert_string_equal(buf, "untouched");
  assert_int_equal(err.code, code);
  if (!strstr(err.message, says)) {
    fail_msg("'%s' does not say '%s'", err.message, says);
  }
  assert_true(err.hint[0] != '\0');
  assert_int_equal(axo_podman_find(override, path, buf, sizeof buf, NULL), code);
}

static const char *path_of(const char *first, const char *second) {
  static char path[256];
  assert_true(snprintf(path, sizeof path, "%s:%s", first, second) > 0);
  return path;
}

static void find_in_path(void **state) {
  (void)state;
  const char *a = in_dir("a");
  const char *podman = in_dir("a/podman");
  expect_found(NULL, a, podman);
  expect_found("", a, podman);
  expect_found("podman", a, podman);
  expect_found(NULL, path_of("/nosuch", a), podman);
  /* What cannot be run does not hide what can. */
  expect_found(NULL, path_of(in_dir("b"), a), podman);
  expect_found(NULL, path_of(in_dir("c"), a), podman);
  expect_found(NULL, path_of("", a), podman);
  expect_found(NULL, path_of(a, in_dir("b")), podman);
}

static void find_nothing(void **state) {
  (void)state;
  expect_lost(NULL, NULL, UV_ENOENT, "podman is not in PATH (which is empty)");
  expect_lost(NULL, "", UV_ENOENT, "which is empty");
  expect_lost(NULL, ":::", UV_ENOENT, "not in PATH");
  expect_lost(NULL, "/nosuch", UV_ENOENT, "not in PATH (/nosuch)");
  expect_lost("nosuch-podman", in_dir("a"), UV_ENOENT, "nosuch-podman is not in PATH");
  expect_lost(NULL, in_dir("b"), UV_EACCES, "b/podman is not an executable file");
  expect_lost(NULL, in_dir("c"), UV_EACCES, "c/podman is not an executable file");
  expect_lost("-x", in_dir("a"), UV_EINVAL, "not the name of a program");
}

/* Whatever the working directory holds, a relative element of PATH finds nothing. */
static void find_ignores_relative_path(void **state) {
  (void)state;
  char before[4096];
  assert_non_null(getcwd(before, sizeof before));
  assert_int_equal(chdir(in_dir("a")), 0);
  expect_lost(NULL, ".", UV_ENOENT, "not in PATH");
  expect_lost(NULL, ":", UV_ENOENT, "not in PATH");
  expect_lost(NULL, "../a", UV_ENOENT, "not in PATH");
  expect_found("./podman", NULL, in_dir("a/./podman"));
  assert_int_equal(chdir(before), 0);
}

static void find_override(void **state) {
  (void)state;
  const char *podman = in_dir("a/podman");
  expect_found(podman, NULL, podman);
  expect_lost(in_dir("nosuch"), in_dir("a"), UV_ENOENT, "does not exist");
  expect_lost(in_dir("b/podman"), in_dir("a"), UV_EACCES, "not an executable file");
  expect_lost(in_dir("a"), in_dir("a"), UV_EACCES, "not an executable file");
}

static void find_bounds(void **state) {
  (void)state;
  char path[9000];
  char small[8];
  memset(path, 'a', sizeof path);
  path[0] = '/';
  path[sizeof path - 1] = '\0';
  expect_lost(NULL, path, UV_ENOENT, "not in PATH");
  expect_lost(path + 100, "/nosuch", UV_ENOENT, "not in PATH");
  axo_err_t err;
  char buf[64];
  assert_int_equal(axo_podman_find(path, NULL, buf, sizeof buf, &err), UV_ENAMETOOLONG);
  assert_int_equal(axo_podman_find(NULL, in_dir("a"), small, sizeof small, &err),
                   UV_ENOBUFS);
}

/* ---- judge ---- */

#define RUNC "Error: runc: exec failed: unable to start container process: "
#define NOTFOUND ": OCI runtime attempted to invoke a command that was not found"
#define NO_PATH ": executable file not found in $PATH" NOTFOUND "\n"
#define STOPPED                                                                        \
  "Error: can only create exec sessions on running containers: container state "       \
  "improper\n"
#define NO_CONTAINER                                                                   \
  "Error: no container with name or ID \"nosuchctr\" found: no such container\n"
#define LOG "time=\"2026-11-24T03:40:35Z\" level=warning msg=\"Error validating CNI\"\n"

typedef struct sample {
  int64_t code;
  const char *argv0;
  const char *err_text;
  axo_podman_fault_t fault;
} sample_t;

/* From podman 4.3.1 with runc 1.1.5 and crun 1.8.1, unless a version is named. */
static const sample_t podmans[] = {
    {127, "nosuchcmd", RUNC "exec: \"nosuchcmd\"" NO_PATH, AXO_FAULT_NOT_FOUND},
    {127, "/nosuch/cmd",
     RUNC "exec: \"/nosuch/cmd\": stat /nosuch/cmd: no such file or directory" NOTFOUND
          "\n",
     AXO_FAULT_NOT_FOUND},
    {127, "./rel",
     RUNC "exec: \"./rel\": stat ./rel: no such file or directory" NOTFOUND,
     AXO_FAULT_NOT_FOUND},
    {127, "a\"b", RUNC "exec: \"a\\\"b\"" NO_PATH, AXO_FAULT_NOT_FOUND},
    {127, "a\\b", RUNC "exec: \"a\\\\b\"" NO_PATH, AXO_FAULT_NOT_FOUND},
    {127, "a\nb", RUNC "exec: \"a\\nb\"" NO_PATH, AXO_FAULT_NOT_FOUND},
    {127, "\x01\x7f", RUNC "exec: \"\\x01\\x7f\"" NO_PATH, AXO_FAULT_NOT_FOUND},
    {127, "\xc3\xa9", RUNC "exec: \"\xc3\xa9\"" NO_PATH, AXO_FAULT_NOT_FOUND},
    {127, "\xe2\x80\x8b", RUNC "exec: \"\\u200b\"" NO_PATH, AXO_FAULT_NOT_FOUND},
    {127, "\xf3\xa0\x80\x81", RUNC "exec: \"\\U000e0001\"" NO_PATH,
     AXO_FAULT_NOT_FOUND},
    {127, "nosuchcmd",
     "Error: crun: executable file `nosuchcmd` not found in $PATH: No such file or "
     "directory" NOTFOUND "\n",
     AXO_FAULT_NOT_FOUND},
    {127, "nosuchcmd",
     "Error: /usr/bin/crun: executable file `nosuchcmd` not found in $PATH: No such "
     "file "
     "or directory" NOTFOUND "\n",
     AXO_FAULT_NOT_FOUND},
    {127, "a`b\"c\\d",
     "Error: crun: executable file `a`b\"c\\d` not found in $PATH: No such file or "
     "directory" NOTFOUND "\n",
     AXO_FAULT_NOT_FOUND},
    {126, "/tmp/noexec",
     RUNC "exec: \"/tmp/noexec\": permission denied: OCI permission denied\n",
     AXO_FAULT_NOT_EXECUTABLE},
    {126, "/tmp", RUNC "exec: \"/tmp\": permission denied: OCI permission denied\n",
     AXO_FAULT_NOT_EXECUTABLE},
    /* runc 1.1.9 and later */
    {126, "/tmp", RUNC "exec: \"/tmp\": is a directory: OCI permission denied\n",
     AXO_FAULT_NOT_EXECUTABLE},
    {126, "/tmp/noexec",
     "Error: crun: open executable: Permission denied: OCI permission denied\n",
     AXO_FAULT_NOT_EXECUTABLE},
    {126, "/tmp",
     "Error: crun: open executable: Operation not permitted: OCI permission denied\n",
     AXO_FAULT_NOT_EXECUTABLE},
    {1, "/tmp/badelf", "exec /tmp/badelf: exec format error\n",
     AXO_FAULT_NOT_EXECUTABLE},
    {1, "badelf", "exec /tmp/badelf: exec format error\n", AXO_FAULT_NOT_EXECUTABLE},
    {255, "/tmp/a: b", "exec /tmp/a: b: exec format error\n", AXO_FAULT_NOT_EXECUTABLE},
    {1, "/tmp/badinterp", "exec /tmp/badinterp: no such file or directory\n",
     AXO_FAULT_NOT_EXECUTABLE},
    {1, "/tmp/badelf", "exec: Exec format error\n", AXO_FAULT_NOT_EXECUTABLE},
    {1, "/tmp/badinterp", "exec: No such file or directory\n",
     AXO_FAULT_NOT_EXECUTABLE},
    {1, "/bad",
     "{\"msg\":\"exec container process `/bad`: Exec format "
     "error\",\"level\":\"error\","
     "\"time\":\"2026-11-24T02:14:11.225925Z\"}\n",
     AXO_FAULT_NOT_EXECUTABLE},
    /* runc 1.0 */
    {1, "/bad",
     "standard_init_linux.go:228: exec user process caused: exec format error\n",
     AXO_FAULT_NOT_EXECUTABLE},
    {127, "true",
     RUNC "chdir to cwd (\"/nosuch\") set in config.json failed: no such file or "
          "directory" NOTFOUND "\n",
     AXO_FAULT_NO_DIRECTORY},
    {255, "true",
     "Error: OCI runtime error: runc: exec failed: unable to start container process: "
     "chdir to cwd (\"/tmp/noexec\") set in config.json failed: not a directory\n",
     AXO_FAULT_NO_DIRECTORY},
    {127, "true",
     "Error: crun: chdir `/nosuch`: No such file or directory" NOTFOUND "\n",
     AXO_FAULT_NO_DIRECTORY},
    {255, "true",
     "Error: OCI runtime error: crun: chdir `/tmp/noexec`: Not a directory\n",
     AXO_FAULT_NO_DIRECTORY},
    {127, "true",
     "Error: crun: chdir `/exec: \"true\": x`: No such file or directory" NOTFOUND "\n",
     AXO_FAULT_NO_DIRECTORY},
    {255, "true",
     "Error: unable to find user nosuch: no matching entries in passwd file\n",
     AXO_FAULT_NO_USER},
    {255, "true",
     "Error: unable to find group nosuch: no matching entries in group file\n",
     AXO_FAULT_NO_USER},
    {255, "true", "Error: uids and gids must be in range 0-2147483647\n",
     AXO_FAULT_NO_USER},
    {255, "true", STOPPED, AXO_FAULT_GONE},
    {125, "true", NO_CONTAINER, AXO_FAULT_GONE},
    {255, "true",
     "Error: OCI runtime error: runc: exec failed: container does not exist",
     AXO_FAULT_GONE},
    {255, "true",
     "Error: OCI runtime error: runc: exec failed: unable to start container process: "
     "read init-p: connection reset by peer",
     AXO_FAULT_PODMAN},
    {127, "true",
     "Error: /usr/bin/crun: opening file `memory.max` for writing: No such file or "
     "directory" NOTFOUND,
     AXO_FAULT_PODMAN},
    {126, "true",
     "Error: crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission "
     "denied",
     AXO_FAULT_PODMAN},
    {255, "true",
     "Error: timed out waiting for file /var/lib/containers/exec/0: internal libpod "
     "error",
     AXO_FAULT_PODMAN},
    {125, "true", "Error: unknown flag: --nosuch\n", AXO_FAULT_PODMAN},
    {125, "true", "Error: please update to v2.0.1 or later: outdated conmon version",
     AXO_FAULT_PODMAN},
};

/* What a command printed itself, and what only looks like one of the above. */
static const sample_t commands_own[] = {
    {0, "true", "", AXO_FAULT_NONE},
    {0, "nosuchcmd", RUNC "exec: \"nosuchcmd\"" NO_PATH, AXO_FAULT_NONE},
    {2, "nosuchcmd", RUNC "exec: \"nosuchcmd\"" NO_PATH, AXO_FAULT_NONE},
    {125, "sh", "", AXO_FAULT_NONE},
    {126, "sh", "", AXO_FAULT_NONE},
    {127, "sh", "", AXO_FAULT_NONE},
    {255, "sh", "", AXO_FAULT_NONE},
    {137, "sh", "", AXO_FAULT_NONE},
    {127, "sh", "sh: nosuchcmd: not found\n", AXO_FAULT_NONE},
    {126, "sh", "sh: /tmp: Permission denied\n", AXO_FAULT_NONE},
    {127, "env", "env: 'nosuchcmd': No such file or directory\n", AXO_FAULT_NONE},
    {125, "timeout", "timeout: invalid time interval 'x'\n", AXO_FAULT_NONE},
    {255, "perl", "Error: no input\n", AXO_FAULT_NONE},
    {127, "tool", "Error: no such plugin: not found\n", AXO_FAULT_NONE},
    {126, "tool", "Error: permission denied\n", AXO_FAULT_NONE},
    /* a podman that runs inside */
    {127, "podman", RUNC "exec: \"nosuchcmd\"" NO_PATH, AXO_FAULT_NONE},
    {127, "sh", RUNC "exec: \"nosuchcmd\"" NO_PATH, AXO_FAULT_NONE},
    {127, "nosuch", RUNC "exec: \"nosuchcmd\"" NO_PATH, AXO_FAULT_NONE},
    {127, "nosuchcmdx", RUNC "exec: \"nosuchcmd\"" NO_PATH, AXO_FAULT_NONE},
    {127, "", RUNC "exec: \"\\x00\"" NO_PATH, AXO_FAULT_NONE},
    {127, "a", RUNC "exec: \"\\q\"" NO_PATH, AXO_FAULT_NONE},
    {127, "a", RUNC "exec: \"\\u12\"", AXO_FAULT_NONE},
    {127, "a", RUNC "exec: \"a", AXO_FAULT_NONE},
    {127, "a", RUNC "exec: \"\\", AXO_FAULT_NONE},
    {127, "\xf4\x90\x80\x80", RUNC "exec: \"\\U00110000\"" NO_PATH, AXO_FAULT_NONE},
    {127, "sh",
     "Error: crun: executable file `nosuchcmd` not found in $PATH: No such file or "
     "directory" NOTFOUND "\n",
     AXO_FAULT_NONE},
    {127, "nosuch",
     "Error: crun: executable file `nosuchcmd` not found in $PATH: No such file or "
     "directory" NOTFOUND "\n",
     AXO_FAULT_NONE},
    /* podman's complaint among other output */
    {127, "nosuchcmd", "starting\n" RUNC "exec: \"nosuchcmd\"" NO_PATH, AXO_FAULT_NONE},
    {127, "nosuchcmd", RUNC "exec: \"nosuchcmd\"" NO_PATH "giving up\n",
     AXO_FAULT_NONE},
    {255, "true", STOPPED "\n", AXO_FAULT_NONE},
    {1, "true", STOPPED, AXO_FAULT_NONE},
    {127, "nosuchcmd", " " RUNC "exec: \"nosuchcmd\"" NO_PATH, AXO_FAULT_NONE},
    {255, "true", LOG, AXO_FAULT_NONE},
    {127, "nosuchcmd", LOG RUNC "exec: \"nosuchcmd\"" NO_PATH, AXO_FAULT_NONE},
    {255, "true", "\n", AXO_FAULT_NONE},
    /* the exec line of something else */
    {1, "/tmp/x", "exec /tmp/badelf: exec format error\n", AXO_FAULT_NONE},
    {1, "elf", "exec /tmp/badelf: exec format error\n", AXO_FAULT_NONE},
    {1, "tmp/badelf", "exec /tmp/badelf: exec format error\n", AXO_FAULT_NONE},
    {1, "", "exec /tmp/badelf: exec format error\n", AXO_FAULT_NONE},
    {1, "/x", "exec /x\n", AXO_FAULT_NONE},
    {1, "/x", "exec \n", AXO_FAULT_NONE},
    {1, "/x", "exec /x: a bad day\n", AXO_FAULT_NONE},
    {2, "/tmp/badelf", "exec /tmp/badelf: exec format error\n", AXO_FAULT_NONE},
    {127, "/tmp/badelf", "exec /tmp/badelf: exec format error\n", AXO_FAULT_NONE},
    {1, "sh", "sh: exec: nosuchcmd: not found\n", AXO_FAULT_NONE},
    {1, "sh", "exec: nosuchcmd: not found\n", AXO_FAULT_NONE},
    {1, "/bad", "{\"msg\":\"exec container process `/bad", AXO_FAULT_NONE},
};

static axo_podman_fault_t judge(const sample_t *sample, uint64_t out_total,
                                axo_err_t *err) {
  /* Exactly as long as the text, so that a read beyond it is caught. */
  size_t len = strlen(sample->err_text);
  char *text = malloc(len + 1);
  assert_non_null(text);
  memcpy(text, sample->err_text, len + 1);
  axo_exec_outcome_t outcome = {.code = (int)sample->code,
                                .argv0 = sample->argv0,
                                .err_text = text,
                                .err_len = len,
                                .out_total = out_total};
  axo_podman_fault_t fault = axo_podman_judge(&outcome, err);
  free(text);
  return fault;
}

static void judges_podmans(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(podmans); i++) {
    axo_err_t err = {0};
    if (judge(&podmans[i], 0, &err) != podmans[i].fault) {
      fail_msg("misjudged: %s", podmans[i].err_text);
    }
    assert_true(err.code < 0);
    assert_string_equal(err.op, "exec");
    assert_true(err.message[0] != '\0' && !strchr(err.message, '\n'));
    assert_int_equal(judge(&podmans[i], 0, NULL), podmans[i].fault);
    /* With one byte on stdout, it was a command that spoke. */
    assert_int_equal(judge(&podmans[i], 1, NULL), AXO_FAULT_NONE);
  }
}

static void judges_commands_own(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(commands_own); i++) {
    axo_err_t err = {.message = "untouched"};
    if (judge(&commands_own[i], 0, &err) != AXO_FAULT_NONE) {
      fail_msg("taken for podman's: %d '%s'", (int)commands_own[i].code,
               commands_own[i].err_text);
    }
    assert_string_equal(err.message, "untouched");
  }
}

static void judges_missing_fields(void **state) {
  (void)state;
  axo_exec_outcome_t outcome = {.code = 255, .err_len = 5};
  assert_int_equal(axo_podman_judge(&outcome, NULL), AXO_FAULT_NONE);
  outcome.err_text = RUNC "exec: \"\"" NO_PATH;
  outcome.err_len = strlen(outcome.err_text);
  axo_err_t err;
  assert_int_equal(axo_podman_judge(&outcome, &err), AXO_FAULT_NOT_FOUND);
}

static void explains(void **state) {
  (void)state;
  axo_err_t err;
  judge(&podmans[0], 0, &err);
  assert_int_equal(err.code, UV_ENOENT);
  assert_string_equal(err.message, "no such command in the container: nosuchcmd");
  assert_non_null(strstr(err.hint, "install it there"));
  sample_t stopped = {255, "true", STOPPED, AXO_FAULT_GONE};
  judge(&stopped, 0, &err);
  assert_int_equal(err.code, UV_ESRCH);
  assert_string_equal(err.message,
                      "the container is not running: can only create exec sessions on "
                      "running containers: container state improper");
}

/* Every sample cut short at every length: whatever the verdict, nothing is overrun. */
static void judges_prefixes(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(podmans); i++) {
    size_t len = strlen(podmans[i].err_text);
    for (size_t n = 0; n < len; n++) {
      char *text = malloc(n + 1);
      assert_non_null(text);
      memcpy(text, podmans[i].err_text, n);
      text[n] = '\0';
      sample_t cut = podmans[i];
      cut.err_text = text;
      axo_err_t err;
      (void)judge(&cut, 0, &err);
      free(text);
    }
  }
}

int main(void) {
  const struct CMUnitTest find[] = {
      cmocka_unit_test(find_in_path),
      cmocka_unit_test(find_nothing),
      cmocka_unit_test(find_ignores_relative_path),
      cmocka_unit_test(find_override),
      cmocka_unit_test(find_bounds),
  };
  const struct CMUnitTest text[] = {
      cmocka_unit_test(judges_podmans),  cmocka_unit_test(judges_commands_own),
      cmocka_unit_test(explains),        cmocka_unit_test(judges_missing_fields),
      cmocka_unit_test(judges_prefixes),
  };
  int failed = cmocka_run_group_tests_name("podman: find", find, make_dir, remove_dir);
  return failed + cmocka_run_group_tests_name("podman: judge", text, NULL, NULL);
}
