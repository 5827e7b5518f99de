local support = require "spec.support.cli"
support.expose_libraries()
local confirm = require "axolua.sandbox.confirm"
local json = require("axosandbox").json
local text = require "axolua.view.text"
local cjson = require "cjson"

describe("text for people", function()
  it("stands in columns, wide characters counted once", function()
    assert.equal("ID    NAME\nä     x\nlong  y z\n",
      text.columns({ "ID", "NAME" }, { { "ä", "x" }, { "long", "y z" } }))
  end)

  it("gives ages and sizes in their largest unit", function()
    assert.equal("0s", text.age(0))
    assert.equal("59s", text.age(59.9))
    assert.equal("1m", text.age(60))
    assert.equal("23h", text.age(86399))
    assert.equal("2d", text.age(2 * 86400 + 5))
    assert.equal("-", text.age(nil))
    assert.equal("2 GiB", text.size(2 * 2 ^ 30))
    assert.equal("1.5 MiB", text.size(1.5 * 2 ^ 20))
    assert.equal("12 bytes", text.size(12))
  end)

  it("shows control characters instead of obeying them", function()
    assert.equal("a\\x1b[31mb\\x0ac", text.visible "a\27[31mb\nc")
    assert.equal("one\n        two\\x07", text.printable "one\ntwo\7\n")
    assert.equal("a\\xc2\\x9b2Jé", text.visible "a\u{9b}2Jé")
    assert.equal("a\\xe2\\x80\\xaeb–c", text.visible "a\u{202e}b–c")
  end)

  -- Each of them steers a terminal, is not seen, or turns what is.
  local UNSEEN = { 0, 7, 0x1b, 0x7f, 0x85, 0x9b, 0xad, 0x34f, 0x61c, 0x115f, 0x180e, 0x200b, 0x200c,
    0x200d, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x2060, 0x2061, 0x2066, 0x2069, 0x206f,
    0x3164, 0xfeff, 0xffa0, 0xfff9, 0xfffe, 0x1d173, 0xe0001, 0xe0041, 0xe007f, 0xe0100 }

  it("never shows what a terminal obeys or does not show, and JSON loses none of it", function()
    for _, code in ipairs(UNSEEN) do
      local character = utf8.char(code)
      local name = "a" .. character .. "é漢\u{1f600}b"
      local hex = character:gsub(".", function(c) return ("\\x%02x"):format(c:byte()) end)
      assert.equal("a" .. hex .. "é漢\u{1f600}b", text.visible(name))
      assert.is_nil(text.columns({ "N" }, { { name } }):find(character, 1, true))
      local encoded = json.encode { [name] = { name } }
      assert.is_nil(encoded:find(character, 1, true))
      assert.same({ [name] = { name } }, cjson.decode(encoded))
    end
    assert.equal('"\\u202e\\udb40\\udc41"', json.encode "\u{202e}\u{e0041}")
  end)

  it("takes what is no UTF-8 for a control character: it may be one", function()
    assert.equal("a\\x9b2J\\xff\\xed\\xa0\\x80\\xe2\\x80",
      text.visible "a\x9b2J\xff\xed\xa0\x80\xe2\x80")
  end)

  it("shows what people write", function()
    for _, words in ipairs { "naïve", "Straße", "日本語", "한국어", "العربية", "हिन्दी", "👍🏽",
      "e\u{301}" } do
      assert.equal(words, text.visible(words))
      assert.equal('"' .. words .. '"', json.encode(words))
    end
  end)

  it("takes a time that is linear", function()
    for _, piece in ipairs { "\0", "\x9b", "\u{202e}", "é", "\xe2" } do
      text.visible(piece:rep(4 * 1024 * 1024 // #piece))
      json.encode(piece:rep(4 * 1024 * 1024 // #piece))
    end
  end)

  it("quotes a command so that a shell reads it back", function()
    local argv = { "printf", "%s|", "", "a b", "it's", "$HOME", "ü", "--x=1" }
    local result = support.shell("eval \"$1\"", text.command(argv))
    assert.equal("|a b|it's|$HOME|ü|--x=1|", result.stdout)
  end)
end)

describe("JSON for scripts", function()
  it("has its keys in order and keeps empty arrays", function()
    assert.equal('{"a":[],"b":{},"c":[1,2.5,"x"],"d":true}',
      json.encode { d = true, c = { 1, 2.5, "x" }, a = json.array {}, b = {} })
  end)

  it("is valid whatever bytes come in", function()
    local decoded = cjson.decode(json.encode { name = "a\xffb\xf0\x9f", q = 'say "hi"\n' })
    assert.equal("a\u{FFFD}b\u{FFFD}\u{FFFD}", decoded.name)
    assert.equal('say "hi"\n', decoded.q)
  end)

  it("keeps large integers whole", function()
    assert.equal("1763958061", json.encode(1763958061))
  end)
end)

describe("the question whether a project's commands may run", function()
  it("about a name says what connects to what", function()
    assert.equal("axolua: something in the session demo connects to a.example:443; let it? [y/N] ",
      confirm.text { op = "network", name = "a.example", port = 443, id = "demo", commands = {} })
  end)

  local function asked(...) return confirm.text { op = "postCreateCommand", commands = { ... } } end

  it("shows them, and that there is a choice", function()
    assert.equal("axolua: this project wants to run (postCreateCommand, 2 commands):\n"
      .. "        npm ci\n        make\naxolua: let it? [y/N] ", asked("npm ci", "make"))
  end)

  it("shows where a line ends, and a comment with it", function()
    assert.matches("true # harmless\\x0aevil\n", asked("true  #  harmless\nevil"), 1, true)
  end)

  it("says when it does not show all of a command", function()
    assert.matches("x ...%[60 bytes%]... x+\naxolua: not all of it is shown; let it",
      asked(("x"):rep(300)))
  end)

  it("fits a screen, whatever is asked", function()
    local blank = (" "):rep(5000)
    for _, command in ipairs { "true;" .. blank .. "evil", "true" .. ("\n"):rep(5000) .. "evil",
      ("x"):rep(100000) .. "evil", ("é"):rep(100000) .. "evil", ("\27[2J"):rep(2000) .. "evil" } do
      local shown = asked(command, command, command, command, command, command, command)
      assert.truthy(utf8.len(shown))
      assert.is_nil(shown:find "[\27\t]")
      local rows = 0
      for line in shown:gmatch "[^\n]+" do rows = rows + (#line + 79) // 80 end
      assert.is_true(rows <= 24, rows)
      local _, times = shown:gsub("evil", "")
      assert.equal(5, times)
      assert.matches("and 2 more\naxolua: not all of it is shown; let it", shown)
    end
  end)
end)
