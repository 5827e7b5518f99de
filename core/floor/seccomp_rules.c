#include "floor/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* How libseccomp reads rules shapes what is written here:
 * - an unconditional rule swallows every conditional one of the same call, silently;
 * - of one condition with two answers it makes an error, and no container starts;
 * - two conditions on one argument in one rule are not both asked for;
 * - EQ compares all 64 bits, of which the kernel may look at the lower half only. What
 *   is refused by EQ comes back through the upper half; what is allowed by it does not.
 * So a call's old rules are removed, what is harmless is allowed, and each bit or value
 * that is not is refused by a rule of its own. What no rule matches is refused by the
 * profile's default. */

/* The answers, by Linux's numbers. */
#ifdef __linux__
enum { NO_SYS = ENOSYS, NO_PERM = EPERM };
enum { NO_PROTO = EPROTONOSUPPORT, NO_FAMILY = EAFNOSUPPORT };
enum { CREATES = O_CREAT, MAKES_TEMPORARY = O_TMPFILE & ~O_DIRECTORY };
#else
enum { NO_SYS = 38, NO_PERM = 1, NO_PROTO = 93, NO_FAMILY = 97 };
enum { CREATES = 0100, MAKES_TEMPORARY = 020000000 };
#endif
enum { ALLOWED = 0 };

/* linux/sched.h: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET; NEWTIME is
 * clone's signal mask there. */
#define NAMESPACES 0x7E020000u
#define NAMESPACES_AND_TIME (NAMESPACES | 0x80u)
#define SET_ID 06000u

/* linux/socket.h and linux/netlink.h. */
enum { FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10, FAMILY_NETLINK = 16 };
enum { NETLINK_ROUTE = 0, NETLINK_SOCK_DIAG = 4, NETLINK_KOBJECT_UEVENT = 15 };

typedef struct rules {
  json_t *list;
  json_t *known;      /* the names that the base allows, if only under a condition */
  const json_t *base; /* its rules, as they were */
  bool failed;        /* out of memory */
} rules_t;

typedef axo__condition_t condition_t;

/* Its versions differ on these. */
/* clang-format off */
#define IS(index, value)                                                               \
  { "SCMP_CMP_EQ", (index), (value), 0 }
#define IS_NOT(index, value)                                                           \
  { "SCMP_CMP_NE", (index), (value), 0 }
#define ABOVE(index, value)                                                            \
  { "SCMP_CMP_GT", (index), (value), 0 }
/* `mask` of the argument is `bits`. */
#define MASKED(index, mask, bits)                                                      \
  { "SCMP_CMP_MASKED_EQ", (index), (mask), (bits) }
/* clang-format on */

/* Where the same call takes its arguments in another order. */
enum { EVERYWHERE, ON_S390, NOT_ON_S390 };

static json_t *arches(bool given) {
  return given ? json_pack("{s:[s,s]}", "arches", "s390", "s390x") : json_object();
}

typedef struct rule {
  rules_t *into;
  int where, answer; /* an errno, or ALLOWED */
  const char *call;
} rule_t;

static void emit(void *data, const condition_t *conditions, size_t count) {
  const rule_t *rule = data;
  rules_t *r = rule->into;
  json_t *args = json_array();
  for (size_t i = 0; i < count; i++) {
    const condition_t *c = &conditions[i];
    json_t *one = json_pack("{s:i,s:I,s:I,s:s}", "index", (int)c->index, "value",
                            (json_int_t)c->value, "valueTwo", (json_int_t)c->value_two,
                            "op", c->op);
    if (json_array_append_new(args, one) != 0)
      r->failed = true;
  }
  json_t *made = json_pack("{s:[s],s:s,s:o,s:o,s:o}", "names", rule->call, "action",
                           rule->answer ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW", "args",
                           args, "includes", arches(rule->where == ON_S390), "excludes",
                           arches(rule->where == NOT_ON_S390));
  if (rule->answer &&
      json_object_set_new(made, "errnoRet", json_integer(rule->answer)) != 0)
    r->failed = true;
  if (json_array_append_new(r->list, made) != 0)
    r->failed = true;
}

