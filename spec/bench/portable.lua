--- What the portable path costs over the podman commands that it runs. By hand:
---
---   build/axolua spec/bench/portable.lua
---
--- Every figure is a ratio of two things measured alternately in this one run; absolute
--- times say more about the machine. Exits with 1 when a goal is missed.
local here = debug.getinfo(1, "S").source:sub(2):match "^(.*)/spec/bench/[^/]*$" or "."
package.path = here .. "/?.lua;" .. package.path

local uv = require "luv"
local axo = require "axosandbox"
local core = require "axosandbox.core"
local images = require "spec.support.images"
local janitor = require "spec.support.janitor"
local podman = require "spec.support.podman"
local probe = require "spec.support.probe"
local temp = require "spec.support.temp"

local EXECS, STUB_EXECS, STARTS, STREAMS, TASKS = 25, 100, 7, 5, 20
local STREAM_BYTES, PTY_BYTES = 256 * 1024 * 1024, 32 * 1024 * 1024

-- ---- helpers ---------------------------------------------------------------------------

local function now() return uv.hrtime() / 1e6 end

-- Runs a program from within this coroutine, with nothing in between but luv. Returns the
-- milliseconds until its exit and the end of its output, and the bytes that it printed.
local function run(argv, keep)
  local co, out = coroutine.running(), uv.new_pipe()
  local parts, bytes, pending = {}, 0, 2
  local before = now()
  local function finished()
    pending = pending - 1
    if pending == 0 then assert(coroutine.resume(co)) end
  end
  local handle, failure
  handle, failure = uv.spawn(argv[1], {
    args = table.move(argv, 2, #argv, 1, {}), stdio = { nil, out },
  }, function()
    handle:close()
    finished()
  end)
  assert(handle, failure)
  out:read_start(function(_, data)
    if data then
      bytes = bytes + #data
      if keep then parts[#parts + 1] = data end
      return
    end
    out:close()
    finished()
  end)
  coroutine.yield()
  return now() - before, bytes, table.concat(parts)
end

local function timed(fn)
  local before = now()
  local result = fn()
  return now() - before, result
end

local function percentile(samples, part)
  local sorted = table.move(samples, 1, #samples, 1, {})
  table.sort(sorted)
  return sorted[math.max(1, math.ceil(#sorted * part))]
end

-- Two measurements by turns, so that what disturbs the machine disturbs both.
local function alternate(count, engine, bare)
  local ours, theirs = {}, {}
  engine()
  bare()
  for i = 1, count do
    if i % 2 == 0 then
      ours[#ours + 1] = engine()
      theirs[#theirs + 1] = bare()
    else
      theirs[#theirs + 1] = bare()
      ours[#ours + 1] = engine()
    end
  end
  return ours, theirs
end

-- ---- the table -------------------------------------------------------------------------

local missed = {}

local function judge(name, met)
  if not met then missed[#missed + 1] = name end
  return met and "met" or "MISSED"
end

local function row(...)
  print(("%-26s %11s %11s %11s %11s %8s  %s"):format(...))
end

local function ms(value) return ("%.1f ms"):format(value) end

local function report_times(name, ours, theirs, goal)
  local ratio = percentile(ours, 0.5) / percentile(theirs, 0.5)
  local verdict = ""
  if goal then
    verdict = ("goal <= %.2f: %s"):format(goal, judge(name, ratio <= goal))
  end
  row(name, ms(percentile(ours, 0.5)), ms(percentile(ours, 0.99)), ms(percentile(theirs, 0.5)),
    ms(percentile(theirs, 0.99)), ("%.2f"):format(ratio), verdict)
end

local function report_rates(name, ours, theirs, bytes, goal)
  local function rate(samples, part)
    return ("%.0f MB/s"):format(bytes / 1e3 / percentile(samples, part))
  end
  local ratio = percentile(theirs, 0.5) / percentile(ours, 0.5)
  row(name, rate(ours, 0.5), rate(ours, 0.99), rate(theirs, 0.5), rate(theirs, 0.99),
    ("%.2f"):format(ratio), ("goal >= %.2f: %s"):format(goal, judge(name, ratio >= goal)))
end

-- ---- what is compared ------------------------------------------------------------------

-- The engine's podman: the real one, which writes down the arguments of its last `run`, or a
-- stub that answers at once while `stub` exists. Against the stub, what is left is our own.
local function switchable_podman(dir)
  return temp.write(dir .. "/podman", ([[
#!/bin/sh
[ -e %s/stub ] && exit 0
if [ "$1" = run ]; then printf '%%s\n' "$@" > %s/run; fi
exec %s "$@"
]]):format(dir, dir, podman.program()), "755")
end

-- The engine's own `podman run`, under another name and with other files.
local function bare_run(dir, name)
  local argv = { podman.program() }
  for line in temp.read(dir .. "/run"):gmatch "[^\n]*" do
    local flag, value = line:match "^(%-%-%a+)=(.*)$"
    if flag == "--name" then line = "--name=" .. name end
    if flag == "--cidfile" or flag == "--pidfile" then line = flag .. "=" .. value .. name end
    local before = argv[#argv]
    if before == "--name" then line = name end
    if before == "--cidfile" or before == "--pidfile" then line = line .. name end
    argv[#argv + 1] = line
  end
  if argv[#argv] == "" then argv[#argv] = nil end
  return argv
end

local function session_options()
  local id = "axotest-" .. temp.token()
  janitor.made("container", "axo-ses-" .. id)
  return {
    id = id, dir = temp.dir "project", image = images.base(),
    policy = { network = "none", allow_untrusted_image = true },
  }
end

local function bench_exec(sb)
  local ours, theirs = alternate(EXECS,
    function()
      return (timed(function() return assert(sb:exec { "true" }) end))
    end,
    function()
      return (run { podman.program(), "exec", sb:container(), "true" })
    end)
  report_times("exec of true", ours, theirs, 1.1)
end

local function bench_overhead(sb, dir)
  local program = dir .. "/podman"
  temp.write(dir .. "/stub", "")
  local ours, theirs = alternate(STUB_EXECS,
    function()
      return (timed(function() return assert(sb:exec { "true" }) end))
    end,
    function() return (run { program, "exec", sb:container(), "true" }) end)
  os.remove(dir .. "/stub")
  report_times("exec, a stub for podman", ours, theirs)
  local own = percentile(ours, 0.5) - percentile(theirs, 0.5)
  row("the engine's own time", ms(own), "", "", "", "",
    "goal < 5 ms: " .. judge("the engine's own time", own < 5))
end

local function bench_life(dir)
  local sessions, names, stops, removals = {}, {}, {}, {}
  local starts, runs = alternate(STARTS,
    function()
      local options = session_options()
      local took, sb = timed(function() return assert(axo.start(options)) end)
      sessions[#sessions + 1] = sb
      return took
    end,
    function()
      local name = janitor.made("container", "axotest-" .. temp.token())
      names[#names + 1] = name
      return (run(bare_run(dir, name)))
    end)
  for i = 1, #sessions do
    stops[i] = timed(function() return assert(sessions[i]:stop()) end)
    removals[i] = run { podman.program(), "rm", "-f", "-t", "0", names[i] }
  end
  report_times("start / podman run -d", starts, runs, 1.15)
  report_times("stop / podman rm -f -t 0", stops, removals, 1.25)
end

local function bench_output(sb)
  local command = { "head", "-c", tostring(STREAM_BYTES), "/dev/zero" }
  local ours, theirs = alternate(STREAMS,
    function()
      local seen = 0
      local took = timed(function()
        return assert(sb:exec(command, { on_stdout = function(b) seen = seen + #b end }))
      end)
      assert(seen == STREAM_BYTES)
      return took
    end,
    function()
      local took, seen = run { podman.program(), "exec", sb:container(), table.unpack(command) }
      assert(seen == STREAM_BYTES)
      return took
    end)
  report_rates("output of exec", ours, theirs, STREAM_BYTES, 0.9)
end

-- `script` (of util-linux) is a bare read loop on a terminal, written in C.
local function bench_pty(sb)
  local command = "stty raw; head -c " .. PTY_BYTES .. " /dev/zero"
  local ours, theirs = alternate(STREAMS,
    function()
      local seen = 0
      local took = timed(function()
        local term = assert(sb:spawn_pty { "sh", "-c", command })
        term:subscribe(function(bytes) seen = seen + #bytes end)
        return assert(term:wait())
      end)
      assert(seen == PTY_BYTES, "the terminal lost bytes: " .. seen)
      return took
    end,
    function()
      return (run { "script", "-q", "-c", ("%s exec -it %s sh -c '%s'"):format(
        podman.program(), sb:container(), command), "/dev/null" })
    end)
  report_rates("output of a terminal", ours, theirs, PTY_BYTES, 0.9)
end

local function bench_memory(sb)
  collectgarbage()
  collectgarbage()
  local before, known = probe.resident(), {}
  for _, pid in ipairs(probe.children("exec")) do known[pid] = true end
  for _ = 1, TASKS do assert(sb:spawn_background { "sleep", "1000" }) end
  collectgarbage()
  collectgarbage()
  local engine, clients, count = probe.resident() - before, 0, 0
  for _, pid in ipairs(probe.children("exec")) do
    if not known[pid] then
      clients, count = clients + probe.resident(pid), count + 1
    end
  end
  print(("\n%d background tasks: the engine grew by %.0f KB for each; %d podman clients hold "
    .. "%.1f MB each"):format(TASKS, engine / TASKS / 1024, count,
    count > 0 and clients / count / 1024 / 1024 or 0))
  judge("memory of a task", engine / TASKS <= 256 * 1024)
end

-- ---- the run ---------------------------------------------------------------------------

-- Images are made while the loop is not running yet.
images.base()
podman.program()
local dir = temp.lasting_dir()
uv.os_setenv("AXOSANDBOX_PODMAN", switchable_podman(dir))
uv.os_setenv("AXOSANDBOX_PATH", "portable")
uv.os_setenv("XDG_STATE_HOME", temp.lasting_dir())

row("", "engine p50", "p99", "bare p50", "p99", "ratio", "")
local sb = assert(axo.start(session_options()))
bench_exec(sb)
bench_overhead(sb, dir)
bench_life(dir)
bench_output(sb)
bench_pty(sb)
bench_memory(sb)
assert(sb:stop())

print(("\naxosandbox %s, %s: %s"):format(core.version, uv.os_uname().sysname,
  #missed == 0 and "every goal was met" or "MISSED: " .. table.concat(missed, ", ")))
os.exit(#missed == 0 and 0 or 1)
