-- @runs native-root
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"
local uv = require "luv"

local function milliseconds()
  local seconds, micro = uv.gettimeofday()
  return seconds * 1000 + micro // 1000
end

-- Says what it sees of a session, one line each.
local LIST = [[
  local sb = check(axo.open(options.id))
  for _, kind in ipairs { "tasks", "terminals" } do
    for _, one in ipairs(sb["list_" .. kind](sb)) do
      say(kind, one.id, one:status(), "<" .. table.concat(one.argv, "|") .. ">",
        "[" .. one:read(0):gsub("%s+", " ") .. "]", math.floor(one.started * 1000))
    end
  end
  say("over")
]]

describe("several hosts of one session", function()
  e2e.housekeeping(_ENV)
  local sb, view
  setup(function()
    sb = native.start()
    view = e2e.probe.container(sb:container())
  end)
  teardown(function() sb:stop() end)

  local function printed(source, text)
    return e2e.eventually(function()
      local bytes = source:read(0)
      return bytes:find(text, 1, true) and bytes
    end, ("%q in the output of %s"):format(text, source.id))
  end

  it("list the same tasks and terminals: commands, status, output, age", function()
    local mark, earliest = e2e.probe.unique_sleep(), milliseconds()
    local runs = assert(sb:spawn_background("echo going; exec sleep " .. mark))
    local left = assert(sb:spawn_background { "sh", "-c", "echo said; exit 7" })
    local killed = assert(sb:spawn_background { "sleep", "1001" })
    local term = assert(sb:spawn_pty({ "sh", "-c", "echo on a terminal; exec cat" }))
    local over = assert(sb:spawn_pty({ "sh", "-c", "echo short; exit 9" }))
    assert(left:wait())
    assert(over:wait())
    assert(killed:signal "KILL")
    assert(killed:wait())
    printed(runs, "going")
    printed(term, "on a terminal")
    local latest = milliseconds()
    local host = native.host(LIST, { id = sb:id() })
    host:wait_for "over"
    local text = host:wait().stdout
    local function line(kind, one, status, command, output)
      local found, started = text:match(("(%s %s [^\n]*) (%%d+)\n"):format(kind, one.id))
      assert.equal(("%s %s %s <%s> [%s]"):format(kind, one.id, status, command, output), found)
      started = tonumber(started)
      assert(started >= earliest and started <= latest, "it started at another time")
    end
    line("tasks", runs, "running", "sh|-c|echo going; exec sleep " .. mark, "going ")
    line("tasks", left, "exited (7)", "sh|-c|echo said; exit 7", "said ")
    line("tasks", killed, "killed (KILL)", "sleep|1001", "")
    line("terminals", term, "running", "sh|-c|echo on a terminal; exec cat", "on a terminal ")
    line("terminals", over, "exited (9)", "sh|-c|echo short; exit 9", "short ")
    assert(runs:stop())
    assert(term:close())
  end)

  it("follow a task from any cursor", function()
    local task = assert(sb:spawn_background "seq 10000 10999; exec sleep 1000")
    printed(task, "10999\n")
    local host = native.host([[
      local sb = check(axo.open(options.id))
      local task = check(sb:get_task(options.task))
      for _, from in ipairs(options.from) do
        local parts = {}
        task:follow(function(bytes, cursor, dropped)
          parts[#parts + 1] = bytes
          if cursor == 6000 then
            local text = table.concat(parts)
            say("from", from, #text, dropped, text:sub(1, 5))
          end
        end, { from = from })
      end
      hold()
    ]], { id = sb:id(), task = task.id, from = { 0, 6, 3000, 5994 } })
    host:wait_for "from 0 6000 0 10000"
    host:wait_for "from 6 5994 0 10001"
    host:wait_for "from 3000 3000 0 10500"
    host:wait_for "from 5994 6 0 10999"
    native.kill(host)
    assert(task:stop())
  end)

  it("type into a terminal of another and resize it", function()
    local term = assert(sb:spawn_pty("sh", { rows = 24, cols = 80 }))
    local host = native.host([[
      local sb = check(axo.open(options.id))
      local term = check(sb:get_terminal(options.terminal))
      check(term:resize(41, 133))
      check(term:write "stty size; echo typed $((40+2))\n")
      term:subscribe(function(bytes) if bytes:find "typed 42" then say "seen" end end)
      hold()
    ]], { id = sb:id(), terminal = term.id })
    host:wait_for "seen"
    printed(term, "41 133")
    printed(term, "typed 42")
    native.kill(host)
    assert.is_true(term:is_alive())
    term:write "echo still $((40+3))\n"
    printed(term, "still 43")
    assert(term:close())
  end)

  it("see each other's new tasks and terminals, and their ends", function()
    local host = native.host([[
      local sb = check(axo.open(options.id))
      say("open")
      local timer = uv.new_timer()
      local told = {}
      timer:start(5, 5, function()
        for _, one in ipairs(sb:list_tasks()) do
          local line = one.id .. " " .. one:status()
          if not told[line] then say(line) end
          told[line] = true
        end
      end)
      local mine = check(sb:spawn_background { "sleep", options.mark })
      say("mine", mine.id)
      hold()
    ]], { id = sb:id(), mark = e2e.probe.unique_sleep() })
    local theirs = host:wait_for "mine (%S+)"
    local found = e2e.eventually(function() return (sb:get_task(theirs)) end, "the other's task")
    assert.equal("running", found:status())
    local task = assert(sb:spawn_background { "sleep", "1000" })
    host:wait_for(task.id .. " running")
    assert(task:stop())
    host:wait_for(task.id .. " killed %(TERM%)")
    assert(found:stop())
    host:wait_for(theirs .. " killed")
    native.kill(host)
  end)

  it("stop each other's tasks with their whole trees", function()
    local mark = e2e.probe.unique_sleep()
    local host = native.host([[
      local sb = check(axo.open(options.id))
      local task = check(sb:spawn_background(options.command))
      say("mine", task.id)
      local status = check(task:wait())
      say("told", status.state, status.signal)
    ]], { id = sb:id(), command = ("setsid sleep %s & setsid sleep %s & wait"):format(mark, mark) })
    local id = host:wait_for "mine (%S+)"
    local task = e2e.eventually(function() return (sb:get_task(id)) end, "the other's task")
    e2e.eventually(function() return #view.find("sleep " .. mark) >= 2 end, "both children")
    assert(task:stop())
    assert.equal(0, #view.find(mark))
    host:wait_for "told killed TERM"
  end)

  it("take their foreground commands with them, and leave the background", function()
    local front, back = e2e.probe.unique_sleep(), e2e.probe.unique_sleep()
    local host = native.host([[
      local sb = check(axo.open(options.id))
      check(sb:exec({ "sh", "-c", options.front }, {}, function() say("the exec ended") end))
      local task = check(sb:spawn_background { "sleep", options.back })
      say("task", task.id)
      hold()
    ]], { id = sb:id(), back = back,
      front = ("trap '' TERM; setsid sleep %s & sleep %s; wait"):format(front, front) })
    local id = host:wait_for "task (%S+)"
    e2e.eventually(function() return #view.find("sleep " .. front) >= 2 end, "both children")
    view.await("sleep " .. back)
    native.kill(host)
    view.await_gone("sleep " .. front)
    assert.truthy(view.find("sleep " .. back)[1])
    local task = assert(sb:get_task(id))
    assert.equal("running", task:status())
    assert(task:stop())
  end)

  it("leave what a command left, on its output or not", function()
    local held, free = e2e.probe.unique_sleep(), e2e.probe.unique_sleep()
    local host = native.host([[
      local sb = check(axo.open(options.id))
      check(sb:exec({ "sh", "-c", options.script }, { timeout = 3600 }))
      check(sb:exec({ "sh", "-c", options.daemon }, { timeout = 3600 }))
      say "over"
      hold()
    ]], { id = sb:id(), script = ("setsid sleep %s &"):format(held),
      daemon = ("setsid sleep %s </dev/null >/dev/null 2>&1 &"):format(free) })
    host:wait_for "over"
    view.await("sleep " .. held)
    view.await("sleep " .. free)
    native.kill(host)
    -- Whatever its host took with it has gone when another one has been served.
    assert.equal("after\n", assert(sb:exec { "echo", "after" }).stdout)
    assert.truthy(view.find("sleep " .. held)[1])
    assert.truthy(view.find("sleep " .. free)[1])
    assert(sb:kill_all())
  end)

  it("come and go, far more often than there are places for them at once", function()
    for _ = 1, 40 do
      local other = native.open(sb:id())
      assert.equal("x\n", assert(other:exec { "echo", "x" }).stdout)
      other:__close()
    end
    assert.equal(0, assert(sb:exec { "true" }).code)
  end)

  it("remember the latest of what has ended, whichever host ran it", function()
    local ids = {}
    local function run(session, i)
      local task = assert(session:spawn_background { "echo", tostring(i) })
      assert(task:wait())
      ids[i] = task.id
    end
    for i = 1, 70 do run(sb, i) end
    local again <close> = native.open(sb:id())
    for i = 71, 80 do run(again, i) end
    for i = 80 - 60, 80 do
      local task = assert(again:get_task(ids[i]), i)
      assert.equal(i .. "\n", task:log())
      assert.equal("exited (0)", task:status())
    end
  end)
end)
