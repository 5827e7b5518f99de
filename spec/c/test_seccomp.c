/* The profile of system calls: what it is made from, and what becomes of that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "axo.h"

static char dir[] = "/tmp/axotest-seccomp-XXXXXX";
static char conf[PATH_MAX], base[PATH_MAX];

static int make(void **state) {
  (void)state;
  if (!mkdtemp(dir))
    return -1;
  (void)snprintf(conf, sizeof conf, "%s/containers.conf", dir);
  (void)snprintf(base, sizeof base, "%s/base.json", dir);
  (void)unsetenv("CONTAINERS_CONF_OVERRIDE");
  return setenv("CONTAINERS_CONF", conf, 1);
}

static int end(void **state) {
  (void)state;
  (void)unlink(conf);
  (void)unlink(base);
  return rmdir(dir);
}

static void put(const char *path, const char *text) {
  FILE *file = fopen(path, "we");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(chmod(path, 0644), 0);
}

/* The base is what the settings name. */
static void use_base(const char *text) {
  char setting[PATH_MAX + 64];
  (void)snprintf(setting, sizeof setting, "[containers]\nseccomp_profile = \"%s\"\n",
                 base);
  put(conf, setting);
  put(base, text);
}

static json_t *profile(bool setuid_allowed, bool nested) {
  char *text = NULL;
  axo_err_t err = {0};
  if (axo_seccomp_profile(setuid_allowed, nested, &text, &err) != 0)
    fail_msg("%s (%s)", err.message, err.hint);
  json_t *found = json_loads(text, 0, NULL);
  free(text);
  assert_non_null(found);
  return found;
}

static void refused(const char *says) {
  char *text = NULL;
  axo_err_t err = {0};
  assert_true(axo_seccomp_profile(false, false, &text, &err) < 0);
  assert_null(text);
  assert_string_equal(err.op, "seccomp");
  if (!strstr(err.message, says))
    fail_msg("'%s' does not say '%s'", err.message, says);
}

static bool names(const json_t *rule, const char *call) {
  const json_t *list = json_object_get(rule, "names");
  for (size_t i = 0; i < json_array_size(list); i++)
    if (strcmp(json_string_value(json_array_get(list, i)), call) == 0)
      return true;
  return false;
}

/* How many rules name the call and have that action; all of them without one. */
static int rules(const json_t *found, const char *call, const char *action) {
  const json_t *list = json_object_get(found, "syscalls");
  int count = 0;
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *rule = json_array_get(list, i);
    const char *does = json_string_value(json_object_get(rule, "action"));
    count += names(rule, call) && (!action || strcmp(does, action) == 0);
  }
  return count;
}

#define ALLOW "SCMP_ACT_ALLOW"
#define ERRNO "SCMP_ACT_ERRNO"

static const char ordinary[] =
    "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,"
    "\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X32\"],"
    "\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":"
    "[\"SCMP_ARCH_X86\",\"SCMP_ARCH_X32\"]}],\"listenerPath\":\"/kept\",\"syscalls\":["
    "{\"name\":\"clone\",\"action\":\"SCMP_ACT_ALLOW\",\"args\":[]},"
    "{\"name\":\"read\",\"action\":\"SCMP_ACT_ALLOW\"},"
    "{\"names\":[\"mount\",\"write\",\"chmod\",\"socket\",\"keyctl\"],\"action\":"
    "\"SCMP_ACT_ALLOW\"},"
    "{\"names\":[\"keyctl\"],\"action\":\"SCMP_ACT_LOG\"},"
    "{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":22,"
    "\"args\":[{\"index\":0,\"value\":16,\"op\":\"SCMP_CMP_EQ\"}]}]}";

