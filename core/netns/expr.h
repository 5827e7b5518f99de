/* expr.h: what a rule consists of, in the order in which it is said. Each ends the
 * program when there is no memory. */
#ifndef AXO_EXPR_H
#define AXO_EXPR_H

#include <netinet/in.h> /* before what the kernel has of it */
#include <stdbool.h>
#include <stdint.h>

struct nftnl_rule;

/* Where the ports are in the headers of TCP and UDP. */
enum port_side { SOURCE_PORT = 0, DESTINATION_PORT = 2 };

/* What goes on only for some packets. */
void if_protocol(struct nftnl_rule *rule, uint8_t protocol);
void if_port(struct nftnl_rule *rule, enum port_side side, bool is, uint16_t port);
void if_to_loopback(struct nftnl_rule *rule);
void if_to_own_address(struct nftnl_rule *rule);
/* Of those that come here, those beyond so many a second. */
void if_above_rate(struct nftnl_rule *rule, uint64_t a_second);

/* What is done with them. */
void leave_alone(struct nftnl_rule *rule); /* by this chain */
void drop(struct nftnl_rule *rule);
void do_not_track(struct nftnl_rule *rule);
void redirect(struct nftnl_rule *rule, uint16_t port);

#endif
