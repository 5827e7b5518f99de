--- Glob patterns on paths with "/": `*` and `?` within a name, `[abc]`, `[!a-z]`, `**` across
--- directories, `{a,b}` for alternatives, `\` before a character that stands for itself. A name
--- that begins with "." is matched only by a pattern that says so.
local glob = {}

local MAX_ALTERNATIVES = 64

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

local function expand_into(pattern, into)
  if #into > MAX_ALTERNATIVES then return end
  local before, parts, after = split_braces(pattern)
  if not before then
    into[#into + 1] = pattern
    return
  end
  for _, part in ipairs(parts) do expand_into(before .. part .. after, into) end
end

local function expand(pattern)
  local texts = {}
  expand_into(pattern, texts)
  if #texts <= MAX_ALTERNATIVES then return texts end
  return nil, ("a glob has at most %d alternatives in braces"):format(MAX_ALTERNATIVES)
end

local function class_at(pattern, i)
  local stop = pattern:find("]", i + 2, true)
  if not stop then return nil end
  local body = pattern:sub(i + 1, stop - 1)
  local negated = body:match "^[!^]"
  if negated then body = body:sub(2) end
  body = body:gsub("[%%%]%^]", "%%%0")
  return "[" .. (negated and "^" or "") .. body .. "]", stop
end

-- One name's glob as a Lua pattern.
local function name_pattern(text)
  local out, i = { "^" }, 1
  while i <= #text do
    local c = text:sub(i, i)
    local class, stop
    if c == "[" then class, stop = class_at(text, i) end
    if class then
      out[#out + 1], i = class, stop
    elseif c == "*" then
      out[#out + 1] = ".*"
    elseif c == "?" then
      out[#out + 1] = "."
    else
      if c == "\\" and i < #text then
        i = i + 1
        c = text:sub(i, i)
      end
      out[#out + 1] = c:gsub("%W", "%%%0")
    end
    i = i + 1
  end
  return table.concat(out) .. "$"
end

local function compile_one(text)
  local names = {}
  for part in text:gmatch "[^/]+" do
    names[#names + 1] = part == "**" and "**"
      or { pattern = name_pattern(part), dotted = part:sub(1, 1) == "." }
  end
  return names
end

local function split(path)
  local names = {}
  for name in path:gmatch "[^/]+" do names[#names + 1] = name end
  return names
end

local function match_name(rule, name, hidden)
  if name:sub(1, 1) == "." and not (rule.dotted or hidden) then return false end
  return name:find(rule.pattern) ~= nil
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
  local compiled = {}
  for i, text in ipairs(texts) do compiled[i] = compile_one(text) end
  local base = opts.from_root and "." or literal_base(pattern)
  return {
    base = base,
    tests = any_of("-path", find_paths(texts, base)),
    match = function(path)
      local names = split(path)
      for _, rules in ipairs(compiled) do
        if match_names(rules, names, opts.hidden) then return true end
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
  return { base = ".", tests = any_of("-name", texts), match = function() return true end }
end

return glob
