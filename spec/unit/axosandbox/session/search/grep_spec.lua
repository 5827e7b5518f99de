--- The search helper finds what GNU grep finds: random expressions on random lines. It is about the
--- short ways that the helper takes, such as looking for a text that each match must have.
local uv = require "luv"
local core = require "axosandbox.core"
local result = require "axosandbox.way.result"
local search = require "axosandbox.session.search"
local janitor = require "spec.support.janitor"
local proc = require "spec.support.proc"
local temp = require "spec.support.temp"

local PROGRAM = assert(os.getenv "AXO_BUILD") .. "/lib/axosandbox/axo-search"
if uv.fs_stat(PROGRAM .. "_checked") then PROGRAM = PROGRAM .. "_checked" end

local SEED = tonumber(os.getenv "AXO_SEED") or uv.hrtime() // 1
local ROUNDS = tonumber(os.getenv "AXO_ROUNDS") or 150

local ATOMS = { "a", "b", "ab", "k", "S", "é", "\\.", "\\(", ".", "[ab]", "[^a]", "[]a]", "[^\\]x]",
  "\\d", "\\w", "\\b", "\\s", "(ab|k)", "(?:é|b)", "(a(b)?)", "(?=b)", "(?i)",
  "\\x61", "\\Qa.\\E", "x",
  "\\t", "^", "$", "a{2}", "b{0,2}", "{", "}",
  "\\p{L}", "(?#c)", "[[:alpha:]]", "|", "(x|)", "\\K" }
local QUANTIFIERS = { "", "", "", "", "*", "+", "?", "*?", "++", "{1,2}" }
local WORDS = { "a", "b", "ab", "aab", "k", "K", "\u{212A}",
   "s", "S", "ſ", "é", "É", ".", "(", "]", "x",
  "1", " ", "\t", "{", "}", "_", "a.", "|" }

local function some(list, max)
  local picked = {}
  for i = 1, math.random(0, max) do picked[i] = list[math.random(#list)] end
  return picked
end

local function random_pattern()
  local parts = some(ATOMS, 5)
  for i, part in ipairs(parts) do parts[i] = part .. QUANTIFIERS[math.random(#QUANTIFIERS)] end
  return table.concat(parts)
end

describe("the search helper and grep -P", function()
  local root, sb, mark
  setup(function()
    mark = janitor.mark()
    math.randomseed(SEED)
    root = temp.dir()
    for f = 1, 6 do
      local lines = {}
      for i = 1, 60 do lines[i] = table.concat(some(WORDS, 12)) end
      temp.write(("%s/f%d"):format(root, f), table.concat(lines, "\n") .. (f > 1 and "\n" or ""))
    end
    local fake = { root = root, search_program = PROGRAM, exec = function(_, spec, done)
      return core.spawn(spec.argv, { cwd = "/", env = {}, max_output = spec.max_output },
        function(raw) done(nil, result.new(raw)) end)
    end }
    sb = setmetatable({ way = fake }, { __index = search.methods })
  end)
  teardown(function() janitor.sweep(mark) end)

  local function by_grep(pattern, flags)
    local out = proc.run({ "grep", "-rn" .. flags, "-e", pattern, "." },
      { cwd = root, env = { "LC_ALL=C.UTF-8", "PATH=" .. os.getenv "PATH" } })
    if out.code > 1 then return nil end
    local lines = {}
    for line in (out.stdout):gmatch "[^\n]+" do lines[#lines + 1] = line:match "^%./(f%d:%d+:)" end
    table.sort(lines)
    return lines
  end

  local function by_us(pattern, opts)
    local matches = sb:grep(pattern, opts)
    if not matches then return nil end
    local lines = {}
    for i, match in ipairs(matches) do lines[i] = ("%s:%d:"):format(match.path, match.line) end
    table.sort(lines)
    return lines
  end

  for _, how in ipairs {
    { name = "as it stands", flags = "P" },
    { name = "whatever the case", flags = "Pi", ignore_case = true },
    { name = "as plain text", flags = "F", fixed = true },
  } do
    it("agree on a pattern " .. how.name, function()
      local agreed = 0
      for _ = 1, ROUNDS // 3 do
        local pattern = random_pattern()
        local expected = by_grep(pattern, how.flags)
        if expected then
          local opts = { ignore_case = how.ignore_case, fixed = how.fixed, max = 100000 }
          assert.same(expected, by_us(pattern, opts), ("%q, AXO_SEED=%d"):format(pattern, SEED))
          agreed = agreed + 1
        end
      end
      assert.is_true(agreed > 0)
    end)
  end
end)
