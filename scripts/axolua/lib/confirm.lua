--- Asks the person at the terminal a question of policy's.
local uv = require "luv"
local await = require "axosandbox.await"
local output = require "axolua.lib.output"
local status = require "axolua.lib.status"
local text = require "axolua.lib.text"

local confirm = {}

local MAX_ANSWER = 256

local function show(question)
  local lines = { "axolua: this project wants to run:\n" }
  for _, command in ipairs(question.commands) do
    lines[#lines + 1] = "        " .. text.visible(command) .. "\n"
  end
  lines[#lines + 1] = "axolua: let it? [y/N] "
  output.print(2, table.concat(lines))
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
    await.protect(function()
      typed = typed .. (bytes or "")
      local is_over = err or not bytes or #typed > MAX_ANSWER
      if not is_over and not typed:find("\n", 1, true) then return end
      stop()
      answer(typed:match "^%s*(%a*)")
    end)
  end)
  return stop
end

--- For the option `confirm` of `axo.start`.
---@param question axo.Question
---@param answer fun(agreed: boolean)
---@return fun()? stop
function confirm.ask(question, answer)
  status.hold()
  show(question)
  return read_line(function(word)
    local lower = word and word:lower()
    answer(lower == "y" or lower == "yes")
  end)
end

--- Whether there is a person to ask.
---@return boolean
function confirm.is_possible()
  return uv.guess_handle(0) == "tty" and uv.guess_handle(2) == "tty"
end

return confirm
