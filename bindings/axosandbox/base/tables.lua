--- What is done with tables in many places.
local tables = {}

--- A table of its own with what is in these; the later one goes before the earlier.
---@param one table?
---@param other table?
---@return table
function tables.merged(one, other)
  local result = {}
  for key, value in pairs(one or {}) do result[key] = value end
  for key, value in pairs(other or {}) do result[key] = value end
  return result
end

--- The keys of a table as texts, sorted.
---@param t table
---@return string[]
function tables.keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = tostring(key) end
  table.sort(keys)
  return keys
end

return tables
