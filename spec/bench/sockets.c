/* Both ends of the connections that network.lua measures.
 *
 * - serve [ADDRESS [PORT]]: writes its port, and does what the first byte of each
 *   connection says: u takes all there is, then says so; d gives as many bytes as the 8
 *   that follow say; e gives back what it gets
 * - up ADDRESS PORT BYTES, down ADDRESS PORT BYTES: bytes a second
 * - connect ADDRESS PORT COUNT: connects, and has a byte given back; microseconds each
 * - trip ADDRESS PORT COUNT: a byte there and back on one connection; microseconds each
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECE ((size_t)256 * 1024)

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sockaddr_in address_of(const char *address, const char *port) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  at.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
  if (inet_pton(AF_INET, address, &at.sin_addr) != 1)
    exit(2);
  return at;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int dial(const char *address, const char *port) {
  const int on = 1;
  struct sockaddr_in at = address_of(address, port);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0)
    fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static int send_bytes(int fd, uint64_t count) {
  static char piece[PIECE];
  while (count > 0) {
    ssize_t n = write(fd, piece, count < PIECE ? (size_t)count : PIECE);
    if (n <= 0)
      return -1;
    count -= (uint64_t)n;
  }
  return 0;
}

static uint64_t take_bytes(int fd) {
  static __thread char piece[PIECE];
  uint64_t count = 0;
  ssize_t n;
  while ((n = read(fd, piece, PIECE)) > 0)
    count += (uint64_t)n;
  return count;
}

static void echo(int fd) {
  char piece[4096];
  ssize_t n;
  while ((n = read(fd, piece, sizeof piece)) > 0)
    if (write(fd, piece, (size_t)n) != n)
      return;
}

static void *serve_one(void *arg) {
  int fd = (int)(intptr_t)arg;
  char what = 0;
  uint64_t count = 0;
  if (read(fd, &what, 1) == 1) {
    if (what == 'u') {
      take_bytes(fd);
      (void)!write(fd, "", 1);
    } else if (what == 'd' && recv(fd, &count, sizeof count, MSG_WAITALL) == 8) {
      send_bytes(fd, count);
    } else if (what == 'e') {
      echo(fd);
    }
  }
  close(fd);
  return NULL;
}

static _Noreturn void serve(const char *address, const char *port) {
  const int on = 1;
  struct sockaddr_in at = address_of(address, port);
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
      listen(fd, 4096) != 0 || getsockname(fd, (struct sockaddr *)&at, &len) != 0)
    fail("serve");
  printf("%d\n", ntohs(at.sin_port));
  fflush(stdout);
  for (;;) {
    pthread_t thread;
    int one = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (one < 0)
      continue;
    setsockopt(one, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)one) != 0)
      close(one);
    else
      pthread_detach(thread);
  }
}

static int up(int fd, uint64_t count) {
  char done;
  double before = now();
  if (write(fd, "u", 1) != 1 || send_bytes(fd, count) != 0 ||
      shutdown(fd, SHUT_WR) != 0 || read(fd, &done, 1) != 1)
    fail("up");
  printf("%.0f\n", (double)count / (now() - before));
  return 0;
}

static int down(int fd, uint64_t count) {
  double before = now();
  if (write(fd, "d", 1) != 1 || write(fd, &count, sizeof count) != sizeof count ||
      take_bytes(fd) != count)
    fail("down");
  printf("%.0f\n", (double)count / (now() - before));
  return 0;
}

static void trip(int fd) {
  char byte = 'x';
  if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1)
    fail("trip");
}

static int connects(const char *address, const char *port, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    double before = now();
    int fd = dial(address, port);
    if (write(fd, "e", 1) != 1)
      fail("connect");
    trip(fd);
    printf("%.1f\n", (now() - before) * 1e6);
    close(fd);
  }
  return 0;
}

static int trips(int fd, uint64_t count) {
  if (write(fd, "e", 1) != 1)
    fail("trip");
  for (uint64_t i = 0; i < count; i++) {
    double before = now();
    trip(fd);
    printf("%.1f\n", (now() - before) * 1e6);
  }
  return 0;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc >= 2 && strcmp(argv[1], "serve") == 0)
    serve(argc > 2 ? argv[2] : "127.0.0.1", argc > 3 ? argv[3] : "0");
  if (argc != 5)
    return 2;
  uint64_t count = strtoull(argv[4], NULL, 10);
  if (strcmp(argv[1], "connect") == 0)
    return connects(argv[2], argv[3], count);
  int fd = dial(argv[2], argv[3]);
  return strcmp(argv[1], "up") == 0     ? up(fd, count)
         : strcmp(argv[1], "down") == 0 ? down(fd, count)
                                        : trips(fd, count);
}
