/* link_spawn.h: spawn requests and the guest's refusals. Private to link*.c. */
#ifndef AXO_LINK_SPAWN_H
#define AXO_LINK_SPAWN_H

#include "link/link_impl.h"

typedef struct axo__body {
  void *bytes; /* malloc'ed */
  size_t len;
} axo__body_t;

/* Lays out a spawn request. UV_EINVAL, UV_E2BIG, UV_ENOMEM. */
int axo__spawn_body(const axo_spawn_spec_t *spec, axo__body_t *out, axo_err_t *err);
/* Puts into words why the guest refused `what`; returns the UV code. */
int axo__failed_error(const axo_failed_t *failed, const char *what, axo_err_t *err);
/* The same for a request that could not be sent. */
int axo__link_error(int code, axo_err_t *err);

#endif /* AXO_LINK_SPAWN_H */
