#include "argv_support.h"

static void run_refuses_mounts(void **state) {
  (void)state;
  static const struct {
    axo_mount_t mount;
    const char *says;
  } cases[] = {
      {{NULL, "/x", false}, "mount source is missing"},
      {{"/x", NULL, false}, "mount target is missing"},
      {{"", "/x", false}, "mount source is missing"},
      {{"x", "/x", false}, "mount source is not absolute"},
      {{"/x", "./x", false}, "mount target is not absolute"},
      {{"-v", "/x", false}, "mount source is not absolute"},
      {{"/a\nb", "/x", false}, "holds a newline"},
      {{"/x", "/a\nb", false}, "holds a newline"},
      {{"/a/../b", "/x", false}, "holds '..'"},
      {{"/a/..", "/x", false}, "holds '..'"},
      {{"/a/...//..", "/x", false}, "holds '..'"},
      {{"/x", "/", false}, "container's root"},
      {{"/x", "//./", false}, "container's root"},
      {{"/\xff", "/x", false}, "not valid UTF-8"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    axo_run_spec_t spec = minimal();
    spec.mounts = &cases[i].mount;
    spec.mount_count = 1;
    run_refused(&spec, UV_EINVAL, cases[i].says);
  }
}

static void run_refuses_commands(void **state) {
  (void)state;
  static const char *const none[] = {NULL};
  static const char *const blank[] = {"", "x", NULL};
  static const char *const bytes[] = {"x", "\xed\xa0\x80", NULL};
  axo_run_spec_t spec = minimal();
  spec.command = NULL;
  run_refused(&spec, UV_EINVAL, "command is empty");
  spec.command = none;
  run_refused(&spec, UV_EINVAL, "command is empty");
  spec.command = blank;
  run_refused(&spec, UV_EINVAL, "command is empty");
  spec.command = bytes;
  run_refused(&spec, UV_EINVAL, "item 2 of the command is not UTF-8");
}

/* ---- what run refuses ---- */

static void run_refuses_strings(void **state) {
  (void)state;
  static const struct {
    size_t offset;
    const char *value;
    const char *says;
  } cases[] = {
#define FIELD(name) offsetof(axo_run_spec_t, name)
      {FIELD(name), NULL, "container name is missing"},
      {FIELD(name), "", "container name is missing"},
      {FIELD(name), "-x", "invalid container name"},
      {FIELD(name), "--privileged", "invalid container name"},
      {FIELD(name), ".x", "invalid container name"},
      {FIELD(name), "a b", "invalid container name"},
      {FIELD(name), "a/b", "invalid container name"},
      {FIELD(name), "a\n", "invalid container name: a?"},
      {FIELD(name), "\xc3\xa9", "invalid container name"},
      {FIELD(image), NULL, "empty"},
      {FIELD(image), "--privileged", "invalid image reference"},
      {FIELD(image), "-v/:/host", "invalid image reference"},
      {FIELD(image), "Alpine", "lower case"},
      {FIELD(workdir), "x", "workdir is not absolute"},
      {FIELD(workdir), "-x", "workdir is not absolute"},
      {FIELD(workdir), "", "workdir is missing"},
      {FIELD(workdir), "/a\nb", "holds a newline"},
      {FIELD(user), "-x", "invalid user"},
      {FIELD(user), "", "invalid user"},
      {FIELD(user), ":1", "invalid user"},
      {FIELD(user), "1:", "invalid user"},
      {FIELD(user), "1:-1", "invalid user"},
      {FIELD(user), "1:2:3", "invalid user"},
      {FIELD(user), "a b", "invalid user"},
      {FIELD(network), "host", "invalid network"},
      {FIELD(network), "", "invalid network"},
      {FIELD(network), "container:x", "invalid network"},
      {FIELD(network), "bridge:ip=1.2.3.4", "invalid network"},
      {FIELD(network), "--privileged", "invalid network"},
      {FIELD(runtime), "-x", "invalid OCI runtime"},
      {FIELD(runtime), "a/b", "invalid OCI runtime"},
      {FIELD(runtime), "", "OCI runtime is missing"},
      {FIELD(pull), "newer", "invalid pull policy"},
      {FIELD(pull), "", "invalid pull policy"},
      {FIELD(pidfile), "x", "pidfile is not absolute"},
      {FIELD(cidfile), "x", "cidfile is not absolute"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    axo_run_spec_t spec = full();
    memcpy((char *)&spec + cases[i].offset, &cases[i].value, sizeof cases[i].value);
    run_refused(&spec, UV_EINVAL, cases[i].says);
  }
}

static void run_name_length(void **state) {
  (void)state;
  char name[130];
  memset(name, 'a', sizeof name);
  name[129] = '\0';
  axo_run_spec_t spec = minimal();
  spec.name = name;
  run_refused(&spec, UV_EINVAL, "invalid container name");
  name[128] = '\0';
  axo_argv_free(run_ok(&spec));
}

static void run_refuses_pairs(void **state) {
  (void)state;
  static const axo_pair_t env[] = {
      {NULL, "x"}, {"", "x"},   {"1A", "x"},  {"A-B", "x"},  {"A=B", "x"}, {"A*", "x"},
      {"A", NULL}, {"-e", "x"}, {"A B", "x"}, {"A", "\xff"}, {"A\n", "x"}};
  static const axo_pair_t labels[] = {{NULL, "x"},  {"", "x"},        {"A", "x"},
                                      {".a", "x"},  {"a.", "x"},      {"-a", "x"},
                                      {"a=b", "x"}, {"a b", "x"},     {"a", "x\ny"},
                                      {"a", NULL},  {"a", "\xc0\x80"}};
  for (size_t i = 0; i < COUNT(env); i++) {
    axo_run_spec_t spec = minimal();
    spec.env = &env[i];
    spec.env_count = 1;
    run_refused(&spec, UV_EINVAL, "");
  }
  for (size_t i = 0; i < COUNT(labels); i++) {
    axo_run_spec_t spec = minimal();
    spec.labels = &labels[i];
    spec.label_count = 1;
    run_refused(&spec, UV_EINVAL, "");
  }
}

static void run_refuses_ports(void **state) {
  (void)state;
  static const axo_port_t ports[] = {
      {NULL, 1, 1},          {"", 1, 1},          {"localhost", 1, 1},
      {"1.2.3", 1, 1},       {"1.2.3.4:5", 1, 1}, {"[::1]", 1, 1},
      {"::1%lo", 1, 1},      {"127.0.0.1", 0, 1}, {"127.0.0.1", 1, 0},
      {"127.1", 1, 1},       {":::", 1, 1},       {"-p", 1, 1},
      {"127.0.0.1,x", 1, 1}, {"127.0.0.1 ", 1, 1}};
  for (size_t i = 0; i < COUNT(ports); i++) {
    axo_run_spec_t spec = minimal();
    spec.ports = &ports[i];
    spec.port_count = 1;
    run_refused(&spec, UV_EINVAL, "publish");
  }
}

static void run_refuses_limits(void **state) {
  (void)state;
  static const axo_ulimit_t ulimits[] = {{NULL, 1, 1},
                                         {"", 1, 1},
                                         {"NOFILE", 1, 1},
                                         {"nofile", 2, 1},
                                         {"no-file", 1, 1},
                                         {"nofile", UINT64_MAX, 1},
                                         {"nofile=1,nproc", 1, 1}};
  static const double cpus[] = {-1, 0.009, 65537, 1e300};
  for (size_t i = 0; i < COUNT(ulimits); i++) {
    axo_run_spec_t spec = minimal();
    spec.ulimits = &ulimits[i];
    spec.ulimit_count = 1;
    run_refused(&spec, UV_EINVAL, "ulimit");
  }
  axo_run_spec_t spec = minimal();
  for (size_t i = 0; i < COUNT(cpus); i++) {
    spec.cpus = cpus[i];
    run_refused(&spec, UV_EINVAL, "CPU limit");
  }
  spec.cpus = strtod("nan", NULL);
  run_refused(&spec, UV_EINVAL, "CPU limit");
  spec.cpus = 0;
  spec.pids = -1;
  run_refused(&spec, UV_EINVAL, "process limit");
  spec.pids = 0;
  spec.memory = (uint64_t)INT64_MAX + 1;
  run_refused(&spec, UV_EINVAL, "memory limit");
}

static void program_is_checked(void **state) {
  (void)state;
  static const char *const wrong[] = {NULL,         "",         "-x",
                                      "bin/podman", "./podman", "/a\nb"};
  axo_run_spec_t spec = minimal();
  axo_argv_t *argv = NULL;
  axo_err_t err;
  for (size_t i = 0; i < COUNT(wrong); i++) {
    assert_int_equal(axo_argv_run(wrong[i], &spec, &argv, &err), UV_EINVAL);
    assert_non_null(strstr(err.message, "the podman program"));
    assert_null(argv);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(run_refuses_mounts),  cmocka_unit_test(run_refuses_commands),
      cmocka_unit_test(run_refuses_strings), cmocka_unit_test(run_name_length),
      cmocka_unit_test(run_refuses_pairs),   cmocka_unit_test(run_refuses_ports),
      cmocka_unit_test(run_refuses_limits),  cmocka_unit_test(program_is_checked),
  };
  return cmocka_run_group_tests_name("argv: refusals", tests, make_profile_dir,
                                     remove_profile_dir);
}
