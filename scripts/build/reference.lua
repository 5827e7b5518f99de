--- axolua reference.lua DIR: writes the API reference into a directory, a page a module or a class.
--- With "--check" it writes nothing, and says what is public and has no text or no example.
local axo = require "axosandbox"
local host = require "axolua.host"
local uv = require "luv"
local annotations = require "annotations"
local contents = require "reference_contents"
local page = require "reference_page"

local ROOT = host.prefix .. "/share/lua/5.4/axosandbox/"

local files, classes = {}, {}

local function read(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

local function read_tree(below)
  for name, kind in uv.fs_scandir_next, assert(uv.fs_scandir(ROOT .. below)) do
    local path = below .. name
    if kind == "directory" then
      read_tree(path .. "/")
    elseif name:find "%.lua$" then
      files[#files + 1] = path
    end
  end
end

read_tree ""
table.sort(files)
for _, path in ipairs(files) do
  local lines = read(ROOT .. path)
  files[path] = lines
  annotations.add_classes(classes, lines)
end

-- ---- a function of the module -------------------------------------------------------------

-- What is written in C is declared in meta/ under the name that meta/axosandbox.lua gives it.
local function of_core(full_name)
  local name = full_name:match "[%w_]+$"
  local text = table.concat(files["meta/axosandbox.lua"], "\n")
  name = text:match('[\n%s]' .. name .. ' = require%("axosandbox%.core"%)[%w_.]-([%w_]+),') or name
  for _, path in ipairs(files) do
    for at, line in ipairs(path:find "^meta/" and files[path] or {}) do
      if line:find("^function %l[%w_]*%." .. name .. "%(") then
        return annotations.of_function(files[path], at)
      end
    end
  end
  error("no annotation of " .. full_name)
end

-- A compiled module is called by the end of its path.
local function lines_of(source)
  local ending = "/" .. source:gsub("^@", "")
  for _, path in ipairs(files) do
    local whole = "/axosandbox/" .. path
    if whole:sub(-#ending) == ending or ending:sub(-#whole) == whole then return files[path] end
  end
  error("no file " .. source)
end

local function of_function(full_name, fn)
  local info = debug.getinfo(fn, "S")
  local found
  if info.what == "C" then
    found = of_core(full_name)
  else
    found = annotations.of_function(lines_of(info.source), info.linedefined)
  end
  found.full_name = full_name
  return found
end

local function add_module(list, name, members, is_deep)
  local names = {}
  for key in pairs(members) do names[#names + 1] = key end
  table.sort(names)
  for _, key in ipairs(names) do
    local value = members[key]
    if type(value) == "function" then
      list[#list + 1] = of_function(name .. "." .. key, value)
    elseif is_deep and type(value) == "table" and type(key) == "string" then
      add_module(list, name .. "." .. key, value, true)
    end
  end
end

local function member(name)
  local value = axo
  for part in name:gmatch "%.(%w+)" do value = value[part] end
  return value
end

-- ---- a page -------------------------------------------------------------------------------

-- A file of the library says which methods are the library's own.
local OWN = { decide_own = true, sweep = true, soon = true,
  begin_within = true, streams = true, feed = true, new = true, wrap = true }

local function add_class(list, class, variable)
  for _, fn in ipairs(classes[class].functions) do
    if fn.is_method and not OWN[fn.name] then
      fn.full_name = variable .. ":" .. fn.name
      list[#list + 1] = fn
    end
  end
end

local function functions_of(spec)
  local list = {}
  for _, name in ipairs(spec.modules or {}) do
    add_module(list, name, member(name), name ~= "axo")
  end
  for _, it in ipairs(spec.classes or {}) do add_class(list, it[1], it[2]) end
  return list
end

local has_page = {}
for _, spec in ipairs(contents) do
  for _, name in ipairs(spec.types or {}) do has_page[name] = true end
end

-- The types that a text names, those that they name included.
local function add_types(list, text)
  for name in text:gmatch "axo%.[%w_.]*%w" do
    local class = classes[name]
    if class and not has_page[name] and #class.fields > 0 then
      has_page[name] = true
      list[#list + 1] = class
      for _, field in ipairs(class.fields) do add_types(list, field.type) end
    end
  end
end

local function types_of(spec, functions)
  local list = {}
  for _, name in ipairs(spec.types or {}) do list[#list + 1] = classes[name] end
  for _, it in ipairs(spec.classes or {}) do add_types(list, it[1]) end
  for _, fn in ipairs(functions) do
    for _, param in ipairs(fn.params) do add_types(list, param.type) end
    for _, returned in ipairs(fn.returns) do add_types(list, returned) end
  end
  return list
end

-- ---- what is missing ----------------------------------------------------------------------

local function problems(fn)
  local found = {}
  if #fn.text == 0 then found[#found + 1] = fn.full_name .. ": no text" end
  if #fn.examples == 0 then found[#found + 1] = fn.full_name .. ": no example" end
  return found
end

local function modules_of(specs)
  local set = {}
  for _, spec in ipairs(specs) do
    for _, name in ipairs(spec.modules or {}) do set[name] = true end
  end
  return set
end

local function check(specs)
  local has = modules_of(specs)
  for name, value in pairs(axo) do
    if type(value) == "table" and not has["axo." .. name] then
      print(("axo.%s: no page in reference_contents.lua"):format(name))
    end
  end
  for _, spec in ipairs(specs) do
    for _, fn in ipairs(functions_of(spec)) do
      for _, problem in ipairs(problems(fn)) do print(problem) end
    end
  end
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

if arg[1] == "--check" then return check(contents) end
for _, spec in ipairs(contents) do
  local functions = functions_of(spec)
  local text = page.write(spec, functions, types_of(spec, functions))
  write(("%s/%s.md"):format(arg[1], spec.name), text)
end
write(arg[1] .. "/README.md", page.index(contents))
