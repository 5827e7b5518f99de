/* The counted patterns beside string's own: the same results, or both fail. The input:
 * lengths, a text, a pattern, a replacement. Short ones, since string's may take for
 * ever. */
#include "fuzz.h"
#include "laxo.h"

#include <lualib.h>

static lua_State *L;

/* Nothing runs under a budget here. */
void laxo_budget_steps(lua_State *state, size_t steps) {
  (void)state;
  (void)steps;
}

/* Both functions with the same arguments; their results compared as one text. */
static const char PROGRAM[] =
    "local ours, text, pattern, by, init = ...\n"
    "local function show(lib, name, ...)\n"
    "  local r = table.pack(pcall(lib[name], ...))\n"
    "  if not r[1] then return 'failed' end\n"
    "  for i = 1, r.n do r[i] = ('%s %q'):format(math.type(r[i]), r[i]) end\n"
    "  return table.concat(r, ' ', 1, r.n)\n"
    "end\n"
    "local function all(lib)\n"
    "  local found = {}\n"
    "  for a, b in lib.gmatch(text, pattern, init) do\n"
    "    found[#found + 1] = ('%q %q'):format(a, b)\n"
    "  end\n"
    "  return table.concat(found, ' ')\n"
    "end\n"
    "local function same(...)\n"
    "  return show(string, ...) == show(ours, ...)\n"
    "end\n"
    "local a, found = pcall(all, string)\n"
    "local b, same_found = pcall(all, ours)\n"
    "return a == b and (not a or found == same_found)\n"
    "  and same('find', text, pattern, init) and same('match', text, pattern, init)\n"
    "  and same('find', text, pattern, init, true)\n"
    "  and same('gsub', text, pattern, by) and same('gsub', text, pattern, { a = by }, "
    "2)\n"
    "  and same('gsub', text, pattern, function(x, y) return y and by end)\n";

static void open_state(void) {
  L = luaL_newstate();
  luaL_openlibs(L);
  CHECK(luaL_loadstring(L, PROGRAM) == LUA_OK);
  lua_newtable(L);
  laxo_pattern_register(L);
  lua_getfield(L, -1, "pattern");
  lua_replace(L, -2);
}

static void push_some(input_t *in, size_t most) {
  char bytes[64];
  size_t len = draw8(in) % (most + 1);
  draw(in, bytes, len);
  lua_pushlstring(L, bytes, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  input_t in = {data, size};
  if (!L)
    open_state();
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  push_some(&in, 16);
  push_some(&in, 12);
  push_some(&in, 8);
  lua_pushinteger(L, (int8_t)draw8(&in) % 20);
  CHECK(lua_pcall(L, 5, 1, 0) == LUA_OK);
  CHECK(lua_toboolean(L, -1));
  return 0;
}
