/* protocol.h: what the host and the guest say to each other.
 *
 * The only file that both sides include: no libuv, no Lua, no libc beyond integer
 * types. They speak over a SOCK_SEQPACKET Unix socket, one packet a message: a header,
 * then a body. Both run on one machine, so integers are native. Each treats the other
 * as hostile: a packet of the wrong version, an unknown type, a length that does not
 * fit or a wrong number of descriptors ends the link.
 */
#ifndef AXO_PROTOCOL_H
#define AXO_PROTOCOL_H

#include <stdint.h>

#define AXO_PROTO_VERSION 1

/* Where the guest finds the sockets: the link directory, mounted read-only, and the
 * directory of this name in it, until the host moves that away (core/guest/door.c). */
#define AXO_LINK_DIR "/run/.axosandbox"
#define AXO_LINK_INNER "in"
/* The guest's exit status where the kernel has no way to tell it of a new socket. */
#define AXO_EXIT_SILENT 112

/* A packet stays far below the default socket buffer (208 KiB), so that one always
 * fits. */
#define AXO_PACKET_MAX 32768
/* A larger body travels in a sealed memfd. execve's own limit (a quarter of an 8 MiB
 * stack) is about this. */
#define AXO_BODY_MAX 2097152
#define AXO_FDS_MAX 5
#define AXO_NAME_MAX 32
#define AXO_COMMAND_MAX 4096
/* What one guest runs and remembers at once; a listing has no more entries. */
#define AXO_WORKS_MAX 1024
/* The largest ring of a guest. */
#define AXO_RING_LIMIT 4194304

typedef struct axo_packet {
  uint8_t version;
  uint8_t type;
  uint16_t flags;
  uint32_t length; /* of the body, wherever it is */
  uint64_t id;     /* the host's name for the request, and for what came of it; not 0 */
} axo_packet_t;

/* What has been added since: a host asks no guest for what that one does not know,
 * since it would end the link. An older guest says 0. */
enum axo_knows {
  AXO_KNOWS_ROOT = 1,   /* files beneath another directory than the session's */
  AXO_KNOWS_STDIN = 2,  /* AXO_SPAWN_STDIN */
  AXO_KNOWS_SOCKET = 4, /* AXO_REQ_SOCKET */
  AXO_KNOWS_OWNER = 8,  /* AXO_REQ_OWNER */
};

enum axo_packet_flags {
  AXO_FLAG_MEMFD = 1, /* the body is in the last descriptor, sealed */
};

enum axo_packet_type {
  /* host to guest */
  /* axo_spawn_t + strings; exec: 3 descriptors; else an eventfd, and perhaps stdin */
  AXO_REQ_SPAWN = 1,
  AXO_REQ_SIGNAL = 2, /* axo_signal_t; answered by SIGNALLED, or with id 0 not at all */
  AXO_REQ_OPEN = 3,   /* axo_open_t + path; answered by OPENED with a descriptor */
  AXO_REQ_LIST = 4,   /* axo_attach_t for one, or nothing; answered by LISTED */
  AXO_REQ_ATTACH = 5, /* axo_attach_t + an eventfd; answered by SPAWNED */
  AXO_REQ_FORGET = 6, /* id names the work: no more events for this link */
  AXO_REQ_KILL_ALL = 7, /* all but the guest; answered by DONE when nothing is left */
  AXO_REQ_PATH = 8,     /* axo_path_t + one or two paths; answered by DONE */
  AXO_REQ_SOCKET = 9,   /* axo_socket_t; answered by OPENED with a descriptor */
  AXO_REQ_OWNER = 10,   /* axo_inode_t; answered by OWNER */
  /* guest to host */
  AXO_EV_HELLO = 64, /* axo_hello_t: the first packet, once; its id is axo_knows */
  /* Tasks and terminals only: axo_spawned_t; the ring, and a terminal's master */
  AXO_EV_SPAWNED = 65,
  AXO_EV_FAILED = 66, /* axo_failed_t: the request came to nothing */
  AXO_EV_EXITED = 67, /* axo_exited_t */
  AXO_EV_OPENED = 68, /* a descriptor */
  AXO_EV_LISTED = 69, /* axo_entry_t each; always in a memfd unless empty */
  AXO_EV_DONE = 70,
  AXO_EV_EMPTY = 71, /* after an EXITED with `left`: nothing of the work is left */
  AXO_EV_NEW = 72,   /* axo_attach_t: another host has started a task or terminal */
  AXO_EV_STUCK =
      73, /* a kill of the whole tree ran out its time: some of it cannot die */
  AXO_EV_SIGNALLED = 74, /* axo_signalled_t */
  AXO_EV_OWNER = 75      /* axo_owned_t */
};

enum axo_kind {
  AXO_KIND_EXEC = 1,    /* dies with its link */
  AXO_KIND_TASK = 2,    /* output in a ring; outlives its host */
  AXO_KIND_TERMINAL = 3 /* the same, on a terminal of the container's own */
};

/* Followed by NUL-terminated strings: cwd ("" for the guest's), user ("" for the
 * default), argc arguments, envc "K=V" that override the guest's own environment. */
