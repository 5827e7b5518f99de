/* A foreground command that the guest runs: a process like any other to the rest of
 * core, whose pipes lead straight into the container. */
#include "link/link_impl.h"
#include "link/link_spawn.h"
#include "process/process_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The guest's side of one exec. */
typedef struct remote {
  axo__call_t call;
  uv_timer_t later; /* its close frees, when nothing on the stack uses this any more */
  axo_process_t *p; /* NULL once the process has finished */
  bool left;        /* something of the tree may still run */
  bool counting;    /* the guest has been asked how much of it does */
  bool closing;
} remote_t;

static void on_later(uv_handle_t *handle) {
  free(AXO__CONTAINER_OF(handle, remote_t, later));
}

/* What is left goes on: the guest takes what it writes from now on. */
static void remote_free(remote_t *r) {
  if (r->closing)
    return;
  r->closing = true;
  if (r->left)
    axo__link_forget(&r->call);
  axo__call_end(&r->call);
  if (!r->counting)
    uv_close((uv_handle_t *)&r->later, on_later);
}

static int send_signal(remote_t *r, int signum) {
  return axo__link_signal(&r->call, signum, true, NULL, NULL, NULL);
}

/* ---- what the guest says --------------------------------------------------------- */

/* Whatever wrote has ended: all that it wrote is there. */
static void on_empty(remote_t *r) {
  r->left = false;
  if (!r->p) {
    remote_free(r);
    return;
  }
  axo__process_take_rest(r->p);
  if (r->p) /* a callback may have closed it */
    axo__process_settle(r->p);
}

static void on_exited(remote_t *r, const axo_exited_t *body) {
  if (!r->p || r->p->exited)
    return;
  r->left = body->left != 0;
  axo__call_answered(&r->call);
  axo__call_hold(&r->call, r->left);
  if (!r->left)
    axo__process_take_rest(r->p);
  if (r->p)
    axo__process_ended(r->p, body->code, body->signal);
}

static void on_failed(remote_t *r, const axo_failed_t *body) {
  axo_process_t *p = r->p;
  if (!p)
    return;
  if (body == &axo__silence) {
    axo__failed_error(body, "exec", &p->failure);
    axo__process_give_up(p);
    return;
  }
  r->left = false;
  axo__failed_error(body, "exec", &p->failure);
  axo__process_ended(p, -1, 0);
}

/* It was killed for long, and some of it lives. */
static void on_stuck(remote_t *r) {
  if (r->p && !r->p->exited && r->p->phase == AXO__KILLED)
    axo__process_give_up(r->p);
}

static void on_gone(remote_t *r) {
  axo_process_t *p = r->p;
  r->left = false;
  if (!p) {
    remote_free(r);
    return;
  }
  if (!p->exited)
    axo__err_set(&p->failure, UV_ECONNRESET, "link", NULL,
                 "the guest has gone, and the command with it");
  axo__process_ended(p, -1, 0);
}

static void on_packet(axo__call_t *call, axo__packet_t *packet) {
  remote_t *r = AXO__CONTAINER_OF(call, remote_t, call);
  if (!packet)
    on_gone(r);
  else if (packet->head.type == AXO_EV_EXITED)
    on_exited(r, packet->body);
  else if (packet->head.type == AXO_EV_EMPTY)
    on_empty(r);
  else if (packet->head.type == AXO_EV_STUCK)
    on_stuck(r);
  else if (packet->head.type == AXO_EV_FAILED)
    on_failed(r, packet->body);
}

/* ---- a carrier of processes ------------------------------------------------------ */

static int carry_signal(axo_process_t *p, int signum) {
  return send_signal(p->remote, signum);
}

static void carry_killed(axo_process_t *p) {
  remote_t *r = p->remote;
  axo__call_expect_end(&r->call);
}

static bool carry_left(const axo_process_t *p) {
  const remote_t *r = p->remote;
  return r && r->left;
}

