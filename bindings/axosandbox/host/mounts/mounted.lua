--- Which directory really became a session's. podman mounts by path, after policy has judged it:
--- whoever may write beside it can put another directory, or a symbolic link, there in between.
local uv = require "luv"
local host = require "axosandbox.host"
local links = require "axosandbox.host.links"

local mounted = {}

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
  if root and uv.fs_stat(root .. "/.") then
    local at = links.follow(root, target)
    path = at and root .. at
  end
  local stat = path and uv.fs_stat(path)
  return stat ~= nil and stat.dev == identity.dev and stat.ino == identity.ino
end

return mounted
