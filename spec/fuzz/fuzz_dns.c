/* What a container asks of DNS: what is read is a name and nothing else, and each
 * answer fits, repeats the question and can be told from a query. The input is the
 * message. */
#include "axo.h"
#include "fuzz.h"

#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789_-."

static void check_name(const char *name) {
  size_t len = strlen(name);
  CHECK(len > 0 && len <= AXO_DNS_NAME_MAX);
  CHECK(strspn(name, HOST_CHARACTERS) == len);
  CHECK(name[0] != '.' && name[len - 1] != '.' && !strstr(name, ".."));
}

static void check_answer(const uint8_t *bytes, size_t len, bool is_read,
                         axo_dns_answer_t answer) {
  uint8_t out[AXO_DNS_ANSWER_MAX];
  axo_dns_query_t again;
  size_t size = 0;
  int rc = axo_dns_answer(bytes, len, &answer, out, &size, NULL);
  if (rc != 0) {
    CHECK(rc == UV_EPROTO || (rc == UV_EINVAL && answer.address && !is_read));
    return;
  }
  CHECK(size >= 12 && size <= sizeof out && (out[2] & 0x80));
  CHECK(out[5] == 0 ? size == 12
                    : memcmp(out + 12, bytes + 12, size - 12 - out[7] * 16u) == 0);
  CHECK(axo_dns_query(out, size, &again, NULL) == UV_EPROTO);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  axo_dns_query_t query;
  axo_err_t err;
  uint8_t *exact = malloc(size ? size : 1);
  CHECK(exact);
  if (size)
    memcpy(exact, data, size);
  int rc = axo_dns_query(exact, size, &query, &err);
  if (rc == 0)
    check_name(query.name);
  check_answer(exact, size, rc == 0, (axo_dns_answer_t){0, "198.18.0.2", 5});
  check_answer(exact, size, rc == 0, (axo_dns_answer_t){AXO_DNS_REFUSED, NULL, 0});
  free(exact);
  return 0;
}
