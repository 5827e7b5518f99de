-- How a session's container is made: which directory it may see, which network it gets, how
-- much memory, CPU and how many processes it may use, and how long podman may take.
--
-- Asked once at every start, before anything runs. `request` says what was asked for:
--   id, dir (the directory to mount), dir_real (the same without symbolic links), image,
--   ports, env, secret_names (the names of the variables that carry secrets), user and
--   remote_user (whom the container and its commands are to run as; a project's
--   devcontainer.json can ask for them), host = { uid, home, os, rootless },
--   places = where dir_real (first) and whatever is mounted beneath it really lie: each a path `at`,
--   its file system's number `device`, and its path `root` there (`is_layer`: it lies beneath an
--   overlay that is mounted there); mounts = this machine's mounts of
--   those file systems, in the same words (both nil where the system does not tell),
--   extra_mounts = the directories that it is to have besides: each { source, source_real, target,
--   writable, places, mounts }, in the same words,
--   fields = what the calling program set in its `policy` table.
-- The answer is either { deny = "the reason" } or a whole decision as at the end of this file.
--
-- To change one thing for all sessions of this machine, put a file of the same name into
-- /etc/axosandbox/policy that calls `default(request)` and changes what it returns; README.md
-- beside this file shows how.

-- Defaults. A calling program can override these for one session.
local MEMORY = "2g"
local CPUS = 2
local PROCESSES = 512
-- Of /dev/shm. What is in it counts as memory; browsers and databases want more, such as 1g.
local SHM_SIZE = "64m"

-- Variables of this machine that a project's devcontainer.json may read as ${localEnv:NAME}.
-- Never one that holds a secret: what is read here goes into the container, and in an image's
-- name to that image's registry.
local LOCAL_ENV = { "LANG", "LC_ALL", "TERM", "TZ" }

-- Variables that a project's devcontainer.json may set where its commands may not run: those that
-- are known to choose no code that the session's commands run. Any other could: CC, GIT_SSH,
-- NODE_OPTIONS and hundreds more, and each new tool brings its own. (DEBIAN_FRONTEND is missing on
-- purpose: debconf runs what it holds.) A star at the end stands for any rest of the name.
local PROJECT_ENV = {
  "LANG", "LANGUAGE", "LC_*", "TZ", "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "CLICOLOR",
  "CLICOLOR_FORCE", "COLUMNS", "LINES", "CI", "DEBUG", "LOG_LEVEL", "LOGLEVEL", "PORT",
  "SOURCE_DATE_EPOCH", "NODE_ENV", "RAILS_ENV", "RACK_ENV", "MIX_ENV", "APP_*", "MY_*",
  "ASPNETCORE_ENVIRONMENT", "ASPNETCORE_URLS",
  "DOTNET_ENVIRONMENT", "DOTNET_NOLOGO", "DOTNET_CLI_TELEMETRY_OPTOUT", "DO_NOT_TRACK",
  "NEXT_TELEMETRY_DISABLED", "CHOKIDAR_USEPOLLING", "WATCHPACK_POLLING", "PYTHONUNBUFFERED",
  "PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", "PYTHONUTF8", "PYTHONHASHSEED",
  "PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_CACHE_DIR", "RUST_LOG", "RUST_BACKTRACE",
  "CARGO_TERM_COLOR", "GOMAXPROCS", "CGO_ENABLED", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES",
  "DATABASE_URL", "REDIS_URL", "MONGODB_URI", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE",
  "PGPASSWORD", "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_USER", "POSTGRES_PASSWORD",
  "POSTGRES_DB", "MYSQL_HOST", "MYSQL_PORT", "MYSQL_USER", "MYSQL_PASSWORD", "MYSQL_DATABASE",
  "MYSQL_ROOT_PASSWORD", "REDIS_HOST", "REDIS_PORT",
}

-- Seconds that podman may take: to start a container, to pull an image, to remove one.
local TIMEOUTS = { start = 120, pull = 300, stop = 30 }

