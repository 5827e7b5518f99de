/* What the kernel says of sockets, from somebody who is not the kernel. The input is
 * one datagram. */
#include "fuzz.h"
#include "net/diag_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  axo__diag_message_t message;
  uint8_t *exact = malloc(size ? size : 1);
  int rc;
  CHECK(exact);
  if (size)
    memcpy(exact, data, size);
  axo__diag_bytes_t in = {exact, size};
  size_t left = in.left;
  while ((rc = axo__diag_next(&in, &message)) > 0) {
    CHECK(in.left < left);
    left = in.left;
    if (message.kind == DIAG_ERROR)
      CHECK(message.error < 0);
    if (message.kind == DIAG_SOCKET)
      CHECK(strlen(message.socket.address) < AXO_ADDRESS_MAX &&
            strspn(message.socket.address, "0123456789abcdef.:") ==
                strlen(message.socket.address));
  }
  CHECK(rc == UV_EPROTO || (rc == 0 && in.left == 0));
  free(exact);
  return 0;
}
