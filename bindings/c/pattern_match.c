/* The matcher: backtracking, as Lua's manual has it, with each step counted. */
#include "laxo.h"
#include "pattern.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* Matches within matches; each takes a piece of C's stack. */
#define DEPTH_MAX 200
/* Steps between two looks at the budget. */
#define STEPS_AT_ONCE 1024

void laxo_match_told(laxo_match_t *m) {
  unsigned steps = m->steps;
  m->steps = 0;
  laxo_budget_steps(m->L, steps);
}

/* No more than a text is long. */
static void step(laxo_match_t *m, size_t steps) {
  m->steps += (unsigned)steps;
  if (m->steps >= STEPS_AT_ONCE)
    laxo_match_told(m);
}

/* ---- one character ------------------------------------------------------------- */

/* Behind the item at `p`: a character, a class or a set. */
static const char *item_end(laxo_match_t *m, const char *p) {
  const char *begin = p, *end = m->pattern_end;
  if (*p == '%') {
    if (p + 1 == end)
      luaL_error(m->L, "malformed pattern (ends with '%%')");
    return p + 2;
  }
  if (*p++ != '[')
    return p;
  if (p < end && *p == '^')
    p++;
  /* What comes first is of the set, also a ']'. */
  for (bool is_first = true; is_first || p == end || *p != ']'; is_first = false) {
    if (p == end)
      luaL_error(m->L, "malformed pattern (missing ']')");
    p += *p == '%' && p + 1 < end ? 2 : 1;
  }
  step(m, (size_t)(p - begin) / 8);
  return p + 1;
}

static bool is_in_class(unsigned char c, unsigned char class) {
  bool is_in;
  switch (tolower(class)) {
  case 'a':
    is_in = isalpha(c);
    break;
  case 'c':
    is_in = iscntrl(c);
    break;
  case 'd':
    is_in = isdigit(c);
    break;
  case 'g':
    is_in = isgraph(c);
    break;
  case 'l':
    is_in = islower(c);
    break;
  case 'p':
    is_in = ispunct(c);
    break;
  case 's':
    is_in = isspace(c);
    break;
  case 'u':
    is_in = isupper(c);
    break;
  case 'w':
    is_in = isalnum(c);
    break;
  case 'x':
    is_in = isxdigit(c);
    break;
  case 'z': /* of Lua 5.1, and still taken */
    is_in = c == 0;
    break;
  default:
    return class == c;
  }
  return isupper(class) ? !is_in : is_in;
}

/* `p` is at the '[', `last` at the ']'. */
static bool is_in_set(laxo_match_t *m, unsigned char c, const char *p,
                      const char *last) {
  bool is_listed = true;
  step(m, (size_t)(last - p) / 8);
  if (p[1] == '^') {
    is_listed = false;
    p++;
  }
  while (++p < last) {
    if (*p == '%') {
      if (is_in_class(c, (unsigned char)*++p))
        return is_listed;
    } else if (p[1] == '-' && p + 2 < last) {
      if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
        return is_listed;
      p += 2;
    } else if ((unsigned char)*p == c) {
      return is_listed;
    }
  }
  return !is_listed;
}

static bool is_item(laxo_match_t *m, const char *at, const char *p, const char *end) {
  step(m, 1);
  if (at == m->text_end)
    return false;
  unsigned char c = (unsigned char)*at;
  switch (*p) {
  case '.':
    return true;
  case '%':
    return is_in_class(c, (unsigned char)p[1]);
  case '[':
    return is_in_set(m, c, p, end - 1);
  default:
    return (unsigned char)*p == c;
  }
}

/* ---- items that repeat --------------------------------------------------------- */

static const char *longest(laxo_match_t *m, const char *at, const char *p,
                           const char *end) {
  ptrdiff_t count = 0;
  while (is_item(m, at + count, p, end))
    count++;
  for (; count >= 0; count--) {
    const char *stop = laxo_match_at(m, at + count, end + 1);
    if (stop)
      return stop;
  }
  return NULL;
}

static const char *shortest(laxo_match_t *m, const char *at, const char *p,
                            const char *end) {
  for (;; at++) {
    const char *stop = laxo_match_at(m, at, end + 1);
    if (stop)
      return stop;
    if (!is_item(m, at, p, end))
      return NULL;
  }
}

/* ---- captures ------------------------------------------------------------------ */

static const char *open_capture(laxo_match_t *m, const char *at, const char *p,
                                ptrdiff_t len) {
  if (m->count == LAXO_CAPTURES_MAX)
    luaL_error(m->L, "too many captures");
  m->captures[m->count].at = at;
  m->captures[m->count].len = len;
  m->count++;
  const char *stop = laxo_match_at(m, at, p);
  if (!stop)
    m->count--;
  return stop;
}

