-- What was asked for and is decided otherwise is said: every field, by one comparison.
local shapes = require "axosandbox.policy.shapes"
local unmet = require "axosandbox.policy.unmet"
local policies = require "spec.support.policies"

local REQUEST = { dir = "/srv/x", dir_real = "/srv/x", ports = {}, env = {}, host = {} }

-- One value for each field that a call may ask for, and what a policy makes of it.
local CASES = {
  network = { "bridge", "d.network = 'none'", "network: none instead of bridge" },
  require_resource_limits = { true, "d.require_resource_limits = false", "require_resource" },
  setuid = { true, "d.setuid = false", "setuid: none instead of true" },
  keep_id = { true, "d.keep_id = false", "keep_id: none instead of true" },
  nested_namespaces = { true, "d.nested_namespaces = nil", "nested_namespaces: none instead" },
  publish_address = {
    "0.0.0.0", "d.publish_address = '127.0.0.1'", "127.0.0.1 instead of 0.0.0.0",
  },
  user = { "1000", "d.user = nil", "the user: none instead of 1000" },
  local_env = { { "A", "B" }, "d.local_env = { 'A' }", "local_env without B" },
  project_env = { { "A", "B*" }, "d.project_env = {}", "project_env without A, B%*" },
  shm_size = { "1g", "d.shm_size = '64m'", "/dev/shm: 64m instead of 1g" },
}
local PARTS = {
  { { limits = { memory = "4g" } }, "d.limits.memory = '5m'", "memory limit: 5m instead of 4g" },
  { { limits = { memory = false } }, "d.limits.memory = '1g'", "memory limit: 1g instead of none" },
  { { limits = { cpus = 4 } }, "d.limits.cpus = 1", "CPU limit: 1 instead of 4" },
  { { limits = { pids = 900 } }, "d.limits.pids = nil", "process limit: none instead of 900" },
  { { exec = { timeout = 60 } }, "d.exec.timeout = 5", "timeout of commands: 5 instead of 60" },
  { { exec = { max_output = 9 } }, "d.exec = {}", "output kept of commands: none instead of 9" },
}
-- Not the sandbox decision's; or, of directories, what is not granted is an error.
local ELSEWHERE = {
  allow_post_create = true, allow_untrusted_image = true, allow_images = true,
  allow_mounts = true, allow_writable_mounts = true,
}

describe("what policy takes away", function()
  policies.housekeeping(_ENV)

  local function said(fields, line)
    local set = assert(policies.new(fields, { policies.dir { sandbox =
      ("return function(r, default) local d = default(r) %s return d end"):format(line) } }))
    local warnings = {}
    local start = { set = set, warn = function(_, message, is_unmet)
      warnings[#warnings + 1] = message
      assert.is_true(is_unmet)
    end }
    unmet.tell_of_start(start, assert(set:decide("sandbox", REQUEST)))
    return table.concat(warnings, "\n"), set
  end

  for key in pairs(shapes.fields) do
    local case = CASES[key]
    if case then
      it("of " .. key .. " is said", function()
        local fields = { [key] = case[1] }
        local text, set = said(fields, case[2])
        assert.matches(case[3], text)
        assert.is_truthy(text:find(set:source "sandbox", 1, true))
        assert.equal("", (said(fields, "")))
      end)
    elseif not ELSEWHERE[key] and key ~= "limits" and key ~= "exec" then
      it("of " .. key .. " is compared", function() error "no case for it" end)
    end
  end

  for _, case in ipairs(PARTS) do
    it("of a part is said: " .. case[3], function()
      assert.matches(case[3], (said(case[1], case[2])))
      assert.equal("", (said(case[1], "")))
    end)
  end

  it("is one message, and what is the same in other words is not said", function()
    local text = said({ network = "bridge", limits = { memory = "4g", cpus = 2 } },
      "d.network, d.limits.memory, d.limits.cpus = 'none', '1g', 2.0")
    assert.matches("network: none instead of bridge; the memory limit: 1g instead of 4g$", text)
    assert.equal("", (said({ limits = { memory = "1g" } }, "d.limits.memory = 1024 * 1024 * 1024")))
    assert.equal("", (said({}, "d.network = 'none'")))
  end)

  it("of a command is said once, with the file", function()
    local logged = {}
    require("axosandbox.base.log").set_logger(function(_, message, fields)
      logged[#logged + 1] = { message, fields.unmet }
    end)
    local record = { id = "x", warnings = {}, policy = { source = function() return "F" end } }
    for _ = 1, 2 do
      unmet.tell(record, "exec", { timeout = 60 }, { timeout = 5 })
      unmet.tell(record, "exec", { timeout = 60, max_output = 9 }, { timeout = 60, max_output = 3 })
      unmet.tell(record, "exec", { timeout = 0 }, { timeout = 5 })
      unmet.tell(record, "exec", {}, { timeout = 5, max_output = 5 })
    end
    require("axosandbox.base.log").set_logger(nil)
    assert.same({
      { "policy (F): a command may take 5 s instead of 60", true },
      { "policy (F): 3 bytes of a command's output are kept instead of 9", true },
    }, logged)
    assert.equal(2, #record.warnings)
  end)
end)
