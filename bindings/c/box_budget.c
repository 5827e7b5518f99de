/* What bounds a box: its allocator, a hook that counts, two clocks. */
#include "box.h"

#include <stdlib.h>
#include <time.h>

/* Instructions from hook to hook: each may build or compare a long text. */
#define STEP 10
/* Steps of a C function that cost about what an instruction does. */
#define STEPS_PER_INSTRUCTION 8
/* What a block costs besides its bytes: they bound how many there are, and with that
 * how long a collection takes. */
#define BLOCK 32
/* The longest text, which bounds what one instruction does. */
#define TEXT_MAX ((size_t)2 * 1024 * 1024)
/* How often in one decision memory may be refused, everything be collected, and the
 * decision go on. */
#define REFUSALS_MAX 1
#define NS_PER_MS INT64_C(1000000)
#ifndef CLOCK_MONOTONIC_COARSE
#define CLOCK_MONOTONIC_COARSE CLOCK_MONOTONIC
#endif

laxo_box_t *laxo_box_of(lua_State *L) {
  void *data;
  return lua_getallocf(L, &data) == laxo_box_allocate ? data : NULL;
}

/* ---- memory -------------------------------------------------------------------- */

/* Lua collects all that it can when it is refused, and asks once more. */
static bool refuses(laxo_box_t *box, size_t before, size_t after, bool is_text) {
  bool too_long = is_text && after > TEXT_MAX + BLOCK;
  bool is_over = after > box->most || box->used - before > box->most - after;
  if (!too_long && !is_over && box->budget.refusals <= REFUSALS_MAX)
    return false;
  box->budget.refusals++;
  box->too_long = too_long;
  return true;
}

void *laxo_box_allocate(void *data, void *block, size_t old, size_t size) {
  laxo_box_t *box = data;
  size_t before = block ? old + BLOCK : 0, after = size + BLOCK;
  if (size == 0) {
    free(block);
    box->used -= before;
    return NULL;
  }
  /* For a new block `old` says what it is for. */
  if (after > before && refuses(box, before, after, !block && old == LUA_TSTRING))
    return NULL;
  void *moved = realloc(block, size);
  if (!moved) /* what becomes smaller may not fail */
    return after > before ? NULL : block;
  box->used = box->used - before + after;
  return moved;
}

void laxo_box_push_no_memory(lua_State *L, const laxo_box_t *box) {
  if (box->too_long)
    lua_pushfstring(L, "a text would be longer than %d MiB", (int)(TEXT_MAX >> 20));
  else
    lua_pushfstring(L, "used more than %d MiB of memory", (int)(box->most >> 20));
}

/* ---- time ---------------------------------------------------------------------- */

static int64_t now_ns(clockid_t clock) {
  struct timespec now;
  (void)clock_gettime(clock, &now); /* these clocks are there on every Linux and BSD */
  return (int64_t)now.tv_sec * 1000 * NS_PER_MS + now.tv_nsec;
}

void laxo_box_begin(laxo_box_t *box, int64_t time_ns) {
  box->budget = (laxo_budget_t){
      .left = box->instructions,
      .time_ns = time_ns,
      .look_ns = now_ns(CLOCK_MONOTONIC_COARSE) + time_ns / 2,
  };
}

void laxo_box_pause(laxo_box_t *box) {
  laxo_budget_t *b = &box->budget;
  b->paused = true;
  b->paused_ns = now_ns(CLOCK_MONOTONIC_COARSE);
  b->paused_cpu_ns = b->half_ns ? now_ns(CLOCK_THREAD_CPUTIME_ID) : 0;
}

void laxo_box_go_on(laxo_box_t *box) {
  laxo_budget_t *b = &box->budget;
  b->paused = false;
  b->look_ns += now_ns(CLOCK_MONOTONIC_COARSE) - b->paused_ns;
  if (b->half_ns)
    b->half_ns += now_ns(CLOCK_THREAD_CPUTIME_ID) - b->paused_cpu_ns;
}

/* What others do on the machine is not counted. The thread's own clock takes a system
 * call, the monotonic one does not: so half of the time passes before it is asked, and
 * the other half is what it has to show. */
bool laxo_box_is_late(laxo_box_t *box) {
  laxo_budget_t *b = &box->budget;
  int64_t now = now_ns(CLOCK_MONOTONIC_COARSE);
  if (now < b->look_ns)
    return false;
  int64_t used = now_ns(CLOCK_THREAD_CPUTIME_ID);
  if (b->half_ns == 0)
    b->half_ns = used;
  int64_t left = b->time_ns / 2 - (used - b->half_ns);
  if (left <= 0)
    return true;
  b->look_ns = now + left;
  return false;
}

/* ---- work ---------------------------------------------------------------------- */

/* Raised without a position: whoever reports it knows which line was in control. */
static int exceeded(lua_State *L, const char *format, lua_Integer most) {
  lua_pushfstring(L, format, most);
  return lua_error(L);
}

void laxo_box_spend(lua_State *L, laxo_box_t *box, lua_Integer instructions) {
  box->budget.left -= instructions;
  if (box->budget.left < 0)
    exceeded(L, "used up its budget of %I instructions (an endless loop?)",
             box->instructions);
  if (laxo_box_is_late(box))
    exceeded(L, "used up its budget of %I ms (an endless loop?)",
             box->budget.time_ns / NS_PER_MS);
}

void laxo_box_check_text(lua_State *L, size_t len) {
  if (len > LAXO_BOX_TEXT_MAX)
    luaL_error(L, "the result would be longer than %I bytes",
               (lua_Integer)LAXO_BOX_TEXT_MAX);
}

void laxo_budget_steps(lua_State *L, size_t steps) {
  laxo_box_t *box = laxo_box_of(L);
  if (box)
    laxo_box_spend(L, box, (lua_Integer)(steps / STEPS_PER_INSTRUCTION));
}

/* Notes where what was asked returns: it is called by the function of C that stands at
 * the coroutine's beginning. */
static void note_return(lua_State *L, laxo_box_t *box, lua_Debug *ar) {
  lua_Debug other;
  if (!lua_getstack(L, 1, &other) || lua_getstack(L, 2, &other))
    return;
  lua_getinfo(L, "Sl", ar);
  box->returned = ar->currentline;
  box->returned_in = ar->source;
}

static void on_hook(lua_State *L, lua_Debug *ar) {
  laxo_box_t *box = laxo_box_of(L);
  if (ar->event == LUA_HOOKCOUNT)
    laxo_box_spend(L, box, STEP);
  else
    note_return(L, box, ar);
}

void laxo_box_watch(laxo_box_t *box) {
  lua_sethook(box->L, on_hook, LUA_MASKCOUNT | LUA_MASKRET, STEP);
}
