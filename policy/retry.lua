-- What podman's complaint means, and what to change before trying again. Asked in two ways:
--
-- request.op == "classify": request.stderr is what podman printed, request.parts the same by
--   the kind of its lines, request.exit_code how it ended. The answer: { class, subclass, port, alternatives }; see retry/classify.lua.
-- request.op == "retry": a start has failed. The request holds class, subclass, port, stderr,
--   exit_code, attempt (1 after the first failure), tried (the changes made so far), plan (what
--   was attempted: image, fallback, pull, network, ports, required_ports, limits, ulimits,
--   runtime, init ...), stage ("pull" or "run"), host = { nofile, nproc, runtimes, firewalls =
--   what is installed of them }, holders = which of the ports a session of this user publishes
--   ({ port, session }, of a conflict), fields.
--   The answer:
--   { action = "retry", changes, warning } or { action = "give_up", hint }.
local classify, rules = part "classify", part "rules"

-- At most so many changes for one start.
local MAX_ATTEMPTS = 8

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
    return give_up("this host cannot apply the limits: do not require them, to start without")
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

local OPTIONAL = "make it optional (axolua run --optional-port N)"

local function session_on(request, port)
  for _, it in ipairs(request.holders or {}) do
    if it.port == port then return it.session end
  end
end

local function holder_of(request, port)
  local session = session_on(request, port)
  if not session then return "another program holds it" end
  return ("the session %s holds it (axolua stop %s ends that)"):format(session, session)
end

-- podman says that one is held, and not which.
local function holder_of_one(request, ports)
  for _, port in ipairs(ports) do
    local session = session_on(request, port)
    if session then
      return ("the session %s holds %d (axolua stop %s ends it)"):format(session, port, session)
    end
  end
  return "another program uses one of them, and podman does not say which"
end

-- Who asked for a port does not get a session without it; one that is optional is given up.
local function without_port(request)
  local ports, required = request.plan.ports or {}, request.plan.required_ports or {}
  if #ports == 0 then return give_up "no port is published, so none can be given up" end
  local port = request.port
  if port and is_published(ports, port) then
    local why = request.subclass == "PRIVILEGED" and "this user may not publish it"
      or holder_of(request, port)
    if is_published(required, port) then
      return give_up(("port %d was asked for, and %s: choose another, or %s"):format(
        port, why, OPTIONAL))
    end
    return try({ drop_ports = { port } }, ("port %d is not published: %s"):format(port, why))
  end
  local held = holder_of_one(request, ports)
  if #required == #ports then
    return give_up(("ports were asked for (%s), and %s: choose others, or %s"):format(
      table.concat(ports, ", "), held, OPTIONAL))
  end
  if #required == 0 then return try({ drop_ports = "all" }, "no port is published: " .. held) end
  local others = {}
  for _, one in ipairs(ports) do
    if not is_published(required, one) then others[#others + 1] = one end
  end
  return try({ drop_ports = others }, ("not published: %s (%s)"):format(
    table.concat(others, ", "), held))
end

local function without_stale(request)
  if times_tried(request, "remove_stale") > 0 then
    return give_up "another container has this name; `podman ps --all --external` shows it"
  end
  return try { remove_stale = true }
end

local function with_fallback(request)
  local plan = request.plan
  if plan.fallback and plan.fallback ~= plan.image and times_tried(request, "image") == 0 then
    return try({ image = plan.fallback }, ("the image %s cannot be downloaded (%s), so %s runs")
      :format(plan.image or "asked for", request.class:lower():gsub("_", " "), plan.fallback))
  end
end

local function with_pull(request)
  local plan = request.plan
  local may_pull = plan.pull ~= "never" and not plan.pulled and times_tried(request, "pull") == 0
  if request.subclass == "NOT_LOCAL" and may_pull then return try { pull = true } end
  local image = plan.image or "IMAGE"
  local get = ("get the image with `podman pull %s`"):format(image)
  -- No registry has that name.
  if image:find "^localhost/" then
    get = ("make the image: `podman build -t %s`, or `axolua image make`"):format(image)
  end
  return with_fallback(request) or give_up(get .. ", or name another")
end

local function with_registry(request)
  local decision = with_fallback(request)
  if decision then return decision end
  local may_pass = request.subclass == "TIMEOUT" or request.subclass == "HTTP_5XX"
  if may_pass and times_tried(request, "wait") == 0 then return try { wait = 2, pull = true } end
  local image = request.plan.image or "IMAGE"
  local registry = image:match "^([^/]+)/" or "REGISTRY"
  local hints = {
    IMAGE_DENIED = ("`podman login %s`, or name another image"):format(registry),
    RATE_LIMIT = ("wait, or `podman login %s` for a higher limit"):format(registry),
  }
  return give_up(hints[request.class]
    or ("check the network and the registry: `podman pull %s`"):format(image))
end

-- What netavark may write its rules with instead of what it complains about.
local function other_firewall(request)
  if request.plan.firewall then return nil end
  local text = (request.stderr or ""):lower()
  local other
  if text:find "%f[%w]nft" then other = "iptables" end
  if text:find "iptables" or request.subclass == "IPTABLES_MISSING" then other = "nftables" end
  for _, name in ipairs((request.host or {}).firewalls or {}) do
    if name == other and times_tried(request, "firewall") == 0 then return name end
  end
end

local NO_RESOLV_CONF = "this host has no /etc/resolv.conf, which containers get a copy of: make "
  .. "one that names a DNS server (`echo nameserver ADDRESS > /etc/resolv.conf`, as root), or set "
  .. "network = \"none\""

local NO_NETWORK = "`podman run --rm --network bridge IMAGE true` shows the trouble; install "
  .. "netavark with nftables (before netavark 1.10: iptables), rootless passt or slirp4netns as "
  .. "well, or set network = \"none\""

local function without_network(request)
  local plan = request.plan
  local hint = request.subclass == "RESOLV_CONF" and NO_RESOLV_CONF or NO_NETWORK
  local firewall = plan.network ~= "none" and other_firewall(request)
  if firewall then return try { firewall = firewall } end
  if plan.network == "none" or times_tried(request, "network") > 0 then return give_up(hint) end
  if (request.fields or {}).network == "bridge" then return give_up(hint) end
  if #(plan.required_ports or {}) > 0 then
    return give_up("a port was asked for, which needs a network: " .. hint)
  end
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
  elseif subclass == "NO_SUCH_USER" then
    return give_up "name a user that the image has (/etc/passwd, /etc/group in it), or UID:GID"
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
  OOM = "the memory limit is too low: raise it, for example to 512m",
  PAUSE_PROCESS = "remove the stale file pause.pid in $XDG_RUNTIME_DIR/libpod/tmp when no podman "
    .. "runs; `podman system migrate` does it too, and stops containers",
  PIDS_EXHAUSTED = "the limit on processes is used up: raise it, or stop some of them",
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
    return give_up(("%d other ways were tried, and none worked"):format(MAX_ATTEMPTS))
  end
  local strategy = STRATEGIES[request.class]
  if strategy then return strategy(request) end
  return give_up(HINTS[request.class] or "`podman --log-level debug` tells more")
end

return function(request)
  if request.op == "classify" then return classify(rules, request) end
  return decide(request)
end
