--- Resource limits: what was asked for, and what the kernel really applies. podman can
--- ignore a limit and still succeed, so the answer is read from the container's cgroup.
local host = require "axosandbox.host"
local shapes = require "axosandbox.policy.shapes"

local limits = {}

local KEYS = { "memory", "cpus", "pids" }

local function normalise_one(key, value)
  if not value then return nil end
  if key == "memory" then return shapes.bytes(value) end
  if key == "pids" then return math.tointeger(value) end
  return value > 0 and value or nil
end

--- The limits of a decision with sizes in bytes; a missing or false one is left out.
---@param asked { memory: (string|integer|false)?, cpus: (number|false)?, pids: (integer|false)? }?
---@return { memory: integer?, cpus: number?, pids: integer? }? normalised, string? problem
function limits.normalise(asked)
  local result = {}
  for _, key in ipairs(KEYS) do
    local value, problem = normalise_one(key, asked and asked[key])
    if problem then return nil, ("limits.%s: %s"):format(key, problem) end
    result[key] = value
  end
  return result
end

--- A size in bytes.
---@param size string|integer
---@return integer? bytes, string? problem
function limits.bytes(size) return shapes.bytes(size) end

local function number_in(path)
  local text = host.read_file(path)
  return text and tonumber(text:match "^%d+")
end

local function v1_cpus(dir)
  local quota = number_in(dir .. "/cpu.cfs_quota_us")
  local period = number_in(dir .. "/cpu.cfs_period_us")
  return quota and period and period > 0 and quota / period or nil
end

local function v2_cpus(dir)
  local quota, period = (host.read_file(dir .. "/cpu.max") or ""):match "^(%d+) (%d+)"
  return quota and tonumber(quota) / tonumber(period) or nil
end

-- A limit beyond any machine is how cgroup v1 says "none".
local function v1_memory(dir)
  local bytes = number_in(dir .. "/memory.limit_in_bytes")
  return bytes and bytes < 2 ^ 62 and bytes or nil
end

local READERS = {
  v1 = {
    memory = { controller = "memory", read = v1_memory },
    cpus = { controller = "cpu", read = v1_cpus },
    pids = { controller = "pids", read = function(dir) return number_in(dir .. "/pids.max") end },
  },
  v2 = {
    memory = { read = function(dir) return number_in(dir .. "/memory.max") end },
    cpus = { read = v2_cpus },
    pids = { read = function(dir) return number_in(dir .. "/pids.max") end },
  },
}

--- Parses /proc/PID/cgroup: the path in each v1 hierarchy by controller, and under "" the
--- path in the unified one.
---@param text string
---@return table<string, string>
function limits.parse_cgroup(text)
  local paths = {}
  for line in text:gmatch "[^\n]+" do
    local controllers, path = line:match "^%d+:([^:]*):(.*)$"
    if controllers == "" then paths[""] = path end
    for controller in (controllers or ""):gmatch "[^,]+" do paths[controller] = path end
  end
  return paths
end

local function byte_of(octal) return string.char(tonumber(octal, 8)) end

--- Parses /proc/self/mountinfo: where each v1 controller is mounted, under "" the unified
--- hierarchy. Each is { root = path in the hierarchy, point = path in the file system }.
---@param text string
---@return table<string, { root: string, point: string }>
function limits.parse_mounts(text)
  local mounts = {}
  for line in text:gmatch "[^\n]+" do
    -- Most lines are of other file systems, and there may be hundreds.
    local root, point, kind, options
    if line:find(" - cgroup", 1, true) then
      root, point, kind, options =
        line:match "^%d+ %d+ %S+ (%S+) (%S+) .- %- (cgroup2?) %S+ (%S+)"
    end
    local mount = kind and {
      root = root:gsub("\\(%d%d%d)", byte_of), point = point:gsub("\\(%d%d%d)", byte_of), -- cut off
    }
    if kind == "cgroup2" then mounts[""] = mounts[""] or mount end
    if kind == "cgroup" then
      for option in options:gmatch "[^,]+" do mounts[option] = mounts[option] or mount end
    end
  end
  return mounts
end

