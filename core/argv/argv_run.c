#include "argv/argv_build.h"
#include "floor/seccomp.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What no container of ours may do, whatever the image or a policy asks. Package
 * managers keep CHOWN, SETUID, SETGID, DAC_OVERRIDE and FOWNER. SETFCAP would leave
 * programs with capabilities in the session's directory, FSETID programs that stay
 * set-id when they are overwritten. */
static const struct {
  const char *name;
  bool nests; /* container root needs it to map the users of a namespace */
} dropped[] = {
    {"SYS_ADMIN", false},       {"SYS_PTRACE", false},  {"SYS_MODULE", false},
    {"SYS_RAWIO", false},       {"SYS_BOOT", false},    {"SYS_TIME", false},
    {"NET_ADMIN", false},       {"NET_RAW", false},     {"MKNOD", false},
    {"DAC_READ_SEARCH", false}, {"AUDIT_WRITE", false}, {"SETPCAP", false},
    {"SETFCAP", true},          {"FSETID", false}};

/* By these files container root could have the first process, and the session with it,
 * killed before anything else when memory is short, or starved of the processor. */
static void add_first_process(axo__build_t *b) {
  axo__arg(b, "--security-opt=mask=/proc/1/oom_score_adj:/proc/1/oom_adj:"
              "/proc/1/task/1/oom_score_adj:/proc/1/task/1/oom_adj:/proc/1/autogroup");
}

/* The floor. The namespaces are named because containers.conf may have made the host's
 * the default, and on cgroup v1 the host's cgroup namespace is podman's own. */
static void add_floor(axo__build_t *b, const axo_run_spec_t *spec) {
  axo__arg(b, "--privileged=false");
  axo__arg(b, "--security-opt=no-new-privileges");
  for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++) {
    if (!dropped[i].nests || !spec->nested_namespaces) {
      axo__option(b, "cap-drop", dropped[i].name);
    }
  }
  axo__arg(b, "--pid=private");
  axo__arg(b, "--ipc=private");
  axo__arg(b, "--uts=private");
  axo__arg(b, "--cgroupns=private");
  add_first_process(b);
}

/* What makes a container a session: nothing in it is started, logged, restarted or
 * waited for behind our back. The guest is stopped by what it can trust, whatever
 * signal the image asks for. An image's volumes are plain directories, because an
 * anonymous volume outlives a start that failed and is left out of a commit. */
static void add_manners(axo__build_t *b) {
  axo__arg(b, "--no-healthcheck");
  axo__arg(b, "--systemd=false");
  axo__arg(b, "--log-driver=none");
  axo__arg(b, "--restart=no");
  axo__arg(b, "--stop-timeout=0");
  axo__arg(b, "--stop-signal=SIGTERM");
  axo__arg(b, "--image-volume=ignore");
  axo__arg(b, "--detach-keys=");
}

static void add_identity(axo__build_t *b, const axo_run_spec_t *spec) {
  static const char *const pulls[] = {"never", "missing", "always", NULL};
  const char *pull = spec->pull ? spec->pull : "never";
  axo__arg(b, "--detach");
  axo__check_name(b, "container name", spec->name);
  axo__option(b, "name", spec->name);
  axo__check_one_of(b, "pull policy", pull, pulls);
  axo__option(b, "pull", pull);
  axo__check_runtime(b, spec->runtime);
  axo__option(b, "runtime", spec->runtime);
  axo__check_user(b, spec->user);
  axo__option(b, "user", spec->user);
  if (spec->init) {
    axo__arg(b, "--init");
  }
}

/* What `--userns=keep-id:uid=U,gid=G` does, but for its default user; every version of
 * podman knows these. The numbers in the middle are those that podman itself has. */
static void add_map(axo__build_t *b, const char *option, axo_id_map_t map) {
  if (map.id >= map.count) {
    axo__build_fail(b, UV_EINVAL, NULL, "%s: there is no id %" PRIu32 " among %" PRIu32,
                    option, map.id, map.count);
    return;
  }
  axo__argf(b, "--%s=%" PRIu32 ":0:1", option, map.id);
  if (map.id > 0) {
    axo__argf(b, "--%s=0:1:%" PRIu32, option, map.id);
  }
  uint32_t next = map.id + 1;
  if (next < map.count) {
    axo__argf(b, "--%s=%" PRIu32 ":%" PRIu32 ":%" PRIu32, option, next, next,
              map.count - next);
  }
}

