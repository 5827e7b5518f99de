--- What the handles of tasks and terminals have in common.
local audit_work = require "axosandbox.audit.work"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local gate = require "axosandbox.base.gate"
local oom = require "axosandbox.way.oom"
local options = require "axosandbox.base.options"
local signals = require "axosandbox.base.signals"
local subscription = require "axosandbox.base.subscription"

local handle = {}

local FOLLOW_SHAPE = { from = { type = "integer", min = 0 } }
local SIGNAL_SHAPE = { tree = "boolean" }
local STOP_SHAPE = { grace = { type = "number", min = 0, max = 3600 } }

--- `running`, `exited (N)`, `killed (SIGNAL)` or `failed: reason`; behind the second and the third
--- `, memory ran out`, or `, memory ran out meanwhile`.
---@param status axo.SourceStatus
---@return string
function handle.describe(status)
  if status.state == "exited" then
    return ("exited (%d)%s"):format(status.code, oom.suffix(status))
  end
  if status.state == "killed" then
    return ("killed (%s)%s"):format(status.signal, oom.suffix(status))
  end
  if status.state == "failed" then return "failed: " .. tostring(status.reason) end
  return "running"
end

--- Splits `opts?, callback?`: the callback is the last argument.
---@return table?, function?
function handle.arguments(opts, callback)
  if type(opts) == "function" and callback == nil then return nil, opts end
  return opts, callback
end

--- Everything that the ring holds.
---@param source axo.Source
---@return string
function handle.held(source)
  local ring = source.ring
  return (ring:read(ring:tail()))
end

--- Follows a source: see subscription.lua.
---@param source axo.Source
---@param fn fun(bytes: string, cursor: integer, dropped: integer)
---@param opts { from: integer? }?
---@param where string
---@return axo.Subscription
function handle.follow(source, fn, opts, where)
  if type(fn) ~= "function" then
    error(("%s: expected a function, got %s"):format(where, type(fn)), 3)
  end
  opts = options.check(FOLLOW_SHAPE, opts, where, 3)
  return subscription.new(source, fn, opts.from)
end

local function timed_out(id, seconds)
  return errors.new {
    code = "TIMEOUT", op = "wait", message = ("%s still runs after %g s"):format(id, seconds),
  }
end

--- Waits for a source's end.
---@param source axo.Source
---@param timeout number? seconds
---@param callback function?
---@return axo.SourceStatus?, axo.Error? code "TIMEOUT"
function handle.wait(source, timeout, callback)
  timeout, callback = handle.arguments(timeout, callback)
  local problem = timeout ~= nil and await.check_seconds(timeout)
  if problem then error("axosandbox: wait: " .. problem, 3) end
  return await.call(function(done)
    gate.within(function(fn) return source:on_end(fn) end, timeout, function(happened)
      if happened then return done(nil, source:status()) end
      done(timed_out(source.id, timeout))
    end)
    return source
  end, callback)
end

--- Sends a signal to its whole tree, or with `tree = false` to its first process.
---@param source axo.Source
---@param signal string|integer
---@param opts { tree: boolean? }?
---@param callback function?
---@param where string
---@return integer? count, axo.Error?
function handle.signal(source, signal, opts, callback, where)
  opts, callback = handle.arguments(opts, callback)
  opts = options.check(SIGNAL_SHAPE, opts, where, 3)
  local name = signals.name(signal, 3)
  audit_work.kill_source(source, name)
  return await.call(function(done)
    return source:signal(name, opts.tree ~= false, done)
  end, callback)
end

--- Ends its tree.
---@param source axo.Source
---@param opts { grace: number? }?
---@param callback function?
---@param where string
---@return axo.SourceStatus?, axo.Error?
function handle.stop(source, opts, callback, where)
  opts, callback = handle.arguments(opts, callback)
  opts = options.check(STOP_SHAPE, opts, where, 3)
  audit_work.kill_source(source, "TERM")
  return await.call(function(done)
    return source:stop(opts.grace, function(err) done(err, source:status()) end)
  end, callback)
end

return handle
