/* Errors in words, whatever the kernel or a guest may say. */
#include "base/internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void expect_words(int code, const char *name, const char *text) {
  char buf[AXO_CODE_TEXT_MAX];
  assert_string_equal(axo_code_name(code, buf, sizeof buf), name);
  assert_string_equal(axo_code_text(code, buf, sizeof buf), text);
}

static void knows_what_libuv_knows(void **state) {
  (void)state;
  expect_words(UV_ENOENT, "ENOENT", "no such file or directory");
  expect_words(UV_EOF, "EOF", "end of file");
}

static void knows_more(void **state) {
  (void)state;
  expect_words(-EDQUOT, "EDQUOT", "disk quota exceeded");
  expect_words(-ESTALE, "ESTALE", "stale file handle");
}

static void has_words_for_anything(void **state) {
  (void)state;
  expect_words(-4000, "E4000", "error 4000 of the system");
  expect_words(1234, "E1234", "error 1234 of the system");
  expect_words(-2147483647 - 1, "E2147483648", "error 2147483648 of the system");
}

static void every_code_has_a_name_for_programs(void **state) {
  (void)state;
  char name[AXO_CODE_TEXT_MAX], text[AXO_CODE_TEXT_MAX];
  for (int code = -4200; code < 0; code++) {
    axo_code_name(code, name, sizeof name);
    assert_true(strspn(name, "EABCDFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(name));
    assert_true(strlen(axo_code_text(code, text, sizeof text)) > 4);
  }
}

static void stays_within_its_buffer(void **state) {
  (void)state;
  char buf[8] = "xxxxxxx";
  axo_code_text(-4000, buf, 6);
  assert_string_equal(buf, "error");
  assert_int_equal(buf[6], 'x');
}

static void says_what_to_do(void **state) {
  (void)state;
  axo_err_t err;
  char name[AXO_MESSAGE_MAX * 2];
  assert_int_equal(axo__err_code(&err, UV_EMFILE, "open", "%s", "a file"), UV_EMFILE);
  assert_string_equal(err.message, "a file: too many open files");
  assert_non_null(strstr(err.hint, "ulimit -n"));
  static const int codes[] = {UV_ENOSPC, UV_EROFS, UV_ENOMEM, UV_ENFILE};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    assert_non_null(axo_code_hint(codes[i]));
  assert_null(axo_code_hint(UV_EINVAL));
  assert_int_equal(axo__err_code(NULL, UV_EIO, "open", "x"), UV_EIO);
  memset(name, 'n', sizeof name - 1);
  name[sizeof name - 1] = 0;
  axo__err_code(&err, UV_EIO, "open", "%s", name);
  assert_non_null(
      strstr(err.message, ": i/o error")); /* what happened is never cut off */
  assert_string_equal(err.hint, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(knows_what_libuv_knows),
      cmocka_unit_test(knows_more),
      cmocka_unit_test(has_words_for_anything),
      cmocka_unit_test(every_code_has_a_name_for_programs),
      cmocka_unit_test(stays_within_its_buffer),
      cmocka_unit_test(says_what_to_do),
  };
  return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
