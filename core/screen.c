/* What stands on a terminal's screen: bytes go in, rows of text come out. libvterm
 * keeps the screen; nothing of what the bytes ask for leaves here, and no answer is
 * sent back. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vterm.h>

#define TITLE_MAX 256
/* A cell's character and what is put above it. */
#define CELL_MAX ((size_t)VTERM_MAX_CHARS_PER_CELL * 4)
/* The bytes between which the size of libvterm's answers is looked at. */
#define PIECE ((size_t)4096)

/* libvterm has room for 16 parameters, and 0.1.4 writes on behind them. */
#define VALUES_MAX 16
#define VALUE_MAX 9999
#define COUNT_MAX 999
/* What one byte can make of those before it: a sequence of so many values. */
#define SEQUENCE_MAX (VALUES_MAX * 12 + 8)
/* Characters in a row that do not move the cursor. */
#define ONE_CELL_MAX 32

typedef struct line {
  char *text;
  size_t len;
} line_t;

/* Where in a control sequence the bytes are, and what it says so far. */
typedef struct filter {
  enum { PLAIN, ESCAPED, INTERMEDIATE, SEQUENCE, STRING } state;
  bool is_title, is_held;
  bool is_private; /* begins with '?' */
  bool is_odd;     /* holds what no sequence does that is passed on */
  char intermediate;
  uint32_t values[VALUES_MAX];
  size_t count;    /* of values, the one that is read included */
  uint32_t repeat; /* how often the last character is still to come */
  size_t len;      /* of a string so far */
} filter_t;

struct axo_screen {
  filter_t filter;
  char last[4]; /* the last character, for who has it repeated */
  size_t last_len;
  unsigned marks; /* how many characters went on the last cell */
  VTerm *vt;
  VTermScreen *screen;
  axo_screen_state_t state;
  char title[TITLE_MAX], next_title[TITLE_MAX];
  line_t *lines; /* a ring: what has scrolled off the top */
  size_t lines_max, lines_first, lines_count;
};

/* ---- text ------------------------------------------------------------------------ */

static size_t encode(uint32_t c, char out[4]) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = len - 1; i > 0; i--, c >>= 6)
    out[i] = (char)(0x80 | (c & 0x3f));
  static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
  out[0] = (char)(lead[len] | c);
  return len;
}

/* What may be shown of it: U+FFFD for what may not, nothing where that is a mark. */
static size_t put_safe(uint32_t c, bool is_mark, char *out) {
  char text[5] = {0};
  uint32_t seen;
  if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
    c = 0xfffd;
  size_t len = encode(c, text);
  if (axo_text_unseen(text, &seen) > 0) {
    if (is_mark)
      return 0;
    len = encode(0xfffd, text);
  }
  memcpy(out, text, len);
  return len;
}

static size_t put_cell(const VTermScreenCell *cell, char *out) {
  size_t len = 0;
  if (cell->chars[0] == (uint32_t)-1) /* the second half of a wide character */
    return 0;
  if (cell->chars[0] == 0) {
    out[0] = ' ';
    return 1;
  }
  for (int i = 0; i < VTERM_MAX_CHARS_PER_CELL && cell->chars[i]; i++)
    len += put_safe(cell->chars[i], i > 0, out + len);
  return len;
}

static size_t trimmed(const char *text, size_t len) {
  while (len > 0 && text[len - 1] == ' ')
    len--;
  return len;
}

/* ---- what libvterm tells --------------------------------------------------------- */

static void drop_oldest(axo_screen_t *s) {
  free(s->lines[s->lines_first].text);
  s->lines_first = (s->lines_first + 1) % s->lines_max;
  s->lines_count--;
}

/* A line that there is no memory for is counted all the same. */
static int on_push(int cols, const VTermScreenCell *cells, void *user) {
  axo_screen_t *s = user;
  s->state.scrolled++;
  if (s->lines_max == 0)
    return 1;
  if (s->lines_count == s->lines_max)
    drop_oldest(s);
  char *text = malloc((size_t)cols * CELL_MAX + 1);
  size_t len = 0;
  for (int i = 0; text && i < cols; i++)
    len += put_cell(&cells[i], text + len);
  len = text ? trimmed(text, len) : 0;
  char *shorter = text ? realloc(text, len + 1) : NULL;
  line_t *line = &s->lines[(s->lines_first + s->lines_count++) % s->lines_max];
  *line = (line_t){shorter ? shorter : text, len};
  return 1;
}

