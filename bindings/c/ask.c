/* Requests over a link that have one answer. */
#include "laxo.h"
#include "link/protocol.h"

#include <stdlib.h>
#include <string.h>

axo_link_t *laxo_check_link(lua_State *L, int index) {
  laxo_link_t *self = luaL_checkudata(L, index, LAXO_LINK);
  luaL_argcheck(L, self->link != NULL, index, "the link is closed");
  return self->link;
}

/* ---- the list -------------------------------------------------------------------- */

/* What the guest sent is bounded here once more: it may be an impostor's. */
static void push_command(lua_State *L, const axo_entry_t *entry) {
  size_t len = entry->command_len;
  if (len > sizeof entry->command)
    len = sizeof entry->command;
  const char *at = entry->command, *end = at + len;
  lua_newtable(L);
  for (int i = 1; at < end; i++) {
    size_t size = strnlen(at, (size_t)(end - at));
    lua_pushlstring(L, at, size);
    lua_rawseti(L, -2, i);
    at += size + 1;
  }
}

static void push_entry(lua_State *L, const axo_entry_t *entry) {
  lua_createtable(L, 0, 10);
  lua_pushlstring(L, entry->name, strnlen(entry->name, sizeof entry->name));
  lua_setfield(L, -2, "name");
  lua_pushstring(L, entry->kind == AXO_KIND_TERMINAL ? "terminal" : "task");
  lua_setfield(L, -2, "kind");
  lua_pushboolean(L, entry->state != AXO_WORK_ENDED);
  lua_setfield(L, -2, "running");
  lua_pushnumber(L, (lua_Number)entry->started_ms / 1000);
  lua_setfield(L, -2, "started");
  laxo_set_count(L, "head", entry->head);
  laxo_set_integer(L, "rows", entry->rows);
  laxo_set_integer(L, "cols", entry->cols);
  if (entry->signal != 0) {
    laxo_push_signal(L, entry->signal);
    lua_setfield(L, -2, "signal");
  } else {
    lua_pushinteger(L, entry->code);
    lua_setfield(L, -2, "code");
  }
  push_command(L, entry);
  lua_setfield(L, -2, "argv");
}

static void push_entries(lua_State *L, const axo_entry_t *entries, size_t count) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_entry(L, &entries[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* ---- the answer ------------------------------------------------------------------ */

struct laxo_ask {
  laxo_context_t *context;
  laxo_link_t *self;
  const axo_answer_t *answer;
  bool counts;
};

/* Bounded once more, as above. */
static void push_owner(lua_State *L, const axo_owned_t *owner) {
  lua_createtable(L, 0, 4);
  if (owner->pid > 0)
    laxo_set_integer(L, "pid", (lua_Integer)owner->pid);
  if (owner->id > 0)
    laxo_set_count(L, "id", owner->id);
  if (owner->name[0]) {
    lua_pushlstring(L, owner->name, strnlen(owner->name, sizeof owner->name));
    lua_setfield(L, -2, "name");
  }
  lua_pushboolean(L, owner->cut != 0);
  lua_setfield(L, -2, "cut");
}

static int push_answer(lua_State *L, const laxo_ask_t *ask) {
  const axo_answer_t *answer = ask->answer;
  if (answer->err != NULL) {
    laxo_push_error(L, answer->err);
    return 1;
  }
  lua_pushnil(L);
  if (ask->counts)
    lua_pushinteger(L, (lua_Integer)answer->count);
  else if (answer->fd >= 0)
    lua_pushinteger(L, answer->fd);
  else if (answer->owner != NULL)
    push_owner(L, answer->owner);
  else if (answer->count > 0)
    push_entries(L, answer->entries, answer->count);
  else
    lua_newtable(L);
  return 2;
}

/* The callback of an ask lies in the registry under the ask's address, the link's
 * userdata beside it. */
static int ask_body(lua_State *L) {
  laxo_ask_t *ask = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, ask);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, ask);
  if (lua_type(L, -1) != LUA_TTABLE)
    return 0;
  lua_rawgeti(L, -1, 1);
  if (!ask->self->silent)
    lua_call(L, push_answer(L, ask), 0);
  return 0;
}

void laxo_on_answer(void *data, const axo_answer_t *answer) {
  laxo_ask_t *ask = data;
  ask->answer = answer;
  laxo_protect(ask->context, ask_body, ask);
  free(ask);
}

laxo_ask_t *laxo_ask_new(lua_State *L, int link, int callback, bool counts) {
  laxo_link_t *self = luaL_checkudata(L, link, LAXO_LINK);
  luaL_checktype(L, callback, LUA_TFUNCTION);
  laxo_check_link(L, link);
  lua_createtable(L, 2, 0);
  lua_pushvalue(L, callback);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, link);
  lua_rawseti(L, -2, 2);
  laxo_ask_t *ask = calloc(1, sizeof *ask);
  if (ask == NULL) {
    luaL_error(L, "axosandbox: out of memory");
    return NULL;
  }
  ask->context = self->context;
  ask->self = self;
  ask->counts = counts;
  lua_rawsetp(L, LUA_REGISTRYINDEX, ask);
  return ask;
}

int laxo_asked(lua_State *L, laxo_ask_t *ask, int status, const axo_err_t *err) {
  if (status == 0) {
    lua_pushboolean(L, true);
    return 1;
  }
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, ask);
  free(ask);
  return laxo_fail(L, err);
}
