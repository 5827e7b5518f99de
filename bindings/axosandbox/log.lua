--- Where warnings, progress and uncaught errors go. The library never prints.
local core = require "axosandbox.core"

local log = {}

---@type fun(level: string, message: string, fields: table)?
local logger

--- Sets the receiver of the library's messages; nil removes it. A warning has the field
--- `unmet` when something that was asked for is not so: another image runs, a command failed.
---@param fn fun(level: "debug"|"info"|"warn"|"error", message: string, fields: table)?
function log.set_logger(fn)
  if fn ~= nil and type(fn) ~= "function" then
    error("axosandbox.set_logger: expected a function or nil, got " .. type(fn), 2)
  end
  logger = fn
end

--- Sends one message. A logger that raises is reported through Lua's own `warn`, since
--- there is nobody else left to tell.
function log.emit(level, message, fields)
  if logger then
    local ok, err = xpcall(logger, debug.traceback, level, message, fields or {})
    if ok then return end
    message = "axosandbox: the logger raised: " .. tostring(err)
  elseif level ~= "error" then
    return
  end
  warn(tostring(message), "\n")
end

--- An error that no caller is left to receive: one raised inside a user's callback.
---@param cause any with its traceback
function log.uncaught(cause)
  log.emit("error", "uncaught error in a callback: " .. tostring(cause), { cause = cause })
end

core.set_uncaught(log.uncaught)

return log
