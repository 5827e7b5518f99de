#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "axo.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define HEX32 "0123456789abcdef0123456789abcdef"
#define SHA256 "sha256:" HEX32 HEX32

/* Parses, formats and parses again: what comes out is always a fixed point. */
static void expect_fixed_point(const axo_reference_t *ref) {
  char text[800];
  char again[800];
  axo_reference_t reparsed;
  axo_err_t err;
  assert_int_equal(axo_reference_format(ref, text, sizeof text), 0);
  if (axo_reference_parse(text, &reparsed, &err) != 0) {
    fail_msg("%s", err.message);
  }
  assert_string_equal(ref->registry, reparsed.registry);
  assert_string_equal(ref->repository, reparsed.repository);
  assert_string_equal(ref->tag, reparsed.tag);
  assert_string_equal(ref->digest, reparsed.digest);
  assert_int_equal(axo_reference_format(&reparsed, again, sizeof again), 0);
  assert_string_equal(text, again);
}

static const struct {
  const char *text;
  axo_reference_t ref;
} good[] = {
    {"alpine", {"docker.io", "library/alpine", "latest", ""}},
    {"alpine:3.20", {"docker.io", "library/alpine", "3.20", ""}},
    {"library/alpine", {"docker.io", "library/alpine", "latest", ""}},
    {"docker.io/alpine", {"docker.io", "library/alpine", "latest", ""}},
    {"docker.io/library/alpine", {"docker.io", "library/alpine", "latest", ""}},
    {"index.docker.io/alpine", {"docker.io", "library/alpine", "latest", ""}},
    {"DOCKER.IO/alpine", {"docker.io", "library/alpine", "latest", ""}},
    {"docker.io:443/alpine", {"docker.io:443", "alpine", "latest", ""}},
    {"team/app", {"docker.io", "team/app", "latest", ""}},
    {"a/b/c/d", {"docker.io", "a/b/c/d", "latest", ""}},
    {"quay.io/team/app:v1.2-3_x", {"quay.io", "team/app", "v1.2-3_x", ""}},
    {"Quay.IO/team/app", {"quay.io", "team/app", "latest", ""}},
    {"localhost/x", {"localhost", "x", "latest", ""}},
    {"LocalHost/x", {"localhost", "x", "latest", ""}},
    {"localhost", {"docker.io", "library/localhost", "latest", ""}},
    {"localhost:5000", {"docker.io", "library/localhost", "5000", ""}},
    {"localhost:5000/x", {"localhost:5000", "x", "latest", ""}},
    {"localhost:5000/x:5001", {"localhost:5000", "x", "5001", ""}},
    {"host:1/x", {"host:1", "x", "latest", ""}},
    {"host:65535/x", {"host:65535", "x", "latest", ""}},
    {"127.0.0.1:5000/a/b", {"127.0.0.1:5000", "a/b", "latest", ""}},
    {"[::1]/x", {"[::1]", "x", "latest", ""}},
    {"[2001:DB8::1]:5000/x:t", {"[2001:db8::1]:5000", "x", "t", ""}},
    {"a-b.example.com/x", {"a-b.example.com", "x", "latest", ""}},
    {"xn--n3h.com/x", {"xn--n3h.com", "x", "latest", ""}},
    {"x/a.b_c__d--e---f", {"docker.io", "x/a.b_c__d--e---f", "latest", ""}},
    {"alpine@" SHA256, {"docker.io", "library/alpine", "", SHA256}},
    {"alpine:3@" SHA256, {"docker.io", "library/alpine", "3", SHA256}},
    {"q.io/x@sha512:" HEX32 HEX32 HEX32 HEX32,
     {"q.io", "x", "", "sha512:" HEX32 HEX32 HEX32 HEX32}},
    {"x@a+b.C_d-e1:" HEX32, {"docker.io", "library/x", "", "a+b.C_d-e1:" HEX32}},
    {"x@md5:ABCDEFabcdef01230123456789012345",
     {"docker.io", "library/x", "", "md5:ABCDEFabcdef01230123456789012345"}},
    {"x:_.-", {"docker.io", "library/x", "_.-", ""}},
    {"0", {"docker.io", "library/0", "latest", ""}},
    {"7523c8a95eed", {"docker.io", "library/7523c8a95eed", "latest", ""}},
};

static void parses(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(good); i++) {
    axo_reference_t ref;
    axo_err_t err = {0};
    if (axo_reference_parse(good[i].text, &ref, &err) != 0) {
      fail_msg("%s", err.message);
    }
    assert_string_equal(ref.registry, good[i].ref.registry);
    assert_string_equal(ref.repository, good[i].ref.repository);
    assert_string_equal(ref.tag, good[i].ref.tag);
    assert_string_equal(ref.digest, good[i].ref.digest);
    assert_string_equal(err.message, "");
    expect_fixed_point(&ref);
  }
}

