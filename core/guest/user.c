/* Users and groups as podman reads them from the container's files: a number is always
 * a number, also where somebody has it for a name. The files are the container's: they
 * are read within bounds, and nothing in their place is waited for. */
#include "guest.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (8 * 1024 * 1024)

struct lines {
  int fd;
  size_t from, to, total;
  bool
      is_cut; /* what comes up to the next newline belongs to a line that did not fit */
  char buf[16384];
};
static struct lines file;

static bool lines_open(struct lines *l, const char *path) {
  struct stat st;
  l->from = l->to = l->total = 0;
  l->is_cut = false;
  l->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (l->fd >= 0 && (fstat(l->fd, &st) || !S_ISREG(st.st_mode))) {
    close(l->fd);
    l->fd = -1;
  }
  return l->fd >= 0;
}

/* Reads on; false at the end. One byte is kept free for a NUL. */
static bool lines_fill(struct lines *l) {
  memmove(l->buf, l->buf + l->from, l->to - l->from);
  l->to -= l->from;
  l->from = 0;
  if (l->to == sizeof l->buf - 1) {
    l->to = 0;
    l->is_cut = true;
  }
  ssize_t n =
      l->total < FILE_MAX ? read(l->fd, l->buf + l->to, sizeof l->buf - 1 - l->to) : 0;
  if (n <= 0)
    return false;
  l->to += (size_t)n;
  l->total += (size_t)n;
  return true;
}

/* The next line, or NULL. Lines longer than the buffer are left out. */
static char *lines_next(struct lines *l) {
  for (;;) {
    char *line = l->buf + l->from;
    char *end = memchr(line, '\n', l->to - l->from);
    bool is_last = !end && !lines_fill(l);
    if (!end && !is_last)
      continue;
    line = l->buf + l->from;
    if (is_last && (l->to == l->from || l->is_cut))
      return NULL;
    if (is_last)
      end = l->buf + l->to;
    *end = 0;
    l->from = is_last ? l->to : (size_t)(end + 1 - l->buf);
    if (!l->is_cut)
      return line;
    l->is_cut = false;
  }
}

/* Fields that are missing are "". */
static void split(char *line, char **fields, int max) {
  for (int i = 0; i < max; i++) {
    char *colon = strchrnul(line, ':');
    fields[i] = line;
    line = *colon ? colon + 1 : colon;
    *colon = 0;
  }
}

static bool parse_id(const char *text, uint32_t *out) {
  uint64_t value = 0;
  if (!*text)
    return false;
  for (; *text; text++) {
    if (*text < '0' || *text > '9')
      return false;
    value = value * 10 + (uint64_t)(*text - '0');
    if (value > INT_MAX)
      return false;
  }
  *out = (uint32_t)value;
  return true;
}

static bool find_user(const char *who, struct identity *id) {
  bool is_number = parse_id(who, &id->uid), found = false;
  char *line, *f[6];
  uint32_t uid, gid;
  if (!lines_open(&file, "/etc/passwd"))
    return is_number;
  while (!found && (line = lines_next(&file))) {
    split(line, f, 6);
    if (!parse_id(f[2], &uid) || !parse_id(f[3], &gid) ||
        (is_number ? uid != id->uid : strcmp(f[0], who) != 0))
      continue;
    found = true;
    id->uid = uid;
    id->gid = gid;
    if (strlen(f[5]) < sizeof id->home)
      strcpy(id->home, f[5]);
    if (strlen(f[0]) < sizeof id->name)
      strcpy(id->name, f[0]);
  }
  close(file.fd);
  return found || is_number;
}

static bool in_list(char *list, const char *name) {
  for (char *save, *item = strtok_r(list, ",", &save); item;
       item = strtok_r(NULL, ",", &save))
    if (strcmp(item, name) == 0)
      return true;
  return false;
}

static bool find_group(const char *group, struct identity *id) {
  bool found = parse_id(group, &id->gid);
  char *line, *f[4];
  uint32_t gid;
  if (found || !lines_open(&file, "/etc/group"))
    return found;
  while (!found && (line = lines_next(&file))) {
    split(line, f, 4);
    if (!parse_id(f[2], &gid) || strcmp(f[0], group) != 0)
      continue;
    id->gid = gid;
    found = true;
  }
  close(file.fd);
  return found;
}

/* The groups that list the user: without a group of the request's own. */
static void find_groups(struct identity *id) {
  char *line, *f[4];
  uint32_t gid;
  if (!id->name[0] || !lines_open(&file, "/etc/group"))
    return;
  while (id->group_count < GROUPS_MAX && (line = lines_next(&file))) {
    split(line, f, 4);
    if (parse_id(f[2], &gid) && in_list(f[3], id->name))
      id->groups[id->group_count++] = gid;
  }
  close(file.fd);
}

bool user_resolve(const char *spec, struct identity *id) {
  char who[256];
  memset(id, 0, offsetof(struct identity, groups));
  id->name[0] = id->home[0] = 0;
  if (!*spec)
    return true;
  if (strlen(spec) >= sizeof who)
    return false;
  strcpy(who, spec);
  char *group = strchrnul(who, ':');
  if (*group)
    *group++ = 0;
  strcpy(id->home, "/");
  id->given = true;
  if (!find_user(*who ? who : "0", id))
    return false;
  if (*group)
    return find_group(group, id);
  find_groups(id);
  return true;
}