/* One unconditional rule that stayed would swallow all of ours. */
static void replaces_what_the_base_says(void **state) {
  (void)state;
  use_base(ordinary);
  json_t *found = profile(false, false);
  assert_int_equal(rules(found, "keyctl", NULL), 1);
  assert_int_equal(rules(found, "keyctl", ERRNO), 1);
  assert_int_equal(rules(found, "mount", ALLOW), 0);
  assert_int_equal(rules(found, "write", ALLOW), 1);
  assert_int_equal(rules(found, "clone", ERRNO), 7 + 7); /* a bit each, and on s390 */
  assert_int_equal(rules(found, "chmod", ALLOW), 1);
  assert_int_equal(rules(found, "chmod", ERRNO), 2);
  assert_string_equal(json_string_value(json_object_get(found, "listenerPath")),
                      "/kept");
  const json_t *list = json_object_get(found, "syscalls");
  assert_true(names(json_array_get(list, 0), "socketcall"));
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *rule = json_array_get(list, i);
    const json_t *one = json_object_get(rule, "name");
    if (one)
      assert_string_equal(json_string_value(one), "read");
  }
  json_decref(found);
}

/* runc leaves out rules that answer as the default does, and ours among them. */
static void answers_by_default_as_no_rule_of_ours(void **state) {
  (void)state;
  static const char *const bases[] = {
      "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[]}",
      "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,"
      "\"defaultErrno\":\"EPERM\",\"syscalls\":[]}"};
  for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
    use_base(bases[i]);
    json_t *found = profile(false, false);
    assert_int_equal(json_integer_value(json_object_get(found, "defaultErrnoRet")), 38);
    assert_string_equal(json_string_value(json_object_get(found, "defaultErrno")),
                        "ENOSYS");
    json_decref(found);
  }
}

static void allows_nothing_that_the_base_does_not(void **state) {
  (void)state;
  use_base(ordinary);
  json_t *found = profile(true, true);
  assert_int_equal(rules(found, "unshare", ALLOW), 0);
  assert_int_equal(rules(found, "pivot_root", ALLOW), 0);
  assert_int_equal(rules(found, "socketpair", ALLOW), 0);
  assert_int_equal(rules(found, "clone", ALLOW), 1);
  assert_int_equal(rules(found, "mount", ALLOW), 1);
  assert_int_equal(rules(found, "chmod", NULL), 1); /* as the base has it */
  json_decref(found);
}

/* How many rules allow the call where its arguments are these. */
static int allowed(const json_t *found, const char *call, uint64_t first,
                   uint64_t second, uint64_t third) {
  const uint64_t given[6] = {first, second, third};
  const json_t *list = json_object_get(found, "syscalls");
  int count = 0;
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *rule = json_array_get(list, i);
    const json_t *args = json_object_get(rule, "args");
    bool fits =
        names(rule, call) && strcmp(json_string_value(json_object_get(rule, "action")),
                                    "SCMP_ACT_ALLOW") == 0;
    for (size_t k = 0; fits && k < json_array_size(args); k++) {
      const json_t *arg = json_array_get(args, k);
      uint64_t at = given[json_integer_value(json_object_get(arg, "index"))];
      uint64_t one = (uint64_t)json_integer_value(json_object_get(arg, "value"));
      uint64_t two = (uint64_t)json_integer_value(json_object_get(arg, "valueTwo"));
      const char *op = json_string_value(json_object_get(arg, "op"));
      fits = strcmp(op, "SCMP_CMP_EQ") == 0          ? at == one
             : strcmp(op, "SCMP_CMP_NE") == 0        ? at != one
             : strcmp(op, "SCMP_CMP_MASKED_EQ") == 0 ? (at & one) == two
                                                     : false;
    }
    count += fits;
  }
  return count;
}

#define BASE(rules) "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[" rules "]}"
#define ALLOWED_IF(call, args)                                                         \
  "{\"names\":[\"" call "\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[" args "]}"
#define ARG(index, value, op)                                                          \
  "{\"index\":" #index ",\"value\":" #value ",\"op\":\"SCMP_CMP_" op "\"}"
#define MASK(index, value, two)                                                        \
  "{\"index\":" #index ",\"value\":" #value ",\"valueTwo\":" #two                      \
  ",\"op\":\"SCMP_CMP_MASKED_EQ\"}"

