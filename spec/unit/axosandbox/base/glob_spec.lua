local glob = require "axosandbox.base.glob"

describe("glob", function()
  local function matches(pattern, path, opts) return assert(glob.new(pattern, opts)).match(path) end

  it("knows named classes, and a backslash in brackets", function()
    for pattern, names in pairs {
      ["[[:upper:]_]"] = { "A", "_" }, ["[![:alnum:]]"] = { "-", "!" }, ["[\\]a]"] = { "]", "a" },
      ["[a\\-c]"] = { "a", "-", "c" }, ["[]-a]"] = { "]", "^", "_", "a" },
      ["[%a^]"] = { "%", "a", "^" },
      ["[a-]"] = { "a", "-" }, ["[!c-a]"] = { "a", "b", "x" }, ["[[:nope:]]"] = { ":]", "n]" },
    } do
      for _, name in ipairs(names) do assert.is_true(matches(pattern, name), pattern .. name) end
    end
    for pattern, name in pairs {
      ["[[:upper:]]"] = "a", ["[a\\-c]"] = "b", ["[%a]"] = "b", ["[c-a]"] = "b", ["[!]]"] = "]",
      ["[^%s]"] = "s",
    } do
      assert.is_false(matches(pattern, name), pattern .. name)
    end
  end)


  for _, case in ipairs {
    { "*.lua", "a.lua", true }, { "*.lua", "a/b.lua", false }, { "*.lua", ".a.lua", false },
    { "**/*.lua", "a.lua", true }, { "**/*.lua", "a/b/c.lua", true },
    { "**/*.lua", ".git/a.lua", false }, { "**/*.lua", "a/.b/c.lua", false },
    { ".git/**", ".git/a/b", true }, { ".*", ".x", true }, { ".*", "x", false },
    { "a/**/b", "a/b", true }, { "a/**/b", "a/x/y/b", true }, { "a/**/b", "a/x/b/c", false },
    { "a/**", "a/b/c", true }, { "**", "a/b", true }, { "a?c", "abc", true },
    { "a?c", "a/c", false }, { "[ab]c", "bc", true }, { "[!ab]c", "bc", false },
    { "[!ab]c", "xc", true }, { "[a-c]", "b", true }, { "[]", "[]", true }, { "[", "[", true },
    { "[[a", "[[a", true }, { "[[:alpha:]", "[[:alpha:]", true },
    { "a.b", "axb", false }, { "a+b%c", "a+b%c", true }, { "x{a,b}y", "xby", true },
    { "{a,b/c}/*.{c,h}", "b/c/x.h", true }, { "{a,{b,c}}", "c", true }, { "{a", "{a", true },
    { "\\*", "*", true }, { "\\*", "x", false }, { "./a//b", "a/b", true },
    { "[%]a]", "%a]", true }, { "ünï*", "ünïcode", true }, { "a*\n", "ab\n", true },
    { "[]a]", "]", true }, { "[!]a]", "b", true }, { "[!]a]", "]", false }, { "[!]", "[!]", true },
    { "\\.x", ".x", true }, { "[.]x", ".x", false }, { "*b*c", "abcbc", true },
    { "*b*c", "abcbd", false }, { "*", "", false }, { "a***", "a", true }, { "*a", "ba\0a", true },
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

  it("refuses one that is longer than any path", function()
    assert.is_nil((glob.new(("a"):rep(4097))))
    assert.is_nil((glob.name(("{a}"):rep(4000))))
    assert.is_true(matches(("a"):rep(4096), ("a"):rep(4096)))
  end)
end)

--- How many instructions it takes to match; a pattern of Lua, which none are counted in, is
--- only asked about one character.
local function cost(pattern, path)
  local match = assert(glob.new(pattern)).match
  local count = 0
  debug.sethook(function() count = count + 1 end, "", 1)
  local result = match(path)
  debug.sethook()
  return count, result
end

describe("a pattern that is made to take long", function()
  for _, case in ipairs {
    { "of stars", ("a*"):rep(60) .. "b", ("a"):rep(240) },
    { "of stars and classes", ("*[a-b]"):rep(60) .. "c", ("ab"):rep(120) },
    { "of question marks and stars", ("*?"):rep(60) .. "b", ("a"):rep(240) },
    { "of double stars", ("**/a/"):rep(60) .. "x", ("a/"):rep(120) .. "b" },
    { "of both", ("**/*a*a*a/"):rep(12) .. "x", ("aaaaaaaa/"):rep(26) .. "b" },
  } do
    it(case[1] .. " takes no more than its length times the path's", function()
      local count, result = cost(case[2], case[3])
      assert.is_false(result)
      local bound = 40 * #case[2] * #case[3]
      assert.is_true(count < bound, ("%d instructions, %d at most"):format(count, bound))
    end)
  end

  for _, text in ipairs { "[", "[a\\]" } do
    it(("of %s, which nothing closes, is read once"):format(text), function()
      local function reading(times)
        local count = 0
        debug.sethook(function() count = count + 1 end, "", 1)
        assert(glob.new(text:rep(times)))
        debug.sethook()
        return count
      end
      assert.is_true(reading(800) < 3 * reading(400))
    end)
  end

  it("of braces is expanded in no time", function()
    assert.is_nil((glob.new("{a,b}" .. ("{a}"):rep(1300) .. ("{a,b}"):rep(20))))
    assert.is_true(glob.new(("{a}"):rep(1300)).match(("a"):rep(1300)))
  end)
end)

-- ---- what the words of the manual say, and no more -----------------------------------------

local reference = {}

-- `rule` is what is left of a name's pattern.
function reference.bytes(rule, name)
  local class, rest = rule:match "^%[(.-)%](.*)$"
  local first = rule:sub(1, 1)
  if rule == "" then return name == "" end
  if first == "*" then
    return reference.bytes(rule:sub(2), name)
      or name ~= "" and reference.bytes(rule, name:sub(2))
  end
  if name == "" then return false end
  local c = name:sub(1, 1)
  if class then
    local has = class:gsub("^!", ""):find(c, 1, true) ~= nil
    return has ~= (class:sub(1, 1) == "!") and reference.bytes(rest, name:sub(2))
  end
  return (first == "?" or first == c) and reference.bytes(rule:sub(2), name:sub(2))
end

local function is_hidden(name) return name:sub(1, 1) == "." end

function reference.name(rule, name, hidden)
  if is_hidden(name) and not (hidden or is_hidden(rule)) then return false end
  return reference.bytes(rule, name)
end

function reference.path(rules, names, hidden, r, n)
  r, n = r or 1, n or 1
  local rule, name = rules[r], names[n]
  if not rule then return name == nil end
  if rule == "**" then
    return reference.path(rules, names, hidden, r + 1, n)
      or name ~= nil and (hidden or not is_hidden(name))
        and reference.path(rules, names, hidden, r, n + 1)
  end
  return name ~= nil and reference.name(rule, name, hidden)
    and reference.path(rules, names, hidden, r + 1, n + 1)
end

local SEED = math.tointeger(tonumber(os.getenv "AXO_SEED") or os.time())
local ROUNDS = math.tointeger(tonumber(os.getenv "AXO_ROUNDS") or 20000)
local PIECES = { "a", "b", ".", "*", "?", "[ab]", "[!a]", "*" }
local BYTES = { "a", "b", "." }

local function any_name(pieces, most)
  local name = {}
  for i = 1, math.random(most) do name[i] = pieces[math.random(#pieces)] end
  return table.concat(name)
end

-- A glob has no "." and ".." in it, and "**" stands for itself.
local function any_path(pieces, most, stars)
  local names = {}
  for i = 1, math.random(4) do
    repeat
      names[i] = stars and math.random(3) == 1 and "**" or any_name(pieces, most)
    until names[i] ~= "." and names[i] ~= ".."
  end
  return names
end

describe("any glob", function()
  it("matches what a matcher that tries every way matches", function()
    math.randomseed(SEED)
    local found = 0
    for round = 1, ROUNDS do
      local rules, names = any_path(PIECES, 5, true), any_path(BYTES, 6)
      local pattern, path = table.concat(rules, "/"), table.concat(names, "/")
      local hidden = math.random(2) == 1
      local expected = reference.path(rules, names, hidden)
      if expected then found = found + 1 end
      assert(expected == assert(glob.new(pattern, { hidden = hidden })).match(path),
        ("AXO_SEED=%d, round %d: %q on %q, hidden %s: not %s"):format(
          SEED, round, pattern, path, hidden, expected))
    end
    assert.is_true(found > ROUNDS // 50, "too few matched to say anything")
  end)
end)