typedef struct axo_spawn {
  uint32_t kind;
  uint32_t argc;
  uint32_t envc;
  uint32_t ring; /* bytes wanted for the ring; 0 is the default */
  uint16_t rows;
  uint16_t cols;
  uint32_t flags;          /* enum axo_spawn_flags */
  char name[AXO_NAME_MAX]; /* tasks and terminals: the host's id, NUL-terminated */
} axo_spawn_t;

/* Those that are not known are ignored. An older host may set 1. */
enum axo_spawn_flags {
  AXO_SPAWN_STDIN = 2, /* task: a second descriptor is its stdin */
};

typedef struct axo_signal {
  uint64_t work;  /* the id of its spawn or attach */
  int32_t signal; /* 0 only counts */
  uint32_t tree;  /* 1: the whole tree; with SIGKILL until nothing is left */
} axo_signal_t;

typedef struct axo_signalled {
  uint32_t count; /* processes */
  uint32_t reserved;
} axo_signalled_t;

/* Followed by a NUL-terminated path, relative to the session's root; or by that and the
 * absolute path, without symbolic links, of the directory that takes the root's place:
 * ESTALE where there is none. So is axo_path_t. */
typedef struct axo_open {
  int32_t flags; /* O_*; O_CLOEXEC and O_NOCTTY are added, the rest is whitelisted */
  uint32_t mode;
} axo_open_t;

enum axo_path_op {
  AXO_PATH_UNLINK = 1,
  AXO_PATH_RMDIR,
  AXO_PATH_MKDIR,
  AXO_PATH_RENAME,
  AXO_PATH_CHMOD /* of a file, not of what a link leads to */
};

typedef struct axo_path {
  uint32_t op;
  uint32_t mode;
} axo_path_t;

/* A socket of the container's network, as socket(2) has them: INET and INET6 with
 * STREAM and TCP or DGRAM and UDP, and NETLINK with DGRAM and SOCK_DIAG; anything else
 * is EPROTONOSUPPORT. It is non-blocking, bound to nothing, and the host's to use: the
 * guest never binds, listens, accepts or connects. */
typedef struct axo_socket {
  int32_t domain;
  int32_t type;
  int32_t protocol;
  uint32_t reserved;
} axo_socket_t;

/* Of a socket, as sock_diag tells it. */
typedef struct axo_inode {
  uint64_t inode;
} axo_inode_t;

/* Which process has it open, and what that belongs to. */
typedef struct axo_owned {
  uint64_t id;  /* this link's name of the work; 0: not its own, or none */
  int32_t pid;  /* inside the container; 0: none that the guest can look into */
  uint32_t cut; /* 1: it did not look at all there is, since there is too much */
  char name[AXO_NAME_MAX]; /* of a task or a terminal; else empty */
} axo_owned_t;

typedef struct axo_attach {
  char name[AXO_NAME_MAX]; /* NUL-terminated */
} axo_attach_t;

typedef struct axo_hello {
  uint32_t pid; /* the guest's own pid inside: 1 */
  uint32_t uid; /* whom it runs as: only root can run commands as somebody else */
} axo_hello_t;

typedef struct axo_spawned {
  uint64_t work; /* the guest's own number; never reused */
  int32_t pid;   /* inside the container */
  uint32_t reserved;
} axo_spawned_t;

enum axo_stage {
  AXO_STAGE_REQUEST = 1, /* the request itself: malformed or refused */
  AXO_STAGE_LIMIT,       /* a table of the guest is full */
  AXO_STAGE_FORK,        /* no process could be made: the container is out of pids */
  AXO_STAGE_USER,        /* no such user or group */
  AXO_STAGE_CWD,         /* the working directory */
  AXO_STAGE_EXEC,        /* the program: ENOENT, EACCES, ENOEXEC, ... */
  AXO_STAGE_TERMINAL,    /* no terminal could be made */
  AXO_STAGE_RING,        /* no ring could be made */
  AXO_STAGE_FILE,        /* open and the path operations */
  AXO_STAGE_WORK,        /* no such work */
  AXO_STAGE_SOCKET       /* no such socket can be made */
};

typedef struct axo_failed {
  uint32_t stage;
  int32_t error; /* errno */
} axo_failed_t;

typedef struct axo_exited {
  int32_t code; /* -1 when a signal ended it */
  int32_t signal;
  uint64_t utime_us;
  uint64_t stime_us;
  uint64_t maxrss_kb;
  /* 1: something that it started may still run. 0: all that it wrote is in the pipes,
   * though their other ends may not be closed yet. */
  uint32_t left;
  uint32_t reserved;
} axo_exited_t;

enum axo_work_state { AXO_WORK_STARTING = 1, AXO_WORK_RUNNING, AXO_WORK_ENDED };

typedef struct axo_entry {
  uint64_t work;
  uint64_t started_ms; /* since the epoch */
  uint64_t head;       /* of the ring */
  uint32_t kind;
  uint32_t state;
  int32_t code;
  int32_t signal;
  int32_t pid;
  uint16_t rows;
  uint16_t cols;
  uint32_t command_len;  /* NUL-separated arguments, as many as fit */
  uint32_t command_full; /* 0 when they were cut */
  char name[AXO_NAME_MAX];
  char command[AXO_COMMAND_MAX];
} axo_entry_t;

#endif /* AXO_PROTOCOL_H */
