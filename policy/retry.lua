-- What podman's complaint means, and what to change before trying again.
--
-- podman's exit codes tell little; its words tell more, but they come from many programs
-- (podman, conmon, crun, runc, netavark, pasta, a registry ...), each with its own manner. This
-- file is asked in two ways:
--
-- request.op == "classify": request.stderr is what podman printed, request.exit_code how it
--   ended. The answer: { class, subclass, port, alternatives }. `port` only when the complaint
--   names a published port; `alternatives` when the same words have more than one cause.
-- request.op == "retry": a start has failed. The request holds class, subclass, port, stderr,
--   exit_code, attempt (1 after the first failure), tried (the changes made so far), plan (what
--   was attempted: image, fallback, pull, network, ports, limits, ulimits, runtime, init ...),
--   stage ("pull" or "run"), host = { nofile, nproc, runtimes = what is installed }, fields.
--   The answer:
--   { action = "retry", changes, warning } or { action = "give_up", hint }.

-- At most so many changes for one start.
local MAX_ATTEMPTS = 8

-- ---- reading the complaint -------------------------------------------------------------

-- The cause is near the end.
local MAX_LINES = 300

-- Lines of progress; they say nothing about a failure.
local PROGRESS = {
  "^Trying to pull ", "^Getting image source", "^Copying ", "^Writing manifest",
  "^Storing signatures", "^Resolv[a-z]+ ", "^Checking if image destination",
}

local LEVELS = {
  WARN = "warning", INFO = "info", DEBU = "info", TRAC = "info", warn = "warning",
  warning = "warning", info = "info", debug = "info", trace = "info", notice = "info",
}

local function is_progress(line)
  for _, pattern in ipairs(PROGRESS) do
    if line:find(pattern) then return true end
  end
  return false
end

-- The level of a line and what it says, for the three ways in which programs log.
local function read_line(line)
  local level, text = line:match '^time="[^"]*" level=(%a+) msg="(.*)"'
  if not level then level, text = line:match "^(%u%u%u%u)%[%d+%]%s*(.*)$" end
  if not level and line:find '^{"' then
    text, level = line:match '"msg":"(.-)","', line:match '"level":"(%a+)"'
  end
  if level and text then
    -- What podman got over does not say why it gave up.
    if text:find "^Failed, retrying in " then return "info", text end
    return LEVELS[level] or "error", (text:gsub('\\(["\\])', "%1"))
  end
  text = line:match "^Error: (.*)$"
  if text then return "cause", text end
  if is_progress(line) then return "info", line end
  return "plain", line
end

