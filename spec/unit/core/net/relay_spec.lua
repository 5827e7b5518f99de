-- Connections that are taken in and passed on.
local core = require "axosandbox.core"
local sockets = require "spec.support.sockets"
local unit = require "spec.support.unit"
local uv = require "luv"

describe("core.net.listener", function()
  local server, listener, port, server_port

  local function open(on_connection, options)
    local fd
    fd, port = assert(core.net.listen("127.0.0.1", 0))
    options = options or {}
    options.on_connection = on_connection
    listener = assert(core.net.listener(fd, options))
  end

  local function close(handle)
    if handle and not handle:is_closing() then handle:close() end
  end

  before_each(function() server, server_port = sockets.echo() end)
  after_each(function()
    close(server)
    listener:close()
    uv.run()
  end)

  it("passes on what both ends say, and says how much it was", function()
    local opened, result
    open(function(conn)
      assert(conn:dial({ address = "127.0.0.1", port = server_port },
        function(err) opened = err or true end, function(r) result = r end))
    end)
    local client, heard = sockets.connect(port, function(c)
      c:write "to be "
      c:write "said again"
      c:shutdown()
    end)
    unit.wait(function() return heard.ended and result end)
    assert.is_true(opened)
    assert.equal("to be said again", heard.text())
    assert.equal(16, result.sent)
    assert.equal(16, result.received)
    assert.equal("float", math.type(result.duration))
    assert.is_nil(result.err)
    assert.equal(0, listener:counts().connections)
    client:close()
  end)

  it("says where a connection comes from, and where to", function()
    local from, to
    open(function(conn)
      to = { conn:destination() }
      from = { conn:peer() }
      conn:close()
    end)
    local client, heard = sockets.connect(port)
    unit.wait(function() return heard.ended end)
    assert.same({ "127.0.0.1", port }, to)
    assert.same({ "127.0.0.1", client:getsockname().port }, from)
    client:close()
  end)

  it("can be told another place when the first is not there", function()
    local why, closed
    local fd, free = assert(core.net.listen("127.0.0.1", 0))
    assert(core.net.listener(fd, { on_connection = print })):close()
    open(function(conn)
      assert(conn:dial({ address = "127.0.0.1", port = free }, function(err)
        why = err
        assert(conn:dial({ address = "127.0.0.1", port = server_port }, function(again)
          assert(not again, again)
        end, function(r) closed = r end))
      end))
    end)
    local client, heard = sockets.connect(port, function(c)
      c:write "x"
      c:shutdown()
    end)
    unit.wait(function() return heard.ended and closed end)
    assert.equal("ECONNREFUSED", why.code)
    assert.truthy(why.message:find("127.0.0.1, port " .. free, 1, true))
    assert.equal("x", heard.text())
    client:close()
  end)
end)
