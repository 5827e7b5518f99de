--- One page of the reference, as Markdown.
local page = {}

local WIDTH = 100

local function code(text)
  if text:find("`", 1, true) then return text end
  return "`" .. text .. "`"
end

-- Text in lines of one width; the later ones stand `indent` to the right.
local function fill(text, indent)
  local lines, line = {}, ""
  for word in text:gmatch "%S+" do
    local longer = line == "" and word or line .. " " .. word
    if utf8.len(longer) and utf8.len(longer) > WIDTH - #indent and line ~= "" then
      lines[#lines + 1], line = line, word
    else
      line = longer
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. indent)
end

-- A list's text begins on its second line, so that a type of any length stays readable.
local function item(name, kind, text)
  local head = ("- %s: %s"):format(code(name), code(kind))
  if text == "" then return head end
  if #head + #text + 2 <= WIDTH then return head .. " " .. text end
  return head .. "\n  " .. fill(text, "  ")
end

local function items(list)
  local lines = {}
  for i, it in ipairs(list) do lines[i] = item(it.name, it.type, it.text) end
  return table.concat(lines, "\n")
end

local function add(out, text)
  if text ~= "" then out[#out + 1] = text end
end

local function text_of(it)
  return table.concat(it.text, "\n")
end

local function signature(fn)
  local optional = {}
  for _, param in ipairs(fn.params) do optional[param.name] = param.type:find "%?$" ~= nil end
  local words = fn.arguments:gsub("[%w_]+", function(name)
    return optional[name] and name .. "?" or name
  end)
  return ("%s(%s)"):format(fn.full_name, words)
end

-- The error is told apart from what comes of a success.
local function add_returned(out, returned)
  local value, rest = returned:match "^(.-),? *axo%.Error%?(.*)$"
  if not value then return add(out, "Returns: " .. code(returned)) end
  if value ~= "" then add(out, "Returns: " .. code(value)) end
  local text = rest:gsub("^ err%f[%W]", ""):gsub("^%s+", "")
  text = text == "" and "." or "; " .. text
  add(out, fill("When it fails: `nil` and an `axo.Error`" .. text, ""))
end

local function add_function(out, fn)
  add(out, "### " .. signature(fn))
  add(out, text_of(fn))
  if #fn.params > 0 then add(out, "Takes:\n\n" .. items(fn.params)) end
  for _, returned in ipairs(fn.returns) do add_returned(out, returned) end
  for _, example in ipairs(fn.examples) do add(out, "```lua\n" .. example .. "\n```") end
end

local function add_type(out, class)
  add(out, "### " .. class.name)
  add(out, text_of(class))
  add(out, items(class.fields))
end

--- Writes a page.
---@param spec doc.PageSpec
---@param functions doc.Function[] with `full_name`
---@param types doc.Class[] those that its functions name, and that no other page has
---@return string
function page.write(spec, functions, types)
  local out = { "# " .. spec.title }
  add(out, fill(spec.about:gsub("\n\n", "\0"), ""):gsub("%z", "\n\n"))
  for _, fn in ipairs(functions) do add_function(out, fn) end
  if #types > 0 and #functions > 0 then add(out, "## The tables that these take and return") end
  for _, class in ipairs(types) do add_type(out, class) end
  return table.concat(out, "\n\n") .. "\n"
end

--- The list of all pages.
---@param specs doc.PageSpec[]
---@return string
function page.index(specs)
  local out = {
    "# The Lua API", "",
    "Made from the comments in the library's own files. `axolua help api NAME` shows a page, or",
    "one function: `axolua help api session`, `axolua help api sb:exec`.", "",
  }
  for _, spec in ipairs(specs) do
    out[#out + 1] = ("- [%s](%s.md): %s"):format(spec.name, spec.name, spec.title)
  end
  return table.concat(out, "\n") .. "\n"
end

return page
