--- JSON with comments and trailing commas, as devcontainer.json is written; strict in
--- everything else. What it reads was written by strangers: its depth and size are bounded.
local jsonc = {}

--- Bytes; a longer text is refused.
jsonc.MAX_BYTES = 1024 * 1024
--- Arrays and objects within each other.
jsonc.MAX_DEPTH = 64

--- What `null` is read as.
jsonc.null = setmetatable({}, {
  __name = "jsonc.null", __tostring = function() return "null" end,
})

local Array = { __name = "jsonc.array" }
local BOM = "\xEF\xBB\xBF"

---@class axo.JsoncProblem
---@field line integer
---@field column integer in characters
---@field message string

---@class axo.JsoncDuplicate: axo.JsoncProblem
---@field key string

---@param value any
---@return boolean
function jsonc.is_array(value)
  return getmetatable(value) == Array
end

local function meta_of(value)
  local meta = type(value) == "table" and getmetatable(value)
  return meta and meta.__name == "jsonc.object" and meta or nil
end

---@param value any
---@return boolean
function jsonc.is_object(value)
  return meta_of(value) ~= nil
end

--- The keys of an object, in the order of the text.
---@param object table
---@return string[]
function jsonc.keys(object)
  return meta_of(object).keys
end

--- An object with the given keys, in this order; the values are put into it afterwards.
---@param keys string[]
---@return table
function jsonc.object(keys)
  return setmetatable({}, { __name = "jsonc.object", keys = keys })
end

---@param list table
---@return table list
function jsonc.array(list)
  return setmetatable(list, Array)
end

-- ---- where it is wrong ---------------------------------------------------------------

