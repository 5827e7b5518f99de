--- Which commands there are, in the order that help shows them.
local argparse = require "argparse"

local commands = {}

commands.names = {
  "run", "shell", "exec", "attach", "cp", "ps", "logs", "stats", "port", "network",
  "stop", "reap", "image", "audit", "policy", "mcp", "doctor", "completion", "version", "help",
}

-- Answered by axolua itself, without these scripts.
commands.built_in = {
  { "env", "print the paths that lua5.4 needs: eval \"$(axolua env)\"" },
  { "--version", "print the version" },
  { "FILE.lua [ARGS...]", "run a Lua script with luv and axosandbox; - reads it from stdin" },
  { "-e CODE [ARGS...]", "run a piece of Lua" },
}

-- What the exit status means, for help and for the manual.
commands.exit_codes = {
  { "0", "All went well. Of `run`, `shell`, `exec` and `logs -f`: so says the command." },
  { "1", "`doctor`: no session can start here. `policy check`: the files are at fault." },
  { "2", "The command line is wrong." },
  { "124", "The command took longer than its --timeout and was ended." },
  { "125", "axolua itself failed: no podman, no such session, policy says no, stdout is full." },
  { "126", "The command was found and cannot be run." },
  { "127", "There is no such command in the session." },
  { "128+n", "Signal n ended the command, or axolua; 141: nobody reads on." },
  { "other", "The command's own exit status." },
}

-- Those of more than one file have a folder of their own.
local ROOMS = { audit = true, cp = true, doctor = true, mcp = true, policy = true, port = true }

--- What a command is: `main(arguments)` and `parser()`.
---@param name string one of `names`
---@return table
function commands.load(name)
  return require((ROOMS[name] and "axolua." or "axolua.commands.") .. name)
end

---@param name string
---@return boolean
function commands.is_one(name)
  for _, each in ipairs(commands.names) do
    if each == name then return true end
  end
  return false
end

--- The command that somebody may have meant, as argparse finds it.
---@param word string
---@return string? name in quotes, or several
function commands.like(word)
  local parser = argparse "axolua"
  for _, name in ipairs(commands.names) do parser:command(name) end
  local _, problem = parser:pparse { word }
  -- linear: it says that once.
  return tostring(problem):match "Did you mean (.-)%?"
end

return commands
