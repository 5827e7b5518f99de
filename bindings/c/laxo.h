/* laxo.h: what the binding's files share.
 *
 * Functions marked "raises" may throw a Lua error: call them only where no C memory is
 * held that is not anchored. A userdata is a box around one pointer; NULL means closed.
 */
#ifndef LAXO_H
#define LAXO_H

#include "axo.h"

#include <lauxlib.h>
#include <lua.h>

#define LAXO_ERROR "axo.error"
#define LAXO_PROCESS "axo.process"
#define LAXO_PTY "axo.pty"
#define LAXO_RING "axo.ring"
#define LAXO_LOCK "axo.lock"
#define LAXO_HANGUP "axo.hangup"
#define LAXO_BOX "axo.box"
#define LAXO_LINK "axo.link"
#define LAXO_GUEST_WORK "axo.guest_work"
#define LAXO_NET_LISTENER "axo.net_listener"
#define LAXO_NET_CONN "axo.net_conn"
#define LAXO_DIAG "axo.diag"

/* ---- classes (metatable.c) ------------------------------------------------------- */

/* Makes the metatable `name`: `methods` as __index, `meta` as metamethods. Raises. */
void laxo_metatable(lua_State *L, const char *name, const luaL_Reg *methods,
                    const luaL_Reg *meta);

/* ---- fields of the table at the top (set.c) -------------------------------------- */

/* Each raises, for want of memory. */
void laxo_set_integer(lua_State *L, const char *key, lua_Integer value);
void laxo_set_count(lua_State *L, const char *key, uint64_t value);
void laxo_set_boolean(lua_State *L, const char *key, bool value);
void laxo_set_string(lua_State *L, const char *key, const char *value);

/* ---- errors (error.c) ------------------------------------------------------------ */

/* Pushes nil and an error object, for `return laxo_fail(L, &err)`. Raises. */
int laxo_fail(lua_State *L, const axo_err_t *err);
/* Pushes the error object alone. Raises. */
void laxo_push_error(lua_State *L, const axo_err_t *err);
/* The same from a bare UV_E* code. `message` NULL: libuv's words. Raises. */
int laxo_fail_code(lua_State *L, int code, const char *op, const char *message);
/* Pushes "EINVAL" for UV_EINVAL. Raises. */
void laxo_push_code(lua_State *L, int code);
/* Adds error, is_error to the module table at the top. Raises. */
void laxo_error_register(lua_State *L);

/* ---- options (options.c) --------------------------------------------------------- */

typedef enum laxo_kind {
  LAXO_STRING,   /* const char *, no NUL inside */
  LAXO_BOOL,     /* bool */
  LAXO_SIZE,     /* size_t, at least 1 */
  LAXO_UINT64,   /* uint64_t */
  LAXO_INT64,    /* int64_t */
  LAXO_INT,      /* int */
  LAXO_UINT,     /* unsigned */
  LAXO_UINT16,   /* uint16_t */
  LAXO_NUMBER,   /* double, finite */
  LAXO_MS,       /* uint64_t milliseconds from seconds; 0 and huge: 0 */
  LAXO_BOUND,    /* the same for a bound whose 0 means "at once": at least 1 */
  LAXO_BYTES,    /* laxo_bytes_t */
  LAXO_STRINGS,  /* const char *const *, NULL-terminated */
  LAXO_PAIRS,    /* const axo_pair_t *, sorted by key, and a count */
  LAXO_ARRAY,    /* array of structs, and a count */
  LAXO_FUNCTION, /* type checked only */
  LAXO_ANY       /* name checked only */
} laxo_kind_t;

typedef struct laxo_bytes {
  const char *data;
  size_t len;
} laxo_bytes_t;

struct laxo_shape;

/* One key of an options table and where its value goes. */
typedef struct laxo_field {
  const char *name;
  size_t offset;
  size_t count_offset;            /* LAXO_PAIRS, LAXO_ARRAY: of a size_t */
  const struct laxo_shape *items; /* LAXO_ARRAY */
  laxo_kind_t kind;
  bool required;
} laxo_field_t;

typedef struct laxo_shape {
  const laxo_field_t *fields;
  size_t count; /* of fields */
  size_t size;  /* of the struct */
} laxo_shape_t;

/* Its versions differ on these. */
/* clang-format off */
#define LAXO_KEY(name_, kind_, offset_)                                                \
  { .name = (name_), .kind = (kind_), .offset = (offset_) }
#define LAXO_NEED(name_, kind_, offset_)                                               \
  { .name = (name_), .kind = (kind_), .offset = (offset_), .required = true }
