--- `hostRequirements`: compared with this machine and with what policy gives the session. What
--- is missing is a warning; nothing is granted because a project asks for it.
local uv = require "luv"
local jsonc = require "axosandbox.base.jsonc"

local requirements = {}

local POWERS = { [""] = 0, kb = 1, mb = 2, gb = 3, tb = 4 }
local UNITS = { { 4, "TB" }, { 3, "GB" }, { 2, "MB" }, { 1, "KB" } }

-- "4gb" is 4 * 2^30, as @devcontainers/cli has it.
local function bytes_of(text)
  if type(text) ~= "string" then return nil end
  local digits, unit = text:match "^(%d+)(%l*)$"
  local power = POWERS[unit]
  return power and tonumber(digits) * 1024.0 ^ power
end

local function shown(bytes)
  for _, unit in ipairs(UNITS) do
    local value = bytes / 1024.0 ^ unit[1]
    if value >= 1 then return ("%.4g %s"):format(value, unit[2]) end
  end
  return ("%d bytes"):format(bytes)
end

local function free_space(dir)
  local stat = uv.fs_statfs(dir)
  return stat and stat.bavail * stat.bsize
end

local function plain(value)
  return ("%g"):format(value)
end

-- Warns about the first of the two bounds that is too low.
local function compare(reports, key, wanted, host, limit, show)
  local property = "hostRequirements." .. key
  if host and host < wanted then
    return reports:add(property, "warning",
      ("%s are wanted, this machine has %s"):format(show(wanted), show(host)))
  end
  if limit and limit < wanted then
    return reports:add(property, "warning",
      ("%s are wanted, the session's limit is %s"):format(show(wanted), show(limit)))
  end
  reports:add(property, "honoured")
end

local function check_cpus(value, reports, limits)
  if math.type(value) ~= "integer" or value < 1 then
    reports:add("hostRequirements.cpus", "invalid", "expected a whole number")
    return nil
  end
  local count = uv.available_parallelism and uv.available_parallelism() or #uv.cpu_info()
  compare(reports, "cpus", value, count, limits.cpus, plain)
  return value
end

local function check_size(key, value, reports, host, limit)
  local wanted = bytes_of(value)
  if not wanted then
    reports:add("hostRequirements." .. key, "invalid", 'expected a size such as "4gb"')
    return nil
  end
  compare(reports, key, wanted, host, limit, shown)
  return wanted
end

local CHECKS = {
  cpus = check_cpus,
  memory = function(value, reports, limits)
    return check_size("memory", value, reports, uv.get_total_memory(), limits.memory)
  end,
  storage = function(value, reports, _, dir)
    return check_size("storage", value, reports, free_space(dir))
  end,
  gpu = function(value, reports)
    if value == false then return nil end
    reports:add("hostRequirements.gpu", value == "optional" and "ignored" or "warning",
      "no GPU is given to a session")
  end,
}

--- Checks the requirements.
---@param config table the configuration
---@param reports axo.DevcontainerReports
---@param limits { memory: integer?, cpus: number? } of the session
---@param dir string on the file system that `storage` is about
---@return { cpus: integer?, memory: number?, storage: number? } found in bytes
function requirements.check(config, reports, limits, dir)
  local wanted, found = config.hostRequirements, {}
  if wanted == nil then return found end
  if not jsonc.is_object(wanted) then
    reports:add("hostRequirements", "invalid", "expected an object")
    return found
  end
  for _, key in ipairs(jsonc.keys(wanted)) do
    local check = CHECKS[key]
    if check then
      found[key] = check(wanted[key], reports, limits, dir)
    else
      reports:add("hostRequirements." .. key, "ignored", "no such requirement is known")
    end
  end
  return found
end

return requirements
