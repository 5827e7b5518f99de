/* axo-search: one process for one search, run inside the container. Everything that it
 * meets there is hostile: it follows no link, waits for nothing, and has a bound for
 * all that it keeps.
 *
 *   main.c     how it is asked; how the walk begins
 *   state.c    what is asked, and how far the search is
 *   walk.c     directories, in the order of their paths
 *   scan.c     the lines of one file
 *   pattern.c  the expression, by PCRE2
 *   literal.c  the text that every match must have: most lines are never looked at
 *   glob.c     patterns on paths
 *   ignore.c   .gitignore
 *   emit.c     what is said: length-prefixed records on stdout
 */
#ifndef AXO_SEARCH_H
#define AXO_SEARCH_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
  MAX_GLOBS = 64,       /* alternatives of one glob */
  MAX_PARTS = 62,       /* names in one of them: a bit each */
  MAX_DEPTH = 256,      /* directories that are open at once */
  MAX_LINE = 8 << 20,   /* longer lines are searched in pieces */
  MAX_NAMES = 64 << 20, /* bytes of names that are held at once */
  MAX_REPORTS = 100,    /* things not searched that are named; the rest is counted */
  MAX_SCANNED_PATH = 256 * 256, /* MAX_DEPTH names of 255 bytes */
};

typedef struct ax_glob ax_glob_t;
/* How far a path has come in each alternative of a glob: bit i when i parts are
 * matched. */
typedef struct {
  uint64_t at[MAX_GLOBS];
} ax_state_t;

typedef struct ax_ignore ax_ignore_t;

typedef struct {
  bool is_glob, is_fixed, ignores_case, is_hidden, by_name, honours_gitignore, is_plain;
  const char *root, *path, *pattern;
  size_t pattern_length;
  ax_glob_t *glob; /* NULL: every file */
  uint64_t max, context, max_line, max_file, max_bytes, max_files, max_output, time_ms;
} ax_asked_t;

typedef struct {
  uint64_t matches, files, bytes, binaries, unsearched, ignored;
  const char *stopped; /* why the search ended early; "" when it did not */
} ax_done_t;

extern ax_asked_t asked;
extern ax_done_t done;
extern volatile sig_atomic_t time_is_over;

/* One line of a file, or an excerpt of it around the match. */
typedef struct {
  const char *path;
  uint64_t number, column, width; /* column: from 1; 0 for a line of context */
  const char *line;
  size_t length;
  uint64_t before; /* bytes of the line that came before `line` */
} ax_line_t;

/* ---- emit.c
 * --------------------------------------------------------------------------- */
void emit_line(const ax_line_t *line);
void emit_path(const char *path);
void emit_unsearched(const char *path, const char *reason, const char *detail);
void emit_end(void);
/* Says why there is no search, and exits. `offset` is negative where it means nothing.
 */
_Noreturn void emit_refusal(const char *code, long offset, const char *message);
/* What was allocated: without memory there is no search. */
void *must(void *memory);
/* The first reason stays. */
void stop(const char *why);
static inline bool is_stopped(void) { return *done.stopped != 0; }

/* ---- pattern.c
 * ------------------------------------------------------------------------ */
typedef struct {
  size_t start, end;
} ax_span_t;
enum { FOUND = 1, NOT_FOUND = 0, GAVE_UP = -1 };

/* Exits with a refusal when `asked.pattern` is none. */
void pattern_compile(void);
bool pattern_sees_cr(void);
/* Looks for the pattern in one line, without its end. */
int pattern_find(const char *line, size_t length, ax_span_t *span);
/* Where the next line that can match has the text that it must have; NULL: none of them
 * can. `from` itself when nothing is known about them. */
const char *pattern_skip(const char *from, const char *end);

/* ---- literal.c
 * ------------------------------------------------------------------------ */
/* The longest text that every match of an expression has. 0 when none is known. */
size_t literal_of(const char *pattern, size_t length, bool ignores_case, char *text);
/* Refuses what can never match within a line. */
void literal_check(const char *pattern, size_t length, bool is_fixed);

/* ---- scan.c
 * --------------------------------------------------------------------------- */
/* Searches an open file; does not close it. `size` is what it has now: what it grows is
 * left. */
void scan_file(int fd, const char *path, uint64_t size);

/* ---- glob.c
 * --------------------------------------------------------------------------- */
ax_glob_t *glob_new(void);
/* Adds an alternative. False when it has too many parts, or there are too many. */
bool glob_add(ax_glob_t *glob, const char *text, size_t length);
void glob_free(ax_glob_t *glob);
void glob_start(const ax_glob_t *glob, ax_state_t *state);
/* After one more name of the path. True when the path is matched. */
bool glob_step(const ax_glob_t *glob, const ax_state_t *from, const char *name,
               bool hidden, ax_state_t *to);
/* Whether something beneath can be matched. */
bool glob_goes_on(const ax_glob_t *glob, const ax_state_t *state);
/* The same for one alternative. */
uint64_t glob_first(const ax_glob_t *glob, size_t which);
uint64_t glob_advance(const ax_glob_t *glob, size_t which, uint64_t from,
                      const char *name, bool hidden);
bool glob_accepts(const ax_glob_t *glob, size_t which, uint64_t state);

/* ---- ignore.c
 * ------------------------------------------------------------------------- */
/* What the files of the directory `dir` add to what is ignored already; `parent`
 * itself, or NULL, when they add nothing. */
ax_ignore_t *ignore_enter(ax_ignore_t *parent, int dir, const char *path);
/* The same lists, one directory further down. */
ax_ignore_t *ignore_descend(ax_ignore_t *list, const char *name);
/* Frees what the two above made from `parent`. */
void ignore_leave(ax_ignore_t *list, const ax_ignore_t *parent);
bool ignore_has(const ax_ignore_t *list, const char *name, bool is_directory);

/* ---- walk.c
 * --------------------------------------------------------------------------- */
/* Opens the directory that all else is beneath; when it `is_plain`, no link may be on
 * the way. */
int open_root(const char *path, bool is_plain);
/* Opens `path` beneath `root` and searches what is there. */
void walk(int root, const char *path);

#endif
