-- @runs native-root portable-user
local uv = require "luv"
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"
local podman, temp = e2e.podman, e2e.temp

describe("podman", function()
  e2e.housekeeping(_ENV)

  it("that is missing is a clear error with the command to type; nothing hangs", function()
    local result = e2e.host.run([[
      local sb, err = axo.start(options)
      say("code", tostring(sb), tostring(err.code))
      say("text", tostring(err))
      say("hint", err.hint)
      local found, problem = axo.podman.detect()
      say("detect", tostring(found), tostring(problem and problem.hint))
    ]], { options = e2e.options(),
      env = { PATH = "/var/empty", AXOSANDBOX_PODMAN = false } })
    assert.matches("code nil", result.stdout, 1, false, result.stderr)
    assert.matches("text [^\n]*podman", result.stdout)
    assert.matches("hint [^\n]*install", result.stdout)
    assert.matches("detect nil [^\n]*install", result.stdout)
    assert.equal(0, result.code)
  end)

  it("that is not where it was said to be is an error that names the place", function()
    podman.with("/no/such/podman", function()
      local sb, err = axo.start(e2e.options())
      assert.is_nil(sb)
      assert.matches("/no/such/podman", tostring(err), 1, true)
    end)
  end)

  it("that is not a program is an error", function()
    podman.with(temp.write(temp.dir() .. "/podman", "not a program", "755"), function()
      local sb, err = axo.start(e2e.options())
      assert.is_nil(sb)
      assert.truthy(err.code)
    end)
  end)

  it("that hangs is ended at the deadline of the policy", function()
    local program = podman.recording '[ "$1" = run ] && exec sleep 1000'
    podman.with(program, function()
      local err = e2e.refused { policy = { sandbox = function(request, default)
        local decision = default(request)
        decision.timeouts.start = 1
        return decision
      end } }
      assert.equal("TIMEOUT", err.code)
    end)
  end)

  it("that only complains gives its complaint, and the start ends", function()
    local program, calls = podman.recording(
      '[ "$1" = run ] && { echo "Error: the moon is in the wrong house" >&2; exit 125; }')
    podman.with(program, function()
      local err = e2e.refused()
      assert.matches("the moon is in the wrong house", tostring(err))
      assert.equal("PODMAN", err.code)
    end)
    assert(#calls() < 40, "it was asked again and again")
  end)

  -- Starts, and kills the podman client as soon as `ripe(name)` says so. Gives the outcome and
  -- the container's name; nothing when the client was not there to be killed any more.
  local function kill_in_mid_start(ripe)
    local options = e2e.options()
    local name = "axo-ses-" .. options.id
    local outcome
    assert(axo.start(options, function(err, sb) outcome = { err = err, sb = sb } end))
    local killed
    e2e.eventually(function()
      for _, pid in ipairs(e2e.probe.children(" run ", name)) do
        if not killed and ripe(name) then killed = uv.kill(pid, "sigkill") end
      end
      return killed or outcome
    end, "podman run")
    e2e.eventually(function() return outcome end, "the outcome of the start")
    if not outcome.sb then
      assert(killed, outcome.err)
      return outcome, name
    end
    -- It had ended well before the signal, which a zombie takes too.
    assert(outcome.sb:stop())
  end

  local MOMENTS = {
    { "at once", function() return true end },
    { "when the container is known",
      function(name)
        return e2e.proc.run { podman.program(), "container", "exists", name }.code == 0
      end },
    { "when its monitor is there",
      function(name)
        for _, command in ipairs(e2e.probe.on_host("-n " .. name)) do
          if command:find "^%S*conmon " then return true end
        end
      end },
  }
  for _, moment in ipairs(MOMENTS) do
    it("that is killed in mid-start, " .. moment[1] .. ", leaves nothing behind", function()
      local outcome, name
      for _ = 1, 6 do
        outcome, name = kill_in_mid_start(moment[2])
        if outcome then break end
      end
      assert(outcome, "podman was never caught in mid-start")
      assert.truthy(outcome.err.code)
      assert.is_false(podman.exists(name))
      e2e.eventually(function() return #e2e.probe.on_host(name) == 0 end,
        "the end of every process of " .. name)
      -- Nor does the engine think that the session is there or in the making.
      local sb = e2e.start { id = name:sub(#"axo-ses-" + 1) }
      assert.equal(0, assert(sb:exec { "true" }).code)
      assert(sb:stop())
      assert.is_false(podman.exists(name))
    end)
  end

  it("whose exec client is killed does not hang the call, nor leave the command", function()
    local sb = e2e.on_portable(e2e.start)
    local mark, outcome = e2e.probe.unique_sleep(), nil
    local view = e2e.probe.container(sb:container())
    assert(sb:exec({ "sleep", mark }, function(err, r) outcome = { err = err, r = r } end))
    view.await(mark)
    local killed = 0
    for _, pid in ipairs(e2e.probe.children("exec", mark)) do
      uv.kill(pid, "sigkill")
      killed = killed + 1
    end
    assert.equal(1, killed)
    e2e.eventually(function() return outcome end, "the outcome of the command")
    assert(outcome.err or not outcome.r:ok(), "a killed client passed for success")
    view.await_gone(mark)
    assert(sb:stop())
  end)
end)

describe("a session", function()
  e2e.housekeeping(_ENV)

  it("whose container was removed behind its back says so, and stops", function()
    local sb = e2e.start()
    podman.must("rm", "-f", "-t", "0", sb:container())
    local r, err = sb:exec { "true" }
    assert.is_nil(r)
    assert.equal("GONE", err.code)
    local task
    task, err = sb:spawn_background "true"
    assert(task == nil and err or task:wait())
    assert(sb:stop())
  end)

  it("whose container was killed says so, and stops", function()
    local sb = e2e.start()
    podman.must("kill", sb:container())
    local r, err = sb:exec { "true" }
    assert.is_nil(r)
    assert.equal("GONE", err.code)
    assert(sb:stop())
    assert.is_false(podman.exists(sb:container()))
  end)

  it("whose container dies ends the command that runs", function()
    local sb = e2e.start()
    local mark, outcome = e2e.probe.unique_sleep(), nil
    assert(sb:exec({ "sleep", mark }, function(err, r) outcome = { err = err, r = r } end))
    e2e.probe.container(sb:container()).await(mark)
    podman.must("kill", sb:container())
    e2e.eventually(function() return outcome end, "the outcome of the command")
    assert(outcome.err or not outcome.r:ok())
    assert(sb:stop())
  end)

  it("whose host directory vanished answers every call, and stops", function()
    local sb = e2e.start()
    e2e.proc.must { "rm", "-rf", sb:root() }
    local r, err = sb:exec({ "sh", "-c", "echo still here" }, { timeout = 30 })
    assert(r or err.code, "neither a result nor an error")
    r, err = sb:exec({ "echo", "elsewhere" }, { cwd = "/", timeout = 30 })
    assert(r and r.stdout == "elsewhere\n" or err.code)
    assert.is_nil((sb:read_file "file"))
    assert.is_nil((sb:write_file("file", "x")))
    assert(sb:stop())
  end)

  it("does not start when the directory vanished before", function()
    local options = e2e.options()
    e2e.proc.must { "rm", "-rf", options.dir }
    local sb, err = axo.start(options)
    assert.is_nil(sb)
    assert.matches(options.dir, tostring(err), 1, true)
  end)

  it("starts all the same when what was learnt about the host is garbage", function()
    local state = temp.dir()
    local options = e2e.options()
    e2e.proc.must { "mkdir", "-p", "-m", "700", state .. "/axosandbox" }
    for _, name in ipairs { "memory.json", "host.json", "learnt.json" } do
      temp.write(state .. "/axosandbox/" .. name, '{"broken": [', "600")
    end
    local code = [[
      local sb, err = axo.start(options)
      say(sb and "started" or tostring(err))
      if sb then sb:stop() end
    ]]
    local env = { XDG_STATE_HOME = state }
    local result = e2e.host.run(code, { options = options, env = env })
    assert.matches("started", result.stdout, 1, false, result.stderr)
    e2e.proc.must { "/bin/sh", "-c",
      'for f in "$1"/axosandbox/*; do [ -f "$f" ] && echo "{]" > "$f"; done; :', "sh", state }
    result = e2e.host.run(code, { options = e2e.options(), env = env })
    assert.matches("started", result.stdout, 1, false, result.stderr)
  end)

  it("remembers what this host needed: the next start asks podman once", function()
    assert(e2e.start():stop())
    local program, calls = podman.recording()
    podman.with(program, function() assert(e2e.start():stop()) end)
    podman.with(program, function()
      local before = #calls()
      assert(e2e.start():stop())
      local runs = 0
      local all = calls()
      for i = before + 1, #all do
        if all[i]:find "^run " then runs = runs + 1 end
      end
      assert.equal(1, runs)
    end)
  end)
end)

describe("the whole of podman", function()
  e2e.housekeeping(_ENV)

  it("is described by detect and ensure_ready", function()
    local found = assert(axo.podman.detect())
    assert.is_table(found)
    assert(axo.podman.ensure_ready())
  end)

  it("has its complaints classified", function()
    local meaning = axo.podman.classify("Error: rootlessport listen tcp 0.0.0.0:3000: "
      .. "bind: address already in use", 126)
    assert.equal("PORT_CONFLICT", meaning.class)
    assert.equal(3000, meaning.port)
  end)
end)
