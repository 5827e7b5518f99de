-- The entries of `network = { allow = { ... } }`: what each may be, and what it holds.
local address = require "axosandbox.base.text.address"
local allow = require "axosandbox.policy.allow"
local shapes = require "axosandbox.policy.shapes"

local function text_of(text)
  local entry, problem = allow.parse(text)
  return entry and entry.text or "problem: " .. problem
end

describe("an entry of allow", function()
  it("is a name, all beneath one, an address, a block or a list, perhaps with a port", function()
    for _, text in ipairs {
      "api.example.com", "*.example.org", "github.com:22", "*.example.org:8443", "db", "_x.example",
      "xn--bcher-kva.example", "10.1.2.3", "10.1.0.0/16:5432", "[fd00::1]", "[fd00::/8]:5432",
      "@node", "a-b.example:65535",
    } do
      assert.equal(text, text_of(text))
    end
  end)

  it("has one form, however it was written", function()
    for given, form in pairs {
      ["API.Example.COM"] = "api.example.com", ["api.example.com."] = "api.example.com",
      ["*.EXAMPLE.org.:443"] = "*.example.org:443", ["10.1.2.3/16:5432"] = "10.1.0.0/16:5432",
      ["10.0.0.1/32"] = "10.0.0.1", ["[FD00:0:0::1]:80"] = "[fd00::1]:80",
    } do
      assert.equal(form, text_of(given))
    end
    assert.same({ "a.example", "b.example:22" },
      allow.normalise { "A.example", "b.example:22", "a.example." })
  end)

  it("that is mistaken says what is wrong, and shows one that is right", function()
    for given, words in pairs {
      [""] = { "is empty", "api.example.com" },
      ["https://api.example.com/v1"] = { "is a URL", '"api.example.com"' },
      ["http://user@API.example.com:8080"] = { "is a URL", '"api.example.com"' },
      ["*"] = { 'network = "bridge"', "*.example.org" },
      ["*:443"] = { 'network = "bridge"', "*.example.org" },
      ["a.*.example"] = { "a star that is not its first label", "*.example.org" },
      ["*.*.example"] = { "a star", "*.example.org" },
      ["b\xc3\xbccher.example"] = { "is not ASCII", "xn--bcher-kva.example" },
      ["a.example b.example"] = { "more than one word", "api.example.com" },
      ["a.example,b.example"] = { "more than one word", "api.example.com" },
      ["a.example:"] = { "no port after its colon", "db.example.com:5432" },
      ["a.example:0"] = { "no port", "db.example.com:5432" },
      ["a.example:65536"] = { "no port", "db.example.com:5432" },
      ["a.example:https"] = { "no port", "db.example.com:5432" },
      ["fd00::1"] = { "stands in brackets", "[fd00::/8]:5432" },
      ["[fd00::]/8"] = { "outside the brackets", "[fd00::/8]:5432" },
      ["10.0.0.0/0"] = { "is every address", "10.1.0.0/16:5432" },
      ["[fd00::]/0"] = { "outside the brackets", "[fd00::/8]:5432" },
      ["[fd00::/0]"] = { "is every address", "10.1.0.0/16:5432" },
      ["10.0.0.0/33"] = { "no address", "10.1.0.0/16:5432" },
      ["[fd00::g]"] = { "no address", "10.1.0.0/16:5432" },
      ["10.1"] = { "neither a name nor an address", "10.1.0.5:5432" },
      ["0x7f000001"] = { "neither a name nor an address", "10.1.0.5:5432" },
      ["010.1.1.1"] = { "neither a name nor an address", "10.1.0.5:5432" },
      ["localhost"] = { "is the sandbox itself", "api.example.com" },
      ["x.localhost:80"] = { "is the sandbox itself", "api.example.com" },
      ["@Node"] = { "no name of a list", "@node" },
      ["@"] = { "no name of a list", "@node" },
      ["-x.example"] = { "is no name", "api.example.com" },
      ["a..example"] = { "is no name", "api.example.com" },
      ["a/b"] = { "no address", "10.1.0.0/16:5432" },
      [("a"):rep(64) .. ".example"] = { "is no name", "api.example.com" },
      [("a."):rep(127) .. "example"] = { "is too long", "api.example.com" },
    } do
      local entry, problem = allow.parse(given)
      assert.is_nil(entry, given)
      assert.matches(words[1], problem, 1, true)
      assert.matches(words[2], problem, 1, true)
    end
    -- Bytes of whoever wrote it are not passed on to a terminal.
    assert.is_nil(select(2, allow.parse "\27[31mx"):find "\27")
  end)

  it("is checked where policy and a call are", function()
    local check = shapes.fields.network.check
    assert.is_nil(check { allow = { "a.example", "@github" } })
    assert.is_nil(check { allow = {} })
    assert.matches("expected one of bridge, none or", check "host")
    assert.matches('allow: "a b" holds more than one word', check { allow = { "a b" } })
    assert.matches("allow", check {})
    assert.matches("allow%[1%]: expected string", check { allow = { 443 } })
    assert.matches('unknown key "alow"', check { alow = {} })
    assert.matches("2000 are the most", check { allow = setmetatable({}, nil) and
      (function() local t = {} for i = 1, 2001 do t[i] = i .. ".example" end return t end)() })
  end)
end)

