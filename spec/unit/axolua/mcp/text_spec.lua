require("spec.support.cli").expose_libraries()
local base64 = require "axolua.mcp.tools.base64"
local excerpt = require "axolua.mcp.tools.excerpt"
local reply = require "axolua.mcp.reply"
local shell = require "axolua.sandbox.shell"
local temp = require "spec.support.temp"
local text = require "axolua.mcp.text"

describe("base64", function()
  it("is the one of RFC 4648", function()
    local known = {
      [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=",
      foobar = "Zm9vYmFy", ["\0\255\254"] = "AP/+",
    }
    for bytes, encoded in pairs(known) do
      assert.equal(encoded, base64.encode(bytes))
      assert.equal(bytes, base64.decode(encoded))
    end
  end)

  it("gives back every byte", function()
    for size = 0, 20 do
      local bytes = temp.random_bytes(size)
      assert.equal(bytes, base64.decode(base64.encode(bytes)))
    end
    local bytes = temp.random_bytes(100001)
    assert.is_true(bytes == base64.decode(base64.encode(bytes)))
  end)

  it("skips white space, and refuses what is none", function()
    assert.equal("foobar", base64.decode "Zm9v\n Ym Fy\r\n")
    for _, wrong in ipairs { "Z", "Zg=", "Zg", "Z===", "====", "Zm9v=m9v", "Zm-_",
      "\xff\xff\xff\xff" } do
      local bytes, problem = base64.decode(wrong)
      assert.is_nil(bytes)
      assert.is_string(problem)
    end
  end)
end)

describe("text for a client", function()
  it("is cut between characters", function()
    for max = 0, 12 do
      assert.is_number(utf8.len(text.head("añ€😀añ", max)))
      assert.is_number(utf8.len(text.tail("añ€😀añ", max)))
    end
    assert.equal("añ", text.head("añ€", 5))
    assert.equal("€b", text.tail("añ€b", 4))
  end)

  it("is the last lines of something", function()
    assert.equal("b\nc\n", text.last_lines("a\nb\nc\n", 2))
    assert.equal("c", text.last_lines("a\nb\nc", 1))
    assert.equal("a\nb", text.last_lines("a\nb", 9))
    assert.equal("\n", text.last_lines("a\n\n", 1))
    assert.equal("", text.last_lines("", 1))
  end)

  local SHOWN = {
    { "a\r\nb\r\n", "a\nb\n" },
    { "\27[1;31mred\27[0m\27[K", "red" },
    { "\27]0;a title\7prompt$ ", "prompt$" },
    { "\27]8;;http://x\27\\link\27]8;;\27\\", "link" },
    { "\27P+q544e\27\\x", "x" },
    { "\27(B\27=\27[?2004hx\27[6n", "x" },
    { "10%\r50%\r100%\n", "100%\n" },
    { "done\r", "done" },
    { "abc\b\bXY", "aXY" },
    { "\7a\0b\tc\127", "ab      c" }, { "caf\u{e9}\bX", "cafX" }, { "abc\b\b", "abc" },
    { "\27", "" }, { "\27[", "" }, { "x\27[31", "x" }, { "a\u{202e}b\r\u{9b}2Kc", "2Kc" },
  }
  for _, case in ipairs(SHOWN) do
    it(("of a terminal: %q"):format(case[1]), function()
      assert.equal(case[2], text.plain(case[1]))
    end)
  end

  it("of a terminal is made in time that grows with it only", function()
    for _, evil in ipairs { ("\27]"):rep(100000), ("\27["):rep(100000), ("x"):rep(200000),
      ("\r"):rep(200000), ("a\b"):rep(100000), ("\27P"):rep(100000), ("a\r"):rep(100000) } do
      local before = os.clock()
      text.plain(evil)
      local whole = os.clock() - before
      before = os.clock()
      for _ = 1, 10 do text.plain(evil:sub(1, #evil // 10)) end
      -- What grows with the square would take ten times as long.
      assert.is_true(whole < 5 * (os.clock() - before) + 0.05, ("%q"):format(evil:sub(1, 4)))
    end
  end)
end)

describe("a reply that fails", function()
  it("is bounded, whatever the container said, and says what is left out", function()
    for _, made in ipairs { reply.refusal(("é"):rep(1e6), "again"),
      reply.of_error { code = "IO", message = ("é"):rep(1e6), hint = "again" } } do
      assert.is_true(made.isError)
      local said = made.content[1].text
      assert.is_true(#said < 10000)
      assert.truthy(utf8.len(said))
      assert.matches("^Error: é.*%(1991808 bytes left out%)$", said)
      assert.equal("[again]", made.content[2].text)
    end
    assert.equal("Error: no", reply.refusal("no").content[1].text)
  end)
end)

describe("an excerpt", function()
  it("is everything while that is little", function()
    local kept = excerpt.new(10)
    for byte in ("0123456789"):gmatch "." do kept:add(byte) end
    assert.same({ "0123456789", 0 }, { kept:get() })
  end)

  it("is the beginning and the end of what is much, and says how much is missing", function()
    for _, size in ipairs { 1, 3, 10, 1000 } do
      local whole, kept = ("0123456789"):rep(100), excerpt.new(20)
      for at = 1, #whole, size do kept:add(whole:sub(at, at + size - 1)) end
      local shown, left_out = kept:get()
      assert.equal(980, left_out)
      assert.equal("0123456789\n[... 980 bytes left out ...]\n0123456789", shown)
      assert.equal(1000, kept.total)
    end
  end)

  it("keeps no more than it was told to", function()
    local kept, piece = excerpt.new(65536), ("x"):rep(65536)
    collectgarbage()
    local before = collectgarbage "count"
    for _ = 1, 2000 do kept:add(piece) end
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 1024)
  end)

  it("does not cut characters", function()
    local kept = excerpt.new(21)
    kept:add(("€"):rep(100))
    local shown, left_out = kept:get()
    assert.is_number(utf8.len(shown))
    assert.equal(300 - 18, left_out)
  end)
end)

describe("a command line", function()
  local CASES = {
    { "make &", "make", true }, { "make&", "make", true }, { "make & \n", "make", true },
    { "a & b &", "a & b", true }, { "make", "make", false }, { "make && ", "make && ", false },
    { "a &&", "a &&", false }, { "echo \\&", "echo \\&", false }, { "echo '&'", "echo '&'", false },
    { "&", "&", false }, { "cmd >&", "cmd >&", false },
  }
  for _, case in ipairs(CASES) do
    it(("%q loses its & when it has one at the end"):format(case[1]), function()
      assert.same({ case[2], case[3] }, { shell.without_ampersand(case[1]) })
    end)
  end

  -- Each took as long as the square of its length.
  it("and what it prints take no time when they are made to take long", function()
    local long = ("make"):rep(10) .. (" "):rep(500000) .. "x"
    assert.is_true(shell.without_ampersand(long) == long)
    assert.equal("x", text.plain(("\r"):rep(500000) .. "x"))
  end)

  it("is shown as it was given", function()
    assert.equal("ls -l | wc", shell.describe(shell.argv "ls -l | wc"))
    assert.equal("printf '%s\\n' x", shell.describe { "printf", "%s\\n", "x" })
  end)
end)
