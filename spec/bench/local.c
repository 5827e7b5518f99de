/* The references of native.lua: what this machine does without a container in between.
 *
 * - spawn COUNT PROGRAM ARGS...: vfork, exec, wait; one line of microseconds each
 * - rate COUNT AT_ONCE PROGRAM ARGS...: the same, AT_ONCE at a time; starts a second
 * - pipe PROGRAM ARGS...: reads its stdout; bytes a second
 * - pty PROGRAM ARGS...: reads its terminal, a bare loop; bytes a second
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static pid_t start(char **argv) {
  pid_t pid = vfork();
  if (pid == 0) {
    execvp(argv[0], argv);
    _exit(127);
  }
  return pid;
}

static int spawn(int count, char **argv) {
  for (int i = 0; i < count; i++) {
    int status;
    double before = now();
    if (waitpid(start(argv), &status, 0) < 0 || status != 0)
      return 1;
    printf("%.3f\n", (now() - before) * 1e6);
  }
  return 0;
}

static int rate(int count, int at_once, char **argv) {
  int running = 0;
  double before = now();
  for (int i = 0; i < count; i++) {
    if (running == at_once && waitpid(-1, NULL, 0) > 0)
      running--;
    if (start(argv) < 0)
      return 1;
    running++;
  }
  while (waitpid(-1, NULL, 0) > 0) {
  }
  printf("%.3f\n", count / (now() - before));
  return 0;
}

static int drain(int fd) {
  static char buf[65536];
  double before = now(), bytes = 0;
  ssize_t n;
  while ((n = read(fd, buf, sizeof buf)) > 0 || (n < 0 && errno == EINTR))
    bytes += n > 0 ? (double)n : 0;
  printf("%.0f\n", bytes / (now() - before));
  return bytes > 0 ? 0 : 1;
}

static int from_pipe(char **argv) {
  int ends[2];
  if (pipe(ends) != 0)
    return 1;
  pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], 1);
    close(ends[0]);
    close(ends[1]);
    execvp(argv[0], argv);
    _exit(127);
  }
  close(ends[1]);
  int rc = drain(ends[0]);
  waitpid(pid, NULL, 0);
  return rc;
}

static int from_pty(char **argv) {
  int master;
  pid_t pid = forkpty(&master, NULL, NULL, NULL);
  if (pid == 0) {
    execvp(argv[0], argv);
    _exit(127);
  }
  int rc = pid < 0 ? 1 : drain(master);
  waitpid(pid, NULL, 0);
  return rc;
}

int main(int argc, char **argv) {
  if (argc > 3 && strcmp(argv[1], "spawn") == 0)
    return spawn(atoi(argv[2]), argv + 3);
  if (argc > 4 && strcmp(argv[1], "rate") == 0)
    return rate(atoi(argv[2]), atoi(argv[3]), argv + 4);
  if (argc > 2 && strcmp(argv[1], "pipe") == 0)
    return from_pipe(argv + 2);
  if (argc > 2 && strcmp(argv[1], "pty") == 0)
    return from_pty(argv + 2);
  fprintf(stderr, "usage: local spawn|rate|pipe|pty ...\n");
  return 2;
}
