#include "base/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OP "find podman"
#define PATH_BYTES 4096

static int check_program(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0) {
    return UV_ENOENT;
  }
  if (!S_ISREG(st.st_mode) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0) {
    return UV_EACCES;
  }
  return 0;
}

static const char *install_hint(void) {
  static const struct {
    const char *manager;
    const char *hint;
  } managers[] = {
      {"/usr/bin/apt-get", "install it: sudo apt-get install -y podman"},
      {"/usr/bin/dnf", "install it: sudo dnf install -y podman"},
      {"/usr/bin/pacman", "install it: sudo pacman -S --noconfirm podman"},
      {"/usr/bin/zypper", "install it: sudo zypper --non-interactive install podman"},
      {"/sbin/apk", "install it: sudo apk add podman"},
      {"/opt/homebrew/bin/brew", "install it: brew install podman"},
      {"/usr/local/bin/brew", "install it: brew install podman"},
  };
  for (size_t i = 0; i < sizeof managers / sizeof *managers; i++) {
    if (access(managers[i].manager, X_OK) == 0) {
      return managers[i].hint;
    }
  }
  return "install it: see https://podman.io/docs/installation";
}

static int give(const char *path, char *buf, size_t size, axo_err_t *err) {
  size_t len = strlen(path);
  if (len >= size) {
    return axo__err_set(err, UV_ENOBUFS, OP, NULL, "the path is too long: %.200s",
                        path);
  }
  memcpy(buf, path, len + 1);
  return 0;
}

/* A path that the caller gave is used or refused, never searched for. */
static int find_path(const char *given, char *buf, size_t size, axo_err_t *err) {
  char cwd[PATH_BYTES] = "";
  char path[PATH_BYTES];
  if (given[0] != '/' && !getcwd(cwd, sizeof cwd)) {
    return axo__err_set(err, UV_ENOENT, OP, "give an absolute path",
                        "the working directory is gone, so '%.200s' leads nowhere",
                        given);
  }
  int n = snprintf(path, sizeof path, "%s%s%s", cwd, given[0] == '/' ? "" : "/", given);
  if (n < 0 || (size_t)n >= sizeof path) {
    return axo__err_set(err, UV_ENAMETOOLONG, OP, NULL, "the path is too long: %.200s",
                        given);
  }
  int status = check_program(path);
  if (status == 0) {
    return give(path, buf, size, err);
  }
  return axo__err_set(
      err, status, OP, "give the path of podman's executable", "%.400s %s", path,
      status == UV_ENOENT ? "does not exist" : "is not an executable file");
}

/* Elements that are not absolute are passed over: what they name depends on where the
 * process happens to be. */
static int search(const char *name, const char *path, char *buf, size_t size,
                  axo_err_t *err) {
  char candidate[PATH_BYTES];
  char refused[PATH_BYTES] = "";
  for (const char *at = path ? path : ""; *at;) {
    size_t len = strcspn(at, ":");
    int n = snprintf(candidate, sizeof candidate, "%.*s/%s", (int)len, at, name);
    bool usable =
        *at == '/' && len < sizeof candidate && n > 0 && (size_t)n < sizeof candidate;
    int status = usable ? check_program(candidate) : UV_ENOENT;
    if (status == 0) {
      return give(candidate, buf, size, err);
    }
    if (status == UV_EACCES && !refused[0]) {
      memcpy(refused, candidate, (size_t)n + 1);
    }
    at += len + (at[len] == ':');
  }
  if (refused[0]) {
    return axo__err_set(err, UV_EACCES, OP,
                        "make it executable, or remove it from PATH",
                        "%.400s is not an executable file", refused);
  }
  return axo__err_set(err, UV_ENOENT, OP, install_hint(),
                      "%.100s is not in PATH (%.400s)", name,
                      path && *path ? path : "which is empty");
}

int axo_podman_find(const char *override, const char *path, char *buf, size_t size,
                    axo_err_t *err) {
  const char *name = override && *override ? override : "podman";
  if (name[0] == '-') {
    return axo__err_set(err, UV_EINVAL, OP, "give a path, or a name found in PATH",
                        "not the name of a program: %.100s", name);
  }
  if (strchr(name, '/')) {
    return find_path(name, buf, size, err);
  }
  return search(name, path, buf, size, err);
}
