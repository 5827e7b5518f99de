-- @runs native-user
-- The audit log of real work: what is in it, that a full disk holds up nothing, and axolua audit.
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"
local audit = require "spec.support.audit"
local cli = require "spec.support.cli"
local cjson = require "cjson"
local uv = require "luv"
local proc, temp = e2e.proc, e2e.temp

local function names_of(events)
  local names = {}
  for i, event in ipairs(events) do names[i] = event.event end
  return names
end

local function deny_rm(request, default)
  if request.argv[1] == "rm" then return { allow = false, reason = "nothing is removed here" } end
  return default(request)
end

describe("the audit log of a session", function()
  e2e.housekeeping(_ENV)
  after_each(audit.off)

  it("tells what was done, in its order", function()
    local path = audit.on()
    local options = e2e.options { policy = { exec = deny_rm }, env = { LANG = "C" } }
    local sb = assert(axo.start(options))
    assert(sb:exec({ "sh", "-c", "echo out; echo err >&2; exit 3" }, { user = "0" }))
    assert(sb:exec({ "sh", "-c", "head -c 5000 /dev/zero" }, { max_output = 1000 }))
    assert(sb:exec({ "sleep", "1000" }, { timeout = 0.5, grace = 0.2 }))
    assert.equal("NOT_FOUND", select(2, sb:exec { "no-such-program" }).code)
    assert.equal("DENIED", select(2, sb:exec { "rm", "x" }).code)
    assert(sb:write_file("a file", "12345"))
    assert(sb:edit_file("a file", "123", "x"))
    assert.equal("OUTSIDE", select(2, sb:write_file("../out", "")).code)
    local task = assert(sb:spawn_background "echo hello; exec sleep 1000")
    e2e.eventually(function() return task:log() ~= "" end)
    assert(task:stop { grace = 0.2 })
    local term = assert(sb:spawn_pty { "sh", "-c", "exit 4" })
    term:wait()
    sb:stop()
    local events = audit.events(path)
    local of = {}
    for _, event in ipairs(events) do
      assert.equal(options.id, event.session, event.event)
      of[event.event] = of[event.event] or {}
      table.insert(of[event.event], event)
    end

    local start = of.session_start[1]
    assert.equal("none", start.policy.network)
    assert.same({ memory = "2g", cpus = 2, pids = 512 }, start.policy.limits)
    assert.equal(uv.getuid() ~= 0, start.policy.keep_id)
    assert.matches("sandbox%.lua$", start.policy.by.sandbox)
    assert.matches("audit_spec%.lua:%d+$", start.policy.by.exec)
    assert.equal(sb:path(), start.path)
    assert.same({ "LANG" }, start.env)
    assert.equal(options.dir, start.dir)

    local first = of.exec[1]
    assert.same({ "sh", "-c", "echo out; echo err >&2; exit 3" }, first.argv)
    assert.same({ 3, 4, 4, "0", options.dir },
      { first.code, first.stdout_bytes, first.stderr_bytes, first.user, first.cwd })
    assert.is_true(first.duration > 0)
    assert.equal(5000, of.exec[2].stdout_bytes)
    assert.is_true(of.exec[2].stdout_truncated)
    assert.is_true(of.exec[3].timed_out)
    assert.equal("NOT_FOUND", of.exec[4].error.code)
    assert.equal(4, #of.exec)
    assert.same({ "rm", "x" }, of.denied[1].argv)
    assert.equal("nothing is removed here", of.denied[1].reason)

    assert.same({ "write_file", "a file", 5 },
      { of.file[1].op, of.file[1].path, of.file[1].bytes })
    assert.equal("edit_file", of.file[2].op)
    assert.equal("OUTSIDE", of.file[3].error.code)

    assert.equal(task.id, of.task_start[1].id)
    assert.same({ "task", task.id, "TERM" },
      { of.kill[1].target, of.kill[1].id, of.kill[1].signal })
    assert.same({ task.id, "killed", 6 },
      { of.task_end[1].id, of.task_end[1].state, of.task_end[1].bytes })
    assert.equal(term.id, of.terminal_start[1].id)
    assert.equal(4, of.terminal_end[1].code)

    local names = names_of(events)
    assert.equal("session_stop", names[#names])
    local decided = {}
    for _, event in ipairs(of.policy) do decided[event.decision] = event end
    assert.equal("none", decided.sandbox.outcome.network)
    assert.is_truthy(decided.image_trust)
    assert.is_nil(decided.exec)
  end)

  it("tells of starts that failed, of sessions opened, and of what was gone without", function()
    local path = audit.on()
    e2e.refused { policy = { sandbox = function() return { deny = "not today" } end } }
    local sb <close> = e2e.start { post_create = { "true" } }
    local other = assert(axo.open(sb:id()))
    assert(other:kill_all())
    other:__close()
    audit.flush()
    local events = audit.events(path)
    assert.matches("not today", audit.of(events, "session_failed")[1].error.message)
    local fallbacks = audit.of(events, "fallback")
    assert.matches("1 post%-create command was skipped", fallbacks[#fallbacks].message)
    assert.equal(sb:id(), audit.of(events, "session_open")[1].session)
    assert.equal("session", audit.of(events, "kill")[1].target)
    assert.equal("session_close", events[#events].event)
  end)

  -- In a mount namespace of its own: the engine does not notice, and nothing is left.
  it("is held up by nothing when the disk is full, and tells how much it lost", function()
    local dir = temp.dir()
    temp.write(dir .. "/host.lua", ([[
      local uv = require "luv"
      local axo, audit = require "axosandbox", require "axosandbox.audit"
      local warnings = {}
      axo.set_logger(function(_, message) warnings[#warnings + 1] = message end)
      assert(axo.set_audit { file = %q })
      local function fill(full)
        local file = io.open(%q, "w")
        if full then file:write(("x"):rep(4 * 1024 * 1024)) end
        file:close()
      end
      local function emit(count)
        for i = 1, count do audit.emit("test", "s", { n = i, text = ("x"):rep(1000) }) end
      end
      local function flush()
        local over
        audit.flush(30, function() over = true end)
        while not over do uv.run "once" end
      end
      emit(5)
      flush()
      fill(true)
      emit(3000)
      local timer = uv.new_timer()
      local ticks = 0
      timer:start(1, 1, function() ticks = ticks + 1 end)
      while ticks < 50 do uv.run "once" end
      timer:close()
      flush()
      emit(10)
      fill(false)
      flush()
      print(#warnings, warnings[1])
    ]]):format(dir .. "/disk/audit.jsonl", dir .. "/disk/ballast"))
    assert(uv.fs_mkdir(dir .. "/disk", 448))
    local user = uv.getuid() == 0 and "-m" or "-rm"
    local result = proc.run({ "unshare", user, "--propagation", "private", "sh", "-c", [[
      mount -t tmpfs -o size=8m none "$1/disk" && head -c 6000000 /dev/zero >"$1/disk/big" || exit 1
      "$2" "$1/host.lua"; code=$?
      cp "$1/disk/audit.jsonl" "$1/log"; exit "$code"
    ]], "sh", dir, uv.exepath() }, {
      env = proc.environment { LUA_PATH_5_4 = package.path, LUA_CPATH_5_4 = package.cpath },
    })
    assert.equal(0, result.code, result.stderr)
    assert.matches("^1%s.*cannot be written: .*ENOSPC", result.stdout)
    local whole, lost, torn = 0, 0, 0
    for line in temp.read(dir .. "/log"):gmatch "[^\n]+" do
      local ok, event = pcall(cjson.decode, line)
      if not ok then
        torn = torn + 1
      elseif event.event == "lost" then
        lost = lost + event.count
      else
        whole = whole + 1
      end
    end
    assert.equal(5 + 3000 + 10, whole + lost)
    assert.is_true(lost > 1000, lost)
    assert.is_true(torn <= 1)
  end)
end)

describe("axolua audit", function()
  e2e.housekeeping(_ENV)

  local function run(arguments, state, opts)
    return cli.run(arguments, { env = { XDG_STATE_HOME = state,
      AXOSANDBOX_AUDIT = opts and opts.audit or false } })
  end

  local function run_session(state, command, opts)
    local id = e2e.new_id()
    local result = run({ "run", "--dir", temp.dir "project", "--id", id, "--network", "none", "-q",
      "--image", e2e.images.base(), "--allow-untrusted-image", "--", table.unpack(command) },
      state, opts)
    return id, result
  end

  it("shows and follows what axolua's commands did", function()
    local state = temp.dir()
    local follower = proc.start({ cli.axolua(), "audit", "-f", "--event", "exec" }, {
      env = proc.environment { XDG_STATE_HOME = state, AXOSANDBOX_AUDIT = false },
    })
    local first = run_session(state, { "sh", "-c", "exit 3" })
    e2e.eventually(function() return table.concat(follower.out):find "exited %(3%)" end)
    local second = run_session(state, { "echo", "a\27[31mb" })
    e2e.eventually(function() return table.concat(follower.out):find "exited %(0%)" end)
    uv.kill(follower.pid, "sigint")
    local followed = follower:wait()
    assert.equal(130, followed.code, followed.stderr)
    assert.equal(2, select(2, followed.stdout:gsub("\n", "")))
    assert.is_nil(followed.stdout:find "\27")

    local all = run({ "audit" }, state)
    assert.equal(0, all.code, all.stderr)
    assert.matches("session_start .*session_stop .*session_start .*session_stop", all.stdout)
    local one = run({ "audit", "--session", first, "--json" }, state)
    for line in one.stdout:gmatch "[^\n]+" do assert.equal(first, cjson.decode(line).session) end
    assert.is_nil(one.stdout:find(second, 1, true))
    assert.equal(384, assert(uv.fs_stat(state .. "/axosandbox/audit.jsonl")).mode & 511)
  end)

  it("is switched off, or sent elsewhere, by a variable", function()
    local state, elsewhere = temp.dir(), temp.dir() .. "/log"
    run_session(state, { "true" }, { audit = "off" })
    assert.is_nil(uv.fs_stat(state .. "/axosandbox/audit.jsonl"))
    run_session(state, { "true" }, { audit = elsewhere })
    assert.is_nil(uv.fs_stat(state .. "/axosandbox/audit.jsonl"))
    assert.matches("session_stop", run({ "audit", "--file", elsewhere }, state).stdout)
    assert.matches("session_stop", run({ "audit" }, state, { audit = elsewhere }).stdout)
    local _, refused = run_session(state, { "true" }, { audit = "relative" })
    assert.equal(125, refused.code)
    assert.matches("no place", refused.stderr)
    local _, done = run_session("/proc/nowhere", { "echo", "done" })
    assert.equal("done\n", done.stdout)
    assert.matches("warning: nothing is recorded", done.stderr)
  end)
end)
