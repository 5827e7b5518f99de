#include "argv/argv_build.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kernel's MAX_ARG_STRLEN, which counts the terminator. */
#define ARG_MAX_BYTES ((size_t)128 * 1024 - 1)

struct axo_argv {
  char **items;
  size_t count;
  size_t capacity; /* of items, the terminator included */
};

char *const *axo_argv_items(const axo_argv_t *argv) { return argv->items; }

size_t axo_argv_count(const axo_argv_t *argv) { return argv->count; }

void axo_argv_free(axo_argv_t *argv) {
  if (!argv) {
    return;
  }
  for (size_t i = 0; i < argv->count; i++) {
    free(argv->items[i]);
  }
  free(argv->items);
  free(argv);
}

static int append(axo_argv_t *argv, char *text) {
  if (argv->count + 1 >= argv->capacity) {
    size_t capacity = argv->capacity ? argv->capacity * 2 : 32;
    char **items = realloc(argv->items, capacity * sizeof *items);
    if (!items) {
      return UV_ENOMEM;
    }
    argv->items = items;
    argv->capacity = capacity;
  }
  argv->items[argv->count++] = text;
  argv->items[argv->count] = NULL;
  return 0;
}

void axo__build_begin(axo__build_t *b, const char *op, const char *podman,
                      const char *command, axo_err_t *err) {
  b->op = op;
  b->err = err;
  b->status = 0;
  b->argv = calloc(1, sizeof *b->argv);
  if (!b->argv) {
    axo__build_fail(b, UV_ENOMEM, NULL, "out of memory");
  }
  axo__check_program(b, podman);
  axo__arg(b, podman);
  axo__arg(b, command);
}

int axo__build_end(axo__build_t *b, axo_argv_t **out) {
  if (b->status) {
    axo_argv_free(b->argv);
    return b->status;
  }
  *out = b->argv;
  return 0;
}

/* podman hands arguments to the runtime as JSON, and Go's encoder silently turns what
 * is not UTF-8 into U+FFFD: better refused than altered. */
static void check_argument(axo__build_t *b, const char *text) {
  size_t len = strlen(text);
  if (len > ARG_MAX_BYTES) {
    axo__build_fail(b, UV_E2BIG, "pass long data on stdin, or in a file",
                    "argument %zu is %zu bytes long; the kernel allows %zu: %.40s...",
                    b->argv->count, len, ARG_MAX_BYTES, text);
  } else if (!axo__is_utf8(text)) {
    axo__build_fail(b, UV_EINVAL, "pass such bytes on stdin, or in a file",
                    "argument %zu is not valid UTF-8, and podman would alter it: %.80s",
                    b->argv->count, text);
  }
}

void axo__arg_take(axo__build_t *b, char *text) {
  if (!text) {
    axo__build_fail(b, UV_ENOMEM, NULL, "out of memory");
    return;
  }
  if (!b->status) {
    check_argument(b, text);
  }
  if (!b->status && append(b->argv, text) == 0) {
    return;
  }
  axo__build_fail(b, UV_ENOMEM, NULL, "out of memory");
  free(text);
}

void axo__arg(axo__build_t *b, const char *text) {
  if (!b->status) {
    axo__arg_take(b, strdup(text));
  }
}

__attribute__((format(printf, 1, 0))) static char *format_text(const char *fmt,
                                                               va_list args) {
  char *text = NULL;
  return vasprintf(&text, fmt, args) < 0 ? NULL : text;
}

void axo__argf(axo__build_t *b, const char *fmt, ...) {
  if (b->status) {
    return;
  }
  va_list args;
  va_start(args, fmt);
  axo__arg_take(b, format_text(fmt, args));
  va_end(args);
}

void axo__option(axo__build_t *b, const char *name, const char *value) {
  if (value) {
    axo__argf(b, "--%s=%s", name, value);
  }
}

void axo__env(axo__build_t *b, const axo_pair_t *env, size_t count) {
  for (size_t i = 0; i < count; i++) {
    axo__check_env(b, &env[i]);
    axo__argf(b, "--env=%s=%s", env[i].key, env[i].value);
  }
}

void axo__env_names(axo__build_t *b, const char *const *names) {
  for (size_t i = 0; !b->status && names && names[i]; i++) {
    axo_pair_t pair = {names[i], ""};
    axo__check_env(b, &pair);
    axo__argf(b, "--env=%s", names[i]);
  }
}

static void parse_image(axo__build_t *b, const char *what, const char *image,
                        axo_reference_t *ref) {
  axo_err_t why;
  if (b->status) {
    return;
  }
  if (axo_reference_parse(image, ref, &why) != 0) {
    axo__build_fail(b, UV_EINVAL, why.hint, "%s: %s", what, why.message);
  }
}

void axo__image(axo__build_t *b, const char *what, const char *image) {
  axo_reference_t ref;
  parse_image(b, what, image, &ref);
  if (!b->status) {
    bool pinned = ref.digest[0] != '\0';
    axo__argf(b, "%s/%s%s%s", ref.registry, ref.repository, pinned ? "@" : ":",
              pinned ? ref.digest : ref.tag);
  }
}

void axo__new_image(axo__build_t *b, const char *image) {
  axo_reference_t ref;
  parse_image(b, "image", image, &ref);
  if (!b->status && ref.digest[0]) {
    axo__build_fail(b, UV_EINVAL, "name it with a tag",
                    "image: a new image cannot be given a digest: %.120s", image);
  }
  if (!b->status) {
    axo__argf(b, "%s/%s:%s", ref.registry, ref.repository, ref.tag);
  }
}
