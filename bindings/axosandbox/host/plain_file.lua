--- Whether a file of a session is one without ACLs and attributes, as far as this host can tell
--- where podman is here. The scripts of the portable way cannot: busybox knows neither.
local uv = require "luv"
local core = require "axosandbox.core"
local host = require "axosandbox.host"

local plain_file = {}

-- One name after the other, through no link: those are the container's.
local function walk(fd, path)
  local flags = core.open_flags.O_PATH | core.open_flags.O_NOFOLLOW
  for name in path:gmatch "[^/]+" do
    local next_fd, _, code = uv.fs_open(("/proc/self/fd/%d/%s"):format(fd, name), flags, 0)
    uv.fs_close(fd)
    if not next_fd then return nil, code end
    fd = next_fd
    if uv.fs_fstat(fd).mode & 0xF000 == 0xA000 then
      uv.fs_close(fd)
      return nil, "ELOOP"
    end
  end
  return fd
end

-- false: it is not there.
local function examine(dir, path)
  local top = uv.fs_open(dir, core.open_flags.O_PATH | core.open_flags.O_DIRECTORY, 0)
  local fd, code = nil, nil
  if top then fd, code = walk(top, path) end
  if not fd then return code == "ENOENT" and top ~= nil or false end
  local plain = core.has_no_attributes(fd)
  uv.fs_close(fd)
  return plain
end

--- False where that cannot be found out.
---@param way axo.Way
---@param path string relative to the way's directory
---@return boolean
function plain_file.is_plain(way, path)
  local known = way.record and way.record.mounted
  if not known or not host.is_linux() then return false end
  local whole = (way.base or way.root) .. "/" .. path
  if whole:sub(1, #known.dir + 1) ~= known.dir .. "/" then return false end
  local inside = whole:sub(#known.dir + 2)
  local parent = inside:match "^(.*)/[^/]*$" or ""
  return examine(known.dir, inside) and examine(known.dir, parent)
end

return plain_file
