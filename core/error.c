#include "internal.h"

#include <stdarg.h>
#include <stdio.h>

const char *axo_version(void) { return AXO_VERSION; }

int axo__err_set(axo_err_t *err, int code, const char *op, const char *hint,
                 const char *fmt, ...) {
  if (!err) {
    return code;
  }
  err->code = code;
  err->stage = 0;
  err->op = op;
  va_list args;
  va_start(args, fmt);
  if (vsnprintf(err->message, sizeof err->message, fmt, args) < 0) {
    err->message[0] = '\0';
  }
  va_end(args);
  axo__tidy(err->message);
  (void)snprintf(err->hint, sizeof err->hint, "%s", hint ? hint : "");
  axo__tidy(err->hint);
  return code;
}
