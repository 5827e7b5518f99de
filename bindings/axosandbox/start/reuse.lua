--- What a start with `reuse` makes of the session that runs already: whether it is the same, what
--- the start brings to it, and what it has less of than was asked for.
local allow = require "axosandbox.policy.allow"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local image = require "axosandbox.podman.image"
local known = require "axosandbox.session.known"
local naming = require "axosandbox.base.naming"
local limits = require "axosandbox.policy.limits"
local secrets = require "axosandbox.podman.secrets"
local sessions = require "axosandbox.session.sessions"
local tables = require "axosandbox.base.tables"

local reuse = {}

local LIMITS = { "memory", "cpus", "pids" }

local LOOPBACK = { "^127%.", "^::1$" }

local function is_loopback(address)
  return address:find(LOOPBACK[1]) ~= nil or address:find(LOOPBACK[2]) ~= nil
end

local function asked_limits(start)
  return limits.normalise(start.set:fields().limits) or {}
end

-- What a running session has more of than this start would give it: never silently weaker.
local function excess(record, start)
  if start.plan.network == "none" and record.network_mode ~= "none" then return "a network" end
  if record.allow and not start.plan.allow and start.plan.network == "none" then
    return "a network by names"
  end
  local more = record.allow and start.plan.allow and allow.beyond(record.allow, start.plan.allow)
  if more and more[1] then return "a network that reaches " .. table.concat(more, ", ") end
  local address = record.publish_address
  if address and record.ports[1] and address ~= start.plan.publish_address
    and not is_loopback(address) then
    return "ports published on " .. address
  end
  local missing = start.plan.require_limits and limits.shortfall(record.limits)
  if missing then return "limits that are not in force: " .. missing end
  local asked = asked_limits(start)
  for _, key in ipairs(LIMITS) do
    local has = record.asked_limits and record.asked_limits[key]
    if asked[key] and (not has or has > asked[key]) then return "a larger limit on " .. key end
  end
end

-- What it may do that this start would not let it; one of an older version may do all of it.
local function looser(record, start)
  for _, name in ipairs(record.given_back or {}) do
    if not start.plan[name] then return name .. ", which this start would not allow" end
  end
end

-- What it has besides its directory is the same, or it is another session.
local function other_mounts(record, start)
  local has = naming.format_mounts(record.extra_mounts or {})
  if has == naming.format_mounts(start.plan.extra_mounts) then return nil end
  return "other mounts: " .. (has == "" and "none" or has)
end

local function difference(record, start)
  if record.dir ~= start.asked.dir or not image.same(record.asked_image, start.asked.image) then
    return ("another directory or image: %s, %s"):format(
      record.dir, record.asked_image or "the default image")
  end
  return other_mounts(record, start) or excess(record, start) or looser(record, start)
end

--- Lets go of a session that was found; it goes on.
---@type fun(record: axo.Record)
reuse.leave = known.leave

--- The running session of the start's id, in a coroutine. nil without an error when none runs.
---@param start axo.Start
---@return axo.Record? record
---@return axo.Error? err "IN_USE": it has another directory or image, or more than was asked for; "STARTING"
function reuse.find(start)
  local record, err = sessions.take(start.client, start.set, start.id)
  if not record then
    if err.code == "NOT_FOUND" or err.code == "NOT_RUNNING" then return nil end
    return nil, err
  end
  local differs = difference(record, start)
  if not differs then return record end
  reuse.leave(record)
  return nil, errors.new {
    code = "IN_USE", op = "start",
    message = ("the session %q runs with %s"):format(start.id, differs),
    hint = hints.TABLE.other_session.lua,
  }
end

-- ---- what it lacks -----------------------------------------------------------------------

local function unpublished(record, start)
  local is_there, missing = {}, {}
  for _, port in ipairs(record.ports) do is_there[port] = true end
  for _, port in ipairs(start.plan.ports) do
    if not is_there[port] then missing[#missing + 1] = tostring(port) end
  end
  if missing[1] then return "it does not publish " .. table.concat(missing, ", ") end
end

-- Those that policy gives where none was asked for count, too: it may say otherwise by now.
local function add_other_limits(list, record, start)
  for _, key in ipairs(LIMITS) do
    local has, would = record.asked_limits and record.asked_limits[key], start.plan.limits[key]
    if has and would and has < would then
      list[#list + 1] = "it has a smaller limit on " .. key
    elseif would and (not has or has > would) then
      list[#list + 1] = "it has a larger limit on " .. key .. " than it would be given now"
    end
  end
end

-- What is done at a start, and only there.
local function add_not_applied(list, record, start)
  local user = start.asked.user
  if user and user ~= record.user then
    list[#list + 1] = "it runs as " .. (record.user or "its image's user")
  end
  if start.asked.post_create[1] then
    list[#list + 1] = "the commands of post_create do not run again"
  end
  if start.set:fields().shm_size then list[#list + 1] = "its /dev/shm keeps its size" end
end

local function add_missing_names(list, record, start)
  if not start.plan.allow then return end
  local missing = allow.beyond(start.plan.allow, record.allow or {})
  if missing[1] then
    list[#list + 1] = ("it does not reach %s"):format(table.concat(missing, ", "))
  end
end

local function lacks(record, start)
  local list = { unpublished(record, start) }
  if start.set:fields().network == "bridge" and record.network_mode == "none" then
    list[#list + 1] = record.allow and "it has a network by names" or "it has no network"
  end
  add_missing_names(list, record, start)
  if not record.given_back then
    list[#list + 1] = "an older version started it, without the profile of system calls"
  end
  add_other_limits(list, record, start)
  add_not_applied(list, record, start)
  return list
end

-- ---- what is brought to it ---------------------------------------------------------------

local function add_secrets(record, found)
  if not found then return end
  local before = record.secrets
  record.secrets = secrets.of(tables.merged(before and before.values, found.values))
  secrets.release(before)
  secrets.release(found)
end

-- As in a container of its own: a secret goes before a variable.
local function add_env(record, start)
  local held, hidden = record.secrets and record.secrets.values or {}, {}
  for name, value in pairs(start.asked.env) do
    if not held[name] then
      record.env = record.env or {}
      record.env[name] = value
    elseif not start.asked.env_from[name] then
      hidden[#hidden + 1] = name
    end
  end
  table.sort(hidden)
  if hidden[1] then return "it has secrets named " .. table.concat(hidden, ", ") end
end

--- Gives what the start brings along, `env` and the secrets, to the commands of this session, and
--- warns of what the session has otherwise than it was asked for.
---@param start axo.Start with `secrets`
---@param record axo.Record
function reuse.apply(start, record)
  add_secrets(record, start.secrets)
  local hidden, other = add_env(record, start), lacks(record, start)
  other[#other + 1] = hidden
  if other[1] then
    start:warn(("the session %s runs already, and is taken as it is: %s"):format(
      start.id, table.concat(other, "; ")), true)
  end
  for _, warning in ipairs(start.warnings) do
    record.warnings[#record.warnings + 1] = warning
  end
end

return reuse
