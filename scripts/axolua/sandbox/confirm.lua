--- Asks the person at the terminal a question of policy's.
local uv = require "luv"
local axo = require "axosandbox"
local output = require "axolua.view.output"
local status = require "axolua.view.status"
local text = require "axolua.view.text"

local confirm = {}

local MAX_ANSWER = 256

-- Bytes of a command's beginning and end, and commands: together a screen of 24 lines holds them.
local HEAD, TAIL, MAX_COMMANDS = 160, 80, 5

-- Nothing moves out of sight what is asked about: neither blanks nor a great length. Also:
-- whether that is all of it.
local function shorten(command)
  local shown = text.visible(command:gsub("[ \t]+", " "))
  if #shown <= HEAD + TAIL then return shown, true end
  return ("%s ...[%d bytes]... %s"):format(axo.text.whole_characters(shown:sub(1, HEAD), false),
    #shown - HEAD - TAIL, axo.text.whole_characters(shown:sub(-TAIL), true)), false
end

local function text_of_network(question)
  return ("axolua: something in the session %s connects to %s; let it? [y/N] "):format(
    text.visible(question.id), text.visible(axo.text.with_port(question.name, question.port)))
end

--- A question as it is put to a person.
---@param question axo.Question
---@return string text some 20 lines of a terminal at most
function confirm.text(question)
  if question.op == "network" then return text_of_network(question) end
  local count = #question.commands
  local lines = { ("axolua: this project wants to run (%s, %d %s):\n"):format(
    text.visible(question.op), count, count == 1 and "command" or "commands") }
  local is_whole = count <= MAX_COMMANDS
  for i = 1, math.min(count, MAX_COMMANDS) do
    local shown, all = shorten(question.commands[i])
    lines[#lines + 1] = "        " .. shown .. "\n"
    is_whole = is_whole and all
  end
  if count > MAX_COMMANDS then
    lines[#lines + 1] = ("        ... and %d more\n"):format(count - MAX_COMMANDS)
  end
  lines[#lines + 1] = ("axolua: %slet it? [y/N] "):format(
    is_whole and "" or "not all of it is shown; ")
  return table.concat(lines)
end

local function read_line(answer)
  local tty = uv.new_tty(0, true)
  if not tty then
    status.resume()
    return answer ""
  end
  local typed = ""
  local function stop()
    if not tty then return end
    tty:close()
    tty = nil
    status.resume()
  end
  tty:read_start(function(err, bytes)
    axo.async.protect(function()
      typed = typed .. (bytes or "")
      local is_over = err or not bytes or #typed > MAX_ANSWER
      if not is_over and not typed:find("\n", 1, true) then return end
      stop()
      answer(typed:match "^%s*(%a*)")
    end)
  end)
  return stop
end

--- Puts a question to the person at the terminal.
---@param question string it ends in " [y/N] "
---@param answer fun(agreed: boolean)
---@return fun()? stop
function confirm.put(question, answer)
  status.hold()
  output.print(2, question)
  return read_line(function(word)
    local lower = word and word:lower()
    answer(lower == "y" or lower == "yes")
  end)
end

--- For the option `confirm` of `axo.start`.
---@param question axo.Question
---@param answer fun(agreed: boolean)
---@return fun()? stop
function confirm.ask(question, answer)
  return confirm.put(confirm.text(question), answer)
end

--- Whether there is a person to ask.
---@return boolean
function confirm.is_possible()
  return uv.guess_handle(0) == "tty" and uv.guess_handle(2) == "tty"
end

return confirm
