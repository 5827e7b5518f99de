/* The address and the route: everywhere is here. A program that connects to any address
 * finds a way, and what it sends meets the rules of rules.c. */
#include "netns.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

/* The kernel makes `lo` first in every network. */
#define LOOPBACK 1

enum {
  SEND = NLM_F_REQUEST | NLM_F_ACK,
  REPLACE = SEND | NLM_F_CREATE | NLM_F_REPLACE
};

static struct nlmsghdr *begin(void *at, uint16_t type, uint16_t flags,
                              unsigned number) {
  struct nlmsghdr *message = mnl_nlmsg_put_header(at);
  message->nlmsg_type = type;
  message->nlmsg_flags = flags;
  message->nlmsg_seq = number;
  return message;
}

static struct nlmsghdr *put_link(void *at) {
  struct nlmsghdr *message = begin(at, RTM_NEWLINK, SEND, 1);
  struct ifinfomsg *body = mnl_nlmsg_put_extra_header(message, sizeof *body);
  body->ifi_index = LOOPBACK;
  body->ifi_flags = body->ifi_change = IFF_UP;
  return message;
}

static struct nlmsghdr *put_address(void *at) {
  struct nlmsghdr *message = begin(at, RTM_NEWADDR, REPLACE, 2);
  struct ifaddrmsg *body = mnl_nlmsg_put_extra_header(message, sizeof *body);
  body->ifa_family = AF_INET;
  body->ifa_prefixlen = 32;
  body->ifa_scope = RT_SCOPE_UNIVERSE;
  body->ifa_index = LOOPBACK;
  mnl_attr_put_u32(message, IFA_LOCAL, htonl(OWN_ADDRESS));
  mnl_attr_put_u32(message, IFA_ADDRESS, htonl(OWN_ADDRESS));
  return message;
}

/* Of whole destinations there is no attribute: it is 0.0.0.0/0. */
static struct nlmsghdr *put_route(void *at) {
  struct nlmsghdr *message = begin(at, RTM_NEWROUTE, REPLACE, 3);
  struct rtmsg *body = mnl_nlmsg_put_extra_header(message, sizeof *body);
  body->rtm_family = AF_INET;
  body->rtm_table = RT_TABLE_LOCAL;
  body->rtm_protocol = RTPROT_STATIC;
  body->rtm_scope = RT_SCOPE_HOST;
  body->rtm_type = RTN_LOCAL;
  mnl_attr_put_u32(message, RTA_OIF, LOOPBACK);
  return message;
}

void route_replace(void) {
  struct nlmsghdr *(*const put[])(void *at) = {put_link, put_address, put_route};
  _Alignas(NLMSG_ALIGNTO) char buf[512] = {0};
  size_t len = 0;
  struct mnl_socket *socket = talk_open(NETLINK_ROUTE);
  for (size_t i = 0; i < sizeof put / sizeof *put; i++)
    /* cppcheck-suppress uninitvar */
    len += put[i](buf + len)->nlmsg_len;
  int error = talk(socket, buf, len, sizeof put / sizeof *put);
  if (error)
    fail(error, "cannot give the container an address and a route");
  mnl_socket_close(socket);
}
