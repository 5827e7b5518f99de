--- Names where only text can stand, in JSON and in what an agent is shown: a byte as \xe9, a
--- backslash as \\. Which names are written so is said beside them, never in them: any name that is
--- text may look like that.
local unseen = require "axosandbox.base.text.unseen"

local written = {}

--- Whether a name cannot stand in JSON as it is: it is not UTF-8.
---@param name string
---@return boolean
function written.is_needed(name)
  return utf8.len(name) == nil
end

--- A name in this notation.
---
---     print(axo.text.write_name "caf\xe9")  --> caf\xe9
---@param name string
---@return string
function written.write(name)
  return unseen.escape((name:gsub("\\", "\\\\")))
end

--- The name that was written so.
---
---     print(axo.text.read_name("caf\\xe9") == "caf\xe9")  --> true
---@param text string
---@return string? name, string? problem
function written.read(text)
  local parts, at = {}, 1
  while true do
    local stop = text:find("\\", at, true)
    parts[#parts + 1] = text:sub(at, (stop or 0) - 1)
    if not stop then return table.concat(parts) end
    local hex = text:match("^x(%x%x)", stop + 1)
    if not hex and text:sub(stop + 1, stop + 1) ~= "\\" then
      return nil, ("after a backslash stands neither x and two digits nor another one, at byte %d")
        :format(stop)
    end
    parts[#parts + 1] = hex and string.char(tonumber(hex, 16)) or "\\"
    at = stop + (hex and 4 or 2)
  end
end

-- All of a list is in one notation.
local function escaped_list(list)
  local needed = false
  for _, item in ipairs(list) do
    needed = needed or type(item) == "string" and written.is_needed(item)
  end
  if not needed then return nil end
  local copy = setmetatable({}, getmetatable(list))
  for i, item in ipairs(list) do
    copy[i] = type(item) == "string" and written.write(item) or item
  end
  return copy
end

local function escaped(value)
  if type(value) == "table" then return escaped_list(value) end
  return type(value) == "string" and written.is_needed(value) and written.write(value) or nil
end

--- An object for JSON: names, texts and lists of them that are not UTF-8 are in this notation, and
--- its member `escaped` says which those are.
---
---     print(axo.json.encode(axo.json.object { name = "caf\xe9" }))
---@param object table not changed
---@param only string? the one member that is to be looked at; all by default
---@return table
function written.object(object, only)
  local copy, keys = {}, {}
  for key, value in pairs(object) do
    copy[key] = (not only or key == only) and escaped(value) or nil
    if copy[key] ~= nil then keys[#keys + 1] = key else copy[key] = value end
  end
  if #keys == 0 then return object end
  table.sort(keys)
  copy.escaped = keys
  return copy
end

return written
