--- Glob patterns on paths with "/": `*` and `?` within a name, `[abc]`, `[!a-z]`, `**` across
--- directories, `{a,b}` for alternatives, `\` before a character that stands for itself. A name
--- that begins with "." is matched only by a pattern that says so.
local glob = {}

local MAX_ALTERNATIVES = 64
-- As long as the longest path.
local MAX_LENGTH = 4096
local DOT, CLOSING = ("."):byte(), ("]"):byte()

-- The alternatives of the first `{...}`, which may nest; nil when there is none.
local function split_braces(pattern)
  local open = pattern:find("{", 1, true)
  while open and pattern:sub(open - 1, open - 1) == "\\" do
    open = pattern:find("{", open + 1, true)
  end
  if not open then return nil end
  local depth, from, parts = 0, open + 1, {}
  for i = open, #pattern do
    local c = pattern:sub(i, i)
    if c == "{" then depth = depth + 1 end
    if c == "," and depth == 1 or c == "}" and depth == 1 then
      parts[#parts + 1] = pattern:sub(from, i - 1)
      from = i + 1
    end
    if c == "}" then depth = depth - 1 end
    if depth == 0 then return pattern:sub(1, open - 1), parts, pattern:sub(i + 1) end
  end
end

-- `before` has no braces to expand any more.
local function expand_into(before, rest, into)
  if #into > MAX_ALTERNATIVES then return end
  local plain, parts, after = split_braces(rest)
  if not plain then
    into[#into + 1] = before .. rest
    return
  end
  for _, part in ipairs(parts) do expand_into(before .. plain, part .. after, into) end
end

local function expand(pattern)
  if #pattern > MAX_LENGTH then
    return nil, ("a glob has at most %d bytes"):format(MAX_LENGTH)
  end
  local texts = {}
  expand_into("", pattern, texts)
  if #texts <= MAX_ALTERNATIVES then return texts end
  return nil, ("a glob has at most %d alternatives in braces"):format(MAX_ALTERNATIVES)
end

-- The bytes of a class of Lua's.
local function bytes_of(class)
  local set = {}
  for byte = 0, 255 do
    if string.char(byte):find(class) then set[byte] = true end
  end
  return set
end

local NAMED = {
  alnum = bytes_of "%w", alpha = bytes_of "%a", blank = bytes_of "[ \t]", cntrl = bytes_of "%c",
  digit = bytes_of "%d", graph = bytes_of "%g", lower = bytes_of "%l", print = bytes_of "[%g ]",
  punct = bytes_of "%p", space = bytes_of "%s", upper = bytes_of "%u", xdigit = bytes_of "%x",
}

local function take_one(pattern, i)
  if pattern:find("^\\.", i) then i = i + 1 end
  return pattern:byte(i), i + 1
end

local function inverted(set)
  local others = {}
  for byte = 0, 255 do others[byte] = not set[byte] or nil end
  return others
end

-- The bytes of a character class, and where it ends; nil when it is none. A "]" that comes first is
-- one of its characters.
local function class_at(pattern, start)
  local negated = pattern:find("^[!^]", start + 1) ~= nil
  local first = start + (negated and 2 or 1)
  local i, set = first, {}
  while i <= #pattern and (i == first or pattern:byte(i) ~= CLOSING) do
    local name = pattern:match("^%[:(%l+):%]", i)
    if NAMED[name] then
      for byte in pairs(NAMED[name]) do set[byte] = true end
      i = i + #name + 4
    else
      local from, to
      from, i = take_one(pattern, i)
      to = from
      if pattern:find("^%-[^%]]", i) then to, i = take_one(pattern, i + 1) end
      for byte = from, to do set[byte] = true end
    end
  end
  if i > #pattern then return nil end
  return negated and inverted(set) or set, i
end

local STAR, ANY = {}, {}

-- One name's glob as a list of what its bytes must be: a byte, a set of them, ANY, or STAR for any
-- number of them. Behind a bracket that nothing closes each one stands for itself.
local function compile_name(text)
  local rule, i, is_unclosed = { is_literal = true }, 1, false
  while i <= #text do
    local c = text:sub(i, i)
    local class, stop
    if c == "[" and not is_unclosed then
      class, stop = class_at(text, i)
      is_unclosed = not class
    end
    if c == "\\" and i < #text then
      i = i + 1
      rule[#rule + 1] = text:byte(i)
    else
      local magic = class or c == "*" and STAR or c == "?" and ANY
      if magic then rule.is_literal = false end
      rule[#rule + 1] = magic or text:byte(i)
      i = stop or i
    end
    i = i + 1
  end
  rule.is_dotted = rule[1] == DOT
  if rule.is_literal then rule.text = string.char(table.unpack(rule)) end
  return rule
end

local function compile_one(text)
  local rules = {}
  for part in text:gmatch "[^/]+" do
    rules[#rules + 1] = part == "**" and "**" or compile_name(part)
  end
  return rules
end

local function split(path)
  local names = {}
  for name in path:gmatch "[^/]+" do names[#names + 1] = name end
  return names
end

local function fits(wanted, name, at)
  local byte = name:byte(at)
  return wanted == ANY or wanted == byte or type(wanted) == "table" and wanted[byte] == true
end

-- Where it goes wrong, the last star takes one byte more. What came before that star was matched
-- at its earliest, so no other way could do better: at most #rule times #name steps.
local function match_bytes(rule, name)
  local r, n, star, from = 1, 1, nil, nil
  while n <= #name do
    local wanted = rule[r]
    if wanted == STAR then
      star, from = r, n
      r = r + 1
    elseif wanted and fits(wanted, name, n) then
      r, n = r + 1, n + 1
    elseif star then
      from = from + 1
      r, n = star + 1, from
    else
      return false
    end
  end
  while rule[r] == STAR do r = r + 1 end
  return rule[r] == nil
end

local function match_name(rule, name, hidden)
  if name:byte() == DOT and not (rule.is_dotted or hidden) then return false end
  if rule.is_literal then return name == rule.text end
  return match_bytes(rule, name)
end

-- Which positions in the path can be reached after each rule: no backtracking, so no pattern
-- takes long.
local function match_names(rules, names, hidden)
  local reached = { [0] = true }
  for _, rule in ipairs(rules) do
    local nexts = {}
    for at = 0, #names do
      if rule == "**" then
        local name = names[at]
        local is_open = nexts[at - 1] and (hidden or name:sub(1, 1) ~= ".")
        if reached[at] or is_open then nexts[at] = true end
      elseif reached[at] and names[at + 1] and match_name(rule, names[at + 1], hidden) then
        nexts[at + 1] = true
      end
    end
    reached = nexts
  end
  return reached[#names] == true
end

-- find's -path lets `*` pass "/" and leading dots: it finds more than the glob, never less.
local function find_path(text)
  return "./" .. text:gsub("%*%*/", "*"):gsub("%*%*+", "*")
end

---@class axo.Glob
---@field match fun(path: string): boolean
---@field base string the directory that all matches are beneath; "." when it is not known
---@field texts string[] its alternatives, without braces
---@field names integer in the longest of them
---@field by_name true? it is about names, wherever they are
---@field tests string[] of find, run in `base`: let through what matches, and more

local function any_of(flag, texts)
  local tests = { "(" }
  for i, text in ipairs(texts) do
    if i > 1 then tests[#tests + 1] = "-o" end
    tests[#tests + 1], tests[#tests + 2] = flag, text
  end
  tests[#tests + 1] = ")"
  return tests
end

-- The leading names without anything magic in them.
local function literal_base(text)
  local base = {}
  for name, slash in text:gmatch "([^/]+)(/?)" do
    if slash == "" or name:find "[%*%?%[%]{}\\]" then break end
    base[#base + 1] = name
  end
  return #base > 0 and table.concat(base, "/") or "."
end

local function find_paths(texts, base)
  local tests = {}
  for i, text in ipairs(texts) do
    tests[i] = find_path(base == "." and text or text:sub(#base + 2))
  end
  return tests
end

local function has_parent(pattern)
  return ("/" .. pattern .. "/"):find("/../", 1, true) ~= nil
end

--- Compiles a glob on whole paths, relative to some root.
---@param pattern string
---@param opts { hidden: boolean?, from_root: boolean? }? hidden: `*` and `**` match names that begin with "." too; from_root: `base` is the root
---@return axo.Glob?, string? problem
function glob.new(pattern, opts)
  opts = opts or {}
  pattern = pattern:gsub("//+", "/"):gsub("^%./", "")
  if has_parent(pattern) then return nil, 'a glob has no ".." in it' end
  local texts, problem = expand(pattern)
  if not texts then return nil, problem end
  local compiled, names = {}, 0
  for i, text in ipairs(texts) do
    compiled[i] = compile_one(text)
    names = math.max(names, #compiled[i])
  end
  local base = opts.from_root and "." or literal_base(pattern)
  return {
    base = base, texts = texts, names = names,
    tests = any_of("-path", find_paths(texts, base)),
    match = function(path)
      local parts = split(path)
      for _, rules in ipairs(compiled) do
        if match_names(rules, parts, opts.hidden) then return true end
      end
      return false
    end,
  }
end

--- A glob on file names alone, wherever the file lies.
---@param pattern string without "/"
---@return axo.Glob?, string? problem
function glob.name(pattern)
  local texts, problem = expand(pattern)
  if not texts then return nil, problem end
  return {
    base = ".", texts = texts, by_name = true, names = 1, tests = any_of("-name", texts),
    match = function() return true end,
  }
end

return glob
