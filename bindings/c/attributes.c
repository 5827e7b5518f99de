/* What a file has besides its content, owner and mode: ACLs, labels, attributes of
 * users. */
#include "laxo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __linux__
#include <sys/xattr.h>

/* As large as the kernel allows a list, and a value. */
#define LIST_MAX 65536
#define VALUE_MAX 65536

typedef struct space {
  char from[LIST_MAX];
  char to[LIST_MAX];
  char value[VALUE_MAX];
  char other[VALUE_MAX];
} space_t;

#define ACL "system.posix_acl_access"

/* A capability goes with the content that it was given for; the others are digests of
 * it. */
static bool is_of_the_content(const char *name) {
  return !strcmp(name, "security.capability") || !strcmp(name, "security.ima") ||
         !strcmp(name, "security.evm");
}

/* Works for what was opened with O_PATH, too. */
static const char *path_of(int fd, char out[32]) {
  snprintf(out, 32, "/proc/self/fd/%d", fd);
  return out;
}

/* Bytes of the list, or -1. */
static ssize_t list(int fd, char *names) {
  char path[32];
  ssize_t len = listxattr(path_of(fd, path), names, LIST_MAX);
  return len < 0 && errno == ENOTSUP ? 0 : len;
}

static bool copy_one(int from, int to, const char *name, space_t *at) {
  char path[32];
  ssize_t len = getxattr(path_of(from, path), name, at->value, VALUE_MAX);
  if (len < 0)
    return false;
  ssize_t have = fgetxattr(to, name, at->other, VALUE_MAX);
  if (have == len && !memcmp(at->value, at->other, (size_t)len))
    return true;
  return fsetxattr(to, name, at->value, (size_t)len, 0) == 0;
}

static bool has(const char *names, ssize_t len, const char *name) {
  for (const char *at = names; at < names + len; at += strlen(at) + 1)
    if (!strcmp(at, name))
      return true;
  return false;
}

static bool copy(int from, int to, space_t *at) {
  ssize_t len = list(from, at->from), new_len = list(to, at->to);
  if (len < 0 || new_len < 0)
    return false;
  for (const char *name = at->from; name < at->from + len; name += strlen(name) + 1)
    if (!is_of_the_content(name) && !copy_one(from, to, name, at))
      return false;
  /* One that came from the directory. */
  return has(at->from, len, ACL) || !has(at->to, new_len, ACL) ||
         fremovexattr(to, ACL) == 0;
}

/* Whether there are none but labels that the system gives by itself. */
static bool is_plain(int fd, space_t *at) {
  ssize_t len = list(fd, at->from);
  for (const char *name = at->from; name < at->from + len; name += strlen(name) + 1)
    if (!is_of_the_content(name) && strcmp(name, "security.selinux") != 0)
      return false;
  return len >= 0;
}
#endif

/* core.copy_attributes(from, to): whether all of them could be kept. `from` may be a
 * descriptor of O_PATH; `to` is open for writing. */
static int copy_attributes(lua_State *L) {
  bool ok = false;
#ifdef __linux__
  int from = (int)luaL_checkinteger(L, 1), to = (int)luaL_checkinteger(L, 2);
  space_t *space = malloc(sizeof *space);
  ok = space && copy(from, to, space);
  free(space);
#endif
  lua_pushboolean(L, ok);
  return 1;
}

/* core.has_no_attributes(fd): false also where that cannot be found out. */
static int has_no_attributes(lua_State *L) {
  bool plain = false;
#ifdef __linux__
  int fd = (int)luaL_checkinteger(L, 1);
  space_t *space = malloc(sizeof *space);
  plain = space && is_plain(fd, space);
  free(space);
#endif
  lua_pushboolean(L, plain);
  return 1;
}

void laxo_attributes_register(lua_State *L) {
  lua_pushcfunction(L, copy_attributes);
  lua_setfield(L, -2, "copy_attributes");
  lua_pushcfunction(L, has_no_attributes);
  lua_setfield(L, -2, "has_no_attributes");
}
