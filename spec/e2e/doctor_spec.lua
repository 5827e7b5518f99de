-- @runs native-root native-user
local e2e = require "spec.support.e2e"
local support = require "spec.support.cli"
local cjson = require "cjson"
local podman, temp = e2e.podman, e2e.temp

describe("axolua doctor", function()
  e2e.housekeeping(_ENV)

  it("examines the host and starts a session", function()
    local result = support.run({ "doctor", "--json" },
      { env = { XDG_STATE_HOME = temp.dir() } })
    local report = cjson.decode(result.stdout)
    local rows = {}
    for _, row in ipairs(report.checks) do
      rows[row.name] = row
      assert.truthy(row.status == "ok" or row.status == "warn" or row.status == "fail")
    end
    assert.equal(report.ok and 0 or 1, result.code)
    assert.is_true(report.ok, result.stdout)
    for _, name in ipairs { "podman", "privileges", "system calls", "runtime", "cgroups", "policy",
      "network", "session", "image", "making images", "hardening", "limits", "guest",
      "names" } do
      assert.truthy(rows[name], name)
    end
    assert.equal("ok", rows.hardening.status)
    if podman.has_bridge() then assert.matches("^bridge, by %S", rows.network.detail) end
    assert.equal(podman.is_root(), rows.privileges.detail:find("^rootful") ~= nil)
    if podman.is_root() then assert.equal("ok", rows.limits.status, rows.limits.detail) end
  end)

  it("tells a network that is there from one that policy took away", function()
    local dir = temp.dir()
    temp.write(dir .. "/sandbox.lua", "return function(request, default)\n"
      .. "  local decision = default(request)\n  decision.network = 'none'\n"
      .. "  return decision\nend\n")
    local result = support.run({ "doctor", "--json" },
      { env = { XDG_STATE_HOME = temp.dir(), AXOSANDBOX_POLICY_PATH = dir } })
    for _, row in ipairs(cjson.decode(result.stdout).checks) do
      if row.name == "network" then assert.equal("none, as policy says", row.detail) end
    end
  end)

  it("says the same of the host once a start has found it out", function()
    local env = { XDG_STATE_HOME = temp.dir() }
    local function of_runtime()
      return support.run({ "doctor" }, { env = env }).stdout:match "own OCI runtime [^\n]*(runc)\n"
    end
    assert.equal(of_runtime(), of_runtime())
  end)

  it("prints the same for people", function()
    local result = support.run { "doctor", "--no-probe" }
    assert.equal(0, result.code, result.stdout)
    assert.matches("\nok +podman +%d", result.stdout)
    assert.is_nil(result.stdout:find "\27")
  end)
end)