local function directory(mount, path)
  if not mount or not path then return nil end
  if mount.root ~= "/" then
    if path:sub(1, #mount.root) ~= mount.root then return nil end
    path = path:sub(#mount.root + 1)
  end
  return mount.point, path
end

-- The directories of the container's own cgroup, from the innermost up: a runtime may nest
-- another level below the one that carries the limits. Above them lie the host's cgroups,
-- whose limits are not the container's.
local function own_directories(mount, path, container_id)
  local dirs = {}
  local point, below = directory(mount, path)
  while point and below:find(container_id, 1, true) do
    dirs[#dirs + 1] = point .. below
    below = below:match "^(.*)/[^/]*$" or ""
  end
  return dirs
end

---@class axo.CgroupContext where the cgroups of one container lie
---@field mounts table<string, { root: string, point: string }>
---@field paths table<string, string>
---@field container_id string

local function context_of(seen)
  return {
    mounts = seen.mounts or limits.parse_mounts(seen.mountinfo),
    paths = limits.parse_cgroup(seen.cgroup),
    container_id = seen.container_id,
  }
end

-- A controller lives in one hierarchy only: where v1 has it, v2 has not.
local function is_v1(context, controller)
  return context.mounts[controller] ~= nil and context.paths[controller] ~= nil
end

--- Whether controllers of this host are on cgroup v1.
---@param context axo.CgroupContext
---@return boolean
function limits.has_v1(context)
  return is_v1(context, "memory") or is_v1(context, "pids") or is_v1(context, "cpu")
end

local function reader_for(key, context)
  return is_v1(context, READERS.v1[key].controller) and READERS.v1[key] or READERS.v2[key]
end

local function applied(key, context)
  local reader = reader_for(key, context)
  local controller = reader.controller or ""
  local lowest
  for _, dir in ipairs(own_directories(context.mounts[controller], context.paths[controller],
    context.container_id)) do
    local value = reader.read(dir)
    if value and (not lowest or value < lowest) then lowest = value end
  end
  return lowest
end

-- The kernel rounds memory down to pages, and podman a share of CPUs to microseconds.
local function is_within(key, asked, value)
  return value ~= nil and value <= asked * (key == "cpus" and 1.01 or 1)
end

--- Compares what was asked with what the kernel applies.
---@param asked { memory: integer?, cpus: number?, pids: integer? } normalised
---@param seen { cgroup: string, mountinfo: string, container_id: string }? nil: unreadable
---@return axo.Limits
function limits.compare(asked, seen)
  local report = { verified = seen ~= nil }
  local context = seen and context_of(seen)
  for _, key in ipairs(KEYS) do
    local value = context and applied(key, context)
    report[key] = {
      asked = asked[key],
      applied = value,
      enforced = asked[key] ~= nil and is_within(key, asked[key], value),
    }
  end
  return report
end

--- Where cgroups are mounted on this host: for asking of many containers.
---@return table<string, { root: string, point: string }>?
function limits.mounts()
  local mountinfo = host.read_file "/proc/self/mountinfo"
  return mountinfo and limits.parse_mounts(mountinfo)
end

local function see(pid, container_id, mounts)
  local cgroup = pid and pid > 0 and host.read_file(("/proc/%d/cgroup"):format(pid))
  mounts = cgroup and (mounts or limits.mounts())
  return mounts and { cgroup = cgroup, mounts = mounts, container_id = container_id } or nil
end

--- Reads the limits of a running container back from its cgroup on this host.
---@param asked table normalised
---@param pid integer? the container's init process; nil: it runs on another machine
---@param container_id string
---@param mounts table? from limits.mounts
---@return axo.Limits
function limits.verify(asked, pid, container_id, mounts)
  return limits.compare(asked, see(pid, container_id, mounts))
end

--- Where the cgroups of a running container lie on this host.
---@param pid integer? the container's init process
---@param container_id string
---@param mounts table? from limits.mounts
---@return axo.CgroupContext? context nil: it has ended, or runs on another machine
function limits.context(pid, container_id, mounts)
  local seen = see(pid, container_id, mounts)
  return seen and context_of(seen)
end

--- The directory of a container's cgroup for a controller: the outermost that is its own, so
--- that everything in the container is below it.
---@param context axo.CgroupContext
---@param controller string its name on cgroup v1
---@return string? directory, boolean is_v1
function limits.directory(context, controller)
  local v1 = is_v1(context, controller)
  local key = v1 and controller or ""
  local dirs = own_directories(context.mounts[key], context.paths[key], context.container_id)
  return dirs[#dirs], v1
end

--- Whether a running container is paused.
---@param context axo.CgroupContext
---@return boolean
function limits.is_frozen(context)
  local dir, v1 = limits.directory(context, "freezer")
  if not dir then return false end
  if v1 then return (host.read_file(dir .. "/freezer.state") or ""):find "^FR" ~= nil end
  return (host.read_file(dir .. "/cgroup.freeze") or ""):find "^1" ~= nil
end

--- A size as people write it: "512m".
---@param bytes integer
---@return string
function limits.size(bytes)
  local size, unit = bytes, ""
  for _, larger in ipairs { "k", "m", "g" } do
    if size % 1024 ~= 0 or size == 0 then break end
    size, unit = size // 1024, larger
  end
  return ("%d%s"):format(size, unit)
end

local function in_words(key, value)
  if key ~= "memory" then return ("%s = %g"):format(key, value) end
  return "memory = " .. limits.size(value)
end

--- The limits that were asked for and are not in force, as words; nil when all are.
---@param report axo.Limits
---@return string?
function limits.shortfall(report)
  local missing = {}
  for _, key in ipairs(KEYS) do
    local limit = report[key]
    if limit.asked and not limit.enforced then
      missing[#missing + 1] = in_words(key, limit.asked)
    end
  end
  return missing[1] and table.concat(missing, ", ") or nil
end

---@class axo.Limit
---@field asked number? bytes, CPUs or processes; nil: no limit was asked for
---@field applied number? what the kernel enforces; nil: nothing, or unknown
---@field enforced boolean

---@class axo.Limits
---@field memory axo.Limit
---@field cpus axo.Limit
---@field pids axo.Limit
---@field verified boolean false: the container runs where its cgroup cannot be read

return limits