#define LAXO_MANY(name_, kind_, offset_, count_offset_, items_)                        \
  {                                                                                    \
    .name = (name_), .kind = (kind_), .offset = (offset_),                             \
    .count_offset = (count_offset_), .items = (items_)                                 \
  }
/* A key whose value the caller takes itself. */
#define LAXO_TAKEN(name_, kind_)                                                       \
  { .name = (name_), .kind = (kind_) }
/* At most 64 fields: which a table has is a bit each. */
#define LAXO_SHAPE(fields_, type)                                                      \
  {                                                                                    \
    (fields_),                                                                         \
        sizeof(fields_) / sizeof((fields_)[0]) +                                       \
            0 * sizeof(char[sizeof(fields_) / sizeof((fields_)[0]) <= 64 ? 1 : -1]),   \
        sizeof(type)                                                                   \
  }
/* clang-format on */

/* Keeps what a conversion made until its C function returns; and the first value that
 * has the right type and cannot be right all the same. */
typedef struct laxo_reader {
  lua_State *L;
  int anchor; /* stack index of the table that holds strings and arrays */
  const char *op;
  bool untaken;  /* there are values that the caller takes itself */
  axo_err_t err; /* code 0: nothing is wrong */
} laxo_reader_t;

/* Pushes one value (the anchor), which must stay on the stack as long as the structs
 * are in use. Raises. */
void laxo_reader_init(lua_State *L, laxo_reader_t *reader, const char *op);
/* Fills `out`, zeroed by the caller, from the table at `index`. A wrong type, an
 * unknown key or a missing one raises; a bad value is left in reader->err. */
void laxo_read(laxo_reader_t *reader, int index, const laxo_shape_t *shape, void *out);
/* The string argument at `index`, for a path or a name. Raises on a NUL byte inside. */
const char *laxo_check_text(lua_State *L, int index);
/* The array of strings at `index`, NULL-terminated. Raises on a wrong type. */
const char *const *laxo_read_strings(laxo_reader_t *reader, int index,
                                     const char *where);

/* ---- signals (signal.c) ---------------------------------------------------------- */

/* Pushes "KILL" for 9, or the number in decimal where there is no name. Raises. */
void laxo_push_signal(lua_State *L, int signum);
/* The signal at `index`: a number, or a name with or without SIG. Raises. */
int laxo_check_signal(lua_State *L, int index);

/* ---- rings (ring.c) -------------------------------------------------------------- */

/* `users` counts the running works that write into it: a ring closed meanwhile is freed
 * by the last of them. */
typedef struct laxo_ring {
  axo_ring_t *ring;
  unsigned users;
  bool closed;
} laxo_ring_t;

/* Gives up one use. */
void laxo_ring_unref(laxo_ring_t *box);
void laxo_ring_register(lua_State *L);

/* ---- luv (luv_guard.c) ----------------------------------------------------------- */

/* Keeps luv's handles from being freed while they close, at the end of the state.
 * Raises. */
void laxo_guard_luv(lua_State *L);

/* ---- work in flight (callback.c) ------------------------------------------------- */

/* One for each lua_State: made right after luv's loop, so collected right before it.
 * Its finaliser closes what is still running. */
typedef struct laxo_context {
  lua_State *L; /* the main thread */
  uv_loop_t *loop;
  struct laxo_work *works;
  bool closed;
} laxo_context_t;

/* User values common to processes and terminals. */
enum { LAXO_UV_RING = 1, LAXO_UV_ON_EXIT = 2, LAXO_UV_FIRST = 3 };

/* The base of a userdata whose child is running. While it is, the registry anchors the
 * userdata, and the userdata's user values anchor callbacks and ring. */
typedef struct laxo_work {
  laxo_context_t *context;
  struct laxo_work *next, *previous;
  laxo_ring_t *ring;
  void (*kill)(struct laxo_work *work); /* ends the C object; no callback afterwards */
  int values;                           /* how many user values it has */
  bool running;
} laxo_work_t;

/* The context of this state. Raises when the state is closing. */
laxo_context_t *laxo_context(lua_State *L);
/* Requires luv, makes the context. Adds set_uncaught to the module table at the top.
 * Raises. */
void laxo_context_register(lua_State *L);

/* Makes the userdata of a work, zeroed, with its metatable, and pushes it. Raises. */
void *laxo_work_new(lua_State *L, size_t size, const char *metatable, int values);
/* Moves the value of `options[name]` at `index` into user value `slot` of the userdata
 * at `work_index`. Returns whether there was one. Raises. */
bool laxo_work_take(lua_State *L, int work_index, int slot, int index,
                    const char *name);
