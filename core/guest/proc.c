/* The processes of the container, from /proc. */
#include "guest.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROCS_MAX 32768

static struct proc procs[PROCS_MAX];
static int count;

uint64_t number(const char *at) {
  uint64_t value = 0;
  while (*at >= '0' && *at <= '9')
    value = value * 10 + (uint64_t)(*at++ - '0');
  return value;
}

char *decimal(uint32_t value, char out[DECIMAL_SIZE]) {
  char *at = &out[DECIMAL_SIZE - 1];
  *at = 0;
  do
    *--at = (char)('0' + value % 10);
  while (value /= 10);
  return at;
}

/* The start of the field `n` fields on; "" when there are not that many. */
static const char *field(const char *at, int n) {
  for (; n && *at; n--) {
    at = strchrnul(at, ' ');
    at += *at == ' ';
  }
  return at;
}

static bool parse(const char *text, struct proc *out) {
  /* The program's name may hold anything, brackets and blanks included, but is at most
   * 64 bytes, and nothing after it holds a bracket: the last one ends it. */
  const char *at = strrchr(text, ')');
  if (!at || strlen(at) < 5)
    return false;
  at += 2;
  out->state = *at;
  out->parent = (pid_t)number(field(at, 1));
  out->group = (pid_t)number(field(at, 2));
  out->start = number(field(at, 19));
  /* A process whose first thread has ended looks like a zombie, and may live on in the
   * others. */
  bool is_dead = *at == 'Z' || *at == 'X' || *at == 'x';
  out->alive = !is_dead || number(field(at, 17)) > 1;
  return true;
}

static bool read_stat(const char *name, struct proc *out) {
  char buf[512], path[24];
  if (strlen(name) > 10)
    return false;
  strcpy(stpcpy(path, name), "/stat");
  int fd = openat(g.proc, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  ssize_t n = read(fd, buf, sizeof buf - 1);
  close(fd);
  if (n <= 0)
    return false;
  buf[n] = 0;
  *out = (struct proc){.pid = (pid_t)number(name)};
  return parse(buf, out) && out->pid != g.self;
}

bool proc_read(pid_t pid, struct proc *out) {
  char digits[DECIMAL_SIZE];
  return pid > 0 && read_stat(decimal((uint32_t)pid, digits), out);
}

static bool take(const char *name) {
  if (name[0] < '1' || name[0] > '9' || count == PROCS_MAX ||
      !read_stat(name, &procs[count]))
    return false;
  /* In ascending order, so that they are found by halving. */
  if (count && procs[count].pid <= procs[count - 1].pid)
    return false;
  count++;
  return true;
}

/* Those of a piece of the directory. */
static bool take_all(const char *buf, long n, bool (*seen)(struct proc *p, void *data),
                     void *data) {
  for (long at = 0; at < n;) {
    const struct linux_dirent64 *entry = (const struct linux_dirent64 *)(buf + at);
    at += entry->d_reclen;
    if (take(entry->d_name) && seen && !seen(&procs[count - 1], data))
      return false;
  }
  return true;
}

struct procs procs_scan(bool (*seen)(struct proc *p, void *data), void *data) {
  static _Alignas(8) char buf[16384];
  bool on = true;
  long n;
  count = 0;
  /* Where this process has no descriptor left, that is no reason not to kill. */
  close(g.spare);
  lseek(g.proc, 0, SEEK_SET);
  while (on && (n = syscall(SYS_getdents64, g.proc, buf, sizeof buf)) > 0)
    on = take_all(buf, n, seen, data);
  g.spare = fcntl(g.proc, F_DUPFD_CLOEXEC, 3);
  return (struct procs){procs, count, count == PROCS_MAX, !on};
}

struct proc *procs_find(pid_t pid) {
  int low = 0, high = count - 1;
  while (low <= high) {
    int mid = low + (high - low) / 2;
    if (procs[mid].pid == pid)
      return &procs[mid];
    if (procs[mid].pid < pid)
      low = mid + 1;
    else
      high = mid - 1;
  }
  return NULL;
}
