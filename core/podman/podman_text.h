/* podman_text.h: lines of podman's stderr, shared by podman_cause.c and podman_judge.c.
 */
#ifndef AXO_PODMAN_TEXT_H
#define AXO_PODMAN_TEXT_H

#include "base/internal.h"

/* Text that is not NUL-terminated. */
typedef struct axo__text {
  const char *at;
  size_t len;
} axo__text_t;

bool axo__text_starts(axo__text_t text, const char *prefix);
bool axo__text_ends(axo__text_t text, const char *suffix);
/* The text after its first `n` bytes. */
axo__text_t axo__text_after(axo__text_t text, size_t n);
/* From the first occurrence of `needle` on; `at` is NULL without one. */
axo__text_t axo__text_find(axo__text_t text, const char *needle);
/* Takes the next line, without its line end, off the front of `rest`. */
axo__text_t axo__text_line(axo__text_t *rest);
/* A line of podman's log: a warning, a retry, a note. */
bool axo__is_log_line(axo__text_t line);

#endif /* AXO_PODMAN_TEXT_H */
