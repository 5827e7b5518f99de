--- JSON for programs to read: keys in order, empty arrays as arrays, always valid UTF-8.
local cjson = require "cjson"
local tables = require "axosandbox.base.tables"
local unseen = require "axosandbox.base.text.unseen"

local json = {}

local Array = {}

--- Marks a sequence, so that it is an array also when it is empty.
---
---     print(axo.json.encode { list = axo.json.array {} })  --> {"list":[]}
---@generic T: table
---@param t T
---@return T
function json.array(t)
  return setmetatable(t, Array)
end

local function encode(value)
  if type(value) ~= "table" then
    return math.type(value) == "integer" and ("%d"):format(value) or cjson.encode(value)
  end
  local parts = {}
  if getmetatable(value) == Array or #value > 0 then
    for i, item in ipairs(value) do parts[i] = encode(item) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for i, key in ipairs(tables.keys(value)) do
    local item = value[key]
    parts[i] = cjson.encode(key) .. ":"
      .. (type(item) == "string" and cjson.encode(item) or encode(item))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- The JSON text of a value. A plain empty table is an object; see `json.array`.
---
---     print(axo.json.encode { b = 1, a = true })  --> {"a":true,"b":1}
---@param value any
---@return string
function json.encode(value)
  -- cjson writes every "/" as "\/", which nobody who looks for a path would find. What a terminal
  -- would obey is escaped, since people look at JSON, too.
  return (unseen.escape_json(encode(value)):gsub("\\/", "/"))
end

return json
