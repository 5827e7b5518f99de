/* The host's end of a link, whose guest may say anything. The input is a list of turns:
 * the host starts, uses or closes something, or the guest sends a packet. Whatever
 * comes, each callback fires as often as axo.h says, no descriptor and no handle stays
 * open, and what the host sends is good for a guest. */
#include "fuzz_link.h"

#define THINGS 8

enum thing_kind { NOTHING, PROCESS, WORK, QUESTION };

/* Something that the host waits for. It ends exactly once. */
typedef struct thing {
  enum thing_kind kind;
  bool started, ended;
  axo_process_t *process;
  axo_work_t *work;
  axo_ring_t *ring; /* of the work, once there is one */
} thing_t;

static uv_loop_t loop;
static uv_timer_t ticker; /* a link does not keep the loop running: this does */

static axo_link_t *link_;
static int ups, downs;
static thing_t things[THINGS];
static size_t allowed;

/* ---- what the host hears --------------------------------------------------------- */

static void on_up(axo_link_t *link) {
  CHECK(link == link_ && axo_link_is_up(link));
  CHECK(++ups == 1 && downs == 0);
}

static void on_down(axo_link_t *link, const axo_err_t *why) {
  CHECK(link == link_ && !axo_link_is_up(link));
  CHECK(++downs == 1 && ups == 1);
  CHECK(why->code < 0 && why->message[0]);
  for (int i = 0; i < THINGS; i++) /* all that was in flight has been told so before */
    CHECK(things[i].kind != QUESTION);
}

static void on_new(axo_link_t *link, const char *name) {
  CHECK(link == link_ && strlen(name) <= AXO_NAME_MAX);
}

static void on_exit_(axo_process_t *p, const axo_process_result_t *r) {
  thing_t *t = axo_process_data(p);
  CHECK(t->kind == PROCESS && t->process == p);
  CHECK(!r->failure || (r->failure->code < 0 && r->failure->message[0]));
  *t = (thing_t){.kind = NOTHING};
}

static void on_started(axo_work_t *w, const axo_err_t *err) {
  thing_t *t = axo_work_data(w);
  CHECK(t->kind == WORK && t->work == w && !t->started && !t->ended);
  CHECK(!err || (err->code < 0 && err->message[0]));
  t->started = true;
  t->ended = err != NULL;
}

static void read_all(axo_ring_t *ring) {
  char buf[4096];
  uint64_t cursor = 0, dropped = 0, passed = 0;
  size_t n;
  for (int turn = 0; turn < 8; turn++) {
    n = axo_ring_read(ring, &cursor, buf, sizeof buf, &dropped);
    CHECK(n <= sizeof buf);
    passed += n;
    CHECK(passed + dropped == cursor);
  }
}

static void on_output(axo_work_t *w) {
  thing_t *t = axo_work_data(w);
  CHECK(t->kind == WORK && t->work == w && t->started);
  if (!t->ring)
    t->ring = axo_work_take_ring(w);
  if (!t->ring)
    return;
  CHECK(axo_ring_capacity(t->ring) <= AXO_RING_LIMIT);
  read_all(t->ring);
}

static void on_end(axo_work_t *w, const axo_work_end_t *end) {
  thing_t *t = axo_work_data(w);
  CHECK(t->kind == WORK && t->work == w && t->started && !t->ended);
  CHECK(!end->signal || end->code == -1);
  t->ended = true;
}

static void on_empty(axo_work_t *w) {
  const thing_t *t = axo_work_data(w);
  CHECK(t->kind == WORK && t->ended);
}

static void on_stuck(axo_work_t *w) {
  const thing_t *t = axo_work_data(w);
  CHECK(t->kind == WORK);
}

static void on_answer(void *data, const axo_answer_t *answer) {
  thing_t *t = data;
  static volatile uint8_t sum;
  const uint8_t *entries = answer->entries;
  CHECK(t->kind == QUESTION);
  for (size_t i = 0; i < (entries ? answer->count * sizeof(axo_entry_t) : 0); i++)
    sum = (uint8_t)(sum ^ entries[i]);
  CHECK(!answer->err || (answer->err->code < 0 && answer->err->message[0]));
  CHECK(!answer->err || (answer->fd == -1 && !entries));
  if (answer->fd >= 0)
    CHECK(close(answer->fd) == 0);
  *t = (thing_t){.kind = NOTHING};
}

