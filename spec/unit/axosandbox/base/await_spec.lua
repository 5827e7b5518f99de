local uv = require "luv"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local gate = require "axosandbox.base.gate"
local log = require "axosandbox.base.log"
local unit = require "spec.support.unit"

describe("await", function()
  local messages
  before_each(function()
    messages = {}
    log.set_logger(function(_, message) messages[#messages + 1] = message end)
  end)
  after_each(function() log.set_logger(nil) end)

  local function later(...)
    local results = table.pack(...)
    return function(done)
      await.defer(function() done(table.unpack(results, 1, results.n)) end)
      return "handle"
    end
  end

  local function refuse() return nil, errors.new { code = "NO", op = "x", message = "no" } end

  local function in_coroutine(fn)
    local results
    coroutine.wrap(function() results = table.pack(fn()) end)()
    unit.wait(function() return results ~= nil end)
    return table.unpack(results, 1, results.n)
  end

  describe("call", function()
    it("runs the loop at the top level", function()
      assert.same({ 1, nil, 3, n = 3 }, table.pack(await.call(later(nil, 1, nil, 3))))
    end)

    it("waits in a coroutine", function()
      assert.same({ 1, nil, 3, n = 3 },
        table.pack(in_coroutine(function() return await.call(later(nil, 1, nil, 3)) end)))
    end)

    it("calls back on a later turn, exactly once, and returns the handle", function()
      local calls, returned = 0, false
      local handle = await.call(later(nil, 7), function(err, value)
        assert.is_true(returned)
        assert.is_nil(err)
        assert.equal(7, value)
        calls = calls + 1
      end)
      assert.equal("handle", handle)
      returned = true
      uv.run()
      assert.equal(1, calls)
    end)

    it("turns an error into nil, err", function()
      local err = errors.new { code = "E", op = "x", message = "m" }
      assert.same({ nil, err, n = 2 }, table.pack(await.call(later(err))))
      local _, got = in_coroutine(function() return await.call(later(err)) end)
      assert.equal(err, got)
    end)

    it("returns a failure to begin at once, in every style, and never calls back", function()
      local _, err = await.call(refuse)
      assert.equal("NO", err.code)
      _, err = in_coroutine(function() return await.call(refuse) end)
      assert.equal("NO", err.code)
      _, err = await.call(refuse, function() error "called back" end)
      assert.equal("NO", err.code)
      uv.run()
      assert.same({}, messages)
    end)

    it("takes an operation that completes before it has returned, in a coroutine", function()
      assert.equal(5, in_coroutine(function()
        return await.call(function(done)
          done(nil, 5)
          return true
        end)
      end))
    end)

    it("reports an operation that completes twice", function()
      local calls = 0
      await.call(function(done)
        await.defer(function()
          done(nil, 1)
          done(nil, 2)
        end)
        return true
      end, function() calls = calls + 1 end)
      uv.run()
      assert.equal(1, calls)
      assert.matches("completed twice", messages[1])
    end)

    it("refuses to wait inside a callback, and says what to do", function()
      local message
      await.defer(function()
        message = select(2, pcall(await.call, later(nil, 1)))
      end)
      uv.run()
      assert.matches("pass a callback, or call it in a coroutine", message)
    end)

    it("refuses a callback that is no function", function()
      assert.has_error(function() await.call(later(nil, 1), 5) end)
    end)

    it("says so when the loop runs empty", function()
      local _, err = await.call(function() return true end)
      assert.equal("INTERNAL", err.code)
    end)

    it("takes the error of a callback to the logger, with its traceback", function()
      await.call(later(nil, 1), function() error "on purpose" end)
      uv.run()
      assert.matches("on purpose.*traceback", messages[1])
    end)

    it("takes the error of a coroutine that waited to the logger", function()
      coroutine.wrap(function()
        await.call(later(nil, 1))
        error "on purpose"
      end)()
      uv.run()
      assert.matches("on purpose.*await_spec.lua", messages[1])
    end)
  end)

  describe("sequence", function()
    it("gives the body's results", function()
      assert.equal(3, await.sequence(function()
        local one = await.call(later(nil, 1))
        return one + await.call(later(nil, 2))
      end))
    end)

    it("passes nil, err on, and makes an error of what is raised", function()
      local _, err = await.sequence(refuse)
      assert.equal("NO", err.code)
      _, err = await.sequence(function() error "on purpose" end)
      assert.equal("INTERNAL", err.code)
      assert.matches("on purpose", err.message)
    end)
  end)

  describe("defer", function()
    it("keeps the order, and calls nothing before the next turn", function()
      local order = {}
      for i = 1, 3 do
        await.defer(function()
          order[#order + 1] = i
          if i == 1 then await.defer(function() order[#order + 1] = 4 end) end
        end)
      end
      assert.same({}, order)
      uv.run()
      assert.same({ 1, 2, 3, 4 }, order)
    end)

    it("that goes on for ever leaves the loop to others", function()
      local stop
      local function again() if not stop then await.defer(again) end end
      again()
      await.after(0.01, function() stop = true end)
      uv.run()
      assert.is_true(stop)
    end)

    it("goes on after an error", function()
      local reached
      await.defer(function() error "on purpose" end)
      await.defer(function() reached = true end)
      uv.run()
      assert.is_true(reached)
      assert.equal(1, #messages)
    end)
  end)

  describe("after", function()
    it("calls once, and not when it is taken back", function()
      local calls = {}
      await.after(0, function() calls[#calls + 1] = "kept" end)
      local cancel = await.after(0, function() calls[#calls + 1] = "cancelled" end)
      assert.is_true(cancel())
      assert.is_false(cancel())
      uv.run()
      assert.same({ "kept" }, calls)
    end)

    it("uses its timers again", function()
      local function count()
        local n = 0
        uv.walk(function() n = n + 1 end)
        return n
      end
      in_coroutine(function() return await.sleep(0.001) end)
      local before = count()
      for _ = 1, 50 do in_coroutine(function() return await.sleep(0) end) end
      assert.equal(before, count())
    end)
  end)

  it("leaves nothing that breaks the end of the process", function()
    local r = unit.lua [[
      local await = require "axosandbox.base.await"
      local uv = require "luv"
      await.sequence(function() await.sleep(0.01) return true end)
      await.after(5, function() end)()
      await.close(uv.new_timer())
      await.defer(function() end)
    ]]
    assert.equal("", r.stderr)
    assert.equal(0, r.code)
  end)
end)

describe("a gate", function()
  it("calls those who wait, in order, and those who come later on a later turn", function()
    local order = {}
    local g = gate.new()
    g:on(function() order[#order + 1] = 1 end)
    local forget = g:on(function() order[#order + 1] = "forgotten" end)
    g:on(function() order[#order + 1] = 2 end)
    forget()
    g:open()
    g:open()
    assert.same({ 1, 2 }, order)
    g:on(function() order[#order + 1] = 3 end)
    assert.same({ 1, 2 }, order)
    uv.run()
    assert.same({ 1, 2, 3 }, order)
  end)

  it("bounds the wait", function()
    local g, seen = gate.new(), {}
    g:within(0.001, function(happened) seen[#seen + 1] = happened end)
    uv.run()
    g:within(60, function(happened) seen[#seen + 1] = happened end)
    g:open()
    uv.run()
    assert.same({ false, true }, seen)
  end)
end)

describe("a number of seconds", function()
  local works = require "axosandbox.way.work"

  -- Something that runs until it is ended, and counts who waits for it.
  local function endless()
    local work = setmetatable({ id = "t1", waiters = 0, ended = gate.new() }, works.class())
    function work.on_end(self, fn)
      self.waiters = self.waiters + 1
      return self.ended:on(fn)
    end
    function work.status() return { state = "exited", code = 0 } end
    return work
  end

  it("is refused before anybody waits", function()
    local work, called = endless(), false
    for _, wrong in ipairs { 0 / 0, -1, -math.huge, "soon", true } do
      assert.error_matches(function()
        work:wait(wrong, function() called = true end)
      end, "seconds")
    end
    uv.run()
    assert.equal(0, work.waiters)
    assert.is_false(called)
  end)

  it("may be for ever", function()
    for _, seconds in ipairs { math.huge, 1e300, math.maxinteger } do
      local work, status = endless(), nil
      work:wait(seconds, function(_, s) status = s end)
      assert.equal(1, work.waiters)
      assert.is_nil(status)
      work.ended:open()
      unit.wait(function() return status end)
      assert.equal("exited", status.state)
    end
    uv.run()
  end)
end)
