#include "base/internal.h"

#include <string.h>

/* Who ended a `podman exec`: the command, or podman and its runtime? Only the text
 * tells. Every form below was seen from podman 4.3 with runc and crun, or stands in the
 * sources of their other versions. What does not look like one of them is the
 * command's. */

#define OP "exec"
#define CAUSE_BYTES 511

/* Text that is not NUL-terminated. */
typedef struct text {
  const char *at;
  size_t len;
} text_t;

static bool text_starts(text_t text, const char *prefix) {
  size_t n = strlen(prefix);
  return text.len >= n && memcmp(text.at, prefix, n) == 0;
}

static bool text_ends(text_t text, const char *suffix) {
  size_t n = strlen(suffix);
  return text.len >= n && memcmp(text.at + text.len - n, suffix, n) == 0;
}

/* The text after its first `n` bytes. */
static text_t text_after(text_t text, size_t n) {
  text_t rest = {text.at + n, text.len - n};
  return rest;
}

/* From the first occurrence of `needle` on; `at` is NULL without one. */
static text_t text_find(text_t text, const char *needle) {
  const char *hit = text.len ? memmem(text.at, text.len, needle, strlen(needle)) : NULL;
  text_t found = {hit, hit ? text.len - (size_t)(hit - text.at) : 0};
  return found;
}

typedef struct judged {
  axo_podman_fault_t fault;
  int code; /* UV_E* */
  const char *what;
  const char *hint;
} judged_t;

static const judged_t not_podmans = {AXO_FAULT_NONE, 0, NULL, NULL};
static const judged_t podman_failed = {AXO_FAULT_PODMAN, UV_EIO,
                                       "podman could not run the command", NULL};
static const judged_t not_found = {
    AXO_FAULT_NOT_FOUND, UV_ENOENT, "no such command in the container",
    "install it there, or check its spelling and the PATH inside"};
static const judged_t not_executable = {
    AXO_FAULT_NOT_EXECUTABLE, UV_EACCES, "the command cannot be executed",
    "make it executable (chmod +x), or run it with its interpreter"};
static const judged_t bad_format = {
    AXO_FAULT_NOT_EXECUTABLE, UV_EACCES,
    "the command is not a program that this container can run",
    "check its architecture; a script needs a first line such as #!/bin/sh"};
static const judged_t no_interpreter = {
    AXO_FAULT_NOT_EXECUTABLE, UV_EACCES,
    "the interpreter or loader of the command is missing in the container",
    "check the first line of a script, or the libc that a binary was built for"};
static const judged_t no_directory = {AXO_FAULT_NO_DIRECTORY, UV_ENOENT,
                                      "the working directory cannot be entered",
                                      "create it in the container, or choose another"};
static const judged_t no_user = {
    AXO_FAULT_NO_USER, UV_EINVAL, "no such user in the container",
    "name a user of the container's /etc/passwd, or give UID:GID"};
static const judged_t gone = {AXO_FAULT_GONE, UV_ESRCH, "the container is not running",
                              "start the session again"};

/* ---- the quoted command ---- */

static int hex_value(char c) {
  const char *digits = "0123456789abcdef";
  const char *hit = c ? strchr(digits, c | 0x20) : NULL;
  return hit ? (int)(hit - digits) : -1;
}

static size_t utf8_write(unsigned long c, char out[4]) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = n - 1; i > 0; i--) {
    out[i] = (char)(0x80 | (c & 0x3f));
    c >>= 6;
  }
  out[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c);
  return n;
}

/* One character of a string that Go's %q quoted, undone into `out`: how many bytes it
 * is, 0 when it is malformed. `*taken` is how many bytes of the quoted text it was. */
static size_t unquote_one(text_t text, char out[4], size_t *taken) {
  static const char plain[] = "abfnrtv\\\"";
  static const char meaning[] = "\a\b\f\n\r\t\v\\\"";
  *taken = 1;
  out[0] = text.at[0];
  if (out[0] != '\\') {
    return 1;
  }
  if (text.len < 2) {
    return 0;
  }
  char kind = text.at[1];
  const char *hit = kind ? strchr(plain, kind) : NULL;
  if (hit) {
    *taken = 2;
    out[0] = meaning[hit - plain];
    return 1;
  }
  size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
  if (digits == 0 || text.len < 2 + digits) {
    return 0;
  }
  unsigned long c = 0;
  for (size_t i = 0; i < digits; i++) {
    int value = hex_value(text.at[2 + i]);
    if (value < 0) {
      return 0;
    }
    c = c * 16 + (unsigned long)value;
  }
  *taken = 2 + digits;
  if (kind == 'x') {
    out[0] = (char)c;
    return 1;
  }
  return c > 0x10ffff ? 0 : utf8_write(c, out);
}

/* Whether `text`, which begins after an opening quote, is `wanted` and a closing quote;
 * then `rest` is what follows. */
