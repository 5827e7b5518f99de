/* "axo.guest_work": a task or a terminal that the guest runs. It outlives this process;
 * closing the userdata only lets go of it. */
#include "laxo.h"

enum {
  ON_STARTED = LAXO_UV_FIRST,
  ON_OUTPUT,
  ON_EMPTY,
  ON_STUCK,
  ON_DRAIN,
  LINK,
  USER_VALUES = LINK
};

typedef struct guest_work {
  laxo_work_t work;
  axo_work_t *handle; /* NULL: closed, or it never ran */
} guest_work_t;

static guest_work_t *check_work(lua_State *L) {
  return luaL_checkudata(L, 1, LAXO_GUEST_WORK);
}

/* ---- callbacks ------------------------------------------------------------------- */

typedef struct started_event {
  guest_work_t *self;
  const axo_err_t *err;
} started_event_t;

static int started_body(lua_State *L) {
  const started_event_t *event = lua_touserdata(L, 1);
  guest_work_t *self = event->self;
  bool has_callback = laxo_push_callback(L, &self->work, ON_STARTED);
  if (event->err != NULL) {
    axo_work_close(self->handle);
    self->handle = NULL;
    laxo_work_end(L, &self->work);
  }
  if (!has_callback)
    return 0;
  if (event->err != NULL) {
    laxo_push_error(L, event->err);
    lua_call(L, 1, 0);
    return 0;
  }
  lua_pushnil(L);
  laxo_push_ring(L, NULL);
  laxo_ring_t *box = lua_touserdata(L, -1);
  box->ring = axo_work_take_ring(self->handle);
  lua_call(L, 2, 0);
  return 0;
}

static void on_started(axo_work_t *handle, const axo_err_t *err) {
  guest_work_t *self = axo_work_data(handle);
  started_event_t event = {self, err};
  if (err == NULL)
    axo_work_hold(handle, false);
  laxo_protect(self->work.context, started_body, &event);
}

static int output_body(lua_State *L) {
  guest_work_t *self = lua_touserdata(L, 1);
  if (laxo_push_callback(L, &self->work, ON_OUTPUT))
    lua_call(L, 0, 0);
  return 0;
}

static void on_output(axo_work_t *handle) {
  guest_work_t *self = axo_work_data(handle);
  laxo_protect(self->work.context, output_body, self);
}

typedef struct end_event {
  guest_work_t *self;
  const axo_work_end_t *end;
} end_event_t;

static void push_end(lua_State *L, const axo_work_end_t *end) {
  lua_createtable(L, 0, 2);
  if (end->gone) {
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "gone");
  } else if (end->signal != 0) {
    laxo_push_signal(L, end->signal);
    lua_setfield(L, -2, "signal");
  } else {
    lua_pushinteger(L, end->code);
    lua_setfield(L, -2, "code");
  }
  lua_pushboolean(L, end->left);
  lua_setfield(L, -2, "left");
}

static void finish(lua_State *L, guest_work_t *self) {
  axo_work_close(self->handle);
  self->handle = NULL;
  laxo_work_end(L, &self->work);
}

static int end_body(lua_State *L) {
  const end_event_t *event = lua_touserdata(L, 1);
  guest_work_t *self = event->self;
  bool has_callback = laxo_push_callback(L, &self->work, LAXO_UV_ON_EXIT);
  if (!event->end->left)
    finish(L, self);
  if (!has_callback)
    return 0;
  push_end(L, event->end);
  lua_call(L, 1, 0);
  return 0;
}

static int empty_body(lua_State *L) {
  guest_work_t *self = lua_touserdata(L, 1);
  bool has_callback = laxo_push_callback(L, &self->work, ON_EMPTY);
  finish(L, self);
  if (has_callback)
    lua_call(L, 0, 0);
  return 0;
}

static void on_empty(axo_work_t *handle) {
  guest_work_t *self = axo_work_data(handle);
  laxo_protect(self->work.context, empty_body, self);
}

static int stuck_body(lua_State *L) {
  guest_work_t *self = lua_touserdata(L, 1);
  if (laxo_push_callback(L, &self->work, ON_STUCK))
    lua_call(L, 0, 0);
  return 0;
}

static void on_stuck(axo_work_t *handle) {
  guest_work_t *self = axo_work_data(handle);
  laxo_protect(self->work.context, stuck_body, self);
}

static int drain_body(lua_State *L) {
  guest_work_t *self = lua_touserdata(L, 1);
  if (laxo_push_callback(L, &self->work, ON_DRAIN))
    lua_call(L, 0, 0);
  return 0;
}

static void on_drain(axo_work_t *handle) {
  guest_work_t *self = axo_work_data(handle);
  laxo_protect(self->work.context, drain_body, self);
}

static void on_exit_(axo_work_t *handle, const axo_work_end_t *end) {
  guest_work_t *self = axo_work_data(handle);
  end_event_t event = {self, end};
  laxo_protect(self->work.context, end_body, &event);
}

