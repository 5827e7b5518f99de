/* What a hostile process in a container does to its host: as soon as a socket appears
 * in the link directory it connects, as if it were the guest, greets, talks garbage,
 * and holds on. Static, for any image.
 *
 *   hostile LINK_DIR     for ever; prints "connected" once it has been
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HELD 64

static int held[HELD];
static unsigned count, seed;

static int dial(const char *dir, const char *name) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  snprintf(at.sun_path, sizeof at.sun_path, "%s/%s", dir, name);
  if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) == 0)
    return fd;
  close(fd);
  return -1;
}

/* The first byte is the protocol's version, the second the type HELLO. */
static void babble(int fd) {
  uint8_t packet[256] = {1, 64};
  for (int i = 0; i < 20; i++) {
    (void)!send(fd, packet, sizeof packet, MSG_NOSIGNAL);
    for (size_t n = 0; n < sizeof packet; n++)
      packet[n] = (uint8_t)((seed = seed * 1103515245U + 12345U) >> 16);
  }
}

static void meet(const char *dir, const char *name) {
  int fd = dial(dir, name), *slot = &held[count % HELD];
  if (fd < 0)
    return;
  if (count++ == 0)
    (void)!write(1, "connected\n", 10);
  if (*slot > 0)
    close(*slot);
  *slot = fd;
  babble(fd);
}

int main(int argc, char **argv) {
  DIR *links = argc == 2 ? opendir(argv[1]) : NULL;
  if (!links)
    return 2;
  for (;; rewinddir(links))
    for (struct dirent *e; (e = readdir(links));)
      if (e->d_name[0] != '.')
        meet(argv[1], e->d_name);
}
