/* core.pty and "axo.pty". */
#include "laxo.h"

enum { ON_OUTPUT = LAXO_UV_FIRST, USER_VALUES = ON_OUTPUT };

typedef struct laxo_pty {
  laxo_work_t work;
  axo_pty_t *pty; /* NULL once it has ended or was closed */
  int pid;
} laxo_pty_t;

static laxo_pty_t *check_pty(lua_State *L) { return luaL_checkudata(L, 1, LAXO_PTY); }

/* ---- callbacks ------------------------------------------------------------------- */

typedef struct output_event {
  laxo_pty_t *self;
  const char *bytes;
  size_t len;
} output_event_t;

static int output_body(lua_State *L) {
  const output_event_t *event = lua_touserdata(L, 1);
  if (!laxo_push_callback(L, &event->self->work, ON_OUTPUT))
    return 0;
  if (event->self->work.ring != NULL)
    lua_pushnil(L);
  else
    lua_pushlstring(L, event->bytes, event->len);
  lua_call(L, 1, 0);
  return 0;
}

static void on_output(axo_pty_t *pty, const char *bytes, size_t len) {
  laxo_pty_t *self = axo_pty_data(pty);
  output_event_t event = {self, bytes, len};
  laxo_protect(self->work.context, output_body, &event);
}

typedef struct exit_event {
  laxo_pty_t *self;
  int code;
  int signum;
} exit_event_t;

/* The work ends before anything is allocated, so that it ends whatever fails later. */
static int exit_body(lua_State *L) {
  const exit_event_t *event = lua_touserdata(L, 1);
  bool has_callback = laxo_push_callback(L, &event->self->work, LAXO_UV_ON_EXIT);
  laxo_work_end(L, &event->self->work);
  if (!has_callback)
    return 0;
  lua_createtable(L, 0, 1);
  if (event->signum != 0) {
    laxo_push_signal(L, event->signum);
    lua_setfield(L, -2, "signal");
  } else if (event->code >= 0) {
    lua_pushinteger(L, event->code);
    lua_setfield(L, -2, "code");
  }
  lua_call(L, 1, 0);
  return 0;
}

static void on_exit_(axo_pty_t *pty, int code, int signum) {
  laxo_pty_t *self = axo_pty_data(pty);
  exit_event_t event = {self, code, signum};
  self->pty = NULL;
  laxo_protect(self->work.context, exit_body, &event);
}

/* ---- spawn ----------------------------------------------------------------------- */

#define OPTION(field) offsetof(axo_pty_options_t, field)

static const laxo_field_t fields[] = {
    LAXO_KEY("env", LAXO_STRINGS, OPTION(env)),
    LAXO_KEY("cwd", LAXO_STRING, OPTION(cwd)),
    LAXO_KEY("rows", LAXO_UINT16, OPTION(rows)),
    LAXO_KEY("cols", LAXO_UINT16, OPTION(cols)),
    LAXO_KEY("raw", LAXO_BOOL, OPTION(raw)),
    LAXO_TAKEN("ring", LAXO_ANY),
    LAXO_TAKEN("on_output", LAXO_FUNCTION),
};
static const laxo_shape_t shape = LAXO_SHAPE(fields, axo_pty_options_t);

static void kill_pty(laxo_work_t *work) {
  laxo_pty_t *self = (laxo_pty_t *)work;
  axo_pty_t *pty = self->pty;
  self->pty = NULL;
  axo_pty_close(pty);
}

/* Moves callbacks and ring from the options at 2 into the userdata at `index`. */
static void take_callbacks(lua_State *L, int index, laxo_pty_t *self,
                           axo_pty_options_t *options) {
  if (laxo_work_take(L, index, ON_OUTPUT, 2, "on_output"))
    options->on_output = on_output;
  self->work.ring = laxo_work_take_ring(L, index, 2);
  if (self->work.ring != NULL)
    options->ring = self->work.ring->ring;
  options->on_exit = on_exit_;
  options->data = self;
}

