/* The lines of one file, read in pieces that end where a line does.
 */
#include "search.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  CHUNK = 256 << 10,
  BINARY_LOOK = 64 << 10, /* a NUL in here makes a file binary */
  OVERLAP = 4 << 10,      /* of two pieces of a line that is too long for one */
  KEPT_CONTEXT = 64 << 10,
  MAX_GIVEN_UP = 100, /* lines of a file that the pattern takes too long on */
};

/* The pointers are into the buffer. Lines are given in their order, so their numbers
 * are counted once. */
static struct {
  char *buffer;
  size_t room;
  int fd;
  const char *path;
  uint64_t left;       /* of the file, unread */
  size_t length;       /* of what is in the buffer */
  bool is_end;         /* there is no more */
  bool is_piece;       /* the buffer begins in the middle of a line */
  uint64_t piece_at;   /* how far into it */
  const char *counted; /* `number` is the line that begins here */
  uint64_t number;
  const char *shown; /* what comes before it has been given */
  uint64_t last;     /* the number of the last match */
  uint64_t due;      /* lines of context after it */
  unsigned given_up;
  bool is_over;
} s;

static uint64_t line_number(const char *at) {
  uint64_t lines = 0;
  for (const char *p = s.counted; p < at; p++)
    lines += *p == '\n';
  if (at > s.counted)
    s.counted = at;
  return s.number += lines;
}

static const char *end_of_line(const char *from, const char *end) {
  const char *lf = memchr(from, '\n', (size_t)(end - from));
  return lf ? lf : end;
}

static const char *start_of_line(const char *from, const char *at) {
  const char *lf = at > from ? memrchr(from, '\n', (size_t)(at - from)) : NULL;
  return lf ? lf + 1 : from;
}

/* Without the CR of a CRLF, unless the pattern wants to see it. */
static size_t bare_length(const char *from, const char *end) {
  size_t length = (size_t)(end - from);
  return length && from[length - 1] == '\r' ? length - 1 : length;
}

static void give(const char *from, const char *end, const ax_span_t *match) {
  bool begins_piece = s.is_piece && from == s.buffer;
  ax_line_t line = {
      .path = s.path,
      .number = line_number(from),
      .line = from,
      .length = bare_length(from, end),
      .before = begins_piece ? s.piece_at : 0,
  };
  if (match) {
    line.column = line.before + match->start + 1;
    line.width = match->end - match->start;
  }
  emit_line(&line);
  s.shown = end + 1;
}

/* Up to `at`, the lines that follow the last match. */
static void give_after(const char *at) {
  while (s.due && s.shown < at) {
    const char *end = end_of_line(s.shown, at);
    give(s.shown, end, NULL);
    s.due--;
  }
}

static void give_before(const char *at) {
  const char *from = at;
  for (uint64_t i = 0; i < asked.context && from > s.shown; i++)
    from = start_of_line(s.shown, from - 1);
  while (from < at) {
    const char *end = end_of_line(from, at);
    give(from, end, NULL);
    from = end + 1;
  }
}

static void found(const char *from, const char *end, const ax_span_t *match) {
  if (s.is_piece && from == s.buffer && line_number(from) == s.last)
    return; /* another piece of the same line */
  give_after(from);
  if (done.matches == asked.max) {
    stop("max");
    return;
  }
  give_before(from);
  give(from, end, match);
  done.matches++;
  s.last = s.number;
  s.due = asked.context;
}

static void gave_up(const char *from) {
  char text[64];
  if (time_is_over)
    return;
  if (s.given_up == 0) {
    (void)snprintf(text, sizeof text, "line %llu",
                   (unsigned long long)line_number(from));
    emit_unsearched(s.path, "pattern_limit", text);
  }
  if (++s.given_up == MAX_GIVEN_UP)
    s.is_over = true;
}

static void match_line(const char *from, const char *end) {
  ax_span_t span;
  size_t length = pattern_sees_cr() ? (size_t)(end - from) : bare_length(from, end);
  switch (pattern_find(from, length, &span)) {
  case FOUND:
    found(from, end, &span);
    break;
  case GAVE_UP:
    gave_up(from);
    break;
  default:
    break;
  }
}

static void match_lines(const char *from, const char *end) {
  while (from < end && !s.is_over && !time_is_over && !is_stopped()) {
    const char *hit = pattern_skip(from, end);
    if (!hit)
      return;
    from = start_of_line(from, hit);
    const char *line_end = end_of_line(hit, end);
    match_line(from, line_end);
    from = line_end + 1;
  }
}

