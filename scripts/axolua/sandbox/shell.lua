--- How a command line is run in the sandbox: by bash where there is one, else by sh.
local text = require "axolua.view.text"

local shell = {}

local CHOOSE = 'if command -v bash >/dev/null 2>&1; then exec bash -c -- "$1"; fi; '
  .. 'exec sh -c -- "$1"'
local OPEN = "if command -v bash >/dev/null 2>&1; then exec bash; fi; exec sh"

--- The argv that runs a command line.
---@param command string
---@return string[]
function shell.argv(command)
  return { "sh", "-c", CHOOSE, "sh", command }
end

--- The argv of a shell to type at.
---@return string[]
function shell.interactive()
  return { "sh", "-c", OPEN }
end

--- The command line that an argv runs, to show it.
---@param argv string[]
---@return string
function shell.describe(argv)
  if argv[3] == CHOOSE then return argv[5] end
  if argv[3] == OPEN then return "shell" end
  return text.command(argv)
end

--- Takes away a `&` at the end: what runs in the background already would be sent there twice,
--- and be over at once.
---@param command string
---@return string command, boolean was_there
function shell.without_ampersand(command)
  -- From its end: "^(.-)%s*&%s*$" would take the square of a long command's length.
  local front = command:reverse():match "^%s*&%s*(.*)$"
  front = front and front:reverse()
  if not front or front == "" or front:find "[&\\<>|]$" then return command, false end
  return front, true
end

return shell
