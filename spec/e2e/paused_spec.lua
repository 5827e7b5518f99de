-- @runs native-root
-- A container that somebody has paused: it is there, and says nothing.
local axo = require "axosandbox"
local core = require "axosandbox.core"
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"
local podman = e2e.podman

-- podman cannot do it everywhere.
local can_pause = podman.has_own_cgroup()

local function pause(sb) podman.must("pause", sb:container()) end
local function unpause(sb) podman.must("unpause", sb:container()) end

-- The engine waits for half a minute; nobody wants to in a test.
local real_link = core.link
local function impatient()
  core.link = function(options)
    options.answer = 0.5
    return real_link(options)
  end
  local ok, sb = pcall(native.start)
  core.link = real_link
  assert(ok, sb)
  return sb
end

describe("a paused container", function()
  e2e.housekeeping(_ENV)
  if not can_pause then
    pending "podman can pause nothing for this user"
    return
  end

  it("does not hold up a command whose time is over", function()
    local sb = impatient()
    pause(sb)
    local r, err = sb:exec({ "sleep", "1001" }, { timeout = 0.2, grace = 0.1 })
    assert.is_true(err and err.code ~= nil or r and not r:ok())
    unpause(sb)
    assert.equal("here\n", assert(sb:exec { "echo", "here" }).stdout)
    assert(sb:stop())
  end)

  it("says so to who would open it", function()
    local sb = e2e.start()
    pause(sb)
    local opened, err = axo.open(sb:id())
    assert.is_nil(opened)
    assert.equal("PAUSED", err.code)
    assert.equal("podman unpause " .. sb:container(), err.hint)
    unpause(sb)
    local again <close> = assert(axo.open(sb:id()))
    assert.equal("here\n", assert(again:exec { "echo", "here" }).stdout)
  end)

  it("is removed with its session, whatever is in flight", function()
    local sb = e2e.start()
    local outcome
    local task = assert(sb:spawn_background { "sleep", "1002" })
    pause(sb)
    assert(sb:exec({ "sleep", "1003" }, {}, function(err) outcome = err or false end))
    assert(sb:stop())
    assert.is_false(podman.exists(sb:container()))
    assert.equal("STOPPED", outcome and outcome.code)
    assert.matches("^killed", task:status())
  end)

  it("is removed at the end of a scope", function()
    local name
    do
      local sb <close> = e2e.start()
      name = sb:container()
      pause(sb)
    end
    assert.is_false(podman.exists(name))
  end)
end)

describe("a guest that is paused", function()
  e2e.housekeeping(_ENV)
  if not can_pause then
    pending "podman can pause nothing for this user"
    return
  end

  local function ask_everything(sb, task, hardy)
    local ends, names = {}, {}
    local function pending(name, source, method, ...)
      names[#names + 1] = name
      local args = table.pack(...)
      args[args.n + 1] = function(err)
        assert(not ends[name], name .. " ended twice")
        ends[name] = { code = err and err.code, message = err and err.message }
      end
      return assert(source[method](source, table.unpack(args, 1, args.n + 1)))
    end
    pending("exec", sb, "exec", { "sleep", "1004" }, { timeout = 0.1, grace = 0.1 })
    pending("cancelled exec", sb, "exec", { "sleep", "1005" }, { grace = 0.1 }):cancel()
    pending("task", sb, "spawn_background", { "sleep", "1006" }, {})
    pending("terminal", sb, "spawn_pty", { "sleep", "1007" }, {})
    pending("signal", task, "signal", "HUP", {})
    pending("stop", hardy, "stop", { grace = 0.1 })
    pending("read_file", sb, "read_file", "file", {})
    pending("write_file", sb, "write_file", "file", "new", {})
    pending("write a new file", sb, "write_file", "another", "new", {})
    pending("list_dir", sb, "list_dir", ".")
    pending("stat", sb, "stat", "file", {})
    return ends, names
  end

  it("ends every question with an error, and is as good as before afterwards", function()
    local sb = impatient()
    local view = e2e.probe.container(sb:container())
    assert(sb:write_file("file", "old"))
    local task = assert(sb:spawn_background "trap '' HUP; echo deaf; exec sleep 1008")
    local hardy = assert(sb:spawn_background "trap '' TERM; echo deaf; exec sleep 1009")
    for _, one in ipairs { task, hardy } do
      e2e.eventually(function() return one:log() == "deaf\n" end, "a task that is deaf")
    end
    pause(sb)
    local ends, names = ask_everything(sb, task, hardy)
    for _, name in ipairs(names) do
      local outcome = e2e.eventually(function() return ends[name] end, "the end of " .. name)
      assert.equal(name == "stop" and "KILL" or "TIMEOUT", outcome.code, name)
      if name ~= "stop" then assert.matches("does not answer", outcome.message, 1, true, name) end
    end
    unpause(sb)
    assert.equal("here\n", assert(sb:exec { "echo", "here" }).stdout)
    -- What was given up is killed, also what had not even begun.
    for number = 1004, 1007 do view.await_gone("sleep " .. number) end
    e2e.eventually(function() return not hardy:is_running() end, "the end of what was stopped")
    assert.is_true(task:is_running())
    assert.equal(2, #sb:list_tasks())
    assert.equal(0, #sb:list_terminals())
    for _, entry in ipairs(assert(sb:list_dir ".")) do
      assert.is_nil(entry.name:match "^%.axo%-write", entry.name)
    end
    assert(sb:stop())
  end)

  it("kills all that it was told to, later", function()
    local sb = impatient()
    local task = assert(sb:spawn_background { "sleep", "1010" })
    pause(sb)
    local _, err = sb:kill_all()
    assert.equal("TIMEOUT", err and err.code)
    assert.matches("podman unpause " .. sb:container(), err.hint, 1, true)
    unpause(sb)
    assert.equal("killed", assert(task:wait()).state)
    assert(sb:kill_all())
    assert(sb:stop())
  end)
end)
