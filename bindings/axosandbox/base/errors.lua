--- Structured errors: what an operation that fails returns as its second value.
---
--- The metatable lives in C (bindings/c/error.c), so that errors made there and here are one
--- type; this file only names the common ways to make one.
local core = require "axosandbox.core"

local errors = {}

--- Makes an error object.
---
---     local err = axo.errors.new {
---       code = "NO_TESTS", op = "check", message = "the project has no tests", hint = "write one",
---     }
---     print(err)  --> check: the project has no tests (hint: write one)
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

-- ---- raised in a sequence, caught at one place -----------------------------------------------

--- Raises an error object.
---@param fields table as for `errors.new`
function errors.raise(fields)
  error(core.error(fields), 0)
end

--- A value; raises its error where there is none.
---@generic T
---@param value T?
---@param err axo.Error?
---@return T
function errors.must(value, err)
  if value then return value end
  error(err, 0)
end

--- A message handler for xpcall: a mistake has the traceback of where it was made, once.
---@param err any
---@return any
function errors.trace(err)
  if type(err) == "string" and err:find("\nstack traceback:", 1, true) then return err end
  return debug.traceback(err, 2)
end

--- What a function returns first; `nil, err` when it raised an error object. A mistake is raised
--- on, with its traceback.
---@param fn function
---@return any value, axo.Error?
function errors.try(fn, ...)
  local ok, value = xpcall(fn, errors.trace, ...)
  if ok then return value end
  if core.is_error(value) then return nil, value end
  error(value, 0)
end

--- For a variable that is `<close>`: calls `fn` at the end of its block, with what was raised
--- there.
---@param fn fun(err: any)
---@return any
function errors.finally(fn)
  return setmetatable({}, { __close = function(_, err) fn(err) end })
end

return errors
