#include "laxo.h"

#include <string.h>

#define REFERENCE_MAX 800

static void set_part(lua_State *L, const char *key, const char *value) {
  if (value[0] == '\0')
    return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static int reference_parse(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  char normal[REFERENCE_MAX];
  axo_reference_t reference;
  axo_err_t err;
  int status;
  if (strlen(text) != len)
    return laxo_fail_code(L, UV_EINVAL, "reference", "the reference holds a NUL byte");
  status = axo_reference_parse(text, &reference, &err);
  if (status != 0)
    return laxo_fail(L, &err);
  status = axo_reference_format(&reference, normal, sizeof normal);
  if (status != 0)
    return laxo_fail_code(L, status, "reference", NULL);
  lua_createtable(L, 0, 5);
  set_part(L, "registry", reference.registry);
  set_part(L, "repository", reference.repository);
  set_part(L, "tag", reference.tag);
  set_part(L, "digest", reference.digest);
  set_part(L, "text", normal);
  return 1;
}

static const luaL_Reg functions[] = {{"parse", reference_parse}, {NULL, NULL}};

void laxo_reference_register(lua_State *L) {
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "reference");
}
