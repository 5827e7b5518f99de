/* .gitignore: what git would not look at. A rule is a glob; the last one that fits
 * decides, and those of a directory go before those above it.
 */
#include "search.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE = 256 << 10, MAX_RULES = 8192 };

typedef struct {
  bool is_negated, is_for_directories;
} rule_t;

typedef struct {
  ax_glob_t *glob; /* an alternative for each rule */
  rule_t *rules;
  size_t count;
  unsigned users;
  bool is_cut; /* there are more, or some that are too deep */
} rules_t;

/* One directory's rules, as far as the walk has come beneath it. */
struct ax_ignore {
  ax_ignore_t *above; /* what goes after it */
  size_t total;       /* rules of this one and of those above */
  rules_t *rules;
  uint64_t states[];
};

static ax_ignore_t *new_list(ax_ignore_t *above, rules_t *rules) {
  ax_ignore_t *list = must(malloc(sizeof *list + rules->count * sizeof *list->states));
  list->above = above;
  list->rules = rules;
  list->total = rules->count + (above ? above->total : 0);
  rules->users++;
  return list;
}

static void free_list(ax_ignore_t *list) {
  if (--list->rules->users == 0) {
    glob_free(list->rules->glob);
    free(list->rules->rules);
    free(list->rules);
  }
  free(list);
}

/* Blanks at the end mean nothing, unless a backslash stands before them. */
static size_t trimmed(const char *line, size_t length) {
  if (length && line[length - 1] == '\r')
    length--;
  while (length && (line[length - 1] == ' ' || line[length - 1] == '\t') &&
         !(length > 1 && line[length - 2] == '\\'))
    length--;
  return length;
}

/* A rule with a slash in it begins where its file lies, any other at each name beneath.
 * What ends in a star for all names takes one at least. */
static bool add_glob(rules_t *to, const char *line, size_t length) {
  char text[4096 + 8];
  if (length > 4096 || memchr(line, 0, length))
    return false;
  bool is_anchored = memchr(line, '/', length) != NULL;
  bool takes_all = length >= 3 && !memcmp(line + length - 3, "/**", 3);
  int count = snprintf(text, sizeof text, "%s%.*s%s", is_anchored ? "" : "**/",
                       (int)length, line, takes_all ? "/*" : "");
  return glob_add(to->glob, text, (size_t)count);
}

static void add_rule(rules_t *to, const char *line, size_t length) {
  rule_t rule = {0};
  length = trimmed(line, length);
  if (!length || *line == '#')
    return;
  if (to->count == MAX_RULES) {
    to->is_cut = true;
    return;
  }
  if (*line == '!') {
    rule.is_negated = true;
    line++, length--;
  }
  if (length && line[length - 1] == '/') {
    rule.is_for_directories = true;
    length--;
  }
  /* No path has two slashes together, and so git finds none. */
  if (!length || memmem(line, length, "//", 2))
    return;
  if (add_glob(to, line, length))
    to->rules[to->count++] = rule;
  else
    to->is_cut = true;
}

static rules_t *parse(const char *text, size_t length) {
  rules_t *rules = must(calloc(1, sizeof *rules));
  size_t lines = 1;
  for (size_t i = 0; i < length; i++)
    lines += text[i] == '\n';
  rules->rules = must(calloc(lines, sizeof *rules->rules));
  rules->glob = glob_new();
  const char *end = text + length;
  while (text < end) {
    const char *lf = memchr(text, '\n', (size_t)(end - text));
    const char *stop_at = lf ? lf : end;
    add_rule(rules, text, (size_t)(stop_at - text));
    text = stop_at + 1;
  }
  return rules;
}

/* A small regular file, which no link leads to. Its length, -1 when there is none. */
static ssize_t read_file(int dir, const char *name, char *into, const char *path) {
  struct stat st;
  int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (fd < 0)
    return -1;
  ssize_t length = -1;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
    if (st.st_size > MAX_FILE)
      emit_unsearched(path, "gitignore",
                      "its .gitignore is too large: it was not honoured");
    else
      length = read(fd, into, MAX_FILE);
  }
  close(fd);
  return length;
}

static ax_ignore_t *add_file(ax_ignore_t *parent, int dir, const char *name,
                             const char *path) {
  static char text[MAX_FILE];
  ssize_t length = read_file(dir, name, text, path);
  if (length <= 0)
    return parent;
  ax_ignore_t *list = new_list(parent, parse(text, (size_t)length));
  if (list->total > MAX_RULES) {
    emit_unsearched(path, "gitignore",
                    "too many rules are in force: its own are not honoured");
    free_list(list);
    return parent;
  }
  if (list->rules->is_cut)
    emit_unsearched(path, "gitignore", "it has rules that are not honoured");
  for (size_t i = 0; i < list->rules->count; i++)
    list->states[i] = glob_first(list->rules->glob, i);
  return list;
}

ax_ignore_t *ignore_enter(ax_ignore_t *parent, int dir, const char *path) {
  int git = openat(dir, ".git", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int info =
      git < 0 ? -1 : openat(git, "info", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (info >= 0) {
    parent = add_file(parent, info, "exclude", path);
    close(info);
  }
  if (git >= 0)
    close(git);
  return add_file(parent, dir, ".gitignore", path);
}

ax_ignore_t *ignore_descend(ax_ignore_t *list, const char *name) {
  if (!list)
    return NULL;
  ax_ignore_t *deeper = new_list(ignore_descend(list->above, name), list->rules);
  for (size_t i = 0; i < list->rules->count; i++)
    deeper->states[i] = glob_advance(list->rules->glob, i, list->states[i], name, true);
  return deeper;
}

void ignore_leave(ax_ignore_t *list, const ax_ignore_t *parent) {
  while (list && list != parent) {
    ax_ignore_t *above = list->above;
    free_list(list);
    list = above;
  }
}

bool ignore_has(const ax_ignore_t *list, const char *name, bool is_directory) {
  if (!strcmp(name, ".git"))
    return true;
  for (; list; list = list->above) {
    for (size_t i = list->rules->count; i-- > 0;) {
      const rule_t *rule = &list->rules->rules[i];
      if (rule->is_for_directories && !is_directory)
        continue;
      uint64_t state = list->states[i] ? glob_advance(list->rules->glob, i,
                                                      list->states[i], name, true)
                                       : 0;
      if (glob_accepts(list->rules->glob, i, state))
        return !rule->is_negated;
    }
  }
  return false;
}