static void add_owner(axo__build_t *b, const axo_run_spec_t *spec) {
  if (spec->users.count > 0 || spec->groups.count > 0) {
    add_map(b, "uidmap", spec->users);
    add_map(b, "gidmap", spec->groups);
  }
}

static void add_path_option(axo__build_t *b, const char *name, const char *path) {
  if (path) {
    axo__check_path(b, name, path);
    axo__option(b, name, path);
  }
}

/* Only empty components and dots. */
static bool is_root(const char *path) {
  for (; *path; path++) {
    if (*path != '/' &&
        !(*path == '.' && path[-1] == '/' && (path[1] == '/' || path[1] == '\0'))) {
      return false;
    }
  }
  return true;
}

/* podman reads --mount as a CSV record of key=value fields. No mount of ours brings
 * devices or programs that change their user. */
static void add_mount(axo__build_t *b, const axo_mount_t *mount) {
  axo__check_mount_path(b, "mount source", mount->source);
  axo__check_mount_path(b, "mount target", mount->target);
  if (!b->status && is_root(mount->target)) {
    axo__build_fail(b, UV_EINVAL, "mount it on a directory of its own",
                    "mount target is the container's root: %.100s", mount->target);
  }
  if (b->status) {
    return;
  }
  char *source = axo__csv_field(mount->source);
  char *target = axo__csv_field(mount->target);
  if (source && target) {
    axo__argf(b, "--mount=type=bind,\"source=%s,\"target=%s,nosuid,nodev%s", source + 1,
              target + 1, mount->read_only ? ",readonly" : "");
  } else {
    axo__build_fail(b, UV_ENOMEM, NULL, "out of memory");
  }
  free(source);
  free(target);
}

static void add_network(axo__build_t *b, const axo_run_spec_t *spec) {
  static const char *const networks[] = {"bridge", "none", NULL};
  const char *network = spec->network ? spec->network : "none";
  axo__check_one_of(b, "network", network, networks);
  axo__option(b, "network", network);
  axo__option(b, "http-proxy", spec->http_proxy ? "true" : "false");
}

static void add_port(axo__build_t *b, const axo_port_t *port) {
  struct in6_addr binary;
  const char *address = port->address ? port->address : "";
  bool v6 = strchr(address, ':') != NULL;
  /* uv_inet_pton would pass over a zone. */
  if (strchr(address, '%') || uv_inet_pton(v6 ? AF_INET6 : AF_INET, address, &binary)) {
    axo__build_fail(b, UV_EINVAL, "use an address of this host, for example 127.0.0.1",
                    "ports are published on an IPv4 or IPv6 address, not on '%.60s'",
                    address);
  }
  if (port->host == 0 || port->container == 0) {
    axo__build_fail(b, UV_EINVAL, NULL, "port 0 cannot be published");
  }
  axo__argf(b, v6 ? "--publish=[%s]:%u:%u" : "--publish=%s:%u:%u", address, port->host,
            port->container);
}

static bool is_ulimit_name(const char *name) {
  size_t len = name ? strlen(name) : 0;
  return len > 0 && len < 16 && strspn(name, "abcdefghijklmnopqrstuvwxyz") == len;
}

static void add_ulimit(axo__build_t *b, const axo_ulimit_t *limit) {
  if (!is_ulimit_name(limit->name) || limit->soft > limit->hard) {
    axo__build_fail(b, UV_EINVAL, "a soft limit is at most the hard one",
                    "invalid ulimit %.20s=%" PRIu64 ":%" PRIu64,
                    limit->name ? limit->name : "", limit->soft, limit->hard);
    return;
  }
  /* Beyond the signed range there is only RLIM_INFINITY, which podman writes as -1. */
  int64_t soft = limit->soft > INT64_MAX ? -1 : (int64_t)limit->soft;
  int64_t hard = limit->hard > INT64_MAX ? -1 : (int64_t)limit->hard;
  axo__argf(b, "--ulimit=%s=%" PRId64 ":%" PRId64, limit->name, soft, hard);
}

/* Without printf's %f, whose decimal point is the locale's. The kernel's quota is
 * counted in microseconds of a tenth of a second and is at least 1 ms. */
