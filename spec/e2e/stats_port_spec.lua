-- @runs native-root native-user
local e2e = require "spec.support.e2e"
local net = require "spec.support.net"
local support = require "spec.support.cli"
local axo = require "axosandbox"
local cjson = require "cjson"
local podman, proc = e2e.podman, e2e.proc

local MIB = 1024 * 1024

local function literal(text)
  return (text:gsub("%p", "%%%0"))
end

-- Where an unprivileged user's containers get no cgroup of their own, nothing can be read.
local has_cgroup = podman.has_own_cgroup()

local function stats_of(id)
  local result = support.run { "stats", "--json", id }
  assert.equal(0, result.code, result.stderr)
  local list = cjson.decode(result.stdout)
  assert.equal(1, #list)
  assert.equal(id, list[1].id)
  return list[1]
end

if has_cgroup then
  describe("what a session uses", function()
    e2e.housekeeping(_ENV)
    local sb
    setup(function() sb = e2e.start { policy = { limits = { memory = "512m", pids = 200 } } } end)
    teardown(function() sb:stop() end)

    it("is its processes, memory and CPU time, with the limits in force", function()
      local before = assert(sb:stats())
      assert.is_true(before.pids >= 1)
      assert.is_true(before.memory > 0 and before.memory < 64 * MIB)
      assert.equal(sb:limits().memory.applied, before.memory_limit)
      assert.equal(sb:limits().pids.applied, before.pids_limit)
      -- tail holds what has no end of line: 64 MiB that no cache can give back.
      local task = assert(sb:spawn_background("for i in 1 2 3 4 5; do sleep 1000 & done; "
        .. "(head -c 67108864 /dev/zero; sleep 1000) | tail"))
      local after = e2e.eventually(function()
        local stats = assert(sb:stats())
        return stats.memory > before.memory + 60 * MIB and stats
      end, "64 MiB more")
      assert.is_true(after.pids >= before.pids + 5)
      assert.is_true(after.cpu_seconds > before.cpu_seconds)
      assert.is_true(after.memory_total >= after.memory)
      assert(task:stop())
      e2e.eventually(function() return sb:stats().memory < before.memory + 32 * MIB end,
        "the memory to be given back")
    end)

    it("is shown by axolua stats, for programs and for people", function()
      local row = stats_of(sb:id())
      assert.equal(512 * MIB, row.memory_limit)
      assert.equal(200, row.pids_limit)
      assert.is_true(row.pids >= 1 and row.cpu_percent >= 0 and row.memory > 0)
      local shown = support.run { "stats", sb:id() }
      assert.equal(0, shown.code, shown.stderr)
      local memory, limit = shown.stdout:match(
        "\n" .. literal(sb:id()) .. " +%S+ +%S+ +([%d.]+ %a+) +(512 MiB) ")
      assert.is_string(memory, shown.stdout)
      assert.equal("512 MiB", limit)
      assert.is_nil(shown.stdout:find "\27")
    end)

    it("is a share of CPU that is near one for a busy loop", function()
      local task = assert(sb:spawn_background "while :; do :; done")
      e2e.eventually(function() return stats_of(sb:id()).cpu_percent > 20 end, "a busy CPU")
      assert(task:stop())
    end)

    it("is watched on a terminal until ^C, which leaves the terminal as it was", function()
      local screen = support.on_terminal([[
        trap : INT
        before=$(stty -g)
        "$AXOLUA" "$@"
        code=$?
        [ "$(stty -g)" = "$before" ] && echo "terminal as before, code $code"
      ]], { "stats", "--watch", "--interval", "0.1", sb:id() })
      screen.shows "\27%[%?1049h"
      for _ = 1, 2 do
        screen.text = ""
        screen.shows("\27%[H.*" .. literal(sb:id()))
      end
      screen.type "\3"
      screen.wait()
      screen.shows("\27%[%?25h\27%[%?1049l.*" .. literal(sb:id())
        .. ".*terminal as before, code 130")
    end)

    it("is watched in a pipe as a line of JSON each time, and ends with its reader", function()
      local result = support.shell('"$AXOLUA" stats --watch --interval 0.1 --json "$1" | head -n 3',
        sb:id())
      local count = 0
      for line in result.stdout:gmatch "[^\n]+" do
        assert.equal(sb:id(), cjson.decode(line)[1].id)
        count = count + 1
      end
      assert.equal(3, count)
      assert.equal("", result.stderr)
    end)

    it("is no longer told once the session is over", function()
      local other = e2e.start()
      local id = other:id()
      local watcher = proc.start({ support.axolua(), "stats", "-w", "--interval", "0.1", id },
        { env = proc.environment() })
      watcher:wait_for(literal(id))
      assert(other:stop())
      local _, err = other:stats()
      assert.equal("STOPPED", err.code)
      assert.equal(0, watcher:wait().code)
      local result = support.run { "stats", "--json", id }
      assert.equal(125, result.code)
      assert.equal("[]\n", result.stdout)
      assert.matches("there is no session " .. literal(id), result.stderr)
      assert.matches("axolua ps", result.stderr)
    end)
  end)
else
  describe("what a session uses, where its container has no cgroup of its own", function()
    e2e.housekeeping(_ENV)

    it("is an error that says so", function()
      local sb = e2e.start()
      local stats, err = sb:stats()
      assert.is_nil(stats)
      assert.equal("ENOTSUP", err.code)
      assert.matches("a user who is not root has no cgroup of its own", err.message)
      assert.is_truthy(err.hint:find "cgroup v2" or err.hint:find "linger", err.hint)
      local result = support.run { "stats", sb:id() }
      assert.equal(125, result.code)
      assert.matches("cgroup", result.stderr)
      assert(sb:stop())
    end)
  end)
end

if podman.has_bridge() then
  describe("a published port", function()
    e2e.housekeeping(_ENV)

    local function rows_of(id)
      local result = support.run { "port", "--json", id }
      assert.equal(0, result.code, result.stderr)
      local rows = {}
      for _, row in ipairs(cjson.decode(result.stdout)) do rows[row.container_port] = row end
      return rows
    end

    it("is listed with where it is, and whether anything listens", function()
      local open, closed, inner = net.free_port(), net.free_port(), net.free_port()
      local sb = assert(axo.start(e2e.options {
        ports = { open, closed, inner },
        policy = { network = "bridge", provision = e2e.no_provisioning },
      }))
      for _, address in ipairs { tostring(open), "127.0.0.1:" .. inner } do
        assert(sb:spawn_background { "httpd", "-f", "-p", address })
      end
      local rows = e2e.eventually(function()
        local found = rows_of(sb:id())
        return found[open].state == "any" and found[inner].state == "loopback" and found
      end, "both servers")
      assert.equal("none", rows[closed].state)
      assert.equal(open, rows[open].port)
      assert.equal("127.0.0.1", rows[open].address)
      assert.equal("tcp", rows[open].protocol)
      assert.truthy(net.get(rows[open].address, rows[open].port))
      local shown = support.run { "port", sb:id() }
      assert.matches(("%d/tcp +127.0.0.1:%d +open\n"):format(open, open), shown.stdout)
      assert.matches(inner .. "/tcp +%S+ +listens on 127.0.0.1 only", shown.stdout)
      assert(sb:stop())
    end)
  end)
end

describe("axolua port", function()
  e2e.housekeeping(_ENV)

  it("of a session that publishes none says how one does", function()
    local sb = e2e.start()
    local result = support.run { "port", sb:id() }
    assert.equal(0, result.code, result.stderr)
    assert.matches("no port is published.*%-%-port", result.stdout)
    assert.equal("[]\n", support.run({ "port", "--json", sb:id() }).stdout)
    assert(sb:stop())
    result = support.run { "port", sb:id() }
    assert.equal(125, result.code)
    assert.matches("axolua ps", result.stderr)
  end)
end)

describe("run and exec with --json", function()
  e2e.housekeeping(_ENV)

  it("report how the command ended and what it printed, in one object", function()
    local sb = e2e.start()
    local result = support.run({ "exec", "--json", sb:id(), "--", "sh", "-c",
      "cat; echo err >&2; exit 4" }, { stdin = "typed" })
    assert.equal(4, result.code, result.stderr)
    local report = cjson.decode(result.stdout)
    assert.equal("typed", report.stdout)
    assert.equal("err\n", report.stderr)
    assert.equal(4, report.code)
    assert.equal(sb:id(), report.id)
    assert.is_false(report.timed_out)
    result = support.run { "exec", "--json", "--timeout", "0.3", sb:id(), "--", "sleep", "1000" }
    assert.equal(124, result.code)
    assert.is_true(cjson.decode(result.stdout).timed_out)
    local task = assert(sb:spawn_background "echo one; echo two")
    assert(task:wait())
    local log = cjson.decode(support.run({ "logs", "--json", sb:id(), task.id }).stdout)
    assert.equal("one\ntwo\n", log.output)
    assert.equal("exited (0)", log.status)
    assert.equal(8, log.cursor)
    assert(sb:stop())
  end)

  it("report why there is no result", function()
    local result = support.run { "run", "--json", "--dir", "/etc", "--", "true" }
    assert.equal(125, result.code)
    assert.equal("POLICY", cjson.decode(result.stdout).error.code)
    result = support.run { "exec", "--json", "axotest-nobody", "--", "true" }
    assert.equal(125, result.code)
    assert.equal("NOT_FOUND", cjson.decode(result.stdout).error.code)
  end)
end)