/* ALLOWED: never what the base allows on no condition, and on its conditions. Without
 * any of ours it is what policy has given back. */
static void rule_on(rules_t *r, int where, const char *call, int answer,
                    const condition_t *conditions, size_t count) {
  rule_t rule = {r, where, answer, call};
  if (answer == ALLOWED && !json_object_get(r->known, call))
    return;
  if (answer == ALLOWED && count > 0)
    axo__seccomp_keep(r->base, call, conditions, count, emit, &rule);
  else
    emit(&rule, conditions, count);
}

#define RULE(r, call, answer, ...)                                                     \
  rule_on((r), EVERYWHERE, (call), (answer), (const condition_t[]){__VA_ARGS__},       \
          sizeof((const condition_t[]){__VA_ARGS__}) / sizeof(condition_t))

static void always(rules_t *r, int answer, const char *const *calls) {
  for (; *calls; calls++)
    rule_on(r, EVERYWHERE, *calls, answer, NULL, 0);
}

/* Allowed where none of the bits is set; refused for each that is. */
static void without_bits(rules_t *r, int where, const char *call, unsigned index,
                         uint64_t mask) {
  rule_on(r, where, call, ALLOWED, &(condition_t)MASKED(index, mask, 0), 1);
  for (uint64_t rest = mask; rest; rest &= rest - 1) {
    uint64_t bit = rest & (~rest + 1);
    rule_on(r, where, call, NO_PERM, &(condition_t)MASKED(index, bit, bit), 1);
  }
}

/* ---- the groups ---- */

static const char *const keys[] = {"keyctl", "add_key", "request_key", NULL};
/* The kernel's own answer to a program that only tries. */
static const char *const rings[] = {"io_uring_setup", "io_uring_enter",
                                    "io_uring_register", NULL};
static const char *const machine[] = {
    "reboot",      "syslog",          "memfd_secret",   "bpf",      "perf_event_open",
    "userfaultfd", "fanotify_init",   "lookup_dcookie", "quotactl", "quotactl_fd",
    "kcmp",        "process_madvise", "modify_ldt",     NULL};
static const char *const mounts[] = {
    "setns",    "umount", "mount_setattr", "move_mount", "fsopen", "open_tree_attr",
    "fsconfig", "fspick", "open_tree",     "fsmount",    NULL};
/* What a user namespace of one's own is for. */
static const char *const nesting[] = {"mount", "umount2", "pivot_root", NULL};
/* libc, Go and Rust fall back to clone, whose flags a filter can read. */
static const char *const unreadable_clone[] = {"clone3", NULL};
/* The i386 way to every socket, with arguments that a filter cannot read. */
static const char *const multiplexed[] = {"socketcall", NULL};
static const char *const unreadable_open[] = {"openat2", NULL};

static void add_namespaces(rules_t *r, bool nested) {
  static const char *const both[] = {"clone", "unshare", NULL};
  always(r, NO_PERM, mounts);
  always(r, NO_SYS, unreadable_clone);
  always(r, nested ? ALLOWED : NO_PERM, nesting);
  if (nested) {
    always(r, ALLOWED, both);
    return;
  }
  without_bits(r, NOT_ON_S390, "clone", 0, NAMESPACES);
  without_bits(r, ON_S390, "clone", 1, NAMESPACES);
  without_bits(r, EVERYWHERE, "unshare", 0, NAMESPACES_AND_TIME);
}

static void add_families(rules_t *r) {
  for (unsigned family = 0; family < FAMILY_NETLINK; family++) {
    bool usual =
        family == FAMILY_UNIX || family == FAMILY_INET || family == FAMILY_INET6;
    RULE(r, "socket", usual ? ALLOWED : NO_FAMILY, IS(0, family));
  }
  RULE(r, "socket", NO_FAMILY, ABOVE(0, FAMILY_NETLINK));
  RULE(r, "socketpair", ALLOWED, IS(0, FAMILY_UNIX));
  RULE(r, "socketpair", NO_FAMILY, IS_NOT(0, FAMILY_UNIX));
}

