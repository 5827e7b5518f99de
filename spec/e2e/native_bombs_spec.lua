-- @runs native-root
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"

-- Only ever inside a container that may have few processes.
local LIMITS = { memory = "512m", pids = 512 }
-- Its first process ends at once, what it made holds its output; a bomb may die by its own limit,
-- and leaves a sleep then.
local CLASSIC = ": %s; sleep 1000 & b() { b | b & }; b"
local ATTENDED = CLASSIC .. "; exec sleep 1000"
-- Each in a session and a group of its own, so that no signal meets two of them. A shell that cannot
-- fork ends: the whole of it may, by chance, but for what waits for it.
local SCATTERED = ': %s; setsid sh -c "$0" "$0" & setsid sh -c "$0" "$0" & wait'
local ORPHANS = tonumber(os.getenv "AXO_ORPHANS") or 3000

describe("a command that forks without end", function()
  e2e.housekeeping(_ENV)
  if not e2e.probe.limits_apply() then
    it("is not tried where nothing would stop it, and a session says so", function()
      local session = native.start { policy = { limits = LIMITS } }
      assert.is_false(session:limits().pids.enforced)
      assert(session:stop())
    end)
    return
  end

  local sb, view, pids
  setup(function()
    sb = native.start { policy = { limits = LIMITS } }
    assert.is_true(sb:limits().pids.enforced)
    view = e2e.probe.container(sb:container())
    pids = native.pid_counter(view)
  end)
  teardown(function() sb:stop() end)

  local function bomb(text)
    local mark = e2e.probe.unique_sleep()
    local script = text:format(mark)
    if text ~= SCATTERED then return { "sh", "-c", script }, mark end
    return { "sh", "-c", 'sh -c "$0" "$0" & exec sleep 1000', script }, mark
  end

  local function assert_well(mark)
    view.await_gone(mark)
    for _ = 1, 5 do
      assert.equal("well\n", assert(sb:exec({ "echo", "well" }, { timeout = 60 })).stdout)
    end
  end

  -- What a command leaves running goes on; whether a bomb then dies by its own limit is chance.
  it("and has ended itself is told of, and over with kill_all", function()
    local argv, mark = bomb(CLASSIC)
    local r, err = sb:exec(argv, { timeout = 60, max_output = 65536 })
    assert(r, tostring(err))
    assert.is_false(r.timed_out)
    assert.is_true(r.left_running > 0)
    assert(sb:kill_all())
    assert_well(mark)
  end)

  for name, text in pairs { ["in one group"] = ATTENDED, ["in a session each"] = SCATTERED } do
    it(name .. " is over at its deadline, and never blocks the host", function()
      local argv, mark = bomb(text)
      local ticks, r, err = native.ticks(function()
        return sb:exec(argv, { timeout = 2, grace = 0.2, max_output = 65536 })
      end)
      assert(r, tostring(err))
      assert.is_true(r.timed_out)
      assert(ticks > 20, "the loop stood still: " .. ticks)
      assert_well(mark)
    end)

    it(name .. " is stopped as a task", function()
      local argv, mark = bomb(text)
      local has_had = native.pid_peak(view)
      local task = assert(sb:spawn_background(argv))
      e2e.eventually(function() return has_had(200) end, "many processes")
      assert(task:stop { grace = 0 })
      assert.equal(0, #view.find(mark))
      assert_well(mark)
    end)

    it(name .. " is ended by kill_all, also when no process is left to be had", function()
      local argv, mark = bomb(text)
      local has_had = native.pid_peak(view)
      assert(sb:spawn_background(argv))
      e2e.eventually(function() return has_had(300) end, "few processes left")
      assert(sb:kill_all())
      assert.equal(0, #view.find(mark))
      assert_well(mark)
    end)

    it(name .. " is ended by closing its terminal", function()
      local argv, mark = bomb(text)
      local has_had = native.pid_peak(view)
      local term = assert(sb:spawn_pty(argv))
      e2e.eventually(function() return has_had(200) end, "many processes")
      assert(term:close { grace = 0 })
      assert_well(mark)
    end)

    it(name .. " is over when its host is killed", function()
      local argv, mark = bomb(text)
      local host = native.host([[
        local sb = check(axo.open(options.id))
        check(sb:exec(options.argv, {}, function() say "over" end))
        say "begun"
        hold()
      ]], { id = sb:id(), argv = argv })
      host:wait_for "begun"
      view.await(mark)
      native.kill(host)
      assert_well(mark)
    end)
  end

  it("fails clearly for others while it runs, and for nobody afterwards", function()
    local mark = e2e.probe.unique_sleep()
    local task = assert(sb:spawn_background(
      ("while sleep %s & do :; done 2>/dev/null; wait"):format(mark)))
    e2e.eventually(function() return pids() >= 511 end, "the limit")
    local results, errors = 0, 0
    for _ = 1, 12 do
      assert(sb:exec({ "sleep", "0.2" }, { timeout = 60 }, function(err, r)
        if r then results = results + 1 else
          errors = errors + 1
          assert.equal("NO_PROCESS", err.code)
          assert.matches("limit", err.hint)
        end
      end))
    end
    e2e.eventually(function() return results + errors == 12 end, "twelve answers")
    assert(task:stop { grace = 0 })
    assert_well(mark)
  end)
end)

describe("kill_all", function()
  e2e.housekeeping(_ENV)

  it("empties a session of everything but its guest, whoever started it", function()
    local sb = native.start()
    local view = e2e.probe.container(sb:container())
    local mark, outcome = e2e.probe.unique_sleep(), nil
    local task = assert(sb:spawn_background(("trap '' TERM; setsid sleep %s & sleep %s"):format(
      mark, mark)))
    local term = assert(sb:spawn_pty { "sleep", mark })
    assert(sb:exec({ "sleep", mark }, {}, function(err, r) outcome = { err = err, r = r } end))
    e2e.podman.must("exec", "-d", sb:container(), "sleep", mark)
    e2e.eventually(function() return #view.find("sleep " .. mark) >= 5 end, "all of them")
    assert(sb:kill_all())
    assert.equal(0, #view.find(mark))
    e2e.eventually(function() return outcome end, "the end of the exec")
    assert.equal("KILL", outcome.r and outcome.r.signal)
    assert.matches("^killed", e2e.eventually(function()
      return not task:is_running() and task:status()
    end, "the end of the task"))
    e2e.eventually(function() return not term:is_alive() end, "the end of the terminal")
    local others = 0
    for _, process in ipairs(view.processes()) do
      if not process.command:find "axosandbox%-guest" and not process.state:find "[ZX]" then
        others = others + 1
      end
    end
    assert.equal(0, others)
    assert.equal(0, assert(sb:exec { "true" }).code)
    assert(sb:stop())
  end)
end)

describe("orphans", function()
  e2e.housekeeping(_ENV)
  local sb, view, pids
  setup(function()
    sb = native.start { policy = { limits = LIMITS } }
    view = e2e.probe.container(sb:container())
    pids = native.pid_counter(view)
  end)
  teardown(function() sb:stop() end)

  -- Far more than the container may have at once: one that is not reaped stays counted.
  local MAKE = "i=0; while [ $i -lt %d ]; do (true & ); i=$((i+1)); done"

  local function assert_nothing_left(idle)
    e2e.eventually(function()
      for _, process in ipairs(view.processes()) do
        if process.state:find "[ZX]" then return false end
      end
      return pids() <= idle
    end, "the idle count of processes")
  end

  it("of commands are reaped, all of them", function()
    assert.equal(0, assert(sb:exec { "true" }).code)
    local idle = pids()
    assert.equal(0, assert(sb:exec({ "sh", "-c", MAKE:format(ORPHANS) }, { timeout = 0 })).code)
    assert_nothing_left(idle)
  end)

  it("of tasks and terminals too", function()
    local script = MAKE:format(ORPHANS // 4)
    assert(assert(sb:spawn_background(script)):wait())
    assert(assert(sb:spawn_pty(script)):wait())
    local idle = pids()
    assert(assert(sb:spawn_background(script)):wait())
    assert(assert(sb:spawn_pty(script)):wait())
    assert_nothing_left(idle)
  end)

  it("of what entered otherwise are the guest's own, and reaped too", function()
    local idle = pids()
    e2e.podman.must("exec", sb:container(), "sh", "-c", MAKE:format(ORPHANS // 4))
    assert_nothing_left(idle)
  end)
end)

-- Each waits for its turn behind all the others, the guest as well: with a fifth of a
-- processor for 450 of them a round takes many seconds, on any machine.
describe("hundreds of processes that are always busy", function()
  e2e.housekeeping(_ENV)
  if not e2e.probe.limits_apply() then return end
  local BUSY, SHARE = 450, 0.2
  -- A session for each, so that no signal meets two; they begin together.
  local CROWD = [[: %s; mkfifo go; i=0; while [ $i -lt %d ]; do i=$((i+1))
    setsid sh -c 'read -r x < go; while :; do :; done' "$0" & done; wait]]

  local function running(view, mark)
    local count = 0
    for _, process in ipairs(view.find(mark)) do
      if process.state == "R" then count = count + 1 end
    end
    return count
  end

  -- They die as slowly as the machine is: what matters is that all were killed.
  it("are killed all the same, and leave a session that works", function()
    local sb = native.start { policy = { limits = LIMITS } }
    local view, mark = e2e.probe.container(sb:container()), e2e.probe.unique_sleep()
    local task = assert(sb:spawn_background { "sh", "-c", CROWD:format(mark, BUSY), mark })
    e2e.eventually(function() return #view.find(mark) > BUSY end, "all of them")
    e2e.probe.throttle(e2e.probe.init_pid(sb:container()), SHARE)
    e2e.proc.must { "sh", "-c", 'echo > "$0"', sb:root() .. "/go" }
    e2e.eventually(function() return running(view, mark) > BUSY - 50 end, "their being busy")
    task:stop { grace = 0 }
    view.await_gone(mark)
    assert.equal(0, assert(sb:exec({ "true" }, { timeout = 60 })).code)
    assert(sb:stop())
  end)
end)
