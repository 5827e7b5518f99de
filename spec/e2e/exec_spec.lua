-- @runs native-root native-user portable-user
local e2e = require "spec.support.e2e"

describe("a command", function()
  e2e.housekeeping(_ENV)
  local sb, view
  setup(function()
    sb = e2e.start { env = { BASE = "session" } }
    view = e2e.probe.container(sb:container())
  end)
  teardown(function() sb:stop() end)

  local function outcome(...)
    local r, err = sb:exec(...)
    return r and r.code, err and err.code, r, err
  end

  it("gives any exit code back as it is, 200 too", function()
    for _, code in ipairs { 0, 1, 2, 200, 255 } do
      assert.equal(code, (outcome { "sh", "-c", "exit " .. code }))
    end
  end)

  it("may itself end with 125, 126 or 127: that is its own code, not podman's", function()
    for _, code in ipairs { 125, 126, 127 } do
      local got, err, r = outcome { "sh", "-c", "exit " .. code }
      assert.is_nil(err)
      assert.equal(code, got)
      assert.is_nil(r.signal)
    end
    local got, err, r = outcome { "sh", "-c", "no-such-command-in-a-shell" }
    assert.is_nil(err)
    assert.equal(127, got)
    assert.matches("not found", r.stderr)
  end)

  it("that imitates podman's complaint after real output is still its own", function()
    local got, err = outcome { "sh", "-c",
      "echo work; echo 'Error: OCI runtime error: nonsense' >&2; exit 126" }
    assert.is_nil(err)
    assert.equal(126, got)
  end)

  it("that does not exist is an error of its own kind, not exit code 127", function()
    local code, err, _, object = outcome { "no-such-command-at-all" }
    assert.is_nil(code)
    assert.equal("NOT_FOUND", err)
    assert.matches("no%-such%-command%-at%-all", tostring(object))
    assert.matches("install it there", object.hint)
  end)

  it("that may not be executed is an error of its own kind, not exit code 126", function()
    e2e.temp.write(sb:root() .. "/plain", "#!/bin/sh\necho no\n", "644")
    local code, err = outcome { sb:root() .. "/plain" }
    assert.is_nil(code)
    assert.equal("NOT_EXECUTABLE", err)
  end)

  it("in a missing directory, or by a missing user, is an error that says so", function()
    local missing = sb:root() .. "/missing"
    local code, err = outcome({ "true" }, { cwd = missing })
    assert.is_nil(code)
    assert.equal("NO_DIRECTORY", err)
    code, err = outcome({ "true" }, { user = "nobody-of-that-name" })
    assert.is_nil(code)
    assert.equal("NO_USER", err)
    for _, opts in ipairs { { cwd = missing }, { user = "nobody-of-that-name" } } do
      local _, problem = sb:exec({ "true" }, opts)
      assert.matches(opts.cwd and "directory " .. missing .. " cannot be entered: "
        or "in the container: nobody-of-that-name", problem.message, 1, true)
      assert.matches(opts.cwd and "create it" or "/etc/passwd", problem.hint, 1, true)
    end
  end)

  it("that a signal ended says which one", function()
    local r = assert(sb:exec { "sh", "-c", "kill -KILL $$" })
    assert.equal("KILL", r.signal)
    r = assert(sb:exec { "sh", "-c", "kill -TERM $$" })
    assert.equal("TERM", r.signal)
    assert.is_false(r:ok())
  end)

  it("gets env, cwd and user of the call", function()
    local r = assert(sb:exec({ "sh", "-c", 'echo "$BASE $EXTRA"; pwd; id -un' },
      { env = { EXTRA = "of\nthe = call" }, cwd = "/tmp", user = "worker" }))
    assert.equal("session of\nthe = call\n/tmp\nworker\n", r.stdout)
  end)

  it("gets its arguments unchanged: no shell, no splitting", function()
    local odd = { "", " ", "a b", "*", "$HOME", "`id`", "--", "-x", "'", '"', "\\", "ü", "a\nb" }
    local script = 'for a in "$@"; do printf "<%s>" "$a"; done'
    local r = assert(sb:exec { "sh", "-c", script, "sh", table.unpack(odd) })
    assert.equal("<" .. table.concat(odd, "><") .. ">", r.stdout)
  end)

  it("that closes its output and goes on is waited for", function()
    local r = assert(sb:exec { "sh", "-c", "echo early; exec >&- 2>&-; sleep 0.3; exit 7" })
    assert.equal("early\n", r.stdout)
    assert.equal(7, r.code)
  end)

  it("that leaves a daemon with its output does not hang the call", function()
    local mark = e2e.probe.unique_sleep()
    local r = assert(sb:exec({ "sh", "-c", "setsid sleep " .. mark .. " & echo started" },
      { timeout = 30 }))
    assert.equal("started\n", r.stdout)
    assert.equal(0, r.code)
    assert.is_falsy(r.timed_out)
  end)

  it("says how much it left running", function()
    local one, two = e2e.probe.unique_sleep(), e2e.probe.unique_sleep()
    for script, count in pairs {
      ["true"] = 0, ["sleep 0 & wait"] = 0,
      ["sleep " .. one .. " & echo holds its output"] = 1,
      [("sleep %s >/dev/null 2>&1 & sleep %s >/dev/null 2>&1 &"):format(two, two)] = 2,
    } do
      local r = assert(sb:exec({ "sh", "-c", script }, { timeout = 60 }))
      assert.equal(0, r.code)
      assert.equal(count, r.left_running, script)
    end
    assert.equal(1, #view.find("sleep " .. one))
    assert(sb:kill_all())
  end)

  it("says what becomes of what is left, once it writes", function()
    local script = "while [ ! -e go ]; do sleep 0.1; done; echo x; echo x >wrote; sleep 1000"
    local r = assert(sb:exec { "sh", "-c", "(" .. script .. ") &" })
    local is_native = sb:path() == "native"
    assert.same({ 0, 1 }, { r.code, math.min(r.left_running, 1) })
    assert.equal(is_native and "dropped" or "closed", r.left_output)
    assert.is_nil(assert(sb:exec { "true" }).left_output)
    assert(sb:write_file("go", ""))
    if is_native then
      e2e.eventually(function() return e2e.temp.read(sb:root() .. "/wrote") == "x\n" end,
        "what it does after it wrote")
    else
      e2e.eventually(function() return #view.find(script) == 0 end, "the end by its writing")
      assert.is_nil(e2e.temp.read(sb:root() .. "/wrote"))
    end
    assert(sb:kill_all())
  end)

  it("reports what took how long", function()
    local r = assert(sb:exec { "sleep", "0.2" })
    assert(r.duration >= 0.2)
    assert.is_falsy(r.timed_out)
    assert.is_falsy(r.stdout_truncated)
    assert.is_falsy(r.stderr_truncated)
  end)

  it("refuses the programmer's mistakes by raising, and names them", function()
    assert.has_error(function() sb:exec() end)
    assert.has_error(function() sb:exec {} end)
    assert.has_error(function() sb:exec { 1, {} } end)
    local ok, err = pcall(sb.exec, sb, { "true" }, { tiemout = 3 })
    assert.is_false(ok)
    assert.matches("tiemout", tostring(err))
    ok, err = pcall(sb.exec, sb, { "true" }, { timeout = "soon" })
    assert.is_false(ok)
    assert.matches("timeout", tostring(err))
  end)

  it("with a NUL or too long an argument fails before podman is asked", function()
    for _, argument in ipairs { "a\0b", ("x"):rep(200 * 1024) } do
      local ok, r, err = pcall(sb.exec, sb, { "echo", argument })
      assert(not ok or r == nil, "it ran")
      assert.truthy(ok and err or r)
    end
  end)

  it("runs alongside others", function()
    local results = {}
    for i = 1, 4 do
      assert(sb:exec({ "sh", "-c", "echo " .. i .. "; exit " .. i }, function(err, r)
        results[#results + 1] = assert(r, err)
      end))
    end
    e2e.eventually(function() return #results == 4 end, "four results")
    for _, r in ipairs(results) do assert.equal(r.code .. "\n", r.stdout) end
  end)

  it("can be signalled and cancelled through its handle", function()
    local mark, done = e2e.probe.unique_sleep(), nil
    local handle = assert(sb:exec({ "sleep", mark }, function(err, r) done = { err, r } end))
    view.await(mark)
    handle:signal "INT"
    e2e.eventually(function() return done end, "the end after INT")
    assert.equal("INT", done[2].signal)

    mark, done = e2e.probe.unique_sleep(), nil
    handle = assert(sb:exec({ "sleep", mark }, function(err, r) done = { err, r } end))
    view.await(mark)
    handle:cancel()
    e2e.eventually(function() return done end, "the end after cancel")
    assert.equal(0, #view.find(mark))
  end)
end)

describe("a command in an image of dash and GNU tools", function()
  e2e.housekeeping(_ENV)
  local sb
  setup(function() sb = e2e.start { image = e2e.images.debian() } end)
  teardown(function() sb:stop() end)

  it("runs, and its whole tree is killed at the deadline", function()
    local view, mark = e2e.probe.container(sb:container()), e2e.probe.unique_sleep()
    local script = ("setsid sleep %s & env -i sleep %s & bash -c 'sleep %s' & wait"):format(
      mark, mark, mark)
    local r = assert(sb:exec({ "bash", "-c", script }, { timeout = 1 }))
    assert.is_true(r.timed_out)
    assert.equal(0, #view.find(mark))
  end)
end)