static int on_cursor(VTermPos pos, VTermPos old, int visible, void *user) {
  axo_screen_t *s = user;
  (void)old;
  (void)visible;
  s->state.cursor_row = (uint16_t)pos.row;
  s->state.cursor_col = (uint16_t)pos.col;
  return 1;
}

static int on_property(VTermProp prop, VTermValue *value, void *user) {
  axo_screen_t *s = user;
  if (prop == VTERM_PROP_CURSORVISIBLE)
    s->state.cursor_visible = value->boolean;
  else if (prop == VTERM_PROP_ALTSCREEN)
    s->state.alternate = value->boolean;
  return 1;
}

static const VTermScreenCallbacks callbacks = {
    .movecursor = on_cursor, .settermprop = on_property, .sb_pushline = on_push};

/* ---- what goes in ---------------------------------------------------------------- */

/* A byte of a string: a title, or nothing that shows. libvterm never sees one: it would
 * keep it whole, however long it is. */
static void in_string(axo_screen_t *s, char c) {
  filter_t *f = &s->filter;
  if (f->len == 0)
    f->is_title = f->is_title && (c == '0' || c == '2');
  else if (f->len == 1)
    f->is_title = f->is_title && c == ';';
  if (f->len >= 2 && f->is_title && f->len - 2 < TITLE_MAX - 1)
    s->next_title[f->len - 2] = c;
  f->len += f->len < TITLE_MAX + 1;
}

static void end_string(axo_screen_t *s) {
  filter_t *f = &s->filter;
  if (f->is_title && f->len >= 2) {
    size_t len = f->len - 2 < TITLE_MAX - 1 ? f->len - 2 : TITLE_MAX - 1;
    memcpy(s->title, s->next_title, len);
    s->title[len] = 0;
  }
  f->is_title = false;
}

/* A terminal acts on these in the middle of a sequence, which then goes on. */
static bool is_control_within(unsigned char c) {
  return (c < 0x20 && c != 0x18 && c != 0x1a && c != 0x1b) || c == 0x7f;
}

static size_t put_text(const char *text, char *out) {
  return (size_t)(stpcpy(out, text) - out);
}

/* After an escape, of which nothing was passed on yet. */
static size_t escaped(filter_t *f, char c, char *out) {
  if (is_control_within((unsigned char)c)) {
    out[0] = c;
    return 1;
  }
  f->state = PLAIN;
  if (c == '[' || c == '(' || c == ')' || (c >= ' ' && c <= '/'))
    *f = (filter_t){.state = c == '[' ? SEQUENCE : INTERMEDIATE, .intermediate = c};
  else if (c != 0 && strchr("]PX^_", c))
    *f = (filter_t){.state = STRING, .is_title = c == ']'};
  else if (c == '8') /* what was saved may lie outside by now; this one is put inside */
    return put_text("\x1b[u", out);
  else if (strchr("7DEMc", c))
    return (size_t)snprintf(out, SEQUENCE_MAX, "\x1b%c", c);
  return 0;
}

/* After an escape and a bracket: which characters are drawn. All else is left out. */
static size_t intermediate(filter_t *f, char c, char *out) {
  if (is_control_within((unsigned char)c)) {
    out[0] = c;
    return 1;
  }
  if (c >= ' ' && c <= '/') {
    f->intermediate = 0;
    return 0;
  }
  f->state = PLAIN;
  if ((f->intermediate != '(' && f->intermediate != ')') || !strchr("0AB", c))
    return 0;
  return (size_t)snprintf(out, SEQUENCE_MAX, "\x1b%c%c", f->intermediate, c);
}

static uint32_t value_or(const filter_t *f, size_t index, uint32_t otherwise) {
  return index < f->count && f->values[index] > 0 ? f->values[index] : otherwise;
}

/* The modes that change what is shown, each in a sequence of its own. */
static size_t put_modes(const filter_t *f, char c, char *out) {
  static const uint32_t shown[] = {7, 25, 47, 1047, 1048, 1049};
  size_t len = 0;
  for (size_t i = 0; i < f->count; i++)
    for (size_t k = 0; k < sizeof shown / sizeof *shown; k++)
      if (f->values[i] == shown[k])
        len += (size_t)snprintf(out + len, 12, "\x1b[?%u%c", shown[k], c);
  return len;
}

/* A region that is one, or none: libvterm takes others, and writes outside of the
 * screen. */