static const char *const bad[][2] = {
    {"", "empty"},
    {" ", "begin and end"},
    {" alpine", "begin and end"},
    {"alpine ", "may hold only"},
    {"al pine", "may hold only"},
    {"alpine\n", "may hold only"},
    {"-x", "begin and end"},
    {"--privileged", "begin and end"},
    {"Alpine", "lower case"},
    {"team/App", "lower case"},
    {"Team/app", "lower case"},
    {"q.io/Team/app", "lower case"},
    {"/alpine", "empty"},
    {"alpine/", "empty"},
    {"a//b", "empty"},
    {"q.io/", "empty"},
    {".alpine", "begin and end"},
    {"alpine.", "begin and end"},
    {"a..b", "begin and end"},
    {"a___b", "begin and end"},
    {"a._b", "begin and end"},
    {"a-_b", "begin and end"},
    {"a/-b", "begin and end"},
    {"caf\xc3\xa9", "may hold only"},
    {"alpine:", "tag"},
    {"alpine:-x", "tag"},
    {"alpine:.x", "tag"},
    {"alpine:a/b", "port"},
    {"alpine:a b", "tag"},
    {"alpine:a:b", "tag"},
    {"alpine@", "digest"},
    {"alpine@sha256", "digest"},
    {"alpine@sha256:", "32 hexadecimal"},
    {"alpine@:" HEX32, "digest"},
    {"alpine@sha256:" HEX32, "64, 96 or 128"},
    {"alpine@" SHA256 "0", "64, 96 or 128"},
    {"alpine@sha512:" HEX32 HEX32, "64, 96 or 128"},
    {"alpine@SHA256:" HEX32 HEX32, "64, 96 or 128"},
    {"alpine@sha256:" HEX32 "0123456789ABCDEF0123456789ABCDEF", "64, 96 or 128"},
    {"alpine@md5:0123456789abcdef0123456789abcde", "32 hexadecimal"},
    {"alpine@md5:" HEX32 "g", "32 hexadecimal"},
    {"alpine@1a:" HEX32, "digest"},
    {"alpine@a+:" HEX32, "digest"},
    {"alpine@a+-b:" HEX32, "digest"},
    {"alpine@" SHA256 "@" SHA256, "32 hexadecimal"},
    {"x@md5:" HEX32 HEX32 HEX32 HEX32 HEX32, "longer than 159"},
    {"docker://alpine", "transport"},
    {"oci:///x", "transport"},
    {HEX32 HEX32, "id"},
    {"host:0/x", "port"},
    {"host:065/x", "port"},
    {"host:65536/x", "port"},
    {"host:99999999999999999999/x", "port"},
    {"host:/x", "port"},
    {"host:1a/x", "port"},
    {"host.:1/x", "host name"},
    {".host/x", "host name"},
    {"-h.io/x", "host name"},
    {"h-.io/x", "host name"},
    {"h..io/x", "host name"},
    {"h_x.io/x", "host name"},
    {"[::1/x", "unclosed"},
    {"[]/x", "IPv6"},
    {"[:::]/x", "IPv6"},
    {"[::1%lo]/x", "IPv6"},
    {"[::1]5000/x", "port"},
    {"[::1]:/x", "port"},
    {"[localhost]/x", "IPv6"},
    {"h.io/x:t@", "digest"},
};

static void refuses(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(bad); i++) {
    axo_reference_t ref;
    axo_reference_t before;
    memset(&ref, 'x', sizeof ref);
    before = ref;
    axo_err_t err = {0};
    if (axo_reference_parse(bad[i][0], &ref, &err) != UV_EINVAL) {
      fail_msg("accepted: %s", bad[i][0]);
    }
    assert_memory_equal(&ref, &before, sizeof ref);
    assert_int_equal(err.code, UV_EINVAL);
    assert_true(err.hint[0] != '\0');
    if (!strstr(err.message, bad[i][1])) {
      fail_msg("%s: '%s' does not say '%s'", bad[i][0], err.message, bad[i][1]);
    }
    assert_int_equal(axo_reference_parse(bad[i][0], &ref, NULL), UV_EINVAL);
  }
  axo_reference_t ref;
  assert_int_equal(axo_reference_parse(NULL, &ref, NULL), UV_EINVAL);
}

static int parse_with(const char *prefix, size_t fill, const char *suffix,
                      axo_reference_t *ref) {
  size_t before = strlen(prefix);
  size_t after = strlen(suffix);
  char *text = malloc(before + fill + after + 1);
  assert_non_null(text);
  memcpy(text, prefix, before);
  memset(text + before, 'a', fill);
  memcpy(text + before + fill, suffix, after);
  text[before + fill + after] = '\0';
  int status = axo_reference_parse(text, ref, NULL);
  free(text);
  return status;
}