/* Starts the child of the userdata at the top, which is returned. */
static int start(lua_State *L, laxo_pty_t *self, const axo_pty_options_t *options) {
  axo_err_t err;
  laxo_work_begin(L, lua_gettop(L));
  if (axo_pty_spawn(self->work.context->loop, options, &self->pty, &err) != 0) {
    laxo_work_end(L, &self->work);
    return laxo_fail(L, &err);
  }
  self->pid = axo_pty_pid(self->pty);
  return 1;
}

/* core.pty(argv, options?, on_exit) */
static int pty_spawn(lua_State *L) {
  axo_pty_options_t options = {0};
  laxo_reader_t reader;
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  laxo_reader_init(L, &reader, "pty");
  options.argv = (char *const *)laxo_read_strings(&reader, 1, "pty.argv");
  luaL_argcheck(L, options.argv[0] != NULL, 1, "an argv is not empty");
  if (!lua_isnil(L, 2))
    laxo_read(&reader, 2, &shape, &options);
  laxo_pty_t *self = laxo_work_new(L, sizeof *self, LAXO_PTY, USER_VALUES);
  self->work.kill = kill_pty;
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, LAXO_UV_ON_EXIT);
  take_callbacks(L, lua_gettop(L), self, &options);
  if (reader.err.code != 0)
    return laxo_fail(L, &reader.err);
  return start(L, self, &options);
}

/* ---- methods --------------------------------------------------------------------- */

static int answer(lua_State *L, int status, const char *op) {
  if (status != 0)
    return laxo_fail_code(L, status, op, NULL);
  lua_pushboolean(L, true);
  return 1;
}

static int pty_write(lua_State *L) {
  laxo_pty_t *self = check_pty(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  if (self->pty == NULL)
    return laxo_fail_code(L, UV_EPIPE, "write", "the terminal has ended");
  return answer(L, axo_pty_write(self->pty, bytes, len), "write");
}

static uint16_t check_size(lua_State *L, int index) {
  lua_Integer size = luaL_checkinteger(L, index);
  luaL_argcheck(L, size >= 1 && size <= UINT16_MAX, index,
                "must be between 1 and 65535");
  return (uint16_t)size;
}

static int pty_resize(lua_State *L) {
  laxo_pty_t *self = check_pty(L);
  uint16_t rows = check_size(L, 2);
  uint16_t cols = check_size(L, 3);
  if (self->pty == NULL)
    return laxo_fail_code(L, UV_ESRCH, "resize", "the terminal has ended");
  return answer(L, axo_pty_resize(self->pty, rows, cols), "resize");
}

static int pty_signal(lua_State *L) {
  laxo_pty_t *self = check_pty(L);
  int signum = laxo_check_signal(L, 2);
  if (self->pty == NULL)
    return laxo_fail_code(L, UV_ESRCH, "signal", "the terminal has ended");
  return answer(L, axo_pty_signal(self->pty, signum), "signal");
}

static int pty_pid(lua_State *L) {
  lua_pushinteger(L, check_pty(L)->pid);
  return 1;
}

static int pty_close(lua_State *L) {
  laxo_work_close(L, &check_pty(L)->work);
  return 0;
}

static int pty_tostring(lua_State *L) {
  const laxo_pty_t *self = check_pty(L);
  lua_pushfstring(L, "axo.pty %d (%s)", self->pid,
                  self->pty != NULL ? "running" : "ended");
  return 1;
}

static const luaL_Reg methods[] = {
    {"write", pty_write}, {"resize", pty_resize}, {"signal", pty_signal},
    {"pid", pty_pid},     {"close", pty_close},   {NULL, NULL},
};

static const luaL_Reg meta[] = {
    {"__gc", pty_close},
    {"__close", pty_close},
    {"__tostring", pty_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {{"pty", pty_spawn}, {NULL, NULL}};

void laxo_pty_register(lua_State *L) {
  laxo_metatable(L, LAXO_PTY, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
