/* A server that a forward may meet in a container: listener MODE ADDRESS PORT [COUNT].
 *   echo   gives back what comes, and "done" after the client's end
 *   mute   never accepts
 *   deaf   accepts and never reads
 *   reset  resets what it accepts
 *   many   listens on COUNT ports from PORT on
 *   churn  opens and closes a port all the time
 * Says "ready" when it listens. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int listen_on(const char *address, int port, int backlog) {
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
  int is_six = strchr(address, ':') != NULL, on = 1;
  int fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || inet_pton(is_six ? AF_INET6 : AF_INET, address,
                          is_six ? (void *)&six.sin6_addr : &four.sin_addr) != 1)
    fail(address);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (is_six)
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(fd, is_six ? (void *)&six : (void *)&four,
           is_six ? sizeof six : sizeof four) != 0 ||
      listen(fd, backlog) != 0)
    fail("listen");
  return fd;
}

static void ready(void) {
  puts("ready");
  fflush(stdout);
}

static void echo(int fd) {
  char bytes[65536];
  ssize_t n;
  while ((n = read(fd, bytes, sizeof bytes)) > 0)
    for (ssize_t at = 0, w; at < n; at += w)
      if ((w = write(fd, bytes + at, (size_t)(n - at))) <= 0)
        exit(1);
  if (n == 0 && write(fd, "done\n", 5) != 5)
    exit(1);
  exit(0);
}

static void take(const char *mode, int fd) {
  struct linger now = {1, 0};
  if (!strcmp(mode, "deaf"))
    return;
  if (!strcmp(mode, "echo") && fork() == 0)
    echo(fd);
  if (!strcmp(mode, "reset"))
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fd);
}

int main(int argc, char **argv) {
  if (argc < 4)
    return 2;
  int port = atoi(argv[3]), count = argc > 4 ? atoi(argv[4]) : 1;
  signal(SIGCHLD, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  if (!strcmp(argv[1], "churn")) {
    ready();
    for (;;)
      close(listen_on(argv[2], port, 1));
  }
  int fd = listen_on(argv[2], port, strcmp(argv[1], "mute") ? 1024 : 1);
  for (int i = 1; i < count; i++)
    listen_on(argv[2], port + i, 1);
  ready();
  while (!strcmp(argv[1], "mute") || !strcmp(argv[1], "many"))
    pause();
  for (;;)
    take(argv[1], accept(fd, NULL, NULL));
}
