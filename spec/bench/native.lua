--- The native path held to its goals, side by side with what the machine does without a
--- container. By hand, on a machine that has nothing else to do:
---
---   build/axolua spec/bench/native.lua [ROW...]
---
--- Every figure is a ratio of two things measured alternately in this one run. Exits with 1
--- when a goal is missed.
local here = debug.getinfo(1, "S").source:sub(2):match "^(.*)/spec/bench/[^/]*$" or "."
package.path = here .. "/?.lua;" .. package.path

local uv = require "luv"
local axo = require "axosandbox"
local cjson = require "cjson"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local gate = require "axosandbox.base.gate"
local runner = require "axolua.host"
local images = require "spec.support.images"
local janitor = require "spec.support.janitor"
local measure = require "spec.bench.measure"
local podman = require "spec.support.podman"
local probe = require "spec.support.probe"
local temp = require "spec.support.temp"

local MB = 1024 * 1024
local EXECS, PODMAN_EXECS, READS = 400, 12, 2000
local PARALLEL, AT_ONCE, CALLERS = 512, 64, 16
local STREAM, PTY = 500 * MB, 64 * MB
local CALLS = 200
local TASKS, MANY_TASKS, MANY_SESSIONS, CROWD, STARTS = 50, 500, 20, 200, 5

local LOCAL = runner.prefix .. "/spec/axo_bench_local"
local BUSYBOX = "/bin/busybox"

