/* axo-netns PID START TCP_PORT DNS_PORT: see README.md. */
#include "netns.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* It takes milliseconds; a kernel that loads its modules first takes longer. */
#define DEADLINE_S 8

static void on_deadline(int signum) {
  static const char text[] = "axo-netns: the kernel took too long\n";
  (void)signum;
  (void)!write(STDERR_FILENO, text, sizeof text - 1);
  _exit(EXIT_FAILED);
}

static void set_deadline(void) {
  sigset_t its;
  sigemptyset(&its);
  sigaddset(&its, SIGALRM);
  signal(SIGALRM, on_deadline);
  sigprocmask(SIG_UNBLOCK, &its, NULL);
  alarm(DEADLINE_S);
}

/* Digits, and not more than `most`. */
static uint64_t number(const char *name, const char *text, uint64_t most) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (*text < '0' || *text > '9' || *end || errno || value == 0 || value > most)
    fail(0, "%s is no number from 1 to %llu", name, (unsigned long long)most);
  return value;
}

int main(int argc, char **argv) {
  if (argc != 5)
    fail(0, "usage: axo-netns PID START TCP_PORT DNS_PORT");
  pid_t pid = (pid_t)number("PID", argv[1], INT_MAX);
  uint64_t start = number("START", argv[2], UINT64_MAX);
  redirection_t to = {.tcp_port = (uint16_t)number("TCP_PORT", argv[3], UINT16_MAX),
                      .dns_port = (uint16_t)number("DNS_PORT", argv[4], UINT16_MAX)};
  set_deadline();
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
    fail(errno, "prctl");
  enter(pid, start);
  rules_replace(&to); /* first: with the route alone, what is sent would come back */
  route_replace();
  return 0;
}
