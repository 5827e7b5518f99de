/* The server name of a TLS ClientHello (RFC 8446, 4.1.2; RFC 6066, 3), which may be cut
 * into records anyhow. */
#include "net/net_impl.h"

#include <string.h>

#define RECORD_HEAD 5
#define RECORD_MAX 16384
#define TYPE_FIRST 20 /* of records: RFC 8446, 5.1, and RFC 6520 */
#define TYPE_LAST 24
#define TYPE_HANDSHAKE 22
#define SSL2_LENGTH 0x80
#define TYPE_CLIENT_HELLO 1
#define HANDSHAKE_HEAD 4
#define EXTENSION_NAME 0
#define NAME_HOST 0

/* What is left to read of something; `ok` is false once there was too little. */
typedef struct part {
  const uint8_t *at;
  size_t left;
  bool ok;
} part_t;

static part_t cut(part_t *from, size_t len) {
  part_t part = {from->at, len, from->ok && len <= from->left};
  if (!part.ok) {
    from->ok = false;
    return (part_t){.ok = false};
  }
  from->at += len;
  from->left -= len;
  return part;
}

static size_t number(part_t *from, size_t bytes) {
  size_t value = 0;
  part_t part = cut(from, bytes);
  for (size_t i = 0; part.ok && i < bytes; i++)
    value = value << 8 | part.at[i];
  return value;
}

/* A part whose length, in so many bytes, stands before it. */
static part_t vector(part_t *from, size_t bytes) {
  size_t len = number(from, bytes);
  return cut(from, len);
}

/* ---- the name -------------------------------------------------------------------- */

static bool write_name(const part_t *host, char name[AXO_NET_NAME_MAX]) {
  if (host->left == 0 || host->left >= AXO_NET_NAME_MAX)
    return false;
  for (size_t i = 0; i < host->left; i++) {
    char c = (char)host->at[i];
    if (c >= 'A' && c <= 'Z')
      c = (char)(c - 'A' + 'a');
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
          c == '.'))
      return false;
    name[i] = c;
  }
  name[host->left] = '\0';
  return true;
}

/* A list of one: more of the same type are forbidden, and other types there are none.
 */
static bool read_names(part_t extension, char name[AXO_NET_NAME_MAX]) {
  part_t list = vector(&extension, 2);
  size_t type = number(&list, 1);
  part_t host = vector(&list, 2);
  return host.ok && type == NAME_HOST && list.left == 0 && extension.left == 0 &&
         write_name(&host, name);
}

static bool read_extensions(part_t list, char name[AXO_NET_NAME_MAX]) {
  bool has_name = false;
  while (list.ok && list.left > 0) {
    size_t type = number(&list, 2);
    part_t extension = vector(&list, 2);
    if (!extension.ok)
      return false;
    if (type != EXTENSION_NAME)
      continue;
    if (has_name || !read_names(extension, name))
      return false;
    has_name = true;
  }
  return list.ok;
}

/* Its body: version, random, session, ciphers, compression, and perhaps extensions. */
static bool read_hello(part_t hello, char name[AXO_NET_NAME_MAX]) {
  cut(&hello, 2 + 32);
  part_t session = vector(&hello, 1);
  part_t ciphers = vector(&hello, 2);
  part_t compression = vector(&hello, 1);
  if (!hello.ok || session.left > 32 || ciphers.left < 2 || ciphers.left % 2 != 0 ||
      compression.left < 1)
    return false;
  if (hello.left == 0)
    return true;
  part_t extensions = vector(&hello, 2);
  return extensions.ok && hello.left == 0 && read_extensions(extensions, name);
}

/* ---- the records ----------------------------------------------------------------- */

/* A handshake message that is put together from records. */
typedef struct message {
  uint8_t bytes[AXO_NET_HELLO_MAX];
  size_t len;
  size_t size; /* with its head; 0 while that is not all there */
} message_t;

static bool is_record(const uint8_t *head, size_t len) {
  return head[0] == TYPE_HANDSHAKE && (len < 2 || head[1] == 3);
}

/* False: it is no ClientHello, or one that is too long. */
static bool add(message_t *message, const uint8_t *bytes, size_t len) {
  if (len > sizeof message->bytes - message->len)
    return false;
  memcpy(message->bytes + message->len, bytes, len);
  message->len += len;
  if (message->len > 0 && message->bytes[0] != TYPE_CLIENT_HELLO)
    return false;
  if (message->len < HANDSHAKE_HEAD)
    return true;
  const uint8_t *head = message->bytes;
  message->size =
      HANDSHAKE_HEAD + ((size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3]);
  return message->size <= sizeof message->bytes;
}

/* `least`: what all of it takes at least. */
static axo_net_hello_t more(size_t at, size_t least, size_t *need) {
  *need = at;
  return least <= AXO_NET_HELLO_MAX ? AXO_NET_HELLO_MORE : AXO_NET_HELLO_OTHER;
}

static size_t wanted(const message_t *message) {
  return message->size != 0 ? message->size : HANDSHAKE_HEAD;
}

static axo_net_hello_t read_records(message_t *message, const uint8_t *bytes,
                                    size_t len, size_t *need) {
  for (size_t at = 0; message->size == 0 || message->len < message->size;) {
    size_t left = len - at, missing = wanted(message) - message->len;
    if (left > 0 && !is_record(bytes + at, left))
      return AXO_NET_HELLO_OTHER;
    if (left < RECORD_HEAD)
      return more(at + RECORD_HEAD, at + RECORD_HEAD + missing, need);
    size_t size = (size_t)bytes[at + 3] << 8 | bytes[at + 4];
    if (size == 0 || size > RECORD_MAX)
      return AXO_NET_HELLO_OTHER;
    size_t here = size < left - RECORD_HEAD ? size : left - RECORD_HEAD;
    if (!add(message, bytes + at + RECORD_HEAD, here))
      return AXO_NET_HELLO_OTHER;
    if (here < size && message->len < wanted(message)) {
      size_t end = len + wanted(message) - message->len;
      return more(end, end, need);
    }
    at += RECORD_HEAD + here;
  }
  return AXO_NET_HELLO_TLS;
}

/* Any type of record, since servers pass over some (a warning) before a hello and do
 * not look at each one's version; and the hello of SSL 2, whose first bit is set. */
static bool may_be_tls(const uint8_t *bytes, size_t len) {
  return len > 0 &&
         ((bytes[0] >= TYPE_FIRST && bytes[0] <= TYPE_LAST) || bytes[0] >= SSL2_LENGTH);
}

static axo_net_hello_t no_hello(const uint8_t *bytes, size_t len) {
  return may_be_tls(bytes, len) ? AXO_NET_HELLO_UNREADABLE : AXO_NET_HELLO_OTHER;
}

axo_net_hello_t axo_net_hello_read(const void *bytes, size_t len,
                                   char name[AXO_NET_NAME_MAX], size_t *need) {
  message_t message;
  message.len = message.size = 0;
  name[0] = '\0';
  *need = 0;
  if (len > AXO_NET_HELLO_MAX)
    len = AXO_NET_HELLO_MAX;
  axo_net_hello_t kind = read_records(&message, bytes, len, need);
  if (kind == AXO_NET_HELLO_OTHER)
    return no_hello(bytes, len);
  if (kind != AXO_NET_HELLO_TLS)
    return kind;
  part_t body = {message.bytes + HANDSHAKE_HEAD, message.size - HANDSHAKE_HEAD, true};
  if (read_hello(body, name))
    return AXO_NET_HELLO_TLS;
  name[0] = '\0';
  return AXO_NET_HELLO_UNREADABLE;
}
