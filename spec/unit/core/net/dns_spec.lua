local core = require "axosandbox.core"
local net = core.net

-- A query as a resolver sends it.
local function query(name, kind)
  local labels = name:gsub("([^.]+)%.?", function(label) return string.pack("s1", label) end)
  return "\x12\x34\1\0\0\1\0\0\0\0\0\0" .. labels .. "\0" .. string.pack(">I2I2", kind, 1)
end

describe("core.net.query", function()
  it("gives the name and the type", function()
    assert.same({ name = "api.example", type = "A" }, net.query(query("API.example", 1)))
    assert.same({ name = "a.example", type = "AAAA" }, net.query(query("a.example", 28)))
    assert.same({ name = "a.example", type = 65 }, net.query(query("a.example", 65)))
  end)

  it("says what it refuses", function()
    local codes = {
      [""] = "EPROTO",
      [query("a.example", 1):sub(1, -2)] = "EINVAL",
      [query("a b", 1)] = "ENOTSUP",
    }
    for bytes, code in pairs(codes) do
      local found, err = net.query(bytes)
      assert.is_nil(found)
      assert.equal(code, err.code)
    end
    assert.has_error(function() net.query(nil) end)
  end)
end)

describe("core.net.answer", function()
  local asked = query("a.example", 1)

  it("gives an address", function()
    local bytes = assert(net.answer(asked, { rcode = "NOERROR", address = "198.18.0.2", ttl = 60 }))
    assert.equal("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" .. asked:sub(13)
      .. "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc6\x12\0\2", bytes)
    bytes = assert(net.answer(asked, { rcode = "NOERROR", address = "198.18.0.2" }))
    assert.equal(5, string.unpack(">I4", bytes, #bytes - 9))
  end)

  it("refuses", function()
    local codes = { NOERROR = 0, FORMERR = 1, SERVFAIL = 2, NXDOMAIN = 3, NOTIMP = 4, REFUSED = 5 }
    for rcode, number in pairs(codes) do
      local bytes = assert(net.answer(asked, { rcode = rcode }))
      assert.equal(number, bytes:byte(4) & 15)
    end
  end)

  it("takes what is right only", function()
    assert.has_error(function() net.answer(asked, { rcode = "MAYBE" }) end)
    assert.has_error(function() net.answer(asked, {}) end)
    assert.has_error(function() net.answer(asked, { rcode = "NOERROR", adress = "1.2.3.4" }) end)
    local bytes, err = net.answer(asked, { rcode = "NOERROR", address = "1.2.3" })
    assert.is_nil(bytes)
    assert.equal("EINVAL", err.code)
    assert.equal("EPROTO", select(2, net.answer("\0", { rcode = "REFUSED" })).code)
  end)
end)