/* ---- starting -------------------------------------------------------------------- */

typedef struct start_options {
  axo_spawn_spec_t spec;
  laxo_bytes_t input;
  bool stdin_pipe;
} start_options_t;

static const laxo_field_t fields[] = {
    LAXO_NEED("name", LAXO_STRING, offsetof(start_options_t, spec.name)),
    LAXO_KEY("env", LAXO_STRINGS, offsetof(start_options_t, spec.env)),
    LAXO_KEY("cwd", LAXO_STRING, offsetof(start_options_t, spec.cwd)),
    LAXO_KEY("user", LAXO_STRING, offsetof(start_options_t, spec.user)),
    LAXO_KEY("ring", LAXO_SIZE, offsetof(start_options_t, spec.ring)),
    LAXO_KEY("rows", LAXO_UINT16, offsetof(start_options_t, spec.rows)),
    LAXO_KEY("cols", LAXO_UINT16, offsetof(start_options_t, spec.cols)),
    LAXO_KEY("input", LAXO_BYTES, offsetof(start_options_t, input)),
    LAXO_KEY("stdin_pipe", LAXO_BOOL, offsetof(start_options_t, stdin_pipe)),
    LAXO_TAKEN("on_drain", LAXO_FUNCTION),
    LAXO_TAKEN("on_started", LAXO_FUNCTION),
    LAXO_TAKEN("on_output", LAXO_FUNCTION),
    LAXO_TAKEN("on_exit", LAXO_FUNCTION),
    LAXO_TAKEN("on_empty", LAXO_FUNCTION),
    LAXO_TAKEN("on_stuck", LAXO_FUNCTION),
};
static const laxo_shape_t shape = LAXO_SHAPE(fields, start_options_t);

static void let_go(laxo_work_t *work) {
  guest_work_t *self = (guest_work_t *)work;
  axo_work_t *handle = self->handle;
  self->handle = NULL;
  if (handle != NULL)
    axo_work_close(handle);
}

/* The userdata, with the callbacks of the options at `options`; pushed. */
static guest_work_t *new_work(lua_State *L, int options) {
  guest_work_t *self = laxo_work_new(L, sizeof *self, LAXO_GUEST_WORK, USER_VALUES);
  int index = lua_gettop(L);
  self->work.kill = let_go;
  laxo_work_take(L, index, ON_STARTED, options, "on_started");
  laxo_work_take(L, index, ON_OUTPUT, options, "on_output");
  laxo_work_take(L, index, LAXO_UV_ON_EXIT, options, "on_exit");
  laxo_work_take(L, index, ON_EMPTY, options, "on_empty");
  laxo_work_take(L, index, ON_STUCK, options, "on_stuck");
  laxo_work_take(L, index, ON_DRAIN, options, "on_drain");
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, index, LINK);
  return self;
}

static axo_work_options_t callbacks(guest_work_t *self) {
  return (axo_work_options_t){.what = "the command",
                              .data = self,
                              .on_started = on_started,
                              .on_output = on_output,
                              .on_exit = on_exit_,
                              .on_empty = on_empty,
                              .on_stuck = on_stuck,
                              .on_drain = on_drain};
}

/* Lets it run, or takes back what was begun. */
static int begun(lua_State *L, guest_work_t *self, int status, const axo_err_t *err) {
  if (status == 0)
    return 1;
  laxo_work_end(L, &self->work);
  return laxo_fail(L, err);
}