static void add_netlink(rules_t *r) {
  for (unsigned protocol = 0; protocol <= NETLINK_KOBJECT_UEVENT; protocol++) {
    bool usual = protocol == NETLINK_ROUTE || protocol == NETLINK_SOCK_DIAG ||
                 protocol == NETLINK_KOBJECT_UEVENT;
    RULE(r, "socket", usual ? ALLOWED : NO_PROTO, IS(0, FAMILY_NETLINK),
         IS(2, protocol));
  }
  RULE(r, "socket", NO_PROTO, IS(0, FAMILY_NETLINK), ABOVE(2, NETLINK_KOBJECT_UEVENT));
}

/* A mode is only one where something may be made: else its register holds anything. */
static void add_open(rules_t *r, const char *call, unsigned flags) {
  static const uint64_t making[] = {CREATES, MAKES_TEMPORARY};
  unsigned mode = flags + 1;
  RULE(r, call, ALLOWED, MASKED(flags, CREATES | MAKES_TEMPORARY, 0));
  RULE(r, call, ALLOWED, MASKED(mode, SET_ID, 0));
  for (size_t i = 0; i < sizeof making / sizeof *making; i++)
    for (uint64_t bit = SET_ID & (~SET_ID + 1); bit & SET_ID; bit <<= 1)
      RULE(r, call, NO_PERM, MASKED(flags, making[i], making[i]),
           MASKED(mode, bit, bit));
}

/* mkdir takes no such bits by itself. */
static void add_set_id(rules_t *r) {
  static const struct {
    const char *call;
    unsigned mode;
  } makers[] = {{"chmod", 1},    {"fchmod", 1},    {"creat", 1},  {"mknod", 1},
                {"fchmodat", 2}, {"fchmodat2", 2}, {"mknodat", 2}};
  for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
    without_bits(r, EVERYWHERE, makers[i].call, makers[i].mode, SET_ID);
  add_open(r, "open", 1);
  add_open(r, "openat", 2);
  always(r, NO_SYS, unreadable_open);
}

/* `first` and, for each process but number 1, that it is the one in argument `index`.
 * They differ from it in some bit: the kernel looks at the lower half, and has no
 * number beyond PID_BITS. */
static void not_on_init(rules_t *r, const char *call, unsigned index,
                        const condition_t *first) {
  enum { PID_BITS = 22 };
  condition_t both[2] = {MASKED(index, UINT32_MAX, 1)};
  size_t count = first ? 2 : 1;
  if (first)
    both[1] = *first;
  rule_on(r, EVERYWHERE, call, NO_PERM, both, count);
  both[0] = (condition_t)MASKED(index, UINT32_MAX, 0);
  rule_on(r, EVERYWHERE, call, ALLOWED, both, count);
  for (uint64_t bit = 2; bit <= UINT64_C(1) << PID_BITS; bit <<= 1) {
    both[0] = (condition_t)MASKED(index, bit, bit);
    rule_on(r, EVERYWHERE, call, ALLOWED, both, count);
  }
}

/* The first process is the session: without time, files or descriptors it cannot serve,
 * and at a limit of time the kernel kills it. Whoever is container root could take all
 * of these from it. To name all of a user's processes names it, too. */
