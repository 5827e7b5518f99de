-- @runs native-user
local axo = require "axosandbox"
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"
local podman = e2e.podman

local WAYS = {
  { "removed", { "rm", "-f", "-t", "0" } },
  { "stopped", { "stop", "-t", "0" } },
  { "killed", { "kill", "-s", "KILL" } },
  { "restarted", { "restart", "-t", "0" } },
}

describe("a container that is taken away behind our back", function()
  e2e.housekeeping(_ENV)

  -- Everything that can wait, waiting: name -> { err =, value = } as each comes to its end.
  local function everything_pending(sb)
    local ends, names = {}, {}
    local function pending(name, source, method, ...)
      names[#names + 1] = name
      local args = table.pack(...)
      args[args.n + 1] = function(err, value)
        assert(not ends[name], name .. " ended twice")
        ends[name] = { err = err, value = value }
      end
      assert(source[method](source, table.unpack(args, 1, args.n + 1)))
    end
    local task = assert(sb:spawn_background { "sleep", "1001" })
    local term = assert(sb:spawn_pty { "sleep", "1002" })
    local hardy = assert(sb:spawn_background
      "trap '' TERM; echo deaf; while :; do sleep 1003; done")
    e2e.eventually(function() return hardy:log() == "deaf\n" end, "a task that ignores TERM")
    pending("exec", sb, "exec", { "sleep", "1004" }, {})
    pending("exec with input", sb, "exec", { "cat" }, { stdin = "pipe" })
    pending("task wait", task, "wait", nil)
    pending("terminal wait", term, "wait", nil)
    pending("task stop", hardy, "stop", { grace = 600 })
    return ends, names, task, term
  end

  local function assert_gone(name, outcome)
    if outcome.err then return assert.equal("GONE", outcome.err.code, name) end
    assert.equal("failed", outcome.value and outcome.value.state, name)
    assert.matches("not running any more", outcome.value.reason, 1, false, name)
  end

  local function code_of(_, err) return err and err.code end

  for _, way in ipairs(WAYS) do
    it("(" .. way[1] .. ") ends every pending call, saying so", function()
      local sb = native.start()
      assert(sb:write_file("a file", "x"))
      local ends, names, task, term = everything_pending(sb)
      local argv = table.move(way[2], 1, #way[2], 1, {})
      argv[#argv + 1] = sb:container()
      podman.must(table.unpack(argv))
      for _, name in ipairs(names) do
        assert_gone(name, e2e.eventually(function() return ends[name] end, "the end of " .. name))
      end
      assert.matches("^failed: .*not running any more", task:status())
      assert.matches("^failed: .*not running any more", term:status())
      assert.equal("GONE", code_of(sb:exec { "true" }))
      assert.equal("GONE", code_of(sb:spawn_background "true"))
      assert.equal("GONE", code_of(sb:spawn_pty "true"))
      assert.equal("GONE", code_of(sb:read_file "a file"))
      assert.equal("GONE", code_of(sb:write_file("a file", "y")))
      assert.equal("GONE", code_of(sb:list_dir "."))
      assert.equal("GONE", code_of(sb:stat "a file"))
      assert.equal("GONE", code_of(sb:kill_all()))
      assert.is_nil((term:write "x"))
      assert.is_nil((term:resize(10, 10)))
      assert.truthy(task:stop())
      assert(sb:stop())
      assert.is_false(podman.exists(sb:container()))
    end)
  end

  it("and is restarted can be opened again: its new guest answers", function()
    local sb = native.start()
    assert(sb:spawn_background { "sleep", "1000" })
    podman.must("restart", "-t", "0", sb:container())
    local other = native.open(sb:id())
    assert.equal("here\n", assert(other:exec { "echo", "here" }).stdout)
    assert.same({}, other:list_tasks())
    e2e.eventually(function() return code_of(sb:exec { "true" }) == "GONE" end,
      "the end of the old link")
    assert(other:stop())
    assert.is_false(podman.exists(sb:container()))
  end)

  it("and is only paused comes back to life where it was", function()
    if not podman.has_own_cgroup() then return end
    local sb = native.start()
    local outcome
    podman.must("pause", sb:container())
    assert(sb:exec({ "echo", "late" }, {}, function(err, r) outcome = { err = err, r = r } end))
    e2e.pause(0.2)
    assert.is_nil(outcome)
    podman.must("unpause", sb:container())
    e2e.eventually(function() return outcome end, "the command that waited")
    assert.equal("late\n", outcome.r and outcome.r.stdout)
    assert(sb:stop())
  end)

  it("is told to a host that only opened it", function()
    local sb = native.start()
    local host = native.host([[
      local sb = check(axo.open(options.id))
      local task = check(sb:spawn_background { "sleep", "1000" })
      sb:exec({ "sleep", "1000" }, {}, function(err) say("exec", err and err.code) end)
      say "ready"
      check(task:wait())
      say("task", task:status())
      local r, err = sb:exec { "true" }
      say("again", tostring(r), err.code)
      hold()
    ]], { id = sb:id() })
    host:wait_for "ready"
    assert(sb:stop())
    host:wait_for "again nil GONE"
    host:wait_for "exec GONE"
    host:wait_for "task failed: [^\n]*not running any more"
    native.kill(host)
    assert.equal("NOT_FOUND", code_of(axo.open(sb:id())))
  end)
end)
