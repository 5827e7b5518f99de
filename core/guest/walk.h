/* Opening beneath a directory without openat2: of the guest, and of the search helper.
 */
#ifndef AXO_GUEST_WALK_H
#define AXO_GUEST_WALK_H

#include <sys/types.h>

/* As openat2 with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS: a descriptor, or -1 and
 * errno. */
int walk_open(int root, const char *path, int flags, mode_t mode);
/* The same where no link at all is followed; slashes before `path` mean nothing. */
int walk_plain(int root, const char *path, int flags);

#endif
