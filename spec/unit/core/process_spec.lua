local core = require "axosandbox.core"
local unit = require "spec.support.unit"

describe("core.spawn", function()
  it("collects both streams and the exit code", function()
    local r = assert(unit.run { "sh", "-c", "echo out; echo err >&2; exit 7" })
    assert.equal("out\n", r.stdout)
    assert.equal("err\n", r.stderr)
    assert.equal(7, r.code)
    assert.is_nil(r.signal)
    assert.equal(4, r.stdout_total)
    assert.equal("float", math.type(r.duration))
    for _, flag in ipairs { "timed_out", "cancelled", "limit_hit", "drain_cut",
      "stdout_truncated", "stderr_truncated" } do
      assert.is_false(r[flag], flag)
    end
  end)

  it("names the signal that ended it", function()
    local r = assert(unit.run { "sh", "-c", "kill -KILL $$" })
    assert.equal("KILL", r.signal)
    assert.is_nil(r.code)
  end)

  it("returns an error, and fires nothing, when the program cannot start", function()
    local fired = false
    local p, err = core.spawn({ "/no/such/program" }, nil, function() fired = true end)
    assert.is_nil(p)
    assert.equal("ENOENT", err.code)
    assert.is_true(core.is_error(err))
    require("luv").run()
    assert.is_false(fired)
  end)

  it("writes a string to stdin and closes it", function()
    local bytes = string.char(0, 255, 10) .. ("x"):rep(300000)
    local r = assert(unit.run({ "cat" }, { stdin = bytes }))
    assert.equal(bytes, r.stdout)
    assert.equal("", assert(unit.run({ "cat" }, { stdin = "" })).stdout)
  end)

  it("takes input that reads like the word for a pipe", function()
    local r = assert(unit.run({ "cat" }, { input = "pipe" }))
    assert.equal("pipe", r.stdout)
  end)

  it("keeps stdin open when asked to", function()
    local result
    local p = assert(core.spawn({ "cat" }, { stdin = "pipe" }, function(r) result = r end))
    assert.equal("number", type(p:write "one "))
    p:write "two"
    assert.is_true(p:close_stdin())
    assert.is_true(p:close_stdin())
    local queued, err = p:write "three"
    assert.is_nil(queued)
    assert.equal("EPIPE", err.code)
    unit.wait(function() return result end)
    assert.equal("one two", result.stdout)
  end)

  it("tells when the queue of stdin has emptied", function()
    local p, result
    local drained = 0
    p = assert(core.spawn({ "cat" }, {
      stdin = "pipe",
      on_drain = function()
        drained = drained + 1
        p:close_stdin()
      end,
    }, function(r) result = r end))
    p:write(("y"):rep(500000))
    unit.wait(function() return result end)
    assert.equal(500000, #result.stdout)
    assert.is_true(drained >= 1)
    assert.equal(0, p:queued())
  end)

  it("streams both with on_output", function()
    local seen = { stdout = "", stderr = "" }
    local r = assert(unit.run({ "sh", "-c", "echo o; echo e >&2" }, {
      on_output = function(stream, bytes) seen[stream] = seen[stream] .. bytes end,
    }))
    assert.same({ stdout = "o\n", stderr = "e\n" }, seen)
    assert.equal("", r.stdout)
    assert.equal(2, r.stderr_total)
  end)

  it("streams one and collects the other", function()
    local streamed = {}
    local r = assert(unit.run({ "sh", "-c", "echo o; echo e >&2" }, {
      on_stderr = function(...) streamed[#streamed + 1] = table.pack(...) end,
    }))
    assert.equal("o\n", r.stdout)
    assert.same({ { "e\n", n = 1 } }, streamed)
    r = assert(unit.run({ "sh", "-c", "echo o; echo e >&2" }, { on_stdout = function() end }))
    assert.equal("e\n", r.stderr)
  end)

  it("writes into a ring and says so without the bytes", function()
    local ring <close> = assert(core.ring(4096))
    local calls = {}
    assert(unit.run({ "sh", "-c", "echo ring" }, {
      ring = ring, on_output = function(...) calls[#calls + 1] = table.pack(...) end,
    }))
    assert.equal("ring\n", (ring:read(0)))
    assert.same({ "stdout", n = 2 }, calls[1])
  end)

  it("keeps a ring that was closed under a running child", function()
    local ring = assert(core.ring(4096))
    local result
    assert(core.spawn({ "sh", "-c", "echo a; echo b" }, { ring = ring }, function(r)
      result = r
    end))
    ring:close()
    ring = nil -- luacheck: ignore 311
    unit.collect()
    unit.wait(function() return result end)
    assert.equal(4, result.stdout_total)
  end)

  it("merges stderr into stdout", function()
    local r = assert(unit.run({ "sh", "-c", "echo o; echo e >&2" }, { merge_stderr = true }))
    assert.equal("o\ne\n", r.stdout)
    assert.equal("", r.stderr)
  end)

  it("cuts output, or ends the child that exceeds its limit", function()
    local r = assert(unit.run({ "sh", "-c", "echo 123456789; exit 3" }, { max_output = 4 }))
    assert.equal("1234", r.stdout)
    assert.is_true(r.stdout_truncated)
    assert.equal(10, r.stdout_total)
    assert.equal(3, r.code)
    r = assert(unit.run({ "yes" }, { max_output = 1000, on_limit = "kill" }))
    assert.is_true(r.limit_hit)
    assert.equal(1000, #r.stdout)
  end)

  it("ends the child at its deadline", function()
    local r = assert(unit.run({ "sleep", "100" }, { timeout = 0.05 }))
    assert.is_true(r.timed_out)
    assert.equal("TERM", r.signal)
  end)

  it("hands the deadline over", function()
    local p, result
    p = assert(core.spawn({ "sleep", "100" }, {
      timeout = 0.05, on_deadline = function() p:signal "INT" end,
    }, function(r) result = r end))
    unit.wait(function() return result end)
    assert.is_true(result.timed_out)
    assert.equal("INT", result.signal)
  end)

  it("kills at once with a grace of nothing", function()
    local r = assert(unit.run({ "sh", "-c", "trap '' TERM; while :; do sleep 1; done" },
      { timeout = 0.2, grace = 0 }))
    assert.equal("KILL", r.signal)
  end)

  it("takes forever as no timeout", function()
    assert.equal(0, assert(unit.run({ "true" }, { timeout = math.huge })).code)
  end)

  it("cancels", function()
    local result
    local p = assert(core.spawn({ "sleep", "100" }, {}, function(r) result = r end))
    assert.is_true(p:cancel())
    assert.is_true(p:cancel())
    unit.wait(function() return result end)
    assert.is_true(result.cancelled)
    assert.is_true(p:cancel())
  end)

  it("gives environment and directory", function()
    local r = assert(unit.run({ "sh", "-c", "echo $AXO_X $(pwd)" },
      { env = { "AXO_X=1", "PATH=" .. os.getenv "PATH" }, cwd = "/" }))
    assert.equal("1 /\n", r.stdout)
  end)

  it("signals by name and number, and says so when it is over", function()
    for _, signal in ipairs { "USR1", "SIGUSR1", 10 } do
      local result
      local p = assert(core.spawn({ "sleep", "100" }, nil, function(r) result = r end))
      assert.is_true(p:signal(signal))
      unit.wait(function() return result end)
      assert.equal("USR1", result.signal)
      local ok, err = p:signal(signal)
      assert.is_nil(ok)
      assert.equal("ESRCH", err.code)
      ok, err = p:write "x"
      assert.is_nil(ok)
      assert.equal("EPIPE", err.code)
      assert.is_true(p:pid() > 0)
      assert.matches("ended", tostring(p))
    end
  end)

  it("ends the child when closed, and calls nothing back", function()
    local fired = false
    local p = assert(core.spawn({ "sleep", "100" }, nil, function() fired = true end))
    local pid = p:pid()
    p:close()
    p:close()
    unit.wait_for_death(pid)
    require("luv").run()
    assert.is_false(fired)
  end)

  it("can be closed within each of its callbacks", function()
    for _, name in ipairs { "on_output", "on_stdout", "on_drain", "on_deadline" } do
      local p
      local called = false
      p = assert(core.spawn({ "sh", "-c", "echo x; cat" }, {
        stdin = "pipe", timeout = name == "on_deadline" and 0.1 or nil,
        [name] = function()
          called = true
          p:close()
          unit.collect()
        end,
      }, function() error "not this one" end))
      p:write "abc"
      local messages = unit.uncaught(function() require("luv").run() end)
      assert.is_true(called, name)
      assert.same({}, messages)
      unit.wait_for_death(p:pid())
    end
    local p, ended
    p = assert(core.spawn({ "true" }, nil, function()
      ended = true
      p:close()
    end))
    unit.wait(function() return ended end)
  end)

  it("closes with its scope", function()
    local pid
    do
      local p <close> = assert(core.spawn({ "sleep", "100" }, nil, function() end))
      pid = p:pid()
    end
    unit.wait_for_death(pid)
  end)
end)

describe("the mistakes of a caller of core.spawn", function()
  local function mistake(pattern, ...)
    local ok, err = pcall(core.spawn, ...)
    assert.is_false(ok)
    assert.matches(pattern, err)
  end
  local function nop() end

  it("raise", function()
    mistake("table expected", "ls", {}, nop)
    mistake("function expected", { "ls" }, {})
    mistake("an argv is not empty", {}, {}, nop)
    mistake("spawn.argv%[2%]: expected string, got number", { "ls", 1 }, {}, nop)
    mistake("holes", { "ls", nil, "x" }, {}, nop)
    mistake("found the key 'x'", { "ls", x = 1 }, {}, nop)
    mistake("unknown key 'tiemout' %(known: env, cwd, ", { "ls" }, { tiemout = 1 }, nop)
    mistake("unknown key '1'", { "ls" }, { "x" }, nop)
    mistake("spawn.timeout: expected number, got string", { "ls" }, { timeout = "1" }, nop)
    mistake("spawn.on_drain: expected function, got table", { "ls" }, { on_drain = {} }, nop)
    mistake("spawn.stdin: expected", { "ls" }, { stdin = true }, nop)
    mistake("spawn.stdin: give", { "ls" }, { stdin = "a", input = "b" }, nop)
    mistake("spawn.on_limit: expected", { "ls" }, { on_limit = "stop" }, nop)
    mistake("ring: expected a ring, got table", { "ls" }, { ring = {} }, nop)
    mistake("give it or the others", { "ls" }, { on_output = nop, on_stdout = nop }, nop)
    local closed = assert(core.ring())
    closed:close()
    mistake("the ring is closed", { "ls" }, { ring = closed }, nop)
    local _, p = unit.run { "true" }
    assert.has_error(function() p:signal "NOPE" end)
    assert.has_error(function() p:signal(1000) end)
    assert.has_error(function() p.write({}, "x") end)
  end)

  it("are errors to return when only the value is wrong", function()
    local function refused(pattern, ...)
      local p, err = core.spawn(...)
      assert.is_nil(p)
      assert.equal("EINVAL", err.code)
      assert.matches(pattern, err.message)
      return err
    end
    assert.matches("on stdin, or in a file",
      refused("argv%[2%] holds a NUL byte", { "ls", "a\0b" }, {}, nop).hint)
    refused("cwd holds a NUL byte", { "ls" }, { cwd = "/\0" }, nop)
    refused("env%[1%] holds a NUL byte", { "ls" }, { env = { "A=\0" } }, nop)
    refused("timeout must not be negative", { "ls" }, { timeout = -1 }, nop)
    refused("timeout is not a number", { "ls" }, { timeout = 0 / 0 }, nop)
    refused("max_output must be a whole number", { "ls" }, { max_output = 1.5 }, nop)
    refused("max_output must be between 1", { "ls" }, { max_output = 0 }, nop)
  end)
end)
