--- Files of variables, as docker and podman take them: a line is NAME=VALUE, with the value as it
--- stands, or NAME, for the value that this shell has; empty lines and those that begin with # are
--- passed over.
local env_file = {}

local MAX_BYTES = 1024 * 1024

local function take(line, number, list)
  line = line:gsub("^%s+", "")
  if line == "" or line:sub(1, 1) == "#" then return nil end
  local name, value = line:match "^([^=]*)=(.*)$"
  name = name or line
  if not name:find "^[A-Za-z_][A-Za-z0-9_]*$" then
    return ("line %d: %q is not the name of a variable"):format(number, name)
  end
  if value and value:find("\0", 1, true) then
    return ("line %d: the value of %s holds a NUL"):format(number, name)
  end
  list[#list + 1] = { name, value or os.getenv(name) }
end

--- The variables in a text, in their order.
---@param text string
---@return { [1]: string, [2]: string? }[]? pairs, string? problem
function env_file.parse(text)
  local list, number = {}, 0
  text = text:gsub("^\xEF\xBB\xBF", "")
  for line in text:gmatch "[^\n]*" do
    number = number + 1
    local problem = take(line:gsub("\r$", ""), number, list)
    if problem then return nil, problem end
  end
  return list
end

--- Reads a file of them. For argparse's :convert.
---@param path string
---@return { [1]: string, [2]: string? }[]? pairs, string? problem
function env_file.read(path)
  local file, problem = io.open(path, "rb")
  if not file then return nil, "--env-file: " .. problem end
  -- A directory opens, and is not read.
  local text, why = file:read(MAX_BYTES + 1)
  file:close()
  if why then return nil, ("--env-file: %s: %s"):format(path, why) end
  text = text or ""
  if #text > MAX_BYTES then return nil, ("--env-file: %s: more than 1 MiB"):format(path) end
  local list
  list, problem = env_file.parse(text)
  return list, problem and ("--env-file: %s: %s"):format(path, problem)
end

return env_file
