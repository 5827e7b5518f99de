/* The server name of a ClientHello: what is read, and what is not taken for one. */
#include "axo.h"
#include "hello_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static char name[AXO_NET_NAME_MAX];
static size_t need;

/* From memory of exactly that length, so that a look beyond its end is seen. */
static axo_net_hello_t read_first(const hello_t *hello, size_t len) {
  uint8_t *exact = malloc(len ? len : 1);
  assert_non_null(exact);
  memcpy(exact, hello->bytes, len);
  axo_net_hello_t kind = axo_net_hello_read(exact, len, name, &need);
  free(exact);
  return kind;
}

static axo_net_hello_t read_all(hello_t hello) { return read_first(&hello, hello.len); }

static void reads_the_name(void **state) {
  (void)state;
  assert_int_equal(read_all(make_hello("api.Example.COM")), AXO_NET_HELLO_TLS);
  assert_string_equal(name, "api.example.com");
  assert_int_equal(read_all(make_hello("a_b-c.1")), AXO_NET_HELLO_TLS);
  assert_string_equal(name, "a_b-c.1");
}

static void knows_one_without_a_name(void **state) {
  (void)state;
  assert_int_equal(read_all(make_hello(NULL)), AXO_NET_HELLO_TLS);
  assert_string_equal(name, "");
}

/* However it is cut: more is needed until the last byte, and never more than is there.
 */
static void reads_it_cut_into_records(void **state) {
  (void)state;
  hello_t message = make_message("cut.example", 11, 300);
  for (size_t size = 1; size <= message.len + 1; size++) {
    hello_t hello = in_records(&message, size);
    for (size_t len = 0; len < hello.len; len++) {
      assert_int_equal(read_first(&hello, len), AXO_NET_HELLO_MORE);
      assert_true(need > len && need <= hello.len);
      assert_string_equal(name, "");
    }
    assert_int_equal(read_all(hello), AXO_NET_HELLO_TLS);
    assert_string_equal(name, "cut.example");
  }
}

/* Who waits for what is needed each time, looks a few times, not once for each byte. */
static void says_how_much_it_needs(void **state) {
  (void)state;
  hello_t message = make_message("long.example", 12, 9000);
  hello_t hello = in_records(&message, 16384);
  int looks = 1;
  for (size_t len = 0; read_first(&hello, len) == AXO_NET_HELLO_MORE; len = need)
    looks++;
  assert_string_equal(name, "long.example");
  assert_true(looks <= 4);
}

static void takes_nothing_else_for_one(void **state) {
  (void)state;
  static const char *const others[] = {"GET / HTTP/1.1\r\n",   "SSH-2.0-x\r\n",
                                       "\x16\x02\x01\x00\x10", "\x15\x03\x01\x00\x02",
                                       "\x16\x03\x01\x40\x01", "\x80\x2e\x01\x03\x01"};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    hello_t other = {.len = i < 2 ? strlen(others[i]) : 5};
    memcpy(other.bytes, others[i], other.len);
    assert_int_equal(read_all(other),
                     i < 2 ? AXO_NET_HELLO_OTHER : AXO_NET_HELLO_UNREADABLE);
  }
  hello_t server = make_hello("x.example");
  server.bytes[5] = 2; /* a ServerHello */
  assert_int_equal(read_all(server), AXO_NET_HELLO_UNREADABLE);
  hello_t empty = make_hello("x.example");
  empty.bytes[3] = empty.bytes[4] = 0; /* a record of no bytes */
  assert_int_equal(read_all(empty), AXO_NET_HELLO_UNREADABLE);
}

static axo_net_hello_t read_named(const char *text, size_t len) {
  hello_t message = make_message(text, len, 0);
  return read_all(in_records(&message, 16384));
}

static void refuses_what_is_no_name(void **state) {
  (void)state;
  char longest[AXO_NET_NAME_MAX];
  memset(longest, 'a', sizeof longest);
  assert_int_equal(read_named(longest, 253), AXO_NET_HELLO_TLS);
  assert_int_equal(strlen(name), 253);
  assert_int_equal(read_named(longest, 254), AXO_NET_HELLO_UNREADABLE);
  assert_int_equal(read_named("", 0), AXO_NET_HELLO_UNREADABLE);
  assert_int_equal(read_named("good.example\0.evil", 18), AXO_NET_HELLO_UNREADABLE);
  assert_int_equal(read_named("a b", 3), AXO_NET_HELLO_UNREADABLE);
  assert_int_equal(read_named("\xc3\xa4.example", 10), AXO_NET_HELLO_UNREADABLE);
  assert_string_equal(name, "");
}

/* Two names, in one list or in two: another reader might take the other. */
static void refuses_two_names(void **state) {
  (void)state;
  hello_t message = make_message("one.example", 11, 0);
  size_t at = message.len;
  put_name(&message, "two.example", 11);
  size_t added = message.len - at;
  message.bytes[3] = (uint8_t)(message.bytes[3] + added);
  message.bytes[4 + 2 + 32 + 1 + 2 + 2 + 2 + 1] += (uint8_t)added;
  assert_int_equal(read_all(in_records(&message, 16384)), AXO_NET_HELLO_UNREADABLE);
  message.bytes[at] = 0x5a; /* the second is something else: so it is this that is */
  assert_int_equal(read_all(in_records(&message, 16384)), AXO_NET_HELLO_TLS);
  message = make_message("one.example\0\0\x0btwo.example", 25, 0);
  size_t name_len_at = message.len - 25 - 2;
  message.bytes[name_len_at + 1] = 11;
  assert_int_equal(read_all(in_records(&message, 16384)), AXO_NET_HELLO_UNREADABLE);
}

/* Each byte of it changed, in each way: nothing is read beyond the end, and a name is
 * one. */
static void survives_any_change_of_a_byte(void **state) {
  (void)state;
  hello_t message = make_message("some.example", 12, 8);
  hello_t hello = in_records(&message, 60);
  for (size_t at = 0; at < hello.len; at++)
    for (int value = 0; value < 256; value++) {
      hello_t changed = hello;
      changed.bytes[at] = (uint8_t)value;
      if (read_all(changed) == AXO_NET_HELLO_MORE)
        assert_true(need > changed.len && need <= AXO_NET_HELLO_MAX);
      assert_true(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") ==
                  strlen(name));
    }
}

static void gives_up_on_one_that_is_too_long(void **state) {
  (void)state;
  hello_t message = make_message("x.example", 9, 16000);
  assert_int_equal(read_all(in_records(&message, 16000)), AXO_NET_HELLO_TLS);
  hello_t many = in_records(&message, 100); /* its heads make it too long */
  assert_true(many.len > AXO_NET_HELLO_MAX);
  assert_int_equal(read_all(many), AXO_NET_HELLO_UNREADABLE);
  message.bytes[1] = 1; /* says that it has 64 KiB more */
  hello_t begun = in_records(&message, 16000);
  assert_int_equal(read_first(&begun, 50), AXO_NET_HELLO_UNREADABLE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_the_name),
      cmocka_unit_test(knows_one_without_a_name),
      cmocka_unit_test(reads_it_cut_into_records),
      cmocka_unit_test(says_how_much_it_needs),
      cmocka_unit_test(takes_nothing_else_for_one),
      cmocka_unit_test(refuses_what_is_no_name),
      cmocka_unit_test(refuses_two_names),
      cmocka_unit_test(survives_any_change_of_a_byte),
      cmocka_unit_test(gives_up_on_one_that_is_too_long),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
