#include "argv_support.h"

/* The first process is not to be chosen by the kernel's OOM killer, or starved. */
#define MASK                                                                           \
  "--security-opt=mask=/proc/1/oom_score_adj:/proc/1/oom_adj:"                         \
  "/proc/1/task/1/oom_score_adj:/proc/1/task/1/oom_adj:/proc/1/autogroup"

/* ---- run ---- */

static void run_minimal(void **state) {
  (void)state;
  char profile_option[128];
  (void)snprintf(profile_option, sizeof profile_option, "--security-opt=seccomp=%s",
                 profile_path);
  const char *const expected[] = {"/usr/bin/podman",
                                  "run",
                                  "--detach",
                                  "--name=axo-ses-demo",
                                  "--pull=never",
                                  "--privileged=false",
                                  "--security-opt=no-new-privileges",
                                  "--cap-drop=SYS_ADMIN",
                                  "--cap-drop=SYS_PTRACE",
                                  "--cap-drop=SYS_MODULE",
                                  "--cap-drop=SYS_RAWIO",
                                  "--cap-drop=SYS_BOOT",
                                  "--cap-drop=SYS_TIME",
                                  "--cap-drop=NET_ADMIN",
                                  "--cap-drop=NET_RAW",
                                  "--cap-drop=MKNOD",
                                  "--cap-drop=DAC_READ_SEARCH",
                                  "--cap-drop=AUDIT_WRITE",
                                  "--cap-drop=SETPCAP",
                                  "--cap-drop=SETFCAP",
                                  "--cap-drop=FSETID",
                                  "--pid=private",
                                  "--ipc=private",
                                  "--uts=private",
                                  "--cgroupns=private",
                                  MASK,
                                  "--no-healthcheck",
                                  "--systemd=false",
                                  "--log-driver=none",
                                  "--restart=no",
                                  "--stop-timeout=0",
                                  "--stop-signal=SIGTERM",
                                  "--image-volume=ignore",
                                  "--detach-keys=",
                                  "--network=none",
                                  "--http-proxy=false",
                                  "--entrypoint=[\"sleep\",\"infinity\"]",
                                  profile_option,
                                  "localhost/axosandbox/base:1",
                                  NULL};
  axo_run_spec_t spec = minimal();
  axo_argv_t *argv = run_ok(&spec);
  expect_items(argv, expected);
  axo_argv_free(argv);
}

static void run_full(void **state) {
  (void)state;
  static const char *const expected[] = {
      "--workdir=/home/me/p",
      "--user=dev:1000",
      "--network=bridge",
      "--runtime=/usr/bin/crun",
      "--pull=missing",
      "--pidfile=/run/x/pid",
      "--cidfile=/run/x/cid",
      "--mount=type=bind,\"source=/home/me/p\",\"target=/home/me/p\",nosuid,nodev",
      "--mount=type=bind,\"source=/srv/x\",\"target=/opt/x\",nosuid,nodev,readonly",
      "--env=LANG=C.UTF-8",
      "--env=E=",
      "--env=N=a\nb=c",
      "--label=axosandbox.id=demo",
      "--label=axosandbox.dir=/a,b\"c=d",
      "--publish=127.0.0.1:3000:3000",
      "--publish=[::1]:8080:80",
      "--ulimit=nofile=1024:20000",
      "--ulimit=nproc=-1:-1",
      "--memory=2147483648b",
      "--cpus=1.50000",
      "--pids-limit=512",
      "--init",
      "--http-proxy=true",
  };
  axo_run_spec_t spec = full();
  axo_argv_t *argv = run_ok(&spec);
  for (size_t i = 0; i < COUNT(expected); i++) {
    const char *found = option_of(argv, expected[i]);
    if (!found || *found) {
      fail_msg("missing: %s", expected[i]);
    }
  }
  /* 39 arguments of the least run, and each of these but the four that replace one. */
  assert_int_equal(axo_argv_count(argv), 39 + COUNT(expected) - 3);
  axo_argv_free(argv);
}

