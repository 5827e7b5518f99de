/* core.spawn and "axo.process". */
#include "laxo.h"

#include <string.h>

enum {
  ON_OUTPUT = LAXO_UV_FIRST,
  ON_STDOUT,
  ON_STDERR,
  ON_DRAIN,
  ON_DEADLINE,
  LINK,
  USER_VALUES = LINK
};

typedef struct laxo_process {
  laxo_work_t work;
  axo_process_t *process; /* NULL once it has ended or was closed */
  int pid;
  uint64_t work_id; /* 0: a child of this process */
  bool splits;      /* on_stdout, on_stderr rather than on_output */
} laxo_process_t;

static laxo_process_t *check_process(lua_State *L) {
  return luaL_checkudata(L, 1, LAXO_PROCESS);
}

/* ---- callbacks ------------------------------------------------------------------- */

typedef struct output_event {
  laxo_process_t *self;
  int stream;
  const char *bytes;
  size_t len;
} output_event_t;

static int output_body(lua_State *L) {
  const output_event_t *event = lua_touserdata(L, 1);
  bool is_stdout = event->stream == AXO_STDOUT;
  bool splits = event->self->splits;
  int slot = !splits ? ON_OUTPUT : is_stdout ? ON_STDOUT : ON_STDERR;
  if (!laxo_push_callback(L, &event->self->work, slot))
    return 0;
  if (!splits)
    lua_pushstring(L, is_stdout ? "stdout" : "stderr");
  if (event->self->work.ring != NULL)
    lua_pushnil(L);
  else
    lua_pushlstring(L, event->bytes, event->len);
  lua_call(L, splits ? 1 : 2, 0);
  return 0;
}

static void on_output(axo_process_t *process, int stream, const char *bytes,
                      size_t len) {
  laxo_process_t *self = axo_process_data(process);
  output_event_t event = {self, stream, bytes, len};
  laxo_protect(self->work.context, output_body, &event);
}

static int call_slot(lua_State *L, int slot) {
  laxo_process_t *self = lua_touserdata(L, 1);
  if (laxo_push_callback(L, &self->work, slot))
    lua_call(L, 0, 0);
  return 0;
}

static int drain_body(lua_State *L) { return call_slot(L, ON_DRAIN); }

static void on_drain(axo_process_t *process) {
  laxo_process_t *self = axo_process_data(process);
  laxo_protect(self->work.context, drain_body, self);
}

static int deadline_body(lua_State *L) { return call_slot(L, ON_DEADLINE); }

static void on_deadline(axo_process_t *process) {
  laxo_process_t *self = axo_process_data(process);
  laxo_protect(self->work.context, deadline_body, self);
}

static void set_bytes(lua_State *L, const char *key, const char *bytes, size_t len) {
  lua_pushlstring(L, bytes != NULL ? bytes : "", bytes != NULL ? len : 0);
  lua_setfield(L, -2, key);
}

static void push_result(lua_State *L, const axo_process_result_t *result) {
  lua_createtable(L, 0, 15);
  if (result->signal != 0) {
    laxo_push_signal(L, result->signal);
    lua_setfield(L, -2, "signal");
  } else {
    lua_pushinteger(L, result->code);
    lua_setfield(L, -2, "code");
  }
  laxo_set_boolean(L, "timed_out", result->timed_out);
  laxo_set_boolean(L, "cancelled", result->cancelled);
  laxo_set_boolean(L, "limit_hit", result->limit_hit);
  laxo_set_boolean(L, "drain_cut", result->drain_cut);
  set_bytes(L, "stdout", result->out[0], result->out_len[0]);
  set_bytes(L, "stderr", result->out[1], result->out_len[1]);
  laxo_set_boolean(L, "stdout_truncated", result->truncated[0]);
  laxo_set_boolean(L, "stderr_truncated", result->truncated[1]);
  laxo_set_count(L, "stdout_total", result->total[0]);
  laxo_set_count(L, "stderr_total", result->total[1]);
  laxo_set_integer(L, "left_running", result->left_running);
  if (result->failure != NULL) {
    laxo_push_error(L, result->failure);
    lua_setfield(L, -2, "failure");
  }
  lua_pushnumber(L, (lua_Number)result->duration_us / 1e6);
  lua_setfield(L, -2, "duration");
}

