#include "floor/seccomp.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Which profile podman would use on this host, by the rules of containers.conf(5). */

#define FILE_MAX_BYTES ((size_t)1024 * 1024)
#define OTHERS_WRITE 022

static const char *const usual_profiles[] = {
    "/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json", NULL};

/* ---- files of the host ---- */

static int read_all(int fd, char **text, size_t *len) {
  size_t used = 0;
  char *buffer = malloc(FILE_MAX_BYTES + 1);
  if (!buffer)
    return UV_ENOMEM;
  for (;;) {
    ssize_t n = read(fd, buffer + used, FILE_MAX_BYTES + 1 - used);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 || used > FILE_MAX_BYTES) {
      int rc = n < 0 ? uv_translate_sys_error(errno) : UV_EFBIG;
      free(buffer);
      return rc;
    }
    used += (size_t)n;
    if (n == 0)
      break;
  }
  buffer[used < FILE_MAX_BYTES ? used : FILE_MAX_BYTES] = '\0';
  *text = buffer;
  *len = used;
  return 0;
}

static int trusted(int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0)
    return uv_translate_sys_error(errno);
  if (!S_ISREG(st.st_mode)) /* CONTAINERS_CONF=/dev/null: nothing is set */
    return S_ISCHR(st.st_mode) ? UV_ENOENT : UV_EINVAL;
  bool ours = st.st_uid == 0 || st.st_uid == geteuid();
  return ours && (st.st_mode & OTHERS_WRITE) == 0 ? 0 : UV_EPERM;
}

/* UV_EPERM: somebody else may write it. UV_ENOENT: it is not there. */
static int read_file(const char *path, char **text, size_t *len) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return errno == ENOTDIR ? UV_ENOENT : uv_translate_sys_error(errno);
  int rc = trusted(fd);
  if (rc == 0)
    rc = read_all(fd, text, len);
  close(fd);
  return rc;
}

static int fail_file(axo_err_t *err, int code, const char *path) {
  if (code == UV_EPERM)
    return axo__err_set(err, code, "seccomp",
                        "make root, or this user, its owner, and take the right to "
                        "write it from all others (chmod go-w)",
                        "%s says which system calls a container may make, and others "
                        "than its owner can write it",
                        path);
  return axo__err_code(err, code, "seccomp", "%s", path);
}

/* ---- containers.conf ---- */

typedef struct found {
  char profile[PATH_MAX]; /* "" none */
  char conf[PATH_MAX];    /* where it stands */
} found_t;

static const char *skip_blank(const char *at) { return at + strspn(at, " \t"); }

/* A quoted text of TOML, without escapes but those of '"' and '\'. */
static int read_quoted(const char *at, char *out, size_t size) {
  char quote = *at++;
  size_t len = 0;
  for (; *at && *at != quote; at++) {
    if (quote == '"' && *at == '\\') {
      at++;
      if (*at != '"' && *at != '\\')
        return UV_EINVAL;
    }
    if (len + 1 >= size)
      return UV_ENAMETOOLONG;
    out[len++] = *at;
  }
  out[len] = '\0';
  return *at == quote ? 0 : UV_EINVAL;
}

/* The value after `key =` at the beginning of a line; NULL when the line is another. */
static const char *value_of(const char *line, const char *key) {
  size_t len = strlen(key);
  const char *at = skip_blank(line);
  char quote = '\0';
  if (*at == '"' || *at == '\'')
    quote = *at++;
  if (strncmp(at, key, len) != 0)
    return NULL;
  at += len;
  if (quote && *at++ != quote)
    return NULL;
  at = skip_blank(at);
  return *at == '=' ? skip_blank(at + 1) : NULL;
}

/* "[containers]", blanks and a comment allowed. */
static bool is_section(const char *line, const char *name) {
  const char *at = skip_blank(skip_blank(line) + 1);
  size_t len = strlen(name);
  return strncmp(at, name, len) == 0 && *skip_blank(at + len) == ']';
}

static int scan_conf(char *text, const char *path, found_t *found, axo_err_t *err) {
  bool inside = false;
  char *rest = text;
  for (char *line; (line = strsep(&rest, "\n"));) {
    if (*skip_blank(line) == '[') {
      inside = is_section(line, "containers");
      continue;
    }
    const char *value =
        value_of(line, inside ? "seccomp_profile" : "containers.seccomp_profile");
    if (!value)
      continue;
    int rc = *value == '"' || *value == '\''
                 ? read_quoted(value, found->profile, sizeof found->profile)
                 : UV_EINVAL;
    if (rc != 0)
      return axo__err_set(err, rc, "seccomp", "write it as seccomp_profile = \"PATH\"",
                          "%s: the value of seccomp_profile is not understood", path);
    (void)snprintf(found->conf, sizeof found->conf, "%s", path);
  }
  return 0;
}

static int read_conf(const char *path, found_t *found, axo_err_t *err) {
  char *text = NULL;
  size_t len = 0;
  int rc = read_file(path, &text, &len);
  if (rc == UV_ENOENT)
    return 0;
  if (rc != 0)
    return fail_file(err, rc, path);
  rc = scan_conf(text, path, found, err);
  free(text);
  return rc;
}

static int is_conf(const struct dirent *entry) {
  size_t len = strlen(entry->d_name);
  return len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

static int read_drop_ins(const char *dir, found_t *found, axo_err_t *err) {
  struct dirent **entries = NULL;
  char path[PATH_MAX];
  int rc = 0;
  int count = scandir(dir, &entries, is_conf, alphasort);
  for (int i = 0; i < count; i++) {
    if (rc == 0 && snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name) <
                       (int)sizeof path)
      rc = read_conf(path, found, err);
    free(entries[i]);
  }
  free(entries);
  return rc;
}