-- The complaint in parts. The cause is the last line that begins with "Error:", with the lines
-- that continue it; warnings quote errors that were got over.
local function read(stderr)
  local parts = { cause = {}, error = {}, plain = {}, warning = {}, info = {} }
  local lines = {}
  for line in stderr:gmatch "[^\r\n]+" do lines[#lines + 1] = line end
  local before
  for i = math.max(1, #lines - MAX_LINES + 1), #lines do
    local line = lines[i]
    local level, text = read_line(line)
    local continues = level == "plain" and before ~= nil and before ~= "plain"
      and before ~= "info" and (before == "cause" or line:find "^%s")
    if level == "cause" then parts.cause = {} end
    if continues then level = before end
    table.insert(parts[level], text)
    before = level
  end
  for level, texts in pairs(parts) do parts[level] = table.concat(texts, "\n") end
  return parts
end

-- ---- the rules -------------------------------------------------------------------------

-- Read from the top; the first that fits decides. Texts are compared in lower case. `any`: one
-- of these texts (or one of the patterns in `like`) is there. `all`: these are there as well.
-- `none`: none of these is.
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

-- Over the whole complaint: here the last line hides the cause.
local HIDDEN = {
  { "HOST_RESOURCES", "EMFILE_MASQUERADES_AS_CONMON",
    all = { "conmon", "outdated" }, any = { "too many open files" } },
  { "HOST_RESOURCES", "CONMON_NOT_STARTED", all = { "conmon", "outdated" },
    any = { "resource temporarily unavailable", "cannot allocate memory" } },
  { "STORAGE_CORRUPT", "MASKED_BY_PULL",
    any = { "exists in local storage but may be corrupted" } },
  { "STORAGE_CORRUPT", "LOCK_AND_STALE_RUNTIME_STATE",
    all = { "refreshing container", "acquiring lock", "file exists" } },
  { "OOM", "OOM_DURING_INIT", any = { "cannot start a container that has stopped" } },
}

local RULES = {
  -- The client could not reach a service, or a virtual machine.
  { "MACHINE_NOT_RUNNING", none = { "docker://" }, any = {
    "cannot connect to podman", "unable to connect to podman", "failed to connect: dial",
    "failed to connect: ssh", "destination not found", "create sshclient",
    "connection to bastion host", "podman machine start", "podman.sock: connect",
    "vm does not exist", "machine is not running", "vm is not running",
  }, like = { 'connection "[^"]*" not found' } },

  -- What podman refuses before it does anything, in words that also name what it would do.
  { "USAGE", none = { "xdg_", "cannot set up" },
    any = { "can't be set", "seccomp profile", "invalid cgroup mode", "unsupported cgroup mode",
      "mutually exclusive", "cannot be used together", "cannot be set together" },
    like = { "^%-%-%l", "^the %-%-%l", "^cannot set ", "^conflicting options" } },

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
  } },
  { "SUBUID", "UIDMAP_TOO_LARGE", any = { "final child's pid from pipe" } },
  { "SUBUID", "USER_OUT_OF_RANGE",
    any = { "setup user: invalid argument" }, like = { "setres[ug]id[^:]*: invalid argument" } },
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
  { "PIDS_EXHAUSTED", any = { "read init-p: connection reset by peer" },
    alternatives = { "NO_SPACE" } },
  { "STORAGE_LOCKED", any = { "database is locked", "lock: timeout", ".db: timeout" },
    like = { "lock[^\n]*resource temporarily unavailable", "timed out[^\n]*lock" } },
  { "HOST_RESOURCES", none = { "oci runtime", "runc:", "crun:" },
    any = { "pthread_create", "errno=11", "new os thread" },
    like = { "fork/exec [^:]+: resource temporarily unavailable" } },
  { "PIDS_EXHAUSTED", any = { "resource temporarily unavailable", "pthread_create",
    "new os thread" } },
  { "HOST_RESOURCES", any = { "too many open files", "cannot allocate memory" } },

  -- Ports. An address that this machine does not have is no port that is held.
  { "USAGE", "BAD_ADDRESS", any = { "cannot assign requested address" } },
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
  { "CONTAINER_NOT_RUNNING", any = {
    "container state improper", "is not running", "not running,", "stopped container",
    "container is stopped", "paused container", "container not running",
  } },

  -- Storage that cannot be mounted here, and storage that does not agree with itself.
  { "CONFIG", "STORAGE_DRIVER", all = { "overlay mount" }, any = { "mount program",
    "permission denied", "operation not permitted", "not supported", "no such device" } },
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
  { "RUNTIME_MISSING", "INIT_MISSING", any = { "catatonit", "container-init", "init binary" } },
  { "RUNTIME_MISSING", any = {
    "default oci runtime", "executable found for oci runtime", "oci runtime has been configured",
    "such runtime is defined", "outdated conmon version", "working conmon", "conmon binary",
    "no such runtime",
  }, like = { "requested oci runtime %S+ is not available", 'could not find "?conmon',
    'exec: "[^"]*conmon"', 'exec: "[^"]*runc"', 'exec: "[^"]*crun"',
    "fork/exec [^:]*/conmon: no such", "fork/exec [^:]*/c?runc?: no such" } },

  -- Labels and rights on what is mounted.
  { "SELINUX_MOUNT", "RELABEL", any = { "lsetxattr", "relabel" } },
  { "SELINUX_MOUNT", any = { "selinux label", "selinux context" } },

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
  }, like = { "^mkdir /[^:]+: permission denied", "^creating %w+ directory" } },

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
    "container_linux.go", "standard_init_linux" } },

  { "REGISTRY_UNREACHABLE", any = { "docker://", "container registry" } },
  { "INTERNAL", "PANIC", like = { "^panic: ", "goroutine %d+ %[" } },
  { "USAGE", "APPARMOR", any = { "apparmor profile" } },
  { "USAGE", any = {
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
local FOREIGN = {
  { "SELINUX_MOUNT", "DAC_INSIDE_CONTAINER", like = { "^%s*[%w./_-]+: .*permission denied" } },
}

local function has_any(text, texts)
  for _, wanted in ipairs(texts or {}) do
    if text:find(wanted, 1, true) then return true end
  end
  return false
end

local function has_like(text, patterns)
  for _, pattern in ipairs(patterns or {}) do
    if text:find(pattern) then return true end
  end
  return false
end

local function fits(rule, text, is_exec)
  if rule.exec and not is_exec then return false end
  for _, wanted in ipairs(rule.all or {}) do
    if not text:find(wanted, 1, true) then return false end
  end
  if has_any(text, rule.none) then return false end
  if (rule.any or rule.like) and not (has_any(text, rule.any) or has_like(text, rule.like)) then
    return false
  end
  return not rule.also or has_any(text, rule.also)
end

-- A mount of many layers makes a long complaint, with its cause at the end. Matching takes time
-- that grows faster than the text.
local function shortened(text)
  if #text <= 6000 then return text end
  return text:sub(1, 3000) .. "\n" .. text:sub(-3000)
end

local function first_fit(rules, text, is_exec)
  if text == "" then return end
  for _, rule in ipairs(rules) do
    if fits(rule, text, is_exec) then return rule end
  end
end

-- ---- details ---------------------------------------------------------------------------

local function controller_of(text)
  local name = text:match "controller `(%l+)`" or text:match "[/`](%l+)%.[%l_.]+%f[:` ]"
    or text:match "/cgroup/(%l+)[/,]"
  local known = { memory = "MEMORY", pids = "PIDS", cpu = "CPU", cpuset = "CPUSET", io = "IO" }
  return known[name]
end

local function trouble_of(text)
  if text:find("refused", 1, true) then return "REFUSED" end
  if has_any(text, { "no such host", "misbehaving", "name resolution" }) then return "DNS" end
  if has_any(text, { "timeout", "timed out", "deadline exceeded" }) then return "TIMEOUT" end
  if has_any(text, { "x509", "certificate", "tls:", "https client" }) then return "TLS" end
  if text:find "status[^\n]*5%d%d" then return "HTTP_5XX" end
end

-- Where a published port stands. Any other number after a colon is something else.
local PORT_FORMS = {
  "failed to bind port (%d+)",
  "listen failed for %l+ %l+ port [^%s]-/?(%d+):",
  "failed to bind any port for '%-[tu] [^']-(%d+)[:%-']",
  "privileged port (%d+)",
  "conflicting port mappings for host port (%d+)",
  "listen [tu][cd]p[46]? [^%s]*:(%d+): bind: ",
  "listen sctp[46]? [^%s]*:(%d+): bind: ",
  "proxy already running for %l+ on [^%s\"]*:(%d+)",
  "bind for [^%s]*:(%d+) failed",
  "cannot bind %l+ port [^%s]-(%d+):",
}

local function port_of(text)
  for _, form in ipairs(PORT_FORMS) do
    local port = tonumber(text:match(form))
    if port and port >= 1 and port <= 65535 then return port end
  end
end

local function answer(rule, text)
  local subclass = rule[2]
  if subclass == "@controller" then subclass = controller_of(text) end
  if subclass == "@network" then subclass = trouble_of(text) end
  return {
    class = rule[1],
    subclass = subclass or nil,
    port = rule[1] == "PORT_CONFLICT" and port_of(text) or nil,
    alternatives = rule.alternatives,
  }
end

local function classify(request)
  local stderr = request.stderr or ""
  -- 255 is what `podman exec` ends with when it fails itself. A NUL is what the reader of an
  -- empty answer found; it is there in raw output and lost in a text that was copied.
  local is_exec = request.exit_code == 255 or stderr:find("\0", 1, true) ~= nil
  local rule = first_fit(HIDDEN, stderr:lower(), is_exec)
  if rule then return answer(rule, stderr:lower()) end
  local parts = read(stderr)
  local vague
  for _, level in ipairs { "cause", "error", "plain", "warning" } do
    local text = shortened(parts[level]:lower())
    rule = first_fit(RULES, text, is_exec)
    if rule and not rule.vague then return answer(rule, text) end
    vague = vague or (rule and answer(rule, text))
  end
  if vague then return vague end
  rule = first_fit(FOREIGN, shortened(parts.plain:lower()))
  if rule then return answer(rule, parts.plain) end
  -- 125 is podman itself, before any runtime: it did not like what it was told.
  if parts.cause ~= "" and request.exit_code == 125 then return { class = "USAGE" } end
  return { class = "UNKNOWN" }
end

-- ---- what to change --------------------------------------------------------------------

local function give_up(hint)
  return { action = "give_up", hint = hint }
end

local function try(changes, warning)
  return { action = "retry", changes = changes, warning = warning }
end

local function times_tried(request, change)
  local count = 0
  for _, changes in ipairs(request.tried or {}) do
    if changes[change] ~= nil then count = count + 1 end
  end
  return count
end

-- An installed OCI runtime that is neither in use, nor tried, nor the one that complains.
local function other_runtime(request)
  local used = { [request.plan.runtime or ""] = true }
  for _, changes in ipairs(request.tried or {}) do used[changes.runtime or ""] = true end
  for _, name in ipairs((request.host or {}).runtimes or {}) do
    local complains = (request.stderr or ""):find("%f[%w]" .. name .. "[: ]")
    if not used[name] and not complains then return name end
  end
end

local function with_other_runtime(request, hint)
  local runtime = other_runtime(request)
  if runtime then return try { runtime = runtime } end
  return give_up(hint)
end

local function without_limits(request)
  if request.subclass == "HYBRID" then
    return with_other_runtime(request, "install runc: this host's cgroups are in hybrid mode, "
      .. "which crun does not support")
  end
  local plan = request.plan
  local dropped = plan.drop_limits or times_tried(request, "drop_limits") > 0
  if dropped or next(plan.limits or {}) == nil then
    return with_other_runtime(request, "see `podman info` for cgroupManager and cgroupControllers; "
      .. "a rootless user needs a login session, or `loginctl enable-linger`")
  end
  if plan.require_resource_limits or (request.fields or {}).require_resource_limits then
    return give_up("this host cannot apply the limits; set require_resource_limits = false to "
      .. "start without them")
  end
  return try({ drop_limits = true },
    "resource limits are not available on this host: the session runs without them")
end

local function is_published(ports, port)
  for _, published in ipairs(ports) do
    if published == port then return true end
  end
  return false
end

local function without_port(request)
  local ports = request.plan.ports or {}
  if #ports == 0 then return give_up "no port is published, so none can be given up" end
  local port = request.port
  if port and is_published(ports, port) then
    local why = request.subclass == "PRIVILEGED" and "this user may not publish it"
      or "another program holds it"
    return try({ drop_ports = { port } }, ("port %d is not published: %s"):format(port, why))
  end
  return try({ drop_ports = "all" },
    "no port is published: one of them is held, and podman does not say which")
end

local function without_stale(request)
  if times_tried(request, "remove_stale") > 0 then
    return give_up "something else holds the name; `podman ps --all --external` shows it"
  end
  return try { remove_stale = true }
end

local function with_fallback(request)
  local plan = request.plan
  if plan.fallback and plan.fallback ~= plan.image and times_tried(request, "image") == 0 then
    return try({ image = plan.fallback }, ("the image %s cannot be had (%s), so %s runs instead")
      :format(plan.image or "asked for", request.class:lower():gsub("_", " "), plan.fallback))
  end
end

local function with_pull(request)
  local plan = request.plan
  local may_pull = plan.pull ~= "never" and not plan.pulled and times_tried(request, "pull") == 0
  if request.subclass == "NOT_LOCAL" and may_pull then return try { pull = true } end
  return with_fallback(request) or give_up(("get the image with `podman pull %s`, or name another")
    :format(plan.image or "IMAGE"))
end

local function with_registry(request)
  local decision = with_fallback(request)
  if decision then return decision end
  local may_pass = request.subclass == "TIMEOUT" or request.subclass == "HTTP_5XX"
  if may_pass and times_tried(request, "wait") == 0 then return try { wait = 2, pull = true } end
  local hints = {
    IMAGE_DENIED = "`podman login REGISTRY`, or name another image",
    RATE_LIMIT = "wait, or `podman login` for a higher limit",
  }
  return give_up(hints[request.class] or "check the network and the registry: `podman pull IMAGE`")
end

local function without_network(request)
  local plan = request.plan
  local hint = "`podman run --rm --network bridge IMAGE true` shows the trouble; install netavark "
    .. "and iptables (as root), or passt or slirp4netns (rootless), or set network = \"none\""
  if plan.network == "none" or times_tried(request, "network") > 0 then return give_up(hint) end
  if (request.fields or {}).network == "bridge" then return give_up(hint) end
  return try({ network = "none" },
    "podman cannot set up a network on this host: the session has none, and no published port")
end

local function with_limits_of_host(request)
  if request.plan.ulimits ~= "host" and times_tried(request, "ulimits") == 0 then
    return try { ulimits = "host" }
  end
  return with_other_runtime(request, "raise the hard limits of this process (ulimit -Hn, -Hu)")
end

local function of_runtime(request)
  local subclass = request.subclass
  if subclass == "RLIMIT" then return with_limits_of_host(request) end
  if subclass == "CONMON" or subclass == "CONMON_RACE" then
    if times_tried(request, "wait") == 0 then return try { wait = 1 } end
  elseif subclass == nil then
    return with_other_runtime(request, "`podman info` shows the runtime and its version")
  elseif subclass == "NESTED_PROC" then
    return give_up("podman runs inside a container here that may not mount /proc: give the "
      .. "outer one --security-opt unmask=ALL, or run on the host")
  elseif subclass == "EXEC_FORMAT" then
    return give_up "the image is for another processor: choose one for this machine"
  end
  return give_up "the image cannot run what it is told to; try another image"
end

local function of_missing_program(request)
  if request.subclass ~= "INIT_MISSING" then
    return with_other_runtime(request, "install crun or runc, and conmon")
  end
  if request.plan.init == false or times_tried(request, "init") > 0 then
    return give_up "install catatonit"
  end
  return try({ init = false }, "catatonit is not installed: processes that lose their parent stay "
    .. "behind as zombies")
end

local function after_a_while(request)
  local waited = times_tried(request, "wait")
  if waited < 3 then return try { wait = 2 ^ waited, pull = request.stage == "pull" or nil } end
  return give_up "another podman holds the database: `ps -C podman` shows it"
end

local STRATEGIES = {
  CGROUP = without_limits, PORT_CONFLICT = without_port, NAME_IN_USE = without_stale,
  IMAGE_NOT_FOUND = with_pull, IMAGE_DENIED = with_registry, RATE_LIMIT = with_registry,
  REGISTRY_UNREACHABLE = with_registry, NETWORK_BACKEND = without_network,
  OCI_RUNTIME = of_runtime, RUNTIME_MISSING = of_missing_program, STORAGE_LOCKED = after_a_while,
}

-- What a person can do about the others.
local HINTS = {
  CONFIG = "`podman info` must work for this user first; check HOME, XDG_RUNTIME_DIR and "
    .. "containers.conf",
  HOST_RESOURCES = "this host has run out of files, memory or processes; see `ulimit -a`",
  INTERNAL = "try once more; `podman --log-level debug info` tells more",
  KEYRING_QUOTA = "raise the quota of kernel keys: sysctl -w kernel.keys.maxkeys=20000",
  MACHINE_NOT_RUNNING = "`podman machine start`, or check `podman system connection list`",
  MOUNT_SOURCE_MISSING = "the session's directory must exist where podman runs (on a Mac: be "
    .. "shared with the machine)",
  NO_SPACE = "free disk space where podman keeps its storage: `podman system df`",
  NUM_LOCKS = "remove containers and volumes that are no longer needed (`podman ps --all`, "
    .. "`podman volume ls`), or raise num_locks in containers.conf and run "
    .. "`podman system renumber`",
  OOM = "raise the memory limit: limits = { memory = \"512m\" }",
  PAUSE_PROCESS = "remove the stale file pause.pid in $XDG_RUNTIME_DIR/libpod/tmp when no podman "
    .. "runs; `podman system migrate` does it too, and stops containers",
  PIDS_EXHAUSTED = "the process limit is used up: raise limits.pids",
  REMOVE_FAILED = "`podman rm --force --time 0 CONTAINER`",
  SELINUX_MOUNT = "the container may not read the directory: check its owner and SELinux label",
  STORAGE_CORRUPT = "remove the image that is named and pull it again: `podman rmi --force IMAGE`",
  SUBUID = "give the user a range: usermod --add-subuids 100000-165535 --add-subgids "
    .. "100000-165535 USER; and install uidmap",
  USAGE = "podman does not accept what it was told: check the policy table and the ports",
  USERNS_BLOCKED = "allow unprivileged user namespaces: see sysctl user.max_user_namespaces, "
    .. "kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns",
}

local function decide(request)
  request.plan = request.plan or {}
  if (request.attempt or 1) > MAX_ATTEMPTS then
    return give_up(("%d changes did not help"):format(MAX_ATTEMPTS))
  end
  local strategy = STRATEGIES[request.class]
  if strategy then return strategy(request) end
  return give_up(HINTS[request.class] or "`podman --log-level debug` tells more")
end

return function(request)
  if request.op == "classify" then return classify(request) end
  return decide(request)
end
