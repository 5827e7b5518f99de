/* ring_layout.h: a byte ring as it lies in shared memory. Depends on nothing but C11,
 * so that whoever maps a ring, in whichever process, includes the same description.
 *
 * The file is one header page and then `capacity` bytes of data; the byte with absolute
 * offset N lies at data[N & (capacity - 1)]. Integers are in the machine's own order: a
 * ring never leaves its machine.
 *
 * The writer, for each piece:
 *   1. reserved = head + length        so that readers know what is about to be
 * overwritten
 *   2. release fence
 *   3. the bytes
 *   4. head = reserved (release)       so that readers see the bytes
 * A reader:
 *   1. head (acquire), 2. copies, 3. acquire fence, 4. reads `reserved` again: whatever
 *   lies below `reserved - capacity` may have been overwritten during the copy.
 */
#ifndef AXO_RING_LAYOUT_H
#define AXO_RING_LAYOUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define AXO__RING_MAGIC UINT64_C(0x31676e69726f7861) /* "axoring1", little-endian */
#define AXO__RING_VERSION 1u
#define AXO__RING_HEADER_SIZE 4096u
#define AXO__RING_CAPACITY_MIN 4096u

typedef struct axo__ring_header {
  uint64_t magic; /* written last: until then it is no ring */
  uint32_t version;
  uint32_t header_size; /* where the data begins */
  uint64_t capacity;    /* bytes of data, a power of two */
  uint8_t unused[40];
  _Atomic uint64_t reserved; /* offset after the newest byte that is being written */
  _Atomic uint64_t head;     /* offset after the newest byte that is there */
  uint8_t bell; /* rewritten by write(2) to wake whoever watches the file */
  uint8_t unused2[47];
} axo__ring_header_t;

_Static_assert(sizeof(axo__ring_header_t) == 128, "the layout is shared");
_Static_assert(offsetof(axo__ring_header_t, reserved) == 64, "the layout is shared");
_Static_assert(offsetof(axo__ring_header_t, bell) == 80, "the layout is shared");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock would live in one process only");

#endif /* AXO_RING_LAYOUT_H */
