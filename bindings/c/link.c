/* core.link and "axo.link": the host's end of the link to a container's guest. */
#include "laxo.h"

#include <sys/socket.h>

enum { ON_UP = 1, ON_DOWN, ON_NEW, USER_VALUES = ON_NEW };

/* Its address is the key of a table with weak values: a link that nobody holds and
 * nothing is in flight on is collected. */
static const char links_key = 0;

/* ---- callbacks ------------------------------------------------------------------- */

typedef struct link_event {
  laxo_link_t *self;
  const axo_err_t *why;
  const char *name;
  int slot;
} link_event_t;

static int link_body(lua_State *L) {
  const link_event_t *event = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &links_key);
  if (lua_rawgetp(L, -1, event->self) != LUA_TUSERDATA ||
      lua_getiuservalue(L, -1, event->slot) != LUA_TFUNCTION)
    return 0;
  if (event->why != NULL)
    laxo_push_error(L, event->why);
  else
    lua_pushstring(L, event->name);
  lua_call(L, 1, 0);
  return 0;
}

static void tell(axo_link_t *link, link_event_t event) {
  event.self = axo_link_data(link);
  if (!event.self->silent)
    laxo_protect(event.self->context, link_body, &event);
}

static void on_up(axo_link_t *link) { tell(link, (link_event_t){.slot = ON_UP}); }

static void on_down(axo_link_t *link, const axo_err_t *why) {
  tell(link, (link_event_t){.slot = ON_DOWN, .why = why});
}

static void on_new(axo_link_t *link, const char *name) {
  tell(link, (link_event_t){.slot = ON_NEW, .name = name});
}

/* ---- requests with one answer ---------------------------------------------------- */

static int ask_file(lua_State *L, const axo_file_request_t *file, int callback) {
  axo_err_t err;
  laxo_ask_t *ask = laxo_ask_new(L, 1, callback, false);
  int status = axo_link_file(laxo_check_link(L, 1), file, laxo_on_answer, ask, &err);
  return laxo_asked(L, ask, status, &err);
}

/* link:set_root(path) */
static int link_set_root(lua_State *L) {
  axo_link_t *link = laxo_check_link(L, 1);
  int rc = axo_link_set_root(link, laxo_check_text(L, 2));
  luaL_argcheck(L, rc != UV_EINVAL, 2, "an absolute path is needed");
  if (rc != 0)
    return luaL_error(L, "out of memory");
  lua_pushboolean(L, 1);
  return 1;
}

/* link:open_file(path, flags, mode, done): done(err, fd); the fd is the receiver's. */
static int link_open_file(lua_State *L) {
  axo_file_request_t file = {
      .op = AXO_FILE_OPEN,
      .path = laxo_check_text(L, 2),
      .flags = (int)luaL_checkinteger(L, 3),
      .mode = (unsigned)luaL_checkinteger(L, 4),
  };
  return ask_file(L, &file, 5);
}

/* link:path(op, path, to?, mode, done): done(err) */
static int link_path(lua_State *L) {
  static const char *const names[] = {"open",   "unlink", "rmdir", "mkdir",
                                      "rename", "chmod",  NULL};
  axo_file_request_t file = {
      .op = (axo_file_op_t)luaL_checkoption(L, 2, NULL, names),
      .path = laxo_check_text(L, 3),
      .to = lua_isnil(L, 4) ? NULL : laxo_check_text(L, 4),
      .mode = (unsigned)luaL_checkinteger(L, 5),
  };
  luaL_argcheck(L, file.op != AXO_FILE_OPEN, 2, "use open_file");
  luaL_argcheck(L, file.op != AXO_FILE_RENAME || file.to != NULL, 4,
                "a path is needed");
  return ask_file(L, &file, 6);
}

/* link:socket(domain, kind, done), link:socket("diag", done): done(err, fd); the fd is
 * the receiver's. */
static int link_socket(lua_State *L) {
  static const char *const domains[] = {"inet", "inet6", "diag", NULL};
  static const int families[] = {AF_INET, AF_INET6, AF_NETLINK};
  static const char *const kinds[] = {"stream", "dgram", NULL};
  axo_err_t err;
  int family = families[luaL_checkoption(L, 2, NULL, domains)];
  bool is_diag = family == AF_NETLINK;
  int type = is_diag || luaL_checkoption(L, 3, NULL, kinds) ? SOCK_DGRAM : SOCK_STREAM;
  int callback = is_diag && lua_isfunction(L, 3) ? 3 : 4;
  axo_link_t *link = laxo_check_link(L, 1);
  laxo_ask_t *ask = laxo_ask_new(L, 1, callback, false);
  int status = axo_link_socket(link, family, type, laxo_on_answer, ask, &err);
  return laxo_asked(L, ask, status, &err);
}

/* link:owner(inode, done): done(err, { pid?, id?, name?, cut }) */
static int link_owner(lua_State *L) {
  axo_err_t err;
  lua_Integer inode = luaL_checkinteger(L, 2);
  axo_link_t *link = laxo_check_link(L, 1);
  laxo_ask_t *ask = laxo_ask_new(L, 1, 3, false);
  int status = axo_link_owner(link, (uint64_t)inode, laxo_on_answer, ask, &err);
  return laxo_asked(L, ask, status, &err);
}