static size_t put_region(const filter_t *f, uint16_t rows, char *out) {
  uint32_t top = value_or(f, 0, 1), bottom = value_or(f, 1, rows);
  bottom = bottom < rows ? bottom : rows;
  if (top >= bottom)
    return put_text("\x1b[r", out);
  return (size_t)snprintf(out, SEQUENCE_MAX, "\x1b[%u;%ur", top, bottom);
}

/* A count is done one by one, also where a screen has long been full. */
static size_t put_values(const filter_t *f, char c, char *out) {
  size_t most = c == 'm' ? f->count : 2, len = put_text("\x1b[", out);
  for (size_t i = 0; i < f->count && i < most; i++) {
    uint32_t value = f->values[i] < COUNT_MAX ? f->values[i] : COUNT_MAX;
    len += (size_t)snprintf(out + len, 8, i > 0 ? ";%u" : "%u", value);
  }
  out[len] = c;
  return len + 1;
}

/* A sequence is whole: what is passed on of it. A list of what is known to be harmless.
 */
static size_t end_sequence(axo_screen_t *s, char c, char *out) {
  filter_t f = s->filter;
  s->filter = (filter_t){.state = PLAIN};
  if (f.is_odd)
    return 0;
  if (f.is_private)
    return c == 'h' || c == 'l' ? put_modes(&f, c, out) : 0;
  if (c == 'b') { /* libvterm would never end that where there is no character yet */
    s->filter.repeat = value_or(&f, 0, 1);
    return 0;
  }
  if (c == 'r')
    return put_region(&f, s->state.rows, out);
  if (c == 's' || c == 'u')
    return f.count == 0 ? put_values(&f, c, out) : 0;
  return strchr("@ABCDEFGHJKLMPSTX`adefm", c) ? put_values(&f, c, out) : 0;
}

static size_t in_sequence(axo_screen_t *s, unsigned char c, char *out) {
  filter_t *f = &s->filter;
  if (is_control_within(c)) {
    out[0] = (char)c;
    return 1;
  }
  if (c >= '0' && c <= '9') {
    f->count += f->count == 0;
    uint32_t *value = &f->values[f->count - 1];
    *value = *value * 10 + (c - '0') < VALUE_MAX ? *value * 10 + (c - '0') : VALUE_MAX;
  } else if (c == ';' || c == ':') {
    f->count += f->count == 0;
    if (f->count < VALUES_MAX)
      f->values[f->count++] = 0;
  } else if (c == '?' && f->count == 0) {
    f->is_private = true;
  } else if (c == 0x18 || c == 0x1a) {
    *f = (filter_t){.state = PLAIN};
  } else if (c < 0x40) {
    f->is_odd = true;
  } else {
    return end_sequence(s, (char)c, out);
  }
  return 0;
}

static void note_last(axo_screen_t *s, unsigned char c) {
  if (c < 0x20 || c == 0x7f)
    return;
  if ((c & 0xc0) != 0x80)
    s->last_len = 0;
  if (s->last_len < sizeof s->last)
    s->last[s->last_len++] = (char)c;
}

/* One character at a time, if it is none of ASCII: libvterm adds up the widths of those
 * that it takes for one glyph, and writes beside the screen. Marks that go on one cell
 * without end would be kept and looked through without end. */
static void put(axo_screen_t *s, const char *bytes, size_t len) {
  uint16_t row = s->state.cursor_row, col = s->state.cursor_col;
  if (len == 0)
    return;
  vterm_input_write(s->vt, bytes, len);
  bool is_mark = (unsigned char)bytes[0] >= 0x80 && s->state.cursor_row == row &&
                 s->state.cursor_col == col;
  s->marks = is_mark ? s->marks + 1 : 0;
}

static void repeat_last(axo_screen_t *s) {
  uint32_t count = s->filter.repeat;
  s->filter.repeat = 0;
  for (; s->last_len > 0 && count > 0 && count <= 999; count--)
    if (s->marks < ONE_CELL_MAX)
      put(s, s->last, s->last_len);
}

/* A byte of text: what is passed on. libvterm takes U+0080 to U+009F (0xc2, then those)
 * for characters of width -1, and goes left of the screen. */
static size_t in_text(axo_screen_t *s, unsigned char c, char *out) {
  filter_t *f = &s->filter;
  size_t len = 0;
  bool was_held = f->is_held;
  f->is_held = c == 0xc2;
  if (was_held && c >= 0x80 && c <= 0x9f)
    return 0;
  if (was_held) {
    note_last(s, 0xc2);
    out[len++] = (char)0xc2;
  }
  if (f->is_held)
    return len;
  if (c == 0x1b) {
    f->state = ESCAPED;
    return len;
  }
  note_last(s, c);
  out[len++] = (char)c;
  return len;
}