static const char *close_capture(laxo_match_t *m, const char *at, const char *p) {
  int i = m->count - 1;
  while (i >= 0 && m->captures[i].len != LAXO_OPEN)
    i--;
  if (i < 0)
    luaL_error(m->L, "invalid pattern capture");
  m->captures[i].len = at - m->captures[i].at;
  const char *stop = laxo_match_at(m, at, p);
  if (!stop)
    m->captures[i].len = LAXO_OPEN;
  return stop;
}

/* What was captured, once more: behind it, or NULL. */
static const char *repeated(laxo_match_t *m, const char *at, int number) {
  int i = number - '1';
  if (i < 0 || i >= m->count || m->captures[i].len == LAXO_OPEN)
    luaL_error(m->L, "invalid capture index %%%d", i + 1);
  /* A position is as long as none. */
  size_t len = (size_t)m->captures[i].len;
  if (len > (size_t)(m->text_end - at))
    return NULL;
  step(m, len / 8);
  return memcmp(m->captures[i].at, at, len) == 0 ? at + len : NULL;
}

/* ---- what is no item ----------------------------------------------------------- */

/* `p` is at the two characters of a %b: behind the closing one, or NULL. */
static const char *balanced(laxo_match_t *m, const char *at, const char *p) {
  if (m->pattern_end - p < 2)
    luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
  if (at == m->text_end || *at != p[0])
    return NULL;
  size_t open = 1;
  for (at++; at < m->text_end; at++) {
    step(m, 1);
    if (*at == p[1]) {
      if (--open == 0)
        return at + 1;
    } else if (*at == p[0]) {
      open++;
    }
  }
  return NULL;
}

/* `p` is at the set of a %f. */
static bool is_frontier(laxo_match_t *m, const char *at, const char *p,
                        const char *end) {
  unsigned char before = at == m->text ? 0 : (unsigned char)at[-1];
  unsigned char here = at == m->text_end ? 0 : (unsigned char)*at;
  return !is_in_set(m, before, p, end - 1) && is_in_set(m, here, p, end - 1);
}

/* Takes the item at `*p`, which is special, and goes behind it: where the text goes on,
 * or NULL. */
static const char *match_percent(laxo_match_t *m, const char *at, const char **p) {
  const char *item = *p + 2;
  switch ((*p)[1]) {
  case 'b':
    *p = item + 2;
    return balanced(m, at, item);
  case 'f':
    if (item >= m->pattern_end || *item != '[')
      luaL_error(m->L, "missing '[' after '%%f' in pattern");
    *p = item_end(m, item);
    return is_frontier(m, at, item, *p) ? at : NULL;
  default: /* a digit */
    *p = item;
    return repeated(m, at, item[-1]);
  }
}

static bool is_special_percent(const laxo_match_t *m, const char *p) {
  return *p == '%' && p + 1 < m->pattern_end &&
         (p[1] == 'b' || p[1] == 'f' || isdigit((unsigned char)p[1]));
}

/* ---- the whole ----------------------------------------------------------------- */

/* Items that do not repeat are gone through in a loop: they take no stack. */
static const char *match_items(laxo_match_t *m, const char *at, const char *p) {
  while (p < m->pattern_end) {
    if (*p == '(')
      return p + 1 < m->pattern_end && p[1] == ')'
                 ? open_capture(m, at, p + 2, LAXO_POSITION)
                 : open_capture(m, at, p + 1, LAXO_OPEN);
    if (*p == ')')
      return close_capture(m, at, p + 1);
    if (*p == '$' && p + 1 == m->pattern_end)
      return at == m->text_end ? at : NULL;
    if (is_special_percent(m, p)) {
      at = match_percent(m, at, &p);
      if (!at)
        return NULL;
      continue;
    }
    const char *end = item_end(m, p);
    char suffix = 0;
    if (end < m->pattern_end)
      suffix = *end;
    if (suffix == '*')
      return longest(m, at, p, end);
    if (suffix == '-')
      return shortest(m, at, p, end);
    bool is_one = is_item(m, at, p, end);
    if (suffix == '+')
      return is_one ? longest(m, at + 1, p, end) : NULL;
    if (suffix == '?') {
      const char *stop = is_one ? laxo_match_at(m, at + 1, end + 1) : NULL;
      if (stop)
        return stop;
      p = end + 1;
      continue;
    }
    if (!is_one)
      return NULL;
    at++;
    p = end;
  }
  return at;
}

const char *laxo_match_at(laxo_match_t *m, const char *at, const char *pattern) {
  step(m, 1);
  if (m->depth == DEPTH_MAX)
    luaL_error(m->L, "pattern too complex");
  m->depth++;
  const char *stop = match_items(m, at, pattern);
  m->depth--;
  return stop;
}
