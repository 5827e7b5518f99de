-- Who keeps listeners and connections alive, and what is left of them after their end.
local core = require "axosandbox.core"
local sockets = require "spec.support.sockets"
local unit = require "spec.support.unit"
local uv = require "luv"

local function nop() end

describe("a listener and its connections", function()
  local server, server_port, clients

  local function open(on_connection)
    local fd, port = assert(core.net.listen("127.0.0.1", 0))
    return assert(core.net.listener(fd, { on_connection = on_connection })), port
  end

  local function connect(port, on_open)
    local client, heard = sockets.connect(port, on_open)
    clients[#clients + 1] = client
    return client, heard
  end

  local function dial(conn, on_open, on_close)
    local to = { address = "127.0.0.1", port = server_port }
    return assert(conn:dial(to, on_open or nop, on_close))
  end

  before_each(function()
    clients = {}
    server, server_port = sockets.echo()
  end)
  after_each(function()
    for _, client in ipairs(clients) do
      if not client:is_closing() then client:close() end
    end
    server:close()
    uv.run()
  end)

  it("reset a connection that nobody holds", function()
    local came
    local listener, port = open(function() came = true end)
    local _, heard = connect(port)
    unit.wait(function() return came end)
    unit.collect()
    unit.wait(function() return heard.err end)
    assert.equal("ECONNRESET", heard.err)
    assert.equal(0, listener:counts().connections)
    listener:close()
  end)

  it("are closed when nobody holds them", function()
    local before = sockets.count()
    local held
    do
      local _, port = open(function(conn) held = conn end)
      connect(port)
      unit.wait(function() return held end)
    end
    held = nil
    unit.collect()
    clients[1]:close()
    uv.run "nowait"
    unit.collect()
    assert.equal(before, sockets.count())
  end)

  it("stay while a connection is passed on, and go after it", function()
    local weak = setmetatable({}, { __mode = "k" })
    local opened, client, heard
    do
      local listener, port = open(function(conn)
        weak[conn] = true
        dial(conn, function() opened = true end)
      end)
      weak[listener] = true
      client, heard = connect(port)
    end
    unit.wait(function()
      if not opened then return false end
      unit.collect()
      return true
    end)
    client:write "still there"
    unit.wait(function() return heard.text() == "still there" end)
    client:shutdown()
    unit.wait(function() return heard.ended end)
    unit.collect()
    assert.is_nil(next(weak))
  end)

  it("let go of everything at the end, however that comes", function()
    local weak = setmetatable({}, { __mode = "k" })
    local ends = {
      function(conn) conn:close() end,
      function(conn) conn:reset() end,
      function(_, listener) listener:close() end,
    }
    for _, finish in ipairs(ends) do
      local conn, marker = nil, {}
      weak[marker] = true
      local listener, port = open(function(c) conn = c end)
      local _, heard = connect(port)
      unit.wait(function() return conn end)
      assert(conn:hello(60, function() return marker end))
      finish(conn, listener)
      unit.wait(function() return heard.ended or heard.err end)
      conn = nil
      local opened
      if finish ~= ends[3] then
        connect(port)
        unit.wait(function() return conn end)
        dial(conn, function() opened = marker end, function() return marker end)
        unit.wait(function() return opened end)
        finish(conn, listener)
      end
      listener:close()
    end
    unit.collect()
    assert.is_nil(next(weak))
  end)

  it("keep the loop running only while somebody waits for them", function()
    local conn, said
    local listener, port = open(function(c) conn = c end)
    local client = connect(port)
    unit.wait(function() return conn end)
    client:read_stop()
    server:unref()
    assert(conn:hello(0.02, function(err) said = err end))
    uv.run()
    assert.equal("ETIMEDOUT", said.code)
    local fd, to = assert(core.net.listen("127.0.0.1", 0))
    assert(conn:dial({ address = "127.0.0.1", port = to }, function() said = "open" end))
    uv.run()
    assert.equal("open", said)
    assert.equal(1, listener:counts().connections)
    listener:close()
    uv.fs_close(fd)
  end)

  it("can be ended in each of their callbacks", function()
    local function finish(conn, listener)
      conn:reset()
      listener:close()
      conn:close()
      listener:close()
    end
    local stages = {
      function(conn, listener) finish(conn, listener) end,
      function(conn, listener) conn:hello(0.001, function() finish(conn, listener) end) end,
      function(conn, listener) dial(conn, function() finish(conn, listener) end) end,
      function(conn, listener)
        dial(conn, nop, function(result)
          assert.is_nil(result.err)
          finish(conn, listener)
        end)
      end,
    }
    for _, stage in ipairs(stages) do
      local listener, port
      listener, port = open(function(conn) stage(conn, listener) end)
      local _, heard = connect(port, function(c)
        if stage == stages[4] then c:shutdown() end
      end)
      unit.wait(function() return heard.err or heard.ended end)
      assert.equal(0, listener:counts().connections)
      unit.collect()
    end
  end)

  it("say that it is over, and how much there was", function()
    local conn, closed
    local listener, port = open(function(c)
      conn = c
      dial(c, nil, function() closed = true end)
    end)
    connect(port, function(c)
      c:write "12345"
      c:shutdown()
    end)
    unit.wait(function() return closed end)
    for _, call in ipairs {
      function() return conn:destination() end,
      function() return conn:peer() end,
      function() return conn:hello(1, nop) end,
      function() return conn:dial({ address = "127.0.0.1", port = 1 }, nop) end,
    } do
      local ok, err = call()
      assert.is_nil(ok)
      assert.equal("ENOTCONN", err.code)
    end
    assert.same({ 5, 5 }, { conn:traffic() })
    conn:close()
    conn:reset()
    assert.equal("axo.net_conn (ended)", tostring(conn))
    assert.equal("axo.net_listener (open)", tostring(listener))
    listener:close()
    assert.same({ connections = 0, pipes = 0, wakes = 0 }, listener:counts())
  end)

  it("take one question at a time", function()
    local conn
    local listener, port = open(function(c) conn = c end)
    connect(port)
    unit.wait(function() return conn end)
    assert(conn:hello(60, nop))
    for _, call in ipairs {
      function() return conn:hello(1, nop) end,
      function() return conn:dial({ address = "127.0.0.1", port = 1 }, nop) end,
    } do
      local ok, err = call()
      assert.is_nil(ok)
      assert.equal("EBUSY", err.code)
    end
    listener:close()
  end)

  it("close a socket that was given for nothing", function()
    local conn
    local listener, port = open(function(c) conn = c end)
    connect(port)
    unit.wait(function() return conn end)
    conn:close()
    uv.run "nowait"
    local before = sockets.count()
    for _, options in ipairs {
      { address = "127.0.0.1", port = 1 }, { address = "no address", port = 1 },
    } do
      options.fd = assert(core.net.listen("127.0.0.1", 0))
      assert.is_nil((conn:dial(options, nop)))
      assert.equal(before, sockets.count())
    end
    listener:close()
  end)

  it("report what a callback raises, and go on", function()
    local function raise() error "from the callback" end
    local listener, port, conn, closed
    local stage = raise
    listener, port = open(function(c)
      conn = c
      stage(c)
    end)
    local function one(next_stage, wait)
      stage = next_stage
      closed = nil
      return unit.uncaught(function()
        local client = connect(port, function(c)
          c:write "x"
          c:shutdown()
        end)
        unit.wait(wait)
        conn:reset()
        client:close()
        uv.run "nowait"
      end)
    end
    for name, messages in pairs {
      on_connection = one(raise, function() return conn end),
      hello = one(function(c)
        c:hello(60, function()
          closed = true
          raise()
        end)
      end, function() return closed end),
      on_open = one(function(c)
        dial(c, raise, function() closed = true end)
      end, function() return closed end),
      on_close = one(function(c)
        dial(c, nop, function()
          closed = true
          raise()
        end)
      end, function() return closed end),
    } do
      assert.equal(1, #messages, name)
      assert.truthy(messages[1]:find("from the callback", 1, true), name)
    end
    assert.equal(0, listener:counts().connections)
    listener:close()
  end)
end)

describe("the end of a Lua state", function()
  local CODE = [[
    local core, uv = require "axosandbox.core", require "luv"
    local function nop() end
    local fd, port = assert(core.net.listen("127.0.0.1", 0))
    local to_fd, to = assert(core.net.listen("127.0.0.1", 0))
    local reached
    LISTENER = assert(core.net.listener(fd, { on_connection = function(conn)
      CONN = conn
      if stage == "hello" then conn:hello(60, nop) end
      if stage == "open" then
        conn:dial({ address = "127.0.0.1", port = to }, function() reached = true end, nop)
      else
        reached = true
      end
    end }))
    CLIENT = uv.new_tcp()
    CLIENT:connect("127.0.0.1", port, nop)
    while not reached do uv.run "once" end
    print "reached"
  ]]

  for _, stage in ipairs { "held", "hello", "open" } do
    it("closes one that is " .. stage, function()
      local r = unit.lua(("local stage = %q "):format(stage) .. CODE)
      assert.equal("reached\n", r.stdout)
      assert.equal("", r.stderr)
      assert.equal(0, r.code)
    end)
  end
end)
