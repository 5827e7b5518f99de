/* The text that every match of an expression must have. Where an expression is not
 * understood, there is none: then each line is matched, which is slower and never
 * wrong.
 */
#include "search.h"

#include <ctype.h>
#include <string.h>

typedef struct {
  const char *p, *end;
  bool ignores_case;
  char run[256], best[256];
  size_t length, best_length;
} reader_t;

static void end_run(reader_t *r) {
  if (r->length > r->best_length) {
    memcpy(r->best, r->run, r->length);
    r->best_length = r->length;
  }
  r->length = 0;
}

/* Letters that have more than one other case: K is also the Kelvin sign, s the long s.
 */
static bool is_tricky(const reader_t *r, char c) {
  return r->ignores_case && ((unsigned char)c >= 0x80 || strchr("kKsS", c));
}

/* The beginning of a long text is enough: in two halves, a character could be cut, of
 * which one half would be required after the other one was dropped. */
static void add(reader_t *r, char c) {
  if (is_tricky(r, c))
    end_run(r);
  else if (r->length < sizeof r->run)
    r->run[r->length++] = c;
}

/* The last character may be missing. */
static void drop_last(reader_t *r) {
  while (r->length && ((unsigned char)r->run[r->length - 1] & 0xc0) == 0x80)
    r->length--;
  if (r->length)
    r->length--;
  end_run(r);
}

/* `\c]` and `\Q]`: what comes next is not what it looks like. */
static bool is_odd_escape(const char *p, const char *end) {
  return p + 1 < end && strchr("cQE", p[1]);
}

/* Past a class; false when its end is not sure. */
static bool skip_class(reader_t *r) {
  const char *p = r->p + 1;
  if (p < r->end && *p == '^')
    p++;
  if (p < r->end && *p == ']')
    p++;
  for (; p < r->end && *p != ']'; p++) {
    if (*p == '[' || (*p == '\\' && is_odd_escape(p, r->end)))
      return false;
    p += *p == '\\';
  }
  r->p = p + 1;
  end_run(r);
  return p < r->end;
}

/* Past a group, whatever is in it. */
static bool skip_group(reader_t *r) {
  int depth = 0;
  end_run(r);
  while (r->p < r->end) {
    char c = *r->p;
    if (c == '[') {
      if (!skip_class(r))
        return false;
      continue;
    }
    if (c == '(' && r->p + 1 < r->end && (r->p[1] == '?' || r->p[1] == '*'))
      return false;
    if (c == '\\' && is_odd_escape(r->p, r->end))
      return false;
    depth += (c == '(') - (c == ')');
    r->p += c == '\\' ? 2 : 1;
    if (depth == 0)
      return true;
  }
  return false;
}

/* `{2,3}`: the character before it may be missing. Anything else in braces is not
 * understood. */
static bool skip_braces(reader_t *r) {
  const char *p = r->p + 1;
  while (p < r->end && (isdigit((unsigned char)*p) || *p == ','))
    p++;
  if (p == r->p + 1 || p >= r->end || *p != '}')
    return false;
  r->p = p + 1;
  drop_last(r);
  return true;
}

static bool read_escape(reader_t *r) {
  if (r->p + 1 >= r->end)
    return false;
  char c = r->p[1];
  r->p += 2;
  if (!isalnum((unsigned char)c)) {
    add(r, c);
    return true;
  }
  end_run(r);
  return strchr("bBdDwWsShHvV", c) != NULL;
}

static bool read_one(reader_t *r) {
  switch (*r->p) {
  case '\\':
    return read_escape(r);
  case '[':
    return skip_class(r);
  case '(':
    return skip_group(r);
  case '{':
    return skip_braces(r);
  case '|':
  case ')':
    return false;
  case '*':
  case '?':
    drop_last(r);
    break;
  case '+':
  case '.':
  case '^':
  case '$':
    end_run(r);
    break;
  default:
    add(r, *r->p);
  }
  r->p++;
  return true;
}

size_t literal_of(const char *pattern, size_t length, bool ignores_case, char *text) {
  reader_t r = {.p = pattern, .end = pattern + length, .ignores_case = ignores_case};
  while (r.p < r.end)
    if (!read_one(&r))
      return 0;
  end_run(&r);
  memcpy(text, r.best, r.best_length);
  return r.best_length;
}

void literal_check(const char *pattern, size_t length, bool is_fixed) {
  static const char advice[] = "a search goes line by line, so nothing matches a line "
                               "feed: search for one of the lines";
  bool in_class = false;
  for (size_t i = 0; i < length; i++) {
    if (pattern[i] == '\n')
      emit_refusal("PATTERN", (long)i, advice);
    if (is_fixed)
      continue;
    if (pattern[i] == '\\' && i + 1 < length) {
      i++;
      if (pattern[i] == 'n' && !in_class)
        emit_refusal("PATTERN", (long)i - 1, advice);
    } else if (pattern[i] == '[') {
      in_class = true;
    } else if (pattern[i] == ']') {
      in_class = false;
    }
  }
}