static void string_byte(axo_screen_t *s, char c) {
  if (c != 7 && c != 0x18 && c != 0x1a && c != 0x1b) {
    in_string(s, c);
    return;
  }
  end_string(s);
  s->filter.state = c == 0x1b ? ESCAPED : PLAIN;
}

static size_t tame_byte(axo_screen_t *s, char c, char *out) {
  filter_t *f = &s->filter;
  size_t len = 0;
  if (f->state == STRING) {
    string_byte(s, c);
    return 0;
  }
  if (f->state != PLAIN && (unsigned char)c >= 0x80)
    *f = (filter_t){.state = PLAIN};
  if (f->state == PLAIN)
    return len + in_text(s, (unsigned char)c, out + len);
  if (c == 0x1b) {
    *f = (filter_t){.state = ESCAPED};
    return 0;
  }
  if (f->state == ESCAPED)
    return escaped(f, c, out);
  if (f->state == INTERMEDIATE)
    return intermediate(f, c, out);
  return in_sequence(s, (unsigned char)c, out);
}

/* What libvterm gets of the bytes: no strings, no C1, no count above `most`. What is
 * not whole at their end comes with the next ones. */
static void tame(axo_screen_t *s, const char *bytes, size_t len) {
  char out[PIECE + SEQUENCE_MAX];
  size_t size = 0;
  for (size_t i = 0; i < len; i++) {
    if (size > PIECE) {
      put(s, out, size);
      size = 0;
    }
    bool is_text = s->filter.state == PLAIN && (unsigned char)bytes[i] >= 0x80;
    if (is_text && (unsigned char)bytes[i] >= 0xc0) {
      put(s, out, size);
      size = 0;
    }
    if (is_text && s->marks >= ONE_CELL_MAX)
      continue;
    size += tame_byte(s, bytes[i], out + size);
    if (s->filter.repeat > 0) {
      put(s, out, size);
      size = 0;
      repeat_last(s);
    }
  }
  put(s, out, size);
}

/* ---- its life -------------------------------------------------------------------- */

static bool is_size(uint16_t rows, uint16_t cols) {
  return rows > 0 && cols > 0 && rows <= AXO_SCREEN_ROWS_MAX &&
         cols <= AXO_SCREEN_COLS_MAX;
}

/* The smallest that libvterm stands: with one row or column it reads outside, and a
 * glyph that it puts together may have a width of 3. */
static int rows_of(uint16_t rows) { return rows < 2 ? 2 : rows; }
static int cols_of(uint16_t cols) { return cols < 4 ? 4 : cols; }

/* A screen of that size in the place of what there was, which is the caller's. */
static int open_screen(axo_screen_t *s, uint16_t rows, uint16_t cols) {
  VTerm *vt = vterm_new(rows_of(rows), cols_of(cols));
  if (!vt)
    return UV_ENOMEM;
  s->vt = vt;
  s->state.rows = rows;
  s->state.cols = cols;
  vterm_set_utf8(vt, 1);
  s->screen = vterm_obtain_screen(vt);
  vterm_screen_set_callbacks(s->screen, &callbacks, s);
  vterm_screen_enable_altscreen(s->screen, 1);
  vterm_screen_set_damage_merge(s->screen, VTERM_DAMAGE_SCROLL);
  vterm_screen_reset(s->screen, 1);
  return 0;
}

int axo_screen_new(uint16_t rows, uint16_t cols, size_t lines, axo_screen_t **out) {
  if (!is_size(rows, cols) || lines > AXO_SCREEN_LINES_MAX)
    return UV_EINVAL;
  axo_screen_t *s = calloc(1, sizeof *s);
  if (s && lines > 0)
    s->lines = calloc(lines, sizeof *s->lines);
  if (!s || (lines > 0 && !s->lines) || open_screen(s, rows, cols) != 0) {
    axo_screen_free(s);
    return UV_ENOMEM;
  }
  s->lines_max = lines;
  s->state.cursor_visible = true;
  *out = s;
  return 0;
}

void axo_screen_free(axo_screen_t *s) {
  if (!s)
    return;
  if (s->vt)
    vterm_free(s->vt);
  for (; s->lines_count > 0;)
    drop_oldest(s);
  free(s->lines);
  free(s);
}

