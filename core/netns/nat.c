/* The rules: a table of nftables that is replaced as a whole, in one transaction. As
 * nft(8) would have them:
 *
 *     table ip axosandbox {
 *       chain output {
 *         type nat hook output priority dstnat; policy accept;
 *         ip daddr 127.0.0.0/8 return
 *         udp dport 53 redirect to :DNS_PORT
 *         ip daddr 198.18.0.1 return
 *         meta l4proto tcp redirect to :TCP_PORT
 *       }
 *     }
 */
#include "netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>
#include <string.h>

#define TABLE "axosandbox"
#define CHAIN "output"
#define PRIORITY (-100) /* of the translation of destinations */
#define DNS 53
#define LOOPBACK_NET 127

/* In the headers of IP and UDP. */
enum { DESTINATION_ADDRESS = 16, DESTINATION_PORT = 2 };

typedef struct batch {
  struct mnl_nlmsg_batch *at;
  unsigned count; /* of messages that are answered */
} batch_t;

/* ---- expressions ----------------------------------------------------------------- */

static struct nftnl_expr *add(struct nftnl_rule *rule, const char *name) {
  struct nftnl_expr *e = nftnl_expr_alloc(name);
  if (!e)
    fail(ENOMEM, "%s", name);
  nftnl_rule_add_expr(rule, e);
  return e;
}

/* What is at that place of a header, in the register. */
static void load(struct nftnl_rule *rule, uint32_t base, uint32_t offset,
                 uint32_t len) {
  struct nftnl_expr *e = add(rule, "payload");
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
}

static void load_protocol(struct nftnl_rule *rule) {
  struct nftnl_expr *e = add(rule, "meta");
  nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_L4PROTO);
  nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

/* Goes on only where the register has that. */
static void expect(struct nftnl_rule *rule, const void *value, uint32_t len) {
  struct nftnl_expr *e = add(rule, "cmp");
  nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
  nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
  nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, value, len);
}

static void leave_alone(struct nftnl_rule *rule) {
  struct nftnl_expr *e = add(rule, "immediate");
  nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)NFT_RETURN);
}

static void redirect(struct nftnl_rule *rule, uint16_t to) {
  struct nftnl_expr *e = add(rule, "immediate");
  uint16_t port = htons(to);
  nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
  nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, &port, sizeof port);
  e = add(rule, "redir");
  nftnl_expr_set_u32(e, NFTNL_EXPR_REDIR_REG_PROTO_MIN, NFT_REG_1);
}

/* ---- rules ----------------------------------------------------------------------- */

static void loopback_stays(struct nftnl_rule *rule, const redirection_t *to) {
  static const uint8_t net = LOOPBACK_NET;
  (void)to;
  load(rule, NFT_PAYLOAD_NETWORK_HEADER, DESTINATION_ADDRESS, sizeof net);
  expect(rule, &net, sizeof net);
  leave_alone(rule);
}

static void expect_protocol(struct nftnl_rule *rule, uint8_t protocol) {
  load_protocol(rule);
  expect(rule, &protocol, sizeof protocol);
}

static void dns_is_ours(struct nftnl_rule *rule, const redirection_t *to) {
  const uint16_t port = htons(DNS);
  expect_protocol(rule, IPPROTO_UDP);
  load(rule, NFT_PAYLOAD_TRANSPORT_HEADER, DESTINATION_PORT, sizeof port);
  expect(rule, &port, sizeof port);
  redirect(rule, to->dns_port);
}

static void own_address_stays(struct nftnl_rule *rule, const redirection_t *to) {
  const uint32_t own = htonl(OWN_ADDRESS);
  (void)to;
  load(rule, NFT_PAYLOAD_NETWORK_HEADER, DESTINATION_ADDRESS, sizeof own);
  expect(rule, &own, sizeof own);
  leave_alone(rule);
}

static void tcp_is_ours(struct nftnl_rule *rule, const redirection_t *to) {
  expect_protocol(rule, IPPROTO_TCP);
  redirect(rule, to->tcp_port);
}

/* ---- the transaction ------------------------------------------------------------- */

static struct nlmsghdr *begin(batch_t *b, uint16_t type, uint16_t flags) {
  return nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(b->at), type, NFPROTO_IPV4,
                               flags | NLM_F_ACK, ++b->count);
}

static void end(batch_t *b) {
  if (!mnl_nlmsg_batch_next(b->at))
    fail(ENOBUFS, "too many rules");
}

static void put_table(batch_t *b, uint16_t type, uint16_t flags) {
  struct nftnl_table *table = nftnl_table_alloc();
  if (!table)
    fail(ENOMEM, "table");
  nftnl_table_set_str(table, NFTNL_TABLE_NAME, TABLE);
  nftnl_table_nlmsg_build_payload(begin(b, type, flags), table);
  nftnl_table_free(table);
  end(b);
}

static void put_chain(batch_t *b) {
  struct nftnl_chain *chain = nftnl_chain_alloc();
  if (!chain)
    fail(ENOMEM, "chain");
  nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, TABLE);
  nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, CHAIN);
  nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "nat");
  nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, NF_INET_LOCAL_OUT);
  nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, PRIORITY);
  nftnl_chain_nlmsg_build_payload(begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE), chain);
  nftnl_chain_free(chain);
  end(b);
}

static void put_rule(batch_t *b, const redirection_t *to,
                     void (*fill)(struct nftnl_rule *, const redirection_t *)) {
  struct nftnl_rule *rule = nftnl_rule_alloc();
  if (!rule)
    fail(ENOMEM, "rule");
  nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, TABLE);
  nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, CHAIN);
  fill(rule, to);
  nftnl_rule_nlmsg_build_payload(begin(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND),
                                 rule);
  nftnl_rule_free(rule);
  end(b);
}

/* Only a table that is there can be deleted: it is made first, whether it was or not.
 */
static void put_all(batch_t *b, const redirection_t *to) {
  put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
  put_table(b, NFT_MSG_DELTABLE, 0);
  put_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
  put_chain(b);
  put_rule(b, to, loopback_stays);
  put_rule(b, to, dns_is_ours);
  put_rule(b, to, own_address_stays);
  put_rule(b, to, tcp_is_ours);
}

void nat_replace(const redirection_t *to) {
  static _Alignas(NLMSG_ALIGNTO) char buf[32768];
  batch_t b = {.at = mnl_nlmsg_batch_start(buf, sizeof buf / 2)};
  if (!b.at)
    fail(ENOMEM, "batch");
  struct mnl_socket *socket = talk_open(NETLINK_NETFILTER);
  nftnl_batch_begin(mnl_nlmsg_batch_current(b.at), 0);
  end(&b);
  put_all(&b, to);
  nftnl_batch_end(mnl_nlmsg_batch_current(b.at), 0);
  end(&b);
  int error =
      talk(socket, mnl_nlmsg_batch_head(b.at), mnl_nlmsg_batch_size(b.at), b.count);
  if (error)
    fail(error, "the kernel takes no rules of nftables for the container's network");
  mnl_socket_close(socket);
  mnl_nlmsg_batch_stop(b.at);
}
