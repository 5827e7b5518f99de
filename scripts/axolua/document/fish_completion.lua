--- Completion for fish: the commands' options as `complete` lines, and one function that finds out
--- where on the command line one is.
local grammar = require "axolua.document.grammar"

local fish_completion = {}

local HEAD = [=[
# Completion of axolua for fish, made by `axolua completion fish`.

# What stands before the cursor: the command in __axolua_name, how many arguments of ours, the first
# of them, and the words of the command to run, if it has begun.
function __axolua_scan
    set -g __axolua_name ''
    set -g __axolua_count 0
    set -g __axolua_session ''
    set -g __axolua_given
    set -g __axolua_inside
    set -g __axolua_began 0
    set -l tokens (commandline -opc)
    set -l waiting 0
    for word in $tokens[2..-1]
        if test $__axolua_began = 1
            set -a __axolua_inside $word
        else if test $waiting = 1
            set waiting 0
        else if test -z "$__axolua_name"
            set __axolua_name $word
        else if test $word = --
            set __axolua_began 1
        else if string match -q -- '-*' $word
            if contains -- $word (__axolua_takes)
                set waiting 1
            end
        else if contains -- "$__axolua_name $word" $__axolua_subcommands
            set __axolua_name "$__axolua_name $word"
        else
            set -l expected (__axolua_expected)
            if test -n "$expected"; and test $__axolua_count -ge $expected
                set __axolua_began 1
                set -a __axolua_inside $word
            else
                test -n "$__axolua_session"; or set __axolua_session $word
                set -a __axolua_given $word
                set __axolua_count (math $__axolua_count + 1)
            end
        end
    end
end

function __axolua_is
    __axolua_scan
    test $__axolua_began = 0; and test "$__axolua_name" = "$argv[1]"
end

# At the argument of that number; with a second one, at any from there on.
function __axolua_at
    __axolua_is $argv[1]; or return 1
    if set -q argv[3]
        test $__axolua_count -ge $argv[2]
    else
        test $__axolua_count -eq $argv[2]
    end
end

function __axolua_is_first
    __axolua_scan
    test -z "$__axolua_name"
end

# The command to run: begun, or about to.
function __axolua_runs
    __axolua_scan
    test $__axolua_began = 1; and return 0
    set -l expected (__axolua_expected)
    test -n "$expected"; and test $__axolua_count -eq $expected
end

function __axolua_command_line
    set -l line (string join ' ' -- (string escape -- $__axolua_inside) (commandline -ct))
    complete --do-complete=$line
end

function __axolua_sessions
    set -l program (commandline -opc)[1]
    for id in ($program completion sessions 2>/dev/null)
        contains -- $id $__axolua_given; or echo $id
    end
end

function __axolua_tasks
    set -l program (commandline -opc)[1]
    test -n "$__axolua_session"; and $program completion tasks $__axolua_session 2>/dev/null
end

function __axolua_topics
    set -l program (commandline -opc)[1]
    $program completion topics 2>/dev/null
end

function __axolua_pages
    set -l program (commandline -opc)[1]
    test "$__axolua_session" = api; and $program completion pages 2>/dev/null
end
]=]

local function quote(text)
  return "'" .. text:gsub("[\\']", "\\%0") .. "'"
end

local function values_of(value)
  local words = {
    session = "(__axolua_sessions)", task = "(__axolua_tasks)",
    topic = "(__axolua_topics)", page = "(__axolua_pages)",
  }
  if value.kind == "choice" then return "-x -a " .. quote(table.concat(value.choices, " ")) end
  if value.kind == "dir" then return "-x -a '(__fish_complete_directories)'" end
  if value.kind == "file" then return "-r -F" end
  return words[value.kind] and "-x -a " .. quote(words[value.kind]) or "-x"
end

local function short(description)
  return description:match "^(.-)[;.]%s" or description:match "^(.-)%.?$"
end

local function condition(word, ...)
  local words = { word }
  for i, each in ipairs { ... } do words[i + 1] = type(each) == "string" and quote(each) or each end
  return "-n " .. quote(table.concat(words, " "))
end

local function option_line(model, option)
  local parts = { "complete -c axolua", condition("__axolua_is", model.name) }
  for _, name in ipairs(option.names) do
    parts[#parts + 1] = name:find "^%-%-" and "-l " .. name:sub(3) or "-s " .. name:sub(2)
  end
  if option.value then parts[#parts + 1] = values_of(option.value) end
  parts[#parts + 1] = "-d " .. quote(short(option.description))
  return table.concat(parts, " ")
end

local function argument_line(model, i, argument)
  return ("complete -c axolua %s %s"):format(
    condition("__axolua_at", model.name, i - 1, argument.is_many and "more" or nil),
    values_of(argument))
end

-- A function of what is known of a command: a case of each that has something.
local function cases(name, models, lines_of)
  local lines = { ("function %s\n    switch $__axolua_name"):format(name) }
  for _, model in ipairs(models) do
    local words = lines_of(model)
    if words then
      lines[#lines + 1] = ("    case %s\n        printf '%%s\\n' %s"):format(
        quote(model.name), words)
    end
  end
  lines[#lines + 1] = "    end\nend\n"
  return table.concat(lines, "\n")
end

local function takers(model)
  local names = {}
  for _, option in ipairs(model.options) do
    if option.value then table.move(option.names, 1, #option.names, #names + 1, names) end
  end
  return names[1] and table.concat(names, " ")
end

local function expected(model)
  return model.takes_command and tostring(#model.arguments) or nil
end

local function subcommand_lines(model, lines)
  for _, sub in ipairs(model.subcommands) do
    lines[#lines + 1] = ("complete -c axolua %s -a %s -d %s"):format(
      condition("__axolua_is", model.name), quote((sub.name:gsub("^.*%s", ""))),
      quote(short(sub.summary)))
  end
end

local function first_lines(models, lines)
  for _, model in ipairs(models) do
    lines[#lines + 1] = ("complete -c axolua -n __axolua_is_first -a %s -d %s"):format(
      quote(model.name), quote(model.summary))
  end
  for i, word in ipairs(grammar.first_words()) do
    if i > #models then
      lines[#lines + 1] = "complete -c axolua -n __axolua_is_first -a " .. quote(word)
    end
  end
  lines[#lines + 1] = "complete -c axolua -n __axolua_is_first -k -a "
    .. "'(__fish_complete_suffix .lua)'"
end

--- The script.
---@return string
function fish_completion.script()
  local models, flat, subs = grammar.commands(), grammar.flat(), {}
  for _, model in ipairs(flat) do
    if model.name:find " " then subs[#subs + 1] = quote(model.name) end
  end
  local lines = {
    HEAD, cases("__axolua_takes", flat, takers), cases("__axolua_expected", flat, expected),
    "set -g __axolua_subcommands " .. table.concat(subs, " "), "complete -c axolua -f",
    "complete -c axolua -n __axolua_runs -x -a '(__axolua_command_line)'",
  }
  first_lines(models, lines)
  for _, model in ipairs(flat) do
    subcommand_lines(model, lines)
    for _, option in ipairs(model.options) do lines[#lines + 1] = option_line(model, option) end
    for i, argument in ipairs(model.arguments) do
      lines[#lines + 1] = argument_line(model, i, argument)
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

return fish_completion
