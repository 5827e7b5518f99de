#include "podman/podman_text.h"

#include <string.h>

bool axo__text_starts(axo__text_t text, const char *prefix) {
  size_t n = strlen(prefix);
  return text.len >= n && memcmp(text.at, prefix, n) == 0;
}

bool axo__text_ends(axo__text_t text, const char *suffix) {
  size_t n = strlen(suffix);
  return text.len >= n && memcmp(text.at + text.len - n, suffix, n) == 0;
}

axo__text_t axo__text_after(axo__text_t text, size_t n) {
  axo__text_t rest = {text.at + n, text.len - n};
  return rest;
}

axo__text_t axo__text_find(axo__text_t text, const char *needle) {
  const char *hit = text.len ? memmem(text.at, text.len, needle, strlen(needle)) : NULL;
  axo__text_t found = {hit, hit ? text.len - (size_t)(hit - text.at) : 0};
  return found;
}

axo__text_t axo__text_line(axo__text_t *rest) {
  const char *end = rest->len ? memchr(rest->at, '\n', rest->len) : NULL;
  axo__text_t line = {rest->at, end ? (size_t)(end - rest->at) : rest->len};
  *rest = axo__text_after(*rest, line.len + (end ? 1 : 0));
  while (line.len > 0 && line.at[line.len - 1] == '\r') {
    line.len--;
  }
  return line;
}

/* logrus writes `time="..." level=...` to a file and `WARN[0000] ...` to a terminal. */
bool axo__is_log_line(axo__text_t line) {
  static const char *const levels[] = {"WARN[", "ERRO[", "INFO[",
                                       "DEBU[", "TRAC[", "FATA["};
  if (axo__text_starts(line, "time=\"")) {
    return axo__text_find(line, " level=").at != NULL;
  }
  for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
    if (axo__text_starts(line, levels[i]) && line.len > 5 && line.at[5] >= '0' &&
        line.at[5] <= '9') {
      return true;
    }
  }
  return false;
}

static bool is_log_error(axo__text_t line) {
  return axo__is_log_line(line) &&
         (axo__text_starts(line, "ERRO[") || axo__text_starts(line, "FATA[") ||
          axo__text_find(line, " level=error ").at ||
          axo__text_find(line, " level=fatal ").at);
}

/* Progress of a pull, and advice that follows a complaint. */
static bool is_chatter(axo__text_t line) {
  static const char *const starts[] = {"Trying to pull ",  "Getting image source sig",
                                       "Copying blob ",    "Copying config ",
                                       "Writing manifest", "Storing signatures",
                                       "Resolved \"",      "Resolving \"",
                                       "Retrying ",        "See '"};
  for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
    if (axo__text_starts(line, starts[i])) {
      return true;
    }
  }
  return axo__is_log_line(line);
}

static axo__text_t trim(axo__text_t line) {
  while (line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t')) {
    line = axo__text_after(line, 1);
  }
  if (axo__text_starts(line, "* ")) {
    line = axo__text_after(line, 2);
  }
  while (line.len > 0 && strchr(" \t\n", line.at[line.len - 1])) {
    line.len--;
  }
  return line;
}

typedef struct output {
  char *buf;
  size_t size;
  size_t len;
} output_t;

static void put(output_t *out, axo__text_t text) {
  size_t room = out->size - 1 - out->len;
  size_t n = text.len < room ? text.len : room;
  if (n > 0) {
    memcpy(out->buf + out->len, text.at, n);
  }
  out->len += n;
  out->buf[out->len] = '\0';
}

static void put_text(output_t *out, const char *text) {
  axo__text_t piece = {text, strlen(text)};
  put(out, piece);
}

/* A line of the cause; several become one. */
static void put_line(output_t *out, axo__text_t line) {
  line = trim(line);
  if (line.len == 0) {
    return;
  }
  if (out->len > 0) {
    put_text(out, out->buf[out->len - 1] == ':' ? " " : "; ");
  }
  put(out, line);
}

/* `msg="..."` of a log line, its quotes undone; or what follows `ERRO[0000] `. */
static void put_log_message(output_t *out, axo__text_t line) {
  axo__text_t msg = axo__text_find(line, " msg=\"");
  if (!msg.at) {
    const char *end = memchr(line.at, ']', line.len);
    put_line(out, end ? axo__text_after(line, (size_t)(end + 1 - line.at)) : line);
    return;
  }
  msg = axo__text_after(msg, 6);
  for (size_t i = 0; i < msg.len && msg.at[i] != '"'; i++) {
    if (msg.at[i] == '\\' && i + 1 < msg.len) {
      i++;
    }
    axo__text_t byte = {msg.at + i, 1};
    put(out, byte);
  }
}

/* What carries the cause when nothing begins with "Error:". */
static axo__text_t best_line(axo__text_t rest) {
  axo__text_t log_error = {NULL, 0};
  axo__text_t plain = {NULL, 0};
  axo__text_t any = {NULL, 0};
  while (rest.len > 0) {
    axo__text_t line = axo__text_line(&rest);
    if (trim(line).len == 0) {
      continue;
    }
    any = line;
    if (is_log_error(line)) {
      log_error = line;
    } else if (!is_chatter(line)) {
      plain = line;
    }
  }
  return plain.at ? plain : log_error.at ? log_error : any;
}

static axo__text_t last_error(axo__text_t rest) {
  axo__text_t found = {NULL, 0};
  while (rest.len > 0) {
    axo__text_t from = rest;
    if (axo__text_starts(axo__text_line(&rest), "Error: ")) {
      found = from;
    }
  }
  return found;
}

size_t axo_podman_cause(const char *stderr_text, size_t len, char *buf, size_t size) {
  if (size == 0) {
    return 0;
  }
  output_t out = {buf, size, 0};
  buf[0] = '\0';
  axo__text_t text = {stderr_text, len};
  axo__text_t error = last_error(text);
  if (error.at) {
    put_line(&out, axo__text_after(axo__text_line(&error), strlen("Error: ")));
    while (error.len > 0) {
      axo__text_t line = axo__text_line(&error);
      if (!is_chatter(line)) {
        put_line(&out, line);
      }
    }
  } else {
    axo__text_t line = best_line(text);
    if (line.at && axo__is_log_line(line)) {
      put_log_message(&out, line);
    } else if (line.at) {
      put_line(&out, line);
    }
  }
  /* A NUL inside would end the text early. */
  for (size_t i = 0; i < out.len; i++) {
    if (buf[i] == '\0') {
      buf[i] = '?';
    }
  }
  axo__tidy(buf);
  return strlen(buf);
}
