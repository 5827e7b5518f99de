-- @runs native-root portable-user
local e2e = require "spec.support.e2e"

describe("ending work inside the container", function()
  e2e.housekeeping(_ENV)
  local sb, view
  setup(function()
    sb = e2e.start()
    view = e2e.probe.container(sb:container())
  end)
  teardown(function() sb:stop() end)

  it("happens at the deadline: no command is left running", function()
    local mark = e2e.probe.unique_sleep()
    local r = assert(sb:exec({ "sleep", mark }, { timeout = 0.5 }))
    assert.is_true(r.timed_out)
    assert.is_false(r:ok())
    assert.equal(0, #view.find(mark))
  end)

  it("keeps what was printed before the deadline", function()
    local r = assert(sb:exec({ "sh", "-c", "echo before; exec sleep 1000" }, { timeout = 1 }))
    assert.is_true(r.timed_out)
    assert.equal("before\n", r.stdout)
  end)

  it("ends one that ignores TERM", function()
    local mark = e2e.probe.unique_sleep()
    local r = assert(sb:exec({ "sh", "-c",
      ("trap '' TERM INT HUP; while :; do sleep %s; done"):format(mark) },
      { timeout = 0.5, grace = 0.5 }))
    assert.is_true(r.timed_out)
    assert.equal(0, #view.find(mark))
  end)

  it("lets one that handles TERM say goodbye", function()
    local r = assert(sb:exec({ "sh", "-c",
      "trap 'echo goodbye; exit 0' TERM; echo ready; while :; do sleep 0.05; done" },
      { timeout = 1 }))
    assert.is_true(r.timed_out)
    assert.equal("ready\ngoodbye\n", r.stdout)
  end)

  it("ends the tree: children, daemons in sessions of their own, emptied environments", function()
    local mark = e2e.probe.unique_sleep()
    local script = [[
      sleep MARK & setsid sleep MARK & (setsid sh -c 'sleep MARK & wait' &)
      env -i sleep MARK &
      (trap '' TERM; setsid env -i sh -c 'sleep MARK; true' &)
      wait
    ]]
    local r = assert(sb:exec({ "sh", "-c", (script:gsub("MARK", mark)) },
      { timeout = 1, grace = 0.5 }))
    assert.is_true(r.timed_out)
    assert.equal(0, #view.find(mark))
  end)

  it("leaves other work alone", function()
    local mine, other, done = e2e.probe.unique_sleep(), e2e.probe.unique_sleep(), nil
    local handle = assert(sb:exec({ "sleep", other }, function() done = true end))
    view.await(other)
    local r = assert(sb:exec({ "sleep", mine }, { timeout = 0.5 }))
    assert.is_true(r.timed_out)
    assert.equal(1, #view.find(other))
    handle:cancel()
    e2e.eventually(function() return done end, "the end of the other")
  end)

  it("reaches work of another user", function()
    local mark = e2e.probe.unique_sleep()
    local r = assert(sb:exec({ "sleep", mark }, { timeout = 0.5, user = "worker" }))
    assert.is_true(r.timed_out)
    assert.equal(0, #view.find(mark))
  end)

  it("happens at the output limit when that is asked for", function()
    local mark = e2e.probe.unique_sleep()
    local r = assert(sb:exec({ "sh", "-c", "yes; sleep " .. mark },
      { max_output = 65536, on_limit = "kill", timeout = 60 }))
    assert.equal(65536, #r.stdout)
    assert.is_true(r.stdout_truncated)
    assert.is_falsy(r.timed_out)
    assert.equal(0, #view.find(mark))
    assert.equal(0, #view.find "yes")
  end)

  it("happens when the exec is cancelled, in every child", function()
    local mark, done = e2e.probe.unique_sleep(), nil
    local handle = assert(sb:exec({ "sh", "-c", ("sleep %s & sleep %s"):format(mark, mark) },
      function(err, r) done = { err, r } end))
    e2e.eventually(function() return #view.find(mark) >= 2 end, "both children")
    handle:cancel()
    e2e.eventually(function() return done end, "the callback")
    assert.equal(0, #view.find(mark))
  end)

  -- What a deadline, or a stop, makes of a task or a terminal.
  local ENDS = {
    { "echo up; exec sleep MARK", { signal = "TERM", code = 143 } },
    { "trap 'exit 7' TERM; echo up; while :; do sleep MARK & wait; done",
      { signal = "TERM", code = 7 } },
    { "trap '' TERM; echo up; setsid sleep MARK & while :; do sleep MARK; done",
      { signal = "KILL", code = 137 } },
    { "(trap '' TERM; echo up; exec setsid sleep MARK) & exec sleep MARK",
      { signal = "TERM", code = 143 } },
  }

  for _, spawn in ipairs { "spawn_background", "spawn_pty" } do
    it("of " .. spawn .. " happens at its deadline, of the whole tree", function()
      local works, marks = {}, {}
      for i, case in ipairs(ENDS) do
        marks[i] = e2e.probe.unique_sleep()
        works[i] = assert(sb[spawn](sb, (case[1]:gsub("MARK", marks[i])),
          { timeout = 3, grace = 0.5 }))
      end
      for i, case in ipairs(ENDS) do
        local status = assert(works[i]:wait())
        assert.equal(0, #view.find(marks[i]))
        assert.same({
          state = "killed", signal = case[2].signal, code = case[2].code, reason = "timed out",
          timed_out = true,
        }, status)
      end
    end)

    it("of " .. spawn .. " by a stop tells the same", function()
      for _, case in ipairs(ENDS) do
        local mark = e2e.probe.unique_sleep()
        local work = assert(sb[spawn](sb, (case[1]:gsub("MARK", mark)), { timeout = 1000 }))
        e2e.eventually(function() return work:read(0):find "up" end, "its traps")
        local status = assert((work.stop or work.close)(work, { grace = 0.5 }))
        assert.equal(0, #view.find(mark))
        assert.same({ state = "killed", signal = case[2].signal, code = case[2].code }, status)
        assert.same(status, work:wait())
      end
    end)

    it("of " .. spawn .. " that ends before its deadline does not happen", function()
      local work = assert(sb[spawn](sb, "exit 3", { timeout = 60 }))
      assert.same({ state = "exited", code = 3 }, assert(work:wait()))
    end)
  end
end)
