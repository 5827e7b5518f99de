#include "argv/argv_build.h"

/* Detach keys are off: with them, ctrl-p typed at a terminal is held back. podman's
 * warnings would be taken for the command's output: on a terminal they land in it, and
 * one comes whenever a change of size meets a program that has just ended. */
int axo_argv_exec(const char *podman, const axo_exec_spec_t *spec, axo_argv_t **out,
                  axo_err_t *err) {
  axo__build_t b;
  axo__build_begin(&b, "exec", podman, "exec", err);
  axo__arg(&b, "--log-level=error");
  axo__arg(&b, "--detach-keys=");
  if (spec->interactive) {
    axo__arg(&b, "--interactive");
  }
  if (spec->tty) {
    axo__arg(&b, "--tty");
  }
  axo__env(&b, spec->env, spec->env_count);
  axo__env_names(&b, spec->env_names);
  if (spec->workdir) {
    axo__check_path(&b, "workdir", spec->workdir);
    axo__option(&b, "workdir", spec->workdir);
  }
  axo__check_user(&b, spec->user);
  axo__option(&b, "user", spec->user);
  axo__check_name(&b, "container name", spec->container);
  axo__arg(&b, spec->container);
  axo__check_command(&b, spec->command);
  for (size_t i = 0; !b.status && spec->command[i]; i++) {
    axo__arg(&b, spec->command[i]);
  }
  return axo__build_end(&b, out);
}