void axo_screen_write(axo_screen_t *s, const void *bytes, size_t len) {
  const char *at = bytes;
  char answers[256];
  while (len > 0) {
    size_t piece = len < PIECE ? len : PIECE;
    tame(s, at, piece);
    /* The program's questions are for who shows the terminal to somebody. */
    while (vterm_output_read(s->vt, answers, sizeof answers) > 0) {
    }
    at += piece;
    len -= piece;
  }
  vterm_screen_flush_damage(s->screen);
}

static void say(axo_screen_t *s, const char *text) {
  axo_screen_write(s, text, strlen(text));
}

static uint16_t last_row(const axo_screen_t *s, uint16_t cursor_row) {
  char text[AXO_SCREEN_ROW_MAX];
  uint16_t last = s->state.rows - 1;
  while (last > cursor_row && axo_screen_row(s, last, text) == 0)
    last--;
  return last;
}

static void carry_over(axo_screen_t *s, const axo_screen_t *old) {
  char text[AXO_SCREEN_ROW_MAX];
  axo_screen_state_t was = axo_screen_state(old);
  uint16_t last = last_row(old, was.cursor_row);
  s->filter = (filter_t){.state = PLAIN};
  if (was.alternate)
    say(s, "\x1b[?1049h");
  for (uint16_t row = 0; row <= last; row++) {
    if (row > 0)
      say(s, "\r\n");
    axo_screen_write(s, text, axo_screen_row(old, row, text));
  }
  int up = last - was.cursor_row;
  if (up > 0) {
    (void)snprintf(text, sizeof text, "\x1b[%dA", up);
    say(s, text);
  }
  (void)snprintf(text, sizeof text, "\x1b[%dG", was.cursor_col + 1);
  say(s, text);
  if (!was.cursor_visible)
    say(s, "\x1b[?25l");
}

/* libvterm 0.1.4 leaves cursors and regions outside of a screen that it makes smaller,
 * and then writes there. So each size has a screen of its own, and what stands on the
 * old one is written to it, as by a program. */
int axo_screen_resize(axo_screen_t *s, uint16_t rows, uint16_t cols) {
  if (!is_size(rows, cols))
    return UV_EINVAL;
  if (rows == s->state.rows && cols == s->state.cols)
    return 0;
  axo_screen_t old = *s;
  int rc = open_screen(s, rows, cols);
  if (rc != 0)
    return rc;
  carry_over(s, &old);
  vterm_free(old.vt);
  return 0;
}

/* ---- reading --------------------------------------------------------------------- */

axo_screen_state_t axo_screen_state(const axo_screen_t *s) {
  axo_screen_state_t state = s->state;
  state.lines = s->lines_count;
  if (state.cursor_row >= state.rows)
    state.cursor_row = (uint16_t)(state.rows - 1);
  if (state.cursor_col >= state.cols)
    state.cursor_col = (uint16_t)(state.cols - 1);
  return state;
}

size_t axo_screen_title(const axo_screen_t *s, char out[AXO_SCREEN_TITLE_MAX]) {
  size_t len = 0;
  for (const char *at = s->title; *at;) {
    uint32_t c;
    size_t unseen = axo_text_unseen(at, &c);
    size_t size = unseen > 0 ? unseen : axo__utf8_len(at);
    if (len + (unseen > 0 ? 3 : size) >= AXO_SCREEN_TITLE_MAX)
      break;
    if (unseen > 0) {
      len += encode(0xfffd, out + len);
    } else {
      memcpy(out + len, at, size);
      len += size;
    }
    at += size;
  }
  out[len] = 0;
  return len;
}

size_t axo_screen_row(const axo_screen_t *s, uint16_t row,
                      char out[AXO_SCREEN_ROW_MAX]) {
  size_t len = 0;
  VTermScreenCell cell;
  for (int col = 0; row < s->state.rows && col < s->state.cols; col++)
    if (vterm_screen_get_cell(s->screen, (VTermPos){.row = row, .col = col}, &cell))
      len += put_cell(&cell, out + len);
  return trimmed(out, len);
}

const char *axo_screen_line(const axo_screen_t *s, size_t index, size_t *len) {
  *len = 0;
  if (index >= s->lines_count)
    return "";
  const line_t *line = &s->lines[(s->lines_first + index) % s->lines_max];
  *len = line->len;
  return line->text ? line->text : "";
}
