/* What a rule consists of: what it looks at, then what it does. */
#include "expr.h"
#include "netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stddef.h>

/* In the header of IP. */
#define DESTINATION_ADDRESS 16

static struct nftnl_expr *add(struct nftnl_rule *rule, const char *name) {
  struct nftnl_expr *e = nftnl_expr_alloc(name);
  if (!e)
    fail(EOPNOTSUPP, "%s", name);
  nftnl_rule_add_expr(rule, e);
  return e;
}

/* ---- what it looks at ------------------------------------------------------------ */

/* What is at that place of a header, in the register. */
static void load(struct nftnl_rule *rule, uint32_t base, uint32_t offset,
                 uint32_t len) {
  struct nftnl_expr *e = add(rule, "payload");
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
}

/* Goes on only where the register has that, or not. */
static void compare(struct nftnl_rule *rule, uint32_t how, const void *value,
                    uint32_t len) {
  struct nftnl_expr *e = add(rule, "cmp");
  nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
  nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, how);
  nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, value, len);
}

void if_protocol(struct nftnl_rule *rule, uint8_t protocol) {
  struct nftnl_expr *e = add(rule, "meta");
  nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_L4PROTO);
  nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, NFT_REG_1);
  compare(rule, NFT_CMP_EQ, &protocol, sizeof protocol);
}

void if_port(struct nftnl_rule *rule, enum port_side side, bool is, uint16_t port) {
  uint16_t value = htons(port);
  load(rule, NFT_PAYLOAD_TRANSPORT_HEADER, side, sizeof value);
  compare(rule, is ? NFT_CMP_EQ : NFT_CMP_NEQ, &value, sizeof value);
}

void if_to_loopback(struct nftnl_rule *rule) {
  const uint8_t net = IN_LOOPBACKNET;
  load(rule, NFT_PAYLOAD_NETWORK_HEADER, DESTINATION_ADDRESS, sizeof net);
  compare(rule, NFT_CMP_EQ, &net, sizeof net);
}

void if_to_own_address(struct nftnl_rule *rule) {
  const uint32_t own = htonl(OWN_ADDRESS);
  load(rule, NFT_PAYLOAD_NETWORK_HEADER, DESTINATION_ADDRESS, sizeof own);
  compare(rule, NFT_CMP_EQ, &own, sizeof own);
}

void if_above_rate(struct nftnl_rule *rule, uint64_t a_second) {
  struct nftnl_expr *e = add(rule, "limit");
  nftnl_expr_set_u64(e, NFTNL_EXPR_LIMIT_RATE, a_second);
  nftnl_expr_set_u64(e, NFTNL_EXPR_LIMIT_UNIT, 1);
  nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_BURST, (uint32_t)a_second);
  nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
  nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_FLAGS, NFT_LIMIT_F_INV);
}

/* ---- what it does ---------------------------------------------------------------- */

static void verdict(struct nftnl_rule *rule, int value) {
  struct nftnl_expr *e = add(rule, "immediate");
  nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)value);
}

void leave_alone(struct nftnl_rule *rule) { verdict(rule, NFT_RETURN); }
void drop(struct nftnl_rule *rule) { verdict(rule, NF_DROP); }
void do_not_track(struct nftnl_rule *rule) { add(rule, "notrack"); }

void redirect(struct nftnl_rule *rule, uint16_t to) {
  struct nftnl_expr *e = add(rule, "immediate");
  uint16_t port = htons(to);
  nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
  nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, &port, sizeof port);
  e = add(rule, "redir");
  nftnl_expr_set_u32(e, NFTNL_EXPR_REDIR_REG_PROTO_MIN, NFT_REG_1);
}
