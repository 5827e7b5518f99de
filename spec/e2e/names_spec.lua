-- @runs native-root native-user
-- A session with a network by names: what it reaches, what it does not, and what is told of that.
local axo = require "axosandbox"
local e2e = require "spec.support.e2e"
local native = require "spec.support.native"
local net = require "spec.support.net"
local uv = require "luv"

-- What differs between the two ways by which names are led out. Where nothing is redirected, what no
-- listener is for is refused by the container's own kernel, and this host does not hear of it: it is
-- not among what was denied. The descriptors are those that a flood may leave open: idle pipes, and
-- of each listener three.
local WAYS = {
  redirect = {
    address = "198%.18%.%d+%.%d+", hears_all = true, listeners = 1, descriptors = 130,
  },
  listeners = {
    address = "127%.64%.%d+%.%d+", hears_all = false, listeners = 128, descriptors = 3 * 128 + 130,
  },
}

local function names_by(how)
  e2e.housekeeping(_ENV)

  local way, chosen = WAYS[how], os.getenv "AXOSANDBOX_NAMES"
  local server, sb, events

  local function egress(request, default)
    if request.name == "ok.example" or request.name:find "%.wild%.example$" then
      local verdict = default(request)
      if verdict.allow then verdict.dial = ("127.0.0.1:%d"):format(server.port) end
      return verdict
    end
    if request.name == "lo.example" then return { allow = true, dial = "127.0.0.1:1" } end
    return default(request)
  end

  setup(function()
    uv.os_setenv("AXOSANDBOX_NAMES", how)
    server = net.serve()
    axo.set_audit(function(event) events[#events + 1] = event end)
    events = {}
    sb = e2e.start { policy = { egress = egress, network = { allow = {
      "ok.example", "OK.example:2222", "*.wild.example:80", "lo.example",
      "localtest.example", "203.0.113.7:81",
    } } } }
  end)

  teardown(function()
    assert(sb:stop())
    axo.set_audit(nil)
    server.close()
    uv.os_setenv("AXOSANDBOX_NAMES", chosen or "")
  end)

  local function sh(command) return assert(sb:exec({ "sh", "-c", command }, { timeout = 300 })) end
  local function get(name, port)
    return sh(("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc %s %d"):format(name, port))
  end

  -- Nobody answered, and who is told of it.
  local function assert_refused(r, name, port)
    assert.equal("", r.stdout)
    if not way.hears_all then return assert.is_nil(r.denied) end
    assert.same({ name = name, port = port }, { name = r.denied[1].name, port = r.denied[1].port })
  end

  local function network_events(name)
    local found = {}
    for _, it in ipairs(events) do
      if it.event == "network" and it.name == name then found[#found + 1] = it end
    end
    return found
  end

  it("is told as such", function()
    assert.equal("names", sb:network())
    assert.same({ "ok.example", "ok.example:2222", "*.wild.example:80", "lo.example",
      "localtest.example", "203.0.113.7:81" }, sb:allowed())
  end)

  it("reaches what is listed, on the ports that are listed", function()
    for _, it in ipairs { { "ok.example", 80 }, { "ok.example", 2222 }, { "OK.EXAMPLE", 80 },
      { "a.wild.example", 80 }, { "a.b.wild.example", 80 } } do
      local r = get(it[1], it[2])
      assert.matches("hello\n$", r.stdout, it[1] .. r.stderr)
      assert.is_nil(r.denied)
    end
  end)

  it("knows a name by one address of its own, and has none of IPv6", function()
    local first, again = sh "nslookup -type=a ok.example", sh "nslookup -type=a ok.example"
    assert.equal(0, first.code)
    assert.equal(first.stdout, again.stdout)
    assert.matches("Name:%s*ok.example\nAddress: " .. way.address, first.stdout)
    assert.equal(0, sh("nslookup -type=aaaa ok.example").code)
    assert.is_nil(sh("nslookup -type=aaaa ok.example").stdout:find "Address: .*:.*:")
  end)

  it("has no more of a name than its address, and refuses nobody who asks", function()
    for _, type in ipairs { "srv", "txt", "mx" } do
      local r = sh(("nslookup -type=%s _https._tcp.ok.example"):format(type))
      assert.is_nil(r.denied, type)
      assert.is_nil((r.stdout .. r.stderr):find "NXDOMAIN", type)
    end
    local r = sh "nslookup -type=srv _https._tcp.evil.example"
    assert.matches("NXDOMAIN", r.stdout .. r.stderr)
    assert.equal("evil.example", r.denied[1].name)
  end)

  it("is enough for the wget of a static busybox", function()
    assert.equal("hello\n", sh("wget -q -O - http://ok.example/").stdout)
    assert.matches("bad address", sh("wget -q -O - http://evil.example/").stderr)
    assert.matches(way.hears_all and "reset" or "refused",
      sh("wget -q -O - http://ok.example:8080/").stderr)
  end)

  it("refuses a name that is not listed, at once", function()
    local before = server.count
    local r = get("evil.example", 80)
    assert.not_equal(0, r.code)
    assert.equal("", r.stdout)
    assert.equal(1, #r.denied)
    assert.equal("evil.example", r.denied[1].name)
    assert.is_nil(r.denied[1].port)
    assert.matches("names_spec.lua:%d+$", r.denied[1].by)
    assert.matches("not among the names", r.denied[1].reason)
    local words = axo.network.words(r.denied[1])
    assert.matches("evil.example was refused by .*names_spec.lua:%d+", words)
    assert.matches("--allow evil.example", words, 1, true)
    assert.equal(before, server.count)
    local event = network_events("evil.example")[1]
    assert.equal("refused", event.verdict)
    assert.same({ "sh", "-c" }, { event.command[1], event.command[2] })
  end)

  it("refuses another port, another label, and the name above a wildcard", function()
    assert_refused(get("ok.example", 8080), "ok.example", 8080)
    for _, name in ipairs { "wild.example", "awild.example", "ok.example.evil.example" } do
      assert.equal(name, get(name, 80).denied[1].name)
    end
  end)

  it("refuses addresses that are dialled directly", function()
    for _, to in ipairs { "1.1.1.1", "169.254.169.254", "10.0.0.1", "192.168.1.1", "203.0.113.7",
      "198.18.200.200", "127.64.200.200" } do
      local is_own = to:find "^127%."
      local r = get(to, 80)
      if is_own then
        assert.equal("", r.stdout)
        assert.is_nil(r.denied)
      else
        assert_refused(r, to, 80)
      end
    end
    -- Whatever name server is asked, it is ours, or none.
    local asked = sh "nslookup -type=a ok.example 1.1.1.1"
    if how == "redirect" then
      assert.matches(way.address, asked.stdout)
    else
      assert.not_equal(0, asked.code)
    end
    assert.not_equal(0, sh("nslookup -type=a evil.example 8.8.8.8").code)
  end)

  it("has no way out but TCP by IPv4", function()
    assert.not_equal(0, sh("echo x | nc -w 1 2606:4700:4700::1111 443").code)
    local before = server.count
    sh(("echo x | nc -u -w 1 1.1.1.1 %d"):format(server.port))
    assert.equal(before, server.count)
    assert.not_equal(0, sh("ip route add default dev lo").code)
    assert.not_equal(0, sh("ip link set lo down").code)
    -- Nor does its own loopback lead here.
    assert.not_equal(0, get("127.0.0.1", server.port).code)
  end)

  it("tells what was refused to a task and to a terminal", function()
    local task = assert(sb:spawn_background "nc task.evil.example 80; sleep 60")
    e2e.eventually(function() return #task:denied() > 0 end)
    assert.equal("task.evil.example", task:denied()[1].name)
    assert(task:stop())
    local term = assert(sb:spawn_pty { "nc", "term.evil.example", "80" })
    assert(term:wait(30))
    assert.equal("term.evil.example", term:denied()[1].name)
    assert.equal(term.id, network_events("term.evil.example")[1].work)
  end)

  it("has each connection in the audit log, with what was passed on", function()
    events = {}
    assert.matches("hello", get("ok.example", 80).stdout)
    e2e.eventually(function() return #network_events "ok.example" > 0 end)
    local event = network_events("ok.example")[1]
    assert.same({ "allowed", 80, "127.0.0.1", #net.REPLY, 18 },
      { event.verdict, event.port, event.address, event.received, event.sent })
    assert.is_number(event.duration)
    assert.matches("names_spec.lua:%d+$", event.by)
  end)

  it("is nothing for who attaches, and is not chosen when it is opened", function()
    local attached <close> = assert(axo.attach(sb:container(), sb:root()))
    local ok, err = attached:allow "a.example"
    assert.is_nil(ok)
    assert.matches("decided where its session is open", err.message)
    assert.is_nil(attached:allowed())
    for _, open in ipairs { function(...) return axo.open(sb:id(), ...) end,
      function(...) return axo.attach(sb:container(), sb:root(), ...) end } do
      assert.has_error(function() open { policy = { network = { allow = { "a.example" } } } } end)
    end
  end)

  it("is not reused where a start would give less", function()
    local function start(network)
      return axo.start(e2e.options { id = sb:id(), dir = sb:root(), reuse = true,
        policy = { network = network } })
    end
    for _, network in ipairs { "none", { allow = {} }, { allow = { "ok.example" } } } do
      local again, err = start(network)
      assert.is_nil(again)
      assert.equal("IN_USE", err.code)
      assert.matches("runs with a network", err.message)
    end
    local list = sb:allowed()
    list[#list + 1] = "more.example:80"
    local again <close> = assert(start { allow = list })
    local warnings = table.concat(again:warnings(), "\n")
    assert.matches("it does not reach more.example:80", warnings, 1, true)
    assert.equal("names", again:network())
  end)

  it("does not start where it could not be had", function()
    local function refusal(network)
      return e2e.refused { policy = { network = { allow = network } } }
    end
    local err = refusal { "@node" }
    assert.equal("POLICY", err.code)
    assert.matches("the list @node has no names", err.message)
    err = native.with_env({ AXOSANDBOX_NAMES = "redirekt" }, function()
      return refusal { "ok.example" }
    end)
    assert.equal("INVALID", err.code)
    assert.matches("neither redirect nor listeners", err.message)
    err = e2e.on_portable(function() return refusal { "ok.example" } end)
    assert.equal("UNSUPPORTED", err.code)
    assert.matches("needs the native path", err.message)
  end)

  it("gets a name more, if egress.lua agrees", function()
    assert.not_equal(0, sh("nslookup -type=a later.example").code)
    assert(sb:allow "Later.example:80")
    assert.equal(0, sh("nslookup -type=a later.example").code)
    assert.equal("later.example:80", sb:allowed()[#sb:allowed()])
    assert.has_error(function() sb:allow "https://later.example" end)
  end)

  it("keeps the ports of its services to itself", function()
    -- The port of 127.0.0.1 that answers names is taken, and cannot be shared.
    assert.same({}, assert(sb:listening()))
    local r = sh "nslookup -type=a evil.example; nslookup -type=a ok.example"
    assert.matches("Address: " .. way.address, r.stdout)
    -- A name service of the container's own is asked by nobody else.
    local task = assert(sb:spawn_background "nc -u -l -p 53")
    assert.matches("Address: " .. way.address, sh("nslookup -type=a ok.example").stdout)
    assert(task:stop())
  end)

  it("survives a flood of connections, of names and of what is no question", function()
    local function count()
      local entries, n = assert(uv.fs_scandir "/proc/self/fd"), 0
      while uv.fs_scandir_next(entries) do n = n + 1 end
      return n
    end
    local there = count()
    local r = sh [[
      i=0; while [ $i -lt 200 ]; do nc ok.example 80 </dev/null & nc 9.9.9.9 80 </dev/null &
        nslookup n$i.evil.example >/dev/null & nslookup n$i.wild.example >/dev/null &
        echo garbage | nc -u -w 1 198.18.0.1 53 & i=$((i+1)); done >/dev/null 2>&1; wait]]
    assert.is_true(#r.denied <= 64)
    assert.matches("hello", get("ok.example", 80).stdout)
    e2e.eventually(function() return next(server.open) == nil and #sb:connections() == 0 end)
    e2e.eventually(function() return count() <= there + way.descriptors end)
    -- Many were asked for at once. A slow machine leaves some of them unanswered: more are asked for.
    local listeners = sb.way.network.server.listeners
    assert.is_true(#listeners <= way.listeners)
    for i = 1, 2 * way.listeners do sh(("nslookup -type=a m%d.wild.example"):format(i)) end
    assert.equal(way.listeners, #listeners)
  end)
end

for _, how in ipairs { "redirect", "listeners" } do
  describe("a network by names, by " .. how, function() names_by(how) end)
end