/* link:task(argv, options), link:terminal(argv, options) */
static int start(lua_State *L, axo_work_kind_t kind) {
  start_options_t given = {.spec.kind = kind};
  laxo_reader_t reader;
  axo_err_t err;
  axo_link_t *link = laxo_check_link(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  laxo_reader_init(L, &reader, "task");
  given.spec.argv = (char *const *)laxo_read_strings(&reader, 2, "task.argv");
  luaL_argcheck(L, given.spec.argv[0] != NULL, 2, "an argv is not empty");
  laxo_read(&reader, 3, &shape, &given);
  if (reader.err.code != 0)
    return laxo_fail(L, &reader.err);
  guest_work_t *self = new_work(L, 3);
  axo_work_options_t options = callbacks(self);
  options.input = given.input.data;
  options.input_len = given.input.len;
  options.stdin_pipe = given.stdin_pipe;
  laxo_work_begin(L, lua_gettop(L));
  int status = axo_work_start(link, &given.spec, &options, &self->handle, &err);
  return begun(L, self, status, &err);
}

int laxo_guest_task(lua_State *L) { return start(L, AXO_TASK); }
int laxo_guest_terminal(lua_State *L) { return start(L, AXO_TERMINAL); }

static const laxo_field_t attach_fields[] = {
    LAXO_TAKEN("on_started", LAXO_FUNCTION), LAXO_TAKEN("on_output", LAXO_FUNCTION),
    LAXO_TAKEN("on_exit", LAXO_FUNCTION),    LAXO_TAKEN("on_empty", LAXO_FUNCTION),
    LAXO_TAKEN("on_stuck", LAXO_FUNCTION),
};
static const laxo_shape_t attach_shape = LAXO_SHAPE(attach_fields, char);

/* link:attach(name, options) */
int laxo_guest_attach(lua_State *L) {
  laxo_reader_t reader;
  axo_err_t err;
  char nothing = 0;
  axo_link_t *link = laxo_check_link(L, 1);
  const char *name = laxo_check_text(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  laxo_reader_init(L, &reader, "attach");
  laxo_read(&reader, 3, &attach_shape, &nothing);
  guest_work_t *self = new_work(L, 3);
  axo_work_options_t options = callbacks(self);
  laxo_work_begin(L, lua_gettop(L));
  int status = axo_work_attach(link, name, &options, &self->handle, &err);
  return begun(L, self, status, &err);
}

/* ---- methods --------------------------------------------------------------------- */

static int succeed(lua_State *L, int status, const char *op) {
  if (status != 0)
    return laxo_fail_code(L, status, op, NULL);
  lua_pushboolean(L, true);
  return 1;
}

/* work:signal(name, tree, done?): done(err, count) */
static int work_signal(lua_State *L) {
  guest_work_t *self = check_work(L);
  int signum = laxo_check_signal(L, 2);
  bool tree = lua_toboolean(L, 3);
  axo_err_t err;
  if (self->handle == NULL)
    return laxo_fail_code(L, UV_ESRCH, "signal", "it has ended");
  if (lua_isnoneornil(L, 4)) {
    int status = axo_work_signal(self->handle, signum, tree, NULL, NULL, &err);
    return status == 0 ? succeed(L, 0, "signal") : laxo_fail(L, &err);
  }
  lua_getiuservalue(L, 1, LINK);
  laxo_ask_t *ask = laxo_ask_new(L, lua_gettop(L), 4, true);
  int status = axo_work_signal(self->handle, signum, tree, laxo_on_answer, ask, &err);
  return laxo_asked(L, ask, status, &err);
}

static int work_write(lua_State *L) {
  guest_work_t *self = check_work(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  if (self->handle == NULL)
    return laxo_fail_code(L, UV_EPIPE, "write", "it has ended");
  return succeed(L, axo_work_write(self->handle, bytes, len), "write");
}

static int work_close_stdin(lua_State *L) {
  guest_work_t *self = check_work(L);
  if (self->handle == NULL)
    return laxo_fail_code(L, UV_EPIPE, "close_stdin", "it has ended");
  return succeed(L, axo_work_close_stdin(self->handle), "close_stdin");
}

static int work_resize(lua_State *L) {
  guest_work_t *self = check_work(L);
  lua_Integer rows = luaL_checkinteger(L, 2), cols = luaL_checkinteger(L, 3);
  luaL_argcheck(L, rows > 0 && rows <= UINT16_MAX, 2, "1 to 65535");
  luaL_argcheck(L, cols > 0 && cols <= UINT16_MAX, 3, "1 to 65535");
  if (self->handle == NULL)
    return laxo_fail_code(L, UV_ESRCH, "resize", "it has ended");
  return succeed(L, axo_work_resize(self->handle, (uint16_t)rows, (uint16_t)cols),
                 "resize");
}

/* work:size(): rows and cols, or nothing when there is no terminal any more. */
static int work_size(lua_State *L) {
  const guest_work_t *self = check_work(L);
  uint16_t rows, cols;
  if (self->handle == NULL || axo_work_size(self->handle, &rows, &cols) != 0)
    return 0;
  lua_pushinteger(L, rows);
  lua_pushinteger(L, cols);
  return 2;
}

/* work:hold(flag): whether its end keeps the loop running. */
static int work_hold(lua_State *L) {
  guest_work_t *self = check_work(L);
  if (self->handle != NULL)
    axo_work_hold(self->handle, lua_toboolean(L, 2));
  return 0;
}

static int work_pid(lua_State *L) {
  const guest_work_t *self = check_work(L);
  lua_pushinteger(L, self->handle != NULL ? axo_work_pid(self->handle) : 0);
  return 1;
}

static int work_close(lua_State *L) {
  laxo_work_close(L, &check_work(L)->work);
  return 0;
}

static const luaL_Reg methods[] = {
    {"signal", work_signal}, {"write", work_write}, {"close_stdin", work_close_stdin},
    {"resize", work_resize}, {"size", work_size},   {"hold", work_hold},
    {"pid", work_pid},       {"close", work_close}, {NULL, NULL},
};

static const luaL_Reg meta[] = {
    {"__gc", work_close}, {"__close", work_close}, {NULL, NULL}};

void laxo_guest_work_register(lua_State *L) {
  laxo_metatable(L, LAXO_GUEST_WORK, methods, meta);
}
