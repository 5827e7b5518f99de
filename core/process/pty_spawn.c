#include "process/pty_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

extern char **environ;

#define DEFAULT_PATH "/bin:/usr/bin"
/* How many descriptors are looked at one by one where close_range is missing. */
#define DESCRIPTORS_MAX 65536

/* ---- the terminal ---------------------------------------------------------------- */

/* Moves `fd` above the three that the child replaces. */
static int above_stdio(int fd) {
  if (fd < 0 || fd > 2)
    return fd;
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  int error = errno;
  close(fd);
  errno = error;
  return moved;
}

static int open_slave(int master) {
  int flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
#ifdef TIOCGPTPEER
  /* Needs no path, and so cannot be led to another one. */
  int fd = ioctl(master, TIOCGPTPEER, flags);
  if (fd >= 0)
    return fd;
#endif
#ifdef __linux__
  char name[64];
  int error = ptsname_r(master, name, sizeof name);
  if (error != 0) {
    errno = error;
    return -1;
  }
#else
  const char *name = ptsname(master);
  if (!name)
    return -1;
#endif
  return open(name, flags);
}

static int set_size(int fd, uint16_t rows, uint16_t cols) {
  struct winsize size = {.ws_row = rows, .ws_col = cols};
  return ioctl(fd, TIOCSWINSZ, &size);
}

int axo__terminal_resize(const axo__terminal_t *terminal, uint16_t rows,
                         uint16_t cols) {
  if (set_size(terminal->master, rows, cols) == 0)
    return 0;
  return uv_translate_sys_error(errno);
}

/* A backspace takes back a whole character of UTF-8. */
static void set_modes(int fd) {
#ifdef IUTF8
  struct termios modes;
  if (tcgetattr(fd, &modes) != 0)
    return;
  modes.c_iflag |= IUTF8;
  tcsetattr(fd, TCSANOW, &modes);
#else
  (void)fd;
#endif
}

void axo__terminal_make_raw(const axo__terminal_t *terminal) {
  struct termios modes;
  if (tcgetattr(terminal->slave, &modes) != 0)
    return;
  cfmakeraw(&modes);
  tcsetattr(terminal->slave, TCSANOW, &modes);
}

int axo__terminal_open(axo__terminal_t *terminal, uint16_t rows, uint16_t cols) {
  terminal->slave = -1;
  terminal->master = above_stdio(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (terminal->master < 0)
    return uv_translate_sys_error(errno);
  fcntl(terminal->master, F_SETFD, FD_CLOEXEC);
  if (grantpt(terminal->master) == 0 && unlockpt(terminal->master) == 0) {
    terminal->slave = above_stdio(open_slave(terminal->master));
  }
  if (terminal->slave >= 0 && set_size(terminal->slave, rows, cols) == 0) {
    set_modes(terminal->slave);
    return 0;
  }
  int rc = uv_translate_sys_error(errno);
  if (terminal->slave >= 0)
    close(terminal->slave);
  close(terminal->master);
  terminal->master = terminal->slave = -1;
  return rc;
}

/* ---- what the child needs, made before the fork ---------------------------------- */

typedef struct plan {
  char *const *argv;
  char *const *env;
  const char *cwd;
  char **paths; /* where to look for argv[0], NULL-terminated */
  char **
      shell_argv; /* sh, a path, argv[1]...: for a script that does not begin with #! */
  int tty;
  int report; /* where a failure is written; closed by exec */
  int descriptors;
} plan_t;

typedef struct failure {
  int in_cwd;
  int error; /* errno */
} failure_t;

static const char *get_path(char *const *env) {
  for (; *env; env++) {
    if (strncmp(*env, "PATH=", 5) == 0)
      return *env + 5;
  }
  return DEFAULT_PATH;
}

static char *join(const char *dir, size_t dir_len, const char *file) {
  size_t file_len = strlen(file);
  char *path = malloc(dir_len + file_len + 2);
  if (!path)
    return NULL;
  char *end = path;
  if (dir_len > 0) {
    memcpy(end, dir, dir_len);
    end += dir_len;
    *end++ = '/';
  }
  memcpy(end, file, file_len + 1);
  return path;
}

/* As execvp looks: an empty entry of PATH is the working directory. */
static int plan_paths(plan_t *plan) {
  const char *file = plan->argv[0];
  const char *dir = strchr(file, '/') || *file == '\0' ? "" : get_path(plan->env);
  size_t count = 2;
  for (const char *at = dir; *at; at++)
    count += *at == ':';
  plan->paths = calloc(count, sizeof *plan->paths);
  if (!plan->paths)
    return UV_ENOMEM;
  for (size_t i = 0; i + 1 < count; i++) {
    size_t len = strcspn(dir, ":");
    plan->paths[i] = join(dir, len, file);
    if (!plan->paths[i])
      return UV_ENOMEM;
    dir += len + (dir[len] == ':');
  }
  return 0;
}

static int plan_shell(plan_t *plan) {
  size_t count = 0;
  while (plan->argv[count])
    count++;
  plan->shell_argv = calloc(count + 2, sizeof *plan->shell_argv);
  if (!plan->shell_argv)
    return UV_ENOMEM;
  plan->shell_argv[0] = "sh";
  for (size_t i = 1; i < count; i++)
    plan->shell_argv[i + 1] = plan->argv[i];
  return 0;
}

static void plan_free(plan_t *plan) {
  for (char **path = plan->paths; path && *path; path++)
    free(*path);
  free(plan->paths);
  free(plan->shell_argv);
}

static int plan_make(plan_t *plan, const axo_pty_options_t *options, int tty) {
  struct rlimit limit;
  plan->argv = options->argv;
  plan->env = options->env ? options->env : environ;
  plan->cwd = options->cwd;
  plan->tty = tty;
  plan->descriptors = DESCRIPTORS_MAX;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < DESCRIPTORS_MAX) {
    plan->descriptors = (int)limit.rlim_cur;
  }
  int rc = plan_paths(plan);
  return rc ? rc : plan_shell(plan);
}