typedef struct exit_event {
  laxo_process_t *self;
  const axo_process_result_t *result;
} exit_event_t;

/* The work ends before anything is allocated, so that it ends whatever fails later. */
static int exit_body(lua_State *L) {
  const exit_event_t *event = lua_touserdata(L, 1);
  bool has_callback = laxo_push_callback(L, &event->self->work, LAXO_UV_ON_EXIT);
  laxo_work_end(L, &event->self->work);
  if (!has_callback)
    return 0;
  push_result(L, event->result);
  lua_call(L, 1, 0);
  return 0;
}

static void on_exit_(axo_process_t *process, const axo_process_result_t *result) {
  laxo_process_t *self = axo_process_data(process);
  exit_event_t event = {self, result};
  self->process = NULL;
  laxo_protect(self->work.context, exit_body, &event);
}

/* ---- spawn ----------------------------------------------------------------------- */

typedef struct spawn_args {
  axo_process_options_t options;
  const char *on_limit;
  const char *user;
  laxo_bytes_t input;
} spawn_args_t;

#define OPTION(field) offsetof(spawn_args_t, options.field)

static const laxo_field_t fields[] = {
    LAXO_KEY("env", LAXO_STRINGS, OPTION(env)),
    LAXO_KEY("cwd", LAXO_STRING, OPTION(cwd)),
    LAXO_KEY("user", LAXO_STRING, offsetof(spawn_args_t, user)),
    LAXO_TAKEN("stdin", LAXO_ANY),
    LAXO_KEY("input", LAXO_BYTES, offsetof(spawn_args_t, input)),
    LAXO_KEY("timeout", LAXO_MS, OPTION(timeout_ms)),
    LAXO_KEY("grace", LAXO_BOUND, OPTION(grace_ms)),
    LAXO_KEY("max_output", LAXO_SIZE, OPTION(max_output)),
    LAXO_KEY("on_limit", LAXO_STRING, offsetof(spawn_args_t, on_limit)),
    LAXO_KEY("merge_stderr", LAXO_BOOL, OPTION(merge_stderr)),
    LAXO_TAKEN("ring", LAXO_ANY),
    LAXO_TAKEN("on_output", LAXO_FUNCTION),
    LAXO_TAKEN("on_stdout", LAXO_FUNCTION),
    LAXO_TAKEN("on_stderr", LAXO_FUNCTION),
    LAXO_TAKEN("on_drain", LAXO_FUNCTION),
    LAXO_TAKEN("on_deadline", LAXO_FUNCTION),
};
static const laxo_shape_t shape = LAXO_SHAPE(fields, spawn_args_t);

/* `stdin = "pipe"` keeps it open; any other string is what is written, as `input` is
 * whatever its bytes. */
static void read_stdin(lua_State *L, int index, spawn_args_t *args) {
  lua_pushliteral(L, "stdin");
  if (lua_rawget(L, index) != LUA_TNIL) {
    size_t len;
    if (lua_type(L, -1) != LUA_TSTRING)
      luaL_error(L, "spawn.stdin: expected \"pipe\" or bytes, got %s",
                 luaL_typename(L, -1));
    const char *bytes = lua_tolstring(L, -1, &len);
    args->options.stdin_pipe = true;
    if (strcmp(bytes, "pipe") == 0)
      args->options.input_more = true;
    else if (args->input.data != NULL)
      luaL_error(L, "spawn.stdin: give the bytes once, there or in 'input'");
    else
      args->input = (laxo_bytes_t){bytes, len};
  }
  lua_pop(L, 1);
  if (args->input.data != NULL)
    args->options.stdin_pipe = true;
  args->options.input = args->input.data;
  args->options.input_len = args->input.len;
}

