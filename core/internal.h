/* internal.h: what files inside core share with each other and with nobody else. */
#ifndef AXO_INTERNAL_H
#define AXO_INTERNAL_H

#include "axo.h"

/* ---- errors (error.c) ---------------------------------------------------------- */

/* Fills `err` (may be NULL) and returns `code`, so that a failure is one statement.
 * `op` is a static string; `hint` may be NULL. Control characters in the message are
 * written as '?', because messages quote what others sent and end up on terminals. */
__attribute__((format(printf, 5, 6))) int axo__err_set(axo_err_t *err, int code,
                                                       const char *op, const char *hint,
                                                       const char *fmt, ...);

#endif /* AXO_INTERNAL_H */
