#include "argv/argv_build.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 128
#define USER_MAX_BYTES 256

void axo__build_fail(axo__build_t *b, int code, const char *hint, const char *fmt,
                     ...) {
  if (b->status) {
    return;
  }
  char message[AXO_MESSAGE_MAX];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(message, sizeof message, fmt, args);
  va_end(args);
  b->status = axo__err_set(b->err, code, b->op, hint, "%s", n < 0 ? "" : message);
}

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_alnum(char c) { return is_letter(c) || is_digit(c); }

/* Every byte of `text` is a letter, a digit or in `others`. */
static bool has_only(const char *text, size_t len, const char *others) {
  for (size_t i = 0; i < len; i++) {
    if (!is_alnum(text[i]) && (text[i] == '\0' || !strchr(others, text[i]))) {
      return false;
    }
  }
  return true;
}

static bool given(axo__build_t *b, const char *what, const char *value) {
  if (!b->status && (!value || !*value)) {
    axo__build_fail(b, UV_EINVAL, NULL, "%s is missing", what);
  }
  return !b->status;
}

void axo__check_program(axo__build_t *b, const char *podman) {
  if (!given(b, "the podman program", podman)) {
    return;
  }
  if (podman[0] == '-' || strchr(podman, '\n') ||
      (podman[0] != '/' && strchr(podman, '/'))) {
    axo__build_fail(b, UV_EINVAL, "give an absolute path, or a name found in PATH",
                    "the podman program is neither an absolute path nor a name: %.200s",
                    podman);
  }
}

void axo__check_name(axo__build_t *b, const char *what, const char *name) {
  if (!given(b, what, name)) {
    return;
  }
  size_t len = strlen(name);
  if (len > NAME_MAX_BYTES || !is_alnum(name[0]) || !has_only(name, len, "_.-")) {
    axo__build_fail(
        b, UV_EINVAL,
        "use letters, digits, '_', '.' and '-', beginning with a letter or a "
        "digit, at most 128",
        "invalid %s: %.160s", what, name);
  }
}

void axo__check_path(axo__build_t *b, const char *what, const char *path) {
  if (!given(b, what, path)) {
    return;
  }
  if (path[0] != '/') {
    axo__build_fail(b, UV_EINVAL, "give an absolute path", "%s is not absolute: %.200s",
                    what, path);
  } else if (strchr(path, '\n')) {
    axo__build_fail(b, UV_EINVAL, "rename the directory", "%s holds a newline: %.200s",
                    what, path);
  }
}

static bool has_parent_component(const char *path) {
  for (const char *p = path; (p = strstr(p, "/..")); p += 3) {
    if (p[3] == '/' || p[3] == '\0') {
      return true;
    }
  }
  return false;
}

/* With '..' in it, a path would not be what a policy has looked at. */
void axo__check_mount_path(axo__build_t *b, const char *what, const char *path) {
  axo__check_path(b, what, path);
  if (!b->status && has_parent_component(path)) {
    axo__build_fail(b, UV_EINVAL, "resolve the path first", "%s holds '..': %.200s",
                    what, path);
  }
}

static bool is_user_part(const char *text, size_t len) {
  return len > 0 && text[0] != '-' && has_only(text, len, "_.-@$");
}

void axo__check_user(axo__build_t *b, const char *user) {
  if (b->status || !user) {
    return;
  }
  size_t name_len = strcspn(user, ":");
  const char *group = user[name_len] ? user + name_len + 1 : NULL;
  if (strlen(user) > USER_MAX_BYTES || !is_user_part(user, name_len) ||
      (group && !is_user_part(group, strlen(group)))) {
    axo__build_fail(b, UV_EINVAL, "write it as USER or USER:GROUP, names or numbers",
                    "invalid user: %.160s", user);
  }
}

void axo__check_runtime(axo__build_t *b, const char *runtime) {
  if (b->status || !runtime) {
    return;
  }
  if (runtime[0] == '/') {
    axo__check_path(b, "the OCI runtime", runtime);
  } else {
    axo__check_name(b, "OCI runtime", runtime);
  }
}

void axo__check_env(axo__build_t *b, const axo_pair_t *pair) {
  if (!given(b, "the name of an environment variable", pair->key)) {
    return;
  }
  if (is_digit(pair->key[0]) || !has_only(pair->key, strlen(pair->key), "_")) {
    axo__build_fail(b, UV_EINVAL,
                    "use letters, digits and '_', not beginning with a digit",
                    "invalid name of an environment variable: %.100s", pair->key);
  } else if (!pair->value) {
    axo__build_fail(b, UV_EINVAL, NULL, "the environment variable %.100s has no value",
                    pair->key);
  }
}

static bool is_label_edge(char c) { return is_digit(c) || (c >= 'a' && c <= 'z'); }

void axo__check_label_key(axo__build_t *b, const char *key, size_t len) {
  if (b->status) {
    return;
  }
  bool right = len > 0 && is_label_edge(key[0]) && is_label_edge(key[len - 1]);
  for (size_t i = 0; right && i < len; i++) {
    right = is_label_edge(key[i]) || strchr("._-", key[i]);
  }
  if (!right) {
    axo__build_fail(b, UV_EINVAL, "use a-z, 0-9 and, between them, '.', '_' and '-'",
                    "invalid name of a label: %.*s", (int)(len < 100 ? len : 100), key);
  }
}

void axo__check_label(axo__build_t *b, const axo_pair_t *pair) {
  if (!given(b, "the name of a label", pair->key)) {
    return;
  }
  axo__check_label_key(b, pair->key, strlen(pair->key));
  if (!b->status && (!pair->value || strchr(pair->value, '\n'))) {
    axo__build_fail(b, UV_EINVAL, NULL, "the value of the label %.100s %s", pair->key,
                    pair->value ? "holds a newline" : "is missing");
  }
}

void axo__check_command(axo__build_t *b, const char *const *command) {
  if (!b->status && (!command || !command[0] || !*command[0])) {
    axo__build_fail(b, UV_EINVAL, "give at least the name of a program",
                    "the command is empty");
  }
}

void axo__check_one_of(axo__build_t *b, const char *what, const char *value,
                       const char *const *allowed) {
  if (b->status) {
    return;
  }
  for (const char *const *one = allowed; *one; one++) {
    if (strcmp(value, *one) == 0) {
      return;
    }
  }
  axo__build_fail(b, UV_EINVAL, NULL, "invalid %s '%.60s': expected %s%s%s%s%s", what,
                  value, allowed[0], allowed[2] ? ", " : " or ", allowed[1],
                  allowed[2] ? " or " : "", allowed[2] ? allowed[2] : "");
}
