-- Part of retry.lua: which words of podman's complaint mean which class and subclass.
--
-- Read from the top; the first rule that fits decides. Texts are compared in lower case. `any`:
-- one of these texts (or one of the patterns in `like`) is there; `also`: and one of these.
-- `all`: these are all there. `none`: none of these is. `vague`: decides only when no other part
-- of the complaint says more. `exec`: only of `podman exec`. `bare`: without the words of an
-- errno. A subclass that begins with "@" is looked up in the complaint by classify.lua.
local rules = {}

local NETWORK_TROUBLE = {
  "connection refused", "actively refused", "no such host", "server misbehaving", "timeout",
  "timed out", "deadline exceeded", "unreachable", "no route to host", "connection reset",
  "broken pipe", "x509", "certificate", "tls:", "http response to https client", "eof",
  "name resolution", "proxyconnect", "v1 container registry", "http status: 5",
  "status code from registry 5", "statuscode: 5", "bad gateway", "service unavailable",
  "invalid character '<'",
}

local PULLING = {
  "docker://", "container registry", "/v2/", "reading blob", "reading manifest",
  "fetching blob", "writing blob", "copying system image", "pulling", "auth token",
  'get "http',
}

-- Where podman keeps what it stores.
local STORAGE = {
  "/overlay", "/containers/storage", "/vfs/", "/vfs-", "read-write layer", "layer ", "/libpod/",
  "container storage", "storage for container", "container store", "image store", "blob ",
}

local ERRNO = {
  "invalid argument", "no such file", "not a directory", "is a directory", "file exists",
  "not empty", "no data available", "cross-device", "too large", "unexpected eof", "numerical",
  "exec format", "no such device", "bad file descriptor", "argument list too long",
}

local NETWORKING = {
  "subnet", "bridge", "interface", "gateway", "firewall", "route", "ip address", "ip range",
  "network", "dns", "vlan", "macvlan", "tap device", "port forwarder", "resolv.conf", "hosts file",
}

local FAILED = {
  "already used", "already in use", "already exists", "in use", "fail", "unable", "cannot",
  "could not", "not permitted", "not found", "no such", "error", "denied", "exhausted", "overlap",
  "conflict", "unreachable", "no free", "no available",
}

-- Over the whole complaint: here the last line hides the cause.
rules.hidden = {
  { "HOST_RESOURCES", "EMFILE_MASQUERADES_AS_CONMON",
    all = { "conmon", "outdated" }, any = { "too many open files" } },
  { "HOST_RESOURCES", "CONMON_NOT_STARTED", all = { "conmon", "outdated" },
    any = { "resource temporarily unavailable", "cannot allocate memory" } },
  { "STORAGE_CORRUPT", "MASKED_BY_PULL",
    any = { "exists in local storage but may be corrupted" } },
  { "STORAGE_CORRUPT", "LOCK_AND_STALE_RUNTIME_STATE",
    all = { "refreshing container", "acquiring lock", "file exists" } },
  -- What ran in the container, or podman's own helper, says it; podman only waited in vain.
  { "NO_SPACE", "MASKED_BY_WAITING", all = { "no space left on device" },
    any = { "pause.pid", "timed out waiting for file" } },
  { "OOM", "OOM_DURING_INIT", any = { "cannot start a container that has stopped" } },
}

