local core = require "axosandbox.core"

local function shown(bytes, rows, cols)
  local screen = assert(core.screen(rows or 4, cols or 20, 100))
  screen:write(bytes)
  return screen
end

describe("a terminal's screen", function()
  it("shows what a person would see", function()
    for bytes, row in pairs {
      ["caf\u{e9}\bX"] = "cafX", ["abc\b\b"] = "abc", ["abc\b\bZ"] = "aZc", ["10%\r20%"] = "20%",
      ["\27]0;a title\7x"] = "x", ["漢字\27[1;3HA"] = "漢A", ["e\u{301}"] = "e\u{301}",
      ["a\27[31mb\27[0m"] = "ab", ["x\27[2J\27[Hy"] = "y", ["a\tb"] = "a       b",
      ["x\27[3b"] = "xxxx", ["\27[5b"] = "", ["\u{301}\27[5bz"] = "z",
      [("\u{9b}"):rep(50) .. "x"] = "x", ["\u{a9}"] = "\u{a9}", ["\27[3\u{9b}x"] = "x",
      ["漢\27[b"] = "漢漢", ["a\27[999b"] = ("a"):rep(20),
      ["\27\5[730bx"] = "x", ["\27[4\0002;bx"] = "x", ["x\27[2;9b"] = "xxx", ["\27 [9bx"] = "9bx",
      ["\27[" .. (";"):rep(1000) .. "10mx"] = "x", ["\27[" .. ("1:"):rep(40) .. "mx"] = "x",
      ["\27[" .. ("?"):rep(1000) .. "hx"] = "x", ["\27" .. (" "):rep(1000) .. "Gx"] = "x",
      ["\27[" .. (" "):rep(1000) .. "qx"] = "x", ["\xe6x"] = "\u{fffd}x", ["\xffx"] = "\u{fffd}x",
      ["\xed\xa0\x80x"] = "\u{fffd}x", ["\xe3\x80\27[1mx"] = "\u{fffd}x",
      ["\27\u{e9}x"] = "\u{e9}x",
    } do
      assert.equal(row, shown(bytes):rows()[1])
    end
  end)

  it("is the same however the bytes are cut", function()
    local bytes = "caf\u{e9} 漢\27]0;title\7\27[31mred\27[0m\27[3;2Hx\27[?1049hfull"
    local whole = shown(bytes)
    for size = 1, #bytes do
      local screen = assert(core.screen(4, 20, 100))
      for at = 1, #bytes, size do screen:write(bytes:sub(at, at + size - 1)) end
      assert.same(whole:rows(), screen:rows())
      assert.same(whole:state(), screen:state())
    end
    assert.equal("title", whole:state().title)
    assert.is_true(whole:state().alternate)
  end)

  it("hands out no control character, in rows, lines and titles", function()
    for _, code in ipairs { 0x85, 0x9b, 0xad, 0x200b, 0x202e, 0x2066, 0xfeff, 0xe0041, 0xfff9 } do
      local bad = utf8.char(code)
      local screen = shown(("\27]0;t%sx\7a%sb\r\n%sc\r\n"):format(bad, bad, bad):rep(4))
      local all = table.concat(screen:rows()) .. table.concat(screen:lines(100))
        .. screen:state().title
      assert.equal(all, core.unseen(all, "replace", "?"))
    end
  end)

  it("keeps so many lines that have scrolled off, and counts all", function()
    local screen = assert(core.screen(2, 10, 3))
    for i = 1, 10 do screen:write(("%d\r\n"):format(i)) end
    assert.same({ "7", "8", "9" }, screen:lines(100))
    assert.same({ "9" }, screen:lines(1))
    assert.same({ "10", "" }, screen:rows())
    assert.equal(9, screen:state().scrolled)
  end)

  it("keeps within itself whatever is put on one cell", function()
    for _, mark in ipairs {
      "\u{302e}", "\u{3099}", "\u{301}", "\xe3\xe3\x80\xae", "\27\u{302e}", "\xe6\27\u{302e}",
    } do
      for _, size in ipairs { { 1, 1 }, { 2, 2 }, { 4, 20 } } do
        shown("x" .. mark:rep(2000) .. "\27[999b" .. "\r\n" .. mark:rep(100), size[1], size[2])
      end
    end
    assert.equal("x", shown("\u{301}" .. ("\u{301}"):rep(50) .. "\rx"):rows()[1]:sub(1, 1))
  end)

  it("is made smaller whatever cursors and regions there are", function()
    for _, before in ipairs {
      "\27[3;1H", "\27[20;24r", "\27[24;1H\0277", "\27[?6h\27[20;24r", "",
    } do
      for _, after in ipairs {
        "hello\n\27[K", "\27#6", "\27[S\27[T", "\0278\27#6\27H", "\27[M\27[L",
      } do
        local screen = shown(("full of text\r\n"):rep(60) .. before, 38, 80)
        assert(screen:resize(12, 51))
        screen:write(after)
        assert(screen:resize(5, 80))
        screen:write(after .. "\27[5;1H\27[Kthe end")
        assert.equal("the end", screen:rows()[5])
        assert(screen:resize(40, 100))
        screen:write(after)
      end
    end
  end)

  it("keeps what stands on it when its size changes", function()
    local screen = shown("one\r\ntwo\r\nthree\27[2;2H", 4, 20)
    assert(screen:resize(10, 30))
    assert.same({ "one", "two", "three" }, { table.unpack(screen:rows(), 1, 3) })
    assert.same({ row = 2, col = 2, visible = true }, screen:state().cursor)
    assert(screen:resize(2, 30))
    assert.equal("three", screen:rows()[2])
    assert.equal("one", screen:lines(100)[1])
  end)

  it("goes on in the middle of a character and of a sequence when its size changes", function()
    local screen = shown("\xe6\xbc")
    assert(screen:resize(5, 20))
    screen:write("\xa2\27[1")
    assert(screen:resize(6, 20))
    screen:write("mb")
    assert.equal("漢b", screen:rows()[1])
  end)

  it("is resized, and knows its cursor", function()
    local screen = shown("one\r\ntwo\27[?25l")
    assert.same({ row = 2, col = 4, visible = false }, screen:state().cursor)
    for _, size in ipairs { { 1, 1 }, { 500, 1000 }, { 1, 1000 }, { 500, 1 }, { 4, 20 } } do
      assert(screen:resize(size[1], size[2]))
      assert.equal(size[1], #screen:rows())
      screen:write "x\27[999;999Hy"
    end
    assert.equal("EINVAL", select(2, core.screen(501, 80, 0)).code)
    assert.equal("EINVAL", select(2, screen:resize(24, 1001)).code)
    assert.has_error(function() core.screen(0, 1, 1) end)
  end)

  it("takes a time that is linear", function()
    for _, piece in ipairs { "x", "\0", "\27", "\27[", "\27]", "\27P", "\xff", "\r\n",
      "\27[9999999b", "x\27[9999999b", "\27[99999;99999r\27[999999S", "漢", "e\u{301}" } do
      shown(piece:rep(64 * 1024 // #piece))
    end
  end)
end)
