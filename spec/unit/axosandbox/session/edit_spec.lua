-- Changes in a file's bytes: its encoding, its line ends, and time that does not explode.
local uv = require "luv"
local core = require "axosandbox.core"
local edit = require "axosandbox.session.edit"
local encodings = require "axosandbox.base.text.encodings"

local function apply(bytes, old, new, opts)
  local change = { path = "f", old = old, new = new }
  for key, value in pairs(opts or {}) do change[key] = value end
  return edit.apply(bytes, change)
end

describe("an edit", function()
  it("keeps the line ends of a file", function()
    assert.equal("a\r\nB\r\nB\r\nc\r\n", (apply("a\r\nb\r\nc\r\n", "b\n", "B\nB\n")))
    assert.equal("a\r\nx\r\ny\r\nc\r\n", (apply("a\r\nb\r\nc\r\n", "b", "x\ny")))
    assert.equal("B\r\nc", (apply("a\r\nb\r\nc", "a\nb\n", "B\n")))
    assert.equal("a\nB\nc\n", (apply("a\nb\nc\n", "b\r\n", "B\r\n")))
    -- Who writes CR knows what is there.
    assert.equal("a\nb", (apply("a\r\nb", "a\r\nb", "a\nb")))
    assert.equal("x", (apply("a\r\nb", "a\r\nb", "x")))
  end)

  it("finds a text in a file of both line ends, and says so when it does not", function()
    assert.equal("X\r\nc\n", (apply("a\r\nb\r\nc\n", "a\nb\n", "X\n")))
    assert.equal("a\r\nX\n", (apply("a\r\nb\nc\n", "b\nc\n", "X\n")))
    local edited, err = apply("a\r\nb\nc\r\n", "a\nb\nc\n", "X\n")
    assert.is_nil(edited)
    assert.equal("NO_MATCH", err.code)
    assert.matches("CRLF", err.hint)
    assert.is_nil(select(2, apply("a", "b", "c")).hint)
  end)

  it("counts what it finds", function()
    assert.equal("AMBIGUOUS", select(2, apply("a\r\na\r\n", "a\n", "b\n")).code)
    assert.same({ "b\r\nb\r\n", 2 }, { apply("a\r\na\r\n", "a\n", "b\n", { replace_all = true }) })
    assert.same({ "bba", 2 }, { apply("aaaaa", "aa", "b", { replace_all = true }) })
  end)

  it("is made in the file's encoding", function()
    for name, mark in pairs {
      ["utf-16le"] = "\xFF\xFE", ["utf-16be"] = "\xFE\xFF", ["utf-32le"] = "\xFF\xFE\0\0",
      ["utf-32be"] = "\0\0\xFE\xFF",
    } do
      local function of(text) return mark .. core.encode(text, name) end
      local before, after = of "eins\r\ndrei 𝄞\r\n", of "zwei €\r\ndrei 𝄞\r\n"
      assert.equal(after, (apply(before, "eins\n", "zwei €\n")))
      assert.equal("zwei", (encodings.decode(of "zwei", "auto")))
    end
    -- In the middle of two characters is none.
    local text = "\xFF\xFE" .. core.encode("\u{4100}\u{0041}", "utf-16le")
    assert.equal("NO_MATCH", select(2, apply(text, "\u{4141}", "x")).code)
    assert.equal("caf\xE8", (apply("caf\xE9", "é", "è", { encoding = "latin-1" })))
    assert.equal("ENCODING", select(2, apply("caf\xE9", "é", "€", { encoding = "latin-1" })).code)
    assert.equal("\x80", (apply("e", "e", "€", { encoding = "windows-1252" })))
    assert.equal("NO_MATCH", select(2, apply("caf\xE9", "€", "x", { encoding = "latin-1" })).code)
  end)

  it("takes no longer for texts that are made to be slow", function()
    local size = 2 ^ 24 | 0
    local text = ("a"):rep(size)
    local began = uv.hrtime()
    assert.is_nil((apply(text, ("a"):rep(size // 2) .. "b", "x")))
    core.substitute(("\0a"):rep(size // 2), ("a\0"):rep(size // 8), "x", 2)
    local slow = uv.hrtime() - began
    began = uv.hrtime()
    core.substitute(text, "b", "x")
    core.substitute(("\0a"):rep(size // 2), "b", "x", 2)
    assert.is_true(slow < 200 * (uv.hrtime() - began) + 1e9)
  end)
end)

describe("decoding", function()
  it("gives back what was encoded", function()
    local all = {}
    for _, c in ipairs {
      0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0x10000, 0x10FFFF,
    } do
      all[#all + 1] = utf8.char(c)
    end
    local text = table.concat(all)
    for _, name in ipairs { "utf-8", "utf-16le", "utf-16be", "utf-32le", "utf-32be" } do
      assert.same({ text, 0 }, { core.decode(assert(core.encode(text, name)), name) })
    end
    local bytes = {}
    for c = 0, 255 do bytes[#bytes + 1] = string.char(c) end
    bytes = table.concat(bytes)
    assert.equal(bytes, core.encode((core.decode(bytes, "latin-1")), "latin-1"))
    assert.equal("€ž\u{FFFD}", (core.decode("\x80\x9E\x81", "windows-1252")))
  end)

  it("says where there is no character, and goes on", function()
    for bytes, name in pairs {
      ["a\xFFb"] = "utf-8", ["a\xC0\x80b"] = "utf-8", ["a\xED\xA0\x80b"] = "utf-8",
      ["a\0\0\xD8b\0"] = "utf-16le", ["\0a\xDC\0\0b"] = "utf-16be", ["a\0b"] = "utf-16le",
      ["a\0\0\0\0\0\x11\0"] = "utf-32le", ["\xF4\x90\x80\x80"] = "utf-8", ["\xE2\x82"] = "utf-8",
    } do
      local text, bad = core.decode(bytes, name)
      assert.is_true(bad > 0, name)
      assert.is_truthy(utf8.len(text))
    end
    assert.is_nil(core.encode("a\xFF", "utf-16le"))
    assert.has_error(function() core.decode("a", "utf-7") end)
  end)

  it("takes anything", function()
    for _ = 1, 300 do
      local bytes = uv.random(math.random(0, 40))
      for _, name in ipairs { "utf-8", "utf-16le", "utf-16be", "utf-32le", "utf-32be", "latin-1",
        "windows-1252" } do
        assert.is_truthy(utf8.len((core.decode(bytes, name))))
      end
    end
  end)
end)