/* What an administrator allows under a condition stays under it. */
static void keeps_the_conditions_of_the_base(void **state) {
  (void)state;
  static const char base_of_conditions[] =
      BASE(ALLOWED_IF("socket", ARG(0, 1, "EQ")) "," /* unix only */
           ALLOWED_IF("openat", MASK(2, 3, 0)) ","   /* to read */
           ALLOWED_IF("chmod", ARG(1, 420, "EQ")) "," ALLOWED_IF(
               "fchmod", ARG(0, 7, "EQ")) "," ALLOWED_IF("clone", ARG(0, 9, "GT")));
  use_base(base_of_conditions);
  json_t *found = profile(false, false);
  assert_int_equal(allowed(found, "socket", 1, 0, 0), 1);
  assert_int_equal(allowed(found, "socket", 2, 0, 0), 0);
  assert_int_equal(allowed(found, "socket", 16, 0, 0), 0);
  assert_true(allowed(found, "openat", 0, 0, 0) > 0);
  assert_int_equal(allowed(found, "openat", 0, 0, 1), 0); /* to write */
  assert_int_equal(allowed(found, "chmod", 0, 420, 0), 1);
  assert_int_equal(allowed(found, "chmod", 0, 493, 0), 0);
  assert_int_equal(allowed(found, "fchmod", 7, 493, 0), 1);
  assert_int_equal(allowed(found, "fchmod", 8, 493, 0), 0);
  assert_int_equal(allowed(found, "fchmod", 7, 2541, 0), 0); /* set-id */
  assert_int_equal(allowed(found, "clone", 17, 0, 0), 0);    /* both cannot be said */
  json_decref(found);
  use_base(BASE(ALLOWED_IF("socket", ARG(2, 9, "NE")) "," ALLOWED_IF(
      "socket", ARG(0, 16, "NE"))));
  found = profile(false, false);
  assert_int_equal(allowed(found, "socket", 1, 0, 9), 1);
  assert_int_equal(allowed(found, "socket", 16, 0, 0), 1);
  assert_int_equal(allowed(found, "socket", 16, 0, 9), 0);
  json_decref(found);
  use_base(BASE(ALLOWED_IF("socket", ARG(1, 1, "EQ")) "," ALLOWED_IF("socket", "")));
  found = profile(false, false);
  assert_int_equal(allowed(found, "socket", 2, 5, 0), 1);
  json_decref(found);
}

static void leaves_x32_out(void **state) {
  (void)state;
  use_base(ordinary);
  json_t *found = profile(false, false);
  char *text = json_dumps(found, 0);
  assert_null(strstr(text, "X32"));
  assert_non_null(strstr(text, "SCMP_ARCH_X86\""));
  free(text);
  json_decref(found);
}

/* The same condition with two answers starts no container. */
static void asks_no_question_twice(void **state) {
  (void)state;
  static const bool both[] = {false, true};
  put(conf, "");
  for (int i = 0; i < 4; i++) {
    json_t *found = profile(both[i & 1], both[i >> 1]);
    json_t *seen = json_object();
    const json_t *list = json_object_get(found, "syscalls");
    for (size_t at = 0; at < json_array_size(list); at++) {
      json_t *rule = json_array_get(list, at);
      const json_t *calls = json_object_get(rule, "names");
      if (json_array_size(calls) != 1)
        continue;
      json_t *question = json_pack("{s:O,s:O*,s:O*,s:O*}", "names", calls, "args",
                                   json_object_get(rule, "args"), "includes",
                                   json_object_get(rule, "includes"), "excludes",
                                   json_object_get(rule, "excludes"));
      char *key = json_dumps(question, JSON_SORT_KEYS);
      const char *did = json_string_value(json_object_get(seen, key));
      const char *does = json_string_value(json_object_get(rule, "action"));
      if (did && strcmp(did, does) != 0)
        fail_msg("%s: %s and %s", key, did, does);
      (void)json_object_set_new(seen, key, json_string(does));
      free(key);
      json_decref(question);
    }
    json_decref(seen);
    json_decref(found);
  }
}

static void refuses_what_is_no_floor(void **state) {
  (void)state;
  use_base("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[]}");
  refused("it allows what it does not name");
  use_base("{\"defaultAction\":\"SCMP_ACT_LOG\",\"syscalls\":[]}");
  refused("it allows what it does not name");
  use_base("{\"syscalls\":[]}");
  refused("it allows what it does not name");
  use_base("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[1]}");
  refused("no list of system calls");
  use_base("{\"defaultAction\":\"SCMP_ACT_ERRNO\"}");
  refused("no list of system calls");
  use_base("[]");
  refused("is no profile");
  use_base("{\"defaultAction\":");
  refused("is no profile");
  use_base("");
  refused("is no profile");
}

