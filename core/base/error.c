#include "base/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

/* What kernels say and libuv has no name for, as errno(3) puts it. */
static const struct errno_words {
  int error;
  const char *name, *text;
} extras[] = {
#ifdef EDQUOT
    {EDQUOT, "EDQUOT", "disk quota exceeded"},
#endif
#ifdef ESTALE
    {ESTALE, "ESTALE", "stale file handle"},
#endif
#ifdef ETOOMANYREFS
    {ETOOMANYREFS, "ETOOMANYREFS", "too many descriptors are on their way"},
#endif
#ifdef EUSERS
    {EUSERS, "EUSERS", "too many users"},
#endif
#ifdef ENOMEDIUM
    {ENOMEDIUM, "ENOMEDIUM", "no medium found"},
#endif
#ifdef EUCLEAN
    {EUCLEAN, "EUCLEAN", "structure needs cleaning"},
#endif
#ifdef EKEYEXPIRED
    {EKEYEXPIRED, "EKEYEXPIRED", "key has expired"},
#endif
#ifdef EOWNERDEAD
    {EOWNERDEAD, "EOWNERDEAD", "owner died"},
#endif
};

static const struct errno_words *extra_of(int code) {
  for (size_t i = 0; i < sizeof extras / sizeof *extras; i++)
    if (-extras[i].error == code)
      return &extras[i];
  return NULL;
}

/* The functions of libuv without _r allocate a text for what they do not know. */
static bool is_known(int code) {
  static const char unknown[] = "Unknown";
  char name[32];
  return strncmp(uv_err_name_r(code, name, sizeof name), unknown, sizeof unknown - 1);
}

const char *axo_code_name(int code, char *buf, size_t size) {
  const struct errno_words *extra = extra_of(code);
  if (is_known(code))
    return uv_err_name_r(code, buf, size);
  if (extra)
    (void)snprintf(buf, size, "%s", extra->name);
  else
    (void)snprintf(buf, size, "E%ld", code < 0 ? -(long)code : (long)code);
  return buf;
}

const char *axo_code_text(int code, char *buf, size_t size) {
  const struct errno_words *extra = extra_of(code);
  if (is_known(code))
    return uv_strerror_r(code, buf, size);
  if (extra)
    (void)snprintf(buf, size, "%s", extra->text);
  else
    (void)snprintf(buf, size, "error %ld of the system",
                   code < 0 ? -(long)code : (long)code);
  return buf;
}

const char *axo_code_hint(int code) {
  switch (code) {
  case UV_EMFILE:
    return "this process has as many files open as it may: raise its limit (ulimit -n)";
  case UV_ENFILE:
    return "the system has as many files open as it may (sysctl fs.file-max)";
  case UV_ENOSPC:
    return "free some disk space: df -h shows which disk is full";
  case UV_EROFS:
    return "its file system is mounted read-only: use another directory";
  case UV_ENOMEM:
    return "end something on this machine, or give it more memory";
#ifdef EDQUOT
  case -EDQUOT:
    return "the quota of disk space is used up: remove something";
#endif
  default:
    return NULL;
  }
}

int axo__err_code(axo_err_t *err, int code, const char *op, const char *fmt, ...) {
  char what[AXO_MESSAGE_MAX - AXO_CODE_TEXT_MAX];
  char words[AXO_CODE_TEXT_MAX];
  va_list args;
  va_start(args, fmt);
  if (vsnprintf(what, sizeof what, fmt, args) < 0)
    what[0] = '\0';
  va_end(args);
  return axo__err_set(err, code, op, axo_code_hint(code), "%s: %s", what,
                      axo_code_text(code, words, sizeof words));
}
