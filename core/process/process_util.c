#include "process/process_util.h"
#include "base/sigpipe.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUEUE_ROOM_MIN ((size_t)4096)
/* What an emptied queue may keep for the next time. */
#define QUEUE_ROOM_KEPT ((size_t)64 * 1024)
/* Written at a time, and before the loop gets its turn. */
#define WRITE_SIZE ((size_t)64 * 1024)
#define WRITE_TURNS 16

size_t axo__queue_size(const axo__queue_t *queue) { return queue->end - queue->start; }

void axo__queue_clear(axo__queue_t *queue) {
  free(queue->data);
  memset(queue, 0, sizeof *queue);
}

/* Makes room for `len` more: by moving to the front while that is cheap, else by
 * growth. */
static int queue_reserve(axo__queue_t *queue, size_t len) {
  size_t size = axo__queue_size(queue);
  if (len <= queue->room - queue->end)
    return 0;
  if (len > SIZE_MAX - size)
    return UV_ENOMEM;
  if (queue->start >= size && size + len <= queue->room) {
    memmove(queue->data, queue->data + queue->start, size);
  } else {
    size_t room = size + len;
    if (room < queue->room + queue->room / 2)
      room = queue->room + queue->room / 2;
    if (room < QUEUE_ROOM_MIN)
      room = QUEUE_ROOM_MIN;
    char *data = malloc(room);
    if (!data)
      return UV_ENOMEM;
    if (size > 0)
      memcpy(data, queue->data + queue->start, size);
    free(queue->data);
    queue->data = data;
    queue->room = room;
  }
  queue->start = 0;
  queue->end = size;
  return 0;
}

int axo__queue_push(axo__queue_t *queue, const void *data, size_t len) {
  if (len == 0)
    return 0;
  int rc = queue_reserve(queue, len);
  if (rc != 0)
    return rc;
  memcpy(queue->data + queue->end, data, len);
  queue->end += len;
  return 0;
}

static int queue_write(axo__queue_t *queue, int fd) {
  for (int turn = 0; turn < WRITE_TURNS; turn++) {
    size_t len = axo__queue_size(queue);
    if (len == 0)
      return 0;
    if (len > WRITE_SIZE)
      len = WRITE_SIZE;
    ssize_t n = write(fd, queue->data + queue->start, len);
    if (n >= 0) {
      queue->start += (size_t)n;
    } else if (errno != EINTR) {
      return uv_translate_sys_error(errno);
    }
  }
  return axo__queue_size(queue) == 0 ? 0 : UV_EAGAIN;
}

int axo__queue_flush(axo__queue_t *queue, int fd) {
  axo__sigpipe_t guard;
  axo__sigpipe_hold(&guard);
  int rc = queue_write(queue, fd);
  axo__sigpipe_release(&guard, rc == UV_EPIPE);
  if (rc != 0)
    return rc;
  queue->start = queue->end = 0;
  if (queue->room > QUEUE_ROOM_KEPT)
    axo__queue_clear(queue);
  return 0;
}

ssize_t axo__read(int fd, char *buf, size_t len) {
  ssize_t n;
  do {
    n = read(fd, buf, len);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? uv_translate_sys_error(errno) : n;
}

int axo__kill_group(int pid, int signum) {
  if (pid <= 1)
    return UV_ESRCH;
  return kill(-pid, signum) == 0 ? 0 : uv_translate_sys_error(errno);
}

typedef struct reaper {
  uv_work_t work;
  pid_t pid;
} reaper_t;

static void wait_for(uv_work_t *work) {
  reaper_t *reaper = AXO__CONTAINER_OF(work, reaper_t, work);
  pid_t pid;
  do {
    pid = waitpid(reaper->pid, NULL, 0);
  } while (pid < 0 && errno == EINTR);
}

static void on_reaped(uv_work_t *work, int status) {
  (void)status;
  free(AXO__CONTAINER_OF(work, reaper_t, work));
}

void axo__reap(uv_loop_t *loop, int pid, bool dies) {
  if (waitpid(pid, NULL, WNOHANG) != 0 || !dies)
    return;
  reaper_t *reaper = calloc(1, sizeof *reaper);
  if (!reaper)
    return;
  reaper->pid = pid;
  if (uv_queue_work(loop, &reaper->work, wait_for, on_reaped) != 0)
    free(reaper);
}

int axo__start_error(axo_err_t *err, int code, const char *op, const char *file,
                     const char *cwd) {
  struct stat st;
  char words[AXO_CODE_TEXT_MAX];
  if (cwd && stat(cwd, &st) != 0) {
    axo_code_text(uv_translate_sys_error(errno), words, sizeof words);
    return axo__err_set(err, code, op, "the working directory must exist",
                        "cannot enter the directory %s: %s", cwd, words);
  }
  axo_code_text(code, words, sizeof words);
  if (cwd && (!S_ISDIR(st.st_mode) || access(cwd, X_OK) != 0)) {
    return axo__err_set(err, code, op, "choose a directory that this user may enter",
                        "cannot enter the directory %s: %s", cwd, words);
  }
  const char *hint = axo_code_hint(code);
  if (code == UV_ENOENT)
    hint = "check its name and that it is installed and in PATH";
  if (code == UV_EACCES)
    hint = "check that it is a program with the execute permission";
  if (code == UV_EAGAIN)
    hint = "the limit of processes is reached (ulimit -u)";
  return axo__err_set(err, code, op, hint, "cannot run %s: %s", file, words);
}
