--- Where warnings, progress and uncaught errors go: to the logger that a program sets; without one,
--- what somebody should know to stderr.
local core = require "axosandbox.core"
local unseen = require "axosandbox.base.text.unseen"

local log = {}

---@type fun(level: string, message: string, fields: table)?
local logger

local ON_STDERR = { warn = true, error = true }

local function to_stderr(level, message)
  io.stderr:write(("axosandbox: %s: %s\n"):format(level, unseen.escape_lines(tostring(message))))
end

--- Sets the receiver of the library's messages. nil removes it: then warnings and errors go to
--- stderr. A warning has the field `unmet` when something that was asked for is not so: another
--- image runs, a command failed.
---
---     axo.set_logger(function(level, message)
---       if level ~= "debug" then io.stderr:write(level, ": ", message, "\n") end
---     end)
---@param fn fun(level: "debug"|"info"|"warn"|"error", message: string, fields: table)?
function log.set_logger(fn)
  if fn ~= nil and type(fn) ~= "function" then
    error("axosandbox.set_logger: expected a function or nil, got " .. type(fn), 2)
  end
  logger = fn
end

--- Sends one message. A logger that raises is reported on stderr, since there is nobody else left
--- to tell.
---@param level "debug"|"info"|"warn"|"error"
---@param message string
---@param fields table?
function log.emit(level, message, fields)
  if logger then
    local ok, err = xpcall(logger, debug.traceback, level, message, fields or {})
    if ok then return end
    level, message = "error", "the logger raised: " .. tostring(err)
  end
  if ON_STDERR[level] then to_stderr(level, message) end
end

--- An error that no caller is left to receive: one raised inside a user's callback.
---@param cause any with its traceback
function log.uncaught(cause)
  log.emit("error", "uncaught error in a callback: " .. tostring(cause), { cause = cause })
end

core.set_uncaught(log.uncaught)

return log
