#include "floor/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int axo_seccomp_profile(bool setuid_allowed, bool nested_namespaces, char **text,
                        axo_err_t *err) {
  axo__floor_t floor = {setuid_allowed, nested_namespaces};
  json_t *profile = NULL;
  int rc = axo__seccomp_load(&profile, err);
  if (rc == 0)
    rc = axo__seccomp_harden(profile, &floor, err);
  if (rc == 0) {
    char *json = json_dumps(profile, JSON_COMPACT);
    if (json)
      *text = json;
    else
      rc = axo__err_code(err, UV_ENOMEM, "seccomp", "the profile");
  }
  json_decref(profile);
  return rc;
}

static int write_all(int fd, const char *text) {
  for (size_t len = strlen(text); len > 0;) {
    ssize_t n = write(fd, text, len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return uv_translate_sys_error(errno);
    text += n;
    len -= (size_t)n;
  }
  return 0;
}

/* A new file beside it, mode 0600, takes its place. */
static int replace(const char *path, const char *text) {
  char beside[PATH_MAX];
  if (snprintf(beside, sizeof beside, "%s.XXXXXX", path) >= (int)sizeof beside)
    return UV_ENAMETOOLONG;
  int fd = mkostemp(beside, O_CLOEXEC);
  if (fd < 0)
    return uv_translate_sys_error(errno);
  int rc = write_all(fd, text);
  if (close(fd) != 0 && rc == 0)
    rc = uv_translate_sys_error(errno);
  if (rc == 0 && rename(beside, path) != 0)
    rc = uv_translate_sys_error(errno);
  if (rc != 0)
    (void)unlink(beside);
  return rc;
}

int axo__seccomp_write(const char *path, const axo__floor_t *floor, axo_err_t *err) {
  char *text = NULL;
  int rc = axo_seccomp_profile(floor->setuid, floor->nested_namespaces, &text, err);
  if (rc != 0)
    return rc;
  rc = replace(path, text);
  free(text);
  return rc == 0 ? 0 : axo__err_code(err, rc, "seccomp", "%s", path);
}
