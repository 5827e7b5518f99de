/* The server name of a TLS ClientHello: whatever a client sends, nothing is read beyond
 * it, what is needed next is said, and a name is one. Its first byte says how the rest
 * comes: in pieces of so many bytes, each what was asked for at least. */
#include "axo.h"
#include "fuzz.h"

static axo_net_hello_t read_exact(const uint8_t *data, size_t len, char *name,
                                  size_t *need) {
  /* Of exactly its length, so that a look beyond its end is seen. */
  uint8_t *bytes = malloc(len ? len : 1);
  CHECK(bytes);
  if (len)
    memcpy(bytes, data, len);
  axo_net_hello_t kind = axo_net_hello_read(bytes, len, name, need);
  free(bytes);
  return kind;
}

static void check_name(axo_net_hello_t kind, const char *name) {
  CHECK(memchr(name, 0, AXO_NET_NAME_MAX));
  CHECK(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(name));
  CHECK(kind == AXO_NET_HELLO_TLS || !name[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char whole[AXO_NET_NAME_MAX], name[AXO_NET_NAME_MAX];
  size_t need, step = size ? data[0] : 0;
  if (size) {
    data++;
    size--;
  }
  axo_net_hello_t all = read_exact(data, size, whole, &need);
  check_name(all, whole);
  CHECK(all != AXO_NET_HELLO_MORE || (need > size && need <= AXO_NET_HELLO_MAX));
  /* Fewer bytes say the same, or that more are needed. */
  for (size_t len = 0; len <= size;) {
    axo_net_hello_t kind = read_exact(data, len, name, &need);
    check_name(kind, name);
    if (kind != AXO_NET_HELLO_MORE) {
      CHECK(kind == all && strcmp(name, whole) == 0);
      break;
    }
    CHECK(need > len && need <= AXO_NET_HELLO_MAX);
    len = need > len + step ? need : len + step;
  }
  return 0;
}
