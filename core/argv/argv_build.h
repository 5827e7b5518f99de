/* argv_build.h: how the builders of argument vectors are written, private to argv*.c.
 *
 * A builder begins, appends, and ends. The first failure sticks: every later call does
 * nothing, and axo__build_end reports it. So a builder reads as the list of its
 * arguments.
 *
 * Options are written `--name=value`, in one argument: then no value can be read as an
 * option, whatever it begins with. podman stops looking for options at the first
 * positional argument (the image or the container), so that what follows is the
 * command's, dashes included. */
#ifndef AXO_ARGV_BUILD_H
#define AXO_ARGV_BUILD_H

#include "base/internal.h"

typedef struct axo__build {
  axo_argv_t *argv;
  const char *op;
  axo_err_t *err;
  int status;
} axo__build_t;

/* Starts a vector with the program and podman's command, e.g. "run". */
void axo__build_begin(axo__build_t *b, const char *op, const char *podman,
                      const char *command, axo_err_t *err);
/* Gives the vector to `out`, or frees it and returns the failure. */
int axo__build_end(axo__build_t *b, axo_argv_t **out);
/* Appends a copy of `text`, or a formatted text. */
void axo__arg(axo__build_t *b, const char *text);
__attribute__((format(printf, 2, 3))) void axo__argf(axo__build_t *b, const char *fmt,
                                                     ...);
/* Appends an owned string; NULL is out of memory. */
void axo__arg_take(axo__build_t *b, char *text);
/* Appends `--name=value` when `value` is not NULL. */
void axo__option(axo__build_t *b, const char *name, const char *value);
/* Appends --env=KEY=VALUE for each pair, after checking it. */
void axo__env(axo__build_t *b, const axo_pair_t *env, size_t count);
/* Appends --env=NAME for each: podman takes the value from its own environment. */
void axo__env_names(axo__build_t *b, const char *const *names);
/* Appends an image by its full name: never a short one, which podman would look up on
 * registries of its own choice. `what` names the argument in a complaint. With a digest
 * the tag is left out, since the digest decides. */
void axo__image(axo__build_t *b, const char *what, const char *image);
/* The same for an image about to be made, which has a tag and no digest. */
void axo__new_image(axo__build_t *b, const char *image);

/* ---- checks (argv_check.c): each records a failure, none appends ---- */

/* Records a failure (the first one stays). */
__attribute__((format(printf, 4, 5))) void
axo__build_fail(axo__build_t *b, int code, const char *hint, const char *fmt, ...);
void axo__check_program(axo__build_t *b, const char *podman);
/* A container's name or id. */
void axo__check_name(axo__build_t *b, const char *what, const char *name);
void axo__check_path(axo__build_t *b, const char *what, const char *path);
void axo__check_mount_path(axo__build_t *b, const char *what, const char *path);
void axo__check_user(axo__build_t *b, const char *user);
void axo__check_runtime(axo__build_t *b, const char *runtime);
void axo__check_env(axo__build_t *b, const axo_pair_t *pair);
void axo__check_label(axo__build_t *b, const axo_pair_t *pair);
void axo__check_label_key(axo__build_t *b, const char *key, size_t len);
void axo__check_command(axo__build_t *b, const char *const *command);
/* `value` is one of the NULL-terminated `allowed`. */
void axo__check_one_of(axo__build_t *b, const char *what, const char *value,
                       const char *const *allowed);

/* ---- quoting (argv_quote.c): owned strings, NULL when out of memory ---- */

/* `text` as one field of a CSV record. */
char *axo__csv_field(const char *text);
/* The strings as a JSON array. */
char *axo__json_array(const char *const *items);

#endif /* AXO_ARGV_BUILD_H */
