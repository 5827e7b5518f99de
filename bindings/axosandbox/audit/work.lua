--- What the audit log says about the work in a session: commands, tasks, terminals, files.
--- Nobody calls these while the log is off.
local uv = require "luv"
local audit = require "axosandbox.audit"

local audit_work = {}

local function seconds_since(started)
  return math.floor((uv.hrtime() - started) / 1e3) / 1e6
end

local function described(spec, fields)
  fields.argv, fields.cwd, fields.user = spec.argv, spec.cwd, spec.user
  return fields
end

local function outcome(spec, started, err, result)
  local fields = described(spec, { duration = seconds_since(started) })
  if not result then
    fields.error = audit.error_fields(err)
    return fields
  end
  fields.code, fields.signal, fields.duration = result.code, result.signal, result.duration
  fields.stdout_bytes, fields.stderr_bytes = result.stdout_total, result.stderr_total
  fields.stdout_truncated = result.stdout_truncated or nil
  fields.stderr_truncated = result.stderr_truncated or nil
  fields.timed_out, fields.cancelled = result.timed_out or nil, result.cancelled or nil
  fields.limit_hit, fields.oom_killed = result.limit_hit or nil, result.oom_killed
  return fields
end

--- Runs a command as `way:exec(spec, done)` does, and records it at its end.
---@param record axo.Record
---@param way axo.Way
---@param spec axo.ExecSpec
---@param done fun(err: axo.Error?, result: axo.Result?)
---@return axo.Exec? exec, axo.Error?
function audit_work.exec(record, way, spec, done)
  local started = uv.hrtime()
  local function finish(err, result)
    audit.emit("exec", record.id, outcome(spec, started, err, result))
  end
  local exec, err = way:exec(spec, function(problem, result)
    finish(problem, result)
    done(problem, result)
  end)
  if not exec then finish(err) end
  return exec, err
end

local function ended(record, kind, work, started)
  local status = work:status()
  audit.emit(kind .. "_end", record.id, {
    id = work.id, state = status.state, code = status.code, signal = status.signal,
    reason = status.reason, oom_killed = status.oom_killed,
    bytes = work.ring and work.ring:head(),
    duration = seconds_since(started),
  })
end

--- A task or a terminal was started, or could not be. Its end is recorded while this process
--- lives to see it.
---@param record axo.Record
---@param kind "task"|"terminal"
---@param spec table
---@param err axo.Error?
---@param work axo.Work?
function audit_work.started(record, kind, spec, err, work)
  local fields = described(spec, { id = work and work.id })
  if not work then
    fields.error = audit.error_fields(err)
    return audit.emit(kind .. "_start", record.id, fields)
  end
  audit.emit(kind .. "_start", record.id, fields)
  local started = uv.hrtime()
  -- The gate itself: somebody who waits for the work would keep the loop running.
  work.ended:on(function() ended(record, kind, work, started) end)
end

--- Somebody asked for something to be killed or signalled.
---@param way axo.Way?
---@param fields { target: string, id: string?, signal: string? }
function audit_work.kill(way, fields)
  if audit.is_on then audit.emit("kill", way and way.record.id, fields) end
end

--- Changes a file by `begin(done)`, and records that, or why it could not be done.
---@param record axo.Record
---@param spec { op: string, path: string, changes: table } changes: what else there is to say
---@param begin fun(done: fun(err: axo.Error?, ...)): any, axo.Error?
---@param done fun(err: axo.Error?, ...)
---@return any handle, axo.Error?
function audit_work.file(record, spec, begin, done)
  local function finish(err)
    local fields = { op = spec.op, path = spec.path, error = err and audit.error_fields(err) }
    for key, value in pairs(spec.changes) do fields[key] = value end
    audit.emit("file", record.id, fields)
  end
  local handle, err = begin(function(problem, ...)
    finish(problem)
    done(problem, ...)
  end)
  if handle == nil then finish(err) end
  return handle, err
end

return audit_work