/* The limits are on the whole name, what normalising adds included. */
static void bounds(void **state) {
  (void)state;
  axo_reference_t ref;
  assert_int_equal(parse_with("q.io/", 250, "", &ref), 0);
  assert_int_equal(strlen(ref.registry) + 1 + strlen(ref.repository), 255);
  expect_fixed_point(&ref);
  assert_int_equal(parse_with("q.io/", 251, "", &ref), UV_EINVAL);
  assert_int_equal(parse_with("", 237, "", &ref), 0);
  assert_int_equal(strlen(ref.registry) + 1 + strlen(ref.repository), 255);
  expect_fixed_point(&ref);
  assert_int_equal(parse_with("", 238, "", &ref), UV_EINVAL);
  assert_int_equal(parse_with("", 255, ".io/x", &ref), UV_EINVAL);
  assert_int_equal(parse_with("", 250, ".io/", &ref), UV_EINVAL);
  assert_int_equal(parse_with("x:", 128, "", &ref), 0);
  assert_int_equal(strlen(ref.tag), 128);
  expect_fixed_point(&ref);
  assert_int_equal(parse_with("x:", 129, "", &ref), UV_EINVAL);
  assert_int_equal(parse_with("x@md5:", 155, "", &ref), 0);
  assert_int_equal(strlen(ref.digest), 159);
  expect_fixed_point(&ref);
  assert_int_equal(parse_with("x@md5:", 156, "", &ref), UV_EINVAL);
  assert_int_equal(parse_with("x@", 1000000, "", &ref), UV_EINVAL);
  assert_int_equal(parse_with("", 1000000, "", &ref), UV_EINVAL);
  assert_int_equal(parse_with("[", 1000000, "]/x", &ref), UV_EINVAL);
}

static void format_bounds(void **state) {
  (void)state;
  axo_reference_t ref;
  assert_int_equal(axo_reference_parse("alpine:3@" SHA256, &ref, NULL), 0);
  const char *text = "docker.io/library/alpine:3@" SHA256;
  char buf[800];
  size_t need = strlen(text) + 1;
  assert_int_equal(axo_reference_format(&ref, buf, need), 0);
  assert_string_equal(buf, text);
  assert_int_equal(axo_reference_format(&ref, buf, need - 1), UV_ENOBUFS);
  assert_int_equal(axo_reference_format(&ref, buf, 0), UV_ENOBUFS);
}

/* ---- at random ---- */

static unsigned seed = 4711;

static unsigned pick(unsigned n) {
  seed = seed * 1103515245u + 12345u;
  return (seed >> 16) % n;
}

static const char at_sha256[] = "@" SHA256;
static const char at_md5[] = "@md5:" HEX32;

static size_t append_random(char *text, size_t len, size_t size) {
  static const char *const pieces[] = {
      "a",  "b0", "Z", "/",  "/",   ":",          ".",        "_",     "__",  "-",
      "--", "@",  "[", "]",  "::1", "localhost",  "x.io",     ":5000", ":t1", at_sha256,
      "0",  "9",  " ", "\n", "%",   "docker.io/", "\xc3\xa9", at_md5,  "//",  "../"};
  const char *piece = pieces[pick(COUNT(pieces))];
  size_t n = strlen(piece);
  if (len + n >= size) {
    return len;
  }
  memcpy(text + len, piece, n + 1);
  return len + n;
}

static void random_pieces(void **state) {
  (void)state;
  int accepted = 0;
  for (int round = 0; round < 200000; round++) {
    char text[600] = "";
    size_t len = 0;
    for (unsigned n = 1 + pick(7); n > 0; n--) {
      len = append_random(text, len, sizeof text);
    }
    axo_reference_t ref;
    if (axo_reference_parse(text, &ref, NULL) == 0) {
      accepted++;
      assert_true(ref.registry[0] && ref.repository[0] &&
                  (ref.tag[0] || ref.digest[0]));
      expect_fixed_point(&ref);
    }
  }
  assert_true(accepted > 2000);
}

/* A valid name with any one byte changed is refused, or is again a fixed point. */
static void random_mutations(void **state) {
  (void)state;
  for (int round = 0; round < 100000; round++) {
    char text[600];
    const char *base = good[pick(COUNT(good))].text;
    size_t len = strlen(base);
    assert_true(len < sizeof text);
    memcpy(text, base, len + 1);
    text[pick((unsigned)len)] = (char)pick(256);
    axo_reference_t ref;
    if (axo_reference_parse(text, &ref, NULL) == 0) {
      expect_fixed_point(&ref);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parses),        cmocka_unit_test(refuses),
      cmocka_unit_test(bounds),        cmocka_unit_test(format_bounds),
      cmocka_unit_test(random_pieces), cmocka_unit_test(random_mutations),
  };
  return cmocka_run_group_tests_name("reference", tests, NULL, NULL);
}
