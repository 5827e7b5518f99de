#include "base/internal.h"

#include <stdio.h>
#include <string.h>

/* A piece of the text being parsed: never NUL-terminated at its end. */
typedef struct span {
  const char *at;
  size_t len;
} span_t;

#define OP "reference"
#define DEFAULT_REGISTRY "docker.io"
#define DEFAULT_NAMESPACE "library/"
#define NAME_MAX_BYTES 255
#define TAG_MAX_BYTES 128
#define DIGEST_HEX_MIN 32
#define IMAGE_ID_HEX 64

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
static bool is_alnum(char c) { return is_digit(c) || is_lower(c) || is_upper(c); }
static bool is_lower_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }
static bool is_hex(char c) { return is_lower_hex(c) || (c >= 'A' && c <= 'F'); }
static char to_lower(char c) { return (char)(is_upper(c) ? c - 'A' + 'a' : c); }

static span_t span_of(const char *at, size_t len) {
  span_t span = {at, len};
  return span;
}

static bool span_equals(span_t s, const char *text) {
  return strlen(text) == s.len && memcmp(s.at, text, s.len) == 0;
}

static bool span_equals_lowered(span_t s, const char *text) {
  if (strlen(text) != s.len) {
    return false;
  }
  for (size_t i = 0; i < s.len; i++) {
    if (to_lower(s.at[i]) != text[i]) {
      return false;
    }
  }
  return true;
}

static bool span_all(span_t s, bool (*test)(char)) {
  for (size_t i = 0; i < s.len; i++) {
    if (!test(s.at[i])) {
      return false;
    }
  }
  return s.len > 0;
}

static size_t span_find(span_t s, char c) {
  const char *hit = s.len ? memchr(s.at, c, s.len) : NULL;
  return hit ? (size_t)(hit - s.at) : s.len;
}

static int refuse(axo_err_t *err, const char *text, const char *why) {
  return axo__err_set(err, UV_EINVAL, OP,
                      "write it as [REGISTRY[:PORT]/]REPOSITORY[:TAG][@DIGEST], for "
                      "example docker.io/library/alpine:3.20",
                      "invalid image reference '%.120s': %s", text, why);
}

/* ---- registry ---- */

static bool is_domain_char(char c) { return is_alnum(c) || c == '-'; }

/* [A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?, joined by dots. */
static bool is_domain_name(span_t s) {
  for (;;) {
    span_t label = span_of(s.at, span_find(s, '.'));
    if (!span_all(label, is_domain_char) || label.at[0] == '-' ||
        label.at[label.len - 1] == '-') {
      return false;
    }
    if (label.len == s.len) {
      return true;
    }
    s = span_of(s.at + label.len + 1, s.len - label.len - 1);
  }
}

static bool is_ipv6_char(char c) { return is_hex(c) || c == ':'; }

static bool is_ipv6_literal(span_t s) {
  char text[48];
  struct in6_addr address;
  if (s.len < 4 || s.len - 2 >= sizeof text || s.at[s.len - 1] != ']') {
    return false;
  }
  span_t inner = span_of(s.at + 1, s.len - 2);
  if (!span_all(inner, is_ipv6_char)) {
    return false;
  }
  memcpy(text, inner.at, inner.len);
  text[inner.len] = '\0';
  return uv_inet_pton(AF_INET6, text, &address) == 0;
}

/* Leading zeros are refused: two spellings of one port would be two registries to a
 * policy that compares. */
static bool is_port(span_t s) {
  if (s.len == 0 || s.len > 5 || !span_all(s, is_digit) || s.at[0] == '0') {
    return false;
  }
  unsigned value = 0;
  for (size_t i = 0; i < s.len; i++) {
    value = value * 10 + (unsigned)(s.at[i] - '0');
  }
  return value <= UINT16_MAX;
}

static const char *check_registry(span_t s) {
  bool bracketed = s.len > 0 && s.at[0] == '[';
  size_t host_len = bracketed ? span_find(s, ']') + 1 : span_find(s, ':');
  if (host_len > s.len) {
    return "its registry has an unclosed '['";
  }
  span_t host = span_of(s.at, host_len);
  if (bracketed ? !is_ipv6_literal(host) : !is_domain_name(host)) {
    return "its registry is not a host name, an IPv4 or a bracketed IPv6 address";
  }
  if (host_len == s.len) {
    return NULL;
  }
  if (s.at[host_len] != ':' ||
      !is_port(span_of(s.at + host_len + 1, s.len - host_len - 1))) {
    return "the port of its registry is not a number from 1 to 65535";
  }
  return NULL;
}