-- Directories that hold the system. Neither they nor anything in them is mounted...
local SYSTEM = {
  "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/lost+found",
  "/nix", "/ostree", "/proc", "/run", "/sbin", "/snap", "/sys", "/sysroot", "/usr",
  "/var/backups", "/var/cache", "/var/db", "/var/lib/containers", "/var/lib/docker",
  "/var/lock", "/var/log", "/var/mail", "/var/run", "/var/spool",
  "/Applications", "/Library", "/System", "/cores",
}
-- ... but for these, where people do keep projects.
local PROJECTS = { "/run/media", "/usr/src", "/usr/local/src", "/nix/persist/home" }

-- Directories that hold other directories. What is in them may be mounted, they may not.
local SHARED = {
  "/", "/home", "/media", "/mnt", "/opt", "/srv", "/tmp", "/var", "/var/home",
  "/var/lib", "/var/tmp", "/var/www", "/Users", "/Volumes", "/private", "/run/media",
  "/usr/src", "/usr/local/src", "/persist/home", "/nix/persist/home",
}

-- Where homes are. A whole home is never mounted, whoever's it is.
local HOMES = { "/home", "/var/home", "/Users", "/persist/home", "/nix/persist/home" }

-- Places in a home that hold keys, passwords, settings and other programs' data.
local PRIVATE = {
  ".aws", ".azure", ".config", ".docker", ".gnupg", ".kube", ".local/share/containers",
  ".local/share/keyrings", ".local/state", ".mozilla", ".password-store", ".pki", ".ssh",
  ".thunderbird", "Library",
}

