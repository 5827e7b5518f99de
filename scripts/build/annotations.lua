--- Reads what the annotations of Lua files (LuaCATS) say: classes with their fields and methods,
--- and the comment above a function. An example is the code that a comment holds: lines that are
--- indented by four spaces or more.
local annotations = {}

---@class doc.Comment
---@field text string[] lines of Markdown, without examples
---@field examples string[] each one piece of Lua
---@field params { name: string, type: string, text: string }[]
---@field returns string[]

---@class doc.Function: doc.Comment
---@field name string after the dot or the colon
---@field is_method boolean
---@field arguments string "argv, opts, callback"
---@field line integer

---@class doc.Class
---@field name string "axo.Task"
---@field text string[]
---@field base string?
---@field fields { name: string, type: string, text: string }[]
---@field functions doc.Function[]

local function skip_blank(text, at)
  return text:match("^%s*()", at)
end

-- Where a type ends that begins at `at`: at the first blank outside of brackets, but for those
-- around "|", and before what a function returns.
local function type_end(text, at)
  local depth = 0
  while at <= #text do
    local char = text:sub(at, at)
    if char:find "[%(%[{<]" then depth = depth + 1 end
    if char:find "[%)%]}>]" then depth = depth - 1 end
    if depth == 0 and char == ")" and text:find("^:%s", at + 1) then
      at = skip_blank(text, at + 2) - 1
    elseif depth == 0 and char == " " then
      return at
    end
    at = at + 1
  end
  return at
end

-- "string? the name" is a type and a text.
local function typed(text)
  local at = type_end(text, 1)
  return text:sub(1, at - 1), text:sub(skip_blank(text, at))
end

local function add_param(comment, rest)
  local name, after = rest:match "^(%S+)%s+(.*)$"
  local is_optional = name:find "%?$"
  local kind, text = typed(after)
  comment.params[#comment.params + 1] = {
    name = name:gsub("%?$", ""), text = text,
    type = kind .. ((is_optional and not kind:find "%?$") and "?" or ""),
  }
end

local function add_text(comment, line)
  local code = line:match "^    (.*)$"
  if code and not comment.in_list then
    comment.code = comment.code and comment.code .. "\n" .. code or code
    return
  end
  if comment.code then
    comment.examples[#comment.examples + 1] = comment.code
    comment.code = nil
    if line == "" and comment.text[#comment.text] == "" then return end
  end
  comment.text[#comment.text + 1] = line
end

local TAGS = {
  param = add_param,
  ["return"] = function(comment, rest) comment.returns[#comment.returns + 1] = rest end,
}

--- What a comment says.
---@param lines string[] without the dashes and the blank after them
---@return doc.Comment
function annotations.comment(lines)
  local comment = { text = {}, examples = {}, params = {}, returns = {} }
  for _, line in ipairs(lines) do
    local tag, rest = line:match "^@(%w+)%s*(.*)$"
    if not tag then
      add_text(comment, line)
    elseif TAGS[tag] then
      TAGS[tag](comment, rest)
    end
  end
  add_text(comment, "")
  while comment.text[#comment.text] == "" do comment.text[#comment.text] = nil end
  while comment.text[1] == "" do table.remove(comment.text, 1) end
  return comment
end

--- The lines of the comment that ends right above a line.
---@param lines string[] of the file
---@param at integer
---@return string[]
function annotations.above(lines, at)
  local first = at
  while first > 1 and lines[first - 1]:find "^%s*%-%-%-" do first = first - 1 end
  local found = {}
  for i = first, at - 1 do found[#found + 1] = lines[i]:match "^%s*%-%-%- ?(.-)%s*$" end
  return found
end

--- The function that is defined on a line, with its comment.
---@param lines string[]
---@param at integer
---@return doc.Function
function annotations.of_function(lines, at)
  local found = annotations.comment(annotations.above(lines, at))
  local owner, mark, name, arguments = lines[at]:match "function ([%w_]+)([.:])([%w_]+)%((.-)%)"
  if not owner then
    name, arguments = lines[at]:match "function ([%w_]*)%((.-)%)"
  end
  found.owner, found.name, found.arguments, found.line = owner, name, arguments or "", at
  found.is_method = mark == ":"
  return found
end

local function add_field(class, rest)
  if rest:find "^private" or rest:find "^protected" then return end
  local name, after = rest:match "^(%S+)%s+(.*)$"
  local kind, text = typed(after)
  class.fields[#class.fields + 1] = { name = name, type = kind, text = text }
end

-- A class begins with its tag; above it stands what it is, below it its fields, and then the table
-- that holds its methods.
local function read_class(classes, lines, at, rest)
  local name, after = rest:match "^([%w_.]+):?%s*(.*)$"
  local class = classes[name]
    or { name = name, text = {}, fields = {}, functions = {}, examples = {} }
  classes[name] = class
  local base, text = rest:match "^[%w_.]+:%s*(%S+)%s*(.*)$"
  class.base = class.base or base
  local comment = annotations.comment(annotations.above(lines, at))
  table.move(comment.text, 1, #comment.text, #class.text + 1, class.text)
  text = base and text or after
  if text ~= "" then class.text[#class.text + 1] = text end
  at = at + 1
  while lines[at] and lines[at]:find "^%s*%-%-%-" do
    local field = lines[at]:match "^%s*%-%-%-%s*@field%s+(.*)$"
    if field then add_field(class, field) end
    at = at + 1
  end
  return class, (lines[at] or ""):match "^local ([%w_]+) ="
end

--- Adds the classes of a file.
---@param classes table<string, doc.Class>
---@param lines string[]
function annotations.add_classes(classes, lines)
  local by_local = {}
  for at, line in ipairs(lines) do
    local rest = line:match "^%-%-%-%s*@class%s+(.*)$"
    if rest then
      local class, name = read_class(classes, lines, at, rest)
      if name then by_local[name] = class end
    end
    local owner, name = line:match "^function ([%w_]+)[.:]([%w_]+)%("
    if by_local[owner] and not name:find "^_" then
      local functions = by_local[owner].functions
      functions[#functions + 1] = annotations.of_function(lines, at)
    end
  end
end

return annotations