/* ---- what the host does ---------------------------------------------------------- */

static thing_t *thing_new(enum thing_kind kind) {
  for (int i = 0; i < THINGS; i++)
    if (things[i].kind == NOTHING) {
      things[i] = (thing_t){.kind = kind};
      return &things[i];
    }
  return NULL;
}

static void settle(thing_t *t, int rc) {
  CHECK(rc <= 0);
  if (rc != 0)
    *t = (thing_t){.kind = NOTHING};
}

static axo_spawn_spec_t spec(axo_work_kind_t kind, uint8_t large) {
  static char arg[40000], *const argv[] = {"true", arg, NULL};
  size_t size = large ? sizeof arg - 1 : 3;
  memset(arg, 'x', size);
  arg[size] = 0;
  return (axo_spawn_spec_t){
      .kind = kind, .argv = argv, .name = kind == AXO_EXEC ? NULL : "name"};
}

static void host_exec(input_t *in) {
  axo_err_t err;
  thing_t *t = thing_new(PROCESS);
  if (!t)
    return;
  uint8_t how = draw8(in);
  axo_spawn_spec_t what = spec(AXO_EXEC, how & 1);
  axo_process_options_t options = {.data = t,
                                   .on_exit = on_exit_,
                                   .stdin_pipe = how & 2,
                                   .merge_stderr = how & 4,
                                   .drain_ms = 1,
                                   .grace_ms = 1,
                                   .timeout_ms = how & 8 ? 1 : 0};
  settle(t, axo_link_exec(link_, &what, &options, &t->process, &err));
}

static void host_work(input_t *in) {
  axo_err_t err;
  thing_t *t = thing_new(WORK);
  if (!t)
    return;
  uint8_t how = draw8(in);
  axo_work_options_t options = {.what = "the task",
                                .data = t,
                                .on_started = on_started,
                                .on_output = on_output,
                                .on_exit = on_end,
                                .on_empty = on_empty,
                                .on_stuck = on_stuck};
  axo_spawn_spec_t what = spec(how & 1 ? AXO_TASK : AXO_TERMINAL, how & 4);
  settle(t, how & 2 ? axo_work_attach(link_, "name", &options, &t->work, &err)
                    : axo_work_start(link_, &what, &options, &t->work, &err));
}

static void host_ask(input_t *in) {
  static const axo_file_request_t files[] = {
      {.op = AXO_FILE_OPEN, .path = "a/b"},
      {.op = AXO_FILE_RENAME, .path = "a", .to = "b"},
      {.op = AXO_FILE_MKDIR, .path = "c"},
  };
  axo_err_t err;
  thing_t *t = thing_new(QUESTION);
  if (!t)
    return;
  uint8_t what = draw8(in) % 9;
  if (what < 3)
    settle(t, axo_link_file(link_, &files[what], on_answer, t, &err));
  else if (what == 8)
    settle(t, axo_link_owner(link_, 7, on_answer, t, &err));
  else if (what >= 6)
    settle(t, axo_link_socket(link_, what == 6 ? AF_INET : AF_NETLINK, SOCK_DGRAM,
                              on_answer, t, &err));
  else if (what == 5)
    settle(t, axo_link_kill_all(link_, on_answer, t, &err));
  else
    settle(t, axo_link_list(link_, what == 3 ? "name" : NULL, on_answer, t, &err));
}

static void signal_(const thing_t *target, input_t *in) {
  uint8_t how = draw8(in);
  int number = how & 1 ? SIGKILL : SIGTERM;
  thing_t *t = how & 2 ? thing_new(QUESTION) : NULL;
  axo_answer_cb cb = t ? on_answer : NULL;
  int rc = target->kind == WORK
               ? axo_work_signal(target->work, number, how & 4, cb, t, NULL)
               : axo_link_exec_signal(target->process, number, how & 4, cb, t, NULL);
  if (t)
    settle(t, rc);
}

static void thing_close(thing_t *t) {
  if (t->kind == WORK)
    axo_work_close(t->work);
  else if (t->kind == PROCESS)
    axo_process_close(t->process);
  axo_ring_free(t->ring);
  t->ring = NULL;
  if (t->kind != QUESTION)
    *t = (thing_t){.kind = NOTHING};
}

