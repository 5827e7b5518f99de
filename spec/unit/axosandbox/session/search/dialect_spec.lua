--- What is said as an extended regular expression matches what PCRE2 matches, or is not said.
local dialect = require "axosandbox.session.search.dialect"
local proc = require "spec.support.proc"
local temp = require "spec.support.temp"
local janitor = require "spec.support.janitor"

local LINES = { "a", "-", "~", " ", "a-z", "b", "m", "]", "^", "\\", "*", "aé", "aéé", "a",
  "5", "a5", "[x", "!", "[", "é", "aa", "+a", "{2}" }

local SAID = { "[\\ -~]", "[^\\ -~]", "[!-~]", "[ -,]", "[a-]", "[-a]", "[a\\-z]",
  "[\\]]", "[\\^a]", "[]a]", "[a^]", "[\\d-]", "[[:digit:]a-m]", "^aé?$", "^aé*$", "^aé{2}$",
  "aé+$", "^a\\*?", "\\+a", "x{,", "^é$", "[*+]", "(?:a|b)*m" }

local WRONG = { "*a", "+", "?a", "a|*b", "(+a)", "(?:?)", "a**", "{2}a", "a{2}*" }
local NOT_SAID = { "[a-\\d]", "[\\d-z]", "[+-^]", "[é]", "[à-é]", "^*", "a$+", "\\b?", "[\\--z]" }

describe("an extended regular expression", function()
  local file, mark
  setup(function()
    mark = janitor.mark()
    file = temp.write(temp.dir() .. "/lines", table.concat(LINES, "\n") .. "\n")
  end)
  teardown(function() janitor.sweep(mark) end)

  local function grep(argv, locale)
    argv[#argv + 1] = file
    local result = proc.run(argv, { env = { "LC_ALL=" .. locale, "PATH=" .. os.getenv "PATH" } })
    assert.is_true(result.code <= 1, result.stderr)
    return result.stdout
  end

  for _, pattern in ipairs(SAID) do
    it("says " .. pattern, function()
      local said = assert(dialect.extended(pattern))
      local expected = grep({ "grep", "-anP", "-e", pattern }, "C.UTF-8")
      assert.equal(expected, grep({ "grep", "-anE", "-e", said.pattern }, "C"))
      assert.equal(expected, grep({ "busybox", "grep", "-nE", "-e", said.pattern }, "C"))
    end)
  end

  for _, pattern in ipairs(WRONG) do
    it("knows that this is none: " .. pattern, function()
      local said, problem, is_wrong = dialect.extended(pattern)
      assert.is_nil(said)
      assert.matches("nothing for its .* to repeat", problem)
      assert.is_true(is_wrong)
    end)
  end

  for _, pattern in ipairs(NOT_SAID) do
    it("does not say " .. pattern, function()
      local said, problem, is_wrong = dialect.extended(pattern)
      assert.is_nil(said)
      assert.is_string(problem)
      assert.is_nil(is_wrong)
    end)
  end
end)

describe("a pattern for lines that end in CRLF", function()
  for pattern, said in pairs {
    ["a$"] = "a(?=\r?$)", ["\\$[$]$"] = "\\$[$](?=\r?$)", ["[]$]"] = "[]$]", ["[^]$]"] = "[^]$]",
    ["[[:^alpha:]$]"] = "[[:^alpha:]$]", ["\\Q$"] = "\\Q$",
  } do
    it("is said for " .. pattern, function()
      assert.equal(said, dialect.with_crlf(pattern))
    end)
  end

  it("is read once where brackets are not closed", function()
    local function reading(times)
      local count, pattern = 0, ("["):rep(times)
      debug.sethook(function() count = count + 1 end, "", 1)
      assert.equal(pattern, dialect.with_crlf(pattern))
      debug.sethook()
      return count
    end
    assert.is_true(reading(800) < 3 * reading(400))
  end)
end)
