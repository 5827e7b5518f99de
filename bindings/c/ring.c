#include "laxo.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the box --------------------------------------------------------------------- */

static laxo_ring_t *new_box(lua_State *L) {
  laxo_ring_t *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->ring = NULL;
  box->users = 0;
  box->closed = false;
  luaL_setmetatable(L, LAXO_RING);
  return box;
}

static laxo_ring_t *check_ring(lua_State *L) {
  laxo_ring_t *box = luaL_checkudata(L, 1, LAXO_RING);
  luaL_argcheck(L, !box->closed && box->ring != NULL, 1, "the ring is closed");
  return box;
}

void laxo_push_ring(lua_State *L, axo_ring_t *ring) { new_box(L)->ring = ring; }

static void free_unused(laxo_ring_t *box) {
  if (!box->closed || box->users > 0)
    return;
  axo_ring_free(box->ring);
  box->ring = NULL;
}

void laxo_ring_unref(laxo_ring_t *box) {
  box->users--;
  free_unused(box);
}

static int ring_close(lua_State *L) {
  laxo_ring_t *box = luaL_checkudata(L, 1, LAXO_RING);
  box->closed = true;
  free_unused(box);
  return 0;
}

/* ---- making one ------------------------------------------------------------------ */

static size_t check_capacity(lua_State *L, int index) {
  lua_Integer capacity = luaL_optinteger(L, index, (lua_Integer)AXO_RING_DEFAULT);
  luaL_argcheck(L, capacity > 0, index, "the capacity must be positive");
  return (size_t)capacity;
}

static int ring_new(lua_State *L) {
  size_t capacity = check_capacity(L, 1);
  laxo_ring_t *box = new_box(L);
  int status = axo_ring_new(capacity, &box->ring);
  if (status != 0)
    return laxo_fail_code(L, status, "ring", NULL);
  return 1;
}

static int fail_errno(lua_State *L, const char *op, const char *path, int error) {
  int code = uv_translate_sys_error(error);
  char words[AXO_CODE_TEXT_MAX];
  const char *message =
      lua_pushfstring(L, "%s: %s", path, axo_code_text(code, words, sizeof words));
  return laxo_fail_code(L, code, op, message);
}

static bool check_bell(lua_State *L, int index) {
  struct {
    bool bell;
  } options = {false};
  static const laxo_field_t fields[] = {LAXO_KEY("bell", LAXO_BOOL, 0)};
  static const laxo_shape_t shape = LAXO_SHAPE(fields, options);
  laxo_reader_t reader;
  if (lua_isnoneornil(L, index))
    return false;
  laxo_reader_init(L, &reader, "ring_create");
  laxo_read(&reader, index, &shape, &options);
  return options.bell;
}

static int ring_create(lua_State *L) {
  const char *path = laxo_check_text(L, 1);
  size_t capacity = check_capacity(L, 2);
  bool bell = check_bell(L, 3);
  laxo_ring_t *box = new_box(L);
  axo_err_t err;
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return fail_errno(L, "ring_create", path, errno);
  int status = axo_ring_create_fd(fd, capacity, bell, &box->ring, &err);
  close(fd);
  if (status != 0) {
    unlink(path);
    return laxo_fail(L, &err);
  }
  return 1;
}

static int ring_open(lua_State *L) {
  const char *path = laxo_check_text(L, 1);
  laxo_ring_t *box = new_box(L);
  struct stat about;
  axo_err_t err;
  /* O_NONBLOCK: somebody's FIFO must not hold us up. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return fail_errno(L, "ring_open", path, errno);
  if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
    close(fd);
    return laxo_fail_code(L, UV_EINVAL, "ring_open", "not a regular file");
  }
  int status = axo_ring_open_fd(fd, &box->ring, &err);
  close(fd);
  if (status != 0)
    return laxo_fail(L, &err);
  return 1;
}

/* ---- using one ------------------------------------------------------------------- */

static int ring_write(lua_State *L) {
  laxo_ring_t *box = check_ring(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  int status = axo_ring_write(box->ring, bytes, len);
  if (status != 0)
    return laxo_fail_code(L, status, "ring.write", NULL);
  lua_pushboolean(L, true);
  return 1;
}

static int ring_head(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)axo_ring_head(check_ring(L)->ring));
  return 1;
}

static int ring_tail(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)axo_ring_tail(check_ring(L)->ring));
  return 1;
}

static int ring_capacity(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)axo_ring_capacity(check_ring(L)->ring));
  return 1;
}

/* How much a read may copy: the writer may be another process and go on meanwhile, so
 * this is a bound for the buffer, not a promise. */
static size_t readable(const axo_ring_t *ring, uint64_t cursor, lua_Integer max) {
  uint64_t head = axo_ring_head(ring);
  uint64_t room = axo_ring_capacity(ring);
  uint64_t ahead = cursor < head ? head - cursor : 0;
  if (ahead < room)
    room = ahead;
  return (uint64_t)max < room ? (size_t)max : (size_t)room;
}

static int ring_read(lua_State *L) {
  laxo_ring_t *box = check_ring(L);
  lua_Integer at = luaL_checkinteger(L, 2);
  lua_Integer max = luaL_optinteger(L, 3, LUA_MAXINTEGER);
  luaL_argcheck(L, at >= 0, 2, "a cursor is not negative");
  luaL_argcheck(L, max >= 0, 3, "must not be negative");
  uint64_t cursor = (uint64_t)at;
  uint64_t dropped = 0;
  luaL_Buffer buffer;
  size_t len = readable(box->ring, cursor, max);
  char *bytes = luaL_buffinitsize(L, &buffer, len);
  size_t count = axo_ring_read(box->ring, &cursor, bytes, len, &dropped);
  luaL_pushresultsize(&buffer, count);
  lua_pushinteger(L, (lua_Integer)cursor);
  lua_pushinteger(L, (lua_Integer)dropped);
  return 3;
}

static int ring_tostring(lua_State *L) {
  const laxo_ring_t *box = luaL_checkudata(L, 1, LAXO_RING);
  if (box->closed || box->ring == NULL)
    lua_pushliteral(L, "axo.ring (closed)");
  else
    lua_pushfstring(L, "axo.ring (%I of %I bytes)",
                    (lua_Integer)(axo_ring_head(box->ring) - axo_ring_tail(box->ring)),
                    (lua_Integer)axo_ring_capacity(box->ring));
  return 1;
}

static const luaL_Reg methods[] = {
    {"write", ring_write}, {"head", ring_head},         {"tail", ring_tail},
    {"read", ring_read},   {"capacity", ring_capacity}, {"close", ring_close},
    {NULL, NULL},
};

static const luaL_Reg meta[] = {
    {"__gc", ring_close},
    {"__close", ring_close},
    {"__tostring", ring_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"ring", ring_new},
    {"ring_create", ring_create},
    {"ring_open", ring_open},
    {NULL, NULL},
};

void laxo_ring_register(lua_State *L) {
  laxo_metatable(L, LAXO_RING, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
