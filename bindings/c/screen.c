/* "axo.screen": what stands on a terminal's screen. */
#include "laxo.h"

#define LAXO_SCREEN "axo.screen"

static axo_screen_t *check_screen(lua_State *L) {
  return *(axo_screen_t **)luaL_checkudata(L, 1, LAXO_SCREEN);
}

static uint16_t check_side(lua_State *L, int index) {
  lua_Integer n = luaL_checkinteger(L, index);
  luaL_argcheck(L, n > 0 && n <= UINT16_MAX, index, "1 to 65535");
  return (uint16_t)n;
}

/* core.screen(rows, cols, lines) */
static int screen_new(lua_State *L) {
  uint16_t rows = check_side(L, 1), cols = check_side(L, 2);
  lua_Integer lines = luaL_checkinteger(L, 3);
  luaL_argcheck(L, lines >= 0 && lines <= AXO_SCREEN_LINES_MAX, 3, "too many lines");
  axo_screen_t **box = lua_newuserdatauv(L, sizeof(axo_screen_t *), 0);
  *box = NULL;
  luaL_setmetatable(L, LAXO_SCREEN);
  int rc = axo_screen_new(rows, cols, (size_t)lines, box);
  return rc == 0 ? 1
                 : laxo_fail_code(L, rc, "screen",
                                  rc == UV_EINVAL ? "the terminal is too large" : NULL);
}

static int screen_write(lua_State *L) {
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  axo_screen_write(check_screen(L), bytes, len);
  return 0;
}

static int screen_resize(lua_State *L) {
  int rc = axo_screen_resize(check_screen(L), check_side(L, 2), check_side(L, 3));
  if (rc != 0)
    return laxo_fail_code(L, rc, "resize", "the terminal is too large");
  lua_pushboolean(L, true);
  return 1;
}

static int screen_state(lua_State *L) {
  const axo_screen_t *screen = check_screen(L);
  axo_screen_state_t state = axo_screen_state(screen);
  char title[AXO_SCREEN_TITLE_MAX];
  lua_createtable(L, 0, 7);
  laxo_set_integer(L, "rows", state.rows);
  laxo_set_integer(L, "cols", state.cols);
  laxo_set_integer(L, "scrolled", (lua_Integer)state.scrolled);
  laxo_set_boolean(L, "alternate", state.alternate);
  lua_pushlstring(L, title, axo_screen_title(screen, title));
  lua_setfield(L, -2, "title");
  lua_createtable(L, 0, 3);
  laxo_set_integer(L, "row", state.cursor_row + 1);
  laxo_set_integer(L, "col", state.cursor_col + 1);
  laxo_set_boolean(L, "visible", state.cursor_visible);
  lua_setfield(L, -2, "cursor");
  return 1;
}

static int screen_rows(lua_State *L) {
  const axo_screen_t *screen = check_screen(L);
  axo_screen_state_t state = axo_screen_state(screen);
  char row[AXO_SCREEN_ROW_MAX];
  lua_createtable(L, state.rows, 0);
  for (uint16_t i = 0; i < state.rows; i++) {
    lua_pushlstring(L, row, axo_screen_row(screen, i, row));
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* screen:lines(count): the last of those that have scrolled off. */
static int screen_lines(lua_State *L) {
  const axo_screen_t *screen = check_screen(L);
  size_t kept = axo_screen_state(screen).lines;
  lua_Integer wanted = luaL_checkinteger(L, 2);
  luaL_argcheck(L, wanted >= 0, 2, "not below 0");
  size_t count = (lua_Unsigned)wanted < kept ? (size_t)wanted : kept;
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    size_t len;
    const char *text = axo_screen_line(screen, kept - count + i, &len);
    lua_pushlstring(L, text, len);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int screen_gc(lua_State *L) {
  axo_screen_t **box = luaL_checkudata(L, 1, LAXO_SCREEN);
  axo_screen_free(*box);
  *box = NULL;
  return 0;
}

static const luaL_Reg methods[] = {{"write", screen_write}, {"resize", screen_resize},
                                   {"state", screen_state}, {"rows", screen_rows},
                                   {"lines", screen_lines}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", screen_gc}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"screen", screen_new}, {NULL, NULL}};

void laxo_screen_register(lua_State *L) {
  laxo_metatable(L, LAXO_SCREEN, methods, meta);
  luaL_setfuncs(L, functions, 0);
}
