#include "argv_support.h"

/* ---- exec ---- */

static void exec_minimal(void **state) {
  (void)state;
  static const char *const command[] = {"--privileged", "-x", "", "a b", NULL};
  static const char *const expected[] = {"podman",
                                         "exec",
                                         "--log-level=error",
                                         "--detach-keys=",
                                         "axo-ses-demo",
                                         "--privileged",
                                         "-x",
                                         "",
                                         "a b",
                                         NULL};
  axo_exec_spec_t spec = {.container = "axo-ses-demo", .command = command};
  axo_argv_t *argv = NULL;
  assert_int_equal(axo_argv_exec("podman", &spec, &argv, NULL), 0);
  expect_items(argv, expected);
  axo_argv_free(argv);
}

static void exec_full(void **state) {
  (void)state;
  static const char *const command[] = {"sh", NULL};
  static const axo_pair_t env[] = {{"A", "1"}, {"B", "x y=z"}};
  static const char *const env_names[] = {"C", "D_1", NULL};
  static const char *const expected[] = {"/p/podman",
                                         "exec",
                                         "--log-level=error",
                                         "--detach-keys=",
                                         "--interactive",
                                         "--tty",
                                         "--env=A=1",
                                         "--env=B=x y=z",
                                         "--env=C",
                                         "--env=D_1",
                                         "--workdir=/a,b \"c\"",
                                         "--user=1000:1000",
                                         "0123abcd",
                                         "sh",
                                         NULL};
  axo_exec_spec_t spec = {.container = "0123abcd",
                          .command = command,
                          .workdir = "/a,b \"c\"",
                          .user = "1000:1000",
                          .env = env,
                          .env_count = 2,
                          .env_names = env_names,
                          .interactive = true,
                          .tty = true};
  axo_argv_t *argv = NULL;
  assert_int_equal(axo_argv_exec("/p/podman", &spec, &argv, NULL), 0);
  expect_items(argv, expected);
  axo_argv_free(argv);
}

static void exec_refused(axo_exec_spec_t spec, int code, const char *says) {
  axo_argv_t *argv = NULL;
  axo_err_t err = {0};
  assert_int_equal(axo_argv_exec("podman", &spec, &argv, &err), code);
  assert_null(argv);
  assert_string_equal(err.op, "exec");
  if (!strstr(err.message, says)) {
    fail_msg("'%s' does not say '%s'", err.message, says);
  }
}

static void exec_refuses(void **state) {
  (void)state;
  static const char *const none[] = {NULL};
  static const char *const blank[] = {"", NULL};
  static const char *const latin1[] = {"echo", "caf\xe9", NULL};
  static const char *const true_command[] = {"true", NULL};
  static const axo_pair_t bad_env = {"A B", "1"};
  axo_exec_spec_t good = {.container = "c", .command = true_command};
  axo_exec_spec_t spec = good;
  spec.container = "--privileged";
  exec_refused(spec, UV_EINVAL, "invalid container name");
  spec.container = NULL;
  exec_refused(spec, UV_EINVAL, "container name is missing");
  spec = good;
  spec.command = NULL;
  exec_refused(spec, UV_EINVAL, "command is empty");
  spec.command = none;
  exec_refused(spec, UV_EINVAL, "command is empty");
  spec.command = blank;
  exec_refused(spec, UV_EINVAL, "command is empty");
  spec.command = latin1;
  exec_refused(spec, UV_EINVAL, "not valid UTF-8");
  spec = good;
  spec.workdir = "relative";
  exec_refused(spec, UV_EINVAL, "not absolute");
  spec = good;
  spec.user = "-u";
  exec_refused(spec, UV_EINVAL, "invalid user");
  spec = good;
  spec.env = &bad_env;
  spec.env_count = 1;
  exec_refused(spec, UV_EINVAL, "environment variable");
  /* A name is no way to smuggle in a value, or all that begins alike. */
  static const char *const bad_names[] = {"A=1", "A*", "", "1A", "-e"};
  for (size_t i = 0; i < sizeof bad_names / sizeof bad_names[0]; i++) {
    const char *const names[] = {"GOOD", bad_names[i], NULL};
    spec = good;
    spec.env_names = names;
    exec_refused(spec, UV_EINVAL, "name of an environment variable");
  }
}

