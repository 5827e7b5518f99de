local settle = require "axosandbox.settle"

describe("the users of a container that was started", function()
  it("have root among them, or not", function()
    assert.is_true(settle.has_root "         0          0 4294967295\n")
    assert.is_true(settle.has_root "    0    1000       1\n   1000    0    1\n")
    assert.is_false(settle.has_root "    0    1000       1\n   1 100000   65536\n")
    assert.is_false(settle.has_root "    0       1    1000\n   1000 1000   0\n")
    assert.is_false(settle.has_root "")
  end)
end)