static void add_init(rules_t *r) {
  static const char *const by_pid[] = {"prlimit64", "sched_setaffinity",
                                       "sched_setscheduler", "sched_setattr"};
  /* The last of the kinds that name one process, or one group. */
  static const struct {
    const char *call;
    unsigned least, most;
  } by_kind[] = {{"setpriority", 0, 1}, {"ioprio_set", 1, 2}};
  for (size_t i = 0; i < sizeof by_pid / sizeof *by_pid; i++)
    not_on_init(r, by_pid[i], 0, NULL);
  for (size_t i = 0; i < sizeof by_kind / sizeof *by_kind; i++) {
    RULE(r, by_kind[i].call, NO_PERM, ABOVE(0, by_kind[i].most));
    for (unsigned kind = by_kind[i].least; kind <= by_kind[i].most; kind++)
      not_on_init(r, by_kind[i].call, 1, &(condition_t)IS(0, kind));
  }
}

/* Of a signal that its sender describes the kernel forgets who sent it when the user
 * has as many pending as may be; it then looks like one from outside, and ends the
 * session. kill(2) is not among them. A pidfd does not say whose it is. */
static void add_forged_signals(rules_t *r) {
  static const char *const by_pid[] = {"tkill", "tgkill", "rt_sigqueueinfo",
                                       "rt_tgsigqueueinfo"};
  for (size_t i = 0; i < sizeof by_pid / sizeof *by_pid; i++)
    not_on_init(r, by_pid[i], 0, NULL);
  RULE(r, "pidfd_send_signal", ALLOWED, IS(2, 0));
  RULE(r, "pidfd_send_signal", NO_PERM, IS_NOT(2, 0));
}

static void add_rules(rules_t *r, const axo__floor_t *floor) {
  always(r, NO_SYS, keys);
  always(r, NO_SYS, rings);
  always(r, NO_PERM, machine);
  add_namespaces(r, floor->nested_namespaces);
  add_families(r);
  add_netlink(r);
  add_init(r);
  add_forged_signals(r);
  if (!floor->setuid)
    add_set_id(r);
}

/* ---- the base ---- */

/* A rule names one call, as old profiles do, or several. Those of `ours` are taken out;
 * false when nothing is left. */
static bool take_out(json_t *rule, json_t *ours) {
  json_t *names = json_object_get(rule, "names");
  const char *single = json_string_value(json_object_get(rule, "name"));
  if (single && json_object_get(ours, single))
    (void)json_object_del(rule, "name");
  for (size_t i = json_array_size(names); i-- > 0;) {
    const char *name = json_string_value(json_array_get(names, i));
    if (name && json_object_get(ours, name))
      (void)json_array_remove(names, i);
  }
  return json_array_size(names) > 0 || json_object_get(rule, "name");
}

static void note_name(rules_t *r, const json_t *name) {
  const char *text = json_string_value(name);
  if (text && json_object_set_new(r->known, text, json_true()) != 0)
    r->failed = true;
}

static void note_allowed(rules_t *r, const json_t *rule) {
  const char *action = json_string_value(json_object_get(rule, "action"));
  const json_t *names = json_object_get(rule, "names");
  if (!action || strcmp(action, "SCMP_ACT_ALLOW") != 0)
    return;
  note_name(r, json_object_get(rule, "name"));
  for (size_t i = 0; i < json_array_size(names); i++)
    note_name(r, json_array_get(names, i));
}

static json_t *names_in(const json_t *rules) {
  json_t *set = json_object();
  for (size_t i = 0; i < json_array_size(rules); i++) {
    const json_t *names = json_object_get(json_array_get(rules, i), "names");
    const char *name = json_string_value(json_array_get(names, 0));
    if (json_object_set_new(set, name, json_true()) != 0) {
      json_decref(set);
      return NULL;
    }
  }
  return set;
}

/* x32 reaches the same calls by other numbers. */
static void drop_x32(json_t *list) {
  for (size_t i = json_array_size(list); i-- > 0;) {
    const char *arch = json_string_value(json_array_get(list, i));
    if (arch && strcmp(arch, "SCMP_ARCH_X32") == 0)
      (void)json_array_remove(list, i);
  }
}

