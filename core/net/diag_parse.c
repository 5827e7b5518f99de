/* Reads what the kernel says of sockets, of which nothing is believed unmeasured. */
#include "net/diag_impl.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <string.h>

static bool is_mapped(const uint32_t address[4]) {
  return address[0] == 0 && address[1] == 0 && address[2] == htonl(0xffff);
}

static void write_address(uint8_t family, const uint32_t address[4],
                          char out[AXO_ADDRESS_MAX]) {
  const char *written = "";
  if (family == AF_INET)
    written = inet_ntop(AF_INET, address, out, AXO_ADDRESS_MAX);
  else if (is_mapped(address))
    written = inet_ntop(AF_INET, &address[3], out, AXO_ADDRESS_MAX);
  else
    written = inet_ntop(AF_INET6, address, out, AXO_ADDRESS_MAX);
  if (!written)
    out[0] = '\0';
}

static void read_attribute(const struct rtattr *attribute, const uint8_t *value,
                           axo_diag_socket_t *out) {
  if (attribute->rta_len != sizeof *attribute + 1)
    return;
  if (attribute->rta_type == INET_DIAG_PROTOCOL)
    out->protocol = *value;
  else if (attribute->rta_type == INET_DIAG_SKV6ONLY)
    out->ipv6_only = *value != 0;
}

static bool read_attributes(const uint8_t *at, size_t left, axo_diag_socket_t *out) {
  struct rtattr attribute;
  while (left >= sizeof attribute) {
    memcpy(&attribute, at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || attribute.rta_len > left)
      return false;
    read_attribute(&attribute, at + sizeof attribute, out);
    size_t step = RTA_ALIGN((size_t)attribute.rta_len);
    if (step > left)
      step = left;
    at += step;
    left -= step;
  }
  return left == 0;
}

static bool read_socket(const uint8_t *at, size_t len, axo_diag_socket_t *out) {
  struct inet_diag_msg m;
  if (len < sizeof m)
    return false;
  memcpy(&m, at, sizeof m);
  if (m.idiag_family != AF_INET && m.idiag_family != AF_INET6)
    return false;
  memset(out, 0, sizeof *out);
  write_address(m.idiag_family, m.id.idiag_src, out->address);
  write_address(m.idiag_family, m.id.idiag_dst, out->peer);
  out->port = ntohs(m.id.idiag_sport);
  out->peer_port = ntohs(m.id.idiag_dport);
  out->inode = m.idiag_inode;
  out->uid = m.idiag_uid;
  return read_attributes(at + sizeof m, len - sizeof m, out);
}

/* An acknowledgement is none of what was asked for: 0 counts as no message. */
static bool read_error(const uint8_t *at, size_t len, int *error) {
  int value;
  if (len < sizeof value)
    return false;
  memcpy(&value, at, sizeof value);
  *error = value;
  return value < 0 && value > -4096; /* MAX_ERRNO */
}

static bool read_body(uint16_t type, const uint8_t *at, size_t len,
                      axo__diag_message_t *out) {
  switch (type) {
  case NLMSG_DONE:
    out->kind = DIAG_DONE;
    return true;
  case NLMSG_ERROR:
    out->kind = DIAG_ERROR;
    return read_error(at, len, &out->error);
  case SOCK_DIAG_BY_FAMILY:
    out->kind = DIAG_SOCKET;
    return read_socket(at, len, &out->socket);
  default:
    out->kind = DIAG_OTHER;
    return true;
  }
}

int axo__diag_next(axo__diag_bytes_t *in, axo__diag_message_t *out) {
  struct nlmsghdr head;
  if (in->left == 0)
    return 0;
  if (in->left < sizeof head)
    return UV_EPROTO;
  memcpy(&head, in->at, sizeof head);
  if (head.nlmsg_len < sizeof head || head.nlmsg_len > in->left)
    return UV_EPROTO;
  out->sequence = head.nlmsg_seq;
  if (!read_body(head.nlmsg_type, in->at + sizeof head, head.nlmsg_len - sizeof head,
                 out))
    return UV_EPROTO;
  size_t step = NLMSG_ALIGN((size_t)head.nlmsg_len);
  if (step > in->left)
    step = in->left;
  in->at += step;
  in->left -= step;
  return 1;
}
