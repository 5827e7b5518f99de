-- core.net.bind, core.net.listen, and what core.net is told wrongly.
local core = require "axosandbox.core"
local uv = require "luv"

local function nop() end

describe("core.net.listen", function()
  it("gives a port that can be reached", function()
    for _, address in ipairs { "127.0.0.1", "::1" } do
      local fd, port = assert(core.net.listen(address, 0))
      assert.equal("integer", math.type(port))
      local err = false
      local client = uv.new_tcp()
      client:connect(address, port, function(e)
        err = e
        client:close()
      end)
      uv.run()
      assert.is_nil(err)
      uv.fs_close(fd)
    end
  end)

  it("gives one that core.net.close closes", function()
    local fd, port = assert(core.net.listen("127.0.0.1", 0))
    core.net.close(fd)
    assert.is_nil(uv.fs_fstat(fd))
    core.net.close(assert(core.net.listen("127.0.0.1", port)))
  end)

  it("says that a port is taken, and what is no address", function()
    local fd, port = assert(core.net.listen("127.0.0.1", 0))
    local none, err = core.net.listen("127.0.0.1", port)
    assert.is_nil(none)
    assert.equal("EADDRINUSE", err.code)
    assert.equal("listen", err.op)
    assert.truthy(err.message:find(("127.0.0.1, port %d"):format(port), 1, true))
    uv.fs_close(fd)
    none, err = core.net.listen("localhost", 0)
    assert.is_nil(none)
    assert.equal("EINVAL", err.code)
    none, err = core.net.listen("192.0.2.1", 0)
    assert.is_nil(none)
    assert.equal("EADDRNOTAVAIL", err.code)
  end)
end)

describe("core.net", function()
  it("raises on what is no port, no function, no option", function()
    local fd = assert(core.net.listen("127.0.0.1", 0))
    for _, call in ipairs {
      function() core.net.listen("127.0.0.1", 65536) end,
      function() core.net.listen("127.0.0.1", -1) end,
      function() core.net.listen("127.0.0.1\0", 0) end,
      function() core.net.listener(fd, {}) end,
      function() core.net.listener(fd, { on_connection = 1 }) end,
      function() core.net.listener(fd, { on_connection = nop, other = 1 }) end,
      function() core.net.listener(fd) end,
    } do
      assert.is_false((pcall(call)))
    end
    uv.fs_close(fd)
  end)

  it("says why a listener cannot be had, and leaves the descriptor", function()
    local listener, err = core.net.listener(1 << 20, { on_connection = nop })
    assert.is_nil(listener)
    assert.equal("EBADF", err.code)
    local fd = assert(core.net.listen("127.0.0.1", 0))
    listener, err = core.net.listener(fd, { on_connection = nop, max = 100000 })
    assert.is_nil(listener)
    assert.equal("EINVAL", err.code)
    assert.is_truthy(uv.fs_fstat(fd))
    uv.fs_close(fd)
  end)
end)
