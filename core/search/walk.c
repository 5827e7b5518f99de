/* Directories, in the order of their paths. Nothing is followed, nothing but a regular
 * file is opened, and each directory is opened from the one that holds it.
 */
#include "../guest/walk.h"
#include "search.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From linux/openat2.h, which not every C library brings. */
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_NO_SYMLINKS 0x04
#define RESOLVE_BENEATH 0x08
struct open_how {
  uint64_t flags, mode, resolve;
};

enum { OPEN = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

/* The entries of a directory: names one after the other, the type of each before it. */
typedef struct {
  char *bytes;
  size_t length, room;
  const char **sorted;
  size_t count;
} names_t;

typedef struct {
  int fd;
  dev_t device;
  size_t path; /* length of the path of the directory, with a slash at its end */
  unsigned depth;
  ax_state_t state;
  ax_ignore_t *ignore;
} level_t;

static char path_of[MAX_SCANNED_PATH + 256 + 4096 + 4];
static size_t held; /* bytes of names */

static int open_with(int root, const char *path, int flags, uint64_t resolve) {
  struct open_how how = {
      .flags = (uint64_t)(unsigned)flags,
      .resolve = resolve,
  };
  int fd, tries = 16;
  do
    fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
  while (fd < 0 && errno == EAGAIN && --tries);
  return fd;
}

/* Before Linux 5.6, and where a session may make no set-id files, openat2 is refused.
 * EAGAIN: renames, of whatever files, race with "..". The walk does not mind them. */
static int open_beneath(int root, const char *path, int flags) {
  int fd = open_with(root, path, flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
  if (fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EAGAIN))
    fd = walk_open(root, path, flags, 0);
  return fd;
}

int open_root(const char *path, bool is_plain) {
  int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  if (!is_plain || !strcmp(path, "/"))
    return open(path, flags);
  int fd = open_with(AT_FDCWD, path, flags, RESOLVE_NO_SYMLINKS);
  if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
    return fd;
  int top = open("/", flags);
  fd = top < 0 ? -1 : walk_plain(top, path, flags);
  if (top >= 0)
    close(top);
  return fd;
}

/* ---- the names of a directory
 * --------------------------------------------------------- */

static bool keep(names_t *names, char type, const char *name) {
  size_t length = strlen(name) + 2;
  if (held + length > MAX_NAMES)
    return false;
  if (names->length + length > names->room) {
    size_t room = names->room ? names->room * 2 : 4096;
    char *larger = realloc(names->bytes, room);
    if (!larger)
      return false;
    names->bytes = larger;
    names->room = room;
  }
  names->bytes[names->length] = type;
  memcpy(names->bytes + names->length + 1, name, length - 1);
  names->length += length;
  names->count++;
  held += length;
  return true;
}

static char type_of(int dir, const struct dirent *entry) {
  struct stat st;
  switch (entry->d_type) {
  case DT_DIR:
    return 'd';
  case DT_REG:
    return 'f';
  case DT_UNKNOWN:
    if (fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
      return 'o';
    return S_ISDIR(st.st_mode) ? 'd' : S_ISREG(st.st_mode) ? 'f' : 'o';
  default:
    return 'o';
  }
}

/* By whole paths: the slash after a directory's name counts. */
static int by_path(const void *one, const void *other) {
  const unsigned char *a = *(const unsigned char *const *)one;
  const unsigned char *b = *(const unsigned char *const *)other;
  size_t i = 1;
  while (a[i] && a[i] == b[i])
    i++;
  unsigned char x = a[i] ? a[i] : *a == 'd' ? '/' : 0;
  unsigned char y = b[i] ? b[i] : *b == 'd' ? '/' : 0;
  return x - y;
}

static void sort(names_t *names) {
  names->sorted = malloc((names->count + 1) * sizeof *names->sorted);
  if (!names->sorted)
    emit_refusal("IO", -1, "the search has no memory");
  const char *at = names->bytes;
  for (size_t i = 0; i < names->count; i++) {
    names->sorted[i] = at;
    at += strlen(at + 1) + 2;
  }
  qsort(names->sorted, names->count, sizeof *names->sorted, by_path);
}

/* Closes `fd` when it fails; else the stream has it. */
static DIR *read_names(int fd, names_t *names, const char *path) {
  DIR *stream = fdopendir(fd);
  if (!stream) {
    emit_unsearched(path, "unreadable", strerror(errno));
    close(fd);
    return NULL;
  }
  for (;;) {
    errno = 0;
    struct dirent *entry = readdir(stream);
    if (!entry)
      break;
    const char *name = entry->d_name;
    if (!strcmp(name, ".") || !strcmp(name, ".."))
      continue;
    if (time_is_over)
      return stream;
    if (!keep(names, type_of(fd, entry), name)) {
      emit_unsearched(path, "too_many_names", "not all of the directory was searched");
      break;
    }
  }
  if (errno)
    emit_unsearched(path, "unreadable", strerror(errno));
  return stream;
}

static void drop_names(names_t *names) {
  held -= names->length;
  free(names->bytes);
  free(names->sorted);
}

/* ---- files
 * ---------------------------------------------------------------------------- */

static bool is_over(void) {
  if (time_is_over)
    stop("time");
  return is_stopped();
}

static void search_open(int fd, const char *path) {
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
    return;
  if (done.files + done.binaries >= asked.max_files) {
    stop("files");
  } else if (done.bytes >= asked.max_bytes) {
    stop("bytes");
  } else if ((uint64_t)st.st_size > asked.max_file) {
    emit_unsearched(path, "too_large", "");
  } else {
    scan_file(fd, path, (uint64_t)st.st_size);
  }
}

static void search_file(const level_t *level, const char *name) {
  int fd = openat(level->fd, name, OPEN | O_NOFOLLOW);
  if (fd >= 0) {
    search_open(fd, path_of);
    close(fd);
  } else if (errno != ENOENT && errno != ELOOP) {
    emit_unsearched(path_of, "unreadable", strerror(errno));
  }
}

static void list_path(void) {
  if (done.matches == asked.max) {
    stop("max");
    return;
  }
  emit_path(path_of);
  done.matches++;
}

/* ---- directories
 * ---------------------------------------------------------------------- */

static void walk_level(level_t *level);

/* What the kernel makes up has no end, and reading it may do things. */
static bool is_made_up(int fd) {
  static const unsigned long types[] = {0x9fa0,     0x62656572, 0x27e0eb,  0x63677270,
                                        0x64626720, 0x74726163, 0x1cd1,    0x6e736673,
                                        0xcafe4a11, 0x73636673, 0x42494e4d};
  struct statfs fs;
  if (fstatfs(fd, &fs) != 0)
    return false;
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if ((unsigned long)fs.f_type == types[i])
      return true;
  return false;
}

static void enter(const level_t *above, const char *name, size_t path,
                  const ax_state_t *state) {
  if (above->depth + 1 >= MAX_DEPTH) {
    emit_unsearched(path_of, "too_deep", "");
    return;
  }
  int fd = openat(above->fd, name, OPEN | O_DIRECTORY | O_NOFOLLOW);
  if (fd < 0) {
    if (errno != ENOENT && errno != ELOOP && errno != ENOTDIR)
      emit_unsearched(path_of, "unreadable", strerror(errno));
    return;
  }
  struct stat st;
  level_t level = {.fd = fd, .path = path, .depth = above->depth + 1, .state = *state};
  if (fstat(fd, &st) == 0)
    level.device = st.st_dev;
  if (level.device != above->device && is_made_up(fd)) {
    emit_unsearched(path_of, "kernel", "a file system that the kernel makes up");
    close(fd);
    return;
  }
  ax_ignore_t *inherited = ignore_descend(above->ignore, name);
  level.ignore = inherited;
  if (asked.honours_gitignore)
    level.ignore = ignore_enter(inherited, fd, path_of);
  path_of[path - 1] = '/';
  walk_level(&level); /* closes it */
  ignore_leave(level.ignore, NULL);
}

static bool is_wanted(const level_t *level, const char *name, ax_state_t *state) {
  if (!asked.glob)
    return true;
  if (!asked.by_name)
    return glob_step(asked.glob, &level->state, name, asked.is_hidden, state);
  ax_state_t first;
  glob_start(asked.glob, &first);
  return glob_step(asked.glob, &first, name, true, state);
}

static void visit(const level_t *level, char type, const char *name) {
  size_t length = strlen(name);
  if (level->path + length + 2 > sizeof path_of) {
    path_of[level->path] = 0;
    emit_unsearched(path_of, "too_deep", "");
    return;
  }
  memcpy(path_of + level->path, name, length + 1);
  if (asked.honours_gitignore && ignore_has(level->ignore, name, type == 'd')) {
    done.ignored++;
    return;
  }
  ax_state_t state;
  bool wanted = is_wanted(level, name, &state);
  if (asked.is_glob && wanted)
    list_path();
  if (type == 'f' && wanted && !asked.is_glob)
    search_file(level, name);
  bool goes_on = !asked.glob || asked.by_name || glob_goes_on(asked.glob, &state);
  if (type == 'd' && goes_on && !is_over())
    enter(level, name, level->path + length + 1, &state);
}

static void walk_level(level_t *level) {
  names_t names = {0};
  size_t length = level->path;
  path_of[length ? length - 1 : 0] = 0;
  DIR *stream = read_names(level->fd, &names, length ? path_of : ".");
  if (length)
    path_of[length - 1] = '/';
  if (!stream)
    return;
  sort(&names);
  for (size_t i = 0; i < names.count && !is_over(); i++)
    visit(level, names.sorted[i][0], names.sorted[i] + 1);
  drop_names(&names);
  closedir(stream);
}

/* ---- the beginning --------------------------------------------------------------- */

static _Noreturn void refuse_path(void) {
  switch (errno) {
  case ENOENT:
    emit_refusal("NOT_FOUND", -1, "no such file or directory");
  case EXDEV:
  case ELOOP:
    emit_refusal("OUTSIDE", -1, "it leads outside by a symbolic link");
  case EACCES:
  case EPERM:
    emit_refusal("PERMISSION", -1, "permission denied");
  case ENOTDIR:
    emit_refusal("NOT_A_DIRECTORY", -1, "a part of it is not a directory");
  case ENXIO:
    emit_refusal("NOT_A_FILE", -1, "it is neither a file nor a directory");
  default:
    emit_refusal("IO", -1, strerror(errno));
  }
}

/* What is known from the directories above: how far the glob has come, and what is
 * ignored. */
static void go_down(level_t *level, int root, const char *path) {
  char name[256], prefix[4096] = ".";
  size_t at = 0;
  while (path[at]) {
    int fd =
        asked.honours_gitignore ? open_beneath(root, prefix, OPEN | O_DIRECTORY) : -1;
    if (fd >= 0) {
      level->ignore = ignore_enter(level->ignore, fd, prefix);
      close(fd);
    }
    size_t length = strcspn(path + at, "/");
    if (length >= sizeof name || at + length >= sizeof prefix)
      return;
    memcpy(name, path + at, length);
    name[length] = 0;
    level->ignore = ignore_descend(level->ignore, name);
    if (asked.is_glob)
      glob_step(asked.glob, &level->state, name, asked.is_hidden, &level->state);
    at += length + (path[at + length] == '/');
    memcpy(prefix, path, at);
    prefix[at] = 0;
  }
}

static int open_start(int root, const char *path, struct stat *st) {
  int look = open_beneath(root, path, O_PATH | O_CLOEXEC);
  if (look < 0 || fstat(look, st) != 0)
    refuse_path();
  close(look);
  if (!S_ISDIR(st->st_mode) && asked.is_glob)
    emit_refusal("NOT_A_DIRECTORY", -1, "it is not a directory");
  if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode))
    emit_refusal("NOT_A_FILE", -1, "it is neither a file nor a directory");
  int fd = open_beneath(root, path, OPEN);
  if (fd < 0 || fstat(fd, st) != 0)
    refuse_path();
  return fd;
}

void walk(int root, const char *path) {
  struct stat st;
  int fd = open_start(root, path, &st);
  memcpy(path_of, path, strlen(path) + 1); /* main() saw to its length */
  if (!S_ISDIR(st.st_mode)) {
    search_open(fd, path_of);
    close(fd);
    if (is_over())
      return;
    return;
  }
  level_t level = {.fd = fd, .device = st.st_dev};
  if (asked.glob)
    glob_start(asked.glob, &level.state);
  bool is_root = !strcmp(path, ".");
  if (is_made_up(fd))
    emit_refusal("NOT_A_FILE", -1,
                 "a file system that the kernel makes up is not searched");
  go_down(&level, root, is_root ? "" : path);
  if (asked.honours_gitignore)
    level.ignore = ignore_enter(level.ignore, fd, path);
  level.path = is_root ? 0 : strlen(path) + 1;
  walk_level(&level);
  ignore_leave(level.ignore, NULL);
}
