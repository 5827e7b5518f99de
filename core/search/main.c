/* axo-search KEY=VALUE...: searches beneath a directory, and says on stdout what it
 * found. Values are percent-encoded, since not every way into a container passes on
 * every byte.
 */
#include "search.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

static void on_alarm(int signal_number) {
  (void)signal_number;
  time_is_over = 1;
}

static _Noreturn void usage(void) {
  fputs("axo-search: usage: axo-search root=DIR path=PATH pattern=TEXT|glob=TEXT "
        "KEY=VALUE...\n",
        stderr);
  exit(64);
}

static int hex(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; gives the length. What is no code stays. */
static size_t decode(char *text) {
  char *to = text;
  for (const char *from = text; *from; to++) {
    int high = *from == '%' ? hex(from[1]) : -1;
    int low = high >= 0 ? hex(from[2]) : -1;
    *to = *from;
    if (low >= 0)
      *to = (char)(unsigned char)(high * 16 + low);
    from += low >= 0 ? 3 : 1;
  }
  *to = 0;
  return (size_t)(to - text);
}

static uint64_t number(const char *text) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno || *end || end == text)
    usage();
  return value;
}

static void take_glob(const char *text, size_t length) {
  if (!asked.glob)
    asked.glob = glob_new();
  static unsigned count;
  if (++count > MAX_GLOBS || !glob_add(asked.glob, text, length))
    emit_refusal("GLOB", -1, "a glob has at most 62 names and 64 alternatives");
}

static const struct {
  const char *name;
  uint64_t *to;
} NUMBERS[] = {
    {"max", &asked.max},         {"context", &asked.context},
    {"line", &asked.max_line},   {"file", &asked.max_file},
    {"bytes", &asked.max_bytes}, {"files", &asked.max_files},
    {"time", &asked.time_ms},    {"output", &asked.max_output},
};
static const struct {
  const char *name;
  bool *to;
} FLAGS[] = {
    {"fixed", &asked.is_fixed},   {"ignore_case", &asked.ignores_case},
    {"hidden", &asked.is_hidden}, {"gitignore", &asked.honours_gitignore},
    {"by_name", &asked.by_name},  {"plain", &asked.is_plain},
    {"paths", &asked.is_glob},
};

static void take_option(const char *key, char *value) {
  for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
    if (!strcmp(key, NUMBERS[i].name)) {
      *NUMBERS[i].to = number(value);
      return;
    }
  for (size_t i = 0; i < sizeof FLAGS / sizeof *FLAGS; i++)
    if (!strcmp(key, FLAGS[i].name)) {
      *FLAGS[i].to = *value == '1';
      return;
    }
  usage();
}

static void take(char *argument) {
  char *value = strchr(argument, '=');
  if (!value)
    usage();
  *value++ = 0;
  size_t length = decode(value);
  if (!strcmp(argument, "root"))
    asked.root = value;
  else if (!strcmp(argument, "path"))
    asked.path = value;
  else if (!strcmp(argument, "glob"))
    take_glob(value, length);
  else if (!strcmp(argument, "pattern"))
    asked.pattern = value, asked.pattern_length = length;
  else
    take_option(argument, value);
}

/* Once, and again until it is heard: a system call may have been about to begin. */
static void set_clock(void) {
  struct sigaction action = {.sa_handler = on_alarm};
  struct itimerval timer = {
      .it_value = {(time_t)(asked.time_ms / 1000),
                   (suseconds_t)(asked.time_ms % 1000 * 1000)},
      .it_interval = {0, 100000},
  };
  sigset_t alarm_only;
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  sigaction(SIGALRM, &action, NULL);
  sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
  if (setitimer(ITIMER_REAL, &timer, NULL) != 0)
    usage();
}

int main(int argc, char **argv) {
  prctl(PR_SET_DUMPABLE, 0);
  for (int i = 1; i < argc; i++)
    take(argv[i]);
  const char *directory = asked.root;
  if (!directory || !asked.path || (asked.is_glob ? !asked.glob : !asked.pattern) ||
      strlen(asked.path) >= 4096)
    usage();
  if (!asked.is_glob)
    pattern_compile();
  int root = open_root(directory, asked.is_plain);
  if (root < 0)
    emit_refusal("NO_ROOT", -1, "the directory is not there");
  set_clock();
  walk(root, asked.path);
  emit_end();
  return 0;
}
