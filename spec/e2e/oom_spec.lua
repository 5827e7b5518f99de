-- @runs native-root native-user
local cjson = require "cjson"
local e2e = require "spec.support.e2e"
local mcp = require "spec.support.mcp"
local support = require "spec.support.cli"
local axo = require "axosandbox"
local podman, temp = e2e.podman, e2e.temp

-- More than the limit, and what may be swapped beside it.
local HOG = "dd if=/dev/zero of=/dev/null bs=300M count=1 2>/dev/null"
local HOG_ARGV = { "dd", "if=/dev/zero", "of=/dev/null", "bs=300M", "count=1" }
-- By two, so that neither is the largest beside one that is to go first.
local SHARED = "echo 0 >/proc/self/oom_score_adj; for i in 1 2; do "
  .. "head -c 200000000 /dev/zero | tail >/dev/null & done; wait"
local LIMITS = { memory = "64m" }

local function shell(line) return { "sh", "-c", line } end

if podman.has_own_cgroup() then
  describe("what the memory limit killed", function()
    e2e.housekeeping(_ENV)
    local sb
    setup(function() sb = e2e.start { policy = { limits = LIMITS } } end)
    teardown(function() sb:stop() end)

    it("is told of the command", function()
      local r = assert(sb:exec(HOG_ARGV))
      assert.same({ 137, "KILL", "limit" }, { r.code, r.signal, r.oom_killed })
      assert.matches("memory ran out", tostring(r))
    end)

    it("is told of what a command started and survived", function()
      local r = assert(sb:exec(shell(HOG .. "; exit 3")))
      assert.same({ 3, "limit" }, { r.code, r.oom_killed })
    end)

    it("is nothing that another signal or another command did", function()
      local r = assert(sb:exec(shell(HOG .. "; exit 0")))
      assert.same({ 0 }, { r.code, r.oom_killed })
      assert.is_nil(assert(sb:exec(shell "exit 3")).oom_killed)
      assert.is_nil(assert(sb:exec(shell "kill -9 $$")).oom_killed)
      assert.is_nil(assert(sb:exec({ "sleep", "100" }, { timeout = 0.1 })).oom_killed)
    end)

    it("is told of tasks and terminals", function()
      local task = assert(sb:spawn_background(HOG_ARGV))
      assert.equal("limit", assert(task:wait(60)).oom_killed)
      assert.equal("killed (KILL), memory ran out", task:status())
      local term = assert(sb:spawn_pty(HOG .. "; exit 3"))
      assert.equal("limit", assert(term:wait(60)).oom_killed)
      assert.equal("exited (3), memory ran out meanwhile", term:status())
      task = assert(sb:spawn_background "kill -9 $$")
      assert.is_nil(assert(task:wait(60)).oom_killed)
      assert.equal("killed (KILL)", task:status())
    end)

    it("is told by axolua exec, with the limit and what to do", function()
      local result = support.run { "exec", sb:id(), "--", table.unpack(HOG_ARGV) }
      assert.equal(137, result.code)
      assert.matches("the session's memory limit of 64m ended the command; .*%-%-memory",
        result.stderr)
      result = support.run { "exec", "--json", sb:id(), "--", "sh", "-c", HOG .. "; exit 3" }
      assert.equal(3, result.code)
      assert.matches("64m ended something in the command;", result.stderr)
      assert.equal("limit", cjson.decode(result.stdout).oom_killed)
      result = support.run { "exec", sb:id(), "--", "sh", "-c", "exit 3" }
      assert.same({ 3, "" }, { result.code, result.stderr })
    end)

    it("stands in the audit log", function()
      local events = {}
      axo.set_audit(function(event) events[#events + 1] = event end)
      assert(sb:exec(HOG_ARGV))
      local task = assert(sb:spawn_background(HOG_ARGV))
      assert(task:wait(60))
      axo.set_audit(nil)
      local told = {}
      for _, event in ipairs(events) do told[event.event] = event.oom_killed end
      assert.same({ exec = "limit", task_end = "limit" }, told)
    end)

    it("is told to an agent", function()
      local client = mcp.start { "--dir", temp.dir "project", "--id", e2e.new_id(), "--image",
        e2e.images.base(), "--allow-untrusted-image", "--network", "none", "--memory", "64m",
        "--quiet" }
      client:initialize()
      local words, is_error = client:call("bash", { command = HOG })
      assert.is_true(is_error)
      assert.matches("the session's memory limit of 64m ended the command", words)
      assert.matches("Use less memory", words)
      local task = client:call("bash_background", { command = "exec " .. HOG })
        :match "task (%S+)%."
      e2e.eventually(function()
        return client:call("read_background", { id = task, wait = 30 }):find "memory ran out"
      end)
      assert.matches("Use less memory", (client:call("read_background", { id = task })))
      client.process:close_stdin()
      client.process:wait()
    end)
  end)

  describe("a container whose first process the memory limit killed", function()
    e2e.housekeeping(_ENV)

    it("is said to have gone for that", function()
      local sb = e2e.start { policy = { limits = LIMITS } }
      if podman.is_root() then
        local pid = podman.inspect(sb:container()).State.Pid
        temp.write(("/proc/%d/oom_score_adj"):format(pid), "1000")
        local _, err = sb:exec(shell(SHARED .. "; sleep 1000"))
        assert.equal("GONE", err.code)
        assert.matches("memory limit of 64m", err.message)
        assert.matches("limits = { memory", err.hint)
        _, err = sb:exec { "true" }
        assert.matches("memory limit of 64m", err.message)
      end
      assert(sb:stop())
    end)
  end)
else
  describe("without a cgroup of its own", function()
    e2e.housekeeping(_ENV)

    it("nothing is said of memory", function()
      local sb = e2e.start { policy = { limits = LIMITS } }
      local r = assert(sb:exec(shell "kill -9 $$"))
      assert.same({ 137, "KILL" }, { r.code, r.signal, r.oom_killed })
      assert(sb:stop())
    end)
  end)
end