static int read_both(const char *prefix, found_t *found, axo_err_t *err) {
  char path[PATH_MAX];
  (void)snprintf(path, sizeof path, "%s/containers.conf", prefix);
  int rc = read_conf(path, found, err);
  (void)snprintf(path, sizeof path, "%s/containers.conf.d", prefix);
  return rc == 0 ? read_drop_ins(path, found, err) : rc;
}

/* A user's own settings count for rootless podman alone. */
static int read_users(found_t *found, axo_err_t *err) {
  const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
  char prefix[PATH_MAX];
  if (geteuid() == 0 || !((config && *config == '/') || (home && *home == '/')))
    return 0;
  int n = config && *config == '/'
              ? snprintf(prefix, sizeof prefix, "%s/containers", config)
              : snprintf(prefix, sizeof prefix, "%s/.config/containers", home);
  return n < PATH_MAX - 32 ? read_both(prefix, found, err) : 0;
}

static int read_settings(found_t *found, axo_err_t *err) {
  const char *only = getenv("CONTAINERS_CONF"), *last;
  int rc;
  if (only && *only) {
    rc = read_conf(only, found, err);
  } else {
    rc = read_both("/usr/share/containers", found, err);
    rc = rc == 0 ? read_both("/etc/containers", found, err) : rc;
    rc = rc == 0 ? read_users(found, err) : rc;
  }
  last = getenv("CONTAINERS_CONF_OVERRIDE");
  return rc == 0 && last && *last ? read_conf(last, found, err) : rc;
}

/* ---- the base ---- */

/* That a host wants none is no reason to have none. */
static bool names_a_file(const found_t *found) {
  return *found->profile && strcmp(found->profile, "unconfined") != 0;
}

int axo_seccomp_base(char *path, size_t size, axo_err_t *err) {
  found_t found = {"", ""};
  const char *chosen = "";
  int rc = read_settings(&found, err);
  if (rc != 0)
    return rc;
  if (names_a_file(&found)) {
    chosen = found.profile;
    if (*chosen != '/')
      return axo__err_set(err, UV_EINVAL, "seccomp", "write an absolute path",
                          "%s: seccomp_profile is %s", found.conf, chosen);
  }
  for (size_t i = 0; !*chosen && usual_profiles[i]; i++)
    if (access(usual_profiles[i], F_OK) == 0)
      chosen = usual_profiles[i];
  return snprintf(path, size, "%s", chosen) < (int)size ? 0 : UV_ENOBUFS;
}

static int load_file(const char *path, json_t **base, axo_err_t *err) {
  json_error_t why;
  char *text = NULL;
  size_t len = 0;
  int rc = read_file(path, &text, &len);
  if (rc != 0)
    return fail_file(err, rc, path);
  *base = json_loadb(text, len, 0, &why);
  free(text);
  if (json_is_object(*base))
    return 0;
  json_decref(*base);
  *base = NULL;
  return axo__err_set(err, UV_EINVAL, "seccomp",
                      "reinstall it, or remove it: a built-in one is used then",
                      "%s is no profile of system calls: %s", path, why.text);
}

/* The old ways of running other programs: personality(2)'s harmless values. */
static json_t *personalities(void) {
  static const json_int_t values[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
  json_t *rules = json_array();
  for (size_t i = 0; i < sizeof values / sizeof *values; i++)
    (void)json_array_append_new(
        rules, json_pack("{s:[s],s:s,s:[{s:i,s:I,s:i,s:s}]}", "names", "personality",
                         "action", "SCMP_ACT_ALLOW", "args", "index", 0, "value",
                         values[i], "valueTwo", 0, "op", "SCMP_CMP_EQ"));
  return rules;
}

static json_t *built_in_names(void) {
  json_t *names = json_array();
  for (const char *at = axo__ordinary_calls; *at;) {
    size_t len = strcspn(at, " ");
    (void)json_array_append_new(names, json_stringn(at, len));
    at += len + (at[len] == ' ');
  }
  return names;
}

static json_t *built_in(void) {
  json_t *rules = personalities();
  json_t *base = json_pack("{s:s,s:i,s:[{s:s,s:[s]},{s:s,s:[s]}],s:o}", "defaultAction",
                           "SCMP_ACT_ERRNO", "defaultErrnoRet", 38, "archMap",
                           "architecture", "SCMP_ARCH_X86_64", "subArchitectures",
                           "SCMP_ARCH_X86", "architecture", "SCMP_ARCH_AARCH64",
                           "subArchitectures", "SCMP_ARCH_ARM", "syscalls", rules);
  json_t *ordinary =
      json_pack("{s:o,s:s}", "names", built_in_names(), "action", "SCMP_ACT_ALLOW");
  if (base && json_array_append_new(rules, ordinary) == 0)
    return base;
  json_decref(base);
  return NULL;
}

int axo__seccomp_load(json_t **base, axo_err_t *err) {
  char path[PATH_MAX] = "";
  int rc = axo_seccomp_base(path, sizeof path, err);
  if (rc != 0 || *path)
    return rc != 0 ? rc : load_file(path, base, err);
  *base = built_in();
  return *base ? 0 : axo__err_code(err, UV_ENOMEM, "seccomp", "the profile");
}
