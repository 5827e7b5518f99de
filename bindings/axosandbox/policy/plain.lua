--- Plain data: what may cross between the engine and policy. Both sides get copies, so that
--- neither can change what the other holds.
local core = require "axosandbox.core"

local plain = {}

plain.MAX_DEPTH = 16
plain.MAX_VALUES = 200000 -- a command has at most 65535 arguments

local MAX_DEPTH, MAX_VALUES = plain.MAX_DEPTH, plain.MAX_VALUES

--- A deep copy of a value made of tables, strings, numbers and booleans; metatables are
--- left behind.
---@param value any
---@return any copy nil when it failed
---@return string? problem what is in there that is not plain data
function plain.copy(value)
  local copy, problem, key = core.plain_copy(value, MAX_DEPTH, MAX_VALUES)
  if key ~= nil then problem = ("%s at the key %q"):format(problem, tostring(key)) end
  return copy, problem
end

return plain
