local core = require "axosandbox.core"

describe("core.error", function()
  it("prints what, why and what to do", function()
    local err = core.error { code = "X", op = "start", message = "it is late", hint = "sleep" }
    assert.equal("start: it is late (hint: sleep)", tostring(err))
    err.hint = nil
    assert.equal("start: it is late", tostring(err))
    err.op, err.message = nil, nil
    assert.equal("unknown error", tostring(err))
  end)

  it("copies the fields and leaves the caller's table a plain one", function()
    local fields = {
      code = "X", op = "o", message = "m", stderr = "e", exit_code = 125, extra = {} }
    local err = core.error(fields)
    assert.is_nil(getmetatable(fields))
    for key, value in pairs(fields) do assert.equal(value, err[key]) end
    assert.not_equal(fields, err)
  end)

  it("is recognised, and nothing else is", function()
    assert.is_true(core.is_error(core.error { code = "X", op = "o", message = "m" }))
    for _, other in ipairs { 1, "x", {}, print, setmetatable({}, {}), io.stdout } do
      assert.is_false(core.is_error(other))
    end
    assert.is_false(core.is_error(nil))
    assert.has_error(function() core.is_error() end)
  end)

  it("needs its fields", function()
    assert.has_error(function() core.error {} end,
      "core.error: the field 'code' must be a string, got nil")
    assert.has_error(function() core.error { code = "X", op = 1, message = "m" } end)
    assert.has_error(function() core.error "x" end)
  end)
end)

describe("core", function()
  it("has a version", function()
    assert.matches("^%d+%.%d+%.%d+$", core.version)
  end)
end)
