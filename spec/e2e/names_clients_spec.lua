-- @runs native-user
-- A network by names, as real programs use it: without any setting for a proxy each reaches the name
-- that is allowed, and is told at once that the other one is not. The programs are this machine's.
local e2e = require "spec.support.e2e"
local net = require "spec.support.net"
local uv = require "luv"

-- What is run, with @ for the name; and what the server must have heard of it, or else it prints
-- what the server says. The server speaks HTTP only: that others are answered nonsense is no matter.
local CLIENTS = {
  { "curl", "curl -sS http://@/" },
  { "curl over TLS", "curl -sS -k https://@/", "\22\3" },
  { "wget", "wget -q -t 1 -O - http://@/" },
  { "bash", "exec 3<>/dev/tcp/@/80; cat /tmp/request >&3; cat <&3" },
  { "openssl", "openssl s_client -connect @:443 </dev/null", "\22\3" },
  { "getent", "getent ahosts @ && getent hosts @ | grep 198.18 && echo hello" },
  { "git over HTTP", "git ls-remote http://@/x", "GET /x/info/refs" },
  { "git over TLS", "git ls-remote https://@/x", "\22\3" },
  { "git", "git ls-remote git://@/x", "git%-upload%-pack" },
  { "ssh", "ssh -l git -o BatchMode=yes -o StrictHostKeyChecking=no @ true", "SSH%-2" },
  { "python3", "python3 -c 'from urllib.request import urlopen as u; "
    .. "print(u(\"http://@/\").read())'" },
  { "python3 asyncio", "python3 -c 'import asyncio\nasync def f():\n"
    .. " r, w = await asyncio.open_connection(\"@\", 80)\n"
    .. " w.write(b\"GET / HTTP/1.0\\r\\n\\r\\n\")\n print(await r.read())\nasyncio.run(f())'" },
  { "perl", "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(\"@:80\") or die $@; "
    .. "print $s \"GET / HTTP/1.0\\r\\n\\r\\n\"; print <$s>'" },
  { "redis-cli", "redis-cli -h @ PING", "PING" },
  { "aria2c", "aria2c -q -d /tmp -o f --allow-overwrite=true http://@/ && cat /tmp/f" },
  { "rsync", "rsync rsync://@/x", "RSYNCD" },
  { "socat", "socat - TCP4:@:80 </tmp/request" },
  { "telnet", "(cat /tmp/request; sleep 1) | telnet @ 80" },
  { "lynx", "lynx -dump http://@/" },
}

describe("a network by names, used by", function()
  e2e.housekeeping(_ENV)

  local server, sb

  setup(function()
    server = net.serve()
    sb = e2e.start {
      image = e2e.images.clients(),
      env = { HOME = "/tmp", LC_ALL = "C", PATH = "/usr/bin:/bin:/usr/sbin" },
      policy = {
        limits = { pids = 1024, memory = "2g" },
        network = { allow = { "ok.example", "ok.example:22", "ok.example:9418",
          "ok.example:6379", "ok.example:873" } },
        egress = function(request, default)
          local verdict = default(request)
          if verdict.allow then verdict.dial = ("127.0.0.1:%d"):format(server.port) end
          return verdict
        end,
      },
    }
    local request = "GET / HTTP/1.0\r\n\r\n"
    assert(assert(sb:exec_stdin({ "sh", "-c", "cat >/tmp/request" }, request)):ok())
  end)

  teardown(function()
    if sb then assert(sb:stop()) end
    server.close()
  end)

  local function run(command, name)
    local line = command:gsub("@", name)
    return assert(sb:exec({ "bash", "-c", line }, { timeout = 120 }))
  end

  local function is_there(program)
    return uv.fs_stat("/usr/bin/" .. program) ~= nil
  end

  local known = 0
  for _, client in ipairs(CLIENTS) do
    local name, command, heard = client[1], client[2], client[3]
    local program = name:match "^[%w-]+"
    if is_there(program) then
      known = known + 1
      it(name, function()
        server.said = ""
        local r = run(command, "ok.example")
        assert.matches(heard or "hello", heard and server.said or r.stdout, nil, nil, r.stderr)
        assert.is_nil(r.denied)
        local before = server.count
        r = run(command, "evil.example")
        assert.not_equal(0, r.code)
        assert.equal("evil.example", (r.denied or { {} })[1].name, r.stderr)
        assert.equal(before, server.count)
      end)
    end
  end

  it("programs of which this machine has some", function() assert.is_true(known >= 5) end)
end)
