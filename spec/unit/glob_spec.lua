local glob = require "axosandbox.glob"

describe("glob", function()
  local function matches(pattern, path, opts) return assert(glob.new(pattern, opts)).match(path) end

  for _, case in ipairs {
    { "*.lua", "a.lua", true }, { "*.lua", "a/b.lua", false }, { "*.lua", ".a.lua", false },
    { "**/*.lua", "a.lua", true }, { "**/*.lua", "a/b/c.lua", true },
    { "**/*.lua", ".git/a.lua", false }, { "**/*.lua", "a/.b/c.lua", false },
    { ".git/**", ".git/a/b", true }, { ".*", ".x", true }, { ".*", "x", false },
    { "a/**/b", "a/b", true }, { "a/**/b", "a/x/y/b", true }, { "a/**/b", "a/x/b/c", false },
    { "a/**", "a/b/c", true }, { "**", "a/b", true }, { "a?c", "abc", true },
    { "a?c", "a/c", false }, { "[ab]c", "bc", true }, { "[!ab]c", "bc", false },
    { "[!ab]c", "xc", true }, { "[a-c]", "b", true }, { "[]", "[]", true }, { "[", "[", true },
    { "a.b", "axb", false }, { "a+b%c", "a+b%c", true }, { "x{a,b}y", "xby", true },
    { "{a,b/c}/*.{c,h}", "b/c/x.h", true }, { "{a,{b,c}}", "c", true }, { "{a", "{a", true },
    { "\\*", "*", true }, { "\\*", "x", false }, { "./a//b", "a/b", true },
    { "[%]a]", "%a]", true }, { "ünï*", "ünïcode", true }, { "a*\n", "ab\n", true },
  } do
    it(("%q %s %q"):format(case[1], case[3] and "matches" or "does not match", case[2]), function()
      assert.equal(case[3], matches(case[1], case[2]))
    end)
  end

  it("matches names that begin with a dot when asked to", function()
    assert.is_true(matches("**/*.lua", ".git/.a.lua", { hidden = true }))
  end)

  it("knows where to look", function()
    assert.equal("src/core", glob.new("src/core/**/*.c").base)
    assert.equal(".", glob.new("*.c").base)
    assert.equal(".", glob.new("a.c").base)
    assert.equal("a", glob.new("a/b{c,d}/e").base)
    assert.equal(".", glob.new("a/b/*", { from_root = true }).base)
  end)

  it("gives find tests that let through whatever matches", function()
    assert.same({ "(", "-path", "./*.c", ")" }, glob.new("src/**/*.c").tests)
    assert.same({ "(", "-path", "./a", "-o", "-path", "./b", ")" }, glob.new("{a,b}").tests)
    assert.same({ "(", "-name", "*.c", ")" }, glob.name("*.c").tests)
  end)

  it("refuses a parent, and more alternatives than anybody writes", function()
    assert.is_nil((glob.new "../x"))
    assert.is_nil((glob.new "a/../x"))
    assert.is_nil((glob.new(("{a,b}"):rep(20))))
  end)

  it("takes no time for a pattern made to take long", function()
    assert.is_false(matches(("**/a/"):rep(30) .. "x", ("a/"):rep(60) .. "b"))
  end)
end)
