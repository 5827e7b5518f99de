/* argv_support.h: what the tests of the argument builders share. */
#ifndef AXO_ARGV_SUPPORT_H
#define AXO_ARGV_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "axo.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LONGEST_ARG (128 * 1024 - 1)
#define HEX64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char *const sleep_command[] = {"sleep", "infinity", NULL};

/* Where the profiles of one test program are written; removed at its end. */
static char profile_dir[] = "/tmp/axotest-argv-XXXXXX";
static char profile_path[sizeof profile_dir + 16];

static inline int make_profile_dir(void **state) {
  (void)state;
  if (!mkdtemp(profile_dir))
    return -1;
  return snprintf(profile_path, sizeof profile_path, "%s/profile", profile_dir) < 0;
}

static inline int remove_profile_dir(void **state) {
  (void)state;
  (void)unlink(profile_path);
  return rmdir(profile_dir);
}

static inline axo_run_spec_t minimal(void) {
  axo_run_spec_t spec = {0};
  spec.seccomp = profile_path;
  spec.name = "axo-ses-demo";
  spec.image = "localhost/axosandbox/base:1";
  spec.command = sleep_command;
  return spec;
}

static inline void expect_items(const axo_argv_t *argv, const char *const *expected) {
  char *const *items = axo_argv_items(argv);
  size_t i = 0;
  for (; expected[i]; i++) {
    assert_true(i < axo_argv_count(argv));
    assert_string_equal(items[i], expected[i]);
  }
  assert_int_equal(axo_argv_count(argv), i);
  assert_null(items[i]);
}

static inline axo_argv_t *run_ok(const axo_run_spec_t *spec) {
  axo_argv_t *argv = NULL;
  axo_err_t err = {0};
  int status = axo_argv_run("/usr/bin/podman", spec, &argv, &err);
  if (status != 0) {
    fail_msg("%s (%s)", err.message, err.hint);
  }
  return argv;
}

/* Every failure explains itself on one line and leaves `out` alone. */
static inline void run_refused(const axo_run_spec_t *spec, int code, const char *says) {
  axo_argv_t *argv = NULL;
  axo_err_t err = {0};
  assert_int_equal(axo_argv_run("podman", spec, &argv, &err), code);
  assert_null(argv);
  assert_int_equal(err.code, code);
  assert_string_equal(err.op, "run");
  assert_null(strchr(err.message, '\n'));
  if (!strstr(err.message, says)) {
    fail_msg("'%s' does not say '%s'", err.message, says);
  }
  assert_int_equal(axo_argv_run("podman", spec, &argv, NULL), code);
}

static inline const char *option_of(const axo_argv_t *argv, const char *prefix) {
  char *const *items = axo_argv_items(argv);
  for (size_t i = 0; i < axo_argv_count(argv); i++) {
    if (strncmp(items[i], prefix, strlen(prefix)) == 0) {
      return items[i] + strlen(prefix);
    }
  }
  return NULL;
}

static const axo_mount_t full_mounts[] = {{"/home/me/p", "/home/me/p", false},
                                          {"/srv/x", "/opt/x", true}};
static const axo_pair_t full_env[] = {{"LANG", "C.UTF-8"}, {"E", ""}, {"N", "a\nb=c"}};
static const axo_pair_t full_labels[] = {{"axosandbox.id", "demo"},
                                         {"axosandbox.dir", "/a,b\"c=d"}};
static const axo_port_t full_ports[] = {{"127.0.0.1", 3000, 3000}, {"::1", 8080, 80}};
static const axo_ulimit_t full_ulimits[] = {{"nofile", 1024, 20000},
                                            {"nproc", UINT64_MAX, UINT64_MAX}};

static inline axo_run_spec_t full(void) {
  axo_run_spec_t spec = minimal();
  spec.workdir = "/home/me/p";
  spec.user = "dev:1000";
  spec.network = "bridge";
  spec.runtime = "/usr/bin/crun";
  spec.pull = "missing";
  spec.pidfile = "/run/x/pid";
  spec.cidfile = "/run/x/cid";
  spec.mounts = full_mounts;
  spec.mount_count = COUNT(full_mounts);
  spec.env = full_env;
  spec.env_count = COUNT(full_env);
  spec.labels = full_labels;
  spec.label_count = COUNT(full_labels);
  spec.ports = full_ports;
  spec.port_count = COUNT(full_ports);
  spec.ulimits = full_ulimits;
  spec.ulimit_count = COUNT(full_ulimits);
  spec.memory = 2147483648u;
  spec.cpus = 1.5;
  spec.pids = 512;
  spec.init = true;
  spec.http_proxy = true;
  return spec;
}

#endif /* AXO_ARGV_SUPPORT_H */