static void read_on_limit(lua_State *L, spawn_args_t *args) {
  if (args->on_limit == NULL || strcmp(args->on_limit, "truncate") == 0)
    args->options.on_limit = AXO_LIMIT_TRUNCATE;
  else if (strcmp(args->on_limit, "kill") == 0)
    args->options.on_limit = AXO_LIMIT_KILL;
  else
    luaL_error(L, "spawn.on_limit: expected \"truncate\" or \"kill\", got \"%s\"",
               args->on_limit);
}

/* Moves callbacks and ring from the options at 2 into the userdata at `index`. */
static void take_callbacks(lua_State *L, int index, laxo_process_t *self,
                           axo_process_options_t *options) {
  bool whole = laxo_work_take(L, index, ON_OUTPUT, 2, "on_output");
  bool out = laxo_work_take(L, index, ON_STDOUT, 2, "on_stdout");
  bool err = laxo_work_take(L, index, ON_STDERR, 2, "on_stderr");
  if (whole && (out || err))
    luaL_error(L, "spawn: on_output takes both streams; give it or the others");
  self->splits = !whole;
  options->streams = (out ? AXO_STDOUT : 0) | (err ? AXO_STDERR : 0);
  options->on_output = whole || out || err ? on_output : NULL;
  if (laxo_work_take(L, index, ON_DRAIN, 2, "on_drain"))
    options->on_drain = on_drain;
  if (laxo_work_take(L, index, ON_DEADLINE, 2, "on_deadline"))
    options->on_deadline = on_deadline;
  self->work.ring = laxo_work_take_ring(L, index, 2);
  if (self->work.ring != NULL)
    options->ring = self->work.ring->ring;
}

static void kill_process(laxo_work_t *work) {
  laxo_process_t *self = (laxo_process_t *)work;
  axo_process_t *process = self->process;
  self->process = NULL;
  axo_process_close(process);
}

static int start_child(laxo_process_t *self, const spawn_args_t *args,
                       const laxo_remote_t *remote, axo_err_t *err) {
  const axo_process_options_t *options = &args->options;
  if (remote == NULL)
    return axo_process_spawn(self->work.context->loop, options, &self->process, err);
  axo_spawn_spec_t spec = {
      .kind = AXO_EXEC,
      .argv = options->argv,
      .env = options->env,
      .cwd = options->cwd,
      .user = args->user,
  };
  return axo_link_exec(remote->link, &spec, options, &self->process, err);
}

/* Starts the child of the userdata at the top, which is returned. */
static int start(lua_State *L, laxo_process_t *self, const spawn_args_t *args,
                 const laxo_remote_t *remote) {
  axo_err_t err;
  laxo_work_begin(L, lua_gettop(L));
  if (start_child(self, args, remote, &err) != 0) {
    laxo_work_end(L, &self->work);
    return laxo_fail(L, &err);
  }
  self->pid = axo_process_pid(self->process);
  self->work_id = axo_link_exec_id(self->process);
  return 1;
}

static void read_options(lua_State *L, laxo_reader_t *reader, spawn_args_t *args,
                         bool is_remote) {
  if (lua_isnil(L, 2))
    return;
  laxo_read(reader, 2, &shape, args);
  read_stdin(L, 2, args);
  read_on_limit(L, args);
  if (args->user != NULL && !is_remote)
    luaL_error(L, "spawn.user: a child of this process has its user");
}

int laxo_process_start(lua_State *L, const laxo_remote_t *remote) {
  spawn_args_t args = {0};
  laxo_reader_t reader;
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  laxo_reader_init(L, &reader, "spawn");
  args.options.argv = (char *const *)laxo_read_strings(&reader, 1, "spawn.argv");
  luaL_argcheck(L, args.options.argv[0] != NULL, 1, "an argv is not empty");
  read_options(L, &reader, &args, remote != NULL);
  laxo_process_t *self = laxo_work_new(L, sizeof *self, LAXO_PROCESS, USER_VALUES);
  self->work.kill = kill_process;
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, LAXO_UV_ON_EXIT);
  if (remote != NULL) {
    lua_pushvalue(L, remote->link_index);
    lua_setiuservalue(L, -2, LINK);
  }
  args.options.on_exit = on_exit_;
  args.options.data = self;
  if (reader.untaken)
    take_callbacks(L, lua_gettop(L), self, &args.options);
  if (reader.err.code != 0)
    return laxo_fail(L, &reader.err);
  return start(L, self, &args, remote);
}

