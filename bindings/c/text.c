/* Text in other encodings than UTF-8, and replacing in what may be any of them: both
 * read bytes that anybody wrote, in time that grows with their number alone. */
#include "laxo.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"utf-8",    "utf-16le", "utf-16be",     "utf-32le",
                                    "utf-32be", "latin-1",  "windows-1252", NULL};
enum encoding { UTF_8, UTF_16LE, UTF_16BE, UTF_32LE, UTF_32BE, LATIN_1, WINDOWS_1252 };

/* 0x80 to 0x9F, where it differs from latin-1; 0 has no character. */
static const uint16_t windows[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
    0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017D, 0,
    0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
    0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

#define REPLACEMENT 0xFFFD
#define INVALID 0xFFFFFFFF

static size_t unit_of(enum encoding e) {
  return e == UTF_16LE || e == UTF_16BE ? 2 : e == UTF_32LE || e == UTF_32BE ? 4 : 1;
}

static uint32_t unit_at(const unsigned char *at, enum encoding e) {
  switch (e) {
  case UTF_16LE:
    return (uint32_t)(at[0] | at[1] << 8);
  case UTF_16BE:
    return (uint32_t)(at[0] << 8 | at[1]);
  case UTF_32LE:
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
  case UTF_32BE:
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
  default:
    return at[0];
  }
}

static bool is_scalar(uint32_t c) { return c < 0x110000 && (c < 0xD800 || c > 0xDFFF); }

/* One character of UTF-8: its length, or 0. */
static size_t utf8_at(const unsigned char *at, size_t left, uint32_t *out) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t len = at[0] < 0x80 ? 1 : at[0] >> 5 == 6 ? 2 : at[0] >> 4 == 14 ? 3 : 4;
  if (len == 1) {
    *out = at[0];
    return 1;
  }
  if (len > left || (len == 4 && at[0] >> 3 != 30))
    return 0;
  uint32_t c = at[0] & (0x7FU >> len);
  for (size_t i = 1; i < len; i++) {
    if (at[i] >> 6 != 2)
      return 0;
    c = c << 6 | (at[i] & 0x3F);
  }
  *out = c;
  return c >= least[len] && is_scalar(c) ? len : 0;
}

/* The next character: the bytes it takes. INVALID where there is none. */
static size_t next(const unsigned char *at, size_t left, enum encoding e,
                   uint32_t *out) {
  size_t unit = unit_of(e);
  *out = INVALID;
  if (left < unit)
    return left;
  if (e == UTF_8) {
    size_t len = utf8_at(at, left, out);
    return len ? len : (*out = INVALID, 1);
  }
  uint32_t c = unit_at(at, e);
  if (unit == 2 && c >= 0xD800 && c < 0xDC00 && left >= 4) {
    uint32_t low = unit_at(at + 2, e);
    if (low >= 0xDC00 && low < 0xE000) {
      *out = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
      return 4;
    }
  }
  if (e == WINDOWS_1252 && c >= 0x80 && c < 0xA0)
    c = windows[c - 0x80] ? windows[c - 0x80] : INVALID;
  if (is_scalar(c))
    *out = c;
  return unit;
}

static size_t put_utf8(char *out, uint32_t c) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = len; i-- > 1; c >>= 6)
    out[i] = (char)(0x80 | (c & 0x3F));
  out[0] = (char)((0xF00 >> len & 0xFF) | c);
  return len;
}

static void put_unit(char *out, uint32_t c, enum encoding e) {
  size_t unit = unit_of(e);
  bool little = e == UTF_16LE || e == UTF_32LE;
  for (size_t i = 0; i < unit; i++)
    out[i] = (char)(c >> 8 * (little ? i : unit - 1 - i));
}

