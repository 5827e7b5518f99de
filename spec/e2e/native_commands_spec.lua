-- @runs native-root
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"

-- Which supervisor runs a command.
local PARENT = { "sh", "-c", "echo $PPID" }

describe("commands that follow each other", function()
  e2e.housekeeping(_ENV)
  local sb, view
  setup(function()
    sb = native.start()
    view = e2e.probe.container(sb:container())
  end)
  teardown(function() sb:stop() end)

  local function parent() return assert(sb:exec(PARENT)).stdout end

  local function kill(pid)
    assert(sb:exec { "kill", "-KILL", pid })
  end

  it("run on one supervisor, and are scheduled as others are", function()
    local first = parent()
    for _ = 1, 20 do assert.equal(first, parent()) end
    for _ = 1, 5 do
      -- Field 41 of stat: SCHED_OTHER is 0.
      local policy = assert(sb:exec { "cut", "-d ", "-f41", "/proc/self/stat" })
      assert.equal("0\n", policy.stdout)
    end
  end)

  it("keep their output to the last byte, however they end", function()
    for _, script in ipairs { "printf x", "printf x; exit 3", "printf x; kill -KILL $$",
      "head -c 300000 /dev/zero | tr '\\0' x", "printf x >&2; exec >&- 2>&-; exit 4",
      "(printf x) &" } do
      local r = assert(sb:exec { "sh", "-c", script })
      assert.matches("^x+$", r.stdout .. r.stderr)
      assert.equal(#r.stdout + #r.stderr, script:find "300000" and 300000 or 1)
    end
  end)

  it("leave daemons that go on, and do not meet the signals for each other", function()
    for _ = 1, 5 do
      local mark = e2e.probe.unique_sleep()
      assert(sb:exec { "sh", "-c", ("sleep %s >/dev/null 2>&1 &"):format(mark) })
      local r = assert(sb:exec({ "sleep", "1000" }, { timeout = 0.1, grace = 0.1 }))
      assert.is_true(r.timed_out)
      assert.equal("after\n", assert(sb:exec { "echo", "after" }).stdout)
      assert.equal(1, #view.find(mark))
    end
  end)

  -- Twenty times what a pipe holds, on both streams, long after the command and its handle.
  it("let what one left running write as it likes", function()
    local r = assert(sb:exec { "sh", "-c", [[
      rm -f go done; mkfifo go
      (read line <go; head -c 1300000 /dev/zero; head -c 1300000 /dev/zero >&2; echo $? >done) &
    ]] })
    assert.equal(1, r.left_running)
    assert(sb:exec { "sh", "-c", "echo >go" })
    local status = e2e.eventually(function()
      local text = sb:read_file "done"
      return text ~= "" and text
    end, "its end")
    assert.equal("0\n", status)
  end)

  it("end what they left when they are cancelled", function()
    local mark = e2e.probe.unique_sleep()
    local outcome
    local handle = assert(sb:exec({ "sh", "-c", ("sleep %s & exec sleep %s"):format(mark, mark) },
      { grace = 0 }, function(_, r) outcome = r end))
    e2e.eventually(function() return #view.find("sleep " .. mark) == 2 end, "both")
    handle:cancel()
    e2e.eventually(function() return outcome end, "the end")
    assert.is_true(outcome.cancelled)
    assert.equal(0, outcome.left_running)
    assert.equal(0, #view.find("sleep " .. mark))
  end)

  it("hear of a supervisor that was killed under one, and go on", function()
    local err, r
    assert(sb:exec({ "sh", "-c", "echo $PPID >parent; exec sleep 1000" }, {},
      function(...) err, r = ... end))
    local pid = e2e.eventually(function()
      local text = sb:read_file "parent"
      return text and text:match "%d+"
    end)
    kill(pid)
    e2e.eventually(function() return err or r end, "the end of the command")
    assert.is_nil(err)
    assert.equal("KILL", r.signal)
    for _ = 1, 5 do assert.equal("well\n", assert(sb:exec { "echo", "well" }).stdout) end
    pid = parent():match "%d+"
    kill(pid)
    for _ = 1, 5 do assert.equal("well\n", assert(sb:exec { "echo", "well" }).stdout) end
  end)

  it("come after kill_all when they are started after it", function()
    for _ = 1, 20 do
      parent()
      local done, err, r
      assert(sb:kill_all(function() done = true end))
      assert(sb:exec({ "echo", "after" }, {}, function(...) err, r = ... end))
      e2e.eventually(function() return done and (err or r) end, "both ends")
      assert(r, tostring(err))
      assert.equal("after\n", r.stdout)
    end
  end)

  it("leave no more processes than one does", function()
    local pids = native.pid_counter(view)
    parent()
    local before
    e2e.eventually(function()
      before = pids()
      return before < 12
    end, "few processes")
    local ended = 0
    for _ = 1, 100 do
      assert(sb:exec({ "true" }, {}, function(err)
        assert(not err, err)
        ended = ended + 1
      end))
    end
    e2e.eventually(function() return ended == 100 end, "a hundred ends")
    e2e.eventually(function() return pids() < 12 end, "few processes again")
  end)
end)
