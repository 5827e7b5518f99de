-- @runs native-root native-user
local e2e = require "spec.support.e2e"
local axo = require "axosandbox"
local net = require "spec.support.net"

local function interfaces(sb)
  local names = {}
  local r = assert(sb:exec { "ls", "/sys/class/net" })
  for name in r.stdout:gmatch "%S+" do names[#names + 1] = name end
  table.sort(names)
  return names
end

describe("the network none", function()
  e2e.housekeeping(_ENV)

  it("has no interface but lo, and reaches nothing", function()
    local sb = e2e.start { policy = { network = "none" } }
    assert.same({ "lo" }, interfaces(sb))
    assert.equal("none", sb:network())
    do
      local again <close> = assert(axo.open(sb:id()))
      assert.equal("none", again:network())
    end
    local listener <close> = net.listen "0.0.0.0"
    for _, address in ipairs(net.own_addresses()) do
      local r = assert(sb:exec({ "nc", "-w", "2", address, tostring(listener.port) },
        { timeout = 30, stdin = "" }))
      assert(r.code ~= 0, "reached the host at " .. address)
    end
    assert.equal(0, listener.accepted)
    assert(sb:stop())
  end)

  it("has podman publish nothing: a port that was asked for is an error", function()
    local port = net.free_port()
    local err = e2e.refused {
      ports = { port }, publish = "podman", policy = { network = "none" },
    }
    assert.equal("INVALID", err.code)
    assert.matches(("the port %d was asked for"):format(port), err.message)
    err = e2e.refused { ports = { port }, publish = "podman", policy = {
      network = "bridge", sandbox = function(request, default)
        local decision = default(request)
        decision.network = "none"
        return decision
      end,
    } }
    assert.equal("POLICY", err.code)
    assert.equal(port, err.port)
  end)

  it("has podman publish nothing, and says so where that was optional", function()
    local sb = e2e.start {
      optional = { ports = { net.free_port() } }, publish = "podman",
      policy = { network = "none" },
    }
    assert.same({}, sb:ports())
    assert.matches("port", table.concat(sb:warnings(), "\n"))
    assert(sb:stop())
  end)
end)

describe("the network bridge", function()
  e2e.housekeeping(_ENV)

  local works, complaint = e2e.podman.has_bridge()
  if not works then
    it("that this user cannot have is an error, or a warning and no network", function()
      local options = e2e.options { policy = { network = "bridge" } }
      local sb, err = axo.start(options)
      local text = sb and table.concat(sb:warnings(), "\n")
        or table.concat({ tostring(err), err.hint or "", err.stderr or "" }, "\n")
      assert.truthy(text:find "/dev/net/tun" or text:find "network", text .. complaint)
      if sb then
        assert.same({ "lo" }, interfaces(sb))
        assert.equal("none", sb:network())
        assert(sb:stop())
      end
    end)
    return
  end

  local sb, port
  setup(function()
    port = net.free_port()
    sb = e2e.start {
      ports = { port }, policy = { network = "bridge", provision = e2e.no_provisioning },
    }
    e2e.temp.write(sb:root() .. "/index.html", "the page\n")
    assert(sb:spawn_background { "httpd", "-f", "-p", tostring(port), "-h", sb:root() })
  end)
  teardown(function() sb:stop() end)

  it("has an interface beside lo", function()
    local names = interfaces(sb)
    assert.equal(2, #names)
    assert.matches("^[et]", names[1] == "lo" and names[2] or names[1])
  end)

  it("tells its published ports", function()
    assert.same({ port }, sb:ports())
    assert.equal("bridge", sb:network())
    assert.equal("127.0.0.1", sb:publish_address())
  end)

  it("leaves a port to the session that holds it, which another one is told", function()
    local err = e2e.refused {
      ports = { port }, policy = { network = "bridge", provision = e2e.no_provisioning },
    }
    assert.equal("PORT_CONFLICT", err.class)
    assert.matches(("the session %s holds it (axolua stop %s"):format(sb:id(), sb:id()), err.hint,
      1, true)
  end)

  it("publishes a port on 127.0.0.1", function()
    local page = e2e.eventually(function() return net.get("127.0.0.1", port) end,
      "an answer on the published port")
    assert.matches("the page", page)
  end)

  it("publishes it on no other address of this machine", function()
    e2e.eventually(function() return net.get("127.0.0.1", port) end, "an answer on 127.0.0.1")
    local others = net.own_addresses()
    table.insert(others, "127.0.0.2")
    table.insert(others, "::1")
    assert(#others > 2, "this machine has no address to try")
    for _, address in ipairs(others) do
      assert.is_nil((net.get(address, port)), "reached on " .. address)
    end
  end)

  it("is bound to that address in podman.s own record", function()
    local bindings = e2e.podman.inspect(sb:container()).HostConfig.PortBindings
    local seen = 0
    for _, list in pairs(bindings) do
      for _, binding in ipairs(list) do
        seen = seen + 1
        assert.equal("127.0.0.1", binding.HostIp)
      end
    end
    assert.equal(1, seen)
  end)

  it("is left open to the outside for the container", function()
    local r = assert(sb:exec { "cat", "/proc/net/route" })
    assert.matches("\n%S+%s+00000000", r.stdout)
  end)

end)
