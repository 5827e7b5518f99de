-- @runs native-root native-user
local e2e = require "spec.support.e2e"
local net = require "spec.support.net"
local sockets = require "spec.support.sockets"
local support = require "spec.support.cli"

-- Everything here is of one session, which has no network; its servers listen on loopback only.
describe("a forward", function()
  e2e.housekeeping(_ENV)
  local sb

  setup(function()
    sb = e2e.start { policy = { network = "none" } }
    e2e.proc.must { "cc", "-std=gnu11", "-O1", "-static", "-o", sb:root() .. "/listener",
      "spec/support/listener.c" }
  end)
  teardown(function() if sb then sb:stop() end end)

  -- Starts a server of spec/support/listener.c, and waits until it listens.
  local function serve(mode, address, port, count)
    local task = assert(sb:spawn_background { "./listener", mode, address, tostring(port),
      tostring(count or 1) })
    e2e.eventually(function() return task:log():find "ready" end, mode .. " to listen")
    return task
  end

  -- What comes back when `text` is sent and then that half is ended.
  local function ask(port, text)
    local socket, heard = sockets.connect(port, function(socket)
      socket:write(text)
      socket:shutdown()
    end)
    e2e.eventually(function() return heard.ended or heard.err end, "an end")
    if not socket:is_closing() then socket:close() end
    return heard.text(), heard.err
  end

  describe("to a server on loopback", function()
    local forward, task
    setup(function()
      task = serve("echo", "127.0.0.1", 3000)
      forward = assert(sb:forward { port = 3000, host_port = 0 })
    end)
    teardown(function()
      if forward then forward:close() end
      if task then task:stop() end
    end)

    it("brings what is said after the client has ended its half", function()
      assert.equal("127.0.0.1", forward.address)
      assert.equal(("127.0.0.1:%d -> 3000"):format(forward.host_port), tostring(forward))
      assert.same({ forward }, sb:forwards())
      local text, err = ask(forward.host_port, ("x"):rep(300000))
      assert.is_nil(err)
      assert.equal(300005, #text)
      assert.equal(("x"):rep(10) .. "done\n", text:sub(-15))
      e2e.eventually(function() return forward:counts().sent == 300000 end, "the count")
      assert.same({ connections = 1, failed = 0, sent = 300000, received = 300005 },
        forward:counts())
    end)

    it("goes to and fro as long as it is wanted, as a websocket does", function()
      local socket, heard = sockets.connect(forward.host_port)
      for round = 1, 50 do
        socket:write("frame " .. round .. "\n")
        e2e.eventually(function() return heard.text():find("frame " .. round .. "\n", 1, true) end,
          "a frame back")
      end
      socket:close()
    end)

    it("takes 200 connections at once, and leaves nothing of them", function()
      local before, open = sockets.count(), {}
      for i = 1, 200 do
        local socket, heard = sockets.connect(forward.host_port, function(socket)
          socket:write("number " .. i)
        end)
        open[i] = { socket = socket, heard = heard }
      end
      for i, it in ipairs(open) do
        e2e.eventually(function() return it.heard.text() == "number " .. i end, "an echo")
      end
      for _, it in ipairs(open) do it.socket:close() end
      e2e.eventually(function() return sockets.count() <= before + 4 end, "an end to all of them")
    end)
  end)

  it("finds who listens on IPv6 alone, and resets where nobody listens", function()
    local forward <close> = assert(sb:forward { port = 3001, host_port = 0 })
    local _, err = ask(forward.host_port, "early")
    assert.equal("ECONNRESET", err)
    assert.equal(1, forward:counts().failed)
    local task = serve("echo", "::1", 3001)
    assert.equal("late" .. "done\n", (ask(forward.host_port, "late")))
    task:stop()
  end)

  it("says which port it cannot have, and why", function()
    local holder <close> = net.listen "127.0.0.1"
    local forward, err = sb:forward { port = 3002, host_port = holder.port }
    assert.is_nil(forward)
    assert.equal("EADDRINUSE", err.code)
    assert.matches("port " .. holder.port .. " on 127.0.0.1 .*another program", err.message)
    assert.matches("host_port = 0", err.hint)
    forward, err = sb:forward { port = 3002, host_port = 0, address = "localhost" }
    assert.is_nil(forward)
    assert.matches("in digits", err.hint)
    assert.has_error(function() sb:forward { port = 0 } end)
    assert.has_error(function() sb:forward { prot = 3000 } end)
    assert.same({}, sb:forwards())
  end)

  it("is not held up by servers that take nothing", function()
    local tasks = { serve("mute", "127.0.0.1", 3010), serve("deaf", "127.0.0.1", 3011),
      serve("reset", "127.0.0.1", 3012), serve("echo", "127.0.0.1", 3013) }
    local ports, held = {}, {}
    for i = 0, 3 do ports[i] = assert(sb:forward { port = 3010 + i, host_port = 0 }) end
    for _ = 1, 80 do
      for i = 0, 1 do
        held[#held + 1] = sockets.connect(ports[i].host_port, function(socket)
          socket:write(("x"):rep(1000000), function() end)
        end)
      end
    end
    local _, err = ask(ports[2].host_port, "x")
    assert.equal("ECONNRESET", err)
    assert.equal("livedone\n", (ask(ports[3].host_port, "live")))
    assert.equal("0\n", assert(sb:exec { "sh", "-c", "echo 0" }).stdout)
    for _, socket in ipairs(held) do
      if not socket:is_closing() then socket:close() end
    end
    for i = 0, 3 do ports[i]:close() end
    for _, task in ipairs(tasks) do task:stop() end
  end)

  -- ---- what listens ----------------------------------------------------------------------------

  it("can be made of what is told to listen", function()
    local told = {}
    local function is_told(port, is_open)
      for _, it in ipairs(told) do
        if it.port == port and it.is_open == is_open then return it end
      end
    end
    local first = serve("echo", "127.0.0.1", 3020)
    local subscription = assert(sb:on_listen(function(it) told[#told + 1] = it end))
    e2e.eventually(function() return is_told(3020, true) end, "what listens already")
    local second = serve("echo", "0.0.0.0", 3021)
    local it = e2e.eventually(function() return is_told(3021, true) end, "what listens later")
    assert.equal("0.0.0.0", it.address)
    local list = assert(sb:listening())
    assert.same({ 3020, 3021 }, { list[1].port, list[2].port })
    assert.equal("127.0.0.1", list[1].address)
    assert.same({ first.id, second.id }, { list[1].task, list[2].task })
    first:stop()
    e2e.eventually(function() return is_told(3020, false) end, "the end of it")
    subscription:close()
    local count = #told
    second:stop()
    e2e.eventually(function() return #assert(sb:listening()) == 0 end, "nothing to listen")
    assert.equal(count, #told)
  end)

  it("is bounded in what a container with thousands of them can make of it", function()
    local told = 0
    local subscription = assert(sb:on_listen(function() told = told + 1 end))
    local tasks = { serve("many", "127.0.0.1", 10000, 3000), serve("churn", "127.0.0.1", 9000) }
    local list = e2e.eventually(function()
      local list = assert(sb:listening())
      return #list >= 1024 and list
    end, "many of them")
    assert.equal(1024, #list)
    e2e.eventually(function() return told >= 1000 end, "to be told of them")
    subscription:close()
    for _, task in ipairs(tasks) do task:stop() end
  end)

  it("is opened by axolua port, which tells of all, until ^C", function()
    local task = serve("echo", "127.0.0.1", 3030)
    local started = e2e.proc.start({ support.axolua(), "port", sb:id(), "3030:0", "--json" },
      { env = e2e.proc.environment() })
    local port = tonumber(started:wait_for '"host_port":(%d+)')
    assert.equal("hellodone\n", (ask(port, "hello")))
    local shown = support.run { "port", sb:id() }
    assert.matches("3030/tcp +127.0.0.1:" .. port .. " +open\n", shown.stdout)
    local again = support.run { "port", sb:id(), "3030:" .. port }
    assert.equal(125, again.code)
    assert.matches("another program holds it.*3000:0", again.stderr)
    started:kill "sigint"
    assert.equal(130, started:wait().code)
    shown = support.run { "port", sb:id() }
    assert.matches("3030/tcp +%- +listens; axolua port ID PORT forwards it\n", shown.stdout)
    task:stop()
  end)

  it("serves the ports of a start that has no network, and is no port of podman's", function()
    local port, holder = net.free_port(), net.listen "127.0.0.1"
    local err = e2e.refused { ports = { holder.port } }
    assert.equal("PORT_CONFLICT", err.class)
    assert.matches("the port " .. holder.port .. " is in use on 127.0.0.1", err.message)
    local own = e2e.start { ports = { port }, optional = { ports = { holder.port } } }
    assert.same({ port }, own:ports())
    assert.matches("not published: .*" .. holder.port, table.concat(own:warnings(), "\n"))
    assert(own:spawn_background { "httpd", "-f", "-p", "127.0.0.1:" .. port })
    e2e.eventually(function() return net.get("127.0.0.1", port) end, "the server")
    holder:close()
    assert(own:stop())
  end)

  -- ---- the end -----------------------------------------------------------------------------------

  it("ends with its session, and its port is free again", function()
    local other = e2e.start { policy = { network = "none" } }
    local forward = assert(other:forward { port = 3000, host_port = 0 })
    assert(other:stop())
    local holder <close> = net.listen("127.0.0.1", forward.host_port)
    assert.equal(forward.host_port, holder.port)
    local again, err = other:forward { port = 3000, host_port = 0 }
    assert.is_nil(again)
    assert.equal("STOPPED", err.code)
  end)
end)

describe("a forward on the portable path", function()
  e2e.housekeeping(_ENV)

  it("is refused in words", function()
    e2e.on_portable(function()
      local sb = e2e.start { policy = { network = "none" } }
      local refused = e2e.refused { ports = { 3000 } }
      assert.matches("3000 was asked for and cannot be published", refused.message)
      refused = e2e.refused { ports = { 3000 }, publish = "forward" }
      assert.matches("3000 was asked for and cannot be published", refused.message)
      for _, call in ipairs { function() return sb:forward { port = 3000 } end,
        function() return sb:listening() end, function() return sb:on_listen(print) end } do
        local result, err = call()
        assert.is_nil(result)
        assert.equal("UNSUPPORTED", err.code)
        assert.matches("the portable", err.message)
      end
      assert(sb:stop())
    end)
  end)
end)
