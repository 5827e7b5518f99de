/* string.find, match, gmatch and gsub for policy: the same results, a bounded time. */
#include "pattern.h"
#include "laxo.h"

#include <stdbool.h>
#include <string.h>

/* Of asking for what takes the place of a match. */
#define ANSWER_STEPS 16

typedef struct slice {
  const char *at;
  size_t len;
} slice_t;

static slice_t check_slice(lua_State *L, int index) {
  slice_t slice;
  slice.at = luaL_checklstring(L, index, &slice.len);
  return slice;
}

static void begin(lua_State *L, laxo_match_t *m, slice_t text, slice_t pattern) {
  m->L = L;
  m->text = text.at;
  m->text_end = text.at + text.len;
  m->pattern_end = pattern.at + pattern.len;
  m->count = m->depth = 0;
  m->steps = 0;
}

static const char *match_from(laxo_match_t *m, const char *at, const char *pattern) {
  m->count = m->depth = 0;
  return laxo_match_at(m, at, pattern);
}

/* ---- captures on the stack ----------------------------------------------------- */

/* Without captures the first is the whole match. */
static void push_capture(laxo_match_t *m, int i, const char *at, const char *end) {
  if (i >= m->count) {
    if (i != 0)
      luaL_error(m->L, "invalid capture index %%%d", i + 1);
    lua_pushlstring(m->L, at, (size_t)(end - at));
    return;
  }
  ptrdiff_t len = m->captures[i].len;
  if (len == LAXO_OPEN)
    luaL_error(m->L, "unfinished capture");
  if (len == LAXO_POSITION)
    lua_pushinteger(m->L, m->captures[i].at - m->text + 1);
  else
    lua_pushlstring(m->L, m->captures[i].at, (size_t)len);
}

static int push_captures(laxo_match_t *m, const char *at, const char *end) {
  int count = m->count == 0 && at ? 1 : m->count;
  luaL_checkstack(m->L, count, "too many captures");
  for (int i = 0; i < count; i++)
    push_capture(m, i, at, end);
  return count;
}

/* ---- find and match ------------------------------------------------------------ */

/* An index as string.sub has it, from 0; behind the text when it lies beyond. */
static size_t start_of(lua_Integer init, size_t len) {
  if (init > 0)
    return (size_t)init - 1;
  if (init == 0 || init < -(lua_Integer)len)
    return 0;
  return len - (size_t)-init;
}

static int find_plain(lua_State *L, slice_t text, slice_t wanted, size_t from) {
  const char *at = memmem(text.at + from, text.len - from, wanted.at, wanted.len);
  laxo_budget_steps(L, (text.len - from) / 8);
  if (!at) {
    luaL_pushfail(L);
    return 1;
  }
  lua_pushinteger(L, at - text.at + 1);
  lua_pushinteger(L, at - text.at + (lua_Integer)wanted.len);
  return 2;
}

static bool is_plain(slice_t pattern) {
  for (size_t i = 0; i < pattern.len; i++)
    if (pattern.at[i] != 0 && strchr("^$*+?.([%-", pattern.at[i]))
      return false;
  return true;
}

static int search(lua_State *L, bool is_find) {
  slice_t text = check_slice(L, 1), pattern = check_slice(L, 2);
  size_t from = start_of(luaL_optinteger(L, 3, 1), text.len);
  if (from > text.len) {
    luaL_pushfail(L);
    return 1;
  }
  if (is_find && (lua_toboolean(L, 4) || is_plain(pattern)))
    return find_plain(L, text, pattern, from);
  laxo_match_t m;
  begin(L, &m, text, pattern);
  bool is_anchored = pattern.len > 0 && *pattern.at == '^';
  for (const char *at = text.at + from; at <= m.text_end; at++) {
    const char *end = match_from(&m, at, pattern.at + is_anchored);
    if (end) {
      laxo_match_told(&m);
      if (!is_find)
        return push_captures(&m, at, end);
      lua_pushinteger(L, at - text.at + 1);
      lua_pushinteger(L, end - text.at);
      return push_captures(&m, NULL, NULL) + 2;
    }
    if (is_anchored)
      break;
  }
  laxo_match_told(&m);
  luaL_pushfail(L);
  return 1;
}

static int find(lua_State *L) { return search(L, true); }

static int match(lua_State *L) { return search(L, false); }

/* ---- gmatch -------------------------------------------------------------------- */

/* Upvalues: the text, the pattern, where to go on (from 0), the end of the last match
 * (from 0; -1: there was none), which an empty match must not repeat. */
static int next_match(lua_State *L) {
  laxo_match_t m;
  slice_t text = check_slice(L, lua_upvalueindex(1));
  slice_t pattern = check_slice(L, lua_upvalueindex(2));
  size_t from = (size_t)lua_tointeger(L, lua_upvalueindex(3));
  lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
  begin(L, &m, text, pattern);
  for (const char *at = text.at + from; from <= text.len && at <= m.text_end; at++) {
    const char *end = match_from(&m, at, pattern.at);
    if (!end || end - text.at == last)
      continue;
    laxo_match_told(&m);
    lua_pushinteger(L, end - text.at);
    lua_copy(L, -1, lua_upvalueindex(3));
    lua_replace(L, lua_upvalueindex(4));
    return push_captures(&m, at, end);
  }
  laxo_match_told(&m);
  return 0;
}

