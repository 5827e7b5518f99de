-- The counted functions give what string's own give.
local core = require "axosandbox.core"

local function outcome(lib, name, ...)
  local result = table.pack(pcall(lib[name], ...))
  -- Who raised it stands before the message, or in it.
  if not result[1] then
    result[2] = result[2]:gsub("^.-:%d+: ", ""):gsub("#(%d) to '.-'", "#%1")
  end
  return result
end

local function check(name, ...)
  assert.same(outcome(string, name, ...), outcome(core.pattern, name, ...))
end

local function all(lib, ...)
  local found = {}
  for a, b in lib.gmatch(...) do found[#found + 1] = { a, b } end
  return found
end

local TEXTS = {
  "", "a", "hello world", "k=v; k2=v2", "((a)(b))", "THE (quick) fox", "a\0b\0", "x.y-z",
}
local PATTERNS = {
  "", "a", ".", "^h", "d$", "$", "^", "%w+", "(%w+)=(%w+)", "%b()", "%f[%w]%w+", "()o()",
  "(h)(e)%2?l", "[^%s]+", "[]]", "[a-f%d]*", "[%a-]", "x?y-", "(.)%1", "((a)(b))", "%0", "%1",
  "(", ")", "%", "[a", "%f", "%b", "[^", "a-$", "^a*$", "\0", "%z", "()", "(()(",
  ("a?"):rep(220), ("(a)"):rep(40),
}

describe("a counted pattern", function()
  it("finds, captures and raises as Lua's own", function()
    for _, text in ipairs(TEXTS) do
      for _, pattern in ipairs(PATTERNS) do
        for _, init in ipairs { 1, 3, -2, 0, 99 } do
          check("find", text, pattern, init)
          check("match", text, pattern, init)
        end
        check("find", text, pattern, 1, true)
      end
    end
    check("find", 123, 2)
    check("find", "x", {})
    check("match", "x", "x", {})
  end)

  it("replaces as Lua's own", function()
    local by = {
      "", "<%0>", "%1%1", "%2", "%%", "%", "%a", 7, { hello = "bye", a = false }, { o = {} },
      function(a, b) return b and a .. b end, function() return {} end, true,
    }
    for _, text in ipairs(TEXTS) do
      for _, pattern in ipairs(PATTERNS) do
        for _, replacement in ipairs(by) do
          check("gsub", text, pattern, replacement)
          check("gsub", text, pattern, replacement, 1)
        end
      end
    end
    check("gsub", "aaa", "a", "b", -1)
  end)

  it("goes through all matches as Lua's own", function()
    for _, text in ipairs(TEXTS) do
      for _, pattern in ipairs { "%w*", "()", ".", "(%w)(%w)", "^h", "x*" } do
        assert.same(all(string, text, pattern), all(core.pattern, text, pattern))
        assert.same(all(string, text, pattern, -2), all(core.pattern, text, pattern, -2))
      end
    end
  end)

  it("builds no more than so much", function()
    local text = ("x"):rep(2000)
    assert.has_error(function() core.pattern.gsub(text, "x", text) end,
      "the result would be longer than 1048576 bytes")
  end)
end)
