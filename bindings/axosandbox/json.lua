--- JSON for programs to read: keys in order, empty arrays as arrays, always valid UTF-8.
local cjson = require "cjson"

local json = {}

local Array = {}

--- Marks a sequence, so that it is an array also when it is empty.
---@generic T: table
---@param t T
---@return T
function json.array(t)
  return setmetatable(t, Array)
end

local function valid(text)
  if utf8.len(text) then return text end
  local out, from = {}, 1
  while from <= #text do
    local ok, bad = utf8.len(text, from)
    if ok then break end
    out[#out + 1] = text:sub(from, bad - 1) .. "\u{FFFD}"
    from = bad + 1
  end
  return table.concat(out) .. text:sub(from)
end

-- cjson writes every "/" as "\/", which nobody who looks for a path would find.
local function text_of(value)
  return (cjson.encode(valid(value)):gsub("\\/", "/"))
end

local encode

local function encode_array(t)
  local parts = {}
  for i, v in ipairs(t) do parts[i] = encode(v) end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function encode_object(t)
  local keys, parts = {}, {}
  for k in pairs(t) do keys[#keys + 1] = tostring(k) end
  table.sort(keys)
  for i, k in ipairs(keys) do
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
---@param value any
---@return string
function json.encode(value)
  return encode(value)
end

return json