/* The floor stands in the fullest vector too, and nothing in it undoes it. */
static void run_floor(void **state) {
  (void)state;
  static const char *const floor[] = {"--security-opt=no-new-privileges",
                                      "--cap-drop=SYS_ADMIN",
                                      "--cap-drop=SYS_PTRACE",
                                      "--cap-drop=SYS_MODULE",
                                      "--cap-drop=SYS_RAWIO",
                                      "--cap-drop=SYS_BOOT",
                                      "--cap-drop=SYS_TIME",
                                      "--cap-drop=NET_ADMIN",
                                      "--cap-drop=NET_RAW",
                                      "--cap-drop=DAC_READ_SEARCH",
                                      "--cap-drop=MKNOD",
                                      "--cap-drop=AUDIT_WRITE",
                                      "--cap-drop=SETPCAP",
                                      "--cap-drop=SETFCAP",
                                      "--cap-drop=FSETID",
                                      "--privileged=false",
                                      "--pid=private",
                                      "--ipc=private",
                                      "--uts=private",
                                      "--cgroupns=private",
                                      MASK};
  static const char *const never[] = {
      "--cap-add",  "--privileged=true",
      "--device",   "--userns",
      "--pid=host", "--ipc=host",
      "--uts=host", "--network=host",
      "--volume",   "--security-opt=seccomp=unconfined"};
  axo_run_spec_t spec = full();
  axo_argv_t *argv = run_ok(&spec);
  for (size_t i = 0; i < COUNT(floor); i++) {
    const char *found = option_of(argv, floor[i]);
    assert_non_null(found);
    assert_string_equal(found, "");
  }
  for (size_t i = 0; i < COUNT(never); i++) {
    assert_null(option_of(argv, never[i]));
  }
  axo_argv_free(argv);
}

/* The image is the last argument and the only positional one: an option never follows.
 */
static void run_ends_with_image(void **state) {
  (void)state;
  axo_run_spec_t spec = full();
  axo_argv_t *argv = run_ok(&spec);
  char *const *items = axo_argv_items(argv);
  size_t n = axo_argv_count(argv);
  for (size_t i = 2; i < n - 1; i++) {
    assert_true(strncmp(items[i], "--", 2) == 0);
  }
  assert_string_equal(items[n - 1], "localhost/axosandbox/base:1");
  axo_argv_free(argv);
}

static void run_names_images_in_full(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"alpine", "docker.io/library/alpine:latest"},
      {"Quay.IO/team/app:v1", "quay.io/team/app:v1"},
      {"alpine:3.20@sha256:" HEX64, "docker.io/library/alpine@sha256:" HEX64},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    axo_run_spec_t spec = minimal();
    spec.image = cases[i][0];
    axo_argv_t *argv = run_ok(&spec);
    assert_string_equal(axo_argv_items(argv)[axo_argv_count(argv) - 1], cases[i][1]);
    axo_argv_free(argv);
  }
}

static void run_cpus(void **state) {
  (void)state;
  static const struct {
    double cpus;
    const char *text;
  } cases[] = {{0.01, "0.01000"},     {1, "1.00000"},       {0.1 + 0.2, "0.30000"},
               {1.999999, "2.00000"}, {2.00001, "2.00001"}, {65536, "65536.00000"}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    axo_run_spec_t spec = minimal();
    spec.cpus = cases[i].cpus;
    axo_argv_t *argv = run_ok(&spec);
    assert_string_equal(option_of(argv, "--cpus="), cases[i].text);
    axo_argv_free(argv);
  }
}

/* ---- mounts: a reader of CSV as Go's encoding/csv has it, to read them back ---- */

static const char *csv_field(const char *at, char *out) {
  bool quoted = *at == '"';
  at += quoted;
  for (;; at++) {
    if (quoted && at[0] == '"' && at[1] == '"') {
      at++;
    } else if (quoted ? *at == '"' : *at == ',' || *at == '\0') {
      break;
    }
    assert_true(*at != '\0' && *at != '\n');
    assert_true(quoted || *at != '"');
    *out++ = *at;
  }
  *out = '\0';
  at += quoted;
  assert_true(*at == ',' || *at == '\0');
  return *at == ',' ? at + 1 : at;
}

