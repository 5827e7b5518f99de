--- What a session can write of this host: in there the container makes the symbolic links, whatever
--- way a person comes in, and where they lead is not a person's choice.
local uv = require "luv"
local axo = require "axosandbox"

local writable = {}

local function is_beneath(path, dir)
  return path == dir or path:sub(1, #dir + 1) == dir .. "/"
end

--- The directories, without symbolic links.
---@param dir string the session's own
---@param mounts axo.ExtraMount[]? its others
---@return string[]
function writable.of(dir, mounts)
  local found = { uv.fs_realpath(dir) or dir }
  for _, it in ipairs(mounts or {}) do
    if it.writable then found[#found + 1] = uv.fs_realpath(it.source) or it.source end
  end
  return found
end

--- The one of them that a path lies in.
---@param dirs string[]
---@param path string without symbolic links
---@return string?
function writable.holder(dirs, path)
  for _, dir in ipairs(dirs) do
    if is_beneath(path, dir) then return dir end
  end
end

--- Where a path leads, and by which links.
---@param path string absolute
---@return string? at nil: there are too many of them
---@return string[] links where they lie
function writable.follow(path)
  local links = {}
  local at = axo.host.follow_links("", path, function(step, target)
    if target then links[#links + 1] = step end
  end)
  return at == "" and "/" or at, links
end

--- The directory of the session that one of these links lies in.
---@param dirs string[]
---@param links string[] from `follow`
---@return string?
function writable.made(dirs, links)
  for _, link in ipairs(links) do
    local dir = writable.holder(dirs, link)
    if dir and dir ~= link then return dir end
  end
end

return writable
