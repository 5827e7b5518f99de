--- The part of PCRE2's dialect that an extended regular expression can say, for where there is
--- only a grep that knows no other. What it cannot say is refused: a pattern that is quietly read
--- otherwise would find nothing, and nobody would know why.
local dialect = {}

local CLASSES = { d = "0-9", w = "[:alnum:]_", s = "[:space:]" }

-- Where the pattern is read, what has been written, and the longest plain text in it.
local function reader(pattern)
  return { text = pattern, at = 1, out = {}, run = {}, literal = "", last = "nothing" }
end

-- `last` is what a quantifier after it would be for.
local function put(r, text, last)
  r.out[#r.out + 1] = text
  r.last = last or "atom"
end

local function end_run(r)
  local run = table.concat(r.run)
  if #run > #r.literal then r.literal = run end
  r.run = {}
end

-- grep goes by bytes: a character of several is a group, in case that it is to be repeated.
local function plain(r, character)
  local text = character
  if #character > 1 then
    text = "(" .. character .. ")"
  elseif character:find "[%^%.%[%$%(%)|%*%+%?{\\]" then
    text = "\\" .. character
  end
  put(r, text)
  r.run[#r.run + 1] = character
end

local function refuse(what)
  return nil, what
end

-- `\d` and its like in brackets, and the escapes of plain characters.
local function class_escape(r)
  local c = r.text:sub(r.at + 1, r.at + 1)
  r.at = r.at + 2
  if CLASSES[c] then return CLASSES[c] end
  if c == "t" then return "\t" end
  if c == "" or c:find "%w" then return refuse("\\" .. c .. " in brackets") end
  return c
end

-- In an extended regular expression "]" must come first, "^" not first, and "-" last.
local function ordered(negated, items)
  local first, last, rest = "", "", {}
  for _, item in ipairs(items) do
    if item == "]" then first = "]"
    elseif item == "-" then last = "-"
    elseif item == "^" then last = "^" .. last
    else rest[#rest + 1] = item end
  end
  local body = first .. table.concat(rest) .. last
  if body == "^" then return negated and "[^^]" or "\\^" end
  return "[" .. (negated and "^" or "") .. body .. "]"
end

-- One character, or what stands for several.
local function class_atom(r)
  local text = r.text
  if text:find("^\\", r.at) then return class_escape(r) end
  local c = text:sub(r.at, r.at)
  if c == "[" then return refuse "[ in brackets" end
  if c:find "[\128-\255]" then return refuse "characters outside of ASCII in brackets" end
  r.at = r.at + 1
  return c
end

-- What ends a range is no class, and nothing that means something where it would stand.
local function is_end(item)
  return #item == 1 and not item:find "[%]%^%-%[]"
end

local function range_or_item(r)
  local posix = r.text:match("^%[:%l+:%]", r.at)
  if posix then
    r.at = r.at + #posix
    return posix
  end
  local first, problem = class_atom(r)
  if not first or not r.text:find("^%-[^%]]", r.at) then return first, problem end
  r.at = r.at + 1
  local last
  last, problem = class_atom(r)
  if not last then return nil, problem end
  if is_end(first) and is_end(last) and first <= last then return first .. "-" .. last end
  return refuse "such a range in brackets"
end

local function class(r)
  local negated = r.text:sub(r.at + 1, r.at + 1) == "^"
  r.at = r.at + (negated and 2 or 1)
  local items = {}
  while r.at <= #r.text and (r.text:sub(r.at, r.at) ~= "]" or #items == 0) do
    local item, problem = range_or_item(r)
    if not item then return nil, problem end
    items[#items + 1] = item
  end
  if r.at > #r.text then return nil, "no ] for its [", true end
  r.at = r.at + 1
  end_run(r)
  put(r, ordered(negated, items))
  return true
end

local function escape(r)
  local c = r.text:sub(r.at + 1, r.at + 1)
  r.at = r.at + 2
  if c == "t" then
    plain(r, "\t")
    return true
  end
  if c == "" then return nil, "a \\ at its end", true end
  if not c:find "[%w_]" then
    plain(r, c)
    return true
  end
  end_run(r)
  local lower = c:lower()
  if CLASSES[lower] then
    put(r, "[" .. (c ~= lower and "^" or "") .. CLASSES[lower] .. "]")
  elseif lower == "b" then
    put(r, "\\" .. c, "anchor")
  else
    return refuse("\\" .. c)
  end
  return true
end

-- What comes after a quantifier says how greedy it is: whether a line matches does not depend on
-- a "?", but does on a "+".
local function quantifier(r, text)
  if r.last == "anchor" then return refuse "a quantifier after an anchor" end
  if r.last ~= "atom" then
    return nil, ("there is nothing for its %s to repeat"):format(text), true
  end
  r.at = r.at + #text
  r.run[#r.run] = nil
  end_run(r)
  put(r, text, "quantifier")
  local c = r.text:sub(r.at, r.at)
  if c == "+" then return refuse "possessive quantifiers" end
  if c == "?" then r.at = r.at + 1 end
  return true
end

local function group(r)
  end_run(r)
  if r.text:find("^%(%?:", r.at) then
    r.at = r.at + 3
  elseif r.text:find("^%([%?%*]", r.at) then
    return refuse("groups that begin with " .. r.text:sub(r.at, r.at + 1))
  else
    r.at = r.at + 1
  end
  put(r, "(", "nothing")
  return true
end

local LAST = { ["^"] = "anchor", ["$"] = "anchor", ["|"] = "nothing" }

local function step(r)
  local c = r.text:sub(r.at, r.at)
  if c == "\\" then return escape(r) end
  if c == "[" then return class(r) end
  if c == "(" then return group(r) end
  if c == "*" or c == "+" or c == "?" then return quantifier(r, c) end
  local braces = c == "{" and r.text:match("^{%d+,?%d*}", r.at)
  if braces then return quantifier(r, braces) end
  if c:find "[%.%^%$%)|]" then
    r.at = r.at + 1
    end_run(r)
    -- A line may end in CRLF.
    put(r, c == "$" and "\r?$" or c, LAST[c])
  else
    c = r.text:match("^" .. utf8.charpattern, r.at) or c
    r.at = r.at + #c
    plain(r, c)
  end
  return true
end

---@class axo.Ere
---@field pattern string
---@field ignore_case boolean it began with (?i)
---@field literal string the longest text that is plain in it; where there are groups, it need not match

--- Says a pattern as an extended regular expression.
---@param pattern string
---@return axo.Ere?, string? problem what it cannot say, boolean? is_wrong it is no pattern at all
function dialect.extended(pattern)
  local r = reader(pattern)
  local ignore_case = pattern:sub(1, 4) == "(?i)"
  if ignore_case then r.at = 5 end
  while r.at <= #pattern do
    local ok, problem, is_wrong = step(r)
    if not ok then return nil, problem, is_wrong end
  end
  end_run(r)
  return { pattern = table.concat(r.out), ignore_case = ignore_case, literal = r.literal }
end

-- Past a class of Perl's; nil where nothing closes it.
local function class_end(pattern, at)
  at = at + (pattern:sub(at + 1, at + 1) == "^" and 2 or 1)
  if pattern:sub(at, at) == "]" then at = at + 1 end
  while at <= #pattern do
    local c = pattern:sub(at, at)
    if c == "]" then return at + 1 end
    local named = c == "[" and pattern:match("^%[:%^?%l+:%]", at)
    at = at + (named and #named or c == "\\" and 2 or 1)
  end
end

--- The same pattern of Perl's, for a grep that takes the CR of a CRLF for a part of the line.
---@param pattern string
---@return string
function dialect.with_crlf(pattern)
  local parts, at = {}, 1
  while at <= #pattern do
    local c = pattern:sub(at, at)
    if pattern:find("^\\[QcE]", at) then return pattern end
    local stop = at + (c == "\\" and 2 or 1)
    if c == "[" then stop = class_end(pattern, at) end
    if not stop then return pattern end -- it is none
    parts[#parts + 1] = c == "$" and "(?=\r?$)" or pattern:sub(at, stop - 1)
    at = stop
  end
  return table.concat(parts)
end

return dialect
