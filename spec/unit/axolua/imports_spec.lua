-- The commands are users of the public module: what they need of the library it exports.
local cli = require "spec.support.cli"
cli.expose_libraries()
local axo = require "axosandbox"
local uv = require "luv"

local THIRD_PARTY = { argparse = true, cjson = true, ["cjson.safe"] = true, luv = true }
-- A command by its name: help alone needs all of them.
local BY_NAME = "axolua/commands/init.lua"

local function each_file(dir, name, visit)
  for entry, kind in uv.fs_scandir_next, assert(uv.fs_scandir(dir)) do
    if kind == "directory" then
      each_file(dir .. "/" .. entry, name .. "/" .. entry, visit)
    elseif entry:find "%.lua$" then
      visit(dir .. "/" .. entry, name .. "/" .. entry)
    end
  end
end

local function is_allowed(wanted)
  return wanted == "axosandbox" or wanted:find "^axolua%." ~= nil or wanted == "axolua"
    or THIRD_PARTY[wanted] == true
end

-- What a chain of names such as "host.login.user" leads to; nil where one of them is missing.
local function lead(chain)
  local value = axo
  for name in chain:gmatch "[%w_]+" do
    if type(value) ~= "table" then return value end
    value = value[name]
  end
  return value
end

-- What a file calls by a name of its own: `local host, login = axo.host, axo.host.login`.
local function aliases(text)
  local called = { axo = "" }
  for names, values in text:gmatch "\nlocal ([%w_, ]+) = (axo%.[%w_., ]+)\n" do
    local chains = {}
    for chain in values:gmatch "axo%.([%w_.]+)" do chains[#chains + 1] = chain end
    local at = 0
    for name in names:gmatch "[%w_]+" do
      at = at + 1
      called[name] = chains[at]
    end
  end
  return called
end

-- The names of the module that a file uses and that are not there.
local function missing(text)
  local found = {}
  text = text:gsub("%-%-[^\n]*", "")
  for name, chain in pairs(aliases("\n" .. text)) do
    for used in text:gmatch("%f[%w_.:\"]" .. name .. "%.([%a_][%w_.]*)") do
      local whole = chain .. "." .. used
      if lead(whole) == nil then found[#found + 1] = "axo." .. whole:gsub("^%.", "") end
    end
  end
  table.sort(found)
  return found
end

describe("axolua's commands", function()
  local count, private, late, unknown = 0, {}, {}, {}
  each_file(cli.scripts() .. "/axolua", "axolua", function(path, name)
    count = count + 1
    local file <close> = assert(io.open(path))
    for _, used in ipairs(missing(file:read "a")) do
      unknown[#unknown + 1] = name .. ": " .. used
    end
    for line in io.lines(path) do
      local wanted = line:match "%f[%w_]require%s*%(?%s*[\"']([%w_.]+)[\"']"
      if wanted and not is_allowed(wanted) then private[#private + 1] = name .. ": " .. wanted end
      local asks = wanted or line:find "%f[%w_]require%s*%("
      if asks and not line:find "^local " and name ~= BY_NAME then
        late[#late + 1] = name .. ": " .. line
      end
    end
  end)

  it("ask the public module alone, and each other", function()
    assert.is_true(count > 50)
    assert.same({}, private)
  end)

  it("use what it has", function()
    assert.same({ "axo.host.nothing", "axo.nothing" }, missing
      "local a, host = axo.async, axo.host\na.call()\nhost.nothing()\naxo.nothing = 1\n")
    assert.same({}, unknown)
  end)

  it("ask at the top of a file", function() assert.same({}, late) end)
end)
