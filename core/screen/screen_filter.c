/* What libvterm is given: whole characters one by one, and sequences from a list. */
#include "screen/screen_filter.h"
#include "base/internal.h"

#include <stdio.h>
#include <string.h>

#define VALUE_MAX 9999
#define COUNT_MAX 999
/* The longest that is put into a run at once: a sequence of so many values. */
#define SEQUENCE_MAX (AXO__VALUES_MAX * 12 + 8)

static void flush(axo__filter_t *f) {
  if (f->run_len > 0)
    f->pass(f->user, f->run, f->run_len);
  f->run_len = 0;
}

static void add(axo__filter_t *f, const char *bytes, size_t len) {
  if (f->run_len + len > sizeof f->run)
    flush(f);
  memcpy(f->run + f->run_len, bytes, len);
  f->run_len += len;
}

static void add_text(axo__filter_t *f, const char *text) { add(f, text, strlen(text)); }

static void add_byte(axo__filter_t *f, unsigned char c) { add(f, (const char *)&c, 1); }

static void begin(axo__filter_t *f, int state) {
  f->state = state;
  f->is_title = f->is_private = f->is_odd = false;
  f->intermediate = 0;
  f->count = f->string_len = 0;
  memset(f->values, 0, sizeof f->values);
}

/* ---- text ------------------------------------------------------------------------ */

/* Alone: libvterm adds up the widths of those that it takes for one glyph, and writes
 * beside the screen. */
static void pass_character(axo__filter_t *f, const char *bytes, size_t len) {
  flush(f);
  memcpy(f->last, bytes, len);
  f->last_len = len;
  f->pass(f->user, bytes, len);
}

static void pass_invalid(axo__filter_t *f) {
  f->character_len = 0;
  pass_character(f, "\xef\xbf\xbd", 3);
}

static size_t length_from(unsigned char first) {
  return first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
}

/* U+0080 to U+009F: libvterm takes them for characters of width -1, and goes left of
 * the screen. */
static bool is_c1(const char *character) {
  return (unsigned char)character[0] == 0xc2 && (unsigned char)character[1] < 0xa0;
}

static void end_character(axo__filter_t *f) {
  size_t len = f->character_len;
  f->character[len] = 0;
  f->character_len = 0;
  if (axo__utf8_len(f->character) != len)
    pass_invalid(f);
  else if (!is_c1(f->character))
    pass_character(f, f->character, len);
}

static void in_text(axo__filter_t *f, unsigned char c) {
  bool goes_on = (c & 0xc0) == 0x80;
  if (f->character_len > 0 && !goes_on)
    pass_invalid(f);
  if (c == 0x1b) {
    begin(f, ESCAPED);
  } else if (c < 0x80) {
    add_byte(f, c);
    if (c >= 0x20 && c != 0x7f) {
      f->last[0] = (char)c;
      f->last_len = 1;
    }
  } else if (goes_on ? f->character_len == 0 : c < 0xc2 || c > 0xf4) {
    pass_invalid(f);
  } else {
    f->character[f->character_len++] = (char)c;
    if (f->character_len == length_from((unsigned char)f->character[0]))
      end_character(f);
  }
}

/* ---- strings --------------------------------------------------------------------- */

/* libvterm never sees a byte of one: it would keep it whole, however long it is. */
static void in_string(axo__filter_t *f, char c) {
  if (f->string_len == 0)
    f->is_title = f->is_title && (c == '0' || c == '2');
  else if (f->string_len == 1)
    f->is_title = f->is_title && c == ';';
  else if (f->is_title && f->string_len - 2 < AXO__TITLE_MAX - 1)
    f->next_title[f->string_len - 2] = c;
  f->string_len += f->string_len < AXO__TITLE_MAX + 1;
}

static void end_string(axo__filter_t *f) {
  if (f->is_title && f->string_len >= 2) {
    size_t len = f->string_len - 2;
    memcpy(f->title, f->next_title, len);
    f->title[len] = 0;
  }
}

static void string_byte(axo__filter_t *f, char c) {
  if (c != 7 && c != 0x18 && c != 0x1a && c != 0x1b) {
    in_string(f, c);
    return;
  }
  end_string(f);
  begin(f, c == 0x1b ? ESCAPED : PLAIN);
}

/* ---- escapes and sequences ------------------------------------------------------- */

static void escaped(axo__filter_t *f, char c) {
  if (c == '[' || (c >= ' ' && c <= '/')) {
    begin(f, c == '[' ? SEQUENCE : INTERMEDIATE);
    f->intermediate = c;
    return;
  }
  if (strchr("]PX^_", c)) {
    begin(f, STRING);
    f->is_title = c == ']';
    return;
  }
  begin(f, PLAIN);
  if (c == '8') /* what was saved may lie outside by now; this one is put inside */
    add_text(f, "\x1b[u");
  else if (strchr("7DEMc", c))
    add(f, (const char[]){'\x1b', c}, 2);
}

