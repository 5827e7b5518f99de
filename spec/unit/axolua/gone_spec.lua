-- A shell can stand in a directory that was removed: no command takes that for an internal error.
local support = require "spec.support.cli"
local temp = require "spec.support.temp"
local janitor = require "spec.support.janitor"

local GONE = 'mkdir "$0x" && cd "$0x" && rmdir "$0x" && exec "$AXOLUA" "$@"'

describe("axolua in a directory that is gone", function()
  local mark
  before_each(function() mark = janitor.mark() end)
  after_each(function() janitor.sweep(mark) end)

  local function run(...)
    return support.shell(('dir=%s; %s'):format(temp.dir(), GONE:gsub("%$0x", "$dir/x")), ...)
  end

  local NEEDS_IT = {
    { "run", "--", "true" }, { "run", "--dir", "sub", "--", "true" }, { "shell" }, { "mcp" },
    { "run", "--env-from", "T=file:secret", "--dir", "/tmp/x", "--", "true" },
    { "policy", "show" }, { "policy", "check", "exec.lua" }, { "audit", "--file", "log" },
  }
  for _, words in ipairs(NEEDS_IT) do
    it("says so where a name is relative to it: " .. table.concat(words, " "), function()
      local result = run(table.unpack(words))
      assert.is_true(result.code == 125 or result.code == 2, result.stderr)
      assert.matches("the current directory is gone", result.stderr)
      assert.matches("cd to a directory that exists", result.stderr)
      assert.equal("", result.stdout)
    end)
  end

  local NEEDS_IT_NOT = {
    { 125, "exec", "no-such-session", "--", "true" }, { 125, "stop", "no-such-session" },
    { 125, "logs", "no-such-session", "t" }, { 0, "ps" }, { 0, "port" }, { 0, "stats" },
    { 0, "policy", "show", "exec", "--dir", "/tmp/x" }, { 0, "help" }, { 0, "-e", "print(1)" },
  }
  for _, case in ipairs(NEEDS_IT_NOT) do
    it("does what needs it not: " .. table.concat(case, " ", 2), function()
      local result = run(table.unpack(case, 2))
      assert.equal(case[1], result.code, result.stderr)
      assert.not_matches("internal error", result.stderr)
      assert.not_matches("is gone", result.stderr)
    end)
  end
end)