static void drop_arches(json_t *base) {
  json_t *map = json_object_get(base, "archMap");
  drop_x32(json_object_get(base, "architectures"));
  for (size_t i = 0; i < json_array_size(map); i++)
    drop_x32(json_object_get(json_array_get(map, i), "subArchitectures"));
}

static bool refuses_by_default(const json_t *base) {
  static const char *const refusals[] = {"SCMP_ACT_ERRNO", "SCMP_ACT_KILL",
                                         "SCMP_ACT_KILL_THREAD",
                                         "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"};
  const char *action = json_string_value(json_object_get(base, "defaultAction"));
  for (size_t i = 0; action && i < sizeof refusals / sizeof *refusals; i++)
    if (strcmp(action, refusals[i]) == 0)
      return true;
  return false;
}

static int check(const json_t *base, axo_err_t *err) {
  const json_t *list = json_object_get(base, "syscalls");
  bool sound = json_is_array(list);
  for (size_t i = 0; sound && i < json_array_size(list); i++)
    sound = json_is_object(json_array_get(list, i));
  if (!sound)
    return axo__err_set(err, UV_EINVAL, "seccomp", NULL,
                        "it has no list of system calls");
  if (!refuses_by_default(base))
    return axo__err_set(err, UV_EINVAL, "seccomp",
                        "its defaultAction must be SCMP_ACT_ERRNO, as in podman's own",
                        "it allows what it does not name");
  return 0;
}

/* `list` becomes what is in `first`, what is left of it, and `last`. */
static int merge(json_t *base, json_t *first, json_t *last, json_t *ours) {
  json_t *list = json_object_get(base, "syscalls");
  for (size_t i = json_array_size(list); i-- > 0;)
    if (!take_out(json_array_get(list, i), ours))
      (void)json_array_remove(list, i);
  if (json_array_extend(first, list) != 0 || json_array_extend(first, last) != 0)
    return UV_ENOMEM;
  return json_object_set(base, "syscalls", first) == 0 ? 0 : UV_ENOMEM;
}

static int harden(json_t *base, const axo__floor_t *floor) {
  json_t *list = json_object_get(base, "syscalls"), *ours = NULL, *both = NULL;
  rules_t first = {json_array(), json_object(), list, false};
  rules_t rest = {json_array(), json_object(), list, false};
  int rc = UV_ENOMEM;
  for (size_t i = 0; i < json_array_size(list); i++)
    note_allowed(&rest, json_array_get(list, i));
  /* libseccomp adds an open socketcall of its own to every rule about socket, unless
   * there is one already. */
  always(&first, NO_PERM, multiplexed);
  add_rules(&rest, floor);
  both = json_copy(first.list);
  if (both && json_array_extend(both, rest.list) == 0 && !first.failed && !rest.failed)
    ours = names_in(both);
  if (ours)
    rc = merge(base, first.list, rest.list, ours);
  json_decref(both);
  json_decref(ours);
  json_decref(first.list);
  json_decref(first.known);
  json_decref(rest.list);
  json_decref(rest.known);
  return rc;
}

/* runc leaves out a rule whose answer is the default one, ours about socketcall
 * (EPERM), too, where the base answers so. ENOSYS is also what programs fall back at.
 */
static int answer_by_default(json_t *base) {
  const char *action = json_string_value(json_object_get(base, "defaultAction"));
  if (strcmp(action, "SCMP_ACT_ERRNO") != 0)
    return 0;
  if (json_object_set_new(base, "defaultErrnoRet", json_integer(38)) != 0 ||
      json_object_set_new(base, "defaultErrno", json_string("ENOSYS")) != 0)
    return UV_ENOMEM;
  return 0;
}

int axo__seccomp_harden(json_t *base, const axo__floor_t *floor, axo_err_t *err) {
  int rc = check(base, err);
  if (rc != 0)
    return rc;
  drop_arches(base);
  rc = answer_by_default(base);
  if (rc == 0)
    rc = harden(base, floor);
  return rc == 0 ? 0 : axo__err_code(err, rc, "seccomp", "the profile");
}
