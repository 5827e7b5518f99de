-- @runs native-root native-user
-- A session that is opened by a start is compared with what that start would give it.
local e2e = require "spec.support.e2e"
local net = require "spec.support.net"
local axo = require "axosandbox"
local podman = e2e.podman

describe("a session that is used again", function()
  e2e.housekeeping(_ENV)

  local function limited(memory)
    return function(request, default)
      local decision = default(request)
      decision.limits.memory = memory
      return decision
    end
  end

  it("is told of by the limits that policy would give it now", function()
    local options = e2e.options { policy = { sandbox = limited "300m" } }
    local first <close> = assert(axo.start(options))
    options.reuse = true
    for memory, said in pairs {
      ["200m"] = "it has a larger limit on memory than it would be given now",
      ["400m"] = "it has a smaller limit on memory",
      ["300m"] = false,
    } do
      options.policy.sandbox = limited(memory)
      local sb <close> = assert(axo.start(options))
      local warnings = table.concat(sb:warnings(), "\n")
      assert.equal(first:container(), sb:container())
      assert.equal(said or nil, warnings:match "it has a %l+ limit on [%l ]*", warnings)
    end
  end)

  it("is told of what is done at a start alone", function()
    local options = e2e.options { user = "root" }
    local first <close> = assert(axo.start(options))
    options.reuse, options.user, options.post_create = true, "worker", { "true" }
    options.policy.shm_size = "32m"
    local sb <close> = assert(axo.start(options))
    local warnings = table.concat(sb:warnings(), "\n")
    assert.equal(first:container(), sb:container())
    for _, said in ipairs { "it runs as root", "post_create do not run again",
      "/dev/shm keeps its size" } do
      assert.matches(said, warnings, 1, true)
    end
  end)

  if podman.has_bridge() then
    it("is not taken where its ports are reached from elsewhere", function()
      local port = net.free_port()
      local options = e2e.options { ports = { port }, policy = {
        network = "bridge", publish_address = "0.0.0.0", provision = e2e.no_provisioning,
      } }
      local first <close> = assert(axo.start(options))
      options.reuse, options.policy.publish_address = true, nil
      local sb, err = axo.start(options)
      assert.is_nil(sb)
      assert.equal("IN_USE", err.code)
      assert.matches("with ports published on 0.0.0.0", err.message, 1, true)
      options.policy.publish_address = "0.0.0.0"
      sb = assert(axo.start(options))
      assert.same({ port }, sb:ports())
      assert.equal(first:container(), sb:container())
      sb:__close()
    end)
  end
end)