/* link:list(done), link:list(name, done): done(err, works) */
static int link_list(lua_State *L) {
  axo_err_t err;
  bool all = lua_isfunction(L, 2);
  const char *name = all ? NULL : laxo_check_text(L, 2);
  laxo_ask_t *ask = laxo_ask_new(L, 1, all ? 2 : 3, false);
  int status = axo_link_list(laxo_check_link(L, 1), name, laxo_on_answer, ask, &err);
  return laxo_asked(L, ask, status, &err);
}

/* link:kill_all(done): done(err) */
static int link_kill_all(lua_State *L) {
  axo_err_t err;
  laxo_ask_t *ask = laxo_ask_new(L, 1, 2, false);
  int status = axo_link_kill_all(laxo_check_link(L, 1), laxo_on_answer, ask, &err);
  return laxo_asked(L, ask, status, &err);
}

/* ---- the link -------------------------------------------------------------------- */

/* link:exec(argv, options?, on_exit): core.spawn in the container; `user` besides. */
static int link_exec(lua_State *L) {
  laxo_remote_t remote = {laxo_check_link(L, 1), 4};
  lua_settop(L, 4);
  lua_rotate(L, 1, -1); /* the link goes behind its arguments */
  return laxo_process_start(L, &remote);
}

/* link:uid(): whom the guest runs as. */
static int link_uid(lua_State *L) {
  lua_pushinteger(L, axo_link_uid(laxo_check_link(L, 1)));
  return 1;
}

static int link_close(lua_State *L) {
  laxo_link_t *self = luaL_checkudata(L, 1, LAXO_LINK);
  axo_link_t *link = self->link;
  self->link = NULL;
  if (link != NULL)
    axo_link_close(link);
  return 0;
}

static int link_gc(lua_State *L) {
  laxo_link_t *self = luaL_checkudata(L, 1, LAXO_LINK);
  self->silent = true;
  return link_close(L);
}

typedef struct link_args {
  const char *dir;
  int guest_pid;
  uint64_t answer_ms;
} link_args_t;

static const laxo_field_t fields[] = {
    LAXO_NEED("dir", LAXO_STRING, offsetof(link_args_t, dir)),
    LAXO_NEED("guest_pid", LAXO_INT, offsetof(link_args_t, guest_pid)),
    LAXO_KEY("answer", LAXO_BOUND, offsetof(link_args_t, answer_ms)),
    LAXO_TAKEN("on_up", LAXO_FUNCTION),
    LAXO_TAKEN("on_down", LAXO_FUNCTION),
    LAXO_TAKEN("on_new", LAXO_FUNCTION),
};
static const laxo_shape_t shape = LAXO_SHAPE(fields, link_args_t);

/* core.link(options) */
static int link_new(lua_State *L) {
  link_args_t args = {0};
  laxo_reader_t reader;
  axo_err_t err;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  laxo_reader_init(L, &reader, "link");
  laxo_read(&reader, 1, &shape, &args);
  if (reader.err.code != 0)
    return laxo_fail(L, &reader.err);
  laxo_link_t *self = lua_newuserdatauv(L, sizeof *self, USER_VALUES);
  *self = (laxo_link_t){.context = laxo_context(L)};
  luaL_setmetatable(L, LAXO_LINK);
  laxo_work_take(L, lua_gettop(L), ON_UP, 1, "on_up");
  laxo_work_take(L, lua_gettop(L), ON_DOWN, 1, "on_down");
  laxo_work_take(L, lua_gettop(L), ON_NEW, 1, "on_new");
  lua_rawgetp(L, LUA_REGISTRYINDEX, &links_key);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, self);
  lua_pop(L, 1);
  axo_link_options_t options = {.dir = args.dir,
                                .guest_pid = args.guest_pid,
                                .answer_ms = args.answer_ms,
                                .data = self,
                                .on_up = on_up,
                                .on_down = on_down,
                                .on_new = on_new};
  if (axo_link_open(self->context->loop, &options, &self->link, &err) != 0)
    return laxo_fail(L, &err);
  return 1;
}

static int link_tostring(lua_State *L) {
  const laxo_link_t *self = luaL_checkudata(L, 1, LAXO_LINK);
  lua_pushfstring(L, "axo.link (%s)",
                  self->link == NULL           ? "closed"
                  : axo_link_is_up(self->link) ? "up"
                                               : "down");
  return 1;
}

static const luaL_Reg methods[] = {
    {"uid", link_uid},
    {"close", link_close},
    {"exec", link_exec},
    {"task", laxo_guest_task},
    {"terminal", laxo_guest_terminal},
    {"attach", laxo_guest_attach},
    {"open_file", link_open_file},
    {"set_root", link_set_root},
    {"path", link_path},
    {"socket", link_socket},
    {"owner", link_owner},
    {"list", link_list},
    {"kill_all", link_kill_all},
    {NULL, NULL},
};

static const luaL_Reg meta[] = {
    {"__gc", link_gc},
    {"__close", link_close},
    {"__tostring", link_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {{"link", link_new}, {NULL, NULL}};

void laxo_link_register(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &links_key);
  laxo_metatable(L, LAXO_LINK, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
