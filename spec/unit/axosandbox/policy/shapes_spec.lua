local core = require "axosandbox.core"
local plain = require "axosandbox.policy.plain"
local shapes = require "axosandbox.policy.shapes"

describe("a size", function()
  it("is read in the ways that people write it", function()
    local cases = {
      [512] = 512, ["512"] = 512, ["1b"] = 1, ["1k"] = 1024, ["1K"] = 1024, ["512m"] = 536870912,
      ["2g"] = 2147483648, ["2G"] = 2147483648, ["2GB"] = 2147483648, ["2gib"] = 2147483648,
      ["1.5g"] = 1610612736, ["1t"] = 1099511627776, [" 2 g "] = 2147483648, [1e9] = 1000000000,
    }
    for text, bytes in pairs(cases) do
      assert.equal(bytes, shapes.bytes(text), tostring(text))
      assert.equal("integer", math.type((shapes.bytes(text))))
    end
  end)

  it("is refused when it is none", function()
    for _, bad in ipairs {
      "", "lots", "2x", "-1", "-2g", "2g2", "1,5g", "0x10", "2 g b", "1e9", "g", "ib", "5i",
      0, -1, 0 / 0, math.huge, 2 ^ 60, "9999999t", {}, true, print,
    } do
      local bytes, problem = shapes.bytes(bad)
      assert.is_nil(bytes, tostring(bad))
      assert.is_string(problem)
    end
    assert.is_nil((shapes.bytes(nil)))
  end)
end)

describe("plain data", function()
  it("is copied deeply", function()
    local inner = { 1, 2 }
    local value = { a = inner, b = inner, c = "x", d = false, [1] = 1.5 }
    local copy = plain.copy(value)
    assert.same(value, copy)
    assert.are_not.equal(value, copy)
    assert.are_not.equal(inner, copy.a)
    assert.equal("x", plain.copy "x")
    assert.is_nil((plain.copy(nil)))
    assert.is_false(plain.copy(false))
  end)

  it("loses metatables, and no metamethod is called", function()
    local value = setmetatable({ a = 1 }, {
      __index = function() error "called" end, __pairs = function() error "called" end,
    })
    local copy = plain.copy(value)
    assert.same({ a = 1 }, copy)
    assert.is_nil(getmetatable(copy))
  end)

  it("holds nothing else", function()
    local cycle = {}
    cycle.next = cycle
    local deep = {}
    for _ = 1, 20 do deep = { deep } end
    for pattern, value in pairs {
      ["a function at the key \"f\""] = { f = print },
      ["a thread"] = { { coroutine.create(print) } },
      ["a userdata"] = { io.stdout },
      ["a key of type boolean"] = { [true] = 1 },
      ["in a cycle"] = cycle,
      ["deeper than 16"] = deep,
    } do
      local copy, problem = plain.copy(value)
      assert.is_nil(copy)
      assert.matches(pattern, problem)
    end
    assert.equal("a function", select(2, plain.copy(print)))
  end)

  it("has an end", function()
    local many = {}
    for i = 1, plain.MAX_VALUES + 1 do many[i] = true end
    assert.matches("more than 200000 values", select(2, plain.copy(many)))
  end)
end)

describe("a copy of words", function()
  it("is another table of the same strings", function()
    local given = { "a", "", "c" }
    local copy = core.words(given)
    assert.same(given, copy)
    assert.are_not.equal(given, copy)
    assert.same({}, core.words {})
  end)

  it("is not made of anything else", function()
    for _, value in pairs {
      "a", 1, { 1 }, { "a", true }, { "a", nil, "c" }, { "a", key = "b" }, { [0] = "a" },
      { [2] = "a" }, { { "a" } }, setmetatable({ "a" }, {}),
    } do
      assert.is_nil(core.words(value))
    end
    assert.is_nil(core.words(nil))
  end)
end)