/* The kernel counts the terminator: 131071 bytes pass, 131072 do not. */
static void argument_length(void **state) {
  (void)state;
  char *longest = malloc(LONGEST_ARG + 2);
  assert_non_null(longest);
  memset(longest, 'x', LONGEST_ARG + 1);
  longest[LONGEST_ARG] = '\0';
  const char *command[] = {"echo", longest, NULL};
  axo_exec_spec_t spec = {.container = "c", .command = command};
  axo_argv_t *argv = NULL;
  assert_int_equal(axo_argv_exec("podman", &spec, &argv, NULL), 0);
  assert_string_equal(axo_argv_items(argv)[6], longest);
  axo_argv_free(argv);
  longest[LONGEST_ARG] = 'x';
  longest[LONGEST_ARG + 1] = '\0';
  exec_refused(spec, UV_E2BIG, "131072 bytes");
  axo_run_spec_t run = minimal();
  run.command = command;
  longest[LONGEST_ARG] = '\0';
  run_refused(&run, UV_E2BIG, "kernel allows 131071");
  free(longest);
}

static void utf8_is_strict(void **state) {
  (void)state;
  static const char *const good[] = {
      "\xc2\x80",     "\xdf\xbf",     "\xe0\xa0\x80",     "\xed\x9f\xbf",
      "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
  static const char *const bad[] = {"\x80",
                                    "\xbf",
                                    "\xc0\xaf",
                                    "\xc1\xbf",
                                    "\xc2",
                                    "\xc2x",
                                    "\xe0\x9f\xbf",
                                    "\xe2\x82",
                                    "\xed\xa0\x80",
                                    "\xed\xbf\xbf",
                                    "\xf0\x8f\xbf\xbf",
                                    "\xf0\x9f\x90",
                                    "\xf4\x90\x80\x80",
                                    "\xf5\x80\x80\x80",
                                    "\xff"};
  const char *command[] = {"echo", NULL, NULL};
  axo_exec_spec_t spec = {.container = "c", .command = command};
  for (size_t i = 0; i < COUNT(good); i++) {
    axo_argv_t *argv = NULL;
    command[1] = good[i];
    assert_int_equal(axo_argv_exec("podman", &spec, &argv, NULL), 0);
    axo_argv_free(argv);
  }
  for (size_t i = 0; i < COUNT(bad); i++) {
    command[1] = bad[i];
    exec_refused(spec, UV_EINVAL, "not valid UTF-8");
  }
}

/* ---- the rest of podman's commands ---- */

static void expect_built(int status, axo_argv_t *argv, const char *const *expected) {
  assert_int_equal(status, 0);
  expect_items(argv, expected);
  axo_argv_free(argv);
}

static void expect_refused(int status, const axo_argv_t *argv, axo_err_t *err,
                           const char *says) {
  assert_int_equal(status, UV_EINVAL);
  assert_null(argv);
  if (!strstr(err->message, says)) {
    fail_msg("'%s' does not say '%s'", err->message, says);
  }
}

#define BUILT(call, ...)                                                               \
  do {                                                                                 \
    axo_argv_t *argv = NULL;                                                           \
    axo_err_t err;                                                                     \
    int status = call;                                                                 \
    static const char *const expected[] = {__VA_ARGS__, NULL};                         \
    expect_built(status, argv, expected);                                              \
    (void)err;                                                                         \
  } while (0)

#define REFUSED(call, says)                                                            \
  do {                                                                                 \
    axo_argv_t *argv = NULL;                                                           \
    axo_err_t err = {0};                                                               \
    int status = call;                                                                 \
    expect_refused(status, argv, &err, says);                                          \
  } while (0)

static void containers(void **state) {
  (void)state;
  BUILT(axo_argv_rm("podman", "c1", &argv, &err), "podman", "rm", "--force",
        "--volumes", "--ignore", "c1");
  BUILT(axo_argv_stop("podman", "c1", 5, &argv, &err), "podman", "stop", "--time=5",
        "c1");
  BUILT(axo_argv_inspect("podman", "container", "c1", &argv, &err), "podman", "inspect",
        "--type=container", "c1");
  const char *const both[] = {"c1", "c2", NULL};
  const char *const wrong[] = {"c1", "--all", NULL};
  BUILT(axo_argv_rm_all("podman", both, &argv, &err), "podman", "rm", "--force",
        "--volumes", "--ignore", "c1", "c2");
  REFUSED(axo_argv_rm_all("podman", wrong, &argv, &err), "invalid container name");
  REFUSED(axo_argv_rm_all("podman", both + 2, &argv, &err), "no container to remove");
  REFUSED(axo_argv_rm_all("podman", NULL, &argv, &err), "no container to remove");
  REFUSED(axo_argv_rm("podman", "--all", &argv, &err), "invalid container name");
  REFUSED(axo_argv_rm("podman", NULL, &argv, &err), "container name is missing");
  REFUSED(axo_argv_stop("podman", "-a", 5, &argv, &err), "invalid container name");
  REFUSED(axo_argv_inspect("podman", "container", "-l", &argv, &err),
          "invalid container");
  REFUSED(axo_argv_inspect("podman", "volume", "x", &argv, &err),
          "invalid kind 'volume'");
  REFUSED(axo_argv_inspect("podman", NULL, "x", &argv, &err), "invalid kind");
}

static void listing(void **state) {
  (void)state;
  BUILT(axo_argv_ps("podman", "axosandbox.id", &argv, &err), "podman", "ps", "--all",
        "--filter=label=axosandbox.id", "--format=json");
  BUILT(axo_argv_ps("podman", "axosandbox.id=a=b", &argv, &err), "podman", "ps",
        "--all", "--filter=label=axosandbox.id=a=b", "--format=json");
  REFUSED(axo_argv_ps("podman", NULL, &argv, &err), "missing");
  REFUSED(axo_argv_ps("podman", "", &argv, &err), "invalid name of a label");
  REFUSED(axo_argv_ps("podman", "=x", &argv, &err), "invalid name of a label");
  REFUSED(axo_argv_ps("podman", "-a", &argv, &err), "invalid name of a label");
  REFUSED(axo_argv_ps("podman", "a=/x,y", &argv, &err), "comma");
  REFUSED(axo_argv_ps("podman", "a=\"", &argv, &err), "quote");
}

static void images(void **state) {
  (void)state;
  BUILT(axo_argv_pull("podman", "alpine:3.20", &argv, &err), "podman", "pull",
        "docker.io/library/alpine:3.20");
  BUILT(axo_argv_image_exists("podman", "localhost/x", &argv, &err), "podman", "image",
        "exists", "localhost/x:latest");
  BUILT(axo_argv_image_exists("podman", HEX64, &argv, &err), "podman", "image",
        "exists", HEX64);
  BUILT(axo_argv_inspect("podman", "image", "alpine", &argv, &err), "podman", "inspect",
        "--type=image", "docker.io/library/alpine:latest");
  BUILT(axo_argv_inspect("podman", "image", HEX64, &argv, &err), "podman", "inspect",
        "--type=image", HEX64);
  BUILT(axo_argv_import("podman", "localhost/x:1", &argv, &err), "podman", "import",
        "--quiet", "-", "localhost/x:1");
  BUILT(axo_argv_commit("podman", "c1", "localhost/x:1", &argv, &err), "podman",
        "commit", "--quiet", "c1", "localhost/x:1");
  REFUSED(axo_argv_pull("podman", "--all-tags", &argv, &err),
          "invalid image reference");
  REFUSED(axo_argv_pull("podman", HEX64, &argv, &err), "id");
  REFUSED(axo_argv_image_exists("podman", "-x", &argv, &err),
          "invalid image reference");
  REFUSED(axo_argv_import("podman", "-", &argv, &err), "invalid image reference");
  REFUSED(axo_argv_import("podman", "x@sha256:" HEX64, &argv, &err), "digest");
  REFUSED(axo_argv_commit("podman", "-p", "x", &argv, &err), "invalid container name");
  REFUSED(axo_argv_commit("podman", "c1", "x@sha256:" HEX64, &argv, &err), "digest");
  REFUSED(axo_argv_inspect("podman", "image", "-x", &argv, &err), "invalid image");
  REFUSED(axo_argv_commit("podman", "c1", NULL, &argv, &err), "empty");
}

static void freeing_nothing(void **state) {
  (void)state;
  axo_argv_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exec_minimal),    cmocka_unit_test(exec_full),
      cmocka_unit_test(exec_refuses),    cmocka_unit_test(argument_length),
      cmocka_unit_test(utf8_is_strict),  cmocka_unit_test(containers),
      cmocka_unit_test(listing),         cmocka_unit_test(images),
      cmocka_unit_test(freeing_nothing),
  };
  return cmocka_run_group_tests_name("argv: exec and the rest", tests, NULL, NULL);
}