static void host_use(input_t *in) {
  uint8_t what = draw8(in);
  thing_t *t = &things[what % THINGS];
  if (t->kind != WORK && t->kind != PROCESS)
    return;
  switch (what / THINGS % 6) {
  case 0:
    signal_(t, in);
    break;
  case 1:
    (void)(t->kind == WORK ? axo_work_write(t->work, "typed\n", 6)
                           : axo_process_write(t->process, "typed\n", 6));
    break;
  case 2:
    (void)(t->kind == WORK ? axo_work_resize(t->work, 10, 20)
                           : axo_process_close_stdin(t->process));
    break;
  case 3:
    if (t->kind == WORK)
      axo_work_hold(t->work, draw8(in) & 1);
    else
      axo_process_cancel(t->process);
    break;
  default:
    thing_close(t);
  }
}

/* ---- one input ------------------------------------------------------------------- */

static void run(void) {
  if (allowed != SIZE_MAX)
    fds_allow(allowed);
  uv_run(&loop, UV_RUN_NOWAIT);
  if (allowed != SIZE_MAX)
    fds_allow(SIZE_MAX);
  allowed = SIZE_MAX;
}

static void turn(input_t *in) {
  uint8_t how = draw8(in), op = how % 16;
  if (op == 0)
    host_exec(in);
  else if (op <= 2)
    host_work(in);
  else if (op == 3)
    host_ask(in);
  else if (op <= 5)
    host_use(in);
  else if (op == 6)
    guest_send_raw(in);
  else if (op == 7)
    allowed = draw8(in) % 4; /* this process is about to run out of descriptors */
  else if (op == 8 && draw8(in) & 1)
    guest_spoil_ring(in);
  else if (op == 8)
    guest_leave();
  else
    guest_send(in);
  if (op == 7)
    return;
  if (how < 0xc0) /* a guest may take its time */
    guest_read();
  run();
}

static void open_link(void) {
  int pair[2], small = 1;
  axo_link_options_t options = {.on_up = on_up, .on_down = on_down, .on_new = on_new};
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) ==
        0);
  /* So that what is sent must wait soon. */
  CHECK(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
  guest = pair[1];
  ring_fd = -1;
  ups = downs = 0;
  id_count = 0;
  allowed = SIZE_MAX;
  memset(ids, 0, sizeof ids);
  memset(things, 0, sizeof things);
  link_ = axo__link_new(&loop, &options);
  CHECK(link_ && axo__link_take_peer(link_, pair[0]));
}

static void hello(void) {
  struct {
    axo_packet_t head;
    axo_hello_t body;
  } packet = {{AXO_PROTO_VERSION, AXO_EV_HELLO, 0, sizeof(axo_hello_t), 15}, {1, 0}};
  CHECK(send_raw(guest, &packet, sizeof packet, NULL, 0));
  run();
  CHECK(ups == 1);
}

static void close_link(void) {
  axo_link_close(link_);
  for (int i = 0; i < THINGS; i++) {
    CHECK(things[i].kind != QUESTION);
    thing_close(&things[i]);
  }
  guest_leave();
  if (ring_fd >= 0)
    close(ring_fd);
  /* Nothing is left that could take time. */
  for (int i = 0; i < 8; i++)
    uv_run(&loop, UV_RUN_NOWAIT);
}

static void on_tick(uv_timer_t *timer) { (void)timer; }

static void set_up(void) {
  CHECK(uv_loop_init(&loop) == 0 && uv_timer_init(&loop, &ticker) == 0);
  CHECK(uv_timer_start(&ticker, on_tick, INT32_MAX, INT32_MAX) == 0);
  terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
}

static void count_handle(uv_handle_t *handle, void *data) {
  (void)handle;
  ++*(int *)data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static bool is_set_up, fds_before[FUZZ_FDS];
  static int handles_before;
  int handles = 0;
  input_t in = {data, size};
  if (!is_set_up) {
    set_up();
    uv_walk(&loop, count_handle, &handles_before);
    is_set_up = true;
  }
  fds_note(fds_before);
  open_link();
  if (!(draw8(&in) & 1))
    hello();
  while (in.left)
    turn(&in);
  close_link();
  uv_walk(&loop, count_handle, &handles);
  CHECK(handles == handles_before);
  fds_check(fds_before);
  return 0;
}