/* Bytes, or 0 where the encoding has no such character. */
static size_t put(char *out, uint32_t c, enum encoding e) {
  if (e == UTF_8)
    return put_utf8(out, c);
  if (unit_of(e) == 2 && c >= 0x10000) {
    put_unit(out, 0xD800 + ((c - 0x10000) >> 10), e);
    put_unit(out + 2, 0xDC00 + ((c - 0x10000) & 0x3FF), e);
    return 4;
  }
  if (e == WINDOWS_1252 && (c >= 0x80 && (c < 0xA0 || c > 0xFF))) {
    for (unsigned i = 0; i < 32; i++)
      if (windows[i] == c && c) {
        out[0] = (char)(0x80 + i);
        return 1;
      }
    return 0;
  }
  if (unit_of(e) == 1 && c > 0xFF)
    return 0;
  put_unit(out, c, e);
  return unit_of(e);
}

/* core.decode(bytes, encoding): UTF-8, and how many bytes or units were none: each is
 * U+FFFD. */
static int decode(lua_State *L) {
  size_t len;
  const char *bytes = luaL_checklstring(L, 1, &len);
  enum encoding e = (enum encoding)luaL_checkoption(L, 2, NULL, names);
  lua_Integer bad = 0;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t at = 0; at < len;) {
    uint32_t c;
    at += next((const unsigned char *)bytes + at, len - at, e, &c);
    bad += c == INVALID;
    char *out = luaL_prepbuffsize(&b, 4);
    luaL_addsize(&b, put_utf8(out, c == INVALID ? REPLACEMENT : c));
  }
  luaL_pushresult(&b);
  lua_pushinteger(L, bad);
  return 2;
}

/* core.encode(text, encoding): bytes, or nil where the text is not UTF-8 or has a
 * character that the encoding has not. */
static int encode(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  enum encoding e = (enum encoding)luaL_checkoption(L, 2, NULL, names);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t at = 0; at < len;) {
    uint32_t c;
    at += next((const unsigned char *)text + at, len - at, UTF_8, &c);
    size_t n = c == INVALID ? 0 : put(luaL_prepbuffsize(&b, 4), c, e);
    if (n == 0) {
      lua_pushnil(L);
      return 1;
    }
    luaL_addsize(&b, n);
  }
  luaL_pushresult(&b);
  return 1;
}

/* ---- replacing
 * ------------------------------------------------------------------------ */

typedef struct needle {
  const char *bytes;
  size_t len;
  uint32_t *fallback; /* Knuth, Morris and Pratt: how much of it is its own beginning */
} needle_t;

static void prepare(needle_t *n) {
  size_t k = 0;
  n->fallback[0] = 0;
  for (size_t i = 1; i < n->len; i++) {
    while (k > 0 && n->bytes[i] != n->bytes[k])
      k = n->fallback[k - 1];
    k += n->bytes[i] == n->bytes[k];
    n->fallback[i] = (uint32_t)k;
  }
}

/* core.substitute(text, old, new, unit): the text, and how often `old` was there,
 * beginning at a multiple of `unit`. */
static int substitute(lua_State *L) {
  size_t len, new_len, k = 0, from = 0;
  needle_t n;
  const char *text = luaL_checklstring(L, 1, &len);
  n.bytes = luaL_checklstring(L, 2, &n.len);
  const char *with = luaL_checklstring(L, 3, &new_len);
  size_t unit = (size_t)luaL_optinteger(L, 4, 1);
  luaL_argcheck(L, n.len > 0 && n.len < UINT32_MAX, 2, "it is empty");
  luaL_argcheck(L, unit > 0, 4, "it is not positive");
  n.fallback = lua_newuserdatauv(L, n.len * sizeof *n.fallback, 0);
  prepare(&n);
  lua_Integer count = 0;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < len; i++) {
    while (k > 0 && text[i] != n.bytes[k])
      k = n.fallback[k - 1];
    k += text[i] == n.bytes[k];
    if (k < n.len)
      continue;
    size_t start = i + 1 - n.len;
    if (start % unit != 0) {
      k = n.fallback[k - 1];
      continue;
    }
    luaL_addlstring(&b, text + from, start - from);
    luaL_addlstring(&b, with, new_len);
    from = i + 1;
    k = 0;
    count++;
  }
  luaL_addlstring(&b, text + from, len - from);
  luaL_pushresult(&b);
  lua_pushinteger(L, count);
  return 2;
}

void laxo_text_register(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"decode", decode}, {"encode", encode}, {"substitute", substitute}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