-- The reference program's figures, in the order in which it printed them.
local function reference(...)
  local argv = { LOCAL, ... }
  local result = assert(await.call(function(done)
    return core.spawn(argv, { max_output = 16 * MB }, function(r) done(nil, r) end)
  end))
  assert(result.code == 0, result.stderr)
  local figures = {}
  for number in result.stdout:gmatch "[^\n]+" do figures[#figures + 1] = tonumber(number) end
  return figures
end

local function ms(values)
  for i, value in ipairs(values) do values[i] = value / 1000 end
  return values
end

local function session(options)
  local id = "axotest-" .. temp.token()
  janitor.made("container", "axo-ses-" .. id)
  local policy = { network = "none", allow_untrusted_image = true }
  policy.limits = options and options.limits
  local sb = assert(axo.start {
    id = id, dir = temp.dir "project", image = images.base(), policy = policy,
  })
  assert(sb:path() == "native", table.concat(sb:warnings(), "; "))
  return sb
end

local function exec_once(sb)
  return (measure.timed(function() return assert(sb:exec { "true" }) end))
end

local function spawned(argv)
  return (measure.timed(function()
    return assert(await.call(function(done)
      return core.spawn(argv, { on_stdout = function() end }, function(r) done(nil, r) end)
    end))
  end))
end

local function podman_exec(sb, ...)
  return spawned { podman.program(), "exec", sb:container(), ... }
end

-- ---- the rows --------------------------------------------------------------------------

local function row_exec(sb)
  local ours, theirs = {}, {}
  for _ = 1, 8 do
    for _ = 1, EXECS // 8 do ours[#ours + 1] = exec_once(sb) end
    local some = ms(reference("spawn", tostring(EXECS // 8), BUSYBOX, "true"))
    table.move(some, 1, #some, #theirs + 1, theirs)
  end
  measure.at_most("exec of true / local vfork+exec", ours, theirs, 1.10)
  local slow = {}
  for _ = 1, PODMAN_EXECS do slow[#slow + 1] = podman_exec(sb, "true") end
  measure.at_least("podman exec / exec of true", slow, ours, 100)
end

-- Starts `count` execs, `at_once` at a time; how many a second.
local function exec_rate(sb, count, at_once)
  local before = uv.hrtime()
  await.call(function(done)
    local started, running = 0, 0
    local function more()
      while running < at_once and started < count do
        started, running = started + 1, running + 1
        assert(sb:exec({ "true" }, nil, function(err)
          assert(not err, err)
          running = running - 1
          if started == count and running == 0 then return done(nil, true) end
          more()
        end))
      end
    end
    more()
    return true
  end)
  return count / ((uv.hrtime() - before) / 1e9)
end

local function row_parallel(sb)
  local ours, theirs = measure.alternate(5,
    function() return exec_rate(sb, PARALLEL, AT_ONCE) end,
    function()
      return reference("rate", tostring(PARALLEL), tostring(AT_ONCE), BUSYBOX, "true")[1]
    end)
  measure.rate("64 execs at once / local spawn rate", ours, theirs, 0.9, "1/s")
end

local function podman_rate(sb, count, at_once)
  local before, started, running = uv.hrtime(), 0, 0
  await.call(function(done)
    local function more()
      while running < at_once and started < count do
        started, running = started + 1, running + 1
        core.spawn({ podman.program(), "exec", sb:container(), "true" }, {}, function()
          running = running - 1
          if started == count and running == 0 then return done(nil, true) end
          more()
        end)
      end
    end
    more()
    return true
  end)
  return count / ((uv.hrtime() - before) / 1e9)
end

local function row_callers(sb)
  local ours = { exec_rate(sb, PARALLEL, CALLERS) }
  local theirs = { podman_rate(sb, 2 * CALLERS, CALLERS) }
  measure.rate("16 callers / podman exec", ours, theirs, 100, "1/s")
end

-- In large writes, so that it is the way that is measured and not the writer.
local function writer(bytes)
  return { "dd", "if=/dev/zero", "bs=1M", "count=" .. bytes // MB }
end

local function stream(sb)
  local seen = 0
  local took = measure.timed(function()
    return assert(sb:exec(writer(STREAM), { on_stdout = function(bytes) seen = seen + #bytes end }))
  end)
  assert(seen == STREAM, "bytes were lost")
  return STREAM / took / 1e3
end

local function row_output(sb)
  local ours, theirs = measure.alternate(5, function() return stream(sb) end, function()
    return reference("pipe", BUSYBOX, table.unpack(writer(STREAM)))[1] / 1e6
  end)
  measure.rate("500 MB to on_stdout / local pipe", ours, theirs, 0.6, "MB/s")
  local part = STREAM // 10
  local slow = part / podman_exec(sb, table.unpack(writer(part))) / 1e3
  measure.rate("500 MB to on_stdout / podman exec", ours, { slow }, 10, "MB/s")
end

local function terminal(sb)
  local head = 0
  local took = measure.timed(function()
    local term = assert(sb:spawn_pty({ "head", "-c", tostring(PTY), "/dev/zero" },
      { ring = 4 * MB }))
    local status = assert(term:wait())
    local _, cursor = term:read(0)
    head = cursor
    return status
  end)
  assert(head == PTY, "the terminal lost bytes: " .. head)
  return PTY / took / 1e3
end

local function row_terminal(sb)
  local ours, theirs = measure.alternate(5, function() return terminal(sb) end, function()
    return reference("pty", BUSYBOX, "head", "-c", tostring(PTY), "/dev/zero")[1] / 1e6
  end)
  measure.rate("PTY output / a bare read loop", ours, theirs, 0.95, "MB/s")
end

local function row_memory(sb)
  local tasks = {}
  for _ = 1, 5 do tasks[#tasks + 1] = assert(sb:spawn_background { "sleep", "1000" }) end
  collectgarbage()
  collectgarbage()
  local before = probe.resident()
  for _ = 1, TASKS do
    tasks[#tasks + 1] = assert(sb:spawn_background "yes | head -c 100000; sleep 1000")
  end
  for _, task in ipairs(tasks) do task:log() end
  collectgarbage()
  collectgarbage()
  local each = (probe.resident() - before) / TASKS / 1024
  measure.value("host memory of a further task", each, 64, "KB")
  for _, task in ipairs(tasks) do assert(task:stop { grace = 0 }) end
end

local function row_file(sb)
  assert(sb:write_file("four", ("x"):rep(4096)))
  local times = {}
  for i = 1, READS do
    times[i] = measure.timed(function() return assert(sb:read_file "four") end)
  end
  measure.value("read of a 4 KB file, p50", measure.percentile(times, 0.5) * 1000, 50, "us")
end

local function row_many(sb)
  local alone, crowded, sessions = {}, {}, {}
  for i = 1, EXECS // 2 do alone[i] = exec_once(sb) end
  local big = session { limits = { pids = 4096 } }
  for _ = 1, MANY_TASKS do assert(big:spawn_background { "sleep", "1000" }) end
  for i = 1, EXECS // 2 do crowded[i] = exec_once(big) end
  measure.at_most("exec among 500 tasks / with none", crowded, alone, 1.2)
  assert(big:stop())
  for i = 1, MANY_SESSIONS - 1 do sessions[i] = session() end
  local among = {}
  for i = 1, EXECS // 2 do among[i] = exec_once(sb) end
  measure.at_most("exec among 20 sessions / with one", among, alone, 1.2)
  for _, other in ipairs(sessions) do assert(other:stop()) end
end

local function row_command(sb)
  local command = { runner.exe, "exec", sb:id(), "--", "true" }
  local ours, theirs = measure.alternate(PODMAN_EXECS,
    function() return spawned(command) end,
    function() return podman_exec(sb, "true") end)
  measure.at_least("podman exec / axolua exec", theirs, ours, 10)
end

-- A client of the MCP server: what `request` sends is answered by one line.
local function mcp_client(dir)
  local lines, more = {}, gate.new()
  local text = ""
  local argv = { runner.exe, "mcp", "--dir", dir, "--no-devcontainer", "--quiet" }
  local over = gate.new()
  local server = assert(core.spawn(argv, { stdin = "pipe", on_stdout = function(bytes)
    text = text .. bytes
    text = text:gsub("([^\n]*)\n", function(line)
      lines[#lines + 1] = line
      return ""
    end)
    local was = more
    more = gate.new()
    was:open()
  end }, function() over:open() end))
  local client, id = {}, 0
  function client.request(method, params)
    id = id + 1
    assert(server:write(cjson.encode {
      jsonrpc = "2.0", id = id, method = method, params = params,
    } .. "\n"))
    while not lines[1] do assert(more:wait(60), "the server does not answer") end
    return table.remove(lines, 1)
  end
  function client.close()
    server:close_stdin()
    over:wait(60)
  end
  return client
end

-- Beside what a call costs: the line there and back, two processes that wake each other.
local function row_mcp(sb)
  local client = mcp_client(temp.dir "project")
  client.request("initialize", {
    protocolVersion = "2025-11-25", capabilities = {}, clientInfo = { name = "b", version = "1" },
  })
  local call = { name = "bash", arguments = { command = "true" } }
  local command = { "sh", "-c", "exec sh -c -- true" }
  local ours, theirs = {}, {}
  for _ = 1, 20 do client.request("tools/call", call) end
  for i = 1, CALLS do
    ours[i] = measure.timed(function()
      assert(client.request("tools/call", call):find('"isError":false', 1, true))
    end)
    theirs[i] = measure.timed(function() return assert(sb:exec(command)) end)
  end
  client.close()
  measure.at_most("MCP bash of true / exec of a shell", ours, theirs, 2)
  measure.value("MCP bash of true, p50", measure.percentile(ours, 0.5), 1, "ms")
end

-- Minutes: so many containers are started. `session` fails for one that is not native.
local function row_crowd(sb)
  local sessions = {}
  for i = 1, CROWD - 1 do sessions[i] = session() end
  local list = spawned { runner.exe, "ps", "--tasks" }
  measure.value("ps --tasks over 200 sessions", list / 1000, 2, "s")
  for _, other in ipairs(sessions) do assert(other:stop()) end
  assert(sb:exec { "true" })
end

-- The engine removes its own as soon as podman has read it.
local profile
local function the_profile()
  if not profile then
    profile = temp.lasting_dir() .. "/profile"
    temp.write(profile, assert(core.seccomp.profile(uv.getuid() ~= 0, false)))
  end
  return profile
end

-- The engine's own `podman run`, under another name and with other files.
local function bare_run(argv, name)
  local copy = {}
  for i, word in ipairs(argv) do
    local flag, value = word:match "^(%-%-%a+)=(.*)$"
    if word:find("--security-opt=seccomp=", 1, true) then
      word = "--security-opt=seccomp=" .. the_profile()
    end
    if flag == "--name" then word = "--name=" .. name end
    if flag == "--cidfile" or flag == "--pidfile" then word = flag .. "=" .. value .. name end
    copy[i] = word
  end
  return copy
end

local function recorded_run(start)
  local build, kept = core.argv.run, nil
  core.argv.run = function(spec)
    local argv, err = build(spec)
    kept = argv or kept
    return argv, err
  end
  local took, sb = measure.timed(start)
  core.argv.run = build
  return took, sb, kept
end

local function row_life()
  local starts, runs, stops = {}, {}, {}
  for i = 1, STARTS do
    local took, sb, argv = recorded_run(session)
    starts[i] = took
    local name = janitor.made("container", "axotest-" .. temp.token())
    runs[i] = measure.timed(function()
      return assert(await.call(function(done)
        return core.spawn(bare_run(argv, name), {}, function(r) done(nil, r) end)
      end))
    end)
    stops[i] = measure.timed(function() return assert(sb:stop()) end)
  end
  measure.at_most("start / the same podman run -d", starts, runs, 1.05)
  measure.value("stop, p50", measure.percentile(stops, 0.5) / 1000, 0.2, "s")
end

-- How often a process went to sleep, which is how often it woke.
local function wake_ups(pid)
  local text = assert(temp.read("/proc/" .. pid .. "/status"))
  return tonumber(text:match "\nvoluntary_ctxt_switches:%s+(%d+)")
end

-- An idle session, task and terminal. The host wakes once, to end the measuring.
local function row_idle(sb)
  local task = assert(sb:spawn_background { "sleep", "1000" })
  local term = assert(sb:spawn_pty { "sleep", "1000" })
  local guest = ("%d"):format(probe.init_pid(sb:container()))
  await.sleep(2) -- what a burst left idle is given back within a second
  local guest_before, host_before = wake_ups(guest), wake_ups "self"
  await.sleep(2)
  local host_after = wake_ups "self"
  measure.value("wake-ups of the idle guest in 2 s", wake_ups(guest) - guest_before, 0, "")
  measure.value("wake-ups of the idle host in 2 s", host_after - host_before - 1, 0, "")
  assert(task:stop())
  assert(term:close())
end

images.base()
podman.program()
uv.os_setenv("AXOSANDBOX_PATH", "native")
uv.os_setenv("XDG_STATE_HOME", temp.lasting_dir())

local ROWS = {
  { "exec", row_exec }, { "parallel", row_parallel }, { "callers", row_callers },
  { "output", row_output }, { "terminal", row_terminal }, { "memory", row_memory },
  { "file", row_file }, { "idle", row_idle }, { "many", row_many }, { "life", row_life },
  { "command", row_command }, { "mcp", row_mcp }, { "crowd", row_crowd },
}

local wanted = {}
for _, name in ipairs(arg) do wanted[name] = true end

measure.head()
assert(session():stop()) -- what this host needs is learnt
local sb = session()
for _ = 1, 50 do exec_once(sb) end
for _, row in ipairs(ROWS) do
  if #arg == 0 or wanted[row[1]] then row[2](sb) end
end
assert(sb:stop())
os.exit(measure.verdict() and 0 or 1)
