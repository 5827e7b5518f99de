/* Starting a program in the container as `podman exec` would: its environment, its
 * descriptors, its user, its directory, its PATH. Runs in a supervisor; all but the
 * last steps happen before vfork, on static memory. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* packet.c leaves room for as many in the request's list. */
#define ENV_MAX 65535

/* ---- the environment ------------------------------------------------------------- */

char *get_env(char **env, const char *key) {
  size_t len = strlen(key);
  for (; *env; env++)
    if (strncmp(*env, key, len) == 0 && (*env)[len] == '=')
      return *env + len + 1;
  return NULL;
}

static bool is_overridden(char *const *env, size_t count, const char *entry) {
  size_t len = (size_t)(strchrnul(entry, '=') - entry) + 1;
  for (size_t i = 0; i < count; i++)
    if (strncmp(env[i], entry, len) == 0)
      return true;
  return false;
}

static bool names_locale(char **env) {
  return get_env(env, "LANG") || get_env(env, "LC_ALL") || get_env(env, "LC_CTYPE");
}

/* Adds what the request leaves out: the user's HOME, unless somebody has set another
 * for the container, then the guest's own; and a UTF-8 locale where nobody names one.
 */
static bool merge_env(char **env, const struct identity *id) {
  static char utf8[] = "LANG=C.UTF-8", home[sizeof "HOME=" + HOME_MAX];
  size_t n = 0;
  while (env[n])
    n++;
  if (id->given && g.home_is_own && !get_env(env, "HOME")) {
    strcpy(stpcpy(home, "HOME="), id->home);
    env[n++] = home;
  }
  size_t own = n;
  for (char **base = g.environment; *base; base++) {
    if (is_overridden(env, own, *base))
      continue;
    if (n >= ENV_MAX)
      return false;
    env[n++] = *base;
  }
  env[n] = NULL;
  if (!names_locale(env) && n < ENV_MAX) {
    env[n++] = utf8;
    env[n] = NULL;
  }
  return true;
}

/* ---- the child ------------------------------------------------------------------- */

struct failure {
  volatile uint32_t stage;
  volatile int32_t error;
};

_Noreturn static void fail(struct failure *f, enum axo_stage stage) {
  f->error = errno;
  f->stage = stage;
  _exit(127);
}

/* Whoever is not root has only itself to be. */
static bool is_self(const struct identity *id) {
  return geteuid() != 0 && id->uid == geteuid() && id->gid == getegid();
}

/* Raw system calls: libc's own would synchronise threads that are not there. */
static bool become(const struct identity *id) {
  return !id->given || is_self(id) ||
         (syscall(SYS_setgroups, (long)id->group_count, id->groups) == 0 &&
          syscall(SYS_setresgid, id->gid, id->gid, id->gid) == 0 &&
          syscall(SYS_setresuid, id->uid, id->uid, id->uid) == 0);
}

/* So that its user can open /dev/stdout again. Where that cannot be, no harm. */
static void give_stdio(const struct identity *id) {
  struct stat st;
  for (int i = 0; id->given && i < 3; i++)
    if (fstat(i, &st) == 0 && st.st_uid != id->uid &&
        (S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(i))))
      (void)!fchown(i, id->uid, (gid_t)-1);
}

static bool take_stdio(const int fds[3]) {
  for (int i = 0; i < 3; i++)
    if (dup2(fds[i], i) < 0)
      return false;
  return true;
}

/* A program that is there, but not what it needs to run, is not 'not found'. One that
 * is not there is looked for first: execve takes longer to say so. */
static void run_file(const char *path, char **argv, char **env) {
  if (access(path, F_OK) != 0 && errno == ENOENT)
    return;
  execve(path, argv, env);
  if (errno == ENOENT)
    errno = ENOEXEC;
}

/* execvp with the child's own PATH: the first that runs, else the most telling error.
 */
static void run(char **argv, char **env) {
  static char path[PATH_MAX];
  if (strchr(argv[0], '/')) {
    run_file(argv[0], argv, env);
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
      run_file(path, argv, env);
      denied |= errno == EACCES;
      if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
        return;
    }
    at += len;
  }
  errno = denied ? EACCES : ENOENT;
}

/* As the OCI runtimes do: a directory that the user may not enter is entered before. */
static bool enter(const char *cwd, const struct identity *id, struct failure *f) {
  bool is_there = !*cwd || chdir(cwd) == 0;
  if (!become(id))
    fail(f, AXO_STAGE_USER);
  return is_there || chdir(cwd) == 0;
}

_Noreturn static void child(const struct spawn_args *args, const struct identity *id,
                            const int fds[3], struct failure *f) {
  setsid();
  if (!take_stdio(fds))
    fail(f, AXO_STAGE_FORK);
  if (args->fixed->kind == AXO_KIND_TERMINAL && ioctl(0, TIOCSCTTY, 0))
    fail(f, AXO_STAGE_TERMINAL);
  give_stdio(id);
  if (!enter(args->cwd, id, f))
    fail(f, AXO_STAGE_CWD);
  if (g.nofile_raised)
    setrlimit(RLIMIT_NOFILE, &g.nofile);
  signals_mask(0);
  run(args->argv, args->env);
  fail(f, AXO_STAGE_EXEC);
}

pid_t spawn_child(const struct spawn_args *args, const int fds[3],
                  axo_failed_t *failed) {
  static struct identity id;
  static struct failure f;
  f.stage = 0;
  if (!user_resolve(args->user, &id)) {
    *failed = (axo_failed_t){AXO_STAGE_USER, ENOENT};
    return 0;
  }
  if (!merge_env(args->env, &id)) {
    *failed = (axo_failed_t){AXO_STAGE_REQUEST, E2BIG};
    return 0;
  }
  // NOLINTNEXTLINE(bugprone-unsafe-functions): posix_spawn can do nothing of child()
  pid_t pid = vfork();
  if (pid == 0)
    child(args, &id, fds, &f);
  if (pid < 0) {
    *failed = (axo_failed_t){AXO_STAGE_FORK, errno};
    return 0;
  }
  if (f.stage) { /* it never became the program, and is reaped here unreported */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *failed = (axo_failed_t){f.stage, f.error};
    return 0;
  }
  return pid;
}