static void expect_mount(const char *path, bool read_only) {
  char field[4096];
  char expected[4096];
  axo_mount_t mount = {path, path, read_only};
  axo_run_spec_t spec = minimal();
  spec.mounts = &mount;
  spec.mount_count = 1;
  axo_argv_t *argv = run_ok(&spec);
  const char *at = option_of(argv, "--mount=");
  at = csv_field(at, field);
  assert_string_equal(field, "type=bind");
  at = csv_field(at, field);
  assert_true(snprintf(expected, sizeof expected, "source=%s", path) > 0);
  assert_string_equal(field, expected);
  at = csv_field(at, field);
  assert_true(snprintf(expected, sizeof expected, "target=%s", path) > 0);
  assert_string_equal(field, expected);
  at = csv_field(at, field);
  assert_string_equal(field, "nosuid");
  at = csv_field(at, field);
  assert_string_equal(field, "nodev");
  if (read_only) {
    at = csv_field(at, field);
    assert_string_equal(field, "readonly");
  }
  assert_string_equal(at, "");
  axo_argv_free(argv);
}

static void run_mounts_odd_names(void **state) {
  (void)state;
  static const char *const paths[] = {"/with space",
                                      "/ lead",
                                      "/trail ",
                                      "/a,b",
                                      "/a:b",
                                      "/q\"uote",
                                      "/\"",
                                      "/\"q\"",
                                      "/a=b",
                                      "/-dash/--privileged",
                                      "/\xc3\xa9/\xe6\xbc\xa2",
                                      "/back\\slash",
                                      "/tab\t",
                                      "/cr\r",
                                      "/'single'",
                                      "/$HOME/`x`",
                                      "/*?[x]",
                                      "/\",readonly,\"",
                                      "/,source=/etc",
                                      "/...",
                                      "/..a/b..",
                                      "/%s%n",
                                      "/\xf0\x9f\x90\xb3"};
  for (size_t i = 0; i < COUNT(paths); i++) {
    expect_mount(paths[i], false);
    expect_mount(paths[i], true);
  }
}

/* Each makes a profile, too: 20 ms of a sanitised one. */
static int rounds_here(void) {
  if (getenv("AXO_VALGRIND"))
    return 100;
#ifdef __SANITIZE_ADDRESS__
  return 200;
#else
  return 2000;
#endif
}

static void run_mounts_random_names(void **state) {
  (void)state;
  static const char alphabet[] = "ab ,\"=:-\\'\r\t/.#%";
  unsigned seed = 20;
  int rounds = rounds_here();
  for (int round = 0; round < rounds; round++) {
    char path[40] = "/x";
    for (size_t i = 2; i < sizeof path - 1; i++) {
      seed = seed * 1103515245u + 12345u;
      path[i] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
    }
    if (!strstr(path, "/..")) {
      expect_mount(path, round % 2 == 0);
    }
  }
}

/* ---- the command ---- */

static void run_command_as_json(void **state) {
  (void)state;
  static const char *const command[] = {"sh",
                                        "-c",
                                        "echo \"$0\" \\ \n\t\x01\x1f\x7f </>&",
                                        "--privileged",
                                        "",
                                        "\xc3\xa9\xe2\x80\xa8",
                                        NULL};
  axo_run_spec_t spec = minimal();
  spec.command = command;
  axo_argv_t *argv = run_ok(&spec);
  assert_string_equal(option_of(argv, "--entrypoint="),
                      "[\"sh\",\"-c\",\"echo \\\"$0\\\" \\\\ "
                      "\\u000a\\u0009\\u0001\\u001f\x7f </>&\",\"--privileged\",\"\","
                      "\"\xc3\xa9\xe2\x80\xa8\"]");
  axo_argv_free(argv);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(run_minimal),
      cmocka_unit_test(run_full),
      cmocka_unit_test(run_floor),
      cmocka_unit_test(run_ends_with_image),
      cmocka_unit_test(run_names_images_in_full),
      cmocka_unit_test(run_cpus),
      cmocka_unit_test(run_mounts_odd_names),
      cmocka_unit_test(run_mounts_random_names),
      cmocka_unit_test(run_command_as_json),
  };
  return cmocka_run_group_tests_name("argv", tests, make_profile_dir,
                                     remove_profile_dir);
}
