local core = require "axosandbox.core"
local plan = require "axosandbox.start.plan"
local temp = require "spec.support.temp"

local profile = temp.lasting_dir() .. "/profile"

local REQUEST = {
  id = "demo", dir = "/project", source = "/real/project", image = "alpine", ports = { 3000, 8080 },
  env = { LANG = "C" }, owner = "1:2:3:4", version = "0.1.0",
}

local function sandbox(changes)
  local decision = {
    network = "bridge", limits = { memory = "2g", cpus = 2, pids = 512 },
    require_resource_limits = false, publish_address = "127.0.0.1", exec = {},
    http_proxy = false, timeouts = { start = 1, pull = 1, stop = 1 }, init = true,
  }
  for key, value in pairs(changes or {}) do decision[key] = value end
  return decision
end

local function new_plan(changes)
  local p = assert(plan.new(REQUEST, sandbox(changes),
    { image = "docker.io/library/alpine:3.20", pull = "missing", fallback = "localhost/base" }))
  p.instance = "abc"
  return p
end

local function spec_of(p)
  return plan.spec(p, {
    podman = "/usr/bin/podman", seccomp = profile, cidfile = "/run/x.cid", pidfile = "/run/x.pid",
    hard_limits = { nofile = 1000, nproc = 2000 },
  })
end

describe("a plan", function()
  it("becomes a podman run that core accepts", function()
    local argv = assert(core.argv.run(spec_of(new_plan())))
    local text = table.concat(argv, "\n")
    assert.matches("axo-ses-demo", text, 1, true)
    assert.matches("127.0.0.1:3000:3000", text, 1, true)
    assert.matches("2147483648", text, 1, true)
  end)

  it("with names has no network of podman's, and a name service of ours", function()
    local p = new_plan { network = { allow = { "a.example" } } }
    assert.equal("none", p.network)
    assert.same({ "a.example" }, p.allow)
    assert.same({}, p.ports)
    local spec = plan.spec(p, {
      podman = "/usr/bin/podman", seccomp = profile,
      network_files = { resolv = "/run/r", hosts = "/run/h" },
    })
    assert.same({
      { source = "/real/project", target = "/project", read_only = false },
      { source = "/run/r", target = "/etc/resolv.conf", read_only = true },
      { source = "/run/h", target = "/etc/hosts", read_only = true },
    }, spec.mounts)
    assert.equal("none", spec.network)
    -- The retry policy cannot make a network of it.
    local changed, problem = plan.apply(p, { network = "bridge" })
    assert.is_nil(changed)
    assert.matches("did not allow", problem)
  end)

  it("mounts what was found at the path that was asked for", function()
    local spec = spec_of(new_plan())
    assert.same({ { source = "/real/project", target = "/project", read_only = false } },
      spec.mounts)
    assert.equal("/project", spec.workdir)
    assert.same({
      LANG = "C", GIT_CONFIG_COUNT = "2", GIT_CONFIG_KEY_0 = "safe.directory",
      GIT_CONFIG_VALUE_0 = "/project", GIT_CONFIG_KEY_1 = "safe.directory",
      GIT_CONFIG_VALUE_1 = "/project/*",
    }, spec.env)
    assert.equal("never", spec.pull)
  end)

  it("labels the container with all that is needed to find it", function()
    local labels = spec_of(new_plan()).labels
    assert.equal("demo", labels["axosandbox.id"])
    assert.equal("/project", labels["axosandbox.dir"])
    assert.equal("1:2:3:4", labels["axosandbox.owner"])
    assert.equal("abc", labels["axosandbox.instance"])
    assert.equal("alpine", labels["axosandbox.image"])
    assert.equal("3000,8080", labels["axosandbox.ports"])
    local read = require("axosandbox.base.naming").parse_labels(labels)
    assert.equal("demo", read.id)
    assert.same({ 3000, 8080 }, read.ports)
    assert.same({ memory = 2147483648, cpus = 2, pids = 512 }, read.limits)
  end)

  it("publishes nothing without a network; on the native way its ports are forwards", function()
    local p = new_plan { network = "none" }
    assert.same({ {}, {} }, { p.ports, p.forwards })
    local function native(network, publish)
      local request = setmetatable({ guest = "/guest", publish = publish }, { __index = REQUEST })
      local made = assert(plan.new(request, sandbox { network = network }, { image = "x" }))
      return { made.ports, made.forwards }
    end
    local both = { 3000, 8080 }
    assert.same({ {}, both }, native("none"))
    assert.same({ {}, both }, native { allow = { "a.example" } })
    assert.same({ both, {} }, native("bridge"))
    assert.same({ {}, both }, native("bridge", "forward"))
    assert.same({ {}, {} }, native("none", "podman"))
    local changed = assert(plan.apply(assert(plan.new(
      setmetatable({ guest = "/guest" }, { __index = REQUEST }), sandbox(), { image = "x" })),
      { network = "none" }))
    assert.same({ {}, both }, { changed.ports, changed.forwards })
  end)

  it("has no limit where the decision says false", function()
    local spec = spec_of(new_plan { limits = { memory = false, cpus = 0.5 } })
    assert.is_nil(spec.memory)
    assert.is_nil(spec.pids)
    assert.equal(0.5, spec.cpus)
  end)

  it("with a size that is none has a problem", function()
    local p, problem = plan.new(REQUEST, sandbox { limits = { memory = "lots" } }, { image = "x" })
    assert.is_nil(p)
    assert.matches("memory", problem)
  end)
end)

