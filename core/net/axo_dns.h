/* axo_dns.h: what a program asks of DNS, and what it is answered. Part of axo_net.h. */
#ifndef AXO_DNS_H
#define AXO_DNS_H

#include "axo.h"

/* A name in text, without the dot at its end (RFC 1035, 2.3.4). */
#define AXO_DNS_NAME_MAX 253
/* The largest message that is read. */
#define AXO_DNS_QUERY_MAX 4096
/* The largest that is written: header, one question, one address. */
#define AXO_DNS_ANSWER_MAX 512

enum axo_dns_type { AXO_DNS_A = 1, AXO_DNS_AAAA = 28 }; /* RFC 1035, RFC 3596 */

enum axo_dns_rcode { /* RFC 1035, 4.1.1 */
                     AXO_DNS_NOERROR = 0,
                     AXO_DNS_FORMERR = 1,
                     AXO_DNS_SERVFAIL = 2,
                     AXO_DNS_NXDOMAIN = 3,
                     AXO_DNS_NOTIMP = 4,
                     AXO_DNS_REFUSED = 5
};

typedef struct axo_dns_query {
  char name[AXO_DNS_NAME_MAX + 1]; /* lower case, of [a-z0-9_-] and single dots */
  uint16_t type;
} axo_dns_query_t;

/* Reads one query: one question of class IN. EDNS's record may stand behind it, and is
 * not obeyed. Pure; takes time linear in `len`.
 * UV_EPROTO: no query at all, but an answer or less than a header; answer nothing.
 * UV_EINVAL: a malformed one (also: a compressed name, bytes after the end);
 * UV_ENOTSUP: another operation, class, number of questions, or a name that no host
 * has. Those two can be answered. */
AXO_EXTERN int axo_dns_query(const void *bytes, size_t len, axo_dns_query_t *out,
                             axo_err_t *err);

typedef struct axo_dns_answer {
  int rcode;           /* enum axo_dns_rcode */
  const char *address; /* IPv4, for who asks for A; others get no record. Or NULL */
  uint32_t ttl;        /* seconds */
} axo_dns_answer_t;

/* Writes the answer to the message `bytes` and its length into `*size`. The question is
 * given back as it came if it can be read, else none is. UV_EPROTO: as above;
 * UV_EINVAL: an address that is none, an rcode that is none of those, or an address for
 * a message that axo_dns_query refuses. */
AXO_EXTERN int axo_dns_answer(const void *bytes, size_t len,
                              const axo_dns_answer_t *answer,
                              uint8_t out[AXO_DNS_ANSWER_MAX], size_t *size,
                              axo_err_t *err);

#endif /* AXO_DNS_H */
