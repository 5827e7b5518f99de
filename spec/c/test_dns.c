/* Queries of DNS as resolvers send them, and as nobody should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "axo.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A message that is built from its front. */
typedef struct made {
  uint8_t bytes[5000];
  size_t len;
} made_t;

static void add(made_t *m, const void *bytes, size_t len) {
  assert_true(m->len + len <= sizeof m->bytes);
  memcpy(m->bytes + m->len, bytes, len);
  m->len += len;
}

static void add16(made_t *m, unsigned value) {
  uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
  add(m, bytes, 2);
}

static made_t header(unsigned flags, unsigned questions, unsigned additional) {
  made_t m = {.len = 0};
  add16(&m, 0x1234);
  add16(&m, flags);
  add16(&m, questions);
  add16(&m, 0);
  add16(&m, 0);
  add16(&m, additional);
  return m;
}

/* The labels of `name`, which are separated by '.'. */
static void add_name(made_t *m, const char *name) {
  while (*name) {
    size_t len = strcspn(name, ".");
    uint8_t length = (uint8_t)len;
    add(m, &length, 1);
    add(m, name, len);
    name += len + (name[len] == '.');
  }
  add(m, "", 1);
}

static void add_question(made_t *m, const char *name, unsigned type, unsigned class) {
  add_name(m, name);
  add16(m, type);
  add16(m, class);
}

static made_t query(const char *name, unsigned type) {
  made_t m = header(0x0100, 1, 0);
  add_question(&m, name, type, 1);
  return m;
}

static void add_opt(made_t *m, size_t len) {
  static const char zeros[600];
  add(m, "\0\0\x29\x10\0\0\0\x80\0", 9);
  add16(m, (unsigned)len);
  add(m, zeros, len);
}

/* From memory of exactly its size, so that a look beyond it is seen by the sanitiser
 * and by valgrind. */
static int read_query(const made_t *m, axo_dns_query_t *out) {
  axo_err_t err = {0};
  uint8_t *exact = malloc(m->len ? m->len : 1);
  assert_non_null(exact);
  memcpy(exact, m->bytes, m->len);
  int rc = axo_dns_query(exact, m->len, out, &err);
  free(exact);
  assert_int_equal(err.code, rc);
  assert_int_equal(err.message[0] != '\0', rc != 0);
  return rc;
}

static void expect_code(made_t m, int code) {
  axo_dns_query_t out, before;
  memset(&out, 'x', sizeof out);
  before = out;
  assert_int_equal(read_query(&m, &out), code);
  assert_memory_equal(&out, &before, sizeof out);
}

/* ---- reading --------------------------------------------------------------------- */

static void reads_a_name(void **state) {
  (void)state;
  axo_dns_query_t out;
  made_t m = query("API.Example_1-x.com", 28);
  assert_int_equal(read_query(&m, &out), 0);
  assert_string_equal(out.name, "api.example_1-x.com");
  assert_int_equal(out.type, AXO_DNS_AAAA);
}

static void tolerates_edns(void **state) {
  (void)state;
  axo_dns_query_t out;
  const size_t sizes[] = {0, 12, 512};
  for (size_t i = 0; i < COUNT(sizes); i++) {
    made_t m = header(0x0120, 1, 1);
    add_question(&m, "a.example", 1, 1);
    add_opt(&m, sizes[i]);
    assert_int_equal(read_query(&m, &out), 0);
    assert_string_equal(out.name, "a.example");
    m.len -= 1;
    expect_code(m, UV_EINVAL);
  }
}

/* Labels of 63, and text of 253 bytes in all, are the most. */
static void has_the_bounds_of_names(void **state) {
  (void)state;
  axo_dns_query_t out;
  char name[300];
  memset(name, 'a', sizeof name);
  name[63] = name[127] = name[191] = '.';
  name[253] = '\0';
  made_t m = query(name, 1);
  assert_int_equal(read_query(&m, &out), 0);
  assert_string_equal(out.name, name);
  name[253] = 'a';
  name[254] = '\0';
  expect_code(query(name, 1), UV_EINVAL);
  name[63] = 'a';
  name[64] = '\0';
  expect_code(query(name, 1), UV_EINVAL);
}

