--- The values that must not be written down: each is replaced by its name wherever it stands in
--- what goes to the audit log.
---
--- Known are the values of this process's sessions, and of a value of several lines each long
--- line as well. What somebody made of a value (base64, a hash, half of it) is not recognised.
local redact = {}

--- A shorter value would be found everywhere.
redact.MIN_BYTES = 4
-- A line of a key file, say, that is worth something alone.
local MIN_LINE = 16

---@type table<string, { name: string, holders: integer }>
local known = {}
-- The longest first: a value may hold another.
---@type string[]
local ordered = {}

local function reorder()
  ordered = {}
  for value in pairs(known) do ordered[#ordered + 1] = value end
  table.sort(ordered, function(a, b)
    if #a ~= #b then return #a > #b end
    return a < b
  end)
end

local function each_text(value, fn)
  fn(value)
  if not value:find("\n", 1, true) then return end
  for line in value:gmatch "[^\r\n]+" do
    if #line >= MIN_LINE then fn(line) end
  end
end

local function hold(text, name)
  local entry = known[text] or { name = name, holders = 0 }
  entry.holders = entry.holders + 1
  known[text] = entry
end

local function let_go(text)
  local entry = known[text]
  if not entry then return end
  entry.holders = entry.holders - 1
  if entry.holders == 0 then known[text] = nil end
end

--- From now on these are not written down.
---@param values table<string, string> by the name of their variable
function redact.add(values)
  for name, value in pairs(values) do
    each_text(value, function(text) hold(text, name) end)
  end
  reorder()
end

--- Takes back one `redact.add` of the same values.
---@param values table<string, string>
function redact.remove(values)
  for _, value in pairs(values) do each_text(value, let_go) end
  reorder()
end

-- In pieces: whoever knows a value can write it ten thousand times.
local function replace(text, value, mark)
  local at, stop = text:find(value, 1, true)
  if not at then return text end
  local pieces, from = {}, 1
  while at do
    pieces[#pieces + 1] = text:sub(from, at - 1)
    from = stop + 1
    at, stop = text:find(value, from, true)
  end
  pieces[#pieces + 1] = text:sub(from)
  return table.concat(pieces, mark)
end

--- A text without the values.
---@param text string
---@return string
function redact.text(text)
  for _, value in ipairs(ordered) do
    text = replace(text, value, ("<redacted:%s>"):format(known[value].name))
  end
  return text
end

return redact
