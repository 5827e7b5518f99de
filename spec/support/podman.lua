--- The real podman, without the engine in between.
local uv = require "luv"
local cjson = require "cjson"
local images = require "spec.support.images"
local janitor = require "spec.support.janitor"
local proc = require "spec.support.proc"
local shared = require "spec.support.shared"
local state = require "spec.support.state"
local temp = require "spec.support.temp"

local podman = {}

--- The program that the specs themselves run.
---@return string path
function podman.program()
  if not state.podman then
    local found = proc.run { "/bin/sh", "-c", "command -v podman" }
    assert(found.code == 0, "podman is not installed: these specs need the real one")
    state.podman = found.stdout:match "^(.-)\n"
  end
  return state.podman
end

function podman.is_root() return uv.getuid() == 0 end

---@return { code: integer, stdout: string, stderr: string }
function podman.run(...) return proc.run { podman.program(), ... } end
function podman.must(...) return proc.must { podman.program(), ... } end

--- `podman inspect` of a container, or nil.
---@return table?
function podman.inspect(container)
  local result = podman.run("inspect", "--type", "container", container)
  if result.code ~= 0 then return nil end
  return cjson.decode(result.stdout)[1]
end

function podman.exists(container)
  return podman.run("container", "exists", container).code == 0
end

--- The container's id: it changes when the container is replaced.
function podman.id(container)
  local details = podman.inspect(container)
  return details and details.Id
end

--- Names of this host's containers.
---@return table<string, boolean>
function podman.names()
  local names = {}
  for name in podman.must("ps", "-a", "--format", "{{.Names}}"):gmatch "[^\n]+" do
    names[name] = true
  end
  return names
end

local function hard_limits()
  local limits = proc.must { "/bin/sh", "-c", "ulimit -Hn; ulimit -Hu 2>/dev/null || ulimit -Hp" }
  local nofile, nproc = limits:match "(%S+)\n(%S+)"
  local pid_max = tonumber(temp.read "/proc/sys/kernel/pid_max")
  nproc = math.min(tonumber(nproc) or pid_max, pid_max)
  nofile = tonumber(nofile) or 1048576
  return { "--ulimit", ("nofile=%d:%d"):format(nofile, nofile),
    "--ulimit", ("nproc=%d:%d"):format(nproc, nproc) }
end

local function works(flags)
  local name = janitor.made("container", "axotest-" .. temp.token())
  local argv = { podman.program(), "run", "--rm", "--name", name }
  table.move(flags, 1, #flags, #argv + 1, argv)
  table.move({ images.base(), "true" }, 1, 2, #argv + 1, argv)
  local result = proc.run(argv)
  if result.code ~= 0 then podman.run("rm", "-f", "-t", "0", name) end
  return result.code == 0, result.stderr
end

local function find_run_flags()
  local limits = hard_limits()
  local both = { "--runtime", "runc", table.unpack(limits) }
  local complaint
  for _, flags in ipairs { {}, limits, { "--runtime", "runc" }, both } do
    local ok, stderr = works { "--network", "none", table.unpack(flags) }
    if ok then return flags end
    complaint = stderr
  end
  error("podman cannot run a container here: " .. complaint)
end

--- What a bare `podman run` must be told on this host to work at all: found by trying.
---@return string[]
function podman.run_flags() return shared.once("run-flags", find_run_flags) end

--- Starts a container of our own, not the engine's: `sleep` under podman's init.
---@param flags string[]?
---@return string name
function podman.start(flags, image)
  local name = janitor.made("container", "axotest-" .. temp.token())
  local argv = { podman.program(), "run", "-d", "--init", "--name", name }
  table.move(podman.run_flags(), 1, #podman.run_flags(), #argv + 1, argv)
  flags = flags or { "--network", "none" }
  table.move(flags, 1, #flags, #argv + 1, argv)
  table.move({ image or images.base(), "sleep", "infinity" }, 1, 3, #argv + 1, argv)
  proc.must(argv)
  return name
end

--- Whether the bridge network works at all for this user: found by trying. What /dev/net/tun
--- allows does not tell, since podman may run in a mount namespace of its own.
---@return boolean works, string? complaint
function podman.has_bridge()
  return table.unpack(shared.once("bridge", function()
    return { works { "--network", "bridge", table.unpack(podman.run_flags()) } }
  end))
end

--- Whether this host has the unified hierarchy alone. That a container of this user has a
--- cgroup in it does not follow: see podman.has_own_cgroup.
function podman.is_cgroup_v2()
  return uv.fs_stat "/sys/fs/cgroup/cgroup.controllers" ~= nil
end

local function is_in_own_cgroup()
  local container = podman.start()
  local pid = podman.inspect(container).State.Pid
  local groups = temp.read(("/proc/%d/cgroup"):format(pid)) or ""
  local is_own = groups:find(podman.id(container), 1, true) ~= nil
  podman.must("rm", "-f", "-t", "0", container)
  return is_own
end

--- Whether a container of this user gets a cgroup of its own, without which it can be neither
--- paused nor measured. root's does; anybody else's where a session manager gave the user a
--- part of a unified hierarchy, which is found by trying.
---@return boolean
function podman.has_own_cgroup()
  if podman.is_root() then return true end
  if not podman.is_cgroup_v2() then return false end
  return shared.once("own-cgroup", is_in_own_cgroup)
end

--- A program to be given as AXOSANDBOX_PODMAN: writes down what it was asked, one line a
--- call, and lets the real podman do it. `before` is shell text that runs first, with the
--- arguments as "$@" and the count of this call in $call.
---@return string program, fun(): string[] calls
function podman.recording(before)
  local dir = temp.dir()
  local log = temp.write(dir .. "/calls", "")
  local program = temp.write(dir .. "/podman", ([[
#!/bin/sh
printf '%%s\n' "$(printf '%%s ' "$@" | tr '\n' ' ')" >> %s
call=$(wc -l < %s)
%s
exec %s "$@"
]]):format(log, log, before or "", podman.program()):gsub("^\n", ""), "755")
  return program, function()
    local lines = {}
    for line in temp.read(log):gmatch "[^\n]+" do lines[#lines + 1] = line end
    return lines
  end
end

--- Runs `fn` while the engine uses `program` as its podman.
function podman.with(program, fn)
  local before = os.getenv "AXOSANDBOX_PODMAN"
  uv.os_setenv("AXOSANDBOX_PODMAN", program)
  local results = table.pack(pcall(fn))
  if before then
    uv.os_setenv("AXOSANDBOX_PODMAN", before)
  else
    uv.os_unsetenv "AXOSANDBOX_PODMAN"
  end
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

return podman