/* What stands before the first slash is a registry only when it cannot be a part of a
 * repository's path on the default registry. */
static bool looks_like_registry(span_t s) {
  return span_find(s, '.') < s.len || span_find(s, ':') < s.len ||
         (s.len > 0 && s.at[0] == '[') || span_equals_lowered(s, "localhost");
}

/* ---- repository ---- */

static bool is_path_char(char c) { return is_digit(c) || is_lower(c); }

/* The length of a separator at the start of `s`: one of . _ __ or any number of -. */
static size_t separator_len(span_t s) {
  if (s.at[0] == '-') {
    size_t n = 0;
    while (n < s.len && s.at[n] == '-') {
      n++;
    }
    return n;
  }
  if (s.at[0] == '_' && s.len > 1 && s.at[1] == '_') {
    return 2;
  }
  return s.at[0] == '.' || s.at[0] == '_' ? 1 : 0;
}

static const char *check_component(span_t s) {
  size_t i = 0;
  for (;;) {
    size_t start = i;
    while (i < s.len && is_path_char(s.at[i])) {
      i++;
    }
    if (i < s.len && is_upper(s.at[i])) {
      return "its repository must be lower case";
    }
    if (i == start) {
      return "each part of its repository must begin and end with a letter or a digit";
    }
    if (i == s.len) {
      return NULL;
    }
    size_t sep = separator_len(span_of(s.at + i, s.len - i));
    if (sep == 0) {
      return "its repository may hold only a-z, 0-9, and between them . _ __ -";
    }
    i += sep;
  }
}

static const char *check_repository(span_t s) {
  for (;;) {
    span_t component = span_of(s.at, span_find(s, '/'));
    if (component.len == 0) {
      return "a part of its repository is empty";
    }
    const char *why = check_component(component);
    if (why || component.len == s.len) {
      return why;
    }
    s = span_of(s.at + component.len + 1, s.len - component.len - 1);
  }
}

/* ---- tag and digest ---- */

static bool is_tag_char(char c) {
  return is_alnum(c) || c == '_' || c == '.' || c == '-';
}

static const char *check_tag(span_t s) {
  if (s.len > TAG_MAX_BYTES) {
    return "its tag is longer than 128 characters";
  }
  if (!span_all(s, is_tag_char) || s.at[0] == '.' || s.at[0] == '-') {
    return "its tag must match [A-Za-z0-9_][A-Za-z0-9_.-]*";
  }
  return NULL;
}

static bool is_algorithm(span_t s) {
  bool at_start = true;
  for (size_t i = 0; i < s.len; i++) {
    char c = s.at[i];
    if (at_start ? !(is_lower(c) || is_upper(c)) : !is_alnum(c) && !strchr("+._-", c)) {
      return false;
    }
    at_start = !is_alnum(c);
  }
  return s.len > 0 && !at_start;
}

static const struct {
  const char *name;
  size_t hex_len;
} algorithms[] = {{"sha256", 64}, {"sha384", 96}, {"sha512", 128}};

static const char *check_digest(span_t s) {
  size_t colon = span_find(s, ':');
  span_t algorithm = span_of(s.at, colon);
  if (colon == s.len || !is_algorithm(algorithm)) {
    return "its digest is not ALGORITHM:HEX";
  }
  span_t hex = span_of(s.at + colon + 1, s.len - colon - 1);
  if (!span_all(hex, is_hex) || hex.len < DIGEST_HEX_MIN) {
    return "its digest must have at least 32 hexadecimal digits";
  }
  if (s.len >= sizeof((axo_reference_t *)0)->digest) {
    return "its digest is longer than 159 characters";
  }
  for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
    if (span_equals_lowered(algorithm, algorithms[i].name) &&
        (!span_equals(algorithm, algorithms[i].name) ||
         hex.len != algorithms[i].hex_len || !span_all(hex, is_lower_hex))) {
      return "its digest must be sha256:, sha384: or sha512: and 64, 96 or 128 "
             "lower-case hexadecimal digits";
    }
  }
  return NULL;
}

