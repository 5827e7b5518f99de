-- @runs native-root
--- What programs that know of no proxy make of a network by names: each gets from an allowed name
--- what it came for, and hears at once, in words of its own, of a name and of a port that are not.
--- AXO_CLIENTS=all has the heavy ones, too; AXO_CLIENTS_TABLE=FILE writes what came of it between
--- that file's two lines `<!-- clients -->`.
local e2e = require "spec.support.e2e"
local clients = require "spec.support.clients"
local clients_table = require "spec.support.clients_table"

local ALLOWED, REFUSED = "ok.example", "evil.example"
local FIXTURES, WORK = "spec/fixtures/clients", "/srv/test"
-- Where what a port of the name leads to listens; fixtures/clients/servers.py has the numbers.
local SERVERS = {
  [22] = 9022, [80] = 9080, [443] = 9443, [587] = 9587, [873] = 9873, [5432] = 9432,
  [6379] = 9379, [9418] = 9418,
}
local ALL = os.getenv "AXO_CLIENTS" == "all"
-- Seconds, for one that hangs.
local TIMEOUT = 60
-- How programs call a name that nobody knows, and a connection that is ended before it began.
local NO_NAME = { "not known", "[Nn]ot resolve", "bad address", "no such host", "ENOTFOUND",
  "Name resolution", "UnresolvedAddress" }
local NO_PORT = { "[Rr]eset by", "[Rr]efused", "ECONNRESET", "errno=104", "[Cc]ouldn't connect",
  "non%-properly terminated", "pull function", "connect attempt failed", "unexpectedly closed",
  "closed the connection", "socket disconnected", "ConnectionReset", "Broken pipe", "EPIPE",
  "SSL_ERROR_SYSCALL", "unexpected eof", "EOF", "Empty reply", "hung up" }

describe("a program that knows of no proxy", function()
  e2e.housekeeping(_ENV)
  local sb, forwards, rows = nil, {}, {}

  local function egress(request, default)
    local verdict = default(request)
    if verdict.allow and request.port then
      verdict.dial = ("127.0.0.1:%d"):format(forwards[request.port])
    end
    return verdict
  end

  local function allow()
    local list = {}
    for port in pairs(SERVERS) do list[#list + 1] = ("%s:%d"):format(ALLOWED, port) end
    return list
  end

  local function env(host, port)
    return { HOST = host, PORT = tostring(port), WORK = WORK, HERE = sb:root() }
  end

  -- The servers are in the session, too: what they listen on is led out to this machine's loopback,
  -- and a name leads there.
  local function serve()
    local made = assert(sb:exec({ "bash", "setup.sh", WORK, ALLOWED, sb:root() },
      { timeout = 300 }))
    assert(made:ok() and made.stdout:find "made\n$", made.stdout .. made.stderr)
    local task = assert(sb:spawn_background { "python3", "servers.py", WORK })
    e2e.eventually(function() return task:log():find "ready" end, "the servers to listen")
    for port, own in pairs(SERVERS) do
      forwards[port] = assert(sb:forward { port = own, host_port = 0 }).host_port
    end
  end

  setup(function()
    local dir = e2e.temp.dir "project"
    e2e.proc.must { "cp", "-R", FIXTURES .. "/.", dir }
    sb = e2e.start { dir = dir, image = e2e.images.tools(ALL and "more" or nil),
      policy = { egress = egress, network = { allow = allow() } } }
    serve()
  end)
  teardown(function()
    if sb then sb:stop() end
    local path = os.getenv "AXO_CLIENTS_TABLE"
    if path then clients_table.write(path, rows) end
  end)

  -- In an empty directory of its own.
  local function run(it, host, port)
    local began = e2e.now()
    local r = assert(sb:exec({ "bash", "-c",
      'cd "$(mktemp -d)" || exit; set -o pipefail; ' .. it.script },
      { env = env(host, port), timeout = TIMEOUT }))
    return r, e2e.now() - began
  end

  -- The line with the first of the words that is found.
  local function line_with(said, expected)
    for _, word in ipairs(expected) do
      for line in said:gmatch "[^\n]+" do
        if line:find(word) then return { text = line, at = line:find(word) } end
      end
    end
  end

  -- Refused by us, heard by the client, and no slower than it got what it was allowed to get.
  local function is_refused(it, host, port, expected, allowed_s)
    local r, seconds = run(it, host, port)
    local said = r.stdout .. r.stderr
    assert.is_nil(r.signal)
    assert.is_nil(r.stdout:find "hello")
    local line = line_with(said, expected)
    if not (it.is_silent and r:ok() and host ~= REFUSED) then
      assert.is_false(r:ok(), said)
      assert(line, ("%s says: %s"):format(it.name, said))
    end
    local denied = assert(r.denied and r.denied[1], "nothing was told as refused: " .. said)
    assert.same({ host, host ~= REFUSED and port or nil }, { denied.name, denied.port })
    assert(seconds <= 3 * allowed_s + 1,
      ("%s took %.2f s, and %.2f s where it is allowed"):format(it.name, seconds, allowed_s))
    return { seconds = seconds, words = line }
  end

  for _, client in ipairs(clients) do
    if ALL or not client.is_heavy then
      it(("%s by %s gets what is allowed, and hears of what is not"):format(client.name,
        client.transport), function()
        local r, seconds = run(client, ALLOWED, client.ports[1])
        assert(r:ok() and r.stdout:find "hello",
          ("%s: %s: %s%s"):format(client.name, r.code or r.signal, r.stdout, r.stderr))
        assert.is_nil(r.denied)
        local name = is_refused(client, REFUSED, client.ports[1], NO_NAME, seconds)
        local port = is_refused(client, ALLOWED, client.ports[2], NO_PORT, seconds)
        rows[#rows + 1] = { client = client, seconds = seconds, name = name, port = port }
      end)
    end
  end
end)
