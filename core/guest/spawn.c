/* Starting a program in the container as `podman exec` would: its user and groups, its
 * HOME, its directory, its PATH. Runs in a supervisor; all but the last steps happen
 * before vfork, on static memory. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STRINGS_MAX 65536
#define GROUPS_MAX 256

static char *argv_items[STRINGS_MAX];
static char *env_items[STRINGS_MAX];

/* ---- the request
 * ------------------------------------------------------------------------ */

static const char *next_string(const unsigned char **at, size_t *left) {
  const unsigned char *end = memchr(*at, 0, *left);
  const char *s = (const char *)*at;
  if (!end)
    return NULL;
  *left -= (size_t)(end + 1 - *at);
  *at = end + 1;
  return s;
}

static bool strings(const unsigned char **at, size_t *left, char **out,
                    uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (!(out[i] = (char *)next_string(at, left)))
      return false;
  out[count] = NULL;
  return true;
}

bool spawn_parse(const struct packet *p, struct spawn_args *out) {
  const axo_spawn_t *fixed = (const axo_spawn_t *)p->body;
  size_t left = p->head.length;
  if (left < sizeof *fixed)
    return false;
  const unsigned char *at = p->body + sizeof *fixed;
  left -= sizeof *fixed;
  if (fixed->argc == 0 || fixed->argc >= STRINGS_MAX || fixed->envc >= STRINGS_MAX / 2)
    return false;
  *out = (struct spawn_args){.fixed = fixed, .argv = argv_items, .env = env_items};
  out->cwd = next_string(&at, &left);
  out->user = out->cwd ? next_string(&at, &left) : NULL;
  return out->user && strings(&at, &left, argv_items, fixed->argc) &&
         strings(&at, &left, env_items, fixed->envc) && left == 0;
}

/* ---- users
 * ------------------------------------------------------------------------------ */

struct identity {
  bool given;
  uid_t uid;
  gid_t gid;
  int group_count;
  gid_t groups[GROUPS_MAX];
  char name[64];
  char home[PATH_MAX];
};

/* Lines of a container's file: bounded, and never waiting on a FIFO in its place. */
struct lines {
  int fd;
  size_t from, to;
  char buf[16384];
};

static bool lines_open(struct lines *l, const char *path) {
  struct stat st;
  l->from = l->to = 0;
  l->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (l->fd >= 0 && (fstat(l->fd, &st) || !S_ISREG(st.st_mode))) {
    close(l->fd);
    l->fd = -1;
  }
  return l->fd >= 0;
}

/* The next line, or NULL; a line longer than the buffer ends the file. */
static char *lines_next(struct lines *l) {
  for (;;) {
    char *end = memchr(l->buf + l->from, '\n', l->to - l->from);
    if (end) {
      char *line = l->buf + l->from;
      *end = 0;
      l->from = (size_t)(end + 1 - l->buf);
      return line;
    }
    memmove(l->buf, l->buf + l->from, l->to - l->from);
    l->to -= l->from;
    l->from = 0;
    if (l->to == sizeof l->buf - 1)
      return NULL;
    ssize_t n = read(l->fd, l->buf + l->to, sizeof l->buf - 1 - l->to);
    if (n > 0) {
      l->to += (size_t)n;
    } else if (l->to) {
      l->buf[l->to] = 0;
      l->from = l->to = 0;
      char *last = l->buf;
      l->buf[sizeof l->buf - 1] = 0;
      return last;
    } else {
      return NULL;
    }
  }
}

static int split(char *line, char **fields, int max) {
  int n = 0;
  while (n < max) {
    fields[n++] = line;
    char *colon = strchr(line, ':');
    if (!colon)
      break;
    *colon = 0;
    line = colon + 1;
  }
  return n;
}

static bool parse_id(const char *text, uint32_t *out) {
  uint64_t value = 0;
  if (!*text)
    return false;
  for (; *text; text++) {
    if (*text < '0' || *text > '9' ||
        (value = value * 10 + (uint64_t)(*text - '0')) > INT_MAX)
      return false;
  }
  *out = (uint32_t)value;
  return true;
}

static struct lines file;

