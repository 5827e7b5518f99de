--- What the host sees of a container: its processes, by pid namespace, straight from /proc.
--- Nothing here asks podman or the engine what is running.
local uv = require "luv"
local podman = require "spec.support.podman"
local proc = require "spec.support.proc"
local shared = require "spec.support.shared"
local temp = require "spec.support.temp"

local probe = {}

local function pids()
  local list = {}
  local scan = assert(uv.fs_scandir "/proc")
  for name in function() return uv.fs_scandir_next(scan) end do
    if name:find "^%d+$" then list[#list + 1] = name end
  end
  return list
end

local function state_of(pid)
  local stat = temp.read("/proc/" .. pid .. "/stat")
  return stat and stat:match "^%d+ %(.*%) (%a)"
end

local function command_of(pid)
  local bytes = temp.read("/proc/" .. pid .. "/cmdline")
  return bytes and bytes:gsub("%z$", ""):gsub("%z", " ")
end

--- The host's pid of the container's first process.
---@return integer
function probe.init_pid(container)
  local details = podman.inspect(container)
  assert(details and details.State.Pid > 0, container .. " is not running")
  return details.State.Pid
end

--- A view on one container that stays valid for as long as it runs.
---@return { processes: fun(): table[], find: fun(text: string): table[] }
function probe.container(container)
  local first = probe.init_pid(container)
  local namespace = assert(uv.fs_readlink(("/proc/%d/ns/pid"):format(first)))
  local view = { pid = first }

  --- Every process of the container: { pid, command, state }; zombies have state "Z".
  function view.processes()
    local list = {}
    for _, pid in ipairs(pids()) do
      if uv.fs_readlink(("/proc/%s/ns/pid"):format(pid)) == namespace then
        list[#list + 1] = { pid = tonumber(pid), command = command_of(pid) or "",
          state = state_of(pid) or "X" }
      end
    end
    return list
  end

  --- Those whose command line holds `text`.
  function view.find(text)
    local list = {}
    for _, process in ipairs(view.processes()) do
      if process.command:find(text, 1, true) and not process.state:find "[ZX]" then
        list[#list + 1] = process
      end
    end
    return list
  end

  --- Waits until a process with `text` in its command line runs.
  function view.await(text)
    return proc.eventually(function() return view.find(text)[1] end,
      "a process in the container with " .. text)
  end

  --- Waits until no such process runs.
  function view.await_gone(text)
    proc.eventually(function() return #view.find(text) == 0 end,
      "the end of every process in the container with " .. text)
  end

  return view
end

local uniques = 0

--- A number of seconds for `sleep` that no other process on this machine uses: its command
--- line is found again by it.
---@return string
function probe.unique_sleep()
  uniques = uniques + 1
  return ("8%07d.%d"):format(string.unpack("I3", uv.random(3)) % 10000000, uniques)
end

--- Direct children of this process whose command line holds every one of `...`.
---@return integer[] pids
function probe.children(...)
  local found = {}
  for _, pid in ipairs(pids()) do
    local stat = temp.read("/proc/" .. pid .. "/stat")
    local parent = stat and tonumber(stat:match "^%d+ %(.*%) %a (%d+)")
    local command = command_of(pid) or ""
    local matches = parent == uv.os_getpid()
    for _, text in ipairs { ... } do
      matches = matches and command:find(text, 1, true) ~= nil
    end
    if matches then found[#found + 1] = tonumber(pid) end
  end
  return found
end

--- Processes on this host, monitors of containers among them, whose command line holds
--- `text`.
---@return string[] command lines
function probe.on_host(text)
  local found = {}
  for _, pid in ipairs(pids()) do
    local command = command_of(pid) or ""
    if command:find(text, 1, true) then found[#found + 1] = command end
  end
  return found
end

--- Resident memory in bytes.
---@param pid integer? this process when left out
function probe.resident(pid)
  local statm = assert(temp.read(("/proc/%s/statm"):format(pid or "self")))
  return tonumber(statm:match "^%d+ (%d+)") * 4096
end

local V1 = { memory = { "memory", "memory.limit_in_bytes" }, pids = { "pids", "pids.max" } }

local function cgroup_path(pid, controller)
  for line in temp.read(("/proc/%d/cgroup"):format(pid)):gmatch "[^\n]+" do
    local controllers, path = line:match "^%d+:([^:]*):(.*)$"
    if controller == "" and controllers == "" then return path end
    for name in controllers:gmatch "[^,]+" do
      if name == controller then return path end
    end
  end
end

local function first_number(path)
  local text = temp.read(path)
  return text and tonumber(text:match "^%d+")
end

--- The limits that the kernel holds for a process, read from its cgroup on the host.
---@return { memory: integer?, pids: integer?, cpus: number? }
function probe.limits(pid)
  local root = "/sys/fs/cgroup"
  if podman.is_cgroup_v2() then
    local dir = root .. cgroup_path(pid, "")
    local quota, period = (temp.read(dir .. "/cpu.max") or ""):match "(%d+) (%d+)"
    return { memory = first_number(dir .. "/memory.max"),
      pids = first_number(dir .. "/pids.max"), cpus = quota and quota / period }
  end
  local limits = {}
  for key, where in pairs(V1) do
    local path = cgroup_path(pid, where[1])
    limits[key] = path and first_number(("%s/%s%s/%s"):format(root, where[1], path, where[2]))
  end
  local cpu = cgroup_path(pid, "cpu")
  local quota = cpu and first_number(root .. "/cpu" .. cpu .. "/cpu.cfs_quota_us")
  local period = cpu and first_number(root .. "/cpu" .. cpu .. "/cpu.cfs_period_us")
  limits.cpus = quota and period and quota / period
  return limits
end

--- Leaves a process's cgroup so much of the processors from now on.
---@param cpus number
function probe.throttle(pid, cpus)
  local root, period = "/sys/fs/cgroup", 100000
  local quota = ("%d"):format(cpus * period)
  if podman.is_cgroup_v2() then
    temp.write(("%s%s/cpu.max"):format(root, cgroup_path(pid, "")), quota .. " " .. period)
  else
    temp.write(("%s/cpu%s/cpu.cfs_quota_us"):format(root, cgroup_path(pid, "cpu")), quota)
  end
end

local function find_limits_apply()
  local container = podman.start { "--network", "none", "--pids-limit", "77" }
  local apply = probe.limits(probe.init_pid(container)).pids == 77
  podman.must("rm", "-f", "-t", "0", container)
  return apply
end

--- Whether this user's limits reach the kernel here, which podman's success does not tell:
--- found by trying. Where they do not, nothing would stop a fork bomb but the machine's end.
---@return boolean
function probe.limits_apply() return shared.once("limits-apply", find_limits_apply) end

return probe
