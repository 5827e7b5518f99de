local id_map = require "axosandbox.host.id_map"

local ROOTLESS = "         0       1000          1\n         1     100000      65536\n"
local KEPT = "    0  100000  1000\n  1000  1000  1\n  1001  101000  64536\n"

describe("whom a user namespace has", function()
  it("is told of anybody out here", function()
    local map = id_map.parse(ROOTLESS)
    assert.equal(0, id_map.inside(map, 1000))
    assert.equal(65536, id_map.inside(map, 165535))
    assert.is_nil(id_map.inside(map, 0))
    assert.equal(1000, id_map.inside(id_map.parse(KEPT), 1000))
  end)

  it("is root where root is among them, also elsewhere than at 0", function()
    assert.equal(0, id_map.inside(id_map.parse "         0          0 4294967295\n", 0))
    assert.equal(1000, id_map.inside(id_map.parse "    0    1000       1\n   1000    0    1\n", 0))
    assert.is_nil(id_map.inside(id_map.parse "    0       1    1000\n   1000    0   0\n", 0))
    assert.is_nil(id_map.inside(id_map.parse "", 0))
  end)

  it("is read of a process, and is nobody of one that is gone", function()
    assert.equal(0, id_map.inside(id_map.read(1, "uid"), 0))
    assert.same({}, id_map.read(0x7ffffffe, "gid"))
  end)
end)
