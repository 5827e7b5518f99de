--- Which Lua patterns may take a time that grows with the square of a text: `find` and its like try
--- a pattern without an anchor at every byte, so one that begins with a run of any length, and can
--- fail after it, looks at that run again and again.
local patterns = {}

-- The single character class at `at`, and where it ends; nil at a capture's bracket, `%b` or `%f`.
local function item_at(pattern, at)
  local c = pattern:sub(at, at)
  if c == "%" then
    local n = pattern:sub(at + 1, at + 1)
    if n == "f" then return "frontier", (pattern:find("]", at + 4, true) or #pattern) + 1 end
    if n == "b" then return "balanced", at + 4 end
    return "class", at + 2
  end
  if c == "[" then
    local stop = at + 1
    if pattern:sub(stop, stop) == "^" then stop = stop + 1 end
    if pattern:sub(stop, stop) == "]" then stop = stop + 1 end
    while stop <= #pattern and pattern:sub(stop, stop) ~= "]" do
      stop = stop + (pattern:sub(stop, stop) == "%" and 2 or 1)
    end
    return "class", stop + 1
  end
  if c == "(" or c == ")" then return "capture", at + 1 end
  return "class", at + 1
end

local function items_of(pattern)
  local items, at = {}, 1
  while at <= #pattern do
    local kind, after = item_at(pattern, at)
    local text, suffix = pattern:sub(at, after - 1), pattern:sub(after, after)
    if kind == "class" and suffix:find "[%*%+%-%?]" then
      at = after + 1
    else
      suffix, at = "", after
    end
    if kind ~= "capture" then items[#items + 1] = { kind = kind, text = text, suffix = suffix } end
  end
  return items
end

local function is_run(item)
  return item.kind == "class" and (item.suffix ~= "" and item.suffix ~= "?")
end

-- An item that is there once, or more often, may be missing in the text.
local function may_fail(items, from)
  for i = from, #items do
    if items[i].suffix == "" or items[i].suffix == "+" then return true end
  end
  return false
end

--- Why a pattern may take long on a text that somebody chose; nil when it does not.
---@param pattern string
---@param has_anchors boolean false for gmatch, which has none
---@return string? problem
function patterns.problem(pattern, has_anchors)
  local is_anchored = has_anchors and pattern:sub(1, 1) == "^"
  local items = items_of(is_anchored and pattern:sub(2) or pattern)
  if is_anchored or #items == 0 then return nil end
  if items[1].kind == "balanced" then return "%b at its beginning" end
  if is_run(items[1]) and may_fail(items, 2) then
    return "it begins with a run, and what comes after it may be missing"
  end
  for i, item in ipairs(items) do
    if item.text == "." and is_run(item) and may_fail(items, i + 1) then
      return "it has no anchor, and takes whatever comes"
    end
  end
end

--- The patterns of a Lua source that may take long. A line that says "linear:" and why, or comes
--- after one, is taken at its word.
---@param source string
---@return { line: integer, pattern: string, problem: string }[]
function patterns.find(source)
  local found, number, excuse = {}, 0, false
  for line in (source .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    local is_excused = excuse or line:find("linear:", 1, true)
    excuse = line:find "^%s*%-%-" ~= nil and is_excused
    for name, call in line:gmatch "[:.](g?%l+)(%b())" do
      local text = call:match "^%([^\"']*(.*)%)$"
      if (name == "gmatch" or name == "match" or name == "find" or name == "gsub") and text then
        patterns.check(found, number, name, text, call, is_excused)
      end
    end
    for name, rest in line:gmatch "[:.](g?%l+) ([\"'].*)" do
      if name == "gmatch" or name == "match" or name == "find" then
        patterns.check(found, number, name, rest, rest, is_excused)
      end
    end
  end
  return found
end

function patterns.check(found, number, name, text, call, is_excused)
  local quote = text:sub(1, 1)
  local stop = 2
  while stop <= #text and text:sub(stop, stop) ~= quote do
    stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
  end
  if quote ~= '"' and quote ~= "'" or call:find(", true%)$") then return end
  local pattern = load("return " .. text:sub(1, stop))
  pattern = pattern and pattern()
  local problem = type(pattern) == "string" and patterns.problem(pattern, name ~= "gmatch")
  if problem and not is_excused then
    found[#found + 1] = { line = number, pattern = pattern, problem = problem }
  end
end

return patterns
