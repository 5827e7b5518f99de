-- @runs native-user
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"
local podman = e2e.podman

describe("two starts of one id at once", function()
  e2e.housekeeping(_ENV)

  it("in one process: one starts, the other is told, and the one works", function()
    local options = e2e.options()
    local outcomes = {}
    for _ = 1, 2 do
      local handle, err = axo.start(options, function(...)
        outcomes[#outcomes + 1] = table.pack(...)
      end)
      if not handle then outcomes[#outcomes + 1] = { err } end
    end
    e2e.eventually(function() return #outcomes == 2 end, "both outcomes")
    local started, failed
    for _, outcome in ipairs(outcomes) do
      if outcome[1] == nil then started = outcome[2] else failed = outcome[1] end
    end
    assert(started, "neither started: " .. tostring(outcomes[1][1]))
    assert(failed, "both started")
    assert.equal("IN_USE", failed.code)
    assert.equal("ok\n", assert(started:exec { "echo", "ok" }).stdout)
    assert(started:stop())
    assert.is_false(podman.exists("axo-ses-" .. options.id))
  end)

  it("in two processes: one starts, the other is told, and the one lives on", function()
    local options = e2e.options()
    local hosts = { e2e.host.with_session(options), e2e.host.with_session(options) }
    local started, failed = 0, 0
    for _, host in ipairs(hosts) do
      local word, detail = host:wait_for "(%a+) (%S+)"
      if word == "started" then started = started + 1 end
      if word == "failed" then
        failed = failed + 1
        assert.equal("IN_USE", detail)
      end
    end
    assert.equal(1, started)
    assert.equal(1, failed)
    assert.is_true(podman.inspect("axo-ses-" .. options.id).State.Running)
    for _, host in ipairs(hosts) do
      host:kill()
      host:wait(true)
    end
  end)
end)

describe("starts", function()
  e2e.housekeeping(_ENV)

  it("of several sessions at once all succeed", function()
    local sessions = {}
    for _ = 1, 3 do
      assert(axo.start(e2e.options(), function(err, sb)
        sessions[#sessions + 1] = assert(sb, err)
      end))
    end
    e2e.eventually(function() return #sessions == 3 end, "three sessions")
    local stopped = 0
    for _, sb in ipairs(sessions) do
      assert(sb:stop(function(err) stopped = stopped + (err and 0 or 1) end))
    end
    e2e.eventually(function() return stopped == 3 end, "three stops")
  end)

  it("go on where a host was killed in mid-start", function()
    local options = e2e.options()
    local host = e2e.host.start([[
      say "starting"
      axo.start(options)
      say "started"
      wait_for_line()
    ]], { options = options })
    host:wait_for "starting"
    local name = "axo-ses-" .. options.id
    e2e.eventually(function()
      return podman.exists(name) or host:stdout():find "started"
    end, "the container")
    host:kill()
    host:wait(true)
    local sb = assert(axo.start(options))
    assert.equal(0, assert(sb:exec { "true" }).code)
    assert(sb:stop())
    assert.is_false(podman.exists(name))
  end)

  it("may follow a stop at once, under the same id", function()
    local options = e2e.options()
    for _ = 1, 2 do
      local sb = assert(axo.start(options))
      assert.equal(0, assert(sb:exec { "true" }).code)
      assert(sb:stop())
    end
  end)
end)
