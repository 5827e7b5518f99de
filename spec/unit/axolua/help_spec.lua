-- Every --help ends with two examples that its own command line takes, and fits a terminal.
local support = require "spec.support.cli"
support.expose_libraries()
local commands = require "axolua.commands"
local grammar = require "axolua.document.grammar"
local examples = require "axolua.document.examples"

local function help_of(name)
  local words = {}
  for word in name:gmatch "%S+" do words[#words + 1] = word end
  words[#words + 1] = "--help"
  return support.run(words)
end

-- What its parser says of an example; nothing of those that end in a command of their own.
local function refusal(model, line)
  local name = model.name:match "^%S+"
  local words, parser = {}, commands.load(name).parser()
  if parser.takes_command or line:find "[<|]" then return nil end
  for word in line:match("axolua " .. name .. "(.*)$"):gmatch "%S+" do words[#words + 1] = word end
  local ok, problem = parser:pparse(words)
  return not ok and line .. ": " .. problem or nil
end

-- The options of a command line that its command does not have.
local function unknown(model, line)
  local known, found = { ["--"] = true }, {}
  for _, option in ipairs(model.options) do
    for _, name in ipairs(option.names) do known[name] = true end
  end
  local own = line:match("axolua " .. model.name:gsub("%p", "%%%0") .. "(.*)$") or ""
  for word in own:gmatch "%f[%-%w]%-[%w-]+" do
    if not known[word] then found[#found + 1] = line .. ": " .. word end
  end
  return found
end

describe("help", function()
  for _, model in ipairs(grammar.flat()) do
    it("of " .. model.name .. " ends with two examples and fits 80 columns", function()
      local shown = help_of(model.name)
      assert.equal(0, shown.code, shown.stderr)
      local tail = assert(shown.stdout:match "\n\nExamples:\n(.*)$")
      assert.equal(2, #assert(examples[model.name]))
      for _, example in ipairs(examples[model.name]) do
        assert.is_truthy(tail:find(example[1], 1, true) and tail:find(example[2], 1, true))
        assert.is_truthy(example[1]:find("axolua " .. model.name, 1, true))
        assert.same({}, unknown(model, example[1]))
        assert.is_nil(refusal(model, example[1]))
      end
      for line in shown.stdout:gmatch "[^\n]+" do assert.is_true(utf8.len(line) <= 80, line) end
    end)
  end

  it("has no example of a command that is gone", function()
    local known = {}
    for _, model in ipairs(grammar.flat()) do known[model.name] = true end
    for name in pairs(examples) do assert.is_true(known[name], name) end
  end)

  it("fits a narrow terminal", function()
    local screen = support.on_terminal("$AXOLUA run --help", {}, { 24, 70 })
    screen.shows "Examples:"
    for line in screen.text:gmatch "[^\r\n]+" do assert.is_true(utf8.len(line) <= 70, line) end
  end)
end)
