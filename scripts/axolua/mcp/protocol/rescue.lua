--- What can be saved of a message that cannot be read: its id, so that its client does not wait
--- for ever, and halves of characters, which JavaScript writes as they are.
local rescue = {}

--- Bytes of a message's beginning and of its end that are looked at.
rescue.HEAD, rescue.TAIL = 64 * 1024, 8 * 1024

local MAX_MEMBERS = 32

-- ---- from the beginning -------------------------------------------------------------------

-- The string that begins at `at`: where it ends. nil: it does not.
local function string_end(text, at)
  at = at + 1
  while true do
    local stop = text:find('["\\]', at)
    if not stop then return nil end
    if text:byte(stop) == 34 then return stop end
    at = stop + 2
  end
end

-- The object or array that begins at `at`: where it ends.
local function nested_end(text, at)
  local depth = 0
  while true do
    at = text:find('["{}%[%]]', at)
    if not at then return nil end
    local c = text:sub(at, at)
    if c == '"' then
      at = string_end(text, at)
      if not at then return nil end
    else
      depth = depth + ((c == "{" or c == "[") and 1 or -1)
      if depth == 0 then return at end
    end
    at = at + 1
  end
end

local function value_end(text, at)
  local c = text:sub(at, at)
  if c == '"' then return string_end(text, at) end
  if c == "{" or c == "[" then return nested_end(text, at) end
  -- A number at the end of what there is may go on.
  local _, stop = text:find("^[%w.+-]+", at)
  return stop and stop < #text and stop or nil
end

-- The id among the members of the outermost object: its JSON. `is_over` when that is all of them.
local function from_head(text)
  local at = text:match "^%s*{%s*()"
  while at do
    local stop = text:sub(at, at) == '"' and string_end(text, at)
    local from = stop and text:match("^%s*:%s*()", stop + 1)
    local last = from and value_end(text, from)
    if not last then return nil, from == nil and stop ~= nil end
    if text:sub(at, stop) == '"id"' then return text:sub(from, last) end
    at = text:match("^%s*,%s*()", last + 1)
    if not at and text:find("^%s*}", last + 1) then return nil, true end
  end
end

-- ---- from the end ---------------------------------------------------------------------------

-- The string that ends at `at`: where it begins. Inside, a quote has an odd number of
-- backslashes before it.
local function string_begin(text, at)
  local from = at - 1
  while from > 0 do
    if text:byte(from) == 34 then
      local back = from - 1
      while back > 0 and text:byte(back) == 92 do back = back - 1 end
      if (from - 1 - back) % 2 == 0 then return from end
      from = back
    else
      from = from - 1
    end
  end
end

local function skip_back(text, at, class)
  while at > 0 and text:find(class, at) == at do at = at - 1 end
  return at
end

local SPACE, WORD = "^%s", "^[%w.+-]"

-- The member that ends at `at`: its key, its value, and where the one before it ends.
local function member_before(text, at)
  at = skip_back(text, at, SPACE)
  local from = text:sub(at, at) == '"' and string_begin(text, at) or skip_back(text, at, WORD) + 1
  if not from or from > at then return nil end
  local colon = skip_back(text, from - 1, SPACE)
  local key_end = skip_back(text, colon - 1, SPACE)
  if text:sub(colon, colon) ~= ":" or text:sub(key_end, key_end) ~= '"' then return nil end
  local key = string_begin(text, key_end)
  if not key then return nil end
  local comma = skip_back(text, key - 1, SPACE)
  local is_more = text:sub(comma, comma) == ","
  return text:sub(key, key_end), text:sub(from, at), is_more and comma - 1 or 0
end

local function from_tail(text)
  local at = text:match "()}%s*$"
  at = at and at - 1 or 0
  for _ = 1, MAX_MEMBERS do
    if at < 1 then return nil end
    local key, value, before = member_before(text, at)
    if not key then return nil end
    if key == '"id"' then return value end
    at = before
  end
end

--- The id of a message, as it stands there. Not that of something inside.
---@param head string its beginning
---@param tail string? its end, when the beginning is not all of it
---@return string? json
function rescue.id(head, tail)
  local id, is_over = from_head(head)
  if id or is_over or not tail then return id end
  return from_tail(tail)
end

-- ---- halves of characters --------------------------------------------------------------------

--- The text with each `\ud83d` that has no other half as `\ufffd`. JSON's own strings only.
---@param line string
---@return string
function rescue.halves(line)
  if not line:find "\\u[dD][89a-fA-F]" then return line end
  local second = 0
  return (line:gsub("()\\(.)(%x?%x?%x?%x?)", function(at, kind, digits)
    if kind ~= "u" or #digits ~= 4 or at == second then return nil end
    local code = tonumber(digits, 16)
    if code < 0xD800 or code > 0xDFFF then return nil end
    if code < 0xDC00 and line:find("^\\u[dD][c-fC-F]%x%x", at + 6) then
      second = at + 6
      return nil
    end
    return "\\ufffd"
  end))
end

return rescue