static bool find_user(const char *who, struct identity *id) {
  bool numeric = parse_id(who, &id->uid), found = false;
  char *line, *f[7];
  if (lines_open(&file, "/etc/passwd")) {
    while (!found && (line = lines_next(&file))) {
      uint32_t uid, gid;
      if (split(line, f, 7) < 6 || !parse_id(f[2], &uid) || !parse_id(f[3], &gid))
        continue;
      if (strcmp(f[0], who) && !(numeric && uid == id->uid))
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
  }
  return found || numeric;
}

static bool in_list(char *list, const char *name) {
  for (char *save, *item = strtok_r(list, ",", &save); item;
       item = strtok_r(NULL, ",", &save))
    if (strcmp(item, name) == 0)
      return true;
  return false;
}

/* With `group`, finds its gid; without, collects the groups that list the user. */
static bool find_groups(const char *group, struct identity *id) {
  uint32_t wanted = 0;
  bool numeric = group && parse_id(group, &wanted), found = numeric;
  char *line, *f[4];
  if (numeric)
    id->gid = wanted;
  if (!numeric && lines_open(&file, "/etc/group")) {
    while ((line = lines_next(&file))) {
      uint32_t gid;
      if (split(line, f, 4) < 3 || !parse_id(f[2], &gid))
        continue;
      if (group && strcmp(f[0], group) == 0) {
        id->gid = gid;
        found = true;
        break;
      }
      if (!group && id->name[0] && id->group_count < GROUPS_MAX && f[3] &&
          in_list(f[3], id->name))
        id->groups[id->group_count++] = gid;
    }
    close(file.fd);
  }
  return found || !group;
}

/* `spec` is NAME|UID[:GROUP|GID]; "" keeps the guest's own identity. */
static bool resolve(const char *spec, struct identity *id) {
  char who[256];
  if (!*spec)
    return true;
  if (strlen(spec) >= sizeof who)
    return false;
  strcpy(who, spec);
  char *group = strchr(who, ':');
  if (group)
    *group++ = 0;
  strcpy(id->home, "/");
  id->given = true;
  return find_user(who, id) && find_groups(group, id);
}

/* ---- the environment
 * -------------------------------------------------------------------- */

static char *get_env(char **env, const char *key) {
  size_t len = strlen(key);
  for (; *env; env++)
    if (strncmp(*env, key, len) == 0 && (*env)[len] == '=')
      return *env + len + 1;
  return NULL;
}

static bool overridden(char *const *env, const char *entry) {
  size_t len = (size_t)(strchrnul(entry, '=') - entry) + 1;
  for (; *env; env++)
    if (strncmp(*env, entry, len) == 0)
      return true;
  return false;
}

/* Adds what the request leaves out: HOME of the user, then the guest's own. */
static bool merge_env(char **env, const struct identity *id) {
  static char home[PATH_MAX + 8];
  size_t n = 0;
  while (env[n])
    n++;
  if (id->given && !get_env(env, "HOME")) {
    strcpy(stpcpy(home, "HOME="), id->home);
    env[n++] = home;
    env[n] = NULL;
  }
  for (char **base = g.environment; *base; base++) {
    if (overridden(env, *base))
      continue;
    if (n + 1 >= STRINGS_MAX)
      return false;
    env[n++] = *base;
    env[n] = NULL;
  }
  return true;
}

/* ---- the child
 * -------------------------------------------------------------------------- */

struct failure {
  volatile uint32_t stage;
  volatile int32_t error;
};

_Noreturn static void fail(struct failure *f, enum axo_stage stage) {
  f->error = errno;
  f->stage = stage;
  _exit(127);
}

/* Raw system calls: libc's own would synchronise threads that are not there. */
static bool become(const struct identity *id) {
  return !id->given ||
         (syscall(SYS_setgroups, (long)id->group_count, id->groups) == 0 &&
          syscall(SYS_setresgid, id->gid, id->gid, id->gid) == 0 &&
          syscall(SYS_setresuid, id->uid, id->uid, id->uid) == 0);
}

static bool take_stdio(const int fds[3]) {
  for (int i = 0; i < 3; i++)
    if (dup2(fds[i], i) < 0)
      return false;
  syscall(SYS_close_range, 3U, ~0U, 0U);
  return true;
}

/* execvp with the child's own PATH: the first that runs, else the most telling error.
 */
static void run(char **argv, char **env) {
  static char path[PATH_MAX];
  if (strchr(argv[0], '/')) {
    execve(argv[0], argv, env);
    return;
  }
  const char *list = get_env(env, "PATH");
  bool denied = false;
  size_t name = strlen(argv[0]);
  errno = ENOENT;
  for (const char *at = list; name && at && *at; at += *at == ':') {
    size_t len = (size_t)(strchrnul(at, ':') - at);
    if (len && len + name + 2 <= sizeof path) {
      memcpy(path, at, len);
      path[len] = '/';
      memcpy(path + len + 1, argv[0], name + 1);
      execve(path, argv, env);
      denied |= errno == EACCES;
      if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
        return;
    }
    at += len;
  }
  errno = denied ? EACCES : ENOENT;
}

_Noreturn static void child(const struct spawn_args *args, const struct identity *id,
                            const int fds[3], struct failure *f) {
  setsid();
  if (!take_stdio(fds))
    fail(f, AXO_STAGE_FORK);
  if (args->fixed->kind == AXO_KIND_TERMINAL && ioctl(0, TIOCSCTTY, 0))
    fail(f, AXO_STAGE_TERMINAL);
  if (!become(id))
    fail(f, AXO_STAGE_USER);
  if (*args->cwd && chdir(args->cwd))
    fail(f, AXO_STAGE_CWD);
  struct sigaction def = {.sa_handler = SIG_DFL};
  for (int i = 1; i < NSIG; i++)
    sigaction(i, &def, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  run(args->argv, args->env);
  fail(f, AXO_STAGE_EXEC);
}

pid_t spawn_child(const struct spawn_args *args, const int fds[3],
                  axo_failed_t *failed) {
  static struct identity id;
  static struct failure f;
  memset(&id, 0, offsetof(struct identity, groups));
  id.name[0] = id.home[0] = 0;
  f.stage = 0;
  if (!resolve(args->user, &id)) {
    *failed = (axo_failed_t){AXO_STAGE_USER, ENOENT};
    return 0;
  }
  if (!merge_env(args->env, &id)) {
    *failed = (axo_failed_t){AXO_STAGE_REQUEST, E2BIG};
    return 0;
  }
  pid_t pid = vfork();
  if (pid == 0)
    child(args, &id, fds, &f);
  if (pid < 0) {
    *failed = (axo_failed_t){AXO_STAGE_FORK, errno};
    return 0;
  }
  if (f.stage) { /* it never became the program; reaped here so that it is not reported
                  */
    while (syscall(SYS_wait4, pid, NULL, 0, NULL) < 0 && errno == EINTR) {
    }
    *failed = (axo_failed_t){f.stage, f.error};
    return 0;
  }
  return pid;
}
