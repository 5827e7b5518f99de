-- @runs native-root native-user
-- What a container without a network sends out comes to two sockets of its host, whoever runs in
-- there, and nobody in there can change it.
local uv = require "luv"
local core = require "axosandbox.core"
local e2e = require "spec.support.e2e"
local host = require "axosandbox.host"
local native = require "spec.support.native"
local netns = require "axosandbox.network.netns"

local function made(sb, kind)
  local answer
  assert(sb.way.link:socket("inet", kind, function(err, fd) answer = { err = err, fd = fd } end))
  e2e.eventually(function() return answer end, "no answer to a request for a socket")
  return assert(answer.fd, tostring(answer.err))
end

-- Keeps where each connection was meant to go.
local function listener(sb)
  local fd, dialled = made(sb, "stream"), {}
  local port = assert(core.net.bind(fd, "127.0.0.1", 0))
  local self = assert(core.net.listener(fd, { on_connection = function(conn)
    dialled[#dialled + 1] = ("%s:%d"):format(conn:destination())
    conn:close()
  end }))
  return self, port, dialled
end

-- Keeps the questions, and answers each that there is no such name.
local function resolver(sb)
  local fd, asked = made(sb, "dgram"), {}
  local port = assert(core.net.bind(fd, "127.0.0.1", 0))
  local socket = uv.new_udp()
  assert(socket:open(fd))
  assert(socket:recv_start(function(_, query, from)
    if not query then return end
    asked[#asked + 1] = query
    socket:send(query:sub(1, 2) .. "\x81\x83" .. query:sub(5), from.ip, from.port)
  end))
  return socket, port, asked
end

local function redirect(sb, tcp_port, dns_port)
  local pid = sb.record.pid
  return netns.redirect(pid, host.identity(pid):match "^%d+:(%d+):", tcp_port, dns_port)
end

local function dial(sb, address, port)
  return assert(sb:exec({ "nc", address, port }, { timeout = 20 }))
end

local function expect_own_servers(sb)
  local script = [[
    nc -l -p $1 -e echo own >/dev/null & sleep 0
    until nc 127.0.0.1 $1 2>/dev/null; do :; done]]
  for _, port in ipairs { "8443", sb.way.link:uid() == 0 and "443" or nil } do
    local r = assert(sb:exec({ "sh", "-c", script, "sh", port }, { timeout = 20 }))
    assert.equal("own\n", r.stdout, r.stderr)
  end
end

-- Not even where it has every capability, in a user namespace of its own.
local function expect_no_undoing(sb, before)
  for _, what in ipairs {
    "route del local 0.0.0.0/0 dev lo table local", "addr del 198.18.0.1/32 dev lo",
    "link set lo down", "route add 1.2.3.0/24 dev lo",
  } do
    local r = assert(sb:exec({ "sh", "-c", before .. "ip " .. what }, { timeout = 20 }))
    assert.is_true(r.code ~= 0)
    assert.matches("ip: .*not permitted", r.stderr)
  end
end

local function expect_no_other_listener(sb, port)
  local r = assert(sb:exec({ "nc", "-l", "-p", tostring(port) }, { timeout = 20 }))
  assert.is_true(r.code ~= 0)
  assert.matches("in use", r.stderr)
end

local HOSTILE = {
  root = { policy = {}, before = "" },
  ["a plain user"] = {
    policy = { user = "1000:1000", nested_namespaces = true }, before = "unshare -r ",
  },
}

describe("a redirected network", function()
  e2e.housekeeping(_ENV)

  for who, by in pairs(HOSTILE) do
    it("leads what is sent out to its host where the container runs as " .. who, function()
      local sb <close> = native.start { policy = by.policy }
      local tcp, tcp_port, dialled = listener(sb)
      local dns, dns_port, asked = resolver(sb)
      assert(redirect(sb, tcp_port, dns_port))
      for _, address in ipairs { "1.2.3.4", "198.18.0.2", "169.254.169.254" } do
        dial(sb, address, "80")
      end
      assert.same({ "1.2.3.4:80", "198.18.0.2:80", "169.254.169.254:80" }, dialled)
      assert(sb:exec({ "nslookup", "name.example", "1.1.1.1" }, { timeout = 20 }))
      assert.matches("\4name\7example\0", asked[1])
      expect_own_servers(sb)
      expect_no_undoing(sb, by.before)
      expect_no_other_listener(sb, tcp_port)
      dial(sb, "1.2.3.4", "443")
      assert.equal("1.2.3.4:443", dialled[#dialled])
      tcp:close()
      dns:close()
    end)
  end
end)
