--- A file of a project. The project is hostile: no symbolic link is followed, and nothing but a
--- regular file of a bounded size is read.
local uv = require "luv"
local host = require "axosandbox.host"

local project_file = {}

local function problem_of(stat, max)
  if not stat then return "it vanished" end
  if stat.type == "link" then return "it is a symbolic link" end
  if stat.type ~= "file" then return ("it is a %s, not a file"):format(stat.type) end
  if stat.size > max then return ("it has %d bytes, and may have %d"):format(stat.size, max) end
end

-- Whoever writes in the project can put a link in the place of a folder between two looks at
-- it. Which file was really opened is the kernel's to say.
local function is_opened(fd, path, stat)
  if host.is_linux() then return uv.fs_readlink("/proc/self/fd/" .. fd) == path end
  local now = uv.fs_lstat(path)
  return now ~= nil and now.ino == stat.ino and now.dev == stat.dev
end

local function read_open(fd, path, max)
  local stat = uv.fs_fstat(fd)
  local problem = problem_of(stat, max)
  if problem then return nil, problem end
  if not is_opened(fd, path, stat) then return nil, "it changed while it was opened" end
  local parts, size = {}, 0
  while size <= max do
    local bytes, message = uv.fs_read(fd, max + 1 - size, size)
    if not bytes then return nil, message end
    if bytes == "" then return table.concat(parts) end
    parts[#parts + 1], size = bytes, size + #bytes
  end
  return nil, "it grows while it is read"
end

--- Reads one.
---@param path string absolute, without symbolic links up to the project
---@param max integer bytes that it may have
---@return string? text, string? problem
function project_file.read(path, max)
  local problem = problem_of(uv.fs_lstat(path), max)
  if problem then return nil, problem end
  -- A FIFO that comes in between must not hold us up.
  local flags = uv.constants.O_RDONLY | uv.constants.O_NONBLOCK | uv.constants.O_NOCTTY
  local fd, message = uv.fs_open(path, flags, 0)
  if not fd then return nil, message end
  local text
  text, problem = read_open(fd, path, max)
  uv.fs_close(fd)
  return text, problem
end

return project_file
