-- The version is written once, in CMakeLists.txt. Everything else follows it, or is compared here.
local support = require "spec.support.cli"
support.expose_libraries()
local core = require "axosandbox.core"
local manual = require "axolua.document.manual"
local proc = require "spec.support.proc"
local temp = require "spec.support.temp"

local function escaped(text)
  return (text:gsub("%p", "%%%0"))
end

describe("the version", function()
  local version = temp.read("CMakeLists.txt"):match "project%(axosandbox VERSION (%d+%.%d+%.%d+) "

  it("is the library's", function()
    assert.equal(version, core.version)
    assert.equal(version, require("axosandbox").version)
    assert.matches("^axolua " .. escaped(version) .. " ", support.run({ "--version" }).stdout)
  end)

  it("is that of pkg-config's file and of the Debian package", function()
    local build = support.axolua():match "^(.*)/"
    assert.matches("\nVersion: " .. escaped(version) .. "\n", temp.read(build .. "/axosandbox.pc"))
    assert.matches('CPACK_PACKAGE_VERSION "' .. escaped(version) .. '"',
      temp.read(build .. "/CPackConfig.cmake"))
  end)

  it("is the rock's, in its name and in it", function()
    local found = proc.must { "/bin/sh", "-c", "echo bindings/*.rockspec" }
    assert.equal(("bindings/axosandbox-%s-1.rockspec\n"):format(version), found)
    local rock = {}
    assert(loadfile(found:match "%S+", "t", rock))()
    assert.equal(version .. "-1", rock.version)
  end)

  it("is that of the first entry in the change log", function()
    assert.equal(version, temp.read("CHANGELOG.md"):match "\n## (%S+)")
  end)

  it("is in the manual", function()
    local page = temp.read(support.axolua():match "^(.*)/" .. "/share/man/man1/axolua.1")
    assert.matches("This is version " .. escaped(version) .. "%.\n", page)
  end)
end)

describe("the manual", function()
  it("begins each sentence on a line, and none of them is taken for a request", function()
    assert.equal("One.\nTwo; \\(lqaxolua ps\\(rq.\nThree",
      manual.prose "One. Two; `axolua ps`. Three")
    assert.equal("\\&.Sh x", manual.prose ".Sh x")
    assert.equal("a\\eb \\(dqc\\(dq", manual.prose 'a\\b "c"')
    for line in manual.prose(("word "):rep(100)):gmatch "[^\n]+" do
      assert.is_true(#line <= 80)
    end
  end)

  it("has every command, option and exit status", function()
    local commands = require "axolua.commands"
    local grammar = require "axolua.document.grammar"
    local page = manual.render("@SYNOPSIS@ @COMMANDS@ @EXIT_STATUS@", "1.2.3")
    for _, model in ipairs(grammar.flat()) do
      assert.truthy(page:find(".Cm " .. model.name, 1, true), model.name)
      for _, option in ipairs(model.options) do
        local name = option.names[#option.names]
        assert.truthy(name == "--help" or page:find("Fl " .. name:sub(2), 1, true), name)
      end
    end
    for _, code in ipairs(commands.exit_codes) do
      assert.truthy(page:find('.It "' .. code[1] .. '"', 1, true), code[1])
    end
  end)
end)