static int gmatch(lua_State *L) {
  slice_t text = check_slice(L, 1);
  check_slice(L, 2);
  size_t from = start_of(luaL_optinteger(L, 3, 1), text.len);
  lua_settop(L, 2);
  lua_pushinteger(L, (lua_Integer)(from > text.len ? text.len + 1 : from));
  lua_pushinteger(L, -1);
  lua_pushcclosure(L, next_match, 4);
  return 1;
}

/* ---- gsub ---------------------------------------------------------------------- */

typedef struct sink {
  luaL_Buffer buffer; /* what it keeps is at the top of the stack */
  size_t len;
} sink_t;

static void grow(lua_State *L, sink_t *sink, size_t len) {
  sink->len += len;
  if (sink->len > LAXO_PATTERN_RESULT_MAX)
    luaL_error(L, "the result would be longer than %I bytes",
               (lua_Integer)LAXO_PATTERN_RESULT_MAX);
}

static void add(lua_State *L, sink_t *sink, const char *bytes, size_t len) {
  grow(L, sink, len);
  luaL_addlstring(&sink->buffer, bytes, len);
}

/* Takes the value at the top, a string or a number. */
static void add_value(lua_State *L, sink_t *sink) {
  size_t len;
  (void)lua_tolstring(L, -1, &len);
  grow(L, sink, len);
  luaL_addvalue(&sink->buffer);
}

/* In a template %0 to %9 are captures, %% is a '%'. */
static void add_template(laxo_match_t *m, sink_t *sink, const char *at,
                         const char *end) {
  slice_t template = check_slice(m->L, 3);
  for (size_t i = 0; i < template.len; i++) {
    char c = template.at[i];
    if (c == '%') {
      c = '\0';
      if (++i < template.len)
        c = template.at[i];
      if (c == '0') {
        add(m->L, sink, at, (size_t)(end - at));
        continue;
      }
      if (c >= '1' && c <= '9') {
        push_capture(m, c - '1', at, end);
        add_value(m->L, sink);
        continue;
      }
      if (c != '%')
        luaL_error(m->L, "invalid use of '%%' in replacement string");
    }
    add(m->L, sink, &c, 1);
  }
}

/* What a table has for the match, or a function says; the match itself for none. */
static void add_answer(laxo_match_t *m, sink_t *sink, const char *at, const char *end) {
  lua_State *L = m->L;
  laxo_budget_steps(L, ANSWER_STEPS);
  if (lua_type(L, 3) == LUA_TFUNCTION) {
    lua_pushvalue(L, 3);
    lua_call(L, push_captures(m, at, end), 1);
  } else {
    push_capture(m, 0, at, end);
    lua_gettable(L, 3);
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    add(L, sink, at, (size_t)(end - at));
  } else if (!lua_isstring(L, -1)) {
    luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  } else {
    add_value(L, sink);
  }
}

static void check_replacement(lua_State *L) {
  int type = lua_type(L, 3);
  if (type != LUA_TNUMBER && type != LUA_TSTRING && type != LUA_TFUNCTION &&
      type != LUA_TTABLE)
    luaL_typeerror(L, 3, "string/function/table");
}

static int gsub(lua_State *L) {
  slice_t text = check_slice(L, 1), pattern = check_slice(L, 2);
  check_replacement(L);
  bool is_template = lua_isstring(L, 3);
  lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)text.len + 1), count = 0;
  bool is_anchored = pattern.len > 0 && *pattern.at == '^';
  const char *at = text.at, *last = NULL;
  laxo_match_t m;
  sink_t sink = {.len = 0};
  begin(L, &m, text, pattern);
  luaL_buffinit(L, &sink.buffer);
  while (count < most) {
    const char *end = match_from(&m, at, pattern.at + is_anchored);
    if (end && end != last) {
      count++;
      if (is_template)
        add_template(&m, &sink, at, end);
      else
        add_answer(&m, &sink, at, end);
      at = last = end;
    } else if (at < m.text_end) {
      add(L, &sink, at++, 1);
    } else {
      break;
    }
    if (is_anchored)
      break;
  }
  laxo_match_told(&m);
  add(L, &sink, at, (size_t)(m.text_end - at));
  luaL_pushresult(&sink.buffer);
  lua_pushinteger(L, count);
  return 2;
}

static const luaL_Reg functions[] = {
    {"find", find}, {"match", match}, {"gmatch", gmatch}, {"gsub", gsub}, {NULL, NULL},
};

void laxo_pattern_functions(lua_State *L) { luaL_setfuncs(L, functions, 0); }

void laxo_pattern_register(lua_State *L) {
  lua_newtable(L);
  laxo_pattern_functions(L);
  lua_setfield(L, -2, "pattern");
}
