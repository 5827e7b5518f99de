--- What the audit log says of sessions: started and with which policy, opened, refused.
local audit = require "axosandbox.audit"
local await = require "axosandbox.base.await"
local tables = require "axosandbox.base.tables"

local audit_session = {}

-- Seconds for the log to be written before a stop says that it is over.
local FLUSH = 1

local function filled(list)
  return list and next(list) ~= nil and list or nil
end

local function names_of(map)
  return filled(tables.keys(map or {}))
end

local function described(record, path)
  return {
    container = record.container, image = record.image, dir = record.dir, path = path,
    ports = filled(record.ports), limits = record.limits,
    secrets = record.secrets and record.secrets.names or nil,
  }
end

local function of_start(start, record, path)
  local fields, decided = described(record, path), start.sandbox
  fields.network = record.allow and { allow = record.allow } or record.network
  fields.env = names_of(start.asked.env)
  fields.policy = {
    network = decided.network, limits = decided.limits, user = decided.user,
    require_resource_limits = decided.require_resource_limits,
    setuid = decided.setuid or false, nested_namespaces = decided.nested_namespaces or false,
    keep_id = decided.keep_id or false,
    mounts = filled(start.plan.extra_mounts),
    publish_address = decided.publish_address, http_proxy = decided.http_proxy,
    exec = filled(decided.exec), by = record.policy:sources(),
  }
  return fields
end

--- A start has ended.
---@param start axo.Start
---@param sb axo.Session? nil when it failed
---@param err axo.Error?
function audit_session.started(start, sb, err)
  if not audit.is_on then return end
  if not sb then
    return audit.emit("session_failed", start.id, {
      dir = start.asked.dir, image = start.asked.image, error = audit.error_fields(err),
    })
  end
  local record = sb.record
  if record.kind ~= "started" then return audit_session.opened(record, sb) end
  audit.emit("session_start", start.id, of_start(start, record, sb:path()))
end

--- A session that runs already was opened, or a container attached to.
---@param record axo.Record
---@param sb axo.Session
function audit_session.opened(record, sb)
  if not audit.is_on then return end
  local event = record.kind == "attached" and "session_attach" or "session_open"
  local fields = described(record, sb:path())
  fields.env = names_of(record.env)
  audit.emit(event, record.id, fields)
end

--- A session was stopped by its id; in a coroutine. Who has stopped one may rely on its events
--- being written.
---@param id string
---@param container string
---@param err axo.Error?
function audit_session.stopped(id, container, err)
  if not audit.is_on then return end
  audit.emit("session_stop", id, {
    container = container, error = err and audit.error_fields(err) or nil,
  })
  await.call(function(done)
    audit.flush(FLUSH, function() done(nil, true) end)
    return true
  end)
end

return audit_session
