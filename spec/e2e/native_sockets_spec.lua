-- @runs native-root native-user
-- The guest makes sockets of the container's network, which is off; the host does with them what it
-- likes, low ports included, whoever the guest runs as.
local uv = require "luv"
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"

local function made(sb, domain, kind)
  local answer
  assert(sb.way.link:socket(domain, kind, function(err, fd) answer = { err = err, fd = fd } end))
  e2e.eventually(function() return answer end, "no answer to a request for a socket")
  return assert(answer.fd, tostring(answer.err))
end

-- An echo server on a socket of the container's.
local function serve(sb, domain, address, port)
  local server = uv.new_tcp()
  assert(server:open(made(sb, domain, "stream")))
  assert(server:bind(address, port))
  assert(server:listen(8, function()
    local conn = uv.new_tcp()
    server:accept(conn)
    conn:read_start(function(_, bytes)
      if bytes then conn:write(bytes) else conn:close() end
    end)
  end))
  return server
end

local function udp(sb, address, port)
  local socket = uv.new_udp()
  assert(socket:open(made(sb, "inet", "dgram")))
  assert(socket:bind(address, port))
  return socket
end

local function expect_answers(sb)
  local four, six = serve(sb, "inet", "127.0.0.1", 80), serve(sb, "inet6", "::1", 80)
  for _, address in ipairs { "127.0.0.1", "::1" } do
    local r = assert(sb:exec({ "nc", address, "80" }, { stdin = "over " .. address, timeout = 20 }))
    assert.equal("over " .. address, r.stdout, r.stderr)
  end
  four:close()
  six:close()
end

local function expect_datagram(sb)
  local got
  local server, client = udp(sb, "127.0.0.1", 53), udp(sb, "127.0.0.1", 0)
  assert(server:recv_start(function(_, bytes) got = got or bytes end))
  assert(client:send("query", "127.0.0.1", 53))
  e2e.eventually(function() return got end, "no datagram arrived")
  assert.equal("query", got)
  server:close()
  client:close()
end

local function expect_diag(sb)
  local fd = made(sb, "diag")
  assert.matches("^socket:", assert(uv.fs_readlink("/proc/self/fd/" .. fd)))
  assert(uv.fs_close(fd))
end

describe("sockets of a container without a network", function()
  e2e.housekeeping(_ENV)

  for who, changes in pairs {
    root = {}, ["a plain user"] = { policy = { user = "1000:1000" } },
  } do
    it("are the host's to use where the guest is " .. who, function()
      local sb <close> = native.start(changes)
      assert.equal(who == "root" and 0 or 1000, sb.way.link:uid())
      expect_answers(sb)
      expect_datagram(sb)
      expect_diag(sb)
    end)
  end
end)
