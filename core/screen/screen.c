/* What stands on a terminal's screen: bytes go in, rows of text come out. libvterm
 * keeps the screen; nothing of what the bytes ask for leaves here, and no answer is
 * sent back. */
#include "base/internal.h"
#include "screen/screen_filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vterm.h>

/* A cell's character and what is put above it. */
#define CELL_MAX ((size_t)VTERM_MAX_CHARS_PER_CELL * 4)
/* The bytes between which the size of libvterm's answers is looked at. */
#define PIECE ((size_t)4096)
/* Characters in a row that do not move the cursor. */
#define ONE_CELL_MAX 32

typedef struct line {
  char *text;
  size_t len;
} line_t;

struct axo_screen {
  axo__filter_t filter;
  unsigned marks; /* how many characters went on the last cell */
  VTerm *vt;
  VTermScreen *screen;
  axo_screen_state_t state;
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

/* Marks that go on one cell without end would be kept and looked through without end.
 */
static void put(void *user, const char *bytes, size_t len) {
  axo_screen_t *s = user;
  uint16_t row = s->state.cursor_row, col = s->state.cursor_col;
  bool is_character = (unsigned char)bytes[0] >= 0x80;
  if (is_character && s->marks >= ONE_CELL_MAX)
    return;
  vterm_input_write(s->vt, bytes, len);
  bool has_moved = s->state.cursor_row != row || s->state.cursor_col != col;
  s->marks = is_character && !has_moved ? s->marks + 1 : 0;
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
  s->filter = (axo__filter_t){.pass = put, .user = s, .rows = rows};
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
    axo__filter_write(&s->filter, at, piece);
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
  if (was.alternate)
    say(s, "\x1b[?1049h");
  for (uint16_t row = 0; row <= last; row++) {
    if (row > 0)
      say(s, "\r\n");
    size_t length = axo_screen_row(old, row, text);
    axo_screen_write(s, text, length);
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
  s->filter = old.filter; /* with what has come in part */
  s->filter.rows = rows;
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
  for (const char *at = s->filter.title; *at;) {
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