describe("a list of entries", function()
  local list = allow.new { "a.example", "*.b.example:22", "c.example:8443", "10.1.0.0/16:5432",
    "0.0.0.0/0:25", "127.0.0.1:8080" }

  local function at(text, port, within)
    return list:address(assert(address.parse(text)), port, within and address.block(within))
  end

  it("holds names, by their ports", function()
    assert.equal("a.example", list:name("a.example", 443))
    assert.equal("a.example", list:name("a.example", 80))
    assert.equal("a.example", list:name("a.example"))
    assert.is_nil(list:name("a.example", 22))
    assert.is_nil(list:name("x.a.example", 443))
    assert.equal("c.example:8443", list:name("c.example", 8443))
    assert.is_nil(list:name("c.example", 443))
    assert.is_nil(list:name("evila.example", 443))
    assert.same({ 443, 80 }, list:ports "a.example")
    assert.same({ 22 }, list:ports "x.y.b.example")
    assert.same({}, list:ports "d.example")
  end)

  it("holds what is beneath a wildcard, and not its name", function()
    assert.equal("*.b.example:22", list:name("x.b.example", 22))
    assert.equal("*.b.example:22", list:name("x.y.b.example", 22))
    assert.is_nil(list:name("b.example", 22))
    assert.is_nil(list:name("xb.example", 22))
    assert.is_nil(list:name("x.b.example", 443))
  end)

  it("holds addresses; special ones only where one of their kind is listed", function()
    assert.equal("10.1.0.0/16:5432", at("10.1.255.1", 5432, "10.0.0.0/8"))
    assert.is_nil(at("10.2.0.1", 5432, "10.0.0.0/8"))
    assert.is_nil(at("10.1.0.1", 443, "10.0.0.0/8"))
    assert.equal("0.0.0.0/0:25", at("1.2.3.4", 25))
    assert.is_nil(at("10.9.9.9", 25, "10.0.0.0/8"))
    assert.is_nil(at("127.0.0.1", 25, "127.0.0.0/8"))
    assert.equal("127.0.0.1:8080", at("127.0.0.1", 8080, "127.0.0.0/8"))
  end)

  it("has something in common with another, or lacks of it", function()
    assert.same({ "a.example:443", "x.b.example:22" }, allow.common(
      { "a.example", "*.b.example:22", "10.1.0.0/16:1" }, { "a.example:443", "x.b.example:22" }))
    assert.same({ "10.1.2.0/24:1" }, allow.common({ "10.1.0.0/16:1" }, { "10.1.2.0/24:1" }))
    assert.same({}, allow.common({ "*.example" }, { "example" }))
    assert.same({ "*.b.example:443" }, allow.common({ "*.example:443" }, { "*.b.example:443" }))
    assert.same({}, allow.common({ "b.example:443" }, { "*.b.example:443" }))
    assert.same({ "a.example:80", "c.example:443", "c.example:80" },
      allow.beyond({ "a.example", "c.example" }, { "a.example:443" }))
    assert.same({}, allow.beyond({ "x.a.example", "@node" }, { "*.example" }))
  end)
end)

describe("an address", function()
  it("is read strictly, and written in one form", function()
    for given, form in pairs {
      ["1.2.3.4"] = "1.2.3.4", ["::"] = "::", ["::1"] = "::1", ["1::"] = "1::",
      ["fe80:0:0:0:1:0:0:1"] = "fe80::1:0:0:1", ["::ffff:10.0.0.1"] = "::ffff:a00:1",
      ["1:2:3:4:5:6:7:8"] = "1:2:3:4:5:6:7:8", ["1:2:3:4:5:6:0:8"] = "1:2:3:4:5:6:0:8",
    } do
      assert.equal(form, address.format(assert(address.parse(given), given)))
    end
    for _, text in ipairs {
      "", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4 ", "0x1.2.3.4", ":", ":::",
      "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "g::", "fe80::1%eth0", "12345::",
      "::1.2.3", "1.2.3.4::", ("1"):rep(100), "1:2:3:4:5:6:7::8",
    } do
      assert.is_nil(address.parse(text), text)
    end
  end)

  it("lies in a block, or does not", function()
    local function is_in(block, text)
      return address.is_in(assert(address.block(block)), assert(address.parse(text)))
    end
    assert.is_true(is_in("10.0.0.0/9", "10.127.255.255"))
    assert.is_false(is_in("10.0.0.0/9", "10.128.0.0"))
    assert.is_true(is_in("0.0.0.0/0", "255.1.1.1"))
    assert.is_false(is_in("0.0.0.0/0", "::1"))
    assert.is_true(is_in("fc00::/7", "fdff::1"))
    assert.is_false(is_in("fc00::/7", "fe00::1"))
    assert.is_nil(address.block "10.0.0.0/33")
    assert.is_nil(address.block "10.0.0.0/")
  end)
end)
