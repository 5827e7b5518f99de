/* axolua: a Lua host with luv and axosandbox. Finds its own files from where it stands
 * and leaves everything else to runner.lua. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define RUNNER "/" AXO_LUA_MOD_DIR "/axosandbox/axolua/runner.lua"

typedef struct arguments {
  int count;
  char **values;
} arguments_t;

/* Without /proc the first argument must do: as a path, or as a name in PATH. */
static int search_self(const char *argv0, char *out) {
  char candidate[PATH_MAX];
  const char *path = getenv("PATH");
  if (strchr(argv0, '/') != NULL)
    return realpath(argv0, out) != NULL ? 0 : -1;
  while (path != NULL && *path != '\0') {
    size_t len = strcspn(path, ":");
    int n = snprintf(candidate, sizeof candidate, "%.*s/%s", (int)len, path, argv0);
    if (n < (int)sizeof candidate && access(candidate, X_OK) == 0)
      return realpath(candidate, out) != NULL ? 0 : -1;
    path += len + (path[len] == ':');
  }
  return -1;
}

static int find_self(const char *argv0, char *out) {
  size_t size = PATH_MAX;
  if (uv_exepath(out, &size) == 0)
    return 0;
  return search_self(argv0, out);
}

/* Leaves the prefix (the build tree, or what lies above bin/) in `out`. */
static int find_prefix(const char *self, char *out) {
  char runner[PATH_MAX + sizeof RUNNER];
  snprintf(out, PATH_MAX, "%s", self);
  for (int up = 0; up < 2; up++) {
    char *slash = strrchr(out, '/');
    if (slash == NULL)
      return -1;
    *slash = '\0';
    snprintf(runner, sizeof runner, "%s" RUNNER, out);
    if (access(runner, R_OK) == 0)
      return 0;
  }
  return -1;
}

/* In a sticky directory others may add names, but not take ours away. */
static bool others_decide(const char *dir, bool is_above) {
  struct stat st;
  if (stat(dir, &st) != 0 || (st.st_uid != 0 && st.st_uid != geteuid()))
    return true;
  bool is_safe = is_above && (st.st_mode & S_ISVTX) != 0;
  return !is_safe && (st.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

/* host.is_ours(dir): whether nobody but root and this user decides what lies in a
 * directory; nil when there is none. */
static int is_ours(lua_State *L) {
  char path[PATH_MAX];
  if (realpath(luaL_checkstring(L, 1), path) == NULL)
    return 0;
  bool ours = !others_decide(path, false);
  for (char *slash; ours && (slash = strrchr(path, '/')) != NULL;) {
    *slash = '\0';
    ours = !others_decide(slash == path ? "/" : path, true);
  }
  lua_pushboolean(L, ours);
  return 1;
}

/* By words of eight bytes: FNV's step, and its high half brought down. */
static inline uint64_t step(uint64_t h, const char *bytes, size_t count) {
  uint64_t word = 0;
  memcpy(&word, bytes, count);
  h = (h ^ word) * 0x100000001b3u;
  return h ^ h >> 32;
}

/* host.hash(text): tells one text from another; nobody who could gain by it chooses
 * them. */
static int hash(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  uint64_t h = 0xcbf29ce484222325u ^ len;
  size_t at = 0;
  for (; len - at >= sizeof h; at += sizeof h)
    h = step(h, text + at, sizeof h);
  if (at < len)
    h = step(h, text + at, len - at);
  lua_pushinteger(L, (lua_Integer)h);
  return 1;
}

static int add_traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

/* What LUA_PATH says of the current directory must not be asked; runner.lua reads it.
 */
static void open_libraries(lua_State *L) {
  lua_pushboolean(L, true);
  lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  luaL_openlibs(L);
}

/* runner.lua({ exe, prefix, is_ours, hash }, { [0] = argv[0], ... }) returns the exit
 * code.
 */
static int run(lua_State *L) {
  const arguments_t *arguments = lua_touserdata(L, 1);
  char self[PATH_MAX];
  char prefix[PATH_MAX];
  if (find_self(arguments->values[0], self) != 0)
    return luaL_error(L, "cannot find out where this program lies");
  if (find_prefix(self, prefix) != 0)
    return luaL_error(
        L, "%s stands alone: its files are neither beside it nor in ../share", self);
  open_libraries(L);
  lua_pushfstring(L, "%s" RUNNER, prefix);
  if (luaL_loadfilex(L, lua_tostring(L, -1), "t") != LUA_OK)
    return lua_error(L);
  lua_createtable(L, 0, 4);
  lua_pushstring(L, self);
  lua_setfield(L, -2, "exe");
  lua_pushstring(L, prefix);
  lua_setfield(L, -2, "prefix");
  lua_pushcfunction(L, is_ours);
  lua_setfield(L, -2, "is_ours");
  lua_pushcfunction(L, hash);
  lua_setfield(L, -2, "hash");
  lua_createtable(L, arguments->count, 1);
  for (int i = 0; i < arguments->count; i++) {
    lua_pushstring(L, arguments->values[i]);
    lua_rawseti(L, -2, i);
  }
  lua_call(L, 2, 1);
  return 1;
}

/* A caller may have closed some of them; the loop's own descriptors would take their
 * place, and what is printed would go into those. */
static int open_standard_streams(void) {
  int fd;
  do {
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0)
      return -1;
    if (fd <= STDERR_FILENO && fcntl(fd, F_SETFD, 0) != 0)
      return -1;
  } while (fd <= STDERR_FILENO);
  return close(fd);
}

/* What was printed and could not be written must not look like success. */
static int check_stdout(int code) {
  bool is_lost = fflush(stdout) != 0;
  if (code != 0 || (!is_lost && !ferror(stdout)))
    return code;
  fprintf(stderr, "axolua: stdout: not everything could be written%s%s\n",
          is_lost ? ": " : "", is_lost ? strerror(errno) : "");
  return 1;
}

#ifndef AXO_SANITIZED
/* A twelfth of a short command goes by with giving back, piece by piece, what the end
 * of the process gives back at once. Finalisers may still ask for memory. */
static void *keep(void *data, void *block, size_t size, size_t wanted) {
  (void)data;
  (void)size;
  return wanted == 0 ? NULL : realloc(block, wanted);
}
#endif

static void close_state(lua_State *L) {
#ifndef AXO_SANITIZED
  lua_setallocf(L, keep, NULL);
#endif
  lua_close(L);
}

int main(int argc, char **argv) {
  arguments_t arguments = {argc, argv};
  int code = 1;
  if (open_standard_streams() != 0)
    return 1;
  lua_State *L = luaL_newstate();
  if (L == NULL || argc < 1) {
    fputs("axolua: out of memory\n", stderr);
    return 1;
  }
  lua_pushcfunction(L, add_traceback);
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, &arguments);
  if (lua_pcall(L, 1, 1, 1) == LUA_OK)
    code = (int)lua_tointeger(L, -1);
  else
    fprintf(stderr, "axolua: %s\n", lua_tostring(L, -1));
  close_state(L);
  return check_stdout(code);
}
