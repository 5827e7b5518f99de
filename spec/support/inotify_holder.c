/* Takes all inotify instances that this user may have, says how many there were, and
 * keeps them until its stdin ends.
 */
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

int main(void) {
  int count = 0;
  char byte;
  while (inotify_init1(IN_CLOEXEC) >= 0)
    count++;
  printf("held %d\n", count);
  fflush(stdout);
  while (read(0, &byte, 1) > 0) {
  }
  return 0;
}
