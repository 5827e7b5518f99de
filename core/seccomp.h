/* seccomp.h: how the floor's profile of system calls is made, private to seccomp*.c and
 * argv_run.c. */
#ifndef AXO_SECCOMP_H
#define AXO_SECCOMP_H

#include "internal.h"

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

/* Replaces what `base` says of the floor's system calls by the floor's own rules
 * (seccomp_rules.c). Nothing is allowed that `base` allows under no condition. Fails
 * with UV_ENOMEM, or UV_EINVAL when `base` is no profile; it may be changed then. */
int axo__seccomp_harden(json_t *base, const axo__floor_t *floor, axo_err_t *err);

/* Writes the profile to `path`, whole or not at all, in place of what is there
 * (seccomp.c). */
int axo__seccomp_write(const char *path, const axo__floor_t *floor, axo_err_t *err);

#endif /* AXO_SECCOMP_H */
