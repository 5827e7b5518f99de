--- The parts of axolua(1) that follow from the commands' parsers, in mdoc.
local commands = require "axolua.commands"
local grammar = require "axolua.document.grammar"
local pages = require "axolua.document.pages"

local manual = {}

local WIDTH = 76

local function escape(text)
  return (text:gsub("\\", "\\e"):gsub("`([^`]+)`", "\\(lq%1\\(rq"):gsub('"', "\\(dq"))
end

local function wrap(sentence, lines)
  local line = ""
  for word in sentence:gmatch "%S+" do
    if line ~= "" and #line + #word >= WIDTH then
      lines[#lines + 1], line = line, ""
    end
    line = line == "" and word or line .. " " .. word
  end
  if line ~= "" then lines[#lines + 1] = line end
end

--- Text in mdoc: each sentence begins a line.
---@param text string
---@return string
function manual.prose(text)
  local lines = {}
  text = escape(text):gsub("([.?!]) +(%u)", "%1\n%2")
  for sentence in text:gmatch "[^\n]+" do wrap(sentence, lines) end
  -- A line of text must not look like a request.
  for i, line in ipairs(lines) do lines[i] = line:gsub("^[.']", "\\&%0") end
  return table.concat(lines, "\n")
end

-- An argument of a macro: quoted when it could be taken apart or for a macro.
local function word(text)
  return '"' .. text:gsub("\\", "\\e"):gsub('"', '""') .. '"'
end


-- ---- guides ------------------------------------------------------------------------------

--- The guides, as a list.
---@param guides doc.Guide[]
---@return string
function manual.guides(guides)
  local lines = { ".Bl -tag -width Ds" }
  for _, guide in ipairs(guides) do
    lines[#lines + 1] = ".It Cm " .. guide.name
    lines[#lines + 1] = manual.prose(guide.title .. ".")
  end
  lines[#lines + 1] = ".El"
  return table.concat(lines, "\n")
end

-- ---- commands ----------------------------------------------------------------------------

local function argument_macro(argument)
  local text = "Ar " .. word(argument.name:upper()) .. (argument.is_many and " ..." or "")
  return argument.is_optional and "Op " .. text or text
end

local function signature(model)
  local parts = { "Cm " .. model.name }
  if #model.options > 1 then parts[#parts + 1] = "Op Ar options" end
  if #model.subcommands > 0 then parts[#parts + 1] = "Ar COMMAND Op Ar argument ..." end
  for _, argument in ipairs(model.arguments) do parts[#parts + 1] = argument_macro(argument) end
  if model.takes_command then parts[#parts + 1] = "Op Fl -\n.Ar COMMAND Op Ar argument ..." end
  return parts
end

local function option_item(option)
  local names = {}
  for i, name in ipairs(option.names) do names[i] = "Fl " .. name:sub(2) end
  local item = ".It " .. table.concat(names, " , ")
  if option.value then item = item .. " Ar " .. word(option.value.name) end
  return item
end

local function described(description, choices)
  if choices and description == "" then
    return manual.prose("One of " .. table.concat(choices, ", ") .. ".")
  end
  return manual.prose(description)
end

local function option_lines(model)
  local lines = { ".Bl -tag -width Ds" }
  for _, option in ipairs(model.options) do
    if option.names[#option.names] ~= "--help" then
      lines[#lines + 1] = option_item(option)
      lines[#lines + 1] = described(option.description, option.value and option.value.choices)
    end
  end
  lines[#lines + 1] = ".El"
  return #lines > 2 and table.concat(lines, "\n") or nil
end

-- A reference to another command takes as much room.
local SHORT = 3

-- Two commands with the same long list of options need it once.
local function options_of(model, seen)
  local lines = option_lines(model)
  if not lines or #model.options <= SHORT then return lines end
  local first = seen[lines]
  seen[lines] = first or model.name
  return first and ("The options are those of\n.Cm %s ."):format(first) or lines
end

local function argument_lines(model)
  local lines = {}
  for _, argument in ipairs(model.arguments) do
    if argument.description ~= "" then
      lines[#lines + 1] = ".Pp\n.Ar " .. word(argument.name:upper()) .. " :"
      lines[#lines + 1] = manual.prose(argument.description)
    end
  end
  return #lines > 0 and table.concat(lines, "\n") or nil
end

local function section(model, seen)
  local parts = { ".It Xo", "." .. table.concat(signature(model), "\n."), ".Xc" }
  parts[#parts + 1] = manual.prose(model.description)
  parts[#parts + 1] = argument_lines(model)
  parts[#parts + 1] = options_of(model, seen)
  return table.concat(parts, "\n")
end

--- The list of commands, with their options.
---@return string
function manual.commands()
  local parts, seen = { ".Bl -tag -width Ds" }, {}
  for _, model in ipairs(grammar.flat()) do parts[#parts + 1] = section(model, seen) end
  parts[#parts + 1] = ".El"
  return table.concat(parts, "\n")
end

--- The synopsis: a line for each command.
---@return string
function manual.synopsis()
  local parts = {}
  for _, model in ipairs(grammar.flat()) do
    if #model.subcommands == 0 then
      parts[#parts + 1] = ".Nm axolua\n." .. table.concat(signature(model), "\n.")
    end
  end
  return table.concat(parts, "\n")
end

--- What axolua's exit status means.
---@return string
function manual.exit_status()
  local lines = { ".Bl -tag -width Ds" }
  for _, code in ipairs(commands.exit_codes) do
    lines[#lines + 1] = ".It " .. word(code[1])
    lines[#lines + 1] = manual.prose(code[2])
  end
  lines[#lines + 1] = ".El"
  return table.concat(lines, "\n")
end

--- The manual: a template's text with its @PARTS@ filled in.
---@param template string
---@param version string
---@return string
function manual.render(template, version)
  local parts = {
    SYNOPSIS = manual.synopsis, COMMANDS = manual.commands, EXIT_STATUS = manual.exit_status,
    VERSION = function() return version end,
    GUIDES = function() return manual.guides(pages.guides()) end,
  }
  return (template:gsub("@([%u_]+)@", function(name) return parts[name] and parts[name]() end))
end

return manual
