/* Messages of DNS as RFC 1035 has them. What asks is hostile: every length is checked
 * against the message's end, and no pointer is followed. */
#include "base/internal.h"

#include <string.h>

#define OP "dns"
#define HEADER 12
#define LABEL_MAX 63
#define WIRE_NAME_MAX 255 /* lengths and the empty label at the end included */
#define QUESTION_TAIL 4   /* type and class */
#define OPT_HEAD 11       /* the root's name, then type, class, TTL and length */

enum { CLASS_IN = 1, TYPE_OPT = 41 };

/* Bits of the header's third and fourth byte. */
enum { QR = 0x80, OPCODE = 0x78, TC = 0x02, RD = 0x01, RA = 0x80 };

typedef struct message {
  const uint8_t *at;
  size_t len;
} message_t;

static unsigned get16(const uint8_t *at) { return (unsigned)at[0] << 8 | at[1]; }

static void put16(uint8_t *at, unsigned value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static bool is_query(message_t m) {
  return m.len >= HEADER && m.len <= AXO_DNS_QUERY_MAX && !(m.at[2] & QR);
}

/* How many bytes the first question takes, or 0: it is cut, or its name is too long, or
 * goes on elsewhere. */
static size_t question_size(message_t m) {
  size_t at = HEADER;
  while (at < m.len && m.at[at] != 0) {
    if (m.at[at] > LABEL_MAX)
      return 0;
    at += 1 + (size_t)m.at[at];
  }
  size_t name = at + 1 - HEADER;
  if (name > WIRE_NAME_MAX || at + 1 + QUESTION_TAIL > m.len)
    return 0;
  return name + QUESTION_TAIL;
}

static char lower(uint8_t c) { return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c); }

static bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* The name of a question that question_size has measured, as text; false when it has
 * other characters (a dot within a label, too), or is the root. */
static bool read_name(const uint8_t *at, char out[AXO_DNS_NAME_MAX + 1]) {
  size_t len = 0;
  for (; *at != 0; at += 1 + *at) {
    if (len > 0)
      out[len++] = '.';
    for (size_t i = 1; i <= *at; i++) {
      out[len] = lower(at[i]);
      if (!is_host_character(out[len++]))
        return false;
    }
  }
  out[len] = '\0';
  return len > 0;
}

/* Behind the question: nothing, or one record of EDNS to the message's end. */
static bool ends_well(message_t m, size_t at) {
  if (get16(m.at + 10) == 0)
    return at == m.len;
  return get16(m.at + 10) == 1 && m.len - at >= OPT_HEAD && m.at[at] == 0 &&
         get16(m.at + at + 1) == TYPE_OPT &&
         get16(m.at + at + 9) == m.len - at - OPT_HEAD;
}

static int not_a_query(axo_err_t *err) {
  return axo__err_set(err, UV_EPROTO, OP, NULL, "this is no query of DNS");
}

static int unsupported(axo_err_t *err, const char *what) {
  return axo__err_set(err, UV_ENOTSUP, OP, NULL, "the query asks %s", what);
}

/* What is wrong with the header, if anything: 0 or what axo_dns_query returns. */
static int check_header(message_t m, axo_err_t *err) {
  if (!is_query(m))
    return not_a_query(err);
  if (m.at[2] & OPCODE)
    return unsupported(err, "for another operation than a look-up");
  if (get16(m.at + 4) != 1)
    return unsupported(err, "none, or more than one question");
  if ((m.at[2] & TC) || get16(m.at + 6) != 0 || get16(m.at + 8) != 0)
    return axo__err_set(err, UV_EINVAL, OP, NULL, "the query holds an answer");
  return 0;
}

int axo_dns_query(const void *bytes, size_t len, axo_dns_query_t *out, axo_err_t *err) {
  message_t m = {bytes, len};
  axo_dns_query_t query = {0};
  int rc = check_header(m, err);
  if (rc != 0)
    return rc;
  size_t size = question_size(m);
  if (size == 0 || !ends_well(m, HEADER + size))
    return axo__err_set(err, UV_EINVAL, OP, NULL, "the query is malformed");
  const uint8_t *tail = m.at + HEADER + size - QUESTION_TAIL;
  if (get16(tail + 2) != CLASS_IN)
    return unsupported(err, "of another class than IN");
  if (!read_name(m.at + HEADER, query.name))
    return unsupported(err, "for a name that no host has");
  query.type = (uint16_t)get16(tail);
  *out = query;
  return 0;
}

/* ---- answering ------------------------------------------------------------------- */

/* The one record: its name is the question's, by a pointer. */
static size_t put_address(uint8_t *at, const uint8_t address[4], uint32_t ttl) {
  put16(at, 0xc000 | HEADER);
  put16(at + 2, AXO_DNS_A);
  put16(at + 4, CLASS_IN);
  put16(at + 6, ttl >> 16);
  put16(at + 8, ttl & 0xffff);
  put16(at + 10, 4);
  memcpy(at + 12, address, 4);
  return 16;
}

/* Whether a record is to be written, and of which address. 0 or UV_EINVAL. */
static int choose_address(message_t m, const axo_dns_answer_t *answer,
                          uint8_t address[4], bool *has_address, axo_err_t *err) {
  axo_dns_query_t query = {0};
  *has_address = false;
  if (!answer->address)
    return 0;
  if (answer->rcode != AXO_DNS_NOERROR)
    return axo__err_set(err, UV_EINVAL, OP, NULL, "a refusal has no address");
  if (uv_inet_pton(AF_INET, answer->address, address) != 0)
    return axo__err_set(err, UV_EINVAL, OP, NULL, "not an IPv4 address: %s",
                        answer->address);
  if (axo_dns_query(m.at, m.len, &query, NULL) != 0)
    return axo__err_set(err, UV_EINVAL, OP, NULL, "a malformed query has no address");
  *has_address = query.type == AXO_DNS_A;
  return 0;
}

int axo_dns_answer(const void *bytes, size_t len, const axo_dns_answer_t *answer,
                   uint8_t out[AXO_DNS_ANSWER_MAX], size_t *size, axo_err_t *err) {
  message_t m = {bytes, len};
  uint8_t address[4];
  bool has_address;
  if (!is_query(m))
    return not_a_query(err);
  if (answer->rcode < AXO_DNS_NOERROR || answer->rcode > AXO_DNS_REFUSED)
    return axo__err_set(err, UV_EINVAL, OP, NULL, "no such rcode: %d", answer->rcode);
  int rc = choose_address(m, answer, address, &has_address, err);
  if (rc != 0)
    return rc;
  size_t question = get16(m.at + 4) == 1 ? question_size(m) : 0;
  memset(out, 0, HEADER);
  memcpy(out, m.at, 2); /* the id */
  out[2] = (uint8_t)(QR | (m.at[2] & (OPCODE | RD)));
  out[3] = (uint8_t)(RA | answer->rcode);
  put16(out + 4, question > 0);
  put16(out + 6, has_address);
  memcpy(out + HEADER, m.at + HEADER, question);
  *size = HEADER + question;
  if (has_address)
    *size += put_address(out + *size, address, answer->ttl);
  return 0;
}
