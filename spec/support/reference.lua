--- The API reference as the build made it: its functions, and the examples of each.
local uv = require "luv"
local unit = require "spec.support.unit"

local reference = {}

local function directory()
  for _, name in ipairs { "/share/doc/axosandbox/api" } do
    if uv.fs_stat(unit.prefix() .. name) then return unit.prefix() .. name end
  end
  error "there is no API reference beside the module: build it first"
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function add_examples(list, page, text)
  local name
  for heading, code in ("\n" .. text):gmatch "\n(#* ?[^\n]*)()" do
    name = heading:match "^### ([^%(%s]+)%(" or name
    if heading == "```lua" then
      list[#list + 1] = { page = page, name = name, code = text:match("^(.-)\n```", code) }
    end
  end
end

--- All examples: the page, the function and the code of each.
---@return { page: string, name: string, code: string }[]
function reference.examples()
  local list = {}
  for file in uv.fs_scandir_next, assert(uv.fs_scandir(directory())) do
    add_examples(list, file, read(directory() .. "/" .. file))
  end
  table.sort(list, function(a, b) return a.page .. a.name < b.page .. b.name end)
  return list
end

return reference