static void on_count(void *data, const axo_answer_t *answer) {
  remote_t *r = data;
  r->counting = false;
  if (r->closing) {
    uv_close((uv_handle_t *)&r->later, on_later);
    return;
  }
  if (!r->p)
    return;
  size_t count = answer->err ? answer->err->code != UV_ESRCH : answer->count;
  r->p->left_running = count < UINT_MAX ? (unsigned)count : UINT_MAX;
  axo__process_counted(r->p);
}

static bool carry_count(axo_process_t *p) {
  remote_t *r = p->remote;
  axo_err_t err;
  r->counting = axo__link_signal(&r->call, 0, true, on_count, r, &err) == 0;
  return r->counting;
}

static void carry_release(axo_process_t *p, bool ends) {
  remote_t *r = p->remote;
  p->remote = NULL;
  if (!r)
    return;
  r->p = NULL;
  axo__call_hold(&r->call, false);
  if (!p->exited || (ends && r->left))
    send_signal(r, SIGKILL);
  remote_free(r);
}

static const axo__carrier_t carrier = {carry_signal, carry_killed, carry_left,
                                       carry_count, carry_release};

uint64_t axo_link_exec_id(const axo_process_t *p) {
  const remote_t *r = p->remote;
  return r ? r->call.id : 0;
}

int axo_link_exec_signal(axo_process_t *p, int signum, bool tree, axo_answer_cb cb,
                         void *data, axo_err_t *err) {
  remote_t *r = p->remote;
  if (!r || p->exited)
    return axo__err_set(err, UV_ESRCH, "signal", NULL, "the command has ended");
  return axo__link_signal(&r->call, signum, tree, cb, data, err);
}

/* ---- starting -------------------------------------------------------------------- */

typedef struct start {
  axo_link_t *link;
  axo__body_t body;
} start_t;

/* The guest puts its own in the place of our /dev/null. */
static int null_input(axo_link_t *link) {
  if (link->null_fd < 0)
    link->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  return link->null_fd;
}

/* Whoever a command runs as may open its own /dev/stdout again. Only a guest that is
 * root can give it to its user. */
static void open_to_all(const axo_link_t *link, const int fds[3]) {
  for (int i = 0; axo_link_uid(link) != 0 && i < 3; i++)
    if (fds[i] >= 0)
      (void)fchmod(fds[i], 0666);
}

static int send_spawn(const start_t *s, remote_t *r, const int fds[3]) {
  int in = fds[0] >= 0 ? fds[0] : null_input(s->link);
  if (in < 0)
    return uv_translate_sys_error(errno);
  int ends[3] = {in, fds[1], fds[2] >= 0 ? fds[2] : fds[1]};
  axo__message_t message = {AXO_REQ_SPAWN, s->body.bytes, s->body.len, ends, 3};
  open_to_all(s->link, fds);
  return axo__link_send(s->link, &r->call, &message);
}

static int start_remote(axo_process_t *p, const int fds[3], void *data) {
  const start_t *s = data;
  remote_t *r = calloc(1, sizeof *r);
  if (!r)
    return UV_ENOMEM;
  uv_timer_init(axo__link_loop(s->link), &r->later);
  r->p = p;
  r->call.link = s->link;
  r->call.on_packet = on_packet;
  int rc = send_spawn(s, r, fds);
  if (rc != 0) {
    remote_free(r);
    return rc;
  }
  r->left = true;
  p->remote = r;
  p->carrier = &carrier;
  axo__call_hold(&r->call, true);
  return 0;
}

int axo_link_exec(axo_link_t *link, const axo_spawn_spec_t *spec,
                  const axo_process_options_t *options, axo_process_t **out,
                  axo_err_t *err) {
  start_t start = {.link = link};
  int rc = axo__spawn_body(spec, &start.body, err);
  if (rc != 0)
    return rc;
  rc = axo__process_start(axo__link_loop(link), options, start_remote, &start, out);
  free(start.body.bytes);
  return rc == 0 ? 0 : axo__link_error(rc, err);
}