/* Which characters are drawn. All else is left out. */
static void intermediate(axo__filter_t *f, char c) {
  if (c >= ' ' && c <= '/') {
    f->intermediate = 0;
    return;
  }
  char set = f->intermediate;
  begin(f, PLAIN);
  if ((set == '(' || set == ')') && strchr("0AB", c))
    add(f, (const char[]){'\x1b', set, c}, 3);
}

static uint32_t value_or(const axo__filter_t *f, size_t index, uint32_t otherwise) {
  return index < f->count && f->values[index] > 0 ? f->values[index] : otherwise;
}

/* The modes that change what is shown, each in a sequence of its own. */
static void add_modes(axo__filter_t *f, char c) {
  static const uint32_t shown[] = {7, 25, 47, 1047, 1048, 1049};
  char text[16];
  for (size_t i = 0; i < f->count; i++)
    for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
      if (f->values[i] == shown[k]) {
        (void)snprintf(text, sizeof text, "\x1b[?%u%c", shown[k], c);
        add_text(f, text);
      }
}

/* A region that is one, or none: libvterm takes others, and writes outside of the
 * screen. */
static void add_region(axo__filter_t *f) {
  char text[32];
  uint32_t top = value_or(f, 0, 1), bottom = value_or(f, 1, f->rows);
  bottom = bottom < f->rows ? bottom : f->rows;
  if (top >= bottom)
    (void)snprintf(text, sizeof text, "\x1b[r");
  else
    (void)snprintf(text, sizeof text, "\x1b[%u;%ur", top, bottom);
  add_text(f, text);
}

/* A count is done one by one, also where a screen has long been full. */
static void add_values(axo__filter_t *f, char c) {
  char text[SEQUENCE_MAX] = "\x1b[";
  size_t most = c == 'm' ? f->count : 2, len = 2;
  for (size_t i = 0; i < f->count && i < most; i++) {
    uint32_t value = f->values[i] < COUNT_MAX ? f->values[i] : COUNT_MAX;
    len += (size_t)snprintf(text + len, 8, i > 0 ? ";%u" : "%u", value);
  }
  text[len++] = c;
  add(f, text, len);
}

/* Done here: libvterm would never end it where there is no character yet. */
static void repeat_last(axo__filter_t *f) {
  uint32_t count = value_or(f, 0, 1);
  for (; f->last_len > 0 && count > 0 && count <= COUNT_MAX; count--) {
    if (f->last_len == 1)
      add(f, f->last, 1);
    else
      pass_character(f, (char[4]){f->last[0], f->last[1], f->last[2], f->last[3]},
                     f->last_len);
  }
}

static void end_sequence(axo__filter_t *f, char c) {
  if (f->is_odd)
    return;
  if (f->is_private) {
    if (c == 'h' || c == 'l')
      add_modes(f, c);
  } else if (c == 'b') {
    repeat_last(f);
  } else if (c == 'r') {
    add_region(f);
  } else if (strchr("su", c) ? f->count == 0
                             : strchr("@ABCDEFGHJKLMPSTX`adefm", c) != NULL) {
    add_values(f, c);
  }
}

static void in_sequence(axo__filter_t *f, char c) {
  if (c >= '0' && c <= '9') {
    f->count += f->count == 0;
    uint32_t *value = &f->values[f->count - 1],
             next = *value * 10 + (uint32_t)(c - '0');
    *value = next < VALUE_MAX ? next : VALUE_MAX;
  } else if (c == ';' || c == ':') {
    f->count += f->count == 0;
    f->count += f->count < AXO__VALUES_MAX;
  } else if (c == '?' && f->count == 0) {
    f->is_private = true;
  } else if (c < 0x40) {
    f->is_odd = true;
  } else {
    end_sequence(f, c);
    begin(f, PLAIN);
  }
}

static void filter_byte(axo__filter_t *f, unsigned char c) {
  if (f->state == STRING) {
    string_byte(f, (char)c);
    return;
  }
  if (f->state != PLAIN && c >= 0x80)
    begin(f, PLAIN);
  if (f->state == PLAIN)
    in_text(f, c);
  else if (c == 0x1b)
    begin(f, ESCAPED);
  else if (c == 0x18 || c == 0x1a)
    begin(f, PLAIN);
  else if (c < 0x20 || c == 0x7f) /* acts within a sequence, which then goes on */
    add_byte(f, c);
  else if (f->state == ESCAPED)
    escaped(f, (char)c);
  else if (f->state == INTERMEDIATE)
    intermediate(f, (char)c);
  else
    in_sequence(f, (char)c);
}

void axo__filter_write(axo__filter_t *f, const char *bytes, size_t len) {
  for (size_t i = 0; i < len; i++)
    filter_byte(f, (unsigned char)bytes[i]);
  flush(f);
}
