local core = require "axosandbox.core"
local unit = require "spec.support.unit"

describe("core.ring", function()
  it("gives back what was written, from any cursor", function()
    local ring <close> = assert(core.ring(4096))
    assert.equal(4096, ring:capacity())
    assert.is_true(ring:write "hello ")
    assert.is_true(ring:write "\0world")
    assert.same({ "hello \0world", 12, 0 }, { ring:read(0) })
    assert.same({ "\0world", 12, 0 }, { ring:read(6) })
    assert.same({ "lo", 5, 0 }, { ring:read(3, 2) })
    assert.same({ "", 12, 0 }, { ring:read(12) })
    assert.same({ "", 12, 0 }, { ring:read(999) })
    assert.same({ "", 0, 0 }, { ring:read(0, 0) })
  end)

  it("tells a reader that fell behind how much it lost", function()
    local ring <close> = assert(core.ring(4096))
    local all = {}
    for i = 1, 2000 do
      all[i] = ("%d,"):format(i)
      ring:write(all[i])
    end
    local bytes = table.concat(all)
    assert.equal(#bytes, ring:head())
    assert.equal(#bytes - 4096, ring:tail())
    local got, cursor, dropped = ring:read(0)
    assert.equal(bytes:sub(-4096), got)
    assert.equal(#bytes, cursor)
    assert.equal(#bytes - 4096, dropped)
  end)

  it("reads in steps without gap or duplicate", function()
    local ring <close> = assert(core.ring(4096))
    local cursor, got, wrote = 0, {}, {}
    for i = 1, 500 do
      wrote[i] = ("%05d "):format(i):rep(i % 7 + 1)
      ring:write(wrote[i])
      local bytes, dropped
      repeat
        bytes, cursor, dropped = ring:read(cursor, 13)
        assert.equal(0, dropped)
        got[#got + 1] = bytes
      until bytes == ""
    end
    assert.equal(table.concat(wrote), table.concat(got))
  end)

  it("has a default size and refuses an absurd one", function()
    assert.equal(65536, assert(core.ring()):capacity())
    local ring, err = core.ring(1 << 40)
    assert.is_nil(ring)
    assert.equal("EINVAL", err.code)
    assert.has_error(function() core.ring(0) end)
    assert.has_error(function() core.ring(-1) end)
  end)

  it("cannot be used once closed", function()
    local ring = assert(core.ring())
    ring:close()
    ring:close()
    for _, method in ipairs { "write", "head", "tail", "capacity", "read" } do
      local ok, err = pcall(ring[method], ring, 0)
      assert.is_false(ok)
      assert.matches("the ring is closed", err)
    end
    assert.equal("axo.ring (closed)", tostring(ring))
    assert.has_error(function() core.ring():read(-1) end)
    assert.has_error(function() core.ring():read(0, -1) end)
  end)
end)

describe("a ring in a file", function()
  local path
  before_each(function() path = unit.temporary_name() end)
  after_each(function() os.remove(path) end)

  it("is read through another mapping", function()
    local writer <close> = assert(core.ring_create(path, 4096))
    local reader <close> = assert(core.ring_open(path))
    writer:write "shared"
    assert.same({ "shared", 6, 0 }, { reader:read(0) })
    local ok, err = reader:write "no"
    assert.is_nil(ok)
    assert.equal("EPERM", err.code)
  end)

  it("is private, and new", function()
    local first <close> = assert(core.ring_create(path, 4096))
    assert.equal(0x180, require("luv").fs_stat(path).mode & 0x1ff)
    local ring, err = core.ring_create(path, 4096)
    assert.is_nil(ring)
    assert.equal("EEXIST", err.code)
    assert.is_true(first:write "x")
  end)

  it("wakes a watcher of the file when it has a bell", function()
    local uv = require "luv"
    local ring <close> = assert(core.ring_create(path, 4096, { bell = true }))
    local watch = uv.new_fs_event()
    local rung
    watch:start(path, {}, function() rung = true end)
    ring:write "x"
    unit.wait(function() return rung end)
    watch:close()
    uv.run()
  end)

  it("refuses what is no ring", function()
    local function refused(code)
      local ring, err = core.ring_open(path)
      assert.is_nil(ring)
      assert.equal(code, err.code)
    end
    refused "ENOENT"
    local file = assert(io.open(path, "w"))
    file:write(("z"):rep(10000))
    file:close()
    refused "EINVAL"
    os.remove(path)
    assert(require("luv").fs_mkdir(path, 448))
    refused "EINVAL"
    assert.has_error(function() core.ring_open "a\0b" end)
    assert.has_error(function() core.ring_create(path, 4096, { bel = true }) end,
      "ring_create: unknown key 'bel' (known: bell)")
  end)
end)
