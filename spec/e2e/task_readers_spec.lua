-- @runs native-root portable-user
local uv = require "luv"
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"

describe("a task of another process, on the portable path,", function()
  e2e.housekeeping(_ENV)
  local options, other, sb, ids, fifo

  -- The other process starts the session and four tasks, says their ids, and lets its loop run.
  setup(function()
    options = e2e.options()
    fifo = options.dir .. "/gate"
    e2e.proc.must { "mkfifo", fifo }
    other = e2e.on_portable(function() return e2e.host.start([[
      local sb = assert(axo.start(options))
      local ids = {}
      for i, command in ipairs {
        "seq 1 3; read -r go < gate; seq 4 6; exit 5", "sleep 1000", "echo held; sleep 1000",
        "seq 1 100000",
      } do
        ids[i] = assert(sb:spawn_background(command)).id
      end
      assert(assert(sb:get_task(ids[4])):wait())
      say("tasks", table.unpack(ids))
      local second = assert(sb:get_task(ids[2]))
      second:wait(function() say("second", second:status()) end)
      uv.run()
    ]], { options = options }) end)
    ids = { other:wait_for "tasks (%S+) (%S+) (%S+) (%S+)\n" }
    sb = assert(axo.open(options.id))
  end)
  teardown(function()
    if other:is_running() then other:kill "sigkill" end
    sb:stop()
  end)

  local function get(i) return assert(sb:get_task(ids[i])) end

  it("is listed, oldest first, with what it runs", function()
    local listed = {}
    for i, task in ipairs(sb:list_tasks()) do listed[i] = task.id end
    assert.same(ids, listed)
    assert.same({ "sh", "-c", "sleep 1000" }, get(2).argv)
    assert.equal("running", get(2):status())
    assert(get(1).started > 1e9)
    assert.equal("exited (0)", get(4):status())
  end)

  it("is read, and tells what was lost", function()
    local bytes, cursor, dropped = get(4):read(0)
    assert.equal(588895, cursor)
    assert.equal(588895, dropped + #bytes)
    assert.equal("99999\n100000\n", get(4):log():sub(-13))
  end)

  it("is followed while it runs, up to its end", function()
    local task, seen = get(1), {}
    task:follow(function(bytes) seen[#seen + 1] = bytes end)
    e2e.eventually(function() return table.concat(seen) == "1\n2\n3\n" end, "the replay")
    e2e.proc.must { "/bin/sh", "-c", 'echo go > "$1"', "sh", fifo }
    assert(task:wait())
    assert.equal("1\n2\n3\n4\n5\n6\n", table.concat(seen))
    assert.equal("exited (5)", task:status())
    assert.equal(5, task:state().code)
  end)

  it("is stopped with its whole tree, and its own process learns of it", function()
    local task = get(2)
    assert(task:stop())
    assert.equal("killed (TERM)", task:status())
    assert.equal("killed (TERM)", other:wait_for "second ([^\n]+)\n")
  end)

  it("has failed once its process is killed, which a waiting reader learns at once", function()
    local task, seen, status = get(3), {}, nil
    task:follow(function(bytes) seen[#seen + 1] = bytes end)
    assert(task:wait(function(_, state) status = state end))
    e2e.eventually(function() return table.concat(seen) == "held\n" end, "the replay")
    other:kill "sigkill"
    e2e.eventually(function() return status end, "the end")
    assert.equal("failed", status.state)
    assert.matches("^failed: the process that ran it has ended", task:status())
    assert.equal("held\n", task:log())
  end)

  it("can be stopped then too", function()
    local view = e2e.probe.container(sb:container())
    assert.truthy(view.find("sleep 1000")[1])
    assert(get(3):stop { grace = 0.2 })
    assert.equal(0, #view.find "sleep 1000")
  end)

  it("leaves nothing on the loop when nobody follows it", function()
    local subscription = get(3):follow(function() end)
    subscription:close()
    e2e.proc.turn(3)
    uv.walk(function(handle)
      if handle:is_active() and handle:has_ref() then
        assert.are_not.equal("fs_event", handle:get_type())
      end
    end)
  end)

  it("of no such id is none, whatever the id is", function()
    for _, id in ipairs { "t000000000000", "../x", "", "t", 5, "t00/../x" } do
      local task, err = sb:get_task(id)
      assert.is_nil(task)
      assert.equal("NOT_FOUND", err.code)
    end
  end)
end)