static void answers_no_answer(void **state) {
  (void)state;
  made_t m = query("a.example", 1);
  uint8_t out[AXO_DNS_ANSWER_MAX];
  size_t size;
  m.bytes[2] |= 0x80;
  expect_code(m, UV_EPROTO);
  assert_int_equal(
      axo_dns_answer(m.bytes, m.len, &(axo_dns_answer_t){0}, out, &size, NULL),
      UV_EPROTO);
  m = query("a.example", 1);
  for (m.len = 0; m.len < 12; m.len++)
    expect_code(m, UV_EPROTO);
  m.len = AXO_DNS_QUERY_MAX + 1;
  expect_code(m, UV_EPROTO);
}

static void refuses_what_is_cut(void **state) {
  (void)state;
  made_t whole = query("a.example", 1), m = whole;
  for (m.len = 12; m.len < whole.len; m.len++)
    expect_code(m, UV_EINVAL);
  m.len = whole.len + 1;
  expect_code(m, UV_EINVAL);
}

static void refuses_pointers(void **state) {
  (void)state;
  made_t m = header(0x0100, 1, 0);
  add(&m, "\1a\xc0\x0c\0\1\0\1", 8);
  expect_code(m, UV_EINVAL);
  m = header(0x0100, 1, 0);
  add(&m,
      "\x40"
      "a\0\0\1\0\1",
      7);
  expect_code(m, UV_EINVAL);
}

static void refuses_other_names(void **state) {
  (void)state;
  const char *const names[] = {"", "a b", "caf\xc3\xa9", "*.example", "a\n", "a/b"};
  for (size_t i = 0; i < COUNT(names); i++)
    expect_code(query(names[i], 1), UV_ENOTSUP);
  made_t m = header(0x0100, 1, 0);
  add(&m, "\5ok.ex\0\0\1\0\1", 11);
  expect_code(m, UV_ENOTSUP); /* one label with a dot is not two */
  m = header(0x0100, 1, 0);
  add(&m, "\3a\0b\0\0\1\0\1", 9);
  expect_code(m, UV_ENOTSUP);
}

static void refuses_other_questions(void **state) {
  (void)state;
  made_t m = header(0x0100, 2, 0);
  add_question(&m, "a.example", 1, 1);
  add_question(&m, "b.example", 1, 1);
  expect_code(m, UV_ENOTSUP);
  expect_code(header(0x0100, 0, 0), UV_ENOTSUP);
  m = header(0x0100, 1, 0);
  add_question(&m, "version.bind", 16, 3);
  expect_code(m, UV_ENOTSUP);
  m = header(0x2800, 1, 0); /* an update */
  add_question(&m, "a.example", 1, 1);
  expect_code(m, UV_ENOTSUP);
}

static void refuses_records_in_a_query(void **state) {
  (void)state;
  for (size_t i = 7; i <= 9; i += 2) {
    made_t m = query("a.example", 1);
    m.bytes[i] = 1;
    expect_code(m, UV_EINVAL);
  }
  made_t m = header(0x0100, 1, 2);
  add_question(&m, "a.example", 1, 1);
  add_opt(&m, 0);
  add_opt(&m, 0);
  expect_code(m, UV_EINVAL);
  m = header(0x0100, 1, 1);
  add_question(&m, "a.example", 1, 1);
  add(&m, "\0\0\xfa\0\1\0\0\0\0\0\0", 11); /* TSIG is no EDNS */
  expect_code(m, UV_EINVAL);
}

/* ---- answering ------------------------------------------------------------------- */

static size_t answer(const made_t *m, axo_dns_answer_t a,
                     uint8_t out[AXO_DNS_ANSWER_MAX]) {
  axo_err_t err = {0};
  size_t size = 0;
  memset(out, 0xee, AXO_DNS_ANSWER_MAX);
  if (axo_dns_answer(m->bytes, m->len, &a, out, &size, &err) != 0)
    fail_msg("%s", err.message);
  return size;
}

