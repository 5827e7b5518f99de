#include "internal.h"

#include <string.h>

size_t axo__utf8_len(const char *text) {
  const unsigned char *s = (const unsigned char *)text;
  if (s[0] < 0x80) {
    return 1;
  }
  if (s[0] < 0xc2 || s[0] > 0xf4) {
    return 0;
  }
  size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  for (size_t i = 1; i < len; i++) {
    if ((s[i] & 0xc0) != 0x80) {
      return 0;
    }
  }
  bool wrong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
               (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);
  return wrong ? 0 : len;
}

bool axo__is_utf8(const char *text) {
  while (*text) {
    size_t len = axo__utf8_len(text);
    if (len == 0) {
      return false;
    }
    text += len;
  }
  return true;
}

/* C0, DEL, and C1 (U+0080 to U+009F): each of them can steer a terminal. */
static bool is_control(const char *text, size_t len) {
  unsigned char c = (unsigned char)text[0];
  return c < 0x20 || c == 0x7f ||
         (len == 2 && c == 0xc2 && (unsigned char)text[1] < 0xa0);
}

void axo__tidy(char *text) {
  while (*text) {
    size_t len = axo__utf8_len(text);
    if (len == 0) {
      *text++ = '?';
      continue;
    }
    if (is_control(text, len)) {
      memset(text, '?', len);
    }
    text += len;
  }
}
