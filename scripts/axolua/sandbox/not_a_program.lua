--- What was typed as a command and is none that any image has: a whole line in one word, a variable,
--- what only a shell knows.

local OF_A_SHELL = {}
for name in ("alias cd eval exit export set source ulimit umask unset"):gmatch "%S+" do
  OF_A_SHELL[name] = true
end

--- What to type instead.
---@param word string the command's first word
---@return string? sentence nil: it may be a program
local function not_a_program(word)
  if word:find "^[%a_][%w_]*=" then
    return "a variable goes before the command by -e: -e NAME=VALUE COMMAND"
  elseif word:find "%s" then
    return "its words were typed as one: leave out the quotes, or let a shell take it apart: "
      .. "sh -c '...'"
  elseif OF_A_SHELL[word] then
    return ("%s is a shell's own: sh -c '%s ...'; -w DIR chooses where a command runs"):format(word,
      word)
  end
end

return not_a_program
