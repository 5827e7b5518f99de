local options = require "axosandbox.base.options"
local session = require "axosandbox.session"

local function problem(shape, value)
  return options.validate(shape, value, "opts")
end

describe("options", function()
  it("accept what fits", function()
    local shape = {
      name = { type = "string", required = true }, count = "integer", ratio = "number",
      flag = "boolean", either = "string|table", fn = "function", whatever = "any",
    }
    assert.is_nil(problem(shape, {
      name = "x", count = 3, ratio = 0.5, flag = false, either = {}, fn = print, whatever = 1,
    }))
    assert.is_nil(problem(shape, { name = "x" }))
  end)

  it("name an unknown key, and those that are known", function()
    assert.equal('opts: unknown key "colour": did you mean "color"? (known: color)',
      problem({ color = "any" }, { colour = 1 }))
    assert.equal('opts: unknown key "x" (known: id)', problem({ id = "any" }, { x = 1 }))
    assert.matches('unknown key "1"', problem({ color = "any" }, { "x" }))
  end)

  it("name a missing key", function()
    assert.equal('opts: the key "id" is required',
      problem({ id = { type = "string", required = true } }, {}))
  end)

  it("refuse what is not a table", function()
    assert.equal("opts: expected a table, got string", problem({}, "x"))
    assert.equal("opts: expected a table, got nil", problem({}, nil))
  end)

  it("name a wrong type", function()
    assert.equal("opts.a: expected string or table, got number",
      problem({ a = "string|table" }, { a = 1 }))
    assert.equal("opts.a: expected integer, got number", problem({ a = "integer" }, { a = 1.5 }))
  end)

  it("take a float without a fraction for an integer", function()
    assert.is_nil(problem({ a = "integer" }, { a = 2.0 }))
  end)

  it("check bounds, and refuse what is not a number at all", function()
    local shape = { a = { type = "number", min = 1, max = 5 } }
    assert.matches("below the minimum 1", problem(shape, { a = 0 }))
    assert.matches("above the maximum 5", problem(shape, { a = 6 }))
    assert.matches("not a number", problem(shape, { a = 0 / 0 }))
    assert.matches("above the maximum", problem(shape, { a = math.huge }))
  end)

  it("check one_of", function()
    local shape = { a = { type = "string", one_of = { "x", "y" } } }
    assert.is_nil(problem(shape, { a = "y" }))
    assert.equal('opts.a: expected one of x, y, got "z"', problem(shape, { a = "z" }))
  end)

  it("check nested tables", function()
    local shape = { a = { type = "table", shape = { b = "string" } } }
    assert.is_nil(problem(shape, { a = { b = "x" } }))
    assert.matches("opts.a.b: expected string", problem(shape, { a = { b = 1 } }))
    assert.matches('opts.a: unknown key "c"', problem(shape, { a = { c = 1 } }))
  end)

  it("check sequences", function()
    local shape = { a = { type = "table", items = "string" } }
    assert.is_nil(problem(shape, { a = { "x", "y" } }))
    assert.is_nil(problem(shape, { a = {} }))
    assert.matches("opts.a%[2%]: expected string", problem(shape, { a = { "x", 2 } }))
    assert.matches('found the key "k"', problem(shape, { a = { "x", k = "y" } }))
    assert.matches("holes", problem(shape, { a = { "x", nil, "y" } }))
  end)

  it("check maps", function()
    local shape = { a = { type = "table", values = "string" } }
    assert.is_nil(problem(shape, { a = { k = "v" } }))
    assert.matches("opts.a.k: expected string", problem(shape, { a = { k = 1 } }))
    assert.matches("keys must be strings", problem(shape, { a = { [1] = "v" } }))
  end)

  it("ask a check of one's own", function()
    local shape = { a = { type = "string", check = function(v)
      if v == "" then return "must not be empty" end
    end } }
    assert.is_nil(problem(shape, { a = "x" }))
    assert.equal("opts.a: must not be empty", problem(shape, { a = "" }))
    assert.equal("opts.a: expected string, got number", problem(shape, { a = 1 }))
  end)

  it("raise where the caller called", function()
    local function call(opts)
      local checked = options.check({ a = "string" }, opts, "call", 2)
      return checked
    end
    assert.same({}, call(nil))
    local given = { a = "x" }
    assert.equal(given, call(given))
    local ok, err = pcall(function() call { b = 1 } end)
    assert.is_false(ok)
    assert.matches("options_spec.lua:%d+: call: unknown key", err)
  end)
end)

describe("the options of a command", function()
  it("name no directory and no user by an empty word", function()
    local sb = session.new({}, {})
    for _, key in ipairs { "cwd", "user" } do
      assert.error_matches(function() sb:exec({ "true" }, { [key] = "" }) end,
        "sandbox:exec." .. key .. ": it is empty")
    end
  end)
end)
