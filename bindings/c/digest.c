#include "laxo.h"

#include <sha2.h>

static int digest(lua_State *L) {
  size_t len;
  const char *bytes = luaL_checklstring(L, 1, &len);
  char hex[SHA256_DIGEST_STRING_LENGTH];
  SHA256Data((const uint8_t *)bytes, len, hex);
  lua_pushfstring(L, "sha256:%s", hex);
  return 1;
}

void laxo_digest_register(lua_State *L) {
  lua_pushcfunction(L, digest);
  lua_setfield(L, -2, "digest");
}