describe("a change", function()
  it("leaves the first plan as it was", function()
    local p = new_plan()
    local changed = assert(plan.apply(p, { drop_limits = true, drop_ports = { 3000 } }))
    assert.same({ 3000, 8080 }, p.ports)
    assert.is_false(p.drop_limits)
    assert.same({ 8080 }, changed.ports)
    assert.is_true(changed.drop_limits)
    assert.is_nil(spec_of(changed).memory)
  end)

  it("drops that port, or all", function()
    local p = new_plan()
    assert.same({ 3000 }, assert(plan.apply(p, { drop_ports = { 8080, 9 } })).ports)
    assert.same({}, assert(plan.apply(p, { drop_ports = "all" })).ports)
  end)

  it("of ulimits states the hard limits of this process", function()
    local spec = spec_of(assert(plan.apply(new_plan(), { ulimits = "host" })))
    assert.same({
      { name = "nofile", soft = 1000, hard = 1000 }, { name = "nproc", soft = 2000, hard = 2000 },
    }, spec.ulimits)
  end)

  it("takes another runtime, image, and no init", function()
    local changed = assert(plan.apply(new_plan(),
      { runtime = "runc", image = "localhost/base", init = false }))
    local spec = spec_of(changed)
    assert.equal("runc", spec.runtime)
    assert.equal("localhost/base", spec.image)
    assert.is_false(spec.init)
  end)

  it("never drops limits that are required", function()
    local changed, problem =
      plan.apply(new_plan { require_resource_limits = true }, { drop_limits = true })
    assert.is_nil(changed)
    assert.matches("required", problem)
  end)

  it("never gives a network to a session that was to have none", function()
    local changed, problem = plan.apply(new_plan { network = "none" }, { network = "bridge" })
    assert.is_nil(changed)
    assert.matches("bridge", problem)
    changed = assert(plan.apply(new_plan(), { network = "none" }))
    assert.equal("none", changed.network)
    assert.same({}, changed.ports)
  end)

  it("is told in words", function()
    local p = new_plan()
    assert.is_nil(plan.difference(p, assert(plan.apply(p, {}))))
    local text = plan.difference(p, assert(plan.apply(p,
      { drop_limits = true, drop_ports = { 8080 }, runtime = "runc" })))
    assert.matches("limits", text)
    assert.matches("8080", text)
    assert.matches("runc", text)
    assert.is_nil(text:find("3000", 1, true))
  end)
end)

describe("what is worth remembering", function()
  it("costs nothing, or was given up", function()
    local first = new_plan()
    local last = assert(plan.apply(first,
      { runtime = "runc", ulimits = "host", firewall = "iptables", network = "none",
        init = false }))
    assert.same({ runtime = "runc", ulimits = "host", firewall = "iptables" },
      plan.adaptations(last))
    assert.same({ network = "none", init = false }, plan.concessions(last, first))
    assert.same({}, plan.concessions(last, last))
  end)
end)
