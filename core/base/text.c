#include "base/internal.h"

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

typedef struct range {
  uint32_t first, last;
} range_t;

/* In order. Unicode's Cc, Zl and Zp, those of Cf that are not seen, fillers without a
 * form, the tags and the supplement of variation selectors, which can carry any text.
 */
static const range_t UNSEEN[] = {
    {0x00, 0x1f},       {0x7f, 0x9f},       {0xad, 0xad},       {0x34f, 0x34f},
    {0x61c, 0x61c},     {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},
    {0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},   {0x3164, 0x3164},
    {0xfeff, 0xfeff},   {0xffa0, 0xffa0},   {0xfff0, 0xfffb},   {0xfffe, 0xffff},
    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

static bool is_unseen(uint32_t c) {
  size_t low = 0, high = sizeof UNSEEN / sizeof UNSEEN[0];
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (c > UNSEEN[middle].last) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < sizeof UNSEEN / sizeof UNSEEN[0] && c >= UNSEEN[low].first;
}

static uint32_t decode(const char *text, size_t len) {
  const unsigned char *s = (const unsigned char *)text;
  uint32_t c = len == 1 ? s[0] : s[0] & (0x7fU >> len);
  for (size_t i = 1; i < len; i++) {
    c = c << 6 | (s[i] & 0x3fU);
  }
  return c;
}

size_t axo_text_unseen(const char *text, uint32_t *character) {
  size_t len = axo__utf8_len(text);
  if (len == 0) {
    *character = AXO_NO_CHARACTER;
    return 1;
  }
  *character = decode(text, len);
  return is_unseen(*character) ? len : 0;
}

void axo__tidy(char *text) {
  while (*text) {
    uint32_t character;
    size_t len = axo_text_unseen(text, &character);
    memset(text, '?', len);
    text += len > 0 ? len : axo__utf8_len(text);
  }
}
