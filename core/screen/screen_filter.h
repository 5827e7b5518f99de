/* What libvterm is given of a container's bytes. A list of what is known to be
 * harmless: libvterm 0.1.4 can be made to write beside its screen, and to keep what has
 * no end. */
#ifndef AXO_SCREEN_FILTER_H
#define AXO_SCREEN_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AXO__TITLE_MAX 256
/* libvterm has room for 16 parameters, and 0.1.4 writes on behind them. */
#define AXO__VALUES_MAX 16
/* What is gathered before it is passed on. */
#define AXO__RUN_MAX 1024

/* Gets either one whole character that is none of ASCII, or ASCII and control
 * sequences.
 */
typedef void (*axo__filter_pass)(void *user, const char *bytes, size_t len);

/* Where in a control sequence, a string or a character the bytes are. */
typedef struct axo__filter {
  axo__filter_pass pass;
  void *user;
  uint16_t rows; /* of the screen: a region beyond it is none */
  enum { PLAIN, ESCAPED, INTERMEDIATE, SEQUENCE, STRING } state;
  bool is_title;
  bool is_private; /* begins with '?' */
  bool is_odd;     /* holds what no sequence does that is passed on */
  char intermediate;
  uint32_t values[AXO__VALUES_MAX];
  size_t count; /* of values, the one that is read included */
  char title[AXO__TITLE_MAX], next_title[AXO__TITLE_MAX];
  size_t string_len;
  char character[5]; /* as far as it has come, and a NUL */
  size_t character_len;
  char last[4]; /* the last character, for who has it repeated */
  size_t last_len;
  char run[AXO__RUN_MAX];
  size_t run_len;
} axo__filter_t;

/* All that is whole in the bytes is passed on before it returns. */
void axo__filter_write(axo__filter_t *f, const char *bytes, size_t len);

#endif
