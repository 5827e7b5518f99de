-- The commands are users of the public module: what they need of the library it exports.
local cli = require "spec.support.cli"
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

describe("axolua's commands", function()
  local count, private, late = 0, {}, {}
  each_file(cli.scripts() .. "/axolua", "axolua", function(path, name)
    count = count + 1
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

  it("ask at the top of a file", function() assert.same({}, late) end)
end)