static bool quoted_is(text_t text, const char *wanted, text_t *rest) {
  while (text.len > 0 && text.at[0] != '"') {
    char bytes[4];
    size_t taken;
    size_t n = unquote_one(text, bytes, &taken);
    if (n == 0 || bytes[0] == '\0' || strncmp(wanted, bytes, n) != 0) {
      return false;
    }
    wanted += n;
    text = text_after(text, taken);
  }
  if (text.len == 0 || *wanted) {
    return false;
  }
  *rest = text_after(text, 1);
  return true;
}

/* ---- the runtime's complaints ---- */

static bool contains(text_t text, const char *needle) {
  return text_find(text, needle).at != NULL;
}

/* runc: `exec: "CMD": reason`, with CMD as Go quotes it. */
static judged_t judge_quoted_exec(text_t quoted, const char *argv0) {
  text_t reason;
  if (!quoted_is(text_after(quoted, strlen("exec: \"")), argv0, &reason)) {
    return not_podmans;
  }
  if (contains(reason, "executable file not found") ||
      contains(reason, "no such file or directory")) {
    return not_found;
  }
  if (contains(reason, "exec format error")) {
    return bad_format;
  }
  return not_executable;
}

/* crun: "executable file `CMD` not found in $PATH: ...", with CMD as it is. */
static judged_t judge_backquoted(text_t text, const char *argv0) {
  text = text_after(text, strlen("executable file `"));
  if (!text_starts(text, argv0)) {
    return not_podmans;
  }
  text = text_after(text, strlen(argv0));
  if (text_starts(text, "` not found")) {
    return not_found;
  }
  return text_starts(text, "`") ? not_executable : not_podmans;
}

static judged_t judge_runtime(text_t text, const char *argv0) {
  if (text_starts(text, "chdir")) {
    return no_directory;
  }
  if (text_starts(text, "executable file `")) {
    return judge_backquoted(text, argv0);
  }
  if (text_starts(text, "open executable: ")) {
    return not_executable;
  }
  text_t quoted = text_find(text, "exec: \"");
  if (quoted.at) {
    return judge_quoted_exec(quoted, argv0);
  }
  if (contains(text, "chdir to cwd (")) {
    return no_directory;
  }
  if (contains(text, "container does not exist") || contains(text, "is not running") ||
      contains(text, "stopped container")) {
    return gone;
  }
  return podman_failed;
}

/* Takes "OCI runtime error: " and "runc: " or "/usr/bin/crun: " off the front. Whether
 * a runtime speaks. */
static bool strip_runtime(text_t *text) {
  static const char *const runtimes[] = {"runc: ", "crun: ", "youki: ", "krun: "};
  bool found = false;
  if (text_starts(*text, "OCI runtime error: ")) {
    *text = text_after(*text, strlen("OCI runtime error: "));
    found = true;
  }
  const char *colon = text->len ? memchr(text->at, ':', text->len) : NULL;
  size_t name = 0;
  for (size_t i = 0; colon && text->at + i < colon; i++) {
    name = text->at[i] == '/' ? i + 1 : name;
  }
  text_t base = text_after(*text, text->len && text->at[0] == '/' ? name : 0);
  for (size_t i = 0; i < sizeof runtimes / sizeof *runtimes; i++) {
    if (text_starts(base, runtimes[i])) {
      *text = text_after(base, strlen(runtimes[i]));
      return true;
    }
  }
  return found || contains(*text, ": OCI permission denied") ||
         contains(*text, ": OCI runtime ");
}

/* ---- podman's own complaints ---- */

static bool is_gone(text_t text) {
  return text_ends(text, ": container state improper") ||
         text_ends(text, ": no such container") ||
         text_ends(text, "container has already been removed");
}

static bool is_no_user(text_t text) {
  return text_starts(text, "unable to find user ") ||
         text_starts(text, "unable to find group ") ||
         text_ends(text, ": no matching entries in passwd file") ||
         text_ends(text, ": no matching entries in group file") ||
         text_starts(text, "uids and gids must be in range ");
}

/* Words that podman's failures carry and a command's hardly do. */
static bool speaks_of_podman(text_t text) {
  static const char *const words[] = {
      "libpod",      "conmon",        "containers/storage", "exec session",
      "OCI runtime", "pause process", "database is locked", "database connection"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (contains(text, words[i])) {
      return true;
    }
  }
  return text_starts(text, "timed out waiting for file ");
}

static judged_t judge_error(text_t text, int code, const char *argv0) {
  text_t inner = text;
  if (is_gone(text)) {
    return gone;
  }
  if (is_no_user(text)) {
    return no_user;
  }
  if (strip_runtime(&inner)) {
    return judge_runtime(inner, argv0);
  }
  /* 125 is podman's by convention: there, "Error:" alone is enough. */
  if (code == 125 || speaks_of_podman(text)) {
    return podman_failed;
  }
  return not_podmans;
}

/* ---- the runtime's child, already in the container, failing at execve ---- */

