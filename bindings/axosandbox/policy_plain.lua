--- Plain data: what may cross between the engine and policy. Both sides get copies, so that
--- neither can change what the other holds.
local plain = {}

plain.MAX_DEPTH = 16
plain.MAX_VALUES = 200000 -- a command has at most 65535 arguments

local SCALARS = { ["nil"] = true, boolean = true, number = true, string = true }

local function copy_table(value, state, depth)
  if depth > plain.MAX_DEPTH then
    error({ problem = "tables nested deeper than " .. plain.MAX_DEPTH .. " (or in a cycle)" }, 0)
  end
  local copy = {}
  for k, v in next, value do
    state.count = state.count + 1
    if state.count > plain.MAX_VALUES then
      error({ problem = "more than " .. plain.MAX_VALUES .. " values" }, 0)
    end
    if type(k) ~= "string" and type(k) ~= "number" then
      error({ problem = "a key of type " .. type(k) }, 0)
    end
    if type(v) == "table" then
      copy[k] = copy_table(v, state, depth + 1)
    elseif SCALARS[type(v)] then
      copy[k] = v
    else
      error({ problem = ("a %s at the key %q"):format(type(v), tostring(k)) }, 0)
    end
  end
  return copy
end

--- A deep copy of a value made of tables, strings, numbers and booleans; metatables are
--- left behind.
---@param value any
---@return any copy nil when it failed
---@return string? problem what is in there that is not plain data
function plain.copy(value)
  if type(value) ~= "table" then
    if SCALARS[type(value)] then return value end
    return nil, "a " .. type(value)
  end
  local ok, result = pcall(copy_table, value, { count = 0 }, 1)
  if ok then return result end
  if type(result) == "table" and result.problem then return nil, result.problem end
  return error(result, 0)
end

return plain
