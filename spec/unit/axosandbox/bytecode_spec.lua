-- Compiled modules are the same as those that are parsed, or are not used.
local temp = require "spec.support.temp"
local unit = require "spec.support.unit"

local bytecode = require "axosandbox.axolua.bytecode"

local function hash(text) return #text end

describe("compiled modules", function()
  local dir, out
  before_each(function()
    dir = temp.dir "prefix"
    out = dir .. "/modules.luac"
    temp.write(dir .. "/a.lua", "local name, file = ... return { name, file, 1 }")
    temp.write(dir .. "/b.lua", "error 'b fails'")
    bytecode.write(out, dir, { ["x.a"] = "a.lua", ["x.b"] = "b.lua" }, hash)
  end)

  local function search(name) return bytecode.searcher(out, dir, hash)(name) end

  it("get what require hands to a module, and name its file in errors", function()
    local chunk, file = search "x.a"
    assert.equal(dir .. "/a.lua", file)
    assert.same({ "x.a", file, 1 }, chunk("x.a", file))
    local _, err = pcall(search "x.b")
    assert.matches("b.lua:1: b fails", err, 1, true)
  end)

  it("are left alone when their text has changed or is gone", function()
    temp.write(dir .. "/a.lua", "return 2")
    assert.is_nil(search "x.a")
    assert(os.remove(dir .. "/a.lua"))
    assert.is_nil(search "x.a")
    assert.is_function(search "x.b")
    assert.is_nil(search "x.c")
  end)

  it("are left alone when the file is cut, of another Lua, or not there", function()
    local whole = temp.read(out)
    for _, size in ipairs { 0, 3, 100, #whole // 2, #whole - 1 } do
      temp.write(out, whole:sub(1, size))
      assert.is_nil(search "x.b")
    end
    temp.write(out, (whole:gsub("probe", "prone", 1)))
    assert.is_nil(search "x.b")
    assert(os.remove(out))
    assert.is_nil(search "x.b")
  end)

  it("of somebody else are taken where package.path finds the same text", function()
    local other, path = temp.dir "other", package.path
    temp.write(other .. "/theirs.lua", "return { ... }")
    bytecode.write(out, dir, { theirs = other .. "/theirs.lua" }, hash)
    package.path = dir .. "/?.lua"
    assert.is_nil(search "theirs")
    temp.write(dir .. "/theirs.lua", "return { ... }")
    local chunk, file = search "theirs"
    temp.write(dir .. "/theirs.lua", "return 'another'")
    local later = search "theirs"
    package.path = path
    assert.equal(dir .. "/theirs.lua", file)
    assert.same({ "theirs", file }, chunk("theirs", file))
    assert.is_nil(later)
  end)

  it("are there for every module of the installation", function()
    local r = unit.run { unit.prefix() .. "/axolua", "-e", [[
      local host = require "axolua.host"
      for path in io.popen("find -L '" .. host.prefix .. "/share/lua/5.4/axosandbox' '"
          .. host.share .. "/scripts/axolua' -name '*.lua'"):lines() do
        local name = path:match "5.4/(axosandbox.*)%.lua$" or path:match "scripts/(axolua.*)%.lua$"
        name = name:gsub("/init$", ""):gsub("/", ".")
        if not host.search_compiled(name) then print(name) end
      end
      local _, file = host.search_compiled "argparse"
      if file ~= package.searchpath("argparse", package.path) then print "argparse" end
    ]] }
    assert.equal("", r.stdout .. r.stderr)
  end)
end)
