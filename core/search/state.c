/* What is asked, and how far the search is: all the others read it. */
#include "search.h"

ax_asked_t asked = {
    .path = ".",
    .max = 1000,
    .max_line = 16 << 10,
    .max_file = 256 << 20,
    .max_bytes = UINT64_C(4) << 30,
    .max_files = 1000000,
    .max_output = 8 << 20,
    .time_ms = 30000,
};
ax_done_t done = {.stopped = ""};
volatile sig_atomic_t time_is_over;
