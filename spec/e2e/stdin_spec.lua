-- @runs native-root portable-user
local e2e = require "spec.support.e2e"
local temp = e2e.temp

describe("stdin", function()
  e2e.housekeeping(_ENV)
  local sb
  setup(function() sb = e2e.start() end)
  teardown(function() sb:stop() end)

  it("is streamed while output is read: 2 MB go in and come out at once", function()
    local bytes = temp.random_bytes(2 * 1024 * 1024)
    local r = assert(sb:exec({ "cat" },
      { stdin = bytes, max_output = 4 * 1024 * 1024, timeout = 60 }))
    assert.equal(0, r.code)
    assert.equal(#bytes, #r.stdout)
    assert(r.stdout == bytes, "the bytes came back changed")
  end)

  it("and stdout carry 1 MB of random bytes unchanged", function()
    local bytes = temp.random_bytes(1024 * 1024)
    local file = sb:root() .. "/random bytes"
    local r = assert(sb:exec_stdin({ "sh", "-c", 'cat > "$1"; cat "$1"', "sh", file }, bytes,
      { timeout = 60, max_output = 2 * 1024 * 1024 }))
    assert(r.stdout == bytes, "the bytes came back changed")
    assert(temp.read(file) == bytes, "the bytes in the file are others")
  end)

  it("is empty when nothing is given", function()
    local r = assert(sb:exec({ "cat" }, { timeout = 30 }))
    assert.equal("", r.stdout)
    assert.is_falsy(r.timed_out)
  end)

  it("may be empty bytes", function()
    local r = assert(sb:exec_stdin({ "wc", "-c" }, "", { timeout = 30 }))
    assert.equal("0", r.stdout:match "%d+")
  end)

  it("that nobody reads is inside the deadline", function()
    local r = assert(sb:exec({ "sleep", "1000" },
      { stdin = ("x"):rep(2 * 1024 * 1024), timeout = 1 }))
    assert.is_true(r.timed_out)
  end)

  it("that a command leaves unread is no failure", function()
    local r = assert(sb:exec({ "sh", "-c", "exit 5" },
      { stdin = ("x"):rep(2 * 1024 * 1024), timeout = 60 }))
    assert.equal(5, r.code)
    assert.is_falsy(r.timed_out)
  end)

  it("comes from a function piece by piece until it returns nil", function()
    local n = 0
    local r = assert(sb:exec({ "sh", "-c", "wc -l" }, {
      timeout = 60,
      stdin = function()
        n = n + 1
        if n <= 100 then return "line " .. n .. "\n" end
      end,
    }))
    assert.equal("100", r.stdout:match "%d+")
  end)

  it("of a function that returns what cannot be taken ends the command, and is its error",
    function()
      local view, mark = e2e.probe.container(sb:container()), e2e.probe.unique_sleep()
      for _, case in ipairs {
        { ("x"):rep(17 * 1024 * 1024), "the stdin function returned 17825792 bytes at once" },
        { {}, "the stdin function must return a string or nil, got table" },
      } do
        local calls = 0
        local r, err = sb:exec({ "sleep", mark }, {
          timeout = 60,
          stdin = function()
            calls = calls + 1
            return case[1]
          end,
        })
        assert.is_nil(r)
        assert.equal("CALLBACK", err.code)
        assert.matches(case[2], tostring(err), 1, true)
        assert.equal(1, calls)
        assert.equal(0, #view.find(mark))
      end
    end)

  it("of a function is not asked for any more once the command has ended", function()
    local calls = 0
    local r = assert(sb:exec({ "true" }, {
      timeout = 60,
      stdin = function()
        calls = calls + 1
        return ""
      end,
    }))
    assert.equal(0, r.code)
    e2e.proc.turn(3)
    local seen = calls
    e2e.proc.turn(10)
    assert.equal(seen, calls)
  end)

  it("is written and closed through the handle", function()
    local done
    local handle = assert(sb:exec({ "cat" }, { stdin = "pipe" }, function(err, r)
      done = { err, r }
    end))
    handle:write "one "
    handle:write "two"
    handle:close_stdin()
    e2e.eventually(function() return done end, "the end of cat")
    assert.equal("one two", done[2].stdout)
  end)
end)

describe("a host that writes to a command that has gone", function()
  e2e.housekeeping(_ENV)

  it("does not die of SIGPIPE", function()
    local result = e2e.host.run([[
      local sb = assert(axo.start(options))
      for _ = 1, 3 do
        local r = assert(sb:exec({ "true" }, { stdin = ("x"):rep(4 * 1024 * 1024) }))
        say("code", r.code)
      end
      local done
      local handle = assert(sb:exec({ "sh", "-c", "exec <&-; sleep 0.3" }, { stdin = "pipe" },
        function() done = true end))
      while not done do
        handle:write(("y"):rep(1000))
        uv.run "once"
      end
      assert(sb:stop())
      say "alive"
    ]], { options = e2e.options() })
    assert.matches("alive", result.stdout, 1, false, result.stderr)
  end)
end)
