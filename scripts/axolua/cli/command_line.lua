--- Where, on the command line of `run` and `exec`, our words end and the command begins: at `--`,
--- or at the first word that is neither an option of ours, nor its value, nor an argument of ours.
--- What stands behind it is the command's, as docker, podman, ssh and sudo have it.
local command_line = {}

local function options_by_name(parser)
  local by_name = {}
  for _, option in ipairs(parser._options) do
    for _, name in ipairs(option._aliases) do by_name[name] = option end
  end
  return by_name
end

local function takes_value(option) return option ~= nil and option._maxargs > 0 end

-- `-it`, `-eNAME=1`, `-p 8080`: flags may stand together, and what takes a value takes the rest.
local function is_short_with_value_next(word, by_name)
  for i = 2, #word do
    if takes_value(by_name["-" .. word:sub(i, i)]) then return i == #word end
  end
  return false
end

local function takes_next(word, by_name)
  if word:sub(1, 2) ~= "--" then return is_short_with_value_next(word, by_name) end
  return not word:find("=", 1, true) and takes_value(by_name[word])
end

--- Splits the words of a command line.
---@param parser table argparse's, with the options and arguments of ours
---@param arguments string[]
---@return string[] ours, string[]? command nil: there is none
---@return boolean with_dashes the command was set apart by `--`
function command_line.split(parser, arguments)
  local by_name, expected, i = options_by_name(parser), #parser._arguments, 1
  local function cut(at, from, with_dashes)
    return table.move(arguments, 1, at - 1, 1, {}),
      table.move(arguments, from, #arguments, 1, {}), with_dashes
  end
  while i <= #arguments do
    local word = arguments[i]
    if word == "--" then return cut(i, i + 1, true) end
    if #word > 1 and word:sub(1, 1) == "-" then
      if takes_next(word, by_name) and arguments[i + 1] ~= "--" then i = i + 1 end
    elseif expected == 0 then
      return cut(i, i, false)
    else
      expected = expected - 1
    end
    i = i + 1
  end
  return arguments, nil, false
end

return command_line
