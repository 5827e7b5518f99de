#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *axo_version(void) { return AXO_VERSION; }

static void replace_controls(char *text) {
  for (unsigned char *p = (unsigned char *)text; *p; p++) {
    if (*p < 0x20 || *p == 0x7f) {
      *p = '?';
    }
  }
}

/* A message cut in the middle of a UTF-8 character would no longer be text. */
static void trim_partial_character(char *text, size_t len) {
  size_t start = len;
  while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) {
    start--;
  }
  if (start == 0) {
    return;
  }
  unsigned char lead = (unsigned char)text[start - 1];
  size_t need = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
  if (len - start < need) {
    text[start - 1] = '\0';
  }
}

static void finish(char *text, int wanted, size_t size) {
  if (wanted < 0) {
    text[0] = '\0';
  } else if ((size_t)wanted >= size) {
    trim_partial_character(text, strlen(text));
  }
  replace_controls(text);
}

int axo__err_set(axo_err_t *err, int code, const char *op, const char *hint,
                 const char *fmt, ...) {
  if (!err) {
    return code;
  }
  err->code = code;
  err->op = op;
  va_list args;
  va_start(args, fmt);
  int wanted = vsnprintf(err->message, sizeof err->message, fmt, args);
  va_end(args);
  finish(err->message, wanted, sizeof err->message);
  wanted = snprintf(err->hint, sizeof err->hint, "%s", hint ? hint : "");
  finish(err->hint, wanted, sizeof err->hint);
  return code;
}
