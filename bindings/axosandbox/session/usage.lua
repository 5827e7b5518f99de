--- What a container uses, read from its cgroup: CPU time, memory, processes.
local uv = require "luv"
local await = require "axosandbox.base.await"
local cgroups = require "axosandbox.host.mounts.cgroups"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local host = require "axosandbox.host"
local limits = require "axosandbox.policy.limits"

local usage = {}

local function number_in(path)
  local text = host.read_file(path)
  return text and tonumber(text:match "^%d+")
end

--- The value of a line "key value" in a file.
local function field_in(path, key)
  local text = "\n" .. (host.read_file(path) or "")
  return tonumber(text:match("\n" .. key .. " (%d+)"))
end

-- What the kernel would drop before anything else is no memory that the session needs.
local function without_cache(total, cache)
  return total and math.max(0, total - (cache or 0))
end

local function read_cpu(dir, is_v1)
  if is_v1 then
    local nanoseconds = number_in(dir .. "/cpuacct.usage")
    return { cpu_seconds = nanoseconds and nanoseconds / 1e9 }
  end
  local microseconds = field_in(dir .. "/cpu.stat", "usage_usec")
  return { cpu_seconds = microseconds and microseconds / 1e6 }
end

local function read_memory(dir, is_v1)
  local total = number_in(dir .. (is_v1 and "/memory.usage_in_bytes" or "/memory.current"))
  local cache = field_in(dir .. "/memory.stat", is_v1 and "total_inactive_file" or "inactive_file")
  return {
    memory = without_cache(total, cache),
    memory_total = total,
    oom_kills = field_in(dir .. (is_v1 and "/memory.oom_control" or "/memory.events"), "oom_kill"),
  }
end

local function read_pids(dir)
  return { pids = number_in(dir .. "/pids.current") }
end

local READERS = { cpuacct = read_cpu, memory = read_memory, pids = read_pids }

local function failure(code, message, hint)
  return nil, errors.new { code = code, op = "stats", message = message, hint = hint }
end

local function gone()
  return failure("GONE", "the container has ended", hints.TABLE.list_sessions.lua)
end

-- Why podman gave the container no cgroup: the kernel keeps no account of it then.
local function without_cgroup(context)
  local who = uv.getuid() == 0 and "" or " of a user who is not root"
  if cgroups.has_v1(context) then
    return ("on cgroup v1 a container%s has no cgroup of its own, so what it uses is not counted")
      :format(who), "run as root, or boot the host with cgroup v2 "
      .. "(systemd.unified_cgroup_hierarchy=1 on the kernel's command line)"
  end
  return ("the container%s has no cgroup of its own, so what it uses is not counted"):format(who),
    "log in, or as root: loginctl enable-linger USER; then stop the session and start it again"
end

--- Reads what a container on this host uses. Never waits.
---@param pid integer? the container's init process; nil: it runs on another machine
---@param container_id string
---@param mounts table? from cgroups.mounts, when many are read
---@return axo.Stats? stats, axo.Error? err code "GONE", "ENOTSUP"
function usage.read(pid, container_id, mounts)
  if not pid or pid <= 0 then
    return failure("ENOTSUP", "what the container uses cannot be read from this machine",
      "podman stats")
  end
  mounts = mounts or cgroups.mounts()
  local context = cgroups.context(pid, container_id, mounts)
  if not context then return gone() end
  local stats, is_empty = { taken = await.now() }, true
  for controller, read in pairs(READERS) do
    local dir, is_v1 = cgroups.directory(context, controller)
    for key, value in pairs(dir and read(dir, is_v1) or {}) do
      stats[key], is_empty = value, false
    end
  end
  local applied = limits.verify({}, pid, container_id, mounts)
  stats.cpus_limit, stats.memory_limit, stats.pids_limit =
    applied.cpus.applied, applied.memory.applied, applied.pids.applied
  if not is_empty then return stats end
  -- Or it has ended while it was read.
  if not cgroups.context(pid, container_id) then return gone() end
  return failure("ENOTSUP", without_cgroup(context))
end

--- Reads what each of the sessions that `axo.list` told of uses. Never waits, and asks podman for
--- nothing.
---
---     for _, it in ipairs(axo.usage.read(assert(axo.list()))) do
---       print(it.session.id, it.stats and it.stats.memory or it.err.message)
---     end
---@param list axo.SessionInfo[]
---@return { session: axo.SessionInfo, stats: axo.Stats?, err: axo.Error? }[] readings
function usage.read_all(list)
  local readings, mounts = {}, cgroups.mounts()
  for i, session in ipairs(list) do
    local stats, err = usage.read(session.pid, session.container_id, mounts)
    readings[i] = { session = session, stats = stats, err = err }
  end
  return readings
end

--- The CPUs that were busy between two readings: 1.5 is one and a half.
---
---     local before = sb:stats()
---     assert(sb:exec { "sh", "-c", "i=0; while [ $i -lt 10000 ]; do i=$((i + 1)); done" })
---     local after = sb:stats()
---     print(before and after and axo.usage.cpus(before, after))
---@param before axo.Stats
---@param after axo.Stats
---@return number? cpus nil when it cannot be told
function usage.cpus(before, after)
  local span = after.taken - before.taken
  if not before.cpu_seconds or not after.cpu_seconds or span <= 0 then return nil end
  return math.max(0, after.cpu_seconds - before.cpu_seconds) / span
end

---@class axo.Stats what the host's cgroup does not tell is nil
---@field taken number seconds on a clock that never goes back
---@field cpu_seconds number? CPU time used since the start
---@field memory integer? bytes, without the file cache that the kernel would drop first
---@field memory_total integer? bytes that count against the limit
---@field oom_kills integer? processes that the kernel killed for want of memory
---@field pids integer? processes and threads
---@field cpus_limit number? in force
---@field memory_limit integer? in force, bytes
---@field pids_limit integer? in force

return usage