/* ---- in the child: async-signal-safe calls only ---------------------------------- */

static _Noreturn void child_fail(const plan_t *plan, bool in_cwd) {
  failure_t failure = {.in_cwd = in_cwd, .error = errno};
  ssize_t n;
  do {
    n = write(plan->report, &failure, sizeof failure);
  } while (n < 0 && errno == EINTR);
  _exit(127);
}

static void child_reset_signals(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  for (int signum = 1; signum < NSIG; signum++)
    sigaction(signum, &action, NULL);
}

/* The host's own descriptors, which it may have opened without O_CLOEXEC. */
static void child_hide_descriptors(const plan_t *plan) {
#ifdef SYS_close_range
  const unsigned cloexec = 1u << 2; /* CLOSE_RANGE_CLOEXEC */
  if (syscall(SYS_close_range, 3u, ~0u, cloexec) == 0)
    return;
#endif
  for (int fd = 3; fd < plan->descriptors; fd++)
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void child_exec(const plan_t *plan) {
  bool was_denied = false;
  for (char **path = plan->paths; *path; path++) {
    execve(*path, plan->argv, plan->env);
    if (errno == ENOEXEC) {
      plan->shell_argv[1] = *path;
      execve("/bin/sh", plan->shell_argv, plan->env);
    }
    was_denied = was_denied || errno == EACCES;
    if (errno != EACCES && errno != ENOENT && errno != ENOTDIR)
      return;
  }
  /* Looking in several places, what could not be run says more than what is missing. */
  if (plan->paths[1])
    errno = was_denied ? EACCES : ENOENT;
}

static _Noreturn void child_run(const plan_t *plan) {
  sigset_t none;
  child_reset_signals();
  if (setsid() < 0 || ioctl(plan->tty, TIOCSCTTY, 0) != 0)
    child_fail(plan, false);
  for (int fd = 0; fd <= 2; fd++) {
    if (dup2(plan->tty, fd) < 0)
      child_fail(plan, false);
  }
  child_hide_descriptors(plan);
  if (plan->cwd && chdir(plan->cwd) != 0)
    child_fail(plan, true);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  child_exec(plan);
  child_fail(plan, false);
}

/* ---- in the parent --------------------------------------------------------------- */

/* No handler of ours may run in the child before its dispositions are reset: libuv's
 * would write to the pipe that both processes hold. */
static pid_t fork_child(const plan_t *plan) {
  sigset_t all;
  sigset_t mask;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &mask);
  pid_t pid = fork();
  if (pid == 0)
    child_run(plan);
  int error = errno;
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
  errno = error;
  return pid;
}

/* 0 once the program runs: then exec has closed the pipe. */
static int await_exec(int report, pid_t pid, failure_t *failure) {
  ssize_t n;
  do {
    n = read(report, failure, sizeof *failure);
  } while (n < 0 && errno == EINTR);
  if (n != (ssize_t)sizeof *failure)
    return 0;
  pid_t reaped;
  do {
    reaped = waitpid(pid, NULL, 0);
  } while (reaped < 0 && errno == EINTR);
  return uv_translate_sys_error(failure->error);
}

static int run(plan_t *plan, pid_t *pid, failure_t *failure) {
  int fds[2];
  int rc = uv_pipe(fds, 0, 0);
  if (rc != 0)
    return rc;
  plan->report = above_stdio(fds[1]);
  if (plan->report >= 0)
    *pid = fork_child(plan);
  if (plan->report < 0 || *pid < 0)
    rc = uv_translate_sys_error(errno);
  if (plan->report >= 0)
    close(plan->report);
  if (rc == 0)
    rc = await_exec(fds[0], *pid, failure);
  close(fds[0]);
  return rc;
}

int axo__terminal_run(const axo__terminal_t *terminal, const axo_pty_options_t *options,
                      pid_t *pid, axo_err_t *err) {
  plan_t plan = {0};
  failure_t failure = {0};
  int rc = plan_make(&plan, options, terminal->slave);
  if (rc == 0)
    rc = run(&plan, pid, &failure);
  plan_free(&plan);
  if (rc == 0)
    return 0;
  return axo__start_error(err, rc, "terminal", options->argv[0],
                          failure.in_cwd ? options->cwd : NULL);
}
