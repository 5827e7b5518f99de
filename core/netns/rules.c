/* The rules: a table of nftables that is replaced as a whole, in one transaction. As
 * nft(8) would have them:
 *
 *     table ip axosandbox {
 *       chain first {
 *         type filter hook output priority raw; policy accept;
 *         udp dport 53 limit rate over 4000/second burst 4000 packets drop
 *         udp dport DNS_PORT limit rate over 4000/second burst 4000 packets drop
 *         tcp sport TCP_PORT return
 *         udp sport DNS_PORT return
 *         ip daddr 127.0.0.0/8 notrack
 *         meta l4proto tcp ip daddr 198.18.0.1 notrack
 *         udp dport != 53 notrack
 *       }
 *       chain output {
 *         type nat hook output priority dstnat; policy accept;
 *         ip daddr 127.0.0.0/8 return
 *         udp dport 53 redirect to :DNS_PORT
 *         meta l4proto tcp redirect to :TCP_PORT
 *       }
 *     }
 *
 * What is redirected must be tracked by the kernel, and its table has a bound for all
 * of the container: so its own traffic, of which there may be much, is not.
 */
#include "expr.h"
#include "netns.h"

#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#define TABLE "axosandbox"
#define DNS 53
/* Questions a second: many times what programs ask, and little of the host's time. */
#define QUESTIONS_MOST 4000

/* ---- before anything is tracked ---------------------------------------------------
 */

static void bound_questions(struct nftnl_rule *rule, const redirection_t *to) {
  (void)to;
  if_protocol(rule, IPPROTO_UDP);
  if_port(rule, DESTINATION_PORT, true, DNS);
  if_above_rate(rule, QUESTIONS_MOST);
  drop(rule);
}

static void bound_direct_questions(struct nftnl_rule *rule, const redirection_t *to) {
  if_protocol(rule, IPPROTO_UDP);
  if_port(rule, DESTINATION_PORT, true, to->dns_port);
  if_above_rate(rule, QUESTIONS_MOST);
  drop(rule);
}

/* What comes back to a program may go to 127.0.0.1, if that was bound to it. */
static void track_what_we_send(struct nftnl_rule *rule, const redirection_t *to) {
  if_protocol(rule, IPPROTO_TCP);
  if_port(rule, SOURCE_PORT, true, to->tcp_port);
  leave_alone(rule);
}

static void track_answers(struct nftnl_rule *rule, const redirection_t *to) {
  if_protocol(rule, IPPROTO_UDP);
  if_port(rule, SOURCE_PORT, true, to->dns_port);
  leave_alone(rule);
}

static void do_not_track_loopback(struct nftnl_rule *rule, const redirection_t *to) {
  (void)to;
  if_to_loopback(rule);
  do_not_track(rule);
}

static void do_not_track_own_address(struct nftnl_rule *rule, const redirection_t *to) {
  (void)to;
  if_protocol(rule, IPPROTO_TCP);
  if_to_own_address(rule);
  do_not_track(rule);
}

static void do_not_track_datagrams(struct nftnl_rule *rule, const redirection_t *to) {
  (void)to;
  if_protocol(rule, IPPROTO_UDP);
  if_port(rule, DESTINATION_PORT, false, DNS);
  do_not_track(rule);
}

/* ---- where it goes --------------------------------------------------------------- */

static void loopback_stays(struct nftnl_rule *rule, const redirection_t *to) {
  (void)to;
  if_to_loopback(rule);
  leave_alone(rule);
}

static void dns_is_ours(struct nftnl_rule *rule, const redirection_t *to) {
  if_protocol(rule, IPPROTO_UDP);
  if_port(rule, DESTINATION_PORT, true, DNS);
  redirect(rule, to->dns_port);
}

static void tcp_is_ours(struct nftnl_rule *rule, const redirection_t *to) {
  if_protocol(rule, IPPROTO_TCP);
  redirect(rule, to->tcp_port);
}

/* ---- all of them ----------------------------------------------------------------- */

typedef void (*fill_t)(struct nftnl_rule *rule, const redirection_t *to);

/* Priorities of linux/netfilter_ipv4.h: before tracking, and of destinations. */
typedef struct chain {
  const char *name, *type;
  int32_t priority;
  fill_t rules[8]; /* NULL ends them */
} chain_t;

static const chain_t chains[] = {
    {"first",
     "filter",
     -300,
     {bound_questions, bound_direct_questions, track_what_we_send, track_answers,
      do_not_track_loopback, do_not_track_own_address, do_not_track_datagrams}},
    {"output", "nat", -100, {loopback_stays, dns_is_ours, tcp_is_ours}},
};

typedef struct batch {
  struct mnl_nlmsg_batch *at;
  unsigned count; /* of messages that are answered */
} batch_t;

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

static void put_chain(batch_t *b, const chain_t *which) {
  struct nftnl_chain *chain = nftnl_chain_alloc();
  if (!chain)
    fail(ENOMEM, "chain");
  nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, TABLE);
  nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, which->name);
  nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, which->type);
  nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, NF_INET_LOCAL_OUT);
  nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, which->priority);
  nftnl_chain_nlmsg_build_payload(begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE), chain);
  nftnl_chain_free(chain);
  end(b);
}

static void put_rule(batch_t *b, const chain_t *chain, const redirection_t *to,
                     fill_t fill) {
  struct nftnl_rule *rule = nftnl_rule_alloc();
  if (!rule)
    fail(ENOMEM, "rule");
  nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, TABLE);
  nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain->name);
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
  for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
    put_chain(b, &chains[i]);
    for (const fill_t *rule = chains[i].rules; *rule; rule++)
      put_rule(b, &chains[i], to, *rule);
  }
}

void rules_replace(const redirection_t *to) {
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
