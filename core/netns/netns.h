/* axo-netns: gives a container whose network is off a network of names, from outside:
 * whatever it sends out by TCP, and to any DNS server, comes to two sockets of its
 * host.
 *
 *     axo-netns PID START TCP_PORT DNS_PORT
 *
 * One process for one container; see README.md. A file calls those below it:
 *
 * main.c    the arguments, and the order of what is done
 * enter.c   into the network of that process, with no other power than over it
 * rules.c   the rules that lead what is sent to the sockets
 * expr.c    what a rule consists of
 * route.c   the address and the route, by which it is sent at all
 * talk.c    netlink, and how to fail
 */
#ifndef AXO_NETNS_H
#define AXO_NETNS_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The exit statuses. Not offered: this host cannot do it for this container, whatever
 * is tried again; bindings/axosandbox/network/netns.lua knows of it. */
enum { EXIT_FAILED = 1, EXIT_NOT_OFFERED = 3 };

/* What the container has of its own, besides 127.0.0.1: with a global address, programs
 * ask for IPv4 addresses at all (AI_ADDRCONFIG). Of the range for benchmarks (RFC
 * 2544), which nobody on the internet has. */
#define OWN_ADDRESS UINT32_C(0xc6120001) /* 198.18.0.1 */

typedef struct redirection {
  uint16_t tcp_port; /* of 127.0.0.1 in the container */
  uint16_t dns_port;
} redirection_t;

/* ---- enter.c */

/* Joins the network of the process with that number, which began at `start` (field 22
 * of /proc/PID/stat), and gives up all power but over it. Ends the program when it
 * cannot. */
void enter(pid_t pid, uint64_t start);

/* ---- rules.c, route.c: each ends the program when it cannot */

/* In the place of the rules that there are, at once. */
void rules_replace(const redirection_t *to);
void route_replace(void);

/* ---- talk.c */

/* One line on stderr, and the end: EXIT_NOT_OFFERED when `error` (an errno, or 0) says
 * that the kernel does not have, or does not let us use, what was asked of it. */
_Noreturn void fail(int error, const char *what, ...)
    __attribute__((format(printf, 2, 3)));

struct mnl_socket *talk_open(int bus);
/* Sends what is in there, and waits until the kernel has said yes to `count` messages
 * that asked for it (NLM_F_ACK), numbered from 1. 0, or the errno of its no. */
int talk(struct mnl_socket *socket, const void *bytes, size_t len, unsigned count);

#endif
