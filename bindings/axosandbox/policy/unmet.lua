--- What was asked for and is decided otherwise. Whoever asked is told: a session that has less than
--- was asked for must not look like one that has it.
local allow = require "axosandbox.policy.allow"
local log = require "axosandbox.base.log"
local shapes = require "axosandbox.policy.shapes"

local unmet = {}

local MAX_WARNINGS = 100

local function in_words(value)
  if value == nil or value == false then return "none" end
  if type(value) ~= "table" then return tostring(value) end
  return table.concat(value, ", ")
end

local function network_in_words(value)
  if type(value) ~= "table" then return value or "none" end
  return value.allow[1] and table.concat(value.allow, " ") or "no names"
end

-- Of names those that are missing, or else what it is instead.
local function network_difference(asked, decided)
  if type(asked) ~= "table" or type(decided) ~= "table" then
    if asked == decided then return nil end
    return ("network: %s instead of %s"):format(network_in_words(decided), network_in_words(asked))
  end
  local missing = allow.beyond(asked.allow, decided.allow)
  return missing[1] and "the network without " .. table.concat(missing, " ")
end

local function same_size(a, b)
  return (a and shapes.bytes(a) or nil) == (b and shapes.bytes(b) or nil)
end

-- What of a list of names is not in the other one; nil when all are.
local function missing_of(asked, decided)
  local has, missing = {}, {}
  for _, name in ipairs(decided or {}) do has[name] = true end
  if has["*"] then return nil end
  for _, name in ipairs(asked) do
    if not has[name] then missing[#missing + 1] = name end
  end
  return missing[1] and missing or nil
end

-- Field by field, in this order: its name, and its place in the `policy` table and the decision.
local FIELDS = {
  { "network", at = { "network" }, differ = network_difference },
  { "the memory limit", at = { "limits", "memory" }, same = same_size },
  { "the CPU limit", at = { "limits", "cpus" } },
  { "the process limit", at = { "limits", "pids" } },
  { "require_resource_limits", at = { "require_resource_limits" } },
  { "setuid", at = { "setuid" } },
  { "nested_namespaces", at = { "nested_namespaces" } },
  { "keep_id", at = { "keep_id" } },
  { "the address of published ports", at = { "publish_address" } },
  { "the user", at = { "user" } },
  { "the size of /dev/shm", at = { "shm_size" }, same = same_size },
  { "the timeout of commands", at = { "exec", "timeout" } },
  { "the output kept of commands", at = { "exec", "max_output" } },
  { "local_env", at = { "local_env" }, is_list = true },
  { "project_env", at = { "project_env" }, is_list = true },
}

local function value_at(from, at)
  for _, key in ipairs(at) do
    if type(from) ~= "table" then return nil end
    from = from[key]
  end
  return from
end

local function compare_one(field, asked, decided)
  if field.differ then return field.differ(asked, decided) end
  if field.is_list then
    local missing = missing_of(asked, decided)
    return missing and ("%s without %s"):format(field[1], in_words(missing))
  end
  local same = field.same or function(a, b) return (a or nil) == (b or nil) end
  if same(asked, decided) then return nil end
  return ("%s: %s instead of %s"):format(field[1], in_words(decided), in_words(asked))
end

-- What the sandbox policy decided otherwise than the call's `policy` table asked for, in words.
local function of_sandbox(fields, decision)
  local list = {}
  for _, field in ipairs(FIELDS) do
    local asked = fields[field.at[1]]
    if asked ~= nil then asked = value_at(fields, field.at) end
    if asked ~= nil then
      list[#list + 1] = compare_one(field, asked, value_at(decision, field.at))
    end
  end
  return list
end

-- What the exec policy takes away of what was asked for a command, in words; nil when nothing.
local function less_than_asked(asked, decision)
  local time, bytes = decision.timeout, decision.max_output
  if time and asked.timeout and time < asked.timeout then
    return ("a command may take %g s instead of %g"):format(time, asked.timeout)
  end
  if bytes and asked.max_output and bytes < asked.max_output then
    return ("%d bytes of a command's output are kept instead of %d"):format(
      bytes, asked.max_output)
  end
end

--- Warns of what the exec policy takes away of what was asked for a command. Once a session: the
--- next command would be told the same.
---@param record axo.Record
---@param kind string
---@param asked { timeout: number?, max_output: integer? }
---@param decision axo.policy.ExecDecision
function unmet.tell(record, kind, asked, decision)
  local less = less_than_asked(asked, decision)
  if not less then return end
  local message = ("policy (%s): %s"):format(record.policy:source "exec", less)
  record.told = record.told or {}
  if record.told[message] or #record.warnings >= MAX_WARNINGS then return end
  record.told[message] = true
  record.warnings[#record.warnings + 1] = message
  log.emit("warn", message, { op = kind, id = record.id, unmet = true })
end

--- Warns of what was asked for by `policy` fields and is decided otherwise.
---@param start axo.Start
---@param decision axo.policy.SandboxDecision
function unmet.tell_of_start(start, decision)
  local list = of_sandbox(start.set:fields(), decision)
  if not list[1] then return end
  start:warn(("policy (%s) decides otherwise than was asked for: %s"):format(
    start.set:source "sandbox", table.concat(list, "; ")), true)
end

--- Warns where commands were allowed, and policy neither runs them nor says why.
---@param teller { warn: fun(self: table, message: string, unmet: boolean?) }
---@param set axo.Policy
---@param decision axo.policy.PostCreateDecision
function unmet.tell_of_commands(teller, set, decision)
  if decision.run or decision.ask or decision.warning then return end
  if not set:fields().allow_post_create then return end
  teller:warn(("policy (%s) does not run the project's commands, though allow_post_create was set")
    :format(set:source "post_create"), true)
end

return unmet
