local last_line = require "axosandbox.base.text.last_line"
local scripted = require "axosandbox.way.scripted"
local result = require "axosandbox.way.result"

--- How many instructions `fn` takes, its callees' included.
local function cost(fn, ...)
  local count = 0
  debug.sethook(function() count = count + 1 end, "", 1)
  local value = fn(...)
  debug.sethook()
  return count, value
end

describe("the last line", function()
  for _, case in ipairs {
    { "one", "one" }, { "one\n", "one" }, { "one\ntwo", "two" }, { "one\ntwo\n\n\n", "two" },
    { "one\r\ntwo\r\n", "two" }, { "10%\r20%\r", "20%" }, { "\n\n  x \n", "  x " },
    { "a\0b\n", "a\0b" }, { "", nil }, { "\n", nil }, { "\r\n\r\n", nil },
  } do
    it(("of %q is %q"):format(case[1], tostring(case[2])), function()
      assert.equal(case[2], last_line(case[1]))
    end)
  end

  it("is cut to what anybody reads", function()
    assert.is_true(last_line("start\n" .. ("x"):rep(10000)) == ("x"):rep(4096))
  end)

  it("costs the same, however much was printed", function()
    local few = cost(last_line, "a\nb")
    -- A pattern that looks for it from the beginning takes hours for each of these.
    for _, text in ipairs {
      ("\n"):rep(1000000) .. "x", ("\n"):rep(1000000), ("x\n"):rep(500000),
      ("x"):rep(1000000) .. "\n ", ("\r\n"):rep(500000) .. "x", ("x"):rep(1000000),
    } do
      assert.is_true(cost(last_line, text) <= few + 10)
    end
  end)
end)

describe("what a container wrote to make its host slow", function()
  local function fake(outcome)
    return setmetatable({
      root = "/r",
      exec = function(_, _, done)
        done(nil, result.new(outcome))
        return {}
      end,
    }, { __index = scripted })
  end

  it("is no more than the cause of a failure", function()
    local stderr = ("\n"):rep(1000000) .. "cannot"
    local err
    local function keep(problem) err = problem end
    fake({ code = 1, stdout = "", stderr = stderr }):stat("f", true, keep)
    assert.equal("f: cannot", err.message)
    fake({ code = 96, stdout = "", stderr = stderr .. "\naxo-files IO failed\n" })
      :stat("f", true, keep)
    assert.equal("f: failed (cannot)", err.message)
  end)
end)
