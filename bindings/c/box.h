/* A box: a Lua state of its own, in which policy runs. What it may take is bounded:
 * memory by its allocator, work by a count of instructions and of steps of C, time by
 * the processor's. */
#ifndef LAXO_BOX_H
#define LAXO_BOX_H

#include "laxo.h"
#include "plain.h"

/* The longest text that one call may build. */
#define LAXO_BOX_TEXT_MAX ((size_t)1024 * 1024)

/* What is left to the decision, or the load, that runs. */
typedef struct laxo_budget {
  lua_Integer left; /* instructions */
  int64_t time_ns;  /* in all */
  int64_t half_ns;  /* the thread's clock after half of that; 0: not yet */
  int64_t look_ns;  /* by the monotonic clock: it has not used that time before */
  int refusals;     /* of memory */
  bool paused;
  int64_t paused_ns, paused_cpu_ns; /* when, by these clocks */
} laxo_budget_t;

/* One call of the host's into the box. */
typedef struct laxo_entry {
  struct laxo_entry *outer;
  lua_State *host, *co;
  int reference;     /* of the function that is asked; LUA_NOREF: it is loaded */
  lua_Integer layer; /* given back to the host, when it is asked for the next */
  int value;         /* in the host's stack: the request, or the text */
  int name;          /* in the host's stack: the path that is loaded */
  int callback;      /* in the host's stack: asked for the next, or for a part */
  int line;          /* of the function that was loaded */
} laxo_entry_t;

typedef struct laxo_box {
  lua_State *L; /* its stack holds the coroutines, one a depth; NULL: closed */
  size_t used, most;
  bool too_long; /* what was refused last was a text */
  lua_Integer instructions;
  int64_t time_ns, loading_time_ns;
  laxo_bounds_t bounds; /* of what crosses */
  laxo_budget_t budget;
  laxo_entry_t *entry;     /* the innermost; NULL: nothing runs */
  int depth;               /* of entries */
  int returned;            /* line where the last function that was asked returned */
  const char *returned_in; /* its source, as long as nothing runs */
} laxo_box_t;

/* The box whose state this is; NULL for every other state. */
laxo_box_t *laxo_box_of(lua_State *L);

/* ---- its allocator and its budget (box_budget.c) ------------------------------- */

/* A lua_Alloc, for lua_newstate: `data` is the box. */
void *laxo_box_allocate(void *data, void *block, size_t old, size_t size);

/* A new budget, with so much of the processor's time. */
void laxo_box_begin(laxo_box_t *box, int64_t time_ns);
/* The time between the two is not counted. */
void laxo_box_pause(laxo_box_t *box);
void laxo_box_go_on(laxo_box_t *box);
/* Whether its time is used up. */
bool laxo_box_is_late(laxo_box_t *box);
/* Takes instructions, and looks at the clock. Raises, in the box. */
void laxo_box_spend(lua_State *L, laxo_box_t *box, lua_Integer instructions);
/* Pushes what is said when there was no memory, on the host's stack. Raises there. */
void laxo_box_push_no_memory(lua_State *L, const laxo_box_t *box);
/* Raises when a text of so many bytes is longer than one call may build. */
void laxo_box_check_text(lua_State *L, size_t len);
/* Has what runs in the box's state counted. */
void laxo_box_watch(laxo_box_t *box);

/* ---- its own side (box_inside.c) ----------------------------------------------- */

/* Slots of a stack for what one call needs; laxo_copy asks for more. */
#define LAXO_BOX_ROOM 16

/* What is raised in the box, by its address, for an error of the host's; that is then
 * in this user value of the box's userdata, which stands at 1 in the host's stack. */
extern const char laxo_box_pending;
#define LAXO_BOX_PENDING 1

/* For what crosses: it is bounded, in time too. */
laxo_copier_t laxo_box_copier(laxo_box_t *box, lua_State *from, lua_State *to);
/* entry -> nothing, but entry->reference and entry->line */
int laxo_box_load_file(lua_State *L);
/* entry -> the answer of the function that is asked */
int laxo_box_ask_file(lua_State *L);

/* ---- what policy may call (box_library.c, box_table.c) ------------------------- */

/* Makes what all environments of the box are copies of. In the box; raises. */
void laxo_box_open_library(lua_State *L);
/* Pushes an environment for one file. In the box; raises. */
void laxo_box_push_environment(lua_State *L);
/* Replaces in the library of tables at the top. In the box; raises. */
void laxo_box_open_table(lua_State *L);

#endif
