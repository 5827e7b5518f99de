--- The functions that a caller gives to a command, the same on both ways: one that raises, or
--- gives stdin what it cannot take, ends the command, and its error becomes the exec's.
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"

---@class axo.Callbacks
---@field process any
---@field callback_error string?
---@field next_input (fun(): string?)?
local Callbacks = {}

---@param message string
function Callbacks:fail(message)
  self.callback_error = message
  if self.process then self.process:cancel() end
end

--- A caller's function, not called any more after an error in one of them.
---@param fn function
---@return function
function Callbacks:guard(fn)
  return function(...)
    if self.callback_error then return nil end
    local ok, value = xpcall(fn, debug.traceback, ...)
    if ok then return value end
    self:fail(value)
  end
end

-- A command that has closed its stdin or has ended wants no more: that is no error.
local function refused(bytes, err)
  if err.code == "EPIPE" then return nil end
  if err.code == "ENOBUFS" then
    return ("axosandbox: the stdin function returned %d bytes at once, more than can wait")
      :format(#bytes)
  end
  return "axosandbox: what the stdin function returned cannot be written: " .. tostring(err)
end

--- Asks the stdin function for more and passes it on, as long as the command takes it.
function Callbacks:pull()
  local bytes = self.next_input()
  if self.callback_error then return end
  if bytes == nil then return self.process:close_stdin() end
  local ok, err = self.process:write(bytes)
  if ok and bytes == "" then return await.defer(function() self:pull() end) end
  local problem = err and refused(bytes, err)
  if problem then self:fail(problem) end
end

--- Begins to read stdin from a function; what is returned is to be called when more fits.
---@param fn fun(): string?
---@return fun() on_drain
function Callbacks:reader(fn)
  self.next_input = self:guard(function()
    local bytes = fn()
    if bytes == nil or type(bytes) == "string" then return bytes end
    error("axosandbox: the stdin function must return a string or nil, got " .. type(bytes), 0)
  end)
  return function() self:pull() end
end

--- The exec's error after one of them failed.
---@return axo.Error?
function Callbacks:callback_failure()
  if not self.callback_error then return nil end
  return errors.new {
    code = "CALLBACK", op = "exec",
    message = "a callback of this exec raised: " .. self.callback_error,
  }
end

return Callbacks
