local host = require "axosandbox.host"
local oom = require "axosandbox.way.oom"

local ID = ("ab12"):rep(16)
local V1 = {
  ["/proc/42/cgroup"] = "1:memory:/libpod-" .. ID .. "\n",
  ["/proc/self/mountinfo"] = "1 24 0:21 / /cg/memory rw - cgroup cgroup rw,memory\n",
}
local V2 = {
  ["/proc/42/cgroup"] = "0::/user.slice/libpod-" .. ID .. ".scope/container\n",
  ["/proc/self/mountinfo"] = "31 24 0:27 / /cg rw - cgroup2 cgroup2 rw\n",
}
local EVENTS = "/cg/user.slice/libpod-" .. ID .. ".scope/memory.events"
local CONTROL = "/cg/memory/libpod-" .. ID .. "/memory.oom_control"
local FAILCNT = "/cg/memory/libpod-" .. ID .. "/memory.failcnt"

-- A watch over a host whose files are a table, instead of this one's.
local function on_host(files, fn)
  local real = host.read_file
  host.read_file = function(path) return files[path] end
  local ok, err = xpcall(fn, debug.traceback, oom.watch { pid = 42, container_id = ID }, files)
  host.read_file = real
  if not ok then error(err, 0) end
end

local function with(base, files)
  for path, text in pairs(base) do files[path] = text end
  return files
end

describe("why something was killed for want of memory", function()
  it("is told by cgroup v2: the limit was met, or it was not", function()
    on_host(with(V2, { [EVENTS] = "low 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 0\n" }),
      function(watch, files)
        local mark = watch:mark()
        assert.is_nil(watch:cause(mark))
        files[EVENTS] = "low 0\nmax 9\noom 1\noom_kill 2\noom_group_kill 0\n"
        assert.equal("host", watch:cause(mark))
        files[EVENTS] = "low 0\nmax 9\noom 2\noom_kill 2\noom_group_kill 0\n"
        assert.equal("limit", watch:cause(mark))
      end)
  end)

  it("is told by cgroup v1 in two files", function()
    on_host(with(V1, { [CONTROL] = "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n" }),
      function(watch, files)
        local mark = watch:mark()
        files[FAILCNT] = "7\n" -- it was met, and the cache gave way
        assert.is_nil(watch:cause(mark))
        files[CONTROL] = "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"
        assert.equal("limit", watch:cause(mark))
        files[FAILCNT] = "0\n"
        assert.equal("host", watch:cause(mark))
      end)
  end)

  it("is told once: what was seen before is no news", function()
    on_host(with(V2, { [EVENTS] = "oom 0\noom_kill 0\n" }), function(watch, files)
      assert.is_nil(watch:latest())
      local mark = watch:mark()
      files[EVENTS] = "oom 1\noom_kill 1\n"
      assert.equal("limit", watch:cause(mark))
      assert.is_nil(watch:latest())
    end)
  end)

  it("is nothing where it cannot be read, and never the host's own", function()
    for _, files in ipairs {
      {}, with(V1, {}), with(V2, {}), with(V1, { [CONTROL] = "under_oom 0\n" }),
      { ["/proc/42/cgroup"] = "0::/user.slice\n",
        ["/proc/self/mountinfo"] = V2["/proc/self/mountinfo"],
        ["/cg/user.slice/memory.events"] = "oom 1\noom_kill 5\n" },
    } do
      on_host(files, function(watch) assert.is_nil(watch:cause(watch:mark())) end)
    end
    assert.is_nil(oom.watch({}):mark())
  end)
end)

describe("the words for it", function()
  local LIMITS = { memory = { applied = 512 * 1024 * 1024 } }

  it("say what was ended, by which limit, to whom it may concern", function()
    local sentence, hint = oom.note({ code = 137, oom_killed = "limit" }, LIMITS, "the command",
      "cli")
    assert.equal("the session's memory limit of 512m ended the command", sentence)
    assert.matches("%-%-memory", hint)
    sentence, hint = oom.note({ code = 1, oom_killed = "limit" }, nil, "the command", "mcp")
    assert.equal("the session's memory limit ended something in the command", sentence)
    assert.matches("tell the user", hint)
    sentence = oom.note({ code = 137, signal = "KILL", timed_out = true, oom_killed = "host" },
      LIMITS, "the task", "lua")
    assert.equal("the host ran out of memory, and the kernel ended something in the task", sentence)
    assert.is_nil(oom.note({ code = 137, signal = "KILL" }, LIMITS, "the command", "cli"))
  end)
end)