/* core.spawn(argv, options?, on_exit) */
static int process_spawn(lua_State *L) {
  lua_settop(L, 3);
  return laxo_process_start(L, NULL);
}

/* ---- methods --------------------------------------------------------------------- */

static int succeed(lua_State *L, int status, const char *op) {
  if (status != 0)
    return laxo_fail_code(L, status, op, NULL);
  lua_pushboolean(L, true);
  return 1;
}

static int process_write(lua_State *L) {
  laxo_process_t *self = check_process(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  if (self->process == NULL)
    return laxo_fail_code(L, UV_EPIPE, "write", "the process has ended");
  int status = axo_process_write(self->process, bytes, len);
  if (status == UV_EPIPE)
    return laxo_fail_code(L, status, "write", "stdin is closed");
  if (status != 0)
    return laxo_fail_code(L, status, "write", NULL);
  lua_pushinteger(L, (lua_Integer)axo_process_queued(self->process));
  return 1;
}

static int process_queued(lua_State *L) {
  const laxo_process_t *self = check_process(L);
  size_t queued = self->process != NULL ? axo_process_queued(self->process) : 0;
  lua_pushinteger(L, (lua_Integer)queued);
  return 1;
}

static int process_close_stdin(lua_State *L) {
  laxo_process_t *self = check_process(L);
  if (self->process == NULL)
    return succeed(L, 0, "close_stdin");
  return succeed(L, axo_process_close_stdin(self->process), "close_stdin");
}

/* What a guest runs: process:signal(name, tree, done), done(err, count) */
static int signal_remote(lua_State *L, laxo_process_t *self, int signum) {
  axo_err_t err;
  bool tree = lua_toboolean(L, 3);
  laxo_ask_t *ask = laxo_ask_new(L, lua_gettop(L), 4, true);
  int status =
      axo_link_exec_signal(self->process, signum, tree, laxo_on_answer, ask, &err);
  return laxo_asked(L, ask, status, &err);
}

static int process_signal(lua_State *L) {
  laxo_process_t *self = check_process(L);
  int signum = laxo_check_signal(L, 2);
  if (self->process == NULL)
    return laxo_fail_code(L, UV_ESRCH, "signal", "the process has ended");
  if (lua_isfunction(L, 4) && lua_getiuservalue(L, 1, LINK) == LUA_TUSERDATA)
    return signal_remote(L, self, signum);
  return succeed(L, axo_process_signal(self->process, signum), "signal");
}

static int process_cancel(lua_State *L) {
  laxo_process_t *self = check_process(L);
  if (self->process != NULL)
    axo_process_cancel(self->process);
  return succeed(L, 0, "cancel");
}

static int process_pid(lua_State *L) {
  lua_pushinteger(L, check_process(L)->pid);
  return 1;
}

/* Of a command of link:exec, also when it has ended. */
static int process_work_id(lua_State *L) {
  uint64_t id = check_process(L)->work_id;
  if (id == 0)
    return 0;
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

static int process_close(lua_State *L) {
  laxo_work_close(L, &check_process(L)->work);
  return 0;
}

static int process_tostring(lua_State *L) {
  const laxo_process_t *self = check_process(L);
  lua_pushfstring(L, "axo.process %d (%s)", self->pid,
                  self->process != NULL ? "running" : "ended");
  return 1;
}

static const luaL_Reg methods[] = {
    {"write", process_write},
    {"queued", process_queued},
    {"close_stdin", process_close_stdin},
    {"signal", process_signal},
    {"cancel", process_cancel},
    {"pid", process_pid},
    {"work_id", process_work_id},
    {"close", process_close},
    {NULL, NULL},
};

static const luaL_Reg meta[] = {
    {"__gc", process_close},
    {"__close", process_close},
    {"__tostring", process_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {{"spawn", process_spawn}, {NULL, NULL}};

void laxo_process_register(lua_State *L) {
  laxo_metatable(L, LAXO_PROCESS, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
