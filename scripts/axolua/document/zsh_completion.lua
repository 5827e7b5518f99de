--- Completion for zsh: a function for each command, in terms of _arguments.
local grammar = require "axolua.document.grammar"

local zsh_completion = {}

local HEAD = [=[
#compdef axolua
# Completion of axolua for zsh, made by `axolua completion zsh`.

_axolua_sessions() {
  local -a ids
  ids=(${(f)"$(_call_program sessions $_axolua_program completion sessions 2>/dev/null)"})
  _wanted sessions expl session compadd -a ids
}

_axolua_tasks() {
  local -a ids
  local word session=
  for word in ${words[2,CURRENT-1]}; do
    [[ $word == -* ]] || { session=$word; break }
  done
  [[ -n $session ]] || return 1
  ids=(${(f)"$(_call_program tasks $_axolua_program completion tasks ${(q)session} 2>/dev/null)"})
  _wanted tasks expl task compadd -a ids
}

_axolua_topics() {
  local -a names
  names=(${(f)"$(_call_program topics $_axolua_program completion topics 2>/dev/null)"})
  _wanted topics expl topic compadd -a names
}

_axolua_pages() {
  local -a names
  [[ ${words[CURRENT-1]} == api ]] || return 1
  names=(${(f)"$(_call_program pages $_axolua_program completion pages 2>/dev/null)"})
  _wanted pages expl page compadd -a names
}

_axolua_command_line() {
  words=("${(@)words[${words[(i)--]}+1,-1]}")
  (( CURRENT = ${#words} ))
  _normal
}
]=]

local TAIL = [=[
_axolua() {
  local _axolua_program=$words[1] curcontext=$curcontext state line
  local -A opt_args
  local -i at
  _arguments -C '1: :->first' '*:: :->rest'
  case $state in
  first)
    _alternative 'commands:command:_axolua_commands' 'files:script:_files -g "*.lua"'
    ;;
  rest)
    at=${words[(i)--]}
    if (( at < CURRENT )); then
      _axolua_command_line
    else
      (( ${+functions[_axolua_of_${words[1]}]} )) && _axolua_of_${words[1]}
    fi
    ;;
  esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _axolua "$@"
else
  compdef _axolua axolua
fi
]=]

-- In a specification, between single quotes.
local function escape(text)
  return (text:gsub("[%[%]:\\]", "\\%0"):gsub("'", "'\\''"))
end

local ACTIONS = {
  dir = "_files -/", file = "_files", session = "_axolua_sessions", task = "_axolua_tasks",
  topic = "_axolua_topics", page = "_axolua_pages", other = " ",
}

local function action_of(value)
  if value.kind == "choice" then return "(" .. table.concat(value.choices, " ") .. ")" end
  return ACTIONS[value.kind]
end

local function short(description)
  return description:match "^(.-)[;.]%s" or description:match "^(.-)%.?$"
end

local function option_specs(option)
  local exclusive = option.is_repeatable and "*"
    or #option.names > 1 and "(" .. table.concat(option.names, " ") .. ")" or ""
  local value = option.value
    and (":%s:%s"):format(escape(option.value.name), action_of(option.value)) or ""
  local specs = {}
  for i, name in ipairs(option.names) do
    local joint = option.value and name:find "^%-%-" and "=" or ""
    specs[i] = ("'%s%s%s[%s]%s'"):format(
      exclusive, name, joint, escape(short(option.description)), value)
  end
  return specs
end

local function argument_spec(argument)
  return ("'%s:%s:%s'"):format(argument.is_many and "*" or argument.is_optional and ":" or "",
    escape(argument.name), action_of(argument))
end

local function function_name(model)
  return "_axolua_of_" .. model.name:gsub("[ -]", "_")
end

local function described(models)
  local lines = {}
  for _, model in ipairs(models) do
    lines[#lines + 1] = ("    '%s:%s'"):format(
      escape((model.name:gsub("^.*%s", ""))), escape(model.summary))
  end
  return table.concat(lines, "\n")
end

local function simple_body(model)
  local specs = {}
  for _, option in ipairs(model.options) do
    for _, spec in ipairs(option_specs(option)) do specs[#specs + 1] = "    " .. spec end
  end
  for _, argument in ipairs(model.arguments) do
    specs[#specs + 1] = "    " .. argument_spec(argument)
  end
  if model.takes_command then specs[#specs + 1] = "    '*:::command:_normal'" end
  -- Behind the first word of the command no option is ours any more.
  local own = model.takes_command and #model.arguments == 0 and " -A '-*'" or ""
  return "  _arguments -S" .. own .. " \\\n" .. table.concat(specs, " \\\n") .. "\n"
end

local SUBCOMMANDS = [=[
  local curcontext=$curcontext state line
  local -A opt_args
  local -a subcommands
  subcommands=(
%s
  )
  _arguments -C '1: :->first' '*:: :->rest'
  case $state in
  first) _describe subcommand subcommands ;;
  rest) (( ${+functions[%s_${words[1]}]} )) && %s_${words[1]} ;;
  esac
]=]

local function body(model)
  if #model.subcommands == 0 then return simple_body(model) end
  local name = function_name(model)
  return SUBCOMMANDS:format(described(model.subcommands), name, name)
end

local function names_functions(models)
  return ("_axolua_names() {\n  local -a names\n  names=(\n%s\n  )\n"):format(described(models))
    .. "  _describe command names\n}\n\n"
    .. "_axolua_commands() {\n  _axolua_names\n"
    .. "  compadd -- " .. table.concat(grammar.first_words(), " ", #models + 1) .. "\n}\n"
end

--- The script: a file for $fpath, or to be sourced.
---@return string
function zsh_completion.script()
  local parts = { HEAD, names_functions(grammar.commands()) }
  for _, model in ipairs(grammar.flat()) do
    parts[#parts + 1] = ("%s() {\n%s}\n"):format(function_name(model), body(model))
  end
  parts[#parts + 1] = TAIL
  return table.concat(parts, "\n")
end

return zsh_completion