/* Whether the runtime found argv0 at `path`. */
static bool resolves_to(text_t path, const char *argv0) {
  size_t n = strlen(argv0);
  if (n == 0 || !text_ends(path, argv0)) {
    return false;
  }
  return path.len == n || (!strchr(argv0, '/') && path.at[path.len - n - 1] == '/');
}

static judged_t judge_errno(text_t reason) {
  if (text_starts(reason, "exec format error") ||
      text_starts(reason, "Exec format error")) {
    return bad_format;
  }
  if (text_starts(reason, "no such file or directory") ||
      text_starts(reason, "No such file or directory")) {
    return no_interpreter;
  }
  if (text_starts(reason, "permission denied") ||
      text_starts(reason, "Permission denied")) {
    return not_executable;
  }
  return not_podmans;
}

/* `exec /path/CMD: reason`; the reason is after the last colon. */
static judged_t judge_exec_path(text_t text, const char *argv0) {
  text_t path = text_after(text, strlen("exec "));
  size_t end = path.len;
  while (end > 0 && !text_starts(text_after(path, end - 1), ": ")) {
    end--;
  }
  if (end == 0) {
    return not_podmans;
  }
  text_t reason = text_after(path, end + 1);
  path.len = end - 1;
  return resolves_to(path, argv0) ? judge_errno(reason) : not_podmans;
}

/* Newer crun: {"msg":"exec container process `/path/CMD`: reason", ...} */
static judged_t judge_exec_json(text_t text, const char *argv0) {
  text_t path = text_after(text, strlen("{\"msg\":\"exec container process `"));
  text_t end = text_find(path, "`: ");
  if (!end.at) {
    return not_podmans;
  }
  path.len = (size_t)(end.at - path.at);
  return resolves_to(path, argv0) ? judge_errno(text_after(end, 3)) : not_podmans;
}

static judged_t judge_exec_line(text_t text, const char *argv0) {
  if (text_starts(text, "exec: ")) {
    return judge_errno(text_after(text, strlen("exec: ")));
  }
  if (text_starts(text, "exec ")) {
    return judge_exec_path(text, argv0);
  }
  if (text_starts(text, "{\"msg\":\"exec container process `")) {
    return judge_exec_json(text, argv0);
  }
  text_t old = text_find(text, ": exec user process caused: ");
  if (old.at && text_starts(text, "standard_init_linux.go:")) {
    return judge_errno(text_after(old, strlen(": exec user process caused: ")));
  }
  return not_podmans;
}

/* ---- the whole ---- */

/* The one line that stderr consists of; empty when there is more than that. */
static text_t sole_line(text_t text) {
  text_t none = {NULL, 0};
  const char *end = text.len ? memchr(text.at, '\n', text.len) : NULL;
  if (end && end + 1 != text.at + text.len) {
    return none;
  }
  text.len -= end ? 1 : 0;
  while (text.len > 0 && text.at[text.len - 1] == '\r') {
    text.len--;
  }
  return text;
}

static judged_t judge(const axo_exec_outcome_t *outcome, text_t line) {
  const char *argv0 = outcome->argv0 ? outcome->argv0 : "";
  bool complains = text_starts(line, "Error: ");
  switch (outcome->code) {
  case 125:
  case 126:
  case 127:
  case 255:
    if (complains) {
      line = text_after(line, strlen("Error: "));
      return judge_error(line, outcome->code, argv0);
    }
    return outcome->code == 255 ? judge_exec_line(line, argv0) : not_podmans;
  case 1:
    return judge_exec_line(line, argv0);
  default:
    return not_podmans;
  }
}

static void explain(judged_t verdict, const char *argv0, text_t line, axo_err_t *err) {
  if (text_starts(line, "Error: ")) {
    line = text_after(line, strlen("Error: "));
  }
  int len = line.len < CAUSE_BYTES ? (int)line.len : CAUSE_BYTES;
  if (verdict.fault == AXO_FAULT_NOT_FOUND) {
    (void)axo__err_set(err, verdict.code, OP, verdict.hint, "%s: %.300s", verdict.what,
                       argv0);
  } else if (verdict.fault == AXO_FAULT_NOT_EXECUTABLE) {
    (void)axo__err_set(err, verdict.code, OP, verdict.hint, "%s: %.300s (%.*s)",
                       verdict.what, argv0, len, line.at);
  } else {
    (void)axo__err_set(err, verdict.code, OP, verdict.hint, "%s: %.*s", verdict.what,
                       len, line.at);
  }
}

axo_podman_fault_t axo_podman_judge(const axo_exec_outcome_t *outcome, axo_err_t *err) {
  text_t text = {outcome->err_text, outcome->err_text ? outcome->err_len : 0};
  text_t line = sole_line(text);
  if (outcome->out_total > 0 || line.len == 0) {
    return AXO_FAULT_NONE;
  }
  judged_t verdict = judge(outcome, line);
  if (verdict.fault != AXO_FAULT_NONE) {
    explain(verdict, outcome->argv0 ? outcome->argv0 : "", line, err);
  }
  return verdict.fault;
}
