/* core.argv.*: each builder of the core, from one table to a sequence of strings. */
#include "laxo.h"

#define ARGV_BOX "axo.argv"

/* Keeps the vector while its strings are pushed, which may raise. */
typedef struct argv_box {
  axo_argv_t *argv;
} argv_box_t;

static argv_box_t *new_box(lua_State *L) {
  argv_box_t *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->argv = NULL;
  luaL_setmetatable(L, ARGV_BOX);
  return box;
}

static int box_gc(lua_State *L) {
  argv_box_t *box = luaL_checkudata(L, 1, ARGV_BOX);
  axo_argv_free(box->argv);
  box->argv = NULL;
  return 0;
}

static void push_items(lua_State *L, const axo_argv_t *argv) {
  char *const *items = axo_argv_items(argv);
  size_t count = axo_argv_count(argv);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    lua_pushstring(L, items[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

typedef int (*build_fn)(const void *spec, axo_argv_t **out, axo_err_t *err);

static int build(lua_State *L, const char *op, const laxo_shape_t *shape, void *spec,
                 build_fn builder) {
  laxo_reader_t reader;
  axo_err_t err;
  argv_box_t *box;
  luaL_checktype(L, 1, LUA_TTABLE);
  laxo_reader_init(L, &reader, op);
  laxo_read(&reader, 1, shape, spec);
  if (reader.err.code != 0)
    return laxo_fail(L, &reader.err);
  box = new_box(L);
  if (builder(spec, &box->argv, &err) != 0)
    return laxo_fail(L, &err);
  push_items(L, box->argv);
  axo_argv_free(box->argv);
  box->argv = NULL;
  return 1;
}

/* ---- run ------------------------------------------------------------------------- */

static const laxo_field_t mount_fields[] = {
    LAXO_NEED("source", LAXO_STRING, offsetof(axo_mount_t, source)),
    LAXO_NEED("target", LAXO_STRING, offsetof(axo_mount_t, target)),
    LAXO_KEY("read_only", LAXO_BOOL, offsetof(axo_mount_t, read_only)),
};
static const laxo_shape_t mount_shape = LAXO_SHAPE(mount_fields, axo_mount_t);

static const laxo_field_t port_fields[] = {
    LAXO_NEED("address", LAXO_STRING, offsetof(axo_port_t, address)),
    LAXO_NEED("host", LAXO_UINT16, offsetof(axo_port_t, host)),
    LAXO_NEED("container", LAXO_UINT16, offsetof(axo_port_t, container)),
};
static const laxo_shape_t port_shape = LAXO_SHAPE(port_fields, axo_port_t);

static const laxo_field_t ulimit_fields[] = {
    LAXO_NEED("name", LAXO_STRING, offsetof(axo_ulimit_t, name)),
    LAXO_NEED("soft", LAXO_UINT64, offsetof(axo_ulimit_t, soft)),
    LAXO_NEED("hard", LAXO_UINT64, offsetof(axo_ulimit_t, hard)),
};
static const laxo_shape_t ulimit_shape = LAXO_SHAPE(ulimit_fields, axo_ulimit_t);

typedef struct run_args {
  const char *podman;
  axo_run_spec_t spec;
} run_args_t;

#define RUN(field) offsetof(run_args_t, spec.field)

/* One word each: a shape holds no other one. A field's name takes no parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define ID_MAP(name)                                                                   \
  LAXO_KEY(#name "_id", LAXO_UINT, RUN(name.id)),                                      \
      LAXO_KEY(#name "_count", LAXO_UINT, RUN(name.count))
/* NOLINTEND(bugprone-macro-parentheses) */

static const laxo_field_t run_fields[] = {
    LAXO_NEED("podman", LAXO_STRING, offsetof(run_args_t, podman)),
    LAXO_NEED("name", LAXO_STRING, RUN(name)),
    LAXO_NEED("image", LAXO_STRING, RUN(image)),
    LAXO_NEED("command", LAXO_STRINGS, RUN(command)),
    LAXO_NEED("seccomp", LAXO_STRING, RUN(seccomp)),
    LAXO_KEY("setuid", LAXO_BOOL, RUN(setuid)),
    LAXO_KEY("nested_namespaces", LAXO_BOOL, RUN(nested_namespaces)),
    LAXO_KEY("workdir", LAXO_STRING, RUN(workdir)),
    LAXO_KEY("user", LAXO_STRING, RUN(user)),
    LAXO_KEY("network", LAXO_STRING, RUN(network)),
    LAXO_KEY("runtime", LAXO_STRING, RUN(runtime)),
    LAXO_KEY("pull", LAXO_STRING, RUN(pull)),
    LAXO_KEY("pidfile", LAXO_STRING, RUN(pidfile)),
    LAXO_KEY("cidfile", LAXO_STRING, RUN(cidfile)),
    LAXO_MANY("mounts", LAXO_ARRAY, RUN(mounts), RUN(mount_count), &mount_shape),
    LAXO_MANY("env", LAXO_PAIRS, RUN(env), RUN(env_count), NULL),
    LAXO_MANY("labels", LAXO_PAIRS, RUN(labels), RUN(label_count), NULL),
    LAXO_MANY("ports", LAXO_ARRAY, RUN(ports), RUN(port_count), &port_shape),
    LAXO_MANY("ulimits", LAXO_ARRAY, RUN(ulimits), RUN(ulimit_count), &ulimit_shape),
    LAXO_KEY("memory", LAXO_UINT64, RUN(memory)),
    LAXO_KEY("shm_size", LAXO_UINT64, RUN(shm_size)),
    LAXO_KEY("cpus", LAXO_NUMBER, RUN(cpus)),
    LAXO_KEY("pids", LAXO_INT64, RUN(pids)),
    LAXO_KEY("init", LAXO_BOOL, RUN(init)),
    LAXO_KEY("http_proxy", LAXO_BOOL, RUN(http_proxy)),
    ID_MAP(users),
    ID_MAP(groups),
};
static const laxo_shape_t run_shape = LAXO_SHAPE(run_fields, run_args_t);

static int build_run(const void *spec, axo_argv_t **out, axo_err_t *err) {
  const run_args_t *args = spec;
  return axo_argv_run(args->podman, &args->spec, out, err);
}

static int argv_run(lua_State *L) {
  run_args_t args = {0};
  return build(L, "run", &run_shape, &args, build_run);
}

/* ---- exec ------------------------------------------------------------------------ */

typedef struct exec_args {
  const char *podman;
  axo_exec_spec_t spec;
} exec_args_t;

#define EXEC(field) offsetof(exec_args_t, spec.field)

static const laxo_field_t exec_fields[] = {
    LAXO_NEED("podman", LAXO_STRING, offsetof(exec_args_t, podman)),
    LAXO_NEED("container", LAXO_STRING, EXEC(container)),
    LAXO_NEED("command", LAXO_STRINGS, EXEC(command)),
    LAXO_KEY("workdir", LAXO_STRING, EXEC(workdir)),
    LAXO_KEY("user", LAXO_STRING, EXEC(user)),
    LAXO_MANY("env", LAXO_PAIRS, EXEC(env), EXEC(env_count), NULL),
    LAXO_KEY("env_names", LAXO_STRINGS, EXEC(env_names)),
    LAXO_KEY("interactive", LAXO_BOOL, EXEC(interactive)),
    LAXO_KEY("tty", LAXO_BOOL, EXEC(tty)),
};
static const laxo_shape_t exec_shape = LAXO_SHAPE(exec_fields, exec_args_t);

static int build_exec(const void *spec, axo_argv_t **out, axo_err_t *err) {
  const exec_args_t *args = spec;
  return axo_argv_exec(args->podman, &args->spec, out, err);
}

static int argv_exec(lua_State *L) {
  exec_args_t args = {0};
  return build(L, "exec", &exec_shape, &args, build_exec);
}

/* ---- the short ones -------------------------------------------------------------- */

typedef struct short_args {
  const char *podman;
  const char *container;
  const char *const *containers;
  const char *image;
  const char *label;
  const char *kind;
  const char *name;
  unsigned timeout;
} short_args_t;

#define SHORT(field) LAXO_NEED(#field, LAXO_STRING, offsetof(short_args_t, field))

/* Defines argv_NAME(L), which reads FIELDS and calls the builder with ARGS of `a`. */
#define SHORT_BUILDER(NAME, FIELDS, ...)                                               \
  static int build_##NAME(const void *spec, axo_argv_t **out, axo_err_t *err) {        \
    const short_args_t *a = spec;                                                      \
    return axo_argv_##NAME(a->podman, __VA_ARGS__, out, err);                          \
  }                                                                                    \
  static int argv_##NAME(lua_State *L) {                                               \
    static const laxo_shape_t shape = LAXO_SHAPE(FIELDS, short_args_t);                \
    short_args_t args = {0};                                                           \
    return build(L, #NAME, &shape, &args, build_##NAME);                               \
  }

static const laxo_field_t container_fields[] = {SHORT(podman), SHORT(container)};
static const laxo_field_t containers_fields[] = {
    SHORT(podman),
    LAXO_NEED("containers", LAXO_STRINGS, offsetof(short_args_t, containers)),
};
static const laxo_field_t image_fields[] = {SHORT(podman), SHORT(image)};
static const laxo_field_t ps_fields[] = {SHORT(podman), SHORT(label)};
static const laxo_field_t inspect_fields[] = {SHORT(podman), SHORT(kind), SHORT(name)};
static const laxo_field_t commit_fields[] = {SHORT(podman), SHORT(container),
                                             SHORT(image)};
static const laxo_field_t stop_fields[] = {
    SHORT(podman),
    SHORT(container),
    LAXO_KEY("timeout", LAXO_UINT, offsetof(short_args_t, timeout)),
};

SHORT_BUILDER(rm, container_fields, a->container)
SHORT_BUILDER(rm_all, containers_fields, a->containers)
SHORT_BUILDER(stop, stop_fields, a->container, a->timeout)
SHORT_BUILDER(ps, ps_fields, a->label)
SHORT_BUILDER(inspect, inspect_fields, a->kind, a->name)
SHORT_BUILDER(pull, image_fields, a->image)
SHORT_BUILDER(image_exists, image_fields, a->image)
SHORT_BUILDER(import, image_fields, a->image)
SHORT_BUILDER(commit, commit_fields, a->container, a->image)

static const luaL_Reg functions[] = {
    {"run", argv_run},
    {"exec", argv_exec},
    {"rm", argv_rm},
    {"rm_all", argv_rm_all},
    {"stop", argv_stop},
    {"ps", argv_ps},
    {"inspect", argv_inspect},
    {"pull", argv_pull},
    {"image_exists", argv_image_exists},
    {"import", argv_import},
    {"commit", argv_commit},
    {NULL, NULL},
};

void laxo_argv_register(lua_State *L) {
  luaL_newmetatable(L, ARGV_BOX);
  lua_pushcfunction(L, box_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "argv");
}