/* Does that with `options.ring`, and checks it. NULL when there is none. Raises. */
laxo_ring_t *laxo_work_take_ring(lua_State *L, int work_index, int index);
/* Anchors the userdata at `index`: before its child is started. Raises. */
void laxo_work_begin(lua_State *L, int index);
/* Un-anchors it and drops its callbacks. Does not kill. */
void laxo_work_end(lua_State *L, laxo_work_t *work);
/* Kills what runs and ends it; for close, __close and __gc. Idempotent. */
void laxo_work_close(lua_State *L, laxo_work_t *work);

/* Runs `body(L)` with `event` as its one argument on the main thread, protected; an
 * error goes to set_uncaught's function. Never raises. */
void laxo_protect(laxo_context_t *context, lua_CFunction body, void *event);
/* Pushes the callback in `slot` of a running work. False, and nothing pushed, when
 * there is none. Leaves the userdata below it. */
bool laxo_push_callback(lua_State *L, laxo_work_t *work, int slot);

/* ---- links (ask.c, link.c, guest_work.c) ----------------------------------------- */

typedef struct laxo_link {
  laxo_context_t *context;
  axo_link_t *link; /* NULL: closed */
  bool silent;      /* being collected: nobody is told anything */
} laxo_link_t;

/* What link:exec runs instead of a child of this process. */
typedef struct laxo_remote {
  axo_link_t *link;
  int link_index; /* of the link's userdata: anchored while the command runs */
} laxo_remote_t;

/* core.spawn's work with [argv, options, on_exit] at 1 to 3; `remote` NULL runs it
 * here. Raises. */
int laxo_process_start(lua_State *L, const laxo_remote_t *remote);
/* link:task, link:terminal and link:attach, with the link's userdata at 1. Raise. */
int laxo_guest_task(lua_State *L);
int laxo_guest_terminal(lua_State *L);
int laxo_guest_attach(lua_State *L);
/* The open link of the userdata at `index`; raises when it is closed. */
axo_link_t *laxo_check_link(lua_State *L, int index);
/* A request with one answer; its callback and the link are anchored until that comes.
 */
typedef struct laxo_ask laxo_ask_t;
/* For the link's userdata at `link` and the function at `callback`: done(err, answer),
 * or with `counts`, done(err, count). Raises. */
laxo_ask_t *laxo_ask_new(lua_State *L, int link, int callback, bool counts);
/* The axo_answer_cb of an ask, which is its data. */
void laxo_on_answer(void *data, const axo_answer_t *answer);
/* true, or nil, err when `status` says that it was not even sent. */
int laxo_asked(lua_State *L, laxo_ask_t *ask, int status, const axo_err_t *err);
/* A ring's userdata around `ring`, which it owns. Raises. */
void laxo_push_ring(lua_State *L, axo_ring_t *ring);

/* ---- the network (net.c, net_listener.c, net_conn.c) ----------------------------- */

/* Makes the userdata of a connection that the listener's userdata at `listener` has
 * taken in, and pushes it. Raises; the connection is then without data. */
void laxo_net_conn_new(lua_State *L, int listener, axo_net_conn_t *conn);
/* The axo_net_listener_options_t.on_gone of those. */
void laxo_net_conn_gone(axo_net_conn_t *conn);

/* ---- the rest -------------------------------------------------------------------- */

void laxo_argv_register(lua_State *L);
void laxo_floor_register(lua_State *L);
void laxo_reference_register(lua_State *L);
void laxo_digest_register(lua_State *L);
void laxo_text_register(lua_State *L);
void laxo_attributes_register(lua_State *L);
void laxo_box_register(lua_State *L);
void laxo_pattern_register(lua_State *L);
/* Takes a C function's steps from the budget of the box that it runs in, if it does.
 * Raises when that is used up. */
void laxo_budget_steps(lua_State *L, size_t steps);
void laxo_plain_register(lua_State *L);
void laxo_unseen_register(lua_State *L);
void laxo_screen_register(lua_State *L);
void laxo_process_register(lua_State *L);
void laxo_link_register(lua_State *L);
void laxo_guest_work_register(lua_State *L);
void laxo_pty_register(lua_State *L);
void laxo_lock_register(lua_State *L);
void laxo_constants_register(lua_State *L);
void laxo_hangup_register(lua_State *L);
void laxo_podman_register(lua_State *L);
/* What core.net has: these add to the table at the top. */
void laxo_net_register(lua_State *L);
void laxo_net_listener_register(lua_State *L);
void laxo_net_conn_register(lua_State *L);
void laxo_net_dns_register(lua_State *L);
void laxo_net_diag_register(lua_State *L);

#endif /* LAXO_H */
