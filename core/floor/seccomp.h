/* seccomp.h: how the floor's profile of system calls is made, private to seccomp*.c and
 * argv_run.c. */
#ifndef AXO_SECCOMP_H
#define AXO_SECCOMP_H

#include "base/internal.h"

#include <jansson.h>

/* What the floor gives back; nothing in a zeroed one. */
typedef struct axo__floor {
  bool setuid;            /* set-id bits may be set */
  bool nested_namespaces; /* user namespaces, and mounts in them */
} axo__floor_t;

/* The system calls that ordinary programs make, separated by spaces: the base where the
 * host has none (seccomp_calls.c). */
extern const char axo__ordinary_calls[];

/* The base to derive from, as a new JSON object (seccomp_base.c). */
int axo__seccomp_load(json_t **base, axo_err_t *err);

/* What a rule asks of one argument, in libseccomp's words. */
typedef struct axo__condition {
  const char *op;
  unsigned index;
  uint64_t value, value_two;
} axo__condition_t;

typedef void (*axo__keep_cb)(void *data, const axo__condition_t *conditions,
                             size_t count);

/* Calls `emit` for each rule that allows `call` under `ours` (of at most two arguments)
 * and what `base`, a list of rules, allows it under: ours alone where the base asks for
 * no more; none where both together cannot be said or never hold (seccomp_keep.c). */
void axo__seccomp_keep(const json_t *base, const char *call,
                       const axo__condition_t *ours, size_t count, axo__keep_cb emit,
                       void *data);

/* Replaces what `base` says of the floor's system calls by the floor's own rules
 * (seccomp_rules.c). Nothing is allowed that `base` allows under no condition, and what
 * it allows under conditions on arguments only under those. Fails
 * with UV_ENOMEM, or UV_EINVAL when `base` is no profile; it may be changed then. */
int axo__seccomp_harden(json_t *base, const axo__floor_t *floor, axo_err_t *err);

/* Writes the profile to `path`, whole or not at all, in place of what is there
 * (seccomp.c). */
int axo__seccomp_write(const char *path, const axo__floor_t *floor, axo_err_t *err);

#endif /* AXO_SECCOMP_H */
