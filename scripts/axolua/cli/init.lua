--- What every command shares: its command line, its errors, its exit codes.
local argparse = require "argparse"
local axo = require "axosandbox"
local uv = require "luv"
local command_line = require "axolua.cli.command_line"
local examples = require "axolua.document.examples"
local foreign_options = require "axolua.cli.foreign_options"
local output = require "axolua.view.output"
local status = require "axolua.view.status"
local style = require "axolua.view.style"
local text = require "axolua.view.text"

local cli = {}

cli.LEAST_MEMORY = 6 * 2 ^ 20 -- below it nothing starts; the least that docker takes, too
cli.FAILED = 125 -- axolua itself failed, as opposed to the command
cli.USAGE = 2
cli.NOT_EXECUTABLE = 126
cli.NOT_FOUND = 127
cli.TIMED_OUT = 124
cli.BROKEN_PIPE = 128 + 13 -- our reader went away

-- Thrown and caught by `cli.guarded`: an early end of a command.
local Exit = {}

local function leave(code, fd, message)
  error(setmetatable({ code = code, fd = fd, message = message }, Exit), 0)
end

local NARROWEST, WIDEST = 66, 88

-- The columns that help has: those of the terminal.
local function columns()
  local tty = uv.guess_handle(1) == "tty" and uv.new_tty(1, false)
  local found = tty and tty:get_winsize()
  if tty then tty:close() end
  return math.max(NARROWEST, math.min(WIDEST, found and found > 0 and found or 80))
end

--- A parser whose --help and errors come back here instead of ending the process.
---@param name string the command
---@param description string
---@param tail string? what follows the options in the usage line
function cli.parser(name, description, tail)
  local parser = argparse("axolua " .. name, description)
  parser:add_help(false)
  local width = columns()
  parser:usage_max_width(width)
  parser:help_max_width(width)
  if tail then
    parser:usage(("Usage: axolua %s [options]%s"):format(name, tail))
  end
  parser.full_name, parser.by_name = name, {}
  parser.takes_command = tail ~= nil and tail:find("COMMAND", 1, true) ~= nil
  parser:flag "-h --help"
    :description "Show this help."
    :action(function() parser.wants_help = true end)
  return parser
end

--- Adds a command beneath a command, with a --help of its own.
---@param parser table
---@param name string
---@param description string
---@return table command
function cli.subcommand(parser, name, description)
  local command = parser:command(name, description)
  command:add_help(false)
  command:flag "-h --help"
    :description "Show this help."
    :action(function() parser.wants_help = command end)
  command.full_name = parser.full_name .. " " .. name
  parser.by_name[name] = command
  return command
end