/* Reads until the buffer is full or the file at its end. */
static bool fill(void) {
  while (s.length < s.room && !s.is_end) {
    size_t wanted = s.room - s.length;
    if (wanted > s.left)
      wanted = (size_t)s.left;
    ssize_t count = wanted ? read(s.fd, s.buffer + s.length, wanted) : 0;
    if (count < 0 && errno == EINTR && !time_is_over)
      continue;
    if (count < 0) {
      emit_unsearched(s.path, "unreadable", strerror(errno));
      return false;
    }
    s.length += (size_t)count;
    s.left -= (uint64_t)count;
    done.bytes += (uint64_t)count;
    if (count == 0 || s.left == 0)
      s.is_end = true;
  }
  return true;
}

/* Room for a line that does not fit. False when it has all the room that there is. */
static bool grow(void) {
  if (s.room >= MAX_LINE)
    return false;
  size_t counted = (size_t)(s.counted - s.buffer), shown = (size_t)(s.shown - s.buffer);
  char *larger = realloc(s.buffer, s.room * 2);
  if (!larger)
    return false;
  s.counted = larger + counted;
  s.shown = larger + shown;
  s.buffer = larger;
  s.room *= 2;
  return true;
}

/* Keeps what is after `at`, and before it the lines that may become context. */
static void keep_from(const char *at) {
  const char *from = at;
  for (uint64_t i = 0; i < asked.context && from > s.shown; i++) {
    const char *earlier = start_of_line(s.shown, from - 1);
    if (at - earlier > KEPT_CONTEXT)
      break;
    from = earlier;
  }
  (void)line_number(from);
  size_t gone = (size_t)(from - s.buffer);
  memmove(s.buffer, from, s.length - gone);
  s.length -= gone;
  s.shown = s.shown > from ? s.buffer + (s.shown - from) : s.buffer;
  s.counted = s.buffer;
}

/* A line that is longer than the buffer may be. The next piece begins a little earlier
 * than this one ends, so that a match is found which lies across. */
static void match_piece(void) {
  if (s.piece_at == 0)
    emit_unsearched(s.path, "long_line", "it was searched in pieces");
  match_lines(s.buffer, s.buffer + s.length);
  size_t gone = s.length - OVERLAP;
  memmove(s.buffer, s.buffer + gone, OVERLAP);
  s.length = OVERLAP;
  s.counted = s.buffer;
  s.shown = s.buffer;
  s.due = 0;
  s.is_piece = true;
  s.piece_at += gone;
}

/* No line of what is unmatched is whole: more of it is needed. Gives where it begins
 * then. */
static size_t match_long(size_t at) {
  if (grow())
    return at;
  if (at > 0) {
    s.shown = s.buffer + at; /* the context makes room */
    keep_from(s.buffer + at);
  } else {
    match_piece();
  }
  return 0;
}

/* What is unmatched begins at `at`, and where it begins next is returned. */
static size_t match_chunk(size_t at) {
  const char *from = s.buffer + at, *end = s.buffer + s.length;
  const char *last = s.is_end ? end : start_of_line(from, end);
  if (last == from && !s.is_end)
    return match_long(at);
  match_lines(from, last);
  if (!is_stopped())
    give_after(last);
  if (s.is_end)
    return 0;
  size_t rest = (size_t)(end - last);
  keep_from(last);
  s.is_piece = false;
  s.piece_at = 0;
  return s.length - rest;
}

static bool is_binary(void) {
  size_t look = s.length < BINARY_LOOK ? s.length : BINARY_LOOK;
  return memchr(s.buffer, 0, look) != NULL;
}

static bool begin(int fd, const char *path, uint64_t size) {
  char *buffer = s.buffer;
  size_t room = s.room;
  memset(&s, 0, sizeof s);
  s.room = buffer ? room : CHUNK;
  s.buffer = buffer ? buffer : malloc(CHUNK);
  if (!s.buffer)
    emit_refusal("IO", -1, "the search has no memory");
  s.fd = fd, s.path = path, s.left = size;
  s.counted = s.shown = s.buffer, s.number = 1;
  if (!fill())
    return false;
  done.binaries += is_binary();
  return !is_binary();
}

static bool may_go_on(void) {
  const char *why = time_is_over                    ? "time"
                    : done.bytes >= asked.max_bytes ? "bytes"
                                                    : NULL;
  if (!why || (s.is_end && !time_is_over))
    return !s.is_over && !s.is_end && !is_stopped();
  stop(why);
  emit_unsearched(s.path, why, "not all of it was searched");
  return false;
}

void scan_file(int fd, const char *path, uint64_t size) {
  if (!begin(fd, path, size))
    return;
  size_t at = match_chunk(0);
  while (may_go_on()) {
    if (!fill())
      return;
    at = match_chunk(at);
  }
  done.files++;
}
