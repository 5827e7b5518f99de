/* Lua's patterns, matched by a matcher that counts its steps. */
#ifndef LAXO_PATTERN_H
#define LAXO_PATTERN_H

#include <lua.h>
#include <stddef.h>

/* The longest text that gsub builds. */
#define LAXO_PATTERN_RESULT_MAX ((size_t)1024 * 1024)

/* What a pattern may capture: as many as Lua's own. */
#define LAXO_CAPTURES_MAX 32

/* `len` of a capture that is a position, and of one that is still open. */
enum { LAXO_POSITION = -2, LAXO_OPEN = -1 };

typedef struct laxo_match {
  lua_State *L;
  const char *text, *text_end;
  const char *pattern_end;
  struct {
    const char *at;
    ptrdiff_t len;
  } captures[LAXO_CAPTURES_MAX];
  int count; /* of captures */
  int depth;
  unsigned steps; /* not told of yet */
} laxo_match_t;

/* Where a match of `pattern` that begins at `at` ends; NULL when there is none. Raises
 * what string.find raises of a bad pattern, and what `laxo_budget_steps` raises. */
const char *laxo_match_at(laxo_match_t *m, const char *at, const char *pattern);

/* Sets find, match, gmatch and gsub in the table at the top. */
void laxo_pattern_functions(lua_State *L);

/* Tells of the steps that were not told of yet. */
void laxo_match_told(laxo_match_t *m);

#endif