static void add_cpus(axo__build_t *b, double cpus) {
  if (!(cpus >= 0.01 && cpus <= 65536)) {
    axo__build_fail(b, UV_EINVAL, "give a number of CPUs of at least 0.01",
                    "the CPU limit is out of range");
    return;
  }
  unsigned long long scaled = (unsigned long long)(cpus * 100000 + 0.5);
  axo__argf(b, "--cpus=%llu.%05llu", scaled / 100000, scaled % 100000);
}

static void add_limits(axo__build_t *b, const axo_run_spec_t *spec) {
  if (spec->memory > INT64_MAX || spec->pids < 0) {
    axo__build_fail(b, UV_EINVAL, NULL, "the %s limit is out of range",
                    spec->pids < 0 ? "process" : "memory");
  }
  if (spec->memory) {
    axo__argf(b, "--memory=%" PRIu64 "b", spec->memory);
  }
  if (spec->shm_size > INT64_MAX) {
    axo__build_fail(b, UV_EINVAL, NULL, "the size of /dev/shm is out of range");
  }
  if (spec->shm_size) {
    axo__argf(b, "--shm-size=%" PRIu64 "b", spec->shm_size);
  }
  if (spec->cpus != 0) {
    add_cpus(b, spec->cpus);
  }
  if (spec->pids) {
    axo__argf(b, "--pids-limit=%" PRId64, spec->pids);
  }
  for (size_t i = 0; i < spec->ulimit_count; i++) {
    add_ulimit(b, &spec->ulimits[i]);
  }
}

static void add_lists(axo__build_t *b, const axo_run_spec_t *spec) {
  for (size_t i = 0; i < spec->mount_count; i++) {
    add_mount(b, &spec->mounts[i]);
  }
  axo__env(b, spec->env, spec->env_count);
  for (size_t i = 0; i < spec->label_count; i++) {
    axo__check_label(b, &spec->labels[i]);
    axo__argf(b, "--label=%s=%s", spec->labels[i].key, spec->labels[i].value);
  }
  for (size_t i = 0; i < spec->port_count; i++) {
    add_port(b, &spec->ports[i]);
  }
}

/* As a JSON array, --entrypoint holds the whole command and clears the image's CMD: an
 * image's own ENTRYPOINT never receives our command as its arguments. */
static void add_command(axo__build_t *b, const char *const *command) {
  axo__check_command(b, command);
  for (size_t i = 0; !b->status && command[i]; i++) {
    if (!axo__is_utf8(command[i])) {
      axo__build_fail(b, UV_EINVAL, NULL, "item %zu of the command is not UTF-8: %.80s",
                      i + 1, command[i]);
    }
  }
  if (b->status) {
    return;
  }
  char *json = axo__json_array(command);
  if (json) {
    axo__option(b, "entrypoint", json);
  } else {
    axo__build_fail(b, UV_ENOMEM, NULL, "out of memory");
  }
  free(json);
}

/* podman reads the file once, when it creates the container; what is started in there
 * later, by `podman exec` as well, is under the same filter. */
static void add_profile(axo__build_t *b, const axo_run_spec_t *spec) {
  axo__floor_t floor = {spec->setuid, spec->nested_namespaces};
  axo_err_t why = {0};
  axo__check_path(b, "profile of system calls", spec->seccomp);
  axo__argf(b, "--security-opt=seccomp=%s", spec->seccomp ? spec->seccomp : "");
  if (b->status) {
    return;
  }
  int rc = axo__seccomp_write(spec->seccomp, &floor, &why);
  if (rc != 0) {
    axo__build_fail(b, rc, why.hint, "no profile of system calls could be made: %s",
                    why.message);
  }
}

int axo_argv_run(const char *podman, const axo_run_spec_t *spec, axo_argv_t **out,
                 axo_err_t *err) {
  axo__build_t b;
  axo__build_begin(&b, "run", podman, "run", err);
  add_identity(&b, spec);
  add_owner(&b, spec);
  add_floor(&b, spec);
  add_manners(&b);
  add_network(&b, spec);
  add_limits(&b, spec);
  add_path_option(&b, "pidfile", spec->pidfile);
  add_path_option(&b, "cidfile", spec->cidfile);
  add_path_option(&b, "workdir", spec->workdir);
  add_lists(&b, spec);
  add_command(&b, spec->command);
  add_profile(&b, spec);
  axo__image(&b, "image", spec->image);
  return axo__build_end(&b, out);
}
