/* internal.h: what files inside core share with each other and with nobody else. */
#ifndef AXO_INTERNAL_H
#define AXO_INTERNAL_H

#include "axo.h"

/* ---- errors (error.c) ---- */

/* Fills `err` (may be NULL) and returns `code`, so that a failure is one statement.
 * `op` is a static string; `hint` may be NULL. Control characters in the message are
 * written as '?' (axo__tidy), because messages quote what others sent. */
__attribute__((format(printf, 5, 6))) int axo__err_set(axo_err_t *err, int code,
                                                       const char *op, const char *hint,
                                                       const char *fmt, ...);

/* The same in the words of `code`, after what was attempted; with a hint where the code
 * asks for one. */
__attribute__((format(printf, 4, 5))) int
axo__err_code(axo_err_t *err, int code, const char *op, const char *fmt, ...);

/* ---- text (text.c) ---- */

/* The length of the well-formed UTF-8 character at `text`, or 0: overlong forms,
 * surrogates and what lies beyond U+10FFFF are not well-formed. */
size_t axo__utf8_len(const char *text);
bool axo__is_utf8(const char *text);
/* Makes text that others wrote fit for one line of a terminal, in place: every byte of
 * what axo_text_unseen names becomes '?'. */
void axo__tidy(char *text);

#endif /* AXO_INTERNAL_H */
