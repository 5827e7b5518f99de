/* What runs and what is remembered, for a host that asks. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

/* Apart from the table, so that this memory is touched only by what is listed. */
static char commands[WORKS_MAX][AXO_COMMAND_MAX];

char *work_command(const struct work *w) { return commands[work_index(w)]; }

static void fill_entry(axo_entry_t *e, const struct work *w) {
  struct winsize size = {.ws_row = w->rows, .ws_col = w->cols};
  if (w->kind == AXO_KIND_TERMINAL && w->out_fd >= 0)
    ioctl(w->out_fd, TIOCGWINSZ, &size);
  *e = (axo_entry_t){
      .work = w->number,
      .started_ms = w->started_ms,
      .head = w->ring.head,
      .kind = w->kind,
      .state = w->state,
      .code = w->exited.code,
      .signal = w->exited.signal,
      .pid = w->pid,
      .rows = size.ws_row,
      .cols = size.ws_col,
      .command_len = w->command_len,
      .command_full = w->command_full,
  };
  memcpy(e->name, w->name, AXO_NAME_MAX);
  memcpy(e->command, work_command(w), w->command_len);
}

static bool append(int fd, const struct work *w, uint32_t *length) {
  static axo_entry_t entry;
  fill_entry(&entry, w);
  *length += sizeof entry;
  return write(fd, &entry, sizeof entry) == (ssize_t)sizeof entry;
}

/* What has ended comes first, the oldest first: who remembers fewer knows which. */
static bool append_all(int fd, uint32_t *length) {
  for (const struct work *w = work_shelf(NULL); w; w = work_shelf(w))
    if (!append(fd, w, length))
      return false;
  for (int i = 0; i < WORKS_MAX; i++) {
    const struct work *w = &g.works[i];
    if (is_listed(w) && !w->shelved && !append(fd, w, length))
      return false;
  }
  return true;
}

int list_file(const char *only, uint32_t *length) {
  bool good = true;
  *length = 0;
  int fd = (int)syscall(SYS_memfd_create, "axo-list", 3U /* CLOEXEC | ALLOW_SEALING */);
  if (fd < 0)
    return -1;
  if (only) {
    const struct work *w = work_by_name(only);
    good = !w || !is_listed(w) || append(fd, w, length);
  }
  good = good && (only || append_all(fd, length));
  if (good && fcntl(fd, F_ADD_SEALS,
                    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
    return fd;
  int cause = errno ? errno : ENOSPC;
  close(fd);
  errno = cause;
  return -1;
}
