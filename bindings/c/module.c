#include "laxo.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int luaopen_axosandbox_core(lua_State *L);

/* luv's loop comes first, then the context: finalisers run in the opposite order. */
int luaopen_axosandbox_core(lua_State *L) {
  luaL_checkversion(L);
  lua_newtable(L);
  lua_pushstring(L, axo_version());
  lua_setfield(L, -2, "version");
  laxo_context_register(L);
  laxo_error_register(L);
  laxo_argv_register(L);
  laxo_floor_register(L);
  laxo_reference_register(L);
  laxo_digest_register(L);
  laxo_text_register(L);
  laxo_attributes_register(L);
  laxo_box_register(L);
  laxo_pattern_register(L);
  laxo_plain_register(L);
  laxo_unseen_register(L);
  laxo_screen_register(L);
  laxo_ring_register(L);
  laxo_process_register(L);
  laxo_pty_register(L);
  laxo_link_register(L);
  laxo_guest_work_register(L);
  laxo_lock_register(L);
  laxo_hangup_register(L);
  laxo_podman_register(L);
  laxo_net_register(L);
  laxo_constants_register(L);
  return 1;
}
