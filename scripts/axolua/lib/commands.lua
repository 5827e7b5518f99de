--- Which commands there are, in the order that help shows them.
local commands = {}

commands.names = { "run", "shell", "exec", "ps", "logs", "stop", "reap", "mcp", "doctor",
  "help" }

-- Answered by axolua itself, without these scripts.
commands.built_in = {
  { "env", "print the paths that lua5.4 needs: eval \"$(axolua env)\"" },
  { "--version", "print the version" },
  { "FILE.lua [ARGS...]", "run a Lua script with luv and axosandbox; - reads it from stdin" },
  { "-e CODE [ARGS...]", "run a piece of Lua" },
}

---@param name string
---@return boolean
function commands.is_one(name)
  for _, each in ipairs(commands.names) do
    if each == name then return true end
  end
  return false
end

return commands
