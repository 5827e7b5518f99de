--- What axolua can be told, read from the commands' own parsers: completion and the manual are
--- made from it, so that a new command or option is in both without more ado.
---
--- What completes a value follows from its placeholder: DIR, FILE, ID (a session), TASK,
--- TOPIC
--- and PAGE (of `axolua help`), or the choices that the parser knows.
local commands = require "axolua.commands"

local grammar = {}

local KINDS = { DIR = "dir", FILE = "file", ID = "session", TASK = "task", TOPIC = "topic",
  PAGE = "page" }

---@class cli.Value what an option or an argument takes
---@field name string its placeholder
---@field kind "dir"|"file"|"session"|"task"|"topic"|"page"|"choice"|"other"
---@field choices string[]?

---@class cli.OptionModel
---@field names string[] "-q", "--quiet"
---@field value cli.Value? nil: a flag
---@field description string
---@field is_repeatable boolean

---@class cli.ArgumentModel: cli.Value
---@field description string
---@field is_optional boolean
---@field is_many boolean

---@class cli.CommandModel
---@field name string "run", or "policy show"
---@field summary string
---@field description string
---@field options cli.OptionModel[]
---@field arguments cli.ArgumentModel[]
---@field subcommands cli.CommandModel[]
---@field takes_command boolean it ends in `[--] COMMAND [ARGS...]`

local function value_of(element, placeholder)
  local choices = element._choices
  return {
    name = placeholder,
    kind = choices and "choice" or KINDS[placeholder:upper()] or "other",
    choices = choices,
  }
end

local function placeholder_of(option)
  local given = option._argname
  if type(given) == "table" then given = given[1] end
  return given or option._name:gsub("^%-+", ""):upper()
end

local function option_model(option)
  return {
    names = option._public_aliases,
    value = option._maxargs > 0 and value_of(option, placeholder_of(option)) or nil,
    description = option._description or "",
    is_repeatable = option._maxcount > 1,
  }
end

local function argument_model(argument)
  local model = value_of(argument, argument._name)
  model.description = argument._description or ""
  model.is_optional = argument._minargs == 0
  model.is_many = argument._maxargs > 1
  return model
end

local function map(elements, fn)
  local models = {}
  for _, element in ipairs(elements) do
    if not element._hidden then models[#models + 1] = fn(element) end
  end
  return models
end

local function command_model(name, parser, summary)
  local description = parser._description or ""
  return {
    name = name,
    summary = summary or parser._summary or description,
    description = description,
    options = map(parser._options, option_model),
    arguments = map(parser._arguments, argument_model),
    subcommands = map(parser._commands, function(command)
      return command_model(name .. " " .. command._name, command)
    end),
    takes_command = parser.takes_command or false,
  }
end

--- One of axolua's commands.
---@param name string
---@return cli.CommandModel
function grammar.command(name)
  local command = commands.load(name)
  return command_model(name, command.parser(), command.summary)
end

--- All of them, in the order of help.
---@return cli.CommandModel[]
function grammar.commands()
  local models = {}
  for i, name in ipairs(commands.names) do models[i] = grammar.command(name) end
  return models
end

--- All of them, each followed by its own subcommands.
---@return cli.CommandModel[]
function grammar.flat()
  local models = {}
  for _, model in ipairs(grammar.commands()) do
    models[#models + 1] = model
    table.move(model.subcommands, 1, #model.subcommands, #models + 1, models)
  end
  return models
end

--- The words that may stand first on the command line.
---@return string[]
function grammar.first_words()
  local words = table.move(commands.names, 1, #commands.names, 1, {})
  for _, entry in ipairs(commands.built_in) do
    local word = entry[1]:match "^[%w-]+"
    if not entry[1]:find "^FILE" then words[#words + 1] = word end
  end
  words[#words + 1] = "--help"
  return words
end

return grammar