--- What --help shows: the options, and examples.
---@param parser table
---@return string
function cli.help_of(parser)
  local lines = { parser:get_help(), "", "Examples:" }
  local width = columns()
  for _, example in ipairs(examples[parser.full_name] or {}) do
    local line = ("   %-38s  %s"):format(example[1], example[2])
    if #example[1] <= 38 and #line <= width then
      lines[#lines + 1] = line
    else
      lines[#lines + 1] = "   " .. example[1]
      lines[#lines + 1] = "      " .. example[2]
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

--- Ends the command: it was called wrongly.
---@param parser table
---@param message string
function cli.usage(parser, message)
  leave(cli.USAGE, 2, ("axolua: %s\n%s\nsee: axolua %s --help\n"):format(
    text.printable(message), parser:get_usage(), parser.full_name))
end

-- What another tool has, and we have not, is answered by why and what to do.
local function refuse(parser, complaint, arguments)
  local what, words = foreign_options.answer(parser.full_name, complaint, arguments)
  if not words then return end
  leave(cli.USAGE, 2, ("axolua: %s: not here: %s\nsee: axolua %s --help\n"):format(
    text.printable(what), words, parser.full_name))
end

-- A number below zero is an option's value, and no option: the value's own check refuses it.
local function with_joined_numbers(arguments)
  local words = {}
  for _, word in ipairs(arguments) do
    local option = words[#words]
    if word:find "^%-%.?%d" and option and option:find "^%-%-[%w-]+$" then
      words[#words] = option .. "=" .. word
    else
      words[#words + 1] = word
    end
  end
  return words
end

--- Parses; a wrong command line ends the command with code 2.
---@param parser table
---@param arguments string[]
---@return table
function cli.parse(parser, arguments)
  local ok, result = parser:pparse(with_joined_numbers(arguments))
  local help = parser.wants_help
  if help then leave(0, 1, cli.help_of(help == true and parser or help)) end
  if ok then return result end
  refuse(parser, result, arguments)
  cli.usage(parser.by_name[arguments[1]] or parser, result)
end

--- The `main` of a command whose subcommands are actions. One gets the arguments, and a function
--- that ends it as a wrong command line.
---@param new_parser fun(): table its positional argument is `action`
---@param actions table<string, fun(args: table, usage: fun(message: string)): integer>
---@return fun(arguments: string[]): integer
function cli.main_of(new_parser, actions)
  return function(arguments)
    local parser = new_parser()
    local args = cli.parse(parser, arguments)
    return actions[args.action](args, function(message)
      cli.usage(parser.by_name[args.action], message)
    end)
  end
end

--- Parses what is ours; what is left is the command, and there must be one.
---@param parser table
---@param arguments string[]
---@return table options, string[] command
---@return boolean with_dashes the command was set apart by `--`
function cli.parse_with_command(parser, arguments)
  local ours, command, with_dashes = command_line.split(parser, arguments)
  local args = cli.parse(parser, ours)
  if not command or #command == 0 then
    cli.usage(parser, "no command to run: put it, with its arguments, at the end, "
      .. "or open a shell by `sh`")
  end
  return args, command, with_dashes
end

--- A number that an option was given, checked. For argparse's :convert.
---@param what string
---@param minimum number
---@param is_integer boolean?
function cli.number(what, minimum, is_integer)
  return function(word)
    local value = tonumber(word)
    if value and is_integer then value = math.tointeger(value) end
    if not value or value ~= value or value < minimum or value == math.huge then
      return nil, ("%s: %q is not %s of at least %s"):format(
        what, word, is_integer and "a whole number" or "a number", minimum)
    end
    return value
  end
end

--- A size of memory that an option was given, checked. For argparse's :convert.
---@param what string
function cli.size(what)
  return function(word)
    local bytes, problem = axo.policy.bytes(word)
    if bytes and bytes < cli.LEAST_MEMORY then
      problem = ("%d bytes are too few, 6m is the least%s"):format(bytes,
        tonumber(word) and (": did you mean %sm?"):format(word) or "")
    end
    if problem then return nil, ("%s: %s"):format(what, problem) end
    return word
  end
end

--- A path or a name that an option was given, which is not empty. For argparse's :convert.
---@param what string
function cli.name(what)
  return function(word)
    if word ~= "" then return word end
    return nil, what .. ": what it names is empty"
  end
end

--- A session's id, checked. For argparse's :convert.
---@param word string
---@return string?, string?
function cli.session_id(word)
  local problem = axo.check.id(word)
  if problem then return nil, problem end
  return word
end

--- A raised message without the "file:line:" that Lua puts before it, and without the name of
--- the Lua function that raised it.
---@param raised any
---@return string
function cli.without_position(raised)
  local message = tostring(raised):gsub("^[^%s:]+:%d+: ", "")
  message = message:gsub("^axo%.[%w_.]+: ", "", 1):gsub("^%l+:[%l_]+: ", "", 1)
  return (message:gsub("^axosandbox: ", "", 1))
end

local COLOURS = { ["warning:"] = "yellow", ["error:"] = "red" }

local function to_stderr(line)
  status.aside(function() output.print(2, line .. "\n") end)
end

--- Says something on stderr.
---@param message string
function cli.say(message)
  message = text.printable(message)
  local word, rest = message:match "^(%l+:)(.*)$"
  if COLOURS[word] then message = style.painter(2)(COLOURS[word], word) .. rest end
  to_stderr("axolua: " .. message)
end

--- Says that memory ran out, if it did.
---@param ended axo.Result|axo.WorkStatus
---@param sb axo.Session
---@param what string "the command"
function cli.say_oom(ended, sb, what)
  local sentence, hint = axo.errors.memory(ended, sb:limits(), what, "cli")
  if sentence then cli.say(("%s; %s"):format(sentence, hint)) end
end

-- What the library's operations are called here; nothing where the command's name says it.
local OPERATIONS = {
  open = "", stop = "", get_task = "", get_terminal = "", env_from = "--env-from: ",
  post_create = "post-create: ", stat = "", image = "",
  ["image ls"] = "", ["image use"] = "", ["image rm"] = "", ["image make"] = "",
  ["image pull"] = "",
}

local function operation(err)
  local op = err.op or ""
  return OPERATIONS[op] or (op ~= "" and op .. ": " or "")
end

--- Says what went wrong, why, and what to do next.
---@param err axo.Error|string
---@return integer code the exit code for it
function cli.fail(err)
  if type(err) == "string" then err = { message = err } end
  local name = style.painter(2)("red", "axolua:")
  to_stderr(name .. " " .. text.printable(operation(err) .. tostring(err.message)))
  local hint = axo.errors.hint(err, "cli")
  if hint then to_stderr("        " .. text.printable(hint)) end
  return cli.FAILED
end

-- What an agent or a person sees of a failure to run a command at all, as shells have it.
local CODES = { NOT_FOUND = cli.NOT_FOUND, NOT_EXECUTABLE = cli.NOT_EXECUTABLE }

--- Says why a command could not be run, or not to its end.
---@param err axo.Error
---@return integer code the exit code for it
function cli.fail_to_run(err)
  cli.fail(err)
  return CODES[err.code] or cli.FAILED
end

--- Ends the command: it cannot be done.
---@param message string
---@param hint string what to do next
function cli.abort(message, hint)
  leave(cli.FAILED, 2, ("axolua: %s\n        %s\n"):format(
    text.printable(message), text.printable(hint)))
end

--- Prints to stdout. A reader that has had enough is no error.
---@param bytes string
function cli.print(bytes)
  output.print(1, bytes)
end

--- Prints a value to stdout, as JSON on a line, for programs.
---@param value table
function cli.print_json(value)
  cli.print(axo.json.encode(value) .. "\n")
end

local function call(fn, arguments)
  local result = table.pack(xpcall(fn, function(raised)
    if getmetatable(raised) == Exit then return raised end
    return debug.traceback(tostring(raised), 2)
  end, arguments))
  -- A code that was read from a file is a float.
  if result[1] then return math.tointeger(result[2]) or 0 end
  local raised = result[2]
  if getmetatable(raised) ~= Exit then
    output.print(2, "axolua: an internal error, which should not happen:\n" .. raised .. "\n")
    return cli.FAILED
  end
  output.print(raised.fd, raised.message)
  return raised.code
end

--- Calls a command; its early ends, what it raises, and output that is lost become exit codes.
---@param fn fun(arguments: string[]): integer?
---@param arguments string[]
---@return integer code
function cli.guarded(fn, arguments)
  local code = call(fn, arguments)
  local problem = output.loss()
  return problem and cli.fail(problem) or code
end

return cli
