#include "argv/argv_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Always quoted: a field left bare loses a final carriage return, and one rule is
 * easier to trust than a list of special characters. */
char *axo__csv_field(const char *text) {
  char *out = malloc(strlen(text) * 2 + 3);
  if (!out) {
    return NULL;
  }
  char *to = out;
  *to++ = '"';
  for (; *text; text++) {
    if (*text == '"') {
      *to++ = '"';
    }
    *to++ = *text;
  }
  *to++ = '"';
  *to = '\0';
  return out;
}

static char *json_string(char *to, const char *text) {
  static const char hex[] = "0123456789abcdef";
  *to++ = '"';
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c < 0x20) {
      const char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
      memcpy(to, escape, sizeof escape);
      to += sizeof escape;
      continue;
    }
    if (c == '"' || c == '\\') {
      *to++ = '\\';
    }
    *to++ = (char)c;
  }
  *to++ = '"';
  return to;
}

char *axo__json_array(const char *const *items) {
  size_t size = 3;
  for (const char *const *item = items; *item; item++) {
    size += strlen(*item) * 6 + 3;
  }
  char *out = malloc(size);
  if (!out) {
    return NULL;
  }
  char *to = out;
  *to++ = '[';
  for (const char *const *item = items; *item; item++) {
    if (item != items) {
      *to++ = ',';
    }
    to = json_string(to, *item);
  }
  *to++ = ']';
  *to = '\0';
  return out;
}