/* ---- the whole ---- */

static void copy_span(char *to, span_t s) {
  memcpy(to, s.at, s.len);
  to[s.len] = '\0';
}

static const char *parse_registry(span_t registry, axo_reference_t *out) {
  if (registry.len == 0) {
    memcpy(out->registry, DEFAULT_REGISTRY, sizeof DEFAULT_REGISTRY);
    return NULL;
  }
  const char *why = check_registry(registry);
  if (why) {
    return why;
  }
  for (size_t i = 0; i < registry.len; i++) {
    out->registry[i] = to_lower(registry.at[i]);
  }
  out->registry[registry.len] = '\0';
  if (strcmp(out->registry, "index.docker.io") == 0) {
    memcpy(out->registry, DEFAULT_REGISTRY, sizeof DEFAULT_REGISTRY);
  }
  return NULL;
}

/* `name` is everything before the tag and the digest. */
static const char *parse_name(span_t name, axo_reference_t *out) {
  size_t slash = span_find(name, '/');
  span_t registry = span_of(name.at, 0);
  span_t path = name;
  if (slash < name.len && looks_like_registry(span_of(name.at, slash))) {
    registry = span_of(name.at, slash);
    path = span_of(name.at + slash + 1, name.len - slash - 1);
  }
  if (name.len > NAME_MAX_BYTES) {
    return "its name is longer than 255 characters";
  }
  const char *why = parse_registry(registry, out);
  if (!why) {
    why = check_repository(path);
  }
  if (why) {
    return why;
  }
  bool official =
      strcmp(out->registry, DEFAULT_REGISTRY) == 0 && span_find(path, '/') == path.len;
  size_t prefix = official ? sizeof DEFAULT_NAMESPACE - 1 : 0;
  if (strlen(out->registry) + 1 + prefix + path.len > NAME_MAX_BYTES) {
    return "its name, with its registry, is longer than 255 characters";
  }
  memcpy(out->repository, DEFAULT_NAMESPACE, prefix);
  copy_span(out->repository + prefix, path);
  return NULL;
}

static const char *parse_parts(const char *text, axo_reference_t *out) {
  span_t rest = span_of(text, strlen(text));
  const char *why = NULL;
  size_t at = span_find(rest, '@');
  if (at < rest.len) {
    span_t digest = span_of(text + at + 1, rest.len - at - 1);
    why = check_digest(digest);
    if (why) {
      return why;
    }
    copy_span(out->digest, digest);
  }
  span_t name = span_of(text, at);
  size_t path_start = at;
  while (path_start > 0 && text[path_start - 1] != '/') {
    path_start--;
  }
  size_t colon =
      path_start + span_find(span_of(text + path_start, at - path_start), ':');
  if (colon < at) {
    span_t tag = span_of(text + colon + 1, at - colon - 1);
    why = check_tag(tag);
    if (why) {
      return why;
    }
    copy_span(out->tag, tag);
    name.len = colon;
  } else if (at == rest.len) {
    memcpy(out->tag, "latest", sizeof "latest");
  }
  return parse_name(name, out);
}

int axo_reference_parse(const char *text, axo_reference_t *out, axo_err_t *err) {
  if (!text || !*text) {
    return axo__err_set(err, UV_EINVAL, OP,
                        "name an image, for example docker.io/library/alpine:3.20",
                        "the image reference is empty");
  }
  span_t whole = span_of(text, strlen(text));
  if (whole.len == IMAGE_ID_HEX && span_all(whole, is_lower_hex)) {
    return refuse(err, text, "64 hexadecimal digits are an image's id, not its name");
  }
  if (strstr(text, "://")) {
    return refuse(err, text, "leave out the transport (what ends with '://')");
  }
  axo_reference_t parsed = {0};
  const char *why = parse_parts(text, &parsed);
  if (why) {
    return refuse(err, text, why);
  }
  *out = parsed;
  return 0;
}

int axo_reference_format(const axo_reference_t *ref, char *buf, size_t size) {
  int n = snprintf(buf, size, "%s/%s%s%s%s%s", ref->registry, ref->repository,
                   ref->tag[0] ? ":" : "", ref->tag, ref->digest[0] ? "@" : "",
                   ref->digest);
  return n >= 0 && (size_t)n < size ? 0 : UV_ENOBUFS;
}
