/* What the search says: records, each with its length before it, so that nothing that
 * stands in a file or in a name can be taken for one. Numbers are little-endian, texts
 * have their length before them.
 */
#include "search.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER = 64 << 10, HEAD = 4 };

static char buffer[BUFFER];
static size_t filled;
static uint64_t written;

static void flush(void) {
  size_t at = 0;
  while (at < filled) {
    ssize_t count = write(STDOUT_FILENO, buffer + at, filled - at);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      _exit(3); /* nobody listens any more */
    at += (size_t)count;
  }
  filled = 0;
}

static void put(const void *bytes, size_t length) {
  written += length;
  for (size_t at = 0; at < length;) {
    size_t room = BUFFER - filled, rest = length - at, part = rest < room ? rest : room;
    memcpy(buffer + filled, (const char *)bytes + at, part);
    filled += part;
    at += part;
    if (filled == BUFFER)
      flush();
  }
}

static void put_number(uint64_t number, size_t size) {
  unsigned char bytes[8] = {0};
  for (size_t i = 0; i < size; i++)
    bytes[i] = (unsigned char)(number >> (8 * i));
  put(bytes, size);
}

static void put_text(const char *text, size_t length) {
  put_number(length, 4);
  put(text, length);
}

static void begin(char type, size_t length) {
  put_number(length + 1, HEAD);
  put(&type, 1);
}

/* Not in the middle of a character. */
static size_t char_boundary(const ax_line_t *it, size_t at) {
  for (int i = 0;
       i < 3 && at < it->length && ((unsigned char)it->line[at] & 0xc0) == 0x80; i++)
    at++;
  return at;
}

/* The part of a line that is shown: all of it, or what is around the match. */
static ax_span_t window(const ax_line_t *it) {
  ax_span_t span = {it->before ? char_boundary(it, 0) : 0, it->length};
  if (it->length <= asked.max_line)
    return span;
  size_t match = it->column ? (size_t)(it->column - 1 - it->before) : 0;
  size_t lead = (size_t)asked.max_line / 4;
  span.start = match > lead ? match - lead : 0;
  if (span.start + asked.max_line > it->length)
    span.start = it->length - (size_t)asked.max_line;
  span.end = span.start + (size_t)asked.max_line;
  span.start = span.start || it->before ? char_boundary(it, span.start) : 0;
  while (span.end > span.start && span.end < it->length &&
         ((unsigned char)it->line[span.end] & 0xc0) == 0x80)
    span.end--;
  return span;
}

void emit_line(const ax_line_t *it) {
  ax_span_t shown = window(it);
  size_t path = strlen(it->path), text = shown.end - shown.start;
  begin(it->column ? 'm' : 'c', (size_t)5 * 8 + 4 + path + 4 + text);
  put_number(it->number, 8);
  put_number(it->column, 8);
  put_number(it->width, 8);
  put_number(it->before + shown.start, 8);
  put_number(it->length - shown.end, 8);
  put_text(it->path, path);
  put_text(it->line + shown.start, text);
  if (written > asked.max_output)
    stop("output");
}

void emit_path(const char *path) {
  size_t length = strlen(path);
  begin('p', 4 + length);
  put_text(path, length);
  if (written > asked.max_output)
    stop("output");
}

void emit_unsearched(const char *path, const char *reason, const char *detail) {
  if (done.unsearched++ >= MAX_REPORTS)
    return;
  size_t a = strlen(path), b = strlen(reason), c = strlen(detail);
  begin('u', 12 + a + b + c);
  put_text(path, a);
  put_text(reason, b);
  put_text(detail, c);
}

void emit_end(void) {
  size_t why = strlen(done.stopped);
  begin('z', (size_t)5 * 8 + 4 + why);
  put_text(done.stopped, why);
  put_number(done.files, 8);
  put_number(done.bytes, 8);
  put_number(done.binaries, 8);
  put_number(done.unsearched, 8);
  put_number(done.ignored, 8);
  flush();
}

void emit_refusal(const char *code, long offset, const char *message) {
  size_t a = strlen(code), b = strlen(message);
  begin('e', 4 + a + 8 + 4 + b);
  put_text(code, a);
  put_number((uint64_t)(int64_t)offset, 8);
  put_text(message, b);
  flush();
  exit(2);
}

void *must(void *memory) {
  if (!memory)
    emit_refusal("IO", -1, "the search has no memory");
  return memory;
}

void stop(const char *why) {
  if (!is_stopped())
    done.stopped = why;
}
