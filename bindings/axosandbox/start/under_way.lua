--- One start under way: what it knows, whether it was cancelled, and how it speaks.
local audit = require "axosandbox.audit"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local host = require "axosandbox.host"
local log = require "axosandbox.base.log"

local DAY = 24 * 3600

---@class axo.Start
---@field id string
---@field client axo.Client
---@field set axo.Policy
---@field plan axo.Plan
---@field warnings string[]
---@field lock userdata
---@field dir string the session's private directory
---@field deadline number seconds on the loop's clock
local Start = {}
Start.__index = Start

local under_way = {}

--- Makes one.
---@param fields table
---@return axo.Start
function under_way.new(fields)
  fields.warnings = {}
  return setmetatable(fields, Start)
end

--- Gives the start so many seconds from now.
---@param seconds number
function Start:set_deadline(seconds)
  self.deadline = await.now() + seconds
end

--- Seconds left, at least a little: a request always has a bound.
---@return number
function Start:remaining()
  return math.max(self.deadline - await.now(), 0.001)
end

--- Does something that has a deadline of its own, and does not count against the start's.
---@param fn function what follows are its arguments
---@return any ... what it returns
function Start:off_the_clock(fn, ...)
  local before = await.now()
  local _ <close> = errors.finally(function()
    self.deadline = self.deadline + await.now() - before
  end)
  return fn(...)
end

--- Reports something that the session's user should know.
---@param message string
---@param unmet boolean? something that was asked for is not so
function Start:warn(message, unmet)
  self.warnings[#self.warnings + 1] = message
  log.emit("warn", message, { op = "start", id = self.id, unmet = unmet or nil })
  audit.emit("fallback", self.id, { message = message })
end

--- Reports what stays so for long, and is no news at each start: to the log once a day.
---@param message string
---@param key string what it is about
function Start:mention(message, key)
  key = "said:" .. key
  if not host.recall(key, self.client.program) then
    host.remember(key, true, DAY, self.client.program)
    return self:warn(message)
  end
  self.warnings[#self.warnings + 1] = message
  log.emit("debug", message, { op = "start", id = self.id })
end

--- Reports progress.
---@param message string
---@param fields table?
function Start:inform(message, fields)
  fields = fields or {}
  fields.op, fields.id = fields.op or "start", self.id
  log.emit("info", message, fields)
end

--- The error of a start that was cancelled or has no time left; nil while it may go on.
---@return axo.Error?
function Start:stopped()
  if self.cancelled then
    return errors.new { code = "CANCELLED", op = "start", message = "the start was cancelled" }
  end
  if await.now() >= self.deadline then
    return errors.new {
      code = "TIMEOUT", op = "start", message = "the start took too long",
      hint = "raise `timeouts.start` in the sandbox policy",
    }
  end
end

--- Raises where it may not go on.
function Start:check_stopped()
  local err = self:stopped()
  if err then error(err, 0) end
end

--- Raises where it was cancelled, however much time is left.
function Start:check_cancelled()
  if self.cancelled then self:check_stopped() end
end

--- Asks podman inside its coroutine; a cancel ends the request.
---@param argv string[]
---@param opts table as Client:request; without a timeout what remains of the start's
---@return table? result, axo.Error?
function Start:ask(argv, opts)
  local err = self:stopped()
  if err then return nil, err end
  opts.timeout = opts.timeout or self:remaining()
  local result
  result, err = await.call(function(done)
    local process, problem = self.client:request(argv, opts, done)
    self.current = process
    return process, problem
  end)
  self.current = nil
  return result, err
end

--- Cancels: what runs now is ended, and nothing more is begun. Idempotent.
function Start:cancel()
  self.cancelled = true
  if self.current then self.current:cancel() end
end

return under_way