local function is_in(path, dir)
  return path == dir or path:sub(1, #dir + 1) == dir .. "/"
end

local function holds(dir, path)
  return dir == "/" or is_in(path, dir)
end

-- The path with single slashes and none at the end; nil and why not when it cannot be judged.
local function tidy(path)
  if path:sub(1, 1) ~= "/" then return nil, "it is not an absolute path" end
  for part in path:gmatch "[^/]+" do
    if part == "." or part == ".." then return nil, 'it holds "' .. part .. '"' end
  end
  path = path:gsub("/+", "/")
  if #path > 1 then path = path:gsub("/$", "") end
  return path
end

local function homes_around(dir, host)
  local homes = { "/root" }
  if host.home and host.home ~= "/" then homes[#homes + 1] = host.home end
  for _, parent in ipairs(HOMES) do
    local user = dir:match("^" .. parent .. "/([^/]+)")
    if user then homes[#homes + 1] = parent .. "/" .. user end
  end
  return homes
end

local function problem_with_home(dir, home)
  if dir == home then
    return "it is a home directory, with its keys and settings; a directory in it will do"
  end
  if holds(dir, home) then return "it holds the home directory " .. home end
  for _, name in ipairs(PRIVATE) do
    local private = home .. "/" .. name
    if is_in(dir, private) or holds(dir, private) then
      return private .. " holds private data"
    end
  end
end

local function problem_with_system(dir)
  for _, shared in ipairs(SHARED) do
    if dir == shared then return "it is shared by many programs or users" end
  end
  for _, project in ipairs(PROJECTS) do
    if is_in(dir, project) then return end
  end
  for _, system in ipairs(SYSTEM) do
    if is_in(dir, system) then return system .. " belongs to the system" end
    if holds(dir, system) then return "it holds " .. system end
  end
end

-- Why `path` may not be mounted; nil when it may.
local function problem_with(path, host)
  local dir, problem = tidy(path)
  if not dir then return problem end
  -- A Mac keeps /etc, /tmp and /var in /private.
  if host.os == "Darwin" then dir = dir:gsub("^/private/", "/") end
  problem = problem_with_system(dir)
  for _, home in ipairs(homes_around(dir, host)) do
    problem = problem or problem_with_home(dir, home)
  end
  return problem
end

-- Whole disks are mounted in places of the system too (/sysroot, a backup of everything): that what
-- lies on them can be reached that way makes none of it the system's.
local HOLD_EVERYTHING = { ["/"] = true, ["/home"] = true, ["/var"] = true, ["/var/home"] = true }

local function is_whole_disk(mount, mounts)
  for _, other in ipairs(mounts) do
    if HOLD_EVERYTHING[other.at] and other.at ~= mount.at and other.device == mount.device
      and holds(mount.root, other.root) then
      return problem_with_system(mount.at) ~= nil
    end
  end
  return false
end

local function join(dir, rest)
  return rest == "" and dir or (dir == "/" and "" or dir) .. rest
end

-- What of `path` lies behind `dir`: "" or "/...".
local function behind(path, dir)
  if path == dir then return "" end
  return path:sub(dir == "/" and 1 or #dir + 1)
end

local function is_home(path, host)
  for _, home in ipairs(homes_around(path, host)) do
    if path == home then return true end
  end
  return false
end

-- In a container that is made to work in (toolbox, distrobox), the home is mounted where it is on
-- the machine, and the machine as a whole in a place of the system, such as /run/host. By the home
-- it is known what the machine itself calls that mount; nil where there is no such home.
local function own_name(mount, mounts, host)
  if not problem_with_system(mount.at) then return nil end
  for _, other in ipairs(mounts) do
    if other.at ~= mount.at and other.device == mount.device and holds(mount.root, other.root)
      and is_home(other.at, host) then
      local rest = behind(other.root, mount.root)
      local there = other.at:sub(1, #other.at - #rest)
      if join(there, rest) == other.at then return there == "" and "/" or there end
    end
  end
end

-- Why what lies at `place` may not be mounted, by the other names that it has: a bind mount shows
-- /etc, a home or its keys under any name. nil when it may.
local function problem_elsewhere(place, mounts, host)
  for _, mount in ipairs(mounts) do
    local same = mount.device == place.device and not is_whole_disk(mount, mounts)
    if same and holds(mount.root, place.root) then
      local rest = behind(place.root, mount.root)
      local name = join(own_name(mount, mounts, host) or mount.at, rest == "/" and "" or rest)
      local problem = name ~= place.at and problem_with(name, host)
      if problem then return ("it is %s by another name, and %s"):format(name, problem) end
    elseif same and holds(place.root, mount.root) and not holds(place.at, mount.at) then
      local problem = problem_with(mount.at, host)
      if problem then return ("it holds what is mounted at %s: %s"):format(mount.at, problem) end
    end
  end
end

local function problem_with_places(request, host)
  for i, place in ipairs(request.places or {}) do
    local problem = problem_elsewhere(place, request.mounts or {}, host)
    if problem and i == 1 then return problem end
    if problem and place.is_layer then
      return ("%s shows what lies beneath it: %s"):format(place.at, problem)
    end
    if problem then return ("%s is mounted in it, and %s"):format(place.at, problem) end
  end
end

local function is_in_any(path, dirs)
  for _, dir in ipairs(dirs or {}) do
    local tidied = tidy(dir)
    if tidied and is_in(path, tidied) then return true end
  end
  return false
end

local NOT_ALLOWED = "only the session's directory is mounted unless policy allows more: list %s in "
  .. "%s of the policy table (axolua run %s %s), or have a sandbox.lua do so"

-- Extra mounts are allowed by directories that hold them; to be written, by a list of its own. What
-- the session has anyway it may have at another path, too.
local function problem_with_permission(mount, fields, own)
  if own and is_in(mount.source_real, own) then return end
  if is_in_any(mount.source_real, fields.allow_writable_mounts) then return end
  if not mount.writable and is_in_any(mount.source_real, fields.allow_mounts) then return end
  local field = mount.writable and "allow_writable_mounts" or "allow_mounts"
  local option = mount.writable and "--allow-writable-mount" or "--allow-mount"
  return NOT_ALLOWED:format(mount.source_real, field, option, mount.source_real)
end

-- What no session's directory may be, no extra mount is either, whoever allows it.
local function problem_with_mount(mount, fields, host, own)
  return problem_with(mount.source, host) or problem_with(mount.source_real, host)
    or problem_with_places(mount, host) or problem_with_permission(mount, fields, own)
end

-- Those that are granted, or why one is not.
local function extra_mounts(request, fields, host)
  local granted = {}
  for i, mount in ipairs(request.extra_mounts or {}) do
    local problem = problem_with_mount(mount, fields, host, request.dir_real)
    if problem then
      return nil, ("the directory %s may not be mounted: %s"):format(mount.source, problem)
    end
    granted[i] = { source = mount.source_real, target = mount.target, writable = mount.writable }
  end
  return granted
end

local function pick(value, default)
  if value == nil then return default end
  return value
end

local function limits(asked)
  asked = asked or {}
  return {
    memory = pick(asked.memory, MEMORY),
    cpus = pick(asked.cpus, CPUS),
    pids = pick(asked.pids, PROCESSES),
  }
end

local function with(list, more)
  local all = {}
  for _, name in ipairs(list) do all[#all + 1] = name end
  for _, name in ipairs(more or {}) do all[#all + 1] = name end
  return all
end

return function(request)
  local fields = request.fields or {}
  local host = request.host or {}
  local named = { request.dir }
  if request.dir_real ~= request.dir then named[#named + 1] = request.dir_real end
  for _, dir in ipairs(named) do
    local problem = problem_with(dir, host)
    if problem then
      return { deny = ("the directory %s may not be mounted: %s"):format(dir, problem) }
    end
  end
  local problem = problem_with_places(request, host)
  if problem then
    return { deny = ("the directory %s may not be mounted: %s"):format(request.dir, problem) }
  end
  local mounts, refusal = extra_mounts(request, fields, host)
  if not mounts then return { deny = refusal } end
  return {
    -- "bridge": outgoing connections work. "none": no network at all. { allow = { ... } }: these
    -- names, as egress.lua decides on each.
    network = fields.network or "bridge",
    limits = limits(fields.limits),
    shm_size = fields.shm_size or SHM_SIZE,
    -- true: no session starts on a machine where a limit does not really apply.
    require_resource_limits = fields.require_resource_limits or false,
    -- Published ports are reached on this address only.
    publish_address = fields.publish_address or "127.0.0.1",
    -- nil: the user that the image names.
    user = fields.user or request.user,
    -- Whom the commands of a devcontainer.json run as; nil: the container's user.
    remote_user = not fields.user and request.remote_user or nil,
    local_env = with(LOCAL_ENV, fields.local_env),
    project_env = fields.allow_post_create and { "*" } or with(PROJECT_ENV, fields.project_env),
    -- Directories of this machine besides the session's own: what of request.extra_mounts is granted,
    -- each { source = its source_real, target = ..., writable = ... }.
    mounts = mounts[1] and mounts or nil,
    -- Passed on to exec.lua.
    exec = fields.exec or {},
    -- The host's proxy variables often carry passwords.
    http_proxy = false,
    timeouts = TIMEOUTS,
    -- A first process that reaps what is left behind, so that zombies do not use up the
    -- process limit.
    init = true,
    -- Whether files may be made set-user-id or set-group-id, with chmod or by installing packages
    -- such as sudo. Such a program in the session's directory runs as its owner, for every user of
    -- this machine that can reach it: as root where podman is run by root, so there it is off.
    setuid = pick(fields.setuid, host.rootless == true),
    -- Whether programs may make user namespaces (bubblewrap, `unshare -r`). In one they have every
    -- capability: much more of the kernel can be attacked from there.
    nested_namespaces = fields.nested_namespaces or false,
    -- Whether a user of the container other than root is made the one who runs podman, where that is
    -- not root: it can then write the session's directory, and what it writes there is yours.
    keep_id = pick(fields.keep_id, host.rootless == true),
  }
end
