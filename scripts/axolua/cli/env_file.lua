--- Files of variables, as docker and podman take them: a line is NAME=VALUE, with the value as it
--- stands, or NAME, for the value that this shell has; empty lines and those that begin with # are
--- passed over.
local uv = require "luv"
local cli = require "axolua.cli"
local here = require "axolua.cli.here"
local writable = require "axolua.cli.writable"

local env_file = {}

---@class cli.EnvFile
---@field path string as it was typed
---@field real string where it lies
---@field links string[] by which it was found

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

local function whole(fd)
  local parts, size = {}, 0
  while size <= MAX_BYTES do
    local bytes, problem, code = uv.fs_read(fd, MAX_BYTES + 1 - size, -1)
    if not bytes then return nil, code == "EISDIR" and "it is a directory" or problem end
    if bytes == "" then return table.concat(parts) end
    parts[#parts + 1], size = bytes, size + #bytes
  end
  return nil, "more than 1 MiB"
end

-- Which file was opened, and by which links: the one that they led to when they were looked at.
local function identify(file, at)
  local real = uv.fs_readlink("/proc/self/fd/" .. file)
  -- A pipe has no path, and /proc is not everywhere.
  local has_path = real and real:sub(1, 1) == "/"
  local is_another = has_path and real ~= at and uv.fs_stat(real) ~= nil
  if is_another then return nil, "it changed while it was opened" end
  return has_path and real or at
end

local function read(path)
  local at, links = writable.follow(here.absolute(path))
  if not at then return nil, "too many symbolic links" end
  local fd, problem = uv.fs_open(path, uv.constants.O_RDONLY, 0)
  if not fd then return nil, problem:match "^%u+: ([^:]*)" or problem end
  local real, text
  real, problem = identify(fd, at)
  if real then text, problem = whole(fd) end
  uv.fs_close(fd)
  return text, problem, { path = path, real = real, links = links }
end

--- Reads a file of them. For argparse's :convert.
---@param path string
---@return { [1]: string, [2]: string? }[]? pairs with `from`: the file; string? problem
function env_file.read(path)
  local text, problem, from = read(path)
  local list
  if text then list, problem = env_file.parse(text) end
  if not list then return nil, ("--env-file: %s: %s"):format(path, problem) end
  list.from = from
  return list
end

--- Ends the command where a link that a session made has led to one of them: what is in a file of
--- this host's would go into the container.
---@param files cli.EnvFile[]?
---@param dirs string[] what the session can write, from `writable.of`
function env_file.check(files, dirs)
  for _, from in ipairs(files or {}) do
    local dir = writable.made(dirs, from.links)
    if dir and not writable.holder(dirs, from.real) then
      cli.abort(("--env-file: %s leads to %s by a symbolic link in %s, which the session can write")
        :format(from.path, from.real, dir), "name the file itself, if it is the one that you mean")
    end
  end
end

return env_file
