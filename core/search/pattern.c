/* The expression: PCRE2, with its limits. A line that is UTF-8 is matched by
 * characters, any other by bytes, so that no line is passed over for what it holds.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "search.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum {
  MATCH_LIMIT = 1000000,
  HEAP_LIMIT = 16 << 10,  /* KiB */
  JIT_STACK = 1 << 20,    /* bytes */
  STRIDE_WORK = 16 << 20, /* the most bytes that one call may look at, about */
  STRIDE_MAX = 256,
  STRIDE_MIN = 16,
};

static struct {
  pcre2_code *chars, *bytes; /* either may be NULL, not both */
  pcre2_match_context *context;
  pcre2_match_data *data;
  bool is_ascii, is_literal, sees_cr;
  char must[256]; /* what every match has */
  size_t must_length;
  pcre2_code *must_code; /* the same, whatever the case */
} it;

static bool is_ascii(const char *text, size_t length) {
  uint64_t all = 0, eight;
  size_t i = 0;
  for (; i + 8 <= length; i += 8) {
    memcpy(&eight, text + i, 8);
    all |= eight;
  }
  unsigned char rest = 0;
  for (; i < length; i++)
    rest |= (unsigned char)text[i];
  return !(all & UINT64_C(0x8080808080808080)) && !(rest & 0x80);
}

/* How many bytes follow in a character that begins with `c`; -1: none begins so. `low`
 * and `high` bound the first of them. */
static int follow(unsigned char c, unsigned char *low, unsigned char *high) {
  *low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
  *high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
  if (c < 0x80)
    return 0;
  if (c < 0xc2 || c > 0xf4)
    return -1;
  return c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
}

static bool is_utf8(const char *text, size_t length) {
  const unsigned char *p = (const unsigned char *)text, *end = p + length;
  while (p < end) {
    unsigned char low, high;
    int more = follow(*p++, &low, &high);
    if (more < 0 || end - p < more)
      return false;
    for (; more > 0; more--, p++, low = 0x80, high = 0xbf)
      if (*p < low || *p > high)
        return false;
  }
  return true;
}

