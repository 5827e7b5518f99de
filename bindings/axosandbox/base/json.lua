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

-- cjson writes every "/" as "\/", which nobody who looks for a path would find. What a terminal
-- would obey is escaped, since people look at JSON, too.
local function text_of(value)
  return (unseen.escape_json(cjson.encode(value)):gsub("\\/", "/"))
end

local encode

local function encode_array(t)
  local parts = {}
  for i, v in ipairs(t) do parts[i] = encode(v) end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function encode_object(t)
  local parts = {}
  for i, k in ipairs(tables.keys(t)) do
    parts[i] = text_of(k) .. ":" .. encode(t[k])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

function encode(value)
  if type(value) == "string" then return text_of(value) end
  if math.type(value) == "integer" then return ("%d"):format(value) end
  if type(value) ~= "table" then return cjson.encode(value) end
  if getmetatable(value) == Array or #value > 0 then return encode_array(value) end
  return encode_object(value)
end

--- The JSON text of a value. A plain empty table is an object; see `json.array`.
---
---     print(axo.json.encode { b = 1, a = true })  --> {"a":true,"b":1}
---@param value any
---@return string
function json.encode(value)
  return encode(value)
end

return json
