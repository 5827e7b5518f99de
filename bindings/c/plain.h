/* Copies of plain data, within one lua_State and from one into another. */
#ifndef LAXO_PLAIN_H
#define LAXO_PLAIN_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* What one copy may hold. */
typedef struct laxo_bounds {
  int depth;          /* of tables in tables */
  lua_Integer values; /* pairs, in all */
  size_t bytes;       /* of strings, in all */
} laxo_bounds_t;

typedef struct laxo_copier {
  lua_State *from, *to;
  laxo_bounds_t most, left;
  bool (*is_late)(void *data); /* asked at each table; NULL: it may take any time */
  void *data;
  char problem[64]; /* what cannot be copied; "": nothing */
  int key;          /* where `from` holds the key of that; 0: nowhere */
} laxo_copier_t;

/* Pushes on `to` a copy of the value at `index`, an absolute one, of `from`. False when
 * that is not plain data, or too much of it: then both stacks are higher than before,
 * by what little room there was; that of `from` has to stay so for the report. Raises
 * on `to` alone, when there is no memory. */
bool laxo_copy(laxo_copier_t *copier, int index);

/* Pushes on `L`, of which `from` may be another state, what is wrong: a text. Raises on
 * `L`. */
void laxo_push_problem(lua_State *L, const laxo_copier_t *copier);

#endif
