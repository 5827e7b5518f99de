-- A network by names: what the shipped files decide about it, and what is made of their answers.
local lists = require "axosandbox.network.names.lists"
local narrow = require "axosandbox.start.narrow"
local policies = require "spec.support.policies"
local policy = require "axosandbox.policy"
local shapes = require "axosandbox.policy.shapes"
local unmet = require "axosandbox.policy.unmet"

describe("egress.lua", function()
  policies.housekeeping(_ENV)

  local function ask(request) return assert(policies.new():decide("egress", request)) end

  it("allows what is listed, and nothing else", function()
    assert.same({ allow = true }, ask { op = "connect", name = "a", port = 443, listed = "a" })
    assert.same({ allow = true }, ask { op = "resolve", name = "a", listed = "a" })
    local refusal = ask { op = "connect", name = "a", port = 443 }
    assert.is_false(refusal.allow)
    assert.matches("not among the names", refusal.reason)
  end)

  it("lets the program that holds the session add names, unless policy chose them", function()
    assert.same({ allow = true }, ask { op = "allow", name = "a", port = 443, fixed = false })
    assert.is_false(ask { op = "allow", name = "a", port = 443, fixed = true }.allow)
  end)

  it("of an operator's says where it decided, and is held to the shape of an answer", function()
    local set, path = policies.with("egress", [[return function(request, default)
      if request.name == "dial.example" then return { allow = true, dial = "[::1]:8443" } end
      if request.name == "bad.example" then return { allow = true, dial = "localhost" } end
      if request.name == "none.example" then return {} end
      return default(request)
    end]])
    local function decide(name) return set:decide("egress", { op = "connect", name = name }) end
    assert.equal("[::1]:8443", assert(decide "dial.example").dial)
    assert.equal(path .. ":2", set:last "egress")
    assert.is_false(assert(decide "x.example").allow)
    assert.equal(path .. ":5", set:last "egress")
    local _, err = decide "bad.example"
    assert.matches("egress.lua:3: .*is no address", err.message)
    _, err = decide "none.example"
    assert.matches("one of allow, ask and need_command", err.message)
  end)
end)

describe("an address to dial", function()
  it("has perhaps a port", function()
    assert.same({ "127.0.0.1", 8443 }, { shapes.dial "127.0.0.1:8443" })
    assert.same({ "127.0.0.1" }, { shapes.dial "127.0.0.1" })
    assert.same({ "::1", 8443 }, { shapes.dial "[::1]:8443" })
    assert.same({ "::1" }, { shapes.dial "::1" })
    assert.same({ "::1" }, { shapes.dial "[::1]" })
    for _, text in ipairs { "a.example:443", "127.0.0.1:0", "127.0.0.1:65536", "1.2.3.4:x", "" } do
      assert.is_nil(shapes.dial(text), text)
    end
  end)
end)

describe("a list of names.lua", function()
  policies.housekeeping(_ENV)

  it("stands for its names", function()
    local set = policies.with("names", [[return function(request, default)
      if request.list == "node" then return { names = { "Mirror.example.", "x.example:80" } } end
      return default(request)
    end]])
    assert.same({ "a.example", "mirror.example", "x.example:80" },
      lists.expand(set, { "a.example", "@node", "x.example:80" }))
    assert.is_true(#lists.expand(set, { "@github" }) > 4)
  end)

  it("that is empty is an error, which says how it is filled", function()
    for _, name in ipairs { "node", "python", "debian", "alpine", "rust", "go", "nobody" } do
      local ok, err = pcall(lists.expand, policies.new(), { "@" .. name })
      assert.is_false(ok)
      assert.equal("POLICY", err.code)
      assert.matches("the list @" .. name .. " has no names", err.message, 1, true)
      assert.matches("names.lua", err.message, 1, true)
      assert.matches(('request.list == "%s"'):format(name), err.hint, 1, true)
    end
  end)

  it("holds no list, and nothing that is no entry", function()
    for text, words in pairs { ["@go"] = "holds no other list", ["a b"] = "more than one word" } do
      local set = policies.with("names", ("return function() return { names = { %q } } end")
        :format(text))
      local ok, err = pcall(lists.expand, set, { "@node" })
      assert.is_false(ok)
      assert.matches(words, err.message)
    end
  end)
end)

describe("a network by names", function()
  local function narrowed(network, most)
    local sandbox = { network = network, limits = {} }
    narrow.apply(sandbox, { network = most })
    return sandbox.network
  end

  it("is narrowed by a project, and never widened", function()
    local names = { allow = { "a.example", "b.example" } }
    assert.same({ allow = { "a.example:443", "a.example:80" } },
      narrowed(names, { allow = { "a.example", "c.example" } }))
    assert.equal("none", narrowed(names, "none"))
    assert.equal("none", narrowed("none", names))
    assert.equal(names, narrowed("bridge", names))
    assert.same({ allow = {} }, narrowed(names, { allow = {} }))
  end)

  local function told(asked, decided)
    local warnings = {}
    unmet.tell_of_start({
      set = assert(policy.new({ network = asked }, { dirs = {} })),
      warn = function(_, text) warnings[#warnings + 1] = text end,
    }, { network = decided })
    return warnings[1]
  end

  it("that is decided otherwise is told", function()
    assert.is_nil(told({ allow = { "a.example" } }, { allow = { "a.example", "b.example" } }))
    assert.matches("the network without b.example:443 b.example:80$",
      told({ allow = { "a.example", "b.example" } }, { allow = { "a.example" } }))
    assert.matches("network: none instead of a.example$", told({ allow = { "a.example" } }, "none"))
    assert.matches("network: no names instead of bridge$", told("bridge", { allow = {} }))
  end)
end)
