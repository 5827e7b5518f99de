/* Text of others, made fit to be shown. In C, because it may be all that a command
 * printed. */
#include "laxo.h"

enum { REPLACE, HEX, JSON };

static void add_json(luaL_Buffer *out, uint32_t c) {
  char escape[16];
  if (c < 0x10000) {
    snprintf(escape, sizeof escape, "\\u%04x", c);
  } else {
    snprintf(escape, sizeof escape, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
             0xdc00 + ((c - 0x10000) & 0x3ff));
  }
  luaL_addstring(out, escape);
}

static void add_hex(luaL_Buffer *out, const char *text, size_t len) {
  for (size_t i = 0; i < len; i++) {
    char escape[8];
    snprintf(escape, sizeof escape, "\\x%02x", (unsigned char)text[i]);
    luaL_addstring(out, escape);
  }
}

/* Where the first that needs something done stands from `at` on. */
static size_t find(const char *text, size_t size, size_t at, size_t *len, uint32_t *c) {
  for (*len = 0; at < size; at++) {
    unsigned char byte = (unsigned char)text[at];
    if (byte >= 0x20 && byte < 0x7f) {
      continue;
    }
    *len = axo_text_unseen(text + at, c);
    if (*len > 0) {
      break;
    }
    at += byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc0 ? 1 : 0;
  }
  return at;
}

/* core.unseen(text, how, with): see meta/core.lua. */
static int text_unseen(lua_State *L) {
  static const char *const hows[] = {"replace", "hex", "json", NULL};
  size_t size, with_size;
  const char *text = luaL_checklstring(L, 1, &size);
  int how = luaL_checkoption(L, 2, NULL, hows);
  const char *with = luaL_optlstring(L, 3, "", &with_size);
  size_t from = 0, len;
  uint32_t c = 0;
  size_t at = find(text, size, 0, &len, &c);
  if (at >= size) {
    lua_settop(L, 1);
    return 1;
  }
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  while (at < size) {
    luaL_addlstring(&out, text + from, at - from);
    if (how == JSON && c != AXO_NO_CHARACTER) {
      add_json(&out, c);
    } else if (how == HEX) {
      add_hex(&out, text + at, len);
    } else {
      luaL_addlstring(&out, with, with_size);
    }
    from = at + len;
    at = find(text, size, from, &len, &c);
  }
  luaL_addlstring(&out, text + from, size - from);
  luaL_pushresult(&out);
  return 1;
}

static const luaL_Reg functions[] = {{"unseen", text_unseen}, {NULL, NULL}};

void laxo_unseen_register(lua_State *L) { luaL_setfuncs(L, functions, 0); }
