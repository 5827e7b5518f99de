require("spec.support.cli").expose_libraries()
local lines = require "axolua.mcp.protocol.lines"

-- Everything that comes of feeding pieces one after the other.
local function read(pieces, limit)
  local reader, seen = lines.new(limit or 100), {}
  for _, piece in ipairs(pieces) do
    reader:feed(piece)
    while true do
      local kind, value = reader:next()
      if not kind then break end
      seen[#seen + 1] = { kind, value }
    end
  end
  local kind, value = reader:finish()
  if kind then seen[#seen + 1] = { "rest " .. kind, value } end
  return seen
end

local function in_pieces(text, size)
  local pieces = {}
  for at = 1, #text, size do pieces[#pieces + 1] = text:sub(at, at + size - 1) end
  return pieces
end

describe("the framing of messages", function()
  it("is a line each, however the bytes come", function()
    local text = '{"a":1}\n{"b":2}\r\n\n  \n{"c":3}\n'
    for size = 1, #text do
      assert.same({ { "line", '{"a":1}' }, { "line", '{"b":2}' }, { "line", '{"c":3}' } },
        read(in_pieces(text, size)))
    end
  end)

  it("knows what stands after the last line end", function()
    assert.same({ { "line", "one" }, { "rest line", "tw" } }, read { "one\ntw" })
    assert.same({ { "line", "one" } }, read { "one\n  " })
  end)

  it("drops a line that is too long, up to its end, and counts it", function()
    local long = ("x"):rep(101)
    local known = { size = 101, head = long, tail = long }
    for _, size in ipairs { 1, 7, 101, 4096 } do
      assert.same({ { "line", "a" }, { "too_long", known }, { "line", "b" } },
        read(in_pieces("a\n" .. long .. "\nb\n", size)))
    end
    assert.same({ { "line", ("x"):rep(100) } }, read { ("x"):rep(100) .. "\n" })
    assert.same({ { "rest too_long", known } }, read { long })
  end)

  it("keeps no more than the limit of what never ends", function()
    local reader, piece = lines.new(1024 * 1024), ("x"):rep(65536)
    collectgarbage()
    local before = collectgarbage "count"
    for _ = 1, 1600 do
      reader:feed(piece)
      assert.is_nil(reader:next())
    end
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 2048)
    reader:feed "\n"
    local kind, known = reader:next()
    assert.same({ "too_long", 1600 * 65536 }, { kind, known.size })
    assert.is_true(#known.head + #known.tail < 2 * 65536)
  end)

  it("takes a long line byte by byte without a table of bytes", function()
    local reader = lines.new(1024 * 1024)
    collectgarbage()
    local before = collectgarbage "count"
    for _ = 1, 200000 do
      reader:feed "x"
      reader:next()
    end
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 1024)
    reader:feed "\n"
    assert.same({ "line", ("x"):rep(200000) }, { reader:next() })
  end)
end)
