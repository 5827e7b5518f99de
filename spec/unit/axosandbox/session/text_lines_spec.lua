local core = require "axosandbox.core"
local text_lines = require "axosandbox.session.text_lines"

-- Reads `bytes` that come in pieces of `size`.
local function read(bytes, opts, size)
  opts = opts or {}
  opts.limit = opts.limit or 1000
  local reader = text_lines.new(opts)
  size = size or 7
  for at = 1, #bytes, size do
    if not reader:add(bytes:sub(at, at + size - 1)) then break end
  end
  return reader:finish "f"
end

local function encoded(text, encoding)
  return (assert(core.encode("\u{FEFF}" .. text, encoding)))
end

describe("lines of text", function()
  it("are the wanted ones, and it is said what is left", function()
    local bytes = "one\ntwo\nthree\nfour"
    for size = 1, 20 do
      local text, span = read(bytes, { first_line = 2, lines = 2 }, size)
      assert.equal("two\nthree\n", text)
      assert.same({ first = 2, last = 3, total = 4, truncated = true, line_ends = "lf",
        encoding = "utf-8" }, span)
    end
    local text, span = read(bytes, { first_line = 4, lines = 5 })
    assert.same({ "four", 4, 4 }, { text, span.last, span.total })
    assert.is_nil(span.truncated)
    text, span = read(bytes, { first_line = 9 })
    assert.same({ "", 9, 8, 4 }, { text, span.first, span.last, span.total })
    text, span = read("")
    assert.same({ "", 0, 0 }, { text, span.last, span.total })
    assert.equal("     3\tthree\n     4\tfour", (read(bytes, { first_line = 3, numbered = true })))
    assert.equal("\n\n", (read("\n\n")))
  end)

  it("stay whole within the limit; one that is longer is cut between characters", function()
    local text, span = read("aaaa\nbbbb\ncccc\n", { limit = 11 })
    assert.same({ "aaaa\nbbbb\n", 2, true }, { text, span.last, span.truncated })
    for size = 1, 9 do
      text, span = read("x\nääää\ny\n", { first_line = 2, limit = 5 }, size)
      assert.same({ "ää", 2, 2, 4, 3 }, { text, span.first, span.last, span.cut, span.total })
      assert.is_nil(span.invalid)
    end
    text, span = read("aaaa\nbb", { limit = 6 })
    assert.same({ "aaaa\n", 1 }, { text, span.last })
  end)

  it("have no CR where all end in CRLF, and keep it where they differ", function()
    for size = 1, 9 do
      local text, span = read("a\r\nb\r\n", {}, size)
      assert.same({ "a\nb\n", "crlf" }, { text, span.line_ends })
      text, span = read("a\r\nb\nc\r", {}, size)
      assert.same({ "a\r\nb\nc\r", "mixed" }, { text, span.line_ends })
    end
  end)

  for _, encoding in ipairs { "utf-8", "utf-16le", "utf-16be", "utf-32le", "utf-32be" } do
    it("are found by their mark in " .. encoding, function()
      -- U+0A0A and U+010A hold the byte of a line feed, U+1F40A is two units of UTF-16.
      local bytes = encoded("\u{A0A}\u{10A}ü\r\n\u{1F40A}z\r\nend", encoding)
      for size = 1, 13 do
        local text, span = read(bytes, { first_line = 1, lines = 2 }, size)
        assert.equal("\u{A0A}\u{10A}ü\n\u{1F40A}z\n", text)
        assert.same({ first = 1, last = 2, total = 3, truncated = true, line_ends = "crlf",
          mark = true, encoding = encoding }, span)
      end
    end)
  end

  it("are in the encoding that is named, and what is none is counted", function()
    assert.equal("ü€", (read("\xFC\x80", { encoding = "windows-1252" })))
    local text, span = read("a\xFFb\n\xE2\x82\n", { encoding = "auto" })
    assert.same({ "a\u{FFFD}b\n\u{FFFD}\u{FFFD}\n", 3 }, { text, span.invalid })
    text, span = read("a\0b\0\n\0\0\xD8", { encoding = "utf-16" })
    assert.same({ "ab\n\u{FFFD}", 1, "utf-16le" }, { text, span.invalid, span.encoding })
    text, span = read("a\0b", { encoding = "utf-16le" })
    assert.same({ "a\u{FFFD}", 1 }, { text, span.invalid })
  end)

  it("are none of a binary file", function()
    for _, bytes in ipairs { "a\0b", "\0", "abc\n\0", ("x"):rep(65535) .. "\0" } do
      local text, err = read(bytes, {}, 4096)
      assert.is_nil(text)
      assert.equal("NOT_TEXT", err.code)
    end
    assert.is_truthy(read(("x"):rep(65536) .. "\0", { limit = 100000 }, 4096))
  end)

  it("cost no more than is wanted, however long the file and its lines are", function()
    local reader = text_lines.new { first_line = 3, lines = 1, limit = 100 }
    local piece, before = ("x"):rep(256 * 1024), nil
    for i = 1, 400 do
      assert.is_true(reader:add(piece))
      if i == 10 then collectgarbage() before = collectgarbage "count" end
    end
    collectgarbage()
    assert.is_true(collectgarbage "count" < before + 1024)
    assert.is_true(reader:add "\n\nthis\n")
    local count = 0
    while reader:add(piece) do count = count + 1 end
    assert.is_true(count < 100)
    local text, span = reader:finish "f"
    assert.same({ "this\n", 3, true }, { text, span.last, span.truncated })
    assert.is_nil(span.total)
  end)
end)
