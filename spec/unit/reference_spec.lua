-- The API reference is made from the annotations: everything public has a text and an example.
local support = require "spec.support.cli"
local proc = require "spec.support.proc"
local reference = require "spec.support.reference"
local uv = require "luv"

local GENERATOR = support.scripts() .. "/build/reference.lua"

describe("the API reference", function()
  it("has a text and an example for everything that is public", function()
    if not uv.fs_stat(GENERATOR) then return end
    local result = proc.run { support.axolua(), GENERATOR, "--check" }
    assert.equal(0, result.code, result.stderr)
    assert.equal("", result.stdout)
  end)

  it("has examples that are Lua", function()
    local examples, wrong = reference.examples(), {}
    assert.is_true(#examples >= 140)
    for _, it in ipairs(examples) do
      local _, problem = load(it.code, "=" .. it.name, "t")
      wrong[#wrong + 1] = problem
    end
    assert.same({}, wrong)
  end)

  it("is shown by axolua help api", function()
    local list = support.run { "help", "api" }
    assert.equal(0, list.code, list.stderr)
    for _, name in ipairs { "axo", "session", "task", "terminal", "decisions" } do
      assert.matches("\n- %[" .. name .. "%]", list.stdout)
      assert.matches("^# ", support.run({ "help", "api", name }).stdout)
    end
    assert.equal(support.run({ "help", "api", "async" }).stdout,
      support.run({ "help", "api", "axo.async" }).stdout)
  end)

  it("shows one function or one type, as it is called", function()
    for _, name in ipairs { "sb:exec", "sb:exec()", "axo.start", "axo.Stats", "task:follow" } do
      local shown = support.run { "help", "api", name }
      assert.equal(0, shown.code, shown.stderr)
      local _, count = ("\n" .. shown.stdout):gsub("\n### ", "")
      assert.equal(1, count, name)
      assert.matches("^### " .. name:gsub("%(%)", ""), shown.stdout)
    end
    assert.matches("^### sb:exec%(", support.run({ "help", "api", "exec" }).stdout)
    local waits = support.run({ "help", "api", "wait" }).stdout
    assert.matches("### task:wait%(", waits)
    assert.matches("### term:wait%(", waits)
    local grep = support.run({ "help", "api", "sb:grep" }).stdout
    assert.matches("When it fails: `nil` and an `axo.Error`", grep)
    assert.matches("```lua\n", grep)
  end)

  it("says what it does not have, and reads nothing outside of itself", function()
    for _, name in ipairs { "nothing", "../../../../README", "axo.nothing", "sb:" } do
      local result = support.run { "help", "api", name }
      assert.equal(2, result.code)
      assert.matches("axolua help api lists its pages", result.stderr)
    end
  end)
end)
