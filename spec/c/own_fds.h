/* own_fds.h: descriptors of this process. */
#ifndef OWN_FDS_H
#define OWN_FDS_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline int count_fds(void) {
  int count = 0;
  DIR *dir = opendir("/proc/self/fd");
  assert_non_null(dir);
  while (readdir(dir))
    count++;
  closedir(dir);
  return count;
}

#endif
