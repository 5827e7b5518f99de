--- Which commands there are, in the order that help shows them.
local commands = {}

commands.names = {
  "run", "shell", "exec", "ps", "logs", "stats", "port", "stop", "reap", "audit", "policy", "mcp",
  "doctor", "completion", "help",
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

---@param name string
---@return boolean
function commands.is_one(name)
  for _, each in ipairs(commands.names) do
    if each == name then return true end
  end
  return false
end

-- How many letters differ: added, left out, changed, or two changed round.
local function distance(a, b)
  local rows = {}
  for i = 0, #a do
    rows[i] = { [0] = i }
    for j = 1, i == 0 and #b or 0 do rows[0][j] = j end
  end
  for i = 1, #a do
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local least = math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1,
        rows[i - 1][j - 1] + (same and 0 or 1))
      local swapped = i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j)
      rows[i][j] = swapped and math.min(least, rows[i - 2][j - 2] + 1) or least
    end
  end
  return rows[#a][#b]
end

--- The command that somebody may have meant.
---@param word string
---@return string? name
function commands.like(word)
  if #word > 20 then return nil end
  local best, best_distance
  for _, name in ipairs(commands.names) do
    local d = distance(word, name)
    if d <= math.min(2, #name // 2) and d < (best_distance or math.huge) then
      best, best_distance = name, d
    end
  end
  return best
end

return commands