rules.known = {
  -- The client could not reach a service, or a virtual machine.
  { "MACHINE_NOT_RUNNING", none = { "docker://" }, any = {
    "cannot connect to podman", "unable to connect to podman", "failed to connect: dial",
    "failed to connect: ssh", "destination not found", "create sshclient",
    "connection to bastion host", "podman machine start", "podman.sock: connect",
    "vm does not exist", "machine is not running", "vm is not running",
  }, like = { 'connection "[^"]*" not found', "dial unix [^\n]*podman[^\n]*%.sock: connect" } },

  -- Not the one that the OCI runtime mounts into a container.
  { "NETWORK_BACKEND", "RESOLV_CONF", none = { "/userdata/" }, like = {
    "resolv%.conf[^\n]*no such file", "resolv%.conf[^\n]*not found", "open[^\n]*resolv%.conf",
    "read[^\n]*resolv%.conf", "fail[^\n]*resolv%.conf", "unable[^\n]*resolv%.conf",
    "stat [^\n]*resolv%.conf", "could not[^\n]*resolv%.conf", "couldn't[^\n]*resolv%.conf",
    "any nameserver" } },
  { "CGROUP", any = { "without cgroups" } },

  -- What podman refuses before it does anything, in words that also name what it would do.
  { "USAGE", none = { "xdg_", "cannot set up" },
    any = { "can't be set", "seccomp profile", "invalid cgroup mode", "unsupported cgroup mode",
      "mutually exclusive", "cannot be used together", "cannot be set together" },
    like = { "^%-%-%l", "^the %-%-%l", "^cannot set ", "^conflicting options",
      "^unsupported " } },

  -- What it was about to do stands first, whatever stopped it.
  { "MOUNT_SOURCE_MISSING", like = { "^statfs /" }, none = { "/storage/", "/overlay",
    "no space" } },
  { "REMOVE_FAILED", like = { "^removing ", "^error removing ", "^unmounting ", "^cleaning up " },
    none = { "no such", "no container", "no space" } },

  -- Quotas and counters that speak of a full disk.
  { "KEYRING_QUOTA", "LOOKS_LIKE_NO_SPACE", all = { "quota" },
    any = { "session key", "keyring" } },
  { "NUM_LOCKS", any = { "exceeded num_locks", "all locks have been allocated" } },
  { "NUM_LOCKS", "LOOKS_LIKE_NO_SPACE",
    all = { "allocating lock for", "no space left on device" } },
  { "HOST_RESOURCES", "INOTIFY", any = { "inotify", "fsnotify" } },
  { "USERNS_BLOCKED", "LIMIT", all = { "no space left on device" },
    any = { "cannot clone", "user namespace", "unshare" } },
  { "HOST_RESOURCES", "NAMESPACES", all = { "no space left on device", "namespace" } },

  -- Users and their ranges.
  { "PAUSE_PROCESS", any = {
    "pause.pid", "pause process", "pause pid", "invalid internal status",
    "could not find any running process", "join the existing user namespace",
  }, like = { "/proc/%d+/ns/%l+: no such file" } },
  { "SUBUID", "UIDMAP_TOO_LARGE", any = { "final child's pid from pipe" } },
  { "SUBUID", "USER_OUT_OF_RANGE",
    any = { "setup user: invalid argument" }, like = { "setres[ug]id[^:]*: invalid argument" } },
  { "SUBUID", any = { "storage-chown-by-maps", "potentially insufficient" } },
  { "SUBUID", any = {
    "subuid", "subgid", "newuidmap", "newgidmap", "insufficient uids", "uid_map", "gid_map",
    "cannot find mappings for user", "not enough unused ids", "enough available ids",
    "user namespace mapping", "user namespace with size",
  } },
  { "USERNS_BLOCKED", any = {
    "cannot clone", "failed to reexec", "cannot re-exec process", "max_user_namespaces",
    "user namespaces are not enabled", "unprivileged_userns", "clone_newuser",
    "unshare user namespace", "creating new user namespace", "unshare(clone",
  } },

  -- Memory that is too small to start in.
  { "OOM", "LIMIT_TOO_SMALL", any = { "unable to set memory limit", "memory limit too low" },
    like = { "memory%.max`?: device or resource busy" } },
  { "OOM", any = { "oom-killed", "oom killed", "killed by the oom" } },

  -- Control groups.
  { "CGROUP", "HYBRID", any = { "hybrid mode" } },
  { "CGROUP", "NOCGROUPS_NEEDS_CRUN", any = { "compatible with nocgroups" } },
  { "CGROUP", "LIMITS_IGNORED_RC0", any = { "resource limits are not supported and ignored" } },
  { "CGROUP", "SYSTEMD_MANAGER", none = { "netavark", "aardvark", "firewalld" }, any = {
    "sd-bus", "sd_bus", "dbus", "systemd1", "system_bus_socket", "connect to bus",
    "systemd slice", "systemd cgroup",
  } },
  { "CGROUP", "@controller", any = { "cgroup", "specify resource limits without", "bpf " },
    like = { "opening file `[%w_.]+`", "writing file `[%w_.]+`", "controller `%w+`",
      "%f[%l]memory%.%l+", "%f[%l]pids%.max", "%f[%l]cpu%.%l+:", "%f[%l]cpuset%.%l+",
      "%f[%l]io%.max", "%f[%l]io%.weight" } },

  -- A disk that is really full.
  { "NO_SPACE", any = { "no space left on device", "disk quota exceeded" } },

  -- Processes and descriptors that ran out. The first is what runc says both when the
  -- container may start no further process and when its disk is full.
  { "OCI_RUNTIME", "CLONED_BINARY", any = { "cloned binary" } },
  { "PIDS_EXHAUSTED", any = { "read init-p: connection reset by peer" },
    none = { "not permitted", "permission denied" }, alternatives = { "NO_SPACE" } },
  { "STORAGE_LOCKED", any = { "database is locked", "lock: timeout", ".db: timeout" },
    like = { "lock[^\n]*resource temporarily unavailable", "timed out[^\n]*lock" } },
  { "HOST_RESOURCES", none = { "oci runtime", "runc:", "crun:" },
    any = { "pthread_create", "errno=11", "new os thread" },
    like = { "fork/exec [^:]+: resource temporarily unavailable" } },
  { "PIDS_EXHAUSTED", any = { "resource temporarily unavailable", "pthread_create",
    "new os thread" } },
  { "HOST_RESOURCES", any = { "too many open files", "cannot allocate memory" } },

  -- Ports. An address that this machine does not have is no port that is held.
  { "USAGE", "BAD_ADDRESS", none = { "aardvark" }, any = { "cannot assign requested address" } },
  { "NETWORK_BACKEND", "AARDVARK", all = { "aardvark", "address already in use" } },
  { "PORT_CONFLICT", "PRIVILEGED", any = { "privileged port" },
    like = { "listen %l+%d? [^ ]*:%d+: bind: permission denied",
      "listen failed for [^\n]*permission denied", "bind port %d+ %(permission denied" } },
  { "PORT_CONFLICT", "SELF_DUPLICATE", any = { "conflicting port mappings" } },
  { "PORT_CONFLICT", "SELF_DUPLICATE_NO_PORT", any = { "conflict with id" } },
  { "PORT_CONFLICT", "NO_PORT", any = { "hostfwd failed" } },
  { "PORT_CONFLICT", "DERIVED", any = { "proxy already running" } },
  { "PORT_CONFLICT", "PASTA_BINARY_ONLY", any = { "failed to bind any port" } },
  { "PORT_CONFLICT", none = { "listen unix", ".sock:" }, any = {
    "address already in use", "port is already allocated", "failed to bind port",
    "only one usage of each socket address", "forbidden by its access permissions",
  } },

  -- Containers and their names.
  { "REMOVE_FAILED", "RUNTIME_STATE_LOST", any = { "as it could not be stopped" } },
  { "REMOVE_FAILED", any = {
    "dependent containers", "could not be removed", "active exec sessions",
    "cleaning up storage", "is mounted and cannot be removed",
  }, like = { "removing container[^\n]*root filesystem",
    "unlinkat[^\n]*device or resource busy" } },
  { "NAME_IN_USE", "POD", all = { "pod already exists" } },
  { "NAME_IN_USE", any = {
    "is already in use by", "that name is already in use", "container already exists",
  }, like = { "name %S+ is in use" } },
  { "CONTAINER_RUNNING", any = {
    "running or paused", "must be in created or stopped state",
  }, like = { ": container is running" } },
  { "NO_SUCH_CONTAINER", "REMOVED_DURING_EXEC", any = { "container has already been removed" } },
  { "NO_SUCH_CONTAINER", any = {
    "no such container", "no container with name or id", "no container with id or name",
    "no such object", "no such pod", "no such exec session",
  } },
  { "CONTAINER_NOT_RUNNING", "RUNTIME_STATE_LOST", any = { "container does not exist" },
    like = { "opening file `[^`]*/status`" } },
  { "CONTAINER_NOT_RUNNING", like = { "only [^\n]*running containers" } },
  { "CONTAINER_NOT_RUNNING", any = {
    "container state improper", "is not running", "not running,", "stopped container",
    "container is stopped", "paused container", "container not running",
  } },

  -- Storage that cannot be mounted here, and storage that does not agree with itself.
  { "CONFIG", "STORAGE_DRIVER", all = { "overlay mount" }, any = { "mount program",
    "permission denied", "operation not permitted", "not supported", "no such device" } },
  { "CONFIG", "DB_MISMATCH", like = { "^database [^\n]* does not match our " },
    alternatives = { "STORAGE_CORRUPT" } },
  { "STORAGE_CORRUPT", any = {
    "layer not known", "storage corruption", "may be corrupted", "overlay/l/", "overlay/l:",
    "bolt_state.db", "disk image is malformed", "is not a database", "has been removed",
    "free container lock", "given id already exists", "layers.json", "images.json",
    "containers.json", "layer digest", "layer is missing",
  }, like = { "container `[^`]+` already exists", "container with id exists",
    "/overlay/[^:]+: no such file", "/overlay%-layers/[^:]+: no such file",
    "/overlay%-containers/[^:]+: no such file" } },

  -- Images and registries.
  { "USAGE", any = { "invalid reference format", "parsing reference", "must be lowercase" } },
  { "RATE_LIMIT", any = { "toomanyrequests", "too many requests", "rate limit", "status: 429",
    "registry 429" } },
  { "IMAGE_NOT_FOUND", "SHORT_NAME", any = { "short-name", "unqualified-search" } },
  { "IMAGE_NOT_FOUND", "MULTI_REGISTRY", all = { "errors occurred while pulling" },
    any = { "name unknown", "manifest unknown", "not found" } },
  { "IMAGE_NOT_FOUND", "MANIFEST_UNKNOWN", any = { "manifest unknown", "manifest_unknown" } },
  { "IMAGE_NOT_FOUND", "NAME_UNKNOWN", any = { "name unknown", "name_unknown",
    "not known to registry", "repository does not exist", "repository not found" } },
  { "IMAGE_NOT_FOUND", "NOT_LOCAL", any = { "image not known", "no such image" } },
  { "IMAGE_NOT_FOUND", "ARCHITECTURE", any = { "no image found in" } },
  { "IMAGE_NOT_FOUND", any = PULLING, like = { "404 %(?not found", "manifest[^\n]*not found" },
    also = { "404", "not found" } },
  { "IMAGE_DENIED", "SIGNATURE", any = { "source image rejected", "signature was required" } },
  { "IMAGE_DENIED", "UNAUTHORIZED", any = PULLING, also = { "unauthorized",
    "authentication required", "invalid username/password", "insufficient_scope" } },
  { "IMAGE_DENIED", "DENIED", any = PULLING, also = { "is denied", ": denied", "forbidden" } },
  { "REGISTRY_UNREACHABLE", "@network", any = PULLING, also = NETWORK_TROUBLE },

  { "STORAGE_CORRUPT", any = { "end of json input", "looking for beginning of value" } },

  -- What sets up networks.
  { "NETWORK_BACKEND", "HELPER_MISSING",
    like = { 'could not find "?rootlessport', 'could not find "?slirp4netns',
      'could not find "?pasta', 'could not find "?netavark', 'could not find "?aardvark' } },
  { "NETWORK_BACKEND", "NETWORK_NOT_FOUND",
    any = { "network not found", "unable to find network" } },
  { "NETWORK_BACKEND", "AARDVARK_MISSING_WARN", any = { "aardvark-dns binary not found" } },
  -- podman takes CNI up where its storage has lost which backend was in use.
  { "NETWORK_BACKEND", "CNI_WARNING", any = { "error validating cni config file" },
    alternatives = { "STORAGE_CORRUPT" } },
  { "NETWORK_BACKEND", "CNI", any = { "plugin type=", "cni plugin", "cni network" } },
  { "NETWORK_BACKEND", "IPTABLES_MISSING", any = { "netavark: no such file or directory" } },
  { "NETWORK_BACKEND", "IPTABLES", any = { "iptables", "ip6tables", "nftables" } },
  { "NETWORK_BACKEND", "TUN", any = { "/dev/net/tun" } },
  { "NETWORK_BACKEND", "PASTA", any = { "pasta" } },
  { "NETWORK_BACKEND", any = {
    "netavark", "aardvark", "slirp4netns", "rootlessport", "rootless-netns", "netns",
    "network namespace", "ipam", "requested ip address", "veth", "setting up network",
    "firewalld",
  } },

  -- Programs that podman needs.
  { "USAGE", "INIT_PATH", any = { "container-init binary not found" },
    none = { "catatonit", "/podman/", "/libexec/" } },
  { "RUNTIME_MISSING", "INIT_MISSING", any = { "catatonit", "container-init", "init binary" } },
  { "RUNTIME_MISSING", any = {
    "default oci runtime", "executable found for oci runtime", "oci runtime has been configured",
    "such runtime is defined", "outdated conmon version", "working conmon", "conmon binary",
    "no such runtime",
  }, like = { "requested oci runtime %S+ is not available", "%f[%w]c?runc? not found",
    "%f[%w]crun not found", 'could not find "?conmon',
    'exec: "[^"]*conmon"', 'exec: "[^"]*runc"', 'exec: "[^"]*crun"',
    "fork/exec [^:]*/conmon: no such", "fork/exec [^:]*/c?runc?: no such" } },

  -- Labels and rights on what is mounted.
  { "SELINUX_MOUNT", "RELABEL", any = { "lsetxattr", "relabel" } },
  { "SELINUX_MOUNT", any = { "selinux label", "selinux context" } },
  { "SELINUX_MOUNT", like = { "stat'ing file '[^']*': permission denied" } },

  -- podman's own settings and directories.
  { "USAGE", "QUOTA_UNSUPPORTED", any = { "storage option" } },
  { "CONFIG", "XDG_RUNTIME_DIR", any = { "xdg_runtime_dir", "mkdir /run/user/" } },
  { "CONFIG", "JOURNALD_MISSING", any = { "initialize journal", "journald" } },
  { "CONFIG", "READ_ONLY", like = { "^creating [^\n]*read%-only file system",
    "^mkdir [^\n]*read%-only file system" } },
  { "CONFIG", "HOME_MISSING", any = { "cannot resolve /", "$home is not defined",
    "cannot chdir to" } },
  { "CONFIG", "HOME_FOREIGN", all = { "/.config/", ": permission denied" },
    like = { "stat /[^:]*/%.config/", "open /[^:]*/%.config/" } },
  { "CONFIG", "STORAGE_DRIVER", any = { "graph driver", "graphdriver", "storage driver",
    "overlay is not supported", "over overlayfs" } },
  { "CONFIG", any = {
    "containers.conf", "storage.conf", "registries.conf", "policy.json", "auth.json",
    "could not get runtime", "static files directory", "temporary files directory",
    "database configuration mismatch", "configure storage", "toml:", "generating default config",
    "boot id differs",
  }, like = { "mkdir /[^:\n]+: permission denied", "^creating %w+ directory" } },

  -- What the container was asked to run, and how.
  { "OCI_RUNTIME", "RLIMIT", any = { "setrlimit", "rlimit", "ulimit" } },
  { "OCI_RUNTIME", "EXEC_FORMAT", any = { "exec format error" } },
  { "OCI_RUNTIME", "NO_SUCH_USER", any = { "unable to find user", "unable to find group",
    "no matching entries in passwd", "no matching entries in group" } },
  { "OCI_RUNTIME", "WORKDIR", any = { "workdir", "chdir to" } },
  { "OCI_RUNTIME", "NESTED_PROC", any = { "mount `proc`", 'mounting "proc"' } },
  { "MOUNT_SOURCE_MISSING", "DEVICE", like = { "^l?stat /dev/[^:]+: no such file" } },
  { "MOUNT_SOURCE_MISSING", all = { 'mounting "/' }, like = { ": stat /[^:]*: no such file" } },
  { "MOUNT_SOURCE_MISSING", any = { "bind source path does not exist" },
    like = { "^l?stat %S[^:]*: no such file",
      "^statfs %S[^:]*: no such file", "cannot stat `[^`]+`: no such file" } },
  { "OCI_RUNTIME", "MOUNT_TYPE", any = { "not a directory", "is a directory" },
    all = { "mount" } },
  { "OCI_RUNTIME", "COMMAND_NOT_FOUND", any = { "executable file", "command that was not found",
    "oci not found" } },
  { "OCI_RUNTIME", "PERMISSION", any = { "oci permission denied" } },
  { "INTERNAL", "CONMON", any = { "conmon bytes" }, exec = true },
  { "OCI_RUNTIME", "CONMON_RACE", all = { "no logs from conmon", "eof" },
    none = { "conmon bytes" } },
  { "OCI_RUNTIME", "CONMON", any = { "no logs from conmon" } },
  { "INTERNAL", "ATTACH", any = { "attach socket" } },
  { "INTERNAL", "EXEC_EXIT_FILE", any = { "timed out waiting for file" } },
  { "OCI_RUNTIME", vague = true, any = { "oci runtime", "runc:", "crun:", "/runc ", "/crun ",
    "container_linux.go", "standard_init_linux", "(probably exited)" },
    like = { "dial unix%l* /proc/" } },

  { "REGISTRY_UNREACHABLE", any = { "docker://", "container registry" } },

  -- No known words: what it is about, and which errno. The kernel's words for an errno are the same
  -- in every program and version; "invalid argument" from a disk is no wrong argument.
  { "STORAGE_CORRUPT", "IO", any = { "input/output error", "structure needs cleaning",
    "stale file handle", "bad message", "stale nfs" } },
  { "CONFIG", "STORAGE_DRIVER", any = STORAGE, also = { "not enabled", "not implemented",
    "not supported", "unsupported" }, none = { "oci runtime", "runc:", "crun:" } },
  { "STORAGE_CORRUPT", any = STORAGE, also = ERRNO },
  { "CONFIG", "READ_ONLY", any = { "read-only file system" } },
  { "CONFIG", "EXEC_DENIED", like = { "fork/exec [^:]*: permission denied",
    "fork/exec [^:]*: operation not permitted" } },
  { "HOST_RESOURCES", any = { "too many open", "too many levels", "out of memory",
    "cannot allocate", "resource temporarily unavailable", "no child processes" } },
  { "SUBUID", any = { "chown ", "uid ", "gid ", "uids", "gids" }, also = { "invalid argument",
    "operation not permitted", "not mapped", "is not mapped", "out of range" },
    none = { "cannot specify" } },
  { "MACHINE_NOT_RUNNING", any = { "podman machine", "podman-machine", "gvproxy", "vfkit",
    "qemu-system", "krunkit", "hyper-v", "wsl" }, none = { "while the vm is running" } },
  { "REMOVE_FAILED", any = { "did not die", "failed to stop", "unable to stop", "failed to kill",
    "failed to remove", "unable to remove", "error removing", "cannot remove", "unable to clean",
    "failed to unmount", "error unmounting", "device or resource busy" } },
  { "NO_SUCH_CONTAINER", like = { "no containers? ", "container %S+ not found",
    "container %S+ does not exist", "container not found" }, none = { "runtime" } },
  { "CONTAINER_NOT_RUNNING", like = { "container[^\n]* not[^\n]* running",
    "container[^\n]* has exited", "container[^\n]* is exited", "container[^\n]* stopped" } },
  { "IMAGE_NOT_FOUND", any = { "image", "manifest", "tag " },
    also = { "not found", "no such", "unknown to", "does not exist", "not present" } },
  { "NETWORK_BACKEND", bare = true, any = NETWORKING, also = FAILED,
    none = { "network already exists", "unknown ", "invalid ", "flag", "option", "must ",
      "cannot be used", "only supported", "requires " } },
  { "PORT_CONFLICT", "CAUSE_LOST", vague = true,
    any = { "starting some containers: internal libpod error" },
    like = { "unable to upgrade to %l+, received 409" },
    alternatives = { "NETWORK_BACKEND", "INTERNAL" } },

  { "INTERNAL", "PANIC", like = { "^panic: ", "goroutine %d+ %[" } },
  { "USAGE", "APPARMOR", any = { "apparmor profile" } },
  { "USAGE", bare = true, any = {
    "unknown ", "invalid", "must be", "must provide", "see usage", "only supported",
    "not supported", "unsupported", "cannot replace", "already exists", "are not available",
    "requires ", "cannot be used", "cannot set", "conflicting", "unrecognized", "flag needs",
    "is not allowed", "is not an ", "parsing ", "requested ", "specified", "should be",
    "incorrect ", "provided", "is being used", "no such volume", "no such secret",
  } },
  { "INTERNAL", vague = true,
    any = { "internal libpod error", "panic", "sigsegv", "nil pointer", "conmon" } },
}

-- For lines that are not podman's: what a command says that may not read what is mounted.
rules.foreign = {
  { "SELINUX_MOUNT", "DAC_INSIDE_CONTAINER", like = { "^%s*[%w./_-]+: .*permission denied" } },
}

return rules
