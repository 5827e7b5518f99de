-- @runs native-root native-user
-- What a container without a network sends out comes to two sockets of its host, whoever runs in
-- there, and nobody in there can change it.
local uv = require "luv"
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

-- Says to each connection where it was dialled: what is sent there comes from that very address.
local function listener(sb)
  local server = uv.new_tcp()
  assert(server:open(made(sb, "stream")))
  assert(server:bind("127.0.0.1", 0))
  assert(server:listen(8, function()
    local conn = uv.new_tcp()
    server:accept(conn)
    conn:write(conn:getpeername().ip .. "\n", function() conn:close() end)
  end))
  return server
end

-- Keeps the questions, and answers each that there is no such name.
local function resolver(sb)
  local socket, asked = uv.new_udp(), {}
  assert(socket:open(made(sb, "dgram")))
  assert(socket:bind("127.0.0.1", 0))
  assert(socket:recv_start(function(_, query, from)
    if not query then return end
    asked[#asked + 1] = query
    socket:send(query:sub(1, 2) .. "\x81\x83" .. query:sub(5), from.ip, from.port)
  end))
  return socket, asked
end

local function redirect(sb, tcp, dns)
  local pid = sb.record.pid
  local start = host.identity(pid):match "^%d+:(%d+):"
  return netns.redirect(pid, start, tcp:getsockname().port, dns:getsockname().port)
end

local function dialled(sb, address, port)
  local r = assert(sb:exec({ "nc", address, port }, { timeout = 20 }))
  return r.stdout
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

local function expect_no_undoing(sb)
  for _, what in ipairs {
    "route del local 0.0.0.0/0 dev lo table local", "addr del 198.18.0.1/32 dev lo",
    "link set lo down", "route add 1.2.3.0/24 dev lo",
  } do
    local r = assert(sb:exec({ "sh", "-c", "ip " .. what }, { timeout = 20 }))
    assert.is_true(r.code ~= 0)
    assert.matches("not permitted", r.stderr)
  end
end

describe("a redirected network", function()
  e2e.housekeeping(_ENV)

  for who, policy in pairs { root = {}, ["a plain user"] = { user = "1000:1000" } } do
    it("leads what is sent out to its host where the container runs as " .. who, function()
      local sb <close> = native.start { policy = policy }
      local tcp = listener(sb)
      local dns, asked = resolver(sb)
      assert(redirect(sb, tcp, dns))
      for _, address in ipairs { "1.2.3.4", "198.18.0.2", "169.254.169.254" } do
        assert.equal(address .. "\n", dialled(sb, address, "80"))
      end
      assert(sb:exec({ "nslookup", "name.example", "1.1.1.1" }, { timeout = 20 }))
      assert.matches("\4name\7example\0", asked[1])
      expect_own_servers(sb)
      expect_no_undoing(sb)
      assert.equal("1.2.3.4\n", dialled(sb, "1.2.3.4", "443"))
      tcp:close()
      dns:close()
    end)
  end
end)
