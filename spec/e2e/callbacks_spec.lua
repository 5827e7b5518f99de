-- @runs native-user portable-user
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"
local podman = e2e.podman

describe("a Lua error in a callback", function()
  e2e.housekeeping(_ENV)
  local sb
  setup(function() sb = e2e.start() end)
  teardown(function() sb:stop() end)

  -- `provoke(raise)` passes `raise` on as a callback; its error must be reported once the
  -- callback ran, and the session must go on.
  local function reported(provoke)
    local ran = 0
    local token = "on purpose " .. e2e.temp.token()
    provoke(function()
      ran = ran + 1
      error(token)
    end)
    e2e.eventually(function() return ran > 0 end, "the callback")
    e2e.eventually(function() return e2e.logged("error"):find(token, 1, true) end,
      "the report of the error")
    assert.matches("callbacks_spec.lua:%d+", e2e.logged "error")
    e2e.forget_messages()
    assert.equal("alive\n", assert(sb:exec { "echo", "alive" }).stdout)
    e2e.forget_messages()
  end

  it("of exec's end is reported", function()
    reported(function(raise) assert(sb:exec({ "true" }, raise)) end)
  end)

  it("of on_stdout, on_stderr and a stdin function ends the command and is its error", function()
    local view, mark = e2e.probe.container(sb:container()), e2e.probe.unique_sleep()
    local script = "echo out; echo err >&2; read -r x; exec sleep " .. mark
    for _, name in ipairs { "on_stdout", "on_stderr", "stdin" } do
      local opts = { timeout = 60, stdin = name == "stdin" and "" or "x\n" }
      opts[name] = function() error("on purpose: " .. name) end
      local r, err = sb:exec({ "sh", "-c", script }, opts)
      assert.is_nil(r)
      assert.equal("CALLBACK", err.code)
      assert.matches("callbacks_spec.lua:%d+: on purpose: " .. name, tostring(err))
      assert.equal(0, #view.find(mark))
    end
  end)

  it("of spawn_background's end is reported", function()
    reported(function(raise) assert(sb:spawn_background("true", {}, raise)) end)
  end)

  it("of a task's follow and wait is reported", function()
    reported(function(raise)
      assert(sb:spawn_background "echo hello; sleep 0.1"):follow(raise)
    end)
    reported(function(raise)
      assert(assert(sb:spawn_background "true"):wait(raise))
    end)
  end)

  it("of a task's stop is reported", function()
    reported(function(raise)
      assert(assert(sb:spawn_background "sleep 1000"):stop(raise))
    end)
  end)

  it("of a terminal's subscriber, wait and close is reported", function()
    reported(function(raise)
      assert(sb:spawn_pty { "sh", "-c", "echo hello; sleep 0.1" }):subscribe(raise)
    end)
    reported(function(raise)
      assert(assert(sb:spawn_pty { "true" }):wait(raise))
    end)
    reported(function(raise)
      assert(assert(sb:spawn_pty { "sh" }):close(raise))
    end)
  end)

  it("of one subscriber keeps nothing from the others", function()
    local seen = {}
    local term = assert(sb:spawn_pty { "sh", "-c", "stty -opost; read -r x; echo hello" })
    term:subscribe(function() error "on purpose" end)
    term:subscribe(function(bytes) seen[#seen + 1] = bytes end)
    term:write "\n"
    e2e.eventually(function() return table.concat(seen):find "hello" end, "the second one")
    assert(term:wait())
    assert.matches("on purpose", e2e.logged "error")
    e2e.forget_messages()
  end)

  it("of files is reported", function()
    reported(function(raise) assert(sb:read_file("no-such-file", raise)) end)
    reported(function(raise) assert(sb:list_dir(".", raise)) end)
  end)

  it("of start and stop is reported", function()
    local other
    reported(function(raise)
      assert(axo.start(e2e.options(), function(_, started)
        other = started
        raise()
      end))
    end)
    reported(function(raise) assert(other:stop(raise)) end)
  end)

  it("of the logger does not break what it was told about", function()
    axo.set_logger(function() error "the logger itself" end)
    local options = e2e.options { post_create = { "true" } }
    local other = assert(axo.start(options))
    assert.equal(0, assert(other:exec { "true" }).code)
    assert(other:stop())
    e2e.listen()
  end)

  it("of a policy function is a refusal", function()
    local err = e2e.refused { policy = { sandbox = function() error "on purpose" end } }
    assert.equal("POLICY", err.code)
    assert.matches("callbacks_spec.lua:%d+", tostring(err))
  end)
end)

describe("callbacks", function()
  e2e.housekeeping(_ENV)
  local sb
  setup(function() sb = e2e.start() end)
  teardown(function() sb:stop() end)

  it("never fire before their call has returned, also when the outcome is known", function()
    local returned, fired = false, 0
    assert(sb:read_file("no-such-file", function(err)
      assert.is_true(returned)
      assert.truthy(err)
      fired = fired + 1
    end))
    returned = true
    e2e.eventually(function() return fired == 1 end, "the callback")
  end)

  it("may start more work", function()
    local finished
    assert(sb:exec({ "echo", "1" }, function(_, first)
      assert(sb:exec({ "echo", first.stdout .. "2" }, function(_, second)
        finished = second.stdout
      end))
    end))
    e2e.eventually(function() return finished end, "the second command")
    assert.equal("1\n2\n", finished)
  end)

  it("that wait for the loop inside it are told what to do instead", function()
    local message
    assert(sb:exec({ "true" }, function()
      local ok, err = pcall(sb.exec, sb, { "true" })
      message = not ok and tostring(err)
    end))
    e2e.eventually(function() return message ~= nil end, "the callback")
    assert.matches("callback", message)
    assert.matches("coroutine", message)
  end)

  it("are not needed in coroutines, many of which wait side by side", function()
    local done = 0
    for i = 1, 4 do
      coroutine.wrap(function()
        local r = assert(sb:exec { "sh", "-c", "exit " .. i })
        assert.equal(i, r.code)
        r = assert(sb:exec { "echo", tostring(i) })
        assert.equal(i .. "\n", r.stdout)
        done = done + 1
      end)()
    end
    e2e.eventually(function() return done == 4 end, "four coroutines")
  end)

  it("take a coroutine's error to its traceback", function()
    coroutine.wrap(function()
      assert(sb:exec { "true" })
      error "after the wait"
    end)()
    e2e.eventually(function() return e2e.logged("error"):find "after the wait" end, "the report")
    assert.matches("callbacks_spec.lua:%d+", e2e.logged "error")
    e2e.forget_messages()
  end)
end)

describe("a session that is collected while work is in flight", function()
  e2e.housekeeping(_ENV)

  local function collect()
    for _ = 1, 3 do
      collectgarbage()
      e2e.proc.turn(2)
    end
  end

  it("finishes the work, and its container stays", function()
    local container, outcome
    do
      local sb = e2e.start()
      container = sb:container()
      assert(sb:exec({ "sh", "-c", "sleep 0.5; echo finished" }, function(err, r)
        outcome = assert(r, err)
      end))
    end
    collect()
    e2e.eventually(function()
      collectgarbage()
      return outcome
    end, "the outcome")
    assert.equal("finished\n", outcome.stdout)
    collect()
    assert.is_true(podman.exists(container))
  end)

  it("leaves tasks and terminals to those who hold them", function()
    local function spawn()
      local sb = e2e.start()
      return assert(sb:spawn_background "sleep 0.3; echo task"),
        assert(sb:spawn_pty { "sh", "-c", "sleep 0.3; echo terminal" })
    end
    local task, term = spawn()
    collect()
    assert(task:wait())
    assert.equal("task\n", task:log())
    assert(term:wait())
    assert.matches("terminal", (term:snapshot()))
  end)

  it("calls a follower that nobody else holds", function()
    local seen = {}
    do
      local sb = e2e.start()
      local task = assert(sb:spawn_background "sleep 0.3; echo followed")
      task:follow(function(bytes) seen[#seen + 1] = bytes end)
    end
    e2e.eventually(function()
      collectgarbage()
      return table.concat(seen):find "followed"
    end, "the follower")
  end)

  it("in a host that ends with work in flight does no harm", function()
    local options = e2e.options()
    local result = e2e.host.run([[
      local sb = assert(axo.start(options))
      assert(sb:exec({ "sleep", "1000" }, function() end))
      assert(sb:spawn_background "sleep 1000")
      assert(sb:spawn_pty "sh")
      say "leaving"
      os.exit(0, true)
    ]], { options = options })
    assert.matches("leaving", result.stdout, 1, false, result.stderr)
    assert.equal(0, result.code, result.stderr)
    assert.equal(0, result.signal)
    assert.is_true(podman.exists("axo-ses-" .. options.id))
  end)
end)
