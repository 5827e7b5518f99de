--- A command line as an argv.
local shell = {}

--- The argv by which sh runs a command line. One that begins with `-` or `+` would be taken as an
--- option: a space before it changes nothing, and leaves the line in its place for policy.
---@param line string
---@return string[]
function shell.argv(line)
  if line:find "^[-+]" then line = " " .. line end
  return { "sh", "-c", line }
end

return shell
