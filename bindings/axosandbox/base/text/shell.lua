--- A command line as an argv, and the other way round.
local shell = {}

--- The argv by which sh runs a command line. One that begins with `-` or `+` would be taken as an
--- option: a space before it changes nothing, and leaves the line in its place for policy.
---@param line string
---@return string[]
function shell.argv(line)
  if line:find "^[-+]" then line = " " .. line end
  return { "sh", "-c", line }
end

local function quote(word)
  if word:find "^[%w_@%%+=:,./-]+$" then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- An argument vector as one would type it.
---
---     print(axo.text.command { "grep", "two words", "file" })  --> grep 'two words' file
---@param argv string[]
---@return string
function shell.command(argv)
  local words = {}
  for i, word in ipairs(argv) do words[i] = quote(word) end
  return table.concat(words, " ")
end

return shell
