--- Resource limits: what was asked for, and what the kernel really applies. podman can
--- ignore a limit and still succeed, so the answer is read from the container's cgroup.
local cgroups = require "axosandbox.host.mounts.cgroups"
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

local function reader_for(key, context)
  return cgroups.is_v1(context, READERS.v1[key].controller) and READERS.v1[key] or READERS.v2[key]
end

local function applied(key, context)
  local reader = reader_for(key, context)
  local lowest
  for _, dir in ipairs(cgroups.directories(context, reader.controller or "")) do
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
---@param context axo.CgroupContext? nil: unreadable
---@return axo.Limits
function limits.compare(asked, context)
  local report = { verified = context ~= nil }
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

--- Reads the limits of a running container back from its cgroup on this host.
---@param asked table normalised
---@param pid integer? the container's init process; nil: it runs on another machine
---@param container_id string
---@param mounts table? from cgroups.mounts
---@return axo.Limits
function limits.verify(asked, pid, container_id, mounts)
  return limits.compare(asked, cgroups.context(pid, container_id, mounts))
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
