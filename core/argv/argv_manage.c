#include "argv/argv_build.h"

#include <string.h>

/* No --time: podman before 4.0 does not know it there, and --stop-timeout=0 was given
 * at the start. --ignore: what is gone already is removed. */
static void begin_rm(axo__build_t *b, const char *podman, axo_err_t *err) {
  axo__build_begin(b, "rm", podman, "rm", err);
  axo__arg(b, "--force");
  axo__arg(b, "--volumes");
  axo__arg(b, "--ignore");
}

static void add_container(axo__build_t *b, const char *container) {
  axo__check_name(b, "container name", container);
  axo__arg(b, container);
}

int axo_argv_rm(const char *podman, const char *container, axo_argv_t **out,
                axo_err_t *err) {
  axo__build_t b;
  begin_rm(&b, podman, err);
  add_container(&b, container);
  return axo__build_end(&b, out);
}

int axo_argv_rm_all(const char *podman, const char *const *containers, axo_argv_t **out,
                    axo_err_t *err) {
  axo__build_t b;
  begin_rm(&b, podman, err);
  if (!containers || !containers[0])
    axo__build_fail(&b, UV_EINVAL, NULL, "no container to remove is named");
  for (size_t i = 0; containers && containers[i]; i++)
    add_container(&b, containers[i]);
  return axo__build_end(&b, out);
}

int axo_argv_stop(const char *podman, const char *container, unsigned timeout_s,
                  axo_argv_t **out, axo_err_t *err) {
  axo__build_t b;
  axo__build_begin(&b, "stop", podman, "stop", err);
  axo__argf(&b, "--time=%u", timeout_s);
  axo__check_name(&b, "container name", container);
  axo__arg(&b, container);
  return axo__build_end(&b, out);
}

/* podman splits the value of --filter as CSV in some versions and not in others, so
 * that a value with a comma or a quote can be written in no way that all of them
 * understand.
 * `--filter=name=` is never used: it is an unanchored regular expression. */
static void check_label_filter(axo__build_t *b, const char *label) {
  if (!label) {
    axo__build_fail(b, UV_EINVAL, NULL, "the label to look for is missing");
    return;
  }
  axo__check_label_key(b, label, strcspn(label, "="));
  if (strpbrk(label, ",\"\r\n")) {
    axo__build_fail(b, UV_EINVAL, "look for the label's name and compare the values",
                    "podman cannot look for a value with a comma or a quote: %.120s",
                    label);
  }
}

int axo_argv_ps(const char *podman, const char *label, axo_argv_t **out,
                axo_err_t *err) {
  axo__build_t b;
  axo__build_begin(&b, "ps", podman, "ps", err);
  axo__arg(&b, "--all");
  check_label_filter(&b, label);
  axo__argf(&b, "--filter=label=%s", label);
  axo__arg(&b, "--format=json");
  return axo__build_end(&b, out);
}

static bool is_image_id(const char *name) {
  return name && strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

/* An image that is here already may also be named by its full id. */
static void add_local_image(axo__build_t *b, const char *image) {
  if (is_image_id(image)) {
    axo__arg(b, image);
  } else {
    axo__image(b, "image", image);
  }
}

int axo_argv_inspect(const char *podman, const char *kind, const char *name,
                     axo_argv_t **out, axo_err_t *err) {
  static const char *const kinds[] = {"container", "image", NULL};
  axo__build_t b;
  axo__build_begin(&b, "inspect", podman, "inspect", err);
  kind = kind ? kind : "";
  axo__check_one_of(&b, "kind", kind, kinds);
  axo__option(&b, "type", kind);
  if (strcmp(kind, "image") == 0) {
    add_local_image(&b, name);
  } else {
    axo__check_name(&b, "container name", name);
    axo__arg(&b, name);
  }
  return axo__build_end(&b, out);
}

int axo_argv_pull(const char *podman, const char *image, axo_argv_t **out,
                  axo_err_t *err) {
  axo__build_t b;
  axo__build_begin(&b, "pull", podman, "pull", err);
  axo__image(&b, "image", image);
  return axo__build_end(&b, out);
}

int axo_argv_image_exists(const char *podman, const char *image, axo_argv_t **out,
                          axo_err_t *err) {
  axo__build_t b;
  axo__build_begin(&b, "image exists", podman, "image", err);
  axo__arg(&b, "exists");
  add_local_image(&b, image);
  return axo__build_end(&b, out);
}

int axo_argv_import(const char *podman, const char *image, axo_argv_t **out,
                    axo_err_t *err) {
  axo__build_t b;
  axo__build_begin(&b, "import", podman, "import", err);
  axo__arg(&b, "--quiet");
  axo__arg(&b, "-");
  axo__new_image(&b, image);
  return axo__build_end(&b, out);
}

int axo_argv_commit(const char *podman, const char *container, const char *image,
                    axo_argv_t **out, axo_err_t *err) {
  axo__build_t b;
  axo__build_begin(&b, "commit", podman, "commit", err);
  axo__arg(&b, "--quiet");
  axo__check_name(&b, "container name", container);
  axo__arg(&b, container);
  axo__new_image(&b, image);
  return axo__build_end(&b, out);
}