static void gives_an_address(void **state) {
  (void)state;
  uint8_t out[AXO_DNS_ANSWER_MAX];
  made_t m = query("A.exAmple", 1);
  size_t size = answer(&m, (axo_dns_answer_t){0, "198.18.0.2", 0x01020304}, out);
  static const uint8_t want[] = "\x12\x34\x81\x80\0\1\0\1\0\0\0\0"
                                "\1A\7exAmple\0\0\1\0\1"
                                "\xc0\x0c\0\1\0\1\1\2\3\4\0\4\xc6\x12\0\2";
  assert_int_equal(size, sizeof want - 1);
  assert_memory_equal(out, want, size);
}

static void gives_none_to_who_asks_for_another(void **state) {
  (void)state;
  uint8_t out[AXO_DNS_ANSWER_MAX];
  const unsigned types[] = {AXO_DNS_AAAA, 65, 255, 15};
  for (size_t i = 0; i < COUNT(types); i++) {
    made_t m = query("a.example", types[i]);
    assert_int_equal(answer(&m, (axo_dns_answer_t){0, "198.18.0.2", 5}, out), m.len);
    assert_memory_equal(out + 2, "\x81\x80\0\1\0\0", 6);
  }
}

/* EDNS is answered as by who knows nothing of it. */
static void refuses_in_words(void **state) {
  (void)state;
  uint8_t out[AXO_DNS_ANSWER_MAX];
  made_t m = header(0, 1, 1);
  add_question(&m, "a.example", 1, 1);
  size_t without = m.len;
  add_opt(&m, 100);
  for (int rcode = 0; rcode <= 5; rcode++) {
    assert_int_equal(answer(&m, (axo_dns_answer_t){rcode, NULL, 5}, out), without);
    assert_memory_equal(out, "\x12\x34\x80", 3);
    assert_int_equal(out[3], 0x80 | rcode);
    assert_memory_equal(out + 4, "\0\1\0\0\0\0\0\0\1a\7example\0\0\1\0\1", 23);
  }
}

/* What cannot be read is answered without a question: its asker need not wait. */
static void answers_what_is_malformed(void **state) {
  (void)state;
  uint8_t out[AXO_DNS_ANSWER_MAX];
  made_t m = header(0x0100, 1, 0);
  add(&m, "\1a\xc0\x0c\0\1\0\1", 8);
  assert_int_equal(answer(&m, (axo_dns_answer_t){AXO_DNS_FORMERR, NULL, 0}, out), 12);
  assert_memory_equal(out, "\x12\x34\x81\x81\0\0\0\0\0\0\0\0", 12);
  m = header(0x2900, 2, 0);
  assert_int_equal(answer(&m, (axo_dns_answer_t){AXO_DNS_NOTIMP, NULL, 0}, out), 12);
  assert_memory_equal(out, "\x12\x34\xa9\x84\0\0\0\0\0\0\0\0", 12);
}

static void writes_nothing_wrong(void **state) {
  (void)state;
  static const axo_dns_answer_t wrong[] = {
      {0, "198.18.0", 5}, {0, "::1", 5}, {AXO_DNS_NXDOMAIN, "198.18.0.2", 5},
      {6, NULL, 0},       {-1, NULL, 0},
  };
  uint8_t out[AXO_DNS_ANSWER_MAX];
  size_t size = 0;
  made_t m = query("a.example", 1);
  for (size_t i = 0; i < COUNT(wrong); i++)
    assert_int_equal(axo_dns_answer(m.bytes, m.len, &wrong[i], out, &size, NULL),
                     UV_EINVAL);
  m = query("a b", 1);
  axo_dns_answer_t address = {0, "198.18.0.2", 5};
  assert_int_equal(axo_dns_answer(m.bytes, m.len, &address, out, &size, NULL),
                   UV_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_a_name),
      cmocka_unit_test(tolerates_edns),
      cmocka_unit_test(has_the_bounds_of_names),
      cmocka_unit_test(answers_no_answer),
      cmocka_unit_test(refuses_what_is_cut),
      cmocka_unit_test(refuses_pointers),
      cmocka_unit_test(refuses_other_names),
      cmocka_unit_test(refuses_other_questions),
      cmocka_unit_test(refuses_records_in_a_query),
      cmocka_unit_test(gives_an_address),
      cmocka_unit_test(gives_none_to_who_asks_for_another),
      cmocka_unit_test(refuses_in_words),
      cmocka_unit_test(answers_what_is_malformed),
      cmocka_unit_test(writes_nothing_wrong),
  };
  return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
