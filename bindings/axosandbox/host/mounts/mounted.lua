--- Which directory really became a session's. podman mounts by path, after policy has judged it:
--- whoever may write beside it can put another directory, or a symbolic link, there in between.
local uv = require "luv"
local host = require "axosandbox.host"

local mounted = {}

local MAX_LINKS = 40

---@class axo.DirectoryIdentity
---@field dev integer
---@field ino integer

local function identity_of(stat)
  return { dev = stat.dev, ino = stat.ino }
end

--- A directory: its path without symbolic links, and what tells it from any other. Both are of
--- one and the same directory, whatever is moved meanwhile, where it can be read on Linux.
---@param path string absolute
---@return string? real, axo.DirectoryIdentity|string identity_or_message, string? code
function mounted.examine(path)
  local real, message, code = uv.fs_realpath(path)
  if not real then return nil, message, code end
  -- What is no directory is not opened: opening can be an act.
  local stat = uv.fs_stat(real)
  local is_directory = stat ~= nil and stat.type == "directory"
  local c = uv.constants
  local fd = is_directory and host.is_linux()
    and uv.fs_open(real, c.O_RDONLY | c.O_NONBLOCK | c.O_NOCTTY, 0)
  if fd then
    stat, real = uv.fs_fstat(fd), uv.fs_readlink("/proc/self/fd/" .. fd) or real
    uv.fs_close(fd)
  end
  if stat and stat.type == "directory" then return real, identity_of(stat) end
  return nil, "it is not a directory", "ENOTDIR"
end

local function push(todo, path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part ~= "." then parts[#parts + 1] = part end
  end
  for i = #parts, 1, -1 do todo[#todo + 1] = parts[i] end
end

-- Symbolic links of the image are followed as they are in there: the kernel would follow an
-- absolute one to a place on this host.
local function locate(root, path)
  local todo, at, links = {}, "", 0
  push(todo, path)
  while #todo > 0 do
    local part = table.remove(todo)
    local child = at .. "/" .. part
    local target = part ~= ".." and uv.fs_readlink(root .. child)
    if part == ".." then
      at = at:gsub("/[^/]*$", "")
    elseif not target then
      at = child
    elseif links == MAX_LINKS then
      return nil
    else
      links = links + 1
      if target:sub(1, 1) == "/" then at = "" end
      push(todo, target)
    end
  end
  return root .. at
end

--- Whether a running container has that very directory. Where its file system cannot be looked
--- into (podman is elsewhere, /proc is closed to us, it has ended), what lies at `source` now has
--- to do.
---@param container { pid: integer? }
---@param target string where it is mounted
---@param source string what podman was told to mount
---@param identity axo.DirectoryIdentity from `mounted.examine`
---@return boolean
function mounted.is_same(container, target, source, identity)
  local root = container.pid and ("/proc/%d/root"):format(container.pid)
  local path = source
  if root and uv.fs_stat(root .. "/.") then path = locate(root, target) end
  local stat = path and uv.fs_stat(path)
  return stat ~= nil and stat.dev == identity.dev and stat.ino == identity.ino
end

return mounted
