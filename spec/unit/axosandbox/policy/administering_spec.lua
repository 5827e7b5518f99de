-- The examples of scripts/guide/administering.md do what it says: each is taken out of it and binds.
local policy = require "axosandbox.policy"
local policies = require "spec.support.policies"
local temp = require "spec.support.temp"

local DIGEST = "sha256:" .. ("0123456789abcdef"):rep(4)

local function bound(index, name, fields)
  local list = {}
  for code in assert(temp.read "scripts/guide/administering.md"):gmatch "```lua\n(.-)```" do
    list[#list + 1] = code
  end
  assert.equal(3, #list)
  return assert(policy.new(fields, { dirs = {}, binding = policies.dir { [name] = list[index] } }))
end

describe("scripts/guide/administering.md", function()
  policies.housekeeping(_ENV)

  local function sandbox(index, fields, mounts)
    return assert(bound(index, "sandbox", fields):decide("sandbox", {
      dir = "/srv/web", dir_real = "/srv/web", extra_mounts = mounts,
    }))
  end

  it("takes the network away, and leaves limits that are less", function()
    local most = { memory = "1g", cpus = 1, pids = 256 }
    assert.same(most, sandbox(1).limits)
    assert.equal("none", sandbox(1, { network = "bridge" }).network)
    for _, memory in ipairs { "4g", "1t", "2000000000", false } do
      assert.same(most, sandbox(1, { limits = { memory = memory, cpus = 4, pids = 999 } }).limits)
    end
    local less = { memory = "256m", cpus = 0.5, pids = 64 }
    assert.same(less, sandbox(1, { limits = less }).limits)
  end)

  it("runs one image, known by its digest", function()
    local set = bound(2, "image_trust", { allow_untrusted_image = true })
    local function ask(request) return assert(set:decide("image_trust", request)) end
    local image = "registry.example.com/team/tools@" .. DIGEST
    local expected = { image = image, pull = "missing", replaces = true }
    assert.same(expected, ask {})
    assert.same(expected, ask { image = "x@" .. DIGEST, reference = { digest = DIGEST } })
    assert.same(expected, ask { image = "debian:12", optional = true, reference = {} })
    assert.matches("only one image", ask { image = "debian:12", reference = {} }.deny)
    assert.matches("only one image", ask { image = "Not one" }.deny)
  end)

  it("grants one directory more, to be read, and lets nobody choose another", function()
    local function ask(source, writable)
      local fields = { allow_mounts = { "/srv/other" }, allow_writable_mounts = { "/srv/data" } }
      return sandbox(3, fields, {
        { source = source, source_real = source, target = "/data", writable = writable },
      })
    end
    assert.same({ { source = "/srv/data", target = "/data", writable = false } },
      ask("/srv/data", false).mounts)
    assert.is_string(ask("/srv/data", true).deny)
    assert.is_string(ask("/srv/other", false).deny)
  end)
end)
