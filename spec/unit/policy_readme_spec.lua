-- The examples of policy/README.md do what it says.
local policies = require "spec.support.policies"
local temp = require "spec.support.temp"

local function examples()
  local list = {}
  for code in assert(temp.read "policy/README.md"):gmatch "```lua\n(.-)```" do
    list[#list + 1] = code
  end
  return list
end

local function set_of(name, code)
  return assert(policies.new(nil, { policies.dir { [name] = code } }))
end

describe("policy/README.md", function()
  policies.housekeeping(_ENV)

  it("has two examples", function() assert.equal(2, #examples()) end)

  it("wraps sandbox.lua", function()
    local set = set_of("sandbox", examples()[1])
    local function ask(dir) return assert(set:decide("sandbox", { dir = dir, dir_real = dir })) end
    local decision = ask "/srv/projects/web"
    assert.is_nil(decision.deny)
    assert.same({ memory = "1g", cpus = 2, pids = 512 }, decision.limits)
    assert.equal("bridge", decision.network)
    assert.matches("sessions live in", ask("/home/me/web").deny)
    assert.is_string(ask("/srv/projects/../../etc").deny)
  end)

  it("replaces exec.lua", function()
    local set = set_of("exec", examples()[2])
    local function ask(argv, kind)
      return assert(set:decide("exec", { argv = argv, kind = kind or "exec" }))
    end
    assert.is_false(ask({ "git", "push" }).allow)
    assert.matches("done by people", ask({ "git", "push" }).reason)
    assert.same({ allow = true, timeout = 60, max_output = 1048576 }, ask { "git", "status" })
    assert.is_nil(ask({ "top" }, "terminal").timeout)
  end)
end)
