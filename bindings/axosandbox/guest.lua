--- The guest as the host sees it: its binary, and the directory where it finds our socket.
local uv = require "luv"
local errors = require "axosandbox.errors"
local host = require "axosandbox.host"

local guest = {}

--- Where it lies in the container, and where it looks for sockets.
guest.TARGET = "/run/.axosandbox-guest"
guest.LINK_TARGET = "/run/.axosandbox"

local OTHERS_WRITE = 18 -- 022

-- Beside the modules: PREFIX/share/lua/5.4/axosandbox has it at PREFIX/lib/axosandbox. By the
-- text of the path, since in a build tree the module directory is a symbolic link.
local function beside_modules()
  local directory = debug.getinfo(1, "S").source:match "^@(.*)/[^/]*$" or "."
  local prefix = directory:match "^(.*)/[^/]+/[^/]+/[^/]+/[^/]+$" or "../../../.."
  return prefix .. "/lib/axosandbox/axo-guest"
end

local BINARY = beside_modules()

-- It becomes the first process of every session.
local function problem_with(stat)
  if stat.type ~= "file" then return "it is no file" end
  if stat.uid ~= 0 and stat.uid ~= uv.getuid() then return "it belongs to somebody else" end
  if stat.mode & OTHERS_WRITE ~= 0 then return "others can write to it" end
end

--- The guest's binary. nil without an error where there can be none: elsewhere than on Linux.
---@return string? path absolute, axo.Error?
function guest.binary()
  if not host.is_linux() then return nil end
  local path = os.getenv "AXOSANDBOX_GUEST" or BINARY
  local real = uv.fs_realpath(path)
  local stat = real and uv.fs_stat(real)
  local why = not stat and "it is missing" or problem_with(stat)
  if not why then return real end
  return nil, errors.new {
    code = "NO_GUEST", op = "start",
    message = ("the guest %s cannot be used: %s"):format(path, why),
    hint = "build or install axosandbox again",
  }
end

local function links_dir()
  local base, err = host.runtime_dir()
  if not base then return nil, err end
  return host.private_dir(base .. "/.links")
end

--- The link directory of one container, which is mounted into it read-only. It is private
--- because the directory that holds it is; inside, whoever the guest runs as must get in.
---@param instance string the container's label
---@param make boolean? makes it when it is missing
---@return string? path, axo.Error?
function guest.link_dir(instance, make)
  local base, err = links_dir()
  if not base then return nil, err end
  local path = base .. "/" .. instance
  if make then
    local made
    made, err = host.private_dir(path)
    if not made then return nil, err end
    uv.fs_chmod(path, 493) -- 0755
  end
  return path
end

--- Removes the link directory of a container that is gone.
---@param instance string?
function guest.forget(instance)
  if not instance or not instance:match "^%x+$" then return end
  local path = guest.link_dir(instance)
  local entries = path and uv.fs_scandir(path)
  while entries do
    local name = uv.fs_scandir_next(entries)
    if not name then break end
    uv.fs_unlink(path .. "/" .. name)
  end
  if path then uv.fs_rmdir(path) end
end

return guest
