local support = require "spec.support.cli"
support.expose_libraries()
local command_line = require "axolua.cli.command_line"
local commands = require "axolua.commands"
local grammar = require "axolua.document.grammar"
local foreign_options = require "axolua.cli.foreign_options"
local foreign_commands = require "axolua.cli.foreign_commands"

-- `ours | command`, with `--` where it set the command apart.
local CASES = {
  { "run", "ls -l", "", "ls -l" },
  { "run", "--dir . npm test --watch", "--dir .", "npm test --watch" },
  { "run", "--dir=. npm -- test", "--dir=.", "npm -- test" },
  { "run", "-it -- ls", "-it", "ls", true },
  { "run", "-- -x", "", "-x", true },
  { "run", "-itw /x ls", "-itw /x", "ls" },
  { "run", "-w/x ls -w y", "-w/x", "ls -w y" },
  { "run", "-e A=1 -eB=2 --env C=3 env", "-e A=1 -eB=2 --env C=3", "env" },
  { "run", "-p 80:80 -m 1g -u 0 --rm --name x id", "-p 80:80 -m 1g -u 0 --rm --name x", "id" },
  { "run", "-p -- ls", "-p", "ls", true },
  { "run", "--rm --json", "--rm --json", nil },
  { "run", "- x", "", "- x" },
  { "run", "--nonsense value ls", "--nonsense", "value ls" },
  { "exec", "demo ls -l", "demo", "ls -l" },
  { "exec", "-it demo sh -c x", "-it demo", "sh -c x" },
  { "exec", "demo -e A=1 --cwd / -- sh", "demo -e A=1 --cwd /", "sh", true },
  { "exec", "demo --quiet sh -q", "demo --quiet", "sh -q" },
  { "exec", "demo", "demo", nil },
  { "exec", "-u root demo whoami", "-u root demo", "whoami" },
}

local function words_of(text)
  local words = {}
  for word in text:gmatch "%S+" do words[#words + 1] = word end
  return words
end

describe("the command within a command line", function()
  for _, case in ipairs(CASES) do
    it(("of `%s %s`"):format(case[1], case[2]), function()
      local ours, command, with_dashes =
        command_line.split(commands.load(case[1]).parser(), words_of(case[2]))
      assert.same(words_of(case[3]), ours)
      assert.same(case[4] and words_of(case[4]), command)
      assert.equal(case[5] or false, with_dashes)
    end)
  end
end)

describe("what other tools have", function()
  it("is answered only where we have none of it", function()
    for _, model in ipairs(grammar.commands()) do
      for _, option in ipairs(model.options) do
        for _, name in ipairs(option.names) do
          if model.name == "run" or model.name == "shell" then
            local _, words = foreign_options.answer(model.name,
              ("unknown option '%s'"):format(name), {})
            assert.is_nil(words, model.name .. " " .. name)
          end
        end
      end
      assert.is_nil(foreign_commands.answer(model.name), model.name)
    end
  end)

  it("is no business of commands that make or enter no container", function()
    local name, words = foreign_options.answer("ps", "unknown option '--label'", {})
    assert.equal("--label", name)
    assert.is_nil(words)
    assert.is_nil(foreign_options.answer("completion", "unknown option '--label'", {}))
  end)
end)
