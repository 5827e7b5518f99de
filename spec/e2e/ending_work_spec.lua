-- @runs native-user portable-user
local e2e = require "spec.support.e2e"

-- The hard cases of ending work; the plain ones are in timeout_kill_spec.lua.
describe("ending work", function()
  e2e.housekeeping(_ENV)
  local sb, view
  setup(function()
    sb = e2e.start { policy = { limits = { pids = 96 } } }
    view = e2e.probe.container(sb:container())
  end)
  teardown(function() sb:stop() end)

  it("that has hardly begun leaves nothing that begins later", function()
    local mark = e2e.probe.unique_sleep()
    for _, timeout in ipairs { 0.01, 0.06, 0.12, 0.2 } do
      local r = assert(sb:exec({ "sleep", mark }, { timeout = timeout }))
      assert.is_true(r.timed_out)
      assert.equal(0, #view.find(mark))
    end
    assert.equal(0, assert(sb:exec { "true" }).code)
    assert.equal(0, #view.find(mark))
  end)

  it("finds descendants that gave root up", function()
    local mark = e2e.probe.unique_sleep()
    local r = assert(sb:exec({ "sh", "-c", ([[
      (setsid su worker -s /bin/sh -c 'trap "" TERM; sleep %s; true' &)
      sleep %s
    ]]):format(mark, mark) }, { timeout = 2, grace = 0.2 }))
    assert.is_true(r.timed_out)
    assert.equal(0, #view.find(mark))
  end)

  it("finds a daemon with an empty environment and a session of its own, by its output", function()
    local mark = e2e.probe.unique_sleep()
    local r = assert(sb:exec({ "sh", "-c", ([[
      (setsid env -i sh -c 'trap "" TERM; sleep %s; true' &)
      sleep %s
    ]]):format(mark, mark) }, { timeout = 2, grace = 0.2 }))
    assert.is_true(r.timed_out)
    assert.equal(0, #view.find(mark))
  end)

  if e2e.probe.limits_apply() then
    it("ends a fork bomb that leaves no process for podman", function()
      assert.equal(96, e2e.probe.limits(view.pid).pids)
      local r = assert(sb:exec({ "sh", "-c", "bomb() { bomb | bomb & }; bomb; sleep 1000" },
        { timeout = 1, grace = 0.2 }))
      assert.is_true(r.timed_out)
      assert.equal(0, #view.find "bomb")
      assert.equal("alive\n", assert(sb:exec { "echo", "alive" }).stdout)
    end)
  else
    it("has no limit of processes to rely on here, and the session says so", function()
      assert.is_false(sb:limits().pids.enforced)
    end)
  end

  it("keeps to one process when that is asked", function()
    local done, said = nil, ""
    local script = [[
      trap 'echo main' USR1
      sh -c 'trap "echo child" USR1; echo ready; until [ -e go ]; do sleep 0.1; done'
      exit 3
    ]]
    local handle = assert(sb:exec({ "sh", "-c", script }, {
      on_stdout = function(bytes) said = said .. bytes end,
    }, function(err, r) done = assert(r, err) end))
    e2e.eventually(function() return said == "ready\n" end, "both traps")
    local count
    assert(handle:signal("USR1", { tree = false }, function(err, n) count = assert(n, err) end))
    e2e.eventually(function() return count end, "the signal")
    assert(sb:write_file("go", ""))
    e2e.eventually(function() return done end, "the end")
    assert.equal(1, count)
    assert.equal("ready\nmain\n", said)
    assert.equal(3, done.code)
  end)

  it("by a signal tells which one it was", function()
    local done
    local handle = assert(sb:exec({ "sleep", "1000" }, function(err, r) done = assert(r, err) end))
    view.await "sleep 1000"
    handle:signal "INT"
    e2e.eventually(function() return done end, "the end")
    assert.equal("INT", done.signal)
    assert.equal(130, done.code)
    assert.is_false(done.cancelled)
  end)
end)

describe("stopping a session", function()
  e2e.housekeeping(_ENV)

  it("ends what is in flight with an error that says so, and all handles with it", function()
    local sb = e2e.start()
    local view = e2e.probe.container(sb:container())
    local outcomes = {}
    local function note(name)
      return function(err, r) outcomes[name] = err or r end
    end
    local mark = e2e.probe.unique_sleep()
    assert(sb:exec({ "sleep", mark }, note "exec"))
    assert(sb:exec({ "cat" }, { stdin = "pipe" }, note "cat"))
    local task = assert(sb:spawn_background("sleep " .. mark))
    local term = assert(sb:spawn_pty("sleep " .. mark))
    task:wait(note "task")
    term:wait(note "terminal")
    e2e.eventually(function() return #view.find(mark) >= 3 end, "all of them")
    assert(sb:stop())
    assert.equal("STOPPED", outcomes.exec.code)
    assert.equal("STOPPED", outcomes.cat.code)
    assert.equal("killed", outcomes.task.state)
    assert.equal("killed", outcomes.terminal.state)
    assert.equal("killed (KILL)", task:status())
    assert.is_false(term:is_alive())
    assert(sb:stop())
    for _, call in ipairs {
      function() return sb:exec { "true" } end,
      function() return sb:spawn_background "true" end,
      function() return sb:spawn_pty "true" end,
      function() return sb:read_file "x" end,
      function() return sb:write_file("x", "y") end,
      function() return sb:edit_file("x", "y", "z") end,
    } do
      local value, err = call()
      assert.is_nil(value)
      assert.equal("STOPPED", err.code)
    end
    local message = tostring(select(2, sb:exec { "true" }))
    assert.truthy(message:find(sb:id(), 1, true))
  end)

  it("while a kill is under way loses neither", function()
    local sb = e2e.start()
    local outcome
    local handle = assert(sb:exec({ "sh", "-c", "trap '' TERM; while :; do sleep 1; done" },
      function(err, r) outcome = err or r end))
    e2e.probe.container(sb:container()).await "sleep 1"
    handle:cancel()
    assert(sb:stop())
    assert.equal("STOPPED", outcome.code)
  end)
end)
