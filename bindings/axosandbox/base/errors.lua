--- Structured errors: what an operation that fails returns as its second value.
---
--- The metatable lives in C (bindings/c/error.c), so that errors made there and here are one
--- type; this file only names the common ways to make one.
local core = require "axosandbox.core"

local errors = {}

--- Makes an error object.
---@param fields { code: string, op: string, message: string, hint: string?, stderr: string?, exit_code: integer?, signal: string? }
---@return axo.Error
function errors.new(fields)
  return core.error(fields)
end

--- True for an error object of this library.
---@param value any
---@return boolean
function errors.is_error(value)
  return core.is_error(value)
end

--- Turns whatever was thrown or returned into an error object, keeping the cause.
---@param cause any
---@param op string what was attempted
---@return axo.Error
function errors.wrap(cause, op)
  if core.is_error(cause) then return cause end
  return core.error { code = "INTERNAL", op = op, message = tostring(cause) }
end

return errors
