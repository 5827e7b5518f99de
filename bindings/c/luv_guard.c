/* luv before 1.46 frees a handle in its finaliser also when it is still closing, and
 * its loop then touches freed memory: a program whose last act is to close a timer ends
 * with a crash (seen with 1.44.2). A handle that is anchored until it is closed meets
 * its finaliser earlier only at the end of the Lua state. There, one that the loop
 * still holds is left to the loop, whose own finaliser comes last and closes it; its
 * memory goes with the process. */
#include "laxo.h"

#ifdef LAXO_GUARD_LUV

typedef struct search {
  const uv_handle_t *wanted;
  bool found;
} search_t;

// cppcheck-suppress constParameter ; libuv's signature
static void compare(uv_handle_t *handle, void *data) {
  search_t *search = data;
  if (handle == search->wanted)
    search->found = true;
}

/* libuv has no word for "closing and not yet closed", but only walks what is not
 * closed. */
static bool is_still_closing(const uv_handle_t *handle) {
  search_t search = {handle, false};
  if (!uv_is_closing(handle))
    return false;
  uv_walk(handle->loop, compare, &search);
  return search.found;
}

static int guarded_gc(lua_State *L) {
  uv_handle_t *const *box = lua_touserdata(L, 1);
  if (box != NULL && *box != NULL && is_still_closing(*box))
    return 0;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_call(L, 1, 0);
  return 0;
}

static void guard(lua_State *L, const char *metatable) {
  int top = lua_gettop(L);
  if (luaL_getmetatable(L, metatable) == LUA_TTABLE &&
      lua_getfield(L, -1, "__gc") == LUA_TFUNCTION &&
      lua_tocfunction(L, -1) != guarded_gc) {
    lua_pushcclosure(L, guarded_gc, 1);
    lua_setfield(L, -2, "__gc");
  }
  lua_settop(L, top);
}

#define GUARD(upper, lower) guard(L, "uv_" #lower);

void laxo_guard_luv(lua_State *L) { UV_HANDLE_TYPE_MAP(GUARD) }

#else

void laxo_guard_luv(lua_State *L) { (void)L; }

#endif
