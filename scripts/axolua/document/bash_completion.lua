--- Completion for bash: the commands' options as data, and one function that reads it.
local grammar = require "axolua.document.grammar"

local bash_completion = {}

local HEAD = [=[
# Completion of axolua for bash, made by `axolua completion bash`.

# Sets, for a command: opts (its options), takes (OPTION:KIND of those with a value), args (the
# kinds of its arguments; the last one repeats when it ends in *), subs, and cmdline (1: it
# ends in a command line).
_axolua_grammar() {
  opts='' takes='' args='' subs='' cmdline=''
  case $1 in
]=]

local TAIL = [=[
  esac
}

# Those of the names on stdin that begin with $1 and are not among the words $2. They are another
# program's words: `compgen -W` would expand what stands in them, and the line that they end up in
# is run.
_axolua_names() {
  local name
  while IFS= read -r name; do
    [[ $name =~ ^[[:alnum:]][[:alnum:]_.-]*$ && $name == "$1"* ]] || continue
    [[ " $2 " == *" $name "* ]] || COMPREPLY+=("$name")
  done
}

_axolua_complete() {
  local kind=$1 cur=$2 session=$3 given=$4
  case $kind in
  dir) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
  file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
  session) _axolua_names "$cur" "$given" < <("$axolua" completion sessions 2>/dev/null) ;;
  task)
    [[ -z $session ]] ||
      _axolua_names "$cur" '' < <("$axolua" completion tasks "$session" 2>/dev/null) ;;
  topic) _axolua_names "$cur" '' < <("$axolua" completion topics 2>/dev/null) ;;
  page)
    [[ $session != api ]] ||
      _axolua_names "$cur" '' < <("$axolua" completion pages 2>/dev/null) ;;
  words=*) mapfile -t COMPREPLY < <(compgen -W "${kind#words=}" -- "$cur") ;;
  esac
}

# The kind of value that an option takes; fails for one that takes none.
_axolua_value() {
  local entry
  for entry in $takes; do
    [[ ${entry%%:*} == "$1" ]] || continue
    kind=${entry#*:}
    [[ $kind != words=* ]] || kind=${kind//,/ }
    return 0
  done
  return 1
}

_axolua() {
  local cur=${COMP_WORDS[COMP_CWORD]} axolua=${1/#\~/$HOME} name='' session='' kind='' word
  local opts takes args subs cmdline i waiting='' given='' count=0 expected=0
  local -a kinds=()
  COMPREPLY=()
  _axolua_grammar ''
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $word == = ]]; then continue; fi
    if [[ -n $waiting ]]; then waiting='' given+=" $word"; continue; fi
    if [[ $word == -- ]]; then
      [[ -n $cmdline ]] || return 0
      if ((i == COMP_CWORD - 1)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
      else
        _axolua_complete file "$cur"
      fi
      return 0
    fi
    if [[ -z $name ]]; then
      name=$word
      _axolua_grammar "$name"
      read -ra kinds <<<"$args"
      expected=${#kinds[@]}
    elif [[ $word == -* ]]; then
      if _axolua_value "$word"; then waiting=$word; fi
    elif [[ -n $subs && " $subs " == *" $word "* ]]; then
      name+=" $word"
      _axolua_grammar "$name"
    else
      [[ -n $session ]] || session=$word
      given+=" $word"
      count=$((count + 1))
      if [[ -n $cmdline ]] && ((count > expected)); then
        _axolua_complete file "$cur"
        return 0
      fi
    fi
  done
  [[ $cur != = ]] || cur=''
  if [[ -n $waiting ]]; then
    _axolua_value "$waiting" && _axolua_complete "$kind" "$cur" "$session" "$given"
  elif [[ -z $name ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(
      compgen -W "$_axolua_first" -- "$cur"
      compgen -f -X '!*.lua' -- "$cur"
      [[ $cur != */* ]] || compgen -d -- "$cur"
    )
  elif [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$opts" -- "$cur")
  elif [[ -n $subs ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$subs" -- "$cur")
  elif [[ -n $cmdline ]] && ((count == expected)); then
    mapfile -t COMPREPLY < <(compgen -c -- "$cur")
  else
    for word in $args; do
      kind=${word//,/ }
      if ((count == 0)) || [[ $word == *'*' ]]; then
        _axolua_complete "${kind%'*'}" "$cur" "$session" "$given"
        return 0
      fi
      count=$((count - 1))
    done
  fi
}

complete -F _axolua axolua
]=]

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function kind_of(value)
  if value.kind == "choice" then return "words=" .. table.concat(value.choices, ",") end
  return value.kind
end

local function last_word(name)
  return (name:gsub("^.*%s", ""))
end

local function options_of(model)
  local opts, takes = {}, {}
  for _, option in ipairs(model.options) do
    for _, name in ipairs(option.names) do
      opts[#opts + 1] = name
      if option.value then takes[#takes + 1] = name .. ":" .. kind_of(option.value) end
    end
  end
  if model.takes_command then opts[#opts + 1] = "--" end
  return table.concat(opts, " "), table.concat(takes, " ")
end

local function entry(model)
  local args, subs = {}, {}
  for i, argument in ipairs(model.arguments) do
    args[i] = kind_of(argument) .. (argument.is_many and "*" or "")
  end
  for i, sub in ipairs(model.subcommands) do subs[i] = last_word(sub.name) end
  local opts, takes = options_of(model)
  return ("  %s)\n    opts=%s\n    takes=%s\n    args=%s subs=%s cmdline=%s\n    ;;\n"):format(
    quote(model.name), quote(opts), quote(takes), quote(table.concat(args, " ")),
    quote(table.concat(subs, " ")), model.takes_command and "1" or "''")
end

--- The script.
---@return string
function bash_completion.script()
  local parts = { HEAD }
  for _, model in ipairs(grammar.flat()) do parts[#parts + 1] = entry(model) end
  parts[#parts + 1] = TAIL
  return ("%s\n_axolua_first=%s\n"):format(
    table.concat(parts), quote(table.concat(grammar.first_words(), " ")))
end

return bash_completion
