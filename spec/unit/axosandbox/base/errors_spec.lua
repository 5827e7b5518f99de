local errors = require "axosandbox.base.errors"

describe("an error that is raised in a sequence", function()
  local fields = { code = "GONE", op = "spec", message = "it went away" }

  local function closing(seen)
    local _ <close> = errors.finally(function(err) seen[#seen + 1] = err or "nothing" end)
    if seen.raise then errors.raise(fields) end
    return "done"
  end

  it("is caught as it was, and a mistake goes on with its traceback", function()
    local value, err = errors.try(function() return errors.must(nil, errors.new(fields)) end)
    assert.is_nil(value)
    assert.equal("GONE", err.code)
    assert.equal("it went away", err.message)
    assert.equal(5, (errors.try(errors.must, 5)))
    local ok, problem = pcall(errors.try, errors.try, function() return #nil end)
    assert.is_false(ok)
    assert.matches("attempt to get length", problem)
    assert.equal(1, select(2, problem:gsub("stack traceback", "")))
  end)

  it("is known to what ends with the block", function()
    local seen = {}
    assert.equal("done", errors.try(closing, seen))
    seen.raise = true
    assert.is_nil((errors.try(closing, seen)))
    assert.equal("nothing", seen[1])
    assert.equal("GONE", seen[2].code)
  end)

  it("passes what waits at the end of a block, too", function()
    local co = coroutine.wrap(function()
      local _, err = errors.try(function()
        local _ <close> = errors.finally(function() coroutine.yield "waiting" end)
        errors.raise(fields)
      end)
      return err.code
    end)
    assert.equal("waiting", co())
    assert.equal("GONE", co())
  end)
end)
