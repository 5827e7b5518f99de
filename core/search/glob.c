/* Patterns on paths, as glob.lua has them: no backtracking beyond one name, so no
 * pattern takes long.
 */
#include "search.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef enum { BYTE, ANY, STAR, SET } kind_t;

typedef struct {
  kind_t kind;
  unsigned char byte;
  uint32_t *set; /* 256 bits */
} token_t;

/* One name of a pattern; `**` has no tokens. */
typedef struct {
  bool is_deep, is_dotted;
  size_t count;
  token_t *tokens;
} part_t;

typedef struct {
  size_t count;
  part_t parts[MAX_PARTS];
} way_t;
typedef way_t *way_ref_t;

struct ax_glob {
  size_t count, room;
  way_ref_t *ways;
};

ax_glob_t *glob_new(void) { return must(calloc(1, sizeof(ax_glob_t))); }

static bool has(const uint32_t *set, unsigned char c) {
  return set[c >> 5] >> (c & 31) & 1;
}

static void add_range(uint32_t *set, unsigned from, unsigned to) {
  for (unsigned c = from; c <= to; c++)
    set[c >> 5] |= 1u << (c & 31);
}

/* `[:alpha:]` and its like: the length, 0 when it is none. */
static size_t add_named(uint32_t *set, const char *text, size_t length) {
  static const struct {
    const char *name;
    int (*has)(int);
  } classes[] = {{"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank},
                 {"cntrl", iscntrl}, {"digit", isdigit}, {"graph", isgraph},
                 {"lower", islower}, {"print", isprint}, {"punct", ispunct},
                 {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit}};
  for (size_t n = 0; n < sizeof classes / sizeof *classes; n++) {
    size_t size = strlen(classes[n].name);
    if (length < size + 4 || memcmp(text, "[:", 2) != 0 ||
        memcmp(text + 2, classes[n].name, size) != 0 ||
        memcmp(text + 2 + size, ":]", 2) != 0)
      continue;
    for (int c = 0; c < 128; c++)
      if (classes[n].has(c))
        add_range(set, (unsigned)c, (unsigned)c);
    return size + 4;
  }
  return 0;
}

static unsigned take_one(const char *text, size_t length, size_t *at) {
  if (text[*at] == '\\' && *at + 1 < length)
    ++*at;
  return (unsigned char)text[(*at)++];
}

/* What is in a class from `i` on; where its "]" is. A "]" that comes first is one of
 * its characters. */
static size_t read_set(uint32_t *set, const char *text, size_t length, size_t i) {
  for (size_t first = i; i < length && (i == first || text[i] != ']');) {
    size_t named = add_named(set, text + i, length - i);
    if (named) {
      i += named;
      continue;
    }
    unsigned from = take_one(text, length, &i), to = from;
    if (i + 1 < length && text[i] == '-' && text[i + 1] != ']') {
      i++;
      to = take_one(text, length, &i);
    }
    add_range(set, from, to);
  }
  return i;
}

/* A class `[...]`: its length, 0 when it is none. */
static size_t parse_set(const char *text, size_t length, token_t *token) {
  bool negated = length > 1 && (text[1] == '!' || text[1] == '^');
  uint32_t set[8] = {0};
  size_t end = read_set(set, text, length, negated ? 2 : 1);
  if (end >= length)
    return 0;
  token->kind = SET;
  token->set = must(calloc(8, sizeof *token->set));
  for (size_t n = 0; n < 8; n++)
    token->set[n] = negated ? ~set[n] : set[n];
  return end + 1;
}

/* Behind a bracket that nothing closes each one stands for itself: none is looked for
 * twice. */
static void parse_part(part_t *part, const char *text, size_t length) {
  bool is_closed = true;
  part->is_deep = length == 2 && text[0] == '*' && text[1] == '*';
  part->tokens = must(calloc(length + 1, sizeof(token_t)));
  for (size_t i = 0; i < length;) {
    token_t *token = &part->tokens[part->count++];
    if (text[i] == '[' && is_closed) {
      size_t set = parse_set(text + i, length - i, token);
      i += set;
      is_closed = set > 0;
      if (set)
        continue;
    }
    if (text[i] == '*' || text[i] == '?') {
      token->kind = text[i++] == '*' ? STAR : ANY;
      continue;
    }
    if (text[i] == '\\' && i + 1 < length)
      i++;
    token->byte = (unsigned char)text[i++];
  }
  part->is_dotted =
      part->count && part->tokens[0].kind == BYTE && part->tokens[0].byte == '.';
}

static void free_way(way_t *way) {
  for (size_t n = 0; n < way->count; n++) {
    for (size_t t = 0; t < way->parts[n].count; t++)
      free(way->parts[n].tokens[t].set);
    free(way->parts[n].tokens);
  }
  free(way);
}

bool glob_add(ax_glob_t *glob, const char *text, size_t length) {
  if (glob->count == glob->room) {
    glob->room = glob->room ? glob->room * 2 : 8;
    glob->ways = must(realloc(glob->ways, glob->room * sizeof(way_ref_t)));
  }
  way_t *way = must(calloc(1, sizeof *way));
  glob->ways[glob->count++] = way;
  const char *end = text + length;
  while (text < end) {
    const char *slash = memchr(text, '/', (size_t)(end - text));
    const char *stop_at = slash ? slash : end;
    if (stop_at > text) {
      if (way->count == MAX_PARTS) {
        glob->count--;
        free_way(way);
        return false;
      }
      parse_part(&way->parts[way->count++], text, (size_t)(stop_at - text));
    }
    text = stop_at + 1;
  }
  return true;
}

void glob_free(ax_glob_t *glob) {
  for (size_t i = 0; i < glob->count; i++)
    free_way(glob->ways[i]);
  free(glob->ways);
  free(glob);
}

static bool fits(const token_t *token, unsigned char c) {
  switch (token->kind) {
  case BYTE:
    return token->byte == c;
  case SET:
    return has(token->set, c);
  default:
    return token->kind == ANY;
  }
}

/* Where it goes wrong, the last star takes one byte more: what came before that star
 * was matched at its earliest, so no other way could do better. */
static bool match_name(const part_t *part, const char *name, bool hidden) {
  if (name[0] == '.' && !(part->is_dotted || hidden))
    return false;
  size_t t = 0, n = 0, star = SIZE_MAX, from = 0;
  while (name[n]) {
    if (t < part->count && part->tokens[t].kind == STAR) {
      star = t++;
      from = n;
    } else if (t < part->count && fits(&part->tokens[t], (unsigned char)name[n])) {
      t++;
      n++;
    } else if (star != SIZE_MAX) {
      n = ++from;
      t = star + 1;
    } else {
      return false;
    }
  }
  while (t < part->count && part->tokens[t].kind == STAR)
    t++;
  return t == part->count;
}

/* `**` may be nothing at all. */
static uint64_t close_over(const way_t *way, uint64_t state) {
  for (size_t i = 0; i < way->count; i++)
    if (state >> i & 1 && way->parts[i].is_deep)
      state |= UINT64_C(2) << i;
  return state;
}

uint64_t glob_first(const ax_glob_t *glob, size_t which) {
  return close_over(glob->ways[which], 1);
}

uint64_t glob_advance(const ax_glob_t *glob, size_t which, uint64_t from,
                      const char *name, bool hidden) {
  const way_t *way = glob->ways[which];
  uint64_t to = 0;
  for (size_t i = 0; i < way->count; i++) {
    if (!(from >> i & 1))
      continue;
    if (way->parts[i].is_deep)
      to |= hidden || name[0] != '.' ? UINT64_C(1) << i : 0;
    else if (match_name(&way->parts[i], name, hidden))
      to |= UINT64_C(2) << i;
  }
  return close_over(way, to);
}

bool glob_accepts(const ax_glob_t *glob, size_t which, uint64_t state) {
  return state >> glob->ways[which]->count & 1;
}

void glob_start(const ax_glob_t *glob, ax_state_t *state) {
  for (size_t i = 0; i < glob->count; i++)
    state->at[i] = glob_first(glob, i);
}

bool glob_step(const ax_glob_t *glob, const ax_state_t *from, const char *name,
               bool hidden, ax_state_t *to) {
  bool accepted = false;
  for (size_t i = 0; i < glob->count; i++) {
    to->at[i] = from->at[i] ? glob_advance(glob, i, from->at[i], name, hidden) : 0;
    accepted |= glob_accepts(glob, i, to->at[i]);
  }
  return accepted;
}

bool glob_goes_on(const ax_glob_t *glob, const ax_state_t *state) {
  for (size_t i = 0; i < glob->count; i++)
    if (state->at[i] & ~(UINT64_C(1) << glob->ways[i]->count))
      return true;
  return false;
}