describe("the shape of a decision", function()
  local function sandbox(changes)
    local decision = {
      network = "bridge", limits = { memory = "2g", cpus = 2, pids = 512 },
      require_resource_limits = false, publish_address = "127.0.0.1", exec = {},
      http_proxy = false, timeouts = { start = 60, pull = 60, stop = 5 }, init = true,
    }
    for key, value in pairs(changes or {}) do decision[key] = value end
    return shapes.check("sandbox", nil, decision)
  end

  it("of sandbox.lua", function()
    assert.is_nil(sandbox())
    assert.is_nil(sandbox { user = "1000:1000", limits = { memory = false, pids = false } })
    assert.is_nil(sandbox { limits = {} })
    assert.matches("network: expected one of bridge, none", sandbox { network = "host" })
    assert.matches("limits.memory: expected a size", sandbox { limits = { memory = "2x" } })
    assert.matches("publish_address", sandbox { publish_address = "*" })
    assert.matches('user: must not begin with "%-"', sandbox { user = "-u" })
    assert.matches('unknown key "privileged"', sandbox { privileged = true })
    assert.matches("timeouts: the key \"pull\" is required", sandbox {
      timeouts = { start = 1, stop = 1 } })
    assert.matches("above the maximum", sandbox { timeouts = { start = 1e12, stop = 1, pull = 1 } })
    assert.matches("is required", shapes.check("sandbox", nil, { network = "none" }))
  end)

  it("of a refusal: it needs nothing else, but a reason", function()
    assert.is_nil(shapes.check("sandbox", nil, { deny = "closed" }))
    assert.is_nil(shapes.check("image_trust", nil, { deny = "closed", image = "x" }))
    assert.matches("deny: expected string", shapes.check("sandbox", nil, { deny = true }))
    assert.matches("must not be empty", shapes.check("sandbox", nil, { deny = "" }))
    assert.matches("unknown key", shapes.check("sandbox", nil, { deny = "x", dney = "x" }))
    assert.matches("unknown key", shapes.check("exec", nil, { deny = "x" }))
  end)

  it("of image_trust.lua", function()
    assert.is_nil(shapes.check("image_trust", nil, { image = "a", pull = "never", fallback = "b" }))
    assert.matches('image: must not begin with "%-"',
      shapes.check("image_trust", nil, { image = "--privileged", pull = "never" }))
    assert.matches("pull: expected one of",
      shapes.check("image_trust", nil, { image = "a", pull = "always" }))
  end)

  it("of post_create.lua and provision.lua", function()
    assert.is_nil(shapes.check("post_create", nil,
      { run = true, commands = { "x" }, timeout = 5, on_failure = "warn" }))
    assert.matches("commands%[1%]: expected string", shapes.check("post_create", nil,
      { run = true, commands = { {} }, timeout = 5, on_failure = "warn" }))
    local decision = { run = true, commands = { "x" }, timeout = 5, cache = true }
    assert.matches("a result that is cached needs a key", shapes.check("provision", nil, decision))
    decision.key = "Upper"
    assert.matches("provision decision.key: expected", shapes.check("provision", nil, decision))
    decision.key = "alpine-1"
    assert.is_nil(shapes.check("provision", nil, decision))
  end)

  it("of retry.lua, which depends on what is asked", function()
    local classify, retry = "classify", "retry"
    assert.is_nil(shapes.check("retry", classify, { class = "PORT_CONFLICT", port = 80 }))
    assert.matches("class: expected a name", shapes.check("retry", classify, { class = "port" }))
    assert.matches("port: 70000 is above", shapes.check("retry", classify,
      { class = "PORT_CONFLICT", port = 70000 }))
    assert.matches('unknown key "class"', shapes.check("retry", retry, { class = "X" }))
    assert.matches('the key "action" is required', shapes.check("retry", retry, {}))
    assert.is_nil(shapes.check("retry", retry, { action = "give_up", hint = "x" }))
    assert.is_nil(shapes.check("retry", retry, { action = "retry", changes = {
      drop_limits = true, ulimits = "host", runtime = "runc", drop_ports = { 80 },
      remove_stale = true, pull = true, image = "x", init = false, network = "none", wait = 1,
    } }))
    assert.is_nil(shapes.check("retry", retry,
      { action = "retry", changes = { drop_ports = "all" } }))
    for _, changes in ipairs {
      { drop_ports = "some" }, { drop_ports = { "80" } }, { drop_ports = { 0 } },
      { ulimits = "none" }, { runtime = "-x" }, { network = "host" }, { wait = 1e6 },
      { privileged = true }, {},
    } do
      assert.is_string(shapes.check("retry", retry, { action = "retry", changes = changes }))
    end
    assert.matches("must change something", shapes.check("retry", retry, { action = "retry" }))
  end)
end)