static void refuses_files_that_are_not_to_be_trusted(void **state) {
  (void)state;
  use_base(ordinary);
  assert_int_equal(chmod(base, 0666), 0);
  refused("others");
  assert_int_equal(chmod(base, 0644), 0);
  assert_int_equal(chmod(conf, 0646), 0);
  refused("others");
  assert_int_equal(chmod(conf, 0644), 0);
  assert_int_equal(unlink(base), 0);
  refused("no such file");
  assert_int_equal(mkfifo(base, 0600), 0);
  refused("invalid argument");
  assert_int_equal(unlink(base), 0);
  FILE *file = fopen(base, "we");
  assert_non_null(file);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(truncate(base, 64L * 1024 * 1024), 0);
  refused("too large");
}

static void found_by(const char *setting, const char *expected) {
  char path[PATH_MAX];
  axo_err_t err = {0};
  put(conf, setting);
  if (axo_seccomp_base(path, sizeof path, &err) != 0)
    fail_msg("%s: %s", setting, err.message);
  assert_string_equal(path, expected);
}

static void reads_the_settings(void **state) {
  (void)state;
  char usual[PATH_MAX];
  axo_err_t err = {0};
  assert_int_equal(setenv("CONTAINERS_CONF", "/dev/null", 1), 0);
  assert_int_equal(axo_seccomp_base(usual, sizeof usual, &err), 0);
  assert_int_equal(setenv("CONTAINERS_CONF", conf, 1), 0);
  found_by("", usual);
  found_by("[containers]\nseccomp_profile = \"/a/b.json\"\n", "/a/b.json");
  found_by(" [ containers ] # c\n\tseccomp_profile='/a\\b'", "/a\\b");
  found_by("[containers]\n\"seccomp_profile\"=\"/a\\\"b\\\\\"\n", "/a\"b\\");
  found_by("containers.seccomp_profile = \"/dotted\"\n[network]\n", "/dotted");
  found_by("[containers]\n#seccomp_profile = \"/a\"\n", usual);
  found_by("[engine]\nseccomp_profile = \"/a\"\n", usual);
  found_by("[containers.x]\nseccomp_profile = \"/a\"\n[containers]\n", usual);
  found_by("[containers]\nseccomp_profile_x = \"/a\"\n", usual);
  found_by("[containers]\nseccomp_profile = \"\"\n", usual);
  /* Nobody goes without. */
  found_by("[containers]\nseccomp_profile = \"unconfined\"\n", usual);
  found_by("[containers]\nseccomp_profile = \"/a\"\nseccomp_profile = \"/b\"", "/b");
}

static void refuses_settings_that_it_does_not_understand(void **state) {
  (void)state;
  put(conf, "[containers]\nseccomp_profile = /a\n");
  refused("not understood");
  put(conf, "[containers]\nseccomp_profile = \"/a\n");
  refused("not understood");
  put(conf, "[containers]\nseccomp_profile = \"\\u0041\"\n");
  refused("not understood");
  put(conf, "[containers]\nseccomp_profile = \"rel/ative\"\n");
  refused("rel/ative");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(replaces_what_the_base_says),
      cmocka_unit_test(answers_by_default_as_no_rule_of_ours),
      cmocka_unit_test(allows_nothing_that_the_base_does_not),
      cmocka_unit_test(keeps_the_conditions_of_the_base),
      cmocka_unit_test(leaves_x32_out),
      cmocka_unit_test(asks_no_question_twice),
      cmocka_unit_test(refuses_what_is_no_floor),
      cmocka_unit_test(refuses_files_that_are_not_to_be_trusted),
      cmocka_unit_test(reads_the_settings),
      cmocka_unit_test(refuses_settings_that_it_does_not_understand),
  };
  return cmocka_run_group_tests_name("seccomp", tests, make, end);
}