static pcre2_code *compile(uint32_t options, int *problem, size_t *offset) {
  options |= PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT |
             (asked.ignores_case ? PCRE2_CASELESS : 0);
  if (asked.is_fixed) /* with it, few other options are allowed */
    options = (options & (PCRE2_UTF | PCRE2_CASELESS | PCRE2_USE_OFFSET_LIMIT)) |
              PCRE2_LITERAL;
  pcre2_code *code = pcre2_compile((PCRE2_SPTR)asked.pattern, asked.pattern_length,
                                   options, problem, offset, NULL);
  if (code) /* where there may be no such memory, the interpreter serves */
    (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  return code;
}

static void refuse(int problem, size_t offset) {
  PCRE2_UCHAR text[256];
  if (pcre2_get_error_message(problem, text, sizeof text) < 0)
    text[0] = 0;
  emit_refusal("PATTERN", (long)offset, (const char *)text);
}

static void compile_codes(void) {
  int problem = 0;
  size_t offset = 0;
  bool is_text = is_utf8(asked.pattern, asked.pattern_length);
  it.bytes = compile(PCRE2_NEVER_UTF, &problem, &offset);
  if (is_text) {
    uint32_t options = PCRE2_UTF | (it.bytes ? 0 : PCRE2_MATCH_INVALID_UTF);
    int again = 0;
    it.chars = compile(options, &again, &offset);
    problem = it.chars ? 0 : again;
  }
  if (!it.chars && (is_text || !it.bytes))
    refuse(problem, offset);
}

/* A pattern that names the carriage return sees it at the end of a line. */
static bool names_cr(const char *pattern, size_t length) {
  static const char *const names[] = {"\r",   "\\r",   "\\x0d", "\\x0D",
                                      "\\cM", "\\015", "\\R"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (memmem(pattern, length, names[i], strlen(names[i])))
      return true;
  return false;
}

static void find_literal(void) {
  size_t length = asked.pattern_length;
  if (asked.is_fixed && !asked.ignores_case) {
    it.is_literal = true;
    return;
  }
  if (asked.is_fixed)
    return; /* PCRE2 knows best how to look for it */
  it.must_length = literal_of(asked.pattern, length, asked.ignores_case, it.must);
  it.is_literal = !asked.ignores_case && length && it.must_length == length &&
                  !memcmp(it.must, asked.pattern, length);
  if (it.must_length < 2) /* found in every other line */
    it.must_length = 0;
  if (!asked.ignores_case || !it.must_length)
    return;
  int problem;
  size_t offset;
  it.must_code = pcre2_compile((PCRE2_SPTR)it.must, it.must_length,
                               PCRE2_LITERAL | PCRE2_CASELESS, &problem, &offset, NULL);
  if (it.must_code)
    (void)pcre2_jit_compile(it.must_code, PCRE2_JIT_COMPLETE);
  else
    it.must_length = 0;
}

void pattern_compile(void) {
  literal_check(asked.pattern, asked.pattern_length, asked.is_fixed);
  it.is_ascii = is_ascii(asked.pattern, asked.pattern_length);
  it.sees_cr = names_cr(asked.pattern, asked.pattern_length);
  compile_codes();
  find_literal();
  it.context = pcre2_match_context_create(NULL);
  it.data = pcre2_match_data_create(1, NULL);
  if (!it.context || !it.data)
    emit_refusal("IO", -1, "the search has no memory");
  pcre2_set_match_limit(it.context, MATCH_LIMIT);
  pcre2_set_heap_limit(it.context, HEAP_LIMIT);
  pcre2_jit_stack *stack = pcre2_jit_stack_create(32 << 10, JIT_STACK, NULL);
  if (stack)
    pcre2_jit_stack_assign(it.context, NULL, stack);
}

bool pattern_sees_cr(void) { return it.sees_cr; }

const char *pattern_skip(const char *from, const char *end) {
  size_t length = (size_t)(end - from);
  if (it.is_literal)
    return memmem(from, length, asked.pattern, asked.pattern_length);
  if (!it.must_length)
    return from;
  if (!it.must_code)
    return memmem(from, length, it.must, it.must_length);
  pcre2_set_offset_limit(it.context, PCRE2_UNSET);
  int found =
      pcre2_match(it.must_code, (PCRE2_SPTR)from, length, 0, 0, it.data, it.context);
  if (found == PCRE2_ERROR_NOMATCH)
    return NULL;
  return found < 0 ? from : from + pcre2_get_ovector_pointer(it.data)[0];
}

/* PCRE2 bounds what one start of a match may cost, not how many starts there are: in a
 * long line they are tried some at a time, so that the clock is heard. */
static int find_by(pcre2_code *code, uint32_t options, const char *line, size_t length,
                   ax_span_t *span) {
  size_t stride = length > STRIDE_MAX ? STRIDE_WORK / length : STRIDE_MAX;
  stride = stride > STRIDE_MAX ? STRIDE_MAX : stride < STRIDE_MIN ? STRIDE_MIN : stride;
  for (size_t from = 0; from <= length; from += stride) {
    bool is_last = from + stride > length;
    pcre2_set_offset_limit(it.context, is_last ? PCRE2_UNSET : from + stride - 1);
    int found =
        pcre2_match(code, (PCRE2_SPTR)line, length, from, options, it.data, it.context);
    if (found >= 0) {
      size_t *at = pcre2_get_ovector_pointer(it.data);
      *span = (ax_span_t){at[0], at[1] > at[0] ? at[1] : at[0]};
      return FOUND;
    }
    if (found != PCRE2_ERROR_NOMATCH || time_is_over)
      return GAVE_UP;
    while (!is_last && code == it.chars && from + stride < length &&
           ((unsigned char)line[from + stride] & 0xc0) == 0x80)
      from++; /* the next start is one of a character */
  }
  return NOT_FOUND;
}

int pattern_find(const char *line, size_t length, ax_span_t *span) {
  if (it.is_literal) {
    const char *at = memmem(line, length, asked.pattern, asked.pattern_length);
    if (!at)
      return NOT_FOUND;
    *span =
        (ax_span_t){(size_t)(at - line), (size_t)(at - line) + asked.pattern_length};
    return FOUND;
  }
  if (it.bytes && (!it.chars || (it.is_ascii && is_ascii(line, length))))
    return find_by(it.bytes, 0, line, length, span);
  if (is_utf8(line, length))
    return find_by(it.chars, PCRE2_NO_UTF_CHECK, line, length, span);
  return find_by(it.bytes ? it.bytes : it.chars, 0, line, length, span);
}