local function position(text, at)
  local line, from = 1, text:sub(1, #BOM) == BOM and #BOM + 1 or 1
  while true do
    local stop = text:find("[\r\n]", from)
    if not stop or stop >= at then break end
    if text:sub(stop, stop + 1) == "\r\n" then stop = stop + 1 end
    line, from = line + 1, stop + 1
  end
  local before = text:sub(from, at - 1)
  return line, (utf8.len(before) or #before) + 1
end

local Problem = {}

local function fail(reader, at, message)
  error(setmetatable({ at = at, message = message, text = reader.text }, Problem), 0)
end

local function unexpected(reader, wanted)
  local char = reader.text:match("^[%z\1-\127\xC2-\xF4][\x80-\xBF]*", reader.pos)
  if not char then
    if reader.pos > #reader.text then
      fail(reader, reader.pos, "the text ends where " .. wanted .. " is expected")
    end
    fail(reader, reader.pos, "the text is not UTF-8")
  end
  local shown = char:find "%c" and ("the control character %d"):format(char:byte()) or char
  fail(reader, reader.pos, ("expected %s, found %s"):format(wanted, shown))
end

-- ---- the parts ------------------------------------------------------------------------

-- Whitespace and comments.
local function skip(reader)
  local text = reader.text
  while true do
    reader.pos = text:find("[^ \t\r\n]", reader.pos) or #text + 1
    local mark = text:sub(reader.pos, reader.pos + 1)
    if mark == "//" then
      reader.pos = text:find("[\r\n]", reader.pos) or #text + 1
    elseif mark == "/*" then
      local _, stop = text:find("*/", reader.pos + 2, true)
      if not stop then fail(reader, reader.pos, "this comment is not closed") end
      reader.pos = stop + 1
    else
      return text:sub(reader.pos, reader.pos)
    end
  end
end

local ESCAPES = {
  ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
}

local function hex(reader, at)
  local digits = reader.text:match("^u(%x%x%x%x)", at)
  if not digits then fail(reader, at - 1, "expected four hexadecimal digits after \\u") end
  return tonumber(digits, 16)
end

-- An escape, its backslash at `at`: what it stands for, and where it ends.
local function escape(reader, at)
  local letter = reader.text:sub(at + 1, at + 1)
  if ESCAPES[letter] then return ESCAPES[letter], at + 2 end
  if letter ~= "u" then fail(reader, at, "an escape that JSON does not have") end
  local code = hex(reader, at + 1)
  if code < 0xD800 or code > 0xDFFF then return utf8.char(code), at + 6 end
  local low = code < 0xDC00 and reader.text:sub(at + 6, at + 7) == "\\u" and hex(reader, at + 7)
  if not low or low < 0xDC00 or low > 0xDFFF then
    fail(reader, at, "half of a surrogate pair")
  end
  return utf8.char(0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00), at + 12
end

local function read_string(reader)
  local text, start = reader.text, reader.pos
  local parts, from = {}, start + 1
  while true do
    local at = text:find('[%z\1-\31"\\]', from)
    local ok, bad = utf8.len(text, from, (at or #text + 1) - 1)
    if not ok then fail(reader, bad, "the text is not UTF-8") end
    if not at then fail(reader, start, "this string is not closed") end
    parts[#parts + 1] = text:sub(from, at - 1)
    local char = text:sub(at, at)
    if char == '"' then
      reader.pos = at + 1
      return table.concat(parts)
    end
    if char ~= "\\" then fail(reader, at, "a control character in a string must be escaped") end
    parts[#parts + 1], from = escape(reader, at)
  end
end

local function read_number(reader)
  local text, start = reader.text, reader.pos
  local stop = text:match("^%-?%d+()", start)
  if not stop then unexpected(reader, "a value") end
  if text:find("^%-?0%d", start) then fail(reader, start, "a number with a leading zero") end
  local whole = stop
  stop = text:match("^%.%d+()", stop) or stop
  stop = text:match("^[eE][+-]?%d+()", stop) or stop
  if text:find("^[%w_.]", stop) then fail(reader, start, "this is not a number") end
  local value = tonumber(text:sub(start, stop - 1))
  if value == math.huge or value == -math.huge then
    fail(reader, start, "this number is too large")
  end
  reader.pos = stop
  return stop == whole and math.tointeger(value) or value
end

local WORDS = { ["true"] = true, ["false"] = false, null = jsonc.null }

local function read_word(reader)
  local word = reader.text:match("^[%a_][%w_]*", reader.pos)
  if WORDS[word] == nil then unexpected(reader, "a value") end
  reader.pos = reader.pos + #word
  return WORDS[word]
end

-- ---- arrays and objects -----------------------------------------------------------------

local read_value

local function enter(reader)
  reader.depth = reader.depth + 1
  if reader.depth > jsonc.MAX_DEPTH then
    fail(reader, reader.pos, ("deeper than %d levels"):format(jsonc.MAX_DEPTH))
  end
  reader.pos = reader.pos + 1
end

-- After an element: true when the list goes on, false when it was closed.
local function goes_on(reader, closing)
  local char = skip(reader)
  if char == "," then
    reader.pos = reader.pos + 1
    char = skip(reader)
    if char ~= closing then return true end
  end
  if char ~= closing then unexpected(reader, ("a comma or %q"):format(closing)) end
  return false
end

local function leave(reader)
  reader.pos = reader.pos + 1
  reader.depth = reader.depth - 1
end

local function read_array(reader)
  local list = jsonc.array {}
  enter(reader)
  local more = skip(reader) ~= "]"
  while more do
    list[#list + 1] = read_value(reader)
    more = goes_on(reader, "]")
  end
  leave(reader)
  return list
end

local function read_key(reader, object)
  if reader.text:sub(reader.pos, reader.pos) ~= '"' then unexpected(reader, "a key in quotes") end
  local at = reader.pos
  local key = read_string(reader)
  if rawget(object, key) == nil then
    table.insert(jsonc.keys(object), key)
  else
    table.insert(reader.duplicates, { at = at, key = key })
  end
  if skip(reader) ~= ":" then unexpected(reader, "a colon") end
  reader.pos = reader.pos + 1
  return key
end

local function read_object(reader)
  local object = jsonc.object {}
  enter(reader)
  local more = skip(reader) ~= "}"
  while more do
    local key = read_key(reader, object)
    object[key] = read_value(reader)
    more = goes_on(reader, "}")
  end
  leave(reader)
  return object
end

function read_value(reader)
  local char = skip(reader)
  if char == "{" then return read_object(reader) end
  if char == "[" then return read_array(reader) end
  if char == '"' then return read_string(reader) end
  if char:find "[%a_]" then return read_word(reader) end
  return read_number(reader)
end

local function read_all(reader)
  local value = read_value(reader)
  if skip(reader) ~= "" then unexpected(reader, "the end of the text") end
  return value
end

-- The first few: each costs a count of lines.
local MAX_DUPLICATES = 16

local function placed(text, duplicates)
  local list = {}
  for i = 1, math.min(#duplicates, MAX_DUPLICATES) do
    local it = duplicates[i]
    local line, column = position(text, it.at)
    list[i] = {
      key = it.key, line = line, column = column, message = "this key was there already",
    }
  end
  return list
end

--- Reads a text. Objects and arrays are tables of their own kinds (`jsonc.is_object`,
--- `jsonc.is_array`); null is `jsonc.null`. Of a key that is there twice the last one counts.
---@param text string
---@return any value nil when the text is wrong
---@return axo.JsoncProblem? problem
---@return axo.JsoncDuplicate[]? duplicates at most 16
function jsonc.decode(text)
  if #text > jsonc.MAX_BYTES then
    return nil, {
      line = 1, column = 1, message = ("longer than %d bytes"):format(jsonc.MAX_BYTES),
    }
  end
  local reader = {
    text = text, pos = text:sub(1, #BOM) == BOM and #BOM + 1 or 1, depth = 0, duplicates = {},
  }
  local ok, value = pcall(read_all, reader)
  if ok then return value, nil, placed(text, reader.duplicates) end
  if getmetatable(value) ~= Problem then error(value, 0) end
  local line, column = position(text, value.at)
  return nil, { line = line, column = column, message = value.message }
end

return jsonc
