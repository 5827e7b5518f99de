/* Requests with one answer: files, listings, emptying the session. */
#include "link_impl.h"
#include "link_spawn.h"
#include "process_util.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

typedef struct ask {
  axo__call_t call;
  uint8_t answer; /* the packet type that is a yes */
  axo_answer_cb cb;
  void *data;
  char what[128];
} ask_t;

static void on_packet(axo__call_t *call, axo__packet_t *packet) {
  ask_t *ask = AXO__CONTAINER_OF(call, ask_t, call);
  axo_answer_t answer = {.fd = -1};
  axo_err_t err;
  axo__call_end(call);
  if (!packet) {
    axo__err_set(&err, UV_ECONNRESET, "link", NULL, "%s: the guest has gone",
                 ask->what);
    answer.err = &err;
  } else if (packet->head.type == AXO_EV_FAILED) {
    axo__failed_error(packet->body, ask->what, &err);
    answer.err = &err;
  } else if (packet->head.type != ask->answer) {
    axo__err_set(&err, UV_EPROTO, "link", NULL, "%s: the guest answered something else",
                 ask->what);
    answer.err = &err;
  } else if (ask->answer == AXO_EV_OPENED) {
    answer.fd = packet->fds[0];
    packet->fds[0] = -1;
  } else if (ask->answer == AXO_EV_LISTED) {
    answer.entries = packet->body;
    answer.count = packet->head.length / sizeof(axo_entry_t);
  }
  ask->cb(ask->data, &answer);
  free(ask);
}

typedef struct request {
  uint8_t type;
  uint8_t answer;
  const void *body;
  size_t len;
  const char *what;
} request_t;

static int ask(axo_link_t *link, const request_t *r, axo_answer_cb cb, void *data,
               axo_err_t *err) {
  ask_t *a = calloc(1, sizeof *a);
  if (!a)
    return axo__err_set(err, UV_ENOMEM, "link", NULL, "out of memory");
  a->answer = r->answer;
  a->cb = cb;
  a->data = data;
  a->call.on_packet = on_packet;
  strncpy(a->what, r->what, sizeof a->what - 1);
  int rc = axo__link_send(link, &a->call,
                          &(axo__message_t){r->type, r->body, r->len, NULL, 0});
  if (rc != 0) {
    free(a);
    return axo__link_error(rc, err);
  }
  axo__call_hold(&a->call, true);
  return 0;
}

/* A fixed head, then strings with their NULs. */
static size_t pack(char *out, size_t size, const void *head, size_t head_len,
                   const char *first, const char *second) {
  size_t a = strlen(first) + 1, b = second ? strlen(second) + 1 : 0;
  if (head_len + a + b > size)
    return 0;
  memcpy(out, head, head_len);
  memcpy(out + head_len, first, a);
  if (second)
    memcpy(out + head_len + a, second, b);
  return head_len + a + b;
}

static int open_file(axo_link_t *link, const axo_file_request_t *file, axo_answer_cb cb,
                     void *data, axo_err_t *err) {
  char body[sizeof(axo_open_t) + PATH_MAX];
  axo_open_t head = {.flags = file->flags, .mode = file->mode};
  size_t len = pack(body, sizeof body, &head, sizeof head, file->path, NULL);
  if (len == 0)
    return axo__err_set(err, UV_ENAMETOOLONG, "open", NULL, "the path is too long");
  request_t r = {AXO_REQ_OPEN, AXO_EV_OPENED, body, len, file->path};
  return ask(link, &r, cb, data, err);
}

int axo_link_file(axo_link_t *link, const axo_file_request_t *file, axo_answer_cb cb,
                  void *data, axo_err_t *err) {
  char body[sizeof(axo_path_t) + PATH_MAX + PATH_MAX];
  if (file->op == AXO_FILE_OPEN)
    return open_file(link, file, cb, data, err);
  axo_path_t head = {.op = (uint32_t)file->op, .mode = file->mode};
  size_t len = pack(body, sizeof body, &head, sizeof head, file->path, file->to);
  if (len == 0)
    return axo__err_set(err, UV_ENAMETOOLONG, "path", NULL, "the path is too long");
  request_t r = {AXO_REQ_PATH, AXO_EV_DONE, body, len, file->path};
  return ask(link, &r, cb, data, err);
}

int axo_link_list(axo_link_t *link, axo_answer_cb cb, void *data, axo_err_t *err) {
  request_t r = {AXO_REQ_LIST, AXO_EV_LISTED, NULL, 0, "list"};
  return ask(link, &r, cb, data, err);
}

int axo_link_kill_all(axo_link_t *link, axo_answer_cb cb, void *data, axo_err_t *err) {
  request_t r = {AXO_REQ_KILL_ALL, AXO_EV_DONE, NULL, 0, "kill everything"};
  return ask(link, &r, cb, data, err);
}
