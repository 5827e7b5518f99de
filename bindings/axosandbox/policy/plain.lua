--- Plain data: what may cross between the engine and policy.
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
  return core.plain_copy(value, MAX_DEPTH, MAX_VALUES)
end

return plain
