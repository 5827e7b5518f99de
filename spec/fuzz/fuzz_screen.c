/* A terminal's screen, sent by somebody hostile. The input: its size, then pieces of
 * bytes, between which it is resized. What comes out is always fit to be shown. */
#include "axo.h"
#include "fuzz.h"

static void check_text(const char *text, size_t len) {
  static char copy[AXO_SCREEN_ROW_MAX + 1];
  uint32_t c;
  CHECK(len <= AXO_SCREEN_ROW_MAX);
  memcpy(copy, text, len);
  copy[len] = 0;
  for (size_t at = 0; at < len;) {
    unsigned char first = (unsigned char)copy[at];
    CHECK(axo_text_unseen(copy + at, &c) == 0);
    at += first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  }
}

static void check_screen(const axo_screen_t *screen) {
  static char row[AXO_SCREEN_ROW_MAX];
  char title[AXO_SCREEN_TITLE_MAX];
  axo_screen_state_t state = axo_screen_state(screen);
  CHECK(state.cursor_row < state.rows && state.cursor_col < state.cols);
  CHECK(state.lines <= 20 && state.lines <= state.scrolled);
  for (uint16_t i = 0; i < state.rows; i++)
    check_text(row, axo_screen_row(screen, i, row));
  for (size_t i = 0; i < state.lines; i++) {
    size_t len;
    const char *text = axo_screen_line(screen, i, &len);
    check_text(text, len);
  }
  check_text(title, axo_screen_title(screen, title));
}

static uint16_t draw_side(input_t *in) { return (uint16_t)(draw8(in) % 60 + 1); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  input_t in = {data, size};
  axo_screen_t *screen;
  uint16_t rows = draw_side(&in), cols = draw_side(&in);
  CHECK(axo_screen_new(rows, cols, 20, &screen) == 0);
  while (in.left > 0) {
    uint8_t how = draw8(&in);
    if (how >= 0xf0) {
      rows = draw_side(&in);
      cols = draw_side(&in);
      CHECK(axo_screen_resize(screen, rows, cols) == 0);
      continue;
    }
    size_t len = how % 64 + 1 < in.left ? how % 64 + 1 : in.left;
    axo_screen_write(screen, in.at, len);
    in.at += len;
    in.left -= len;
  }
  check_screen(screen);
  axo_screen_free(screen);
  return 0;
}
