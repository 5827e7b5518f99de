--- The guest as the host sees it: its binary, and the directory where it finds our socket.
local uv = require "luv"
local errors = require "axosandbox.base.errors"
local host = require "axosandbox.host"
local private_file = require "axosandbox.host.private_file"
local programs = require "axosandbox.host.programs"

local guest = {}

--- Where it lies in the container, and where it looks for sockets.
guest.TARGET = "/run/.axosandbox-guest"
guest.LINK_TARGET = "/run/.axosandbox"
--- Where the search helper lies.
guest.SEARCH_TARGET = "/run/.axosandbox-search"

-- core/link/protocol.h: the directory in the link directory that has the sockets, and the guest's exit
-- status where it cannot be told of one.
local INNER = "/in"
local EXIT_SILENT = 112

--- The guest's binary, the first process of every session. nil without an error where there can be
--- none: elsewhere than on Linux.
---@return string? path absolute, axo.Error?
function guest.binary()
  if not host.is_linux() then return nil end
  local named = os.getenv "AXOSANDBOX_GUEST"
  local path = named or programs.path "axo-guest"
  local real, why = programs.trusted(path)
  if named and named:sub(1, 1) ~= "/" then
    real, why = nil, "$AXOSANDBOX_GUEST is no absolute path"
  end
  if real then return real end
  return nil, errors.new {
    code = "NO_GUEST", op = "start",
    message = ("the guest %s cannot be used: %s"):format(path, why),
    hint = "build or install axosandbox again",
  }
end

--- The binary of the search helper. nil where there is none: then the image's tools search.
---@return string? path absolute
function guest.search_binary()
  if not host.is_linux() then return nil end
  return (programs.trusted(programs.path "axo-search"))
end

local function links_dir(base)
  local err
  if not base then base, err = host.runtime_dir() end
  if not base then return nil, err end
  return host.private_dir(base .. "/.links")
end

local function invalid(message)
  return nil, errors.new { code = "INVALID", op = "guest", message = message }
end

--- The link directory of one container, which is mounted into it read-only.
---@param instance string the container's label, whoever wrote it
---@param base string? the runtime directory; this process's own by default
---@return string? path beneath it, axo.Error?
function guest.link_dir(instance, base)
  if not instance:find "^%x+$" then
    return invalid(("%q names no start of a session"):format(instance))
  end
  local links, err = links_dir(base)
  return links and links .. "/" .. instance, err
end

--- The name of the note, in a session's private directory, that it has a link directory: for
--- whoever clears up after a host that was killed.
---@param instance string
---@return string
function guest.note(instance)
  return instance .. ".link"
end

local function make_note(path)
  local fd, message, code = uv.fs_open(path, "w", 384) -- 0600
  if fd then return uv.fs_close(fd) end
  return nil, errors.new {
    code = code, op = "guest", message = ("cannot make %s: %s"):format(path, message),
  }
end

local function base_of(session_dir)
  return session_dir and session_dir:match "^(.*)/[^/]*$"
end

-- Inside, whoever the guest runs as must get in.
local function open_dir(path)
  local ok, err = host.private_dir(path)
  if not ok then return nil, err end
  uv.fs_chmod(path, 493) -- 0755
  return path
end

--- Makes a link directory. It is private because the directory that holds it is.
---@param instance string
---@param session_dir string the session's private directory
---@return string? path, axo.Error?
function guest.make_link_dir(instance, session_dir)
  local path, err = guest.link_dir(instance, base_of(session_dir))
  if not path then return nil, err end
  local ok
  ok, err = make_note(session_dir .. "/" .. guest.note(instance))
  if not ok then return nil, err end
  ok, err = open_dir(path)
  if not ok then return nil, err end
  ok, err = open_dir(path .. INNER)
  if not ok then return nil, err end
  return path
end

-- Beside the link directory, where no container sees it.
local function hidden_dir(link_dir)
  return link_dir .. ".in"
end

-- In it: which guest holds it open. That of a container that was restarted does not.
local HOLDER = "/guest"
local MAX_HOLDER = 256

--- Where the guest of a session looks for our socket now.
---@param link_dir string
---@param identity string the guest's, from `host.identity`
---@return string path
function guest.socket_dir(link_dir, identity)
  local hidden = hidden_dir(link_dir)
  if uv.fs_lstat(hidden) then
    local holder = private_file.read(hidden .. HOLDER, MAX_HOLDER)
    return (holder == nil or holder == identity) and hidden or link_dir
  end
  if uv.fs_lstat(link_dir .. INNER) then return link_dir .. INNER end
  return link_dir -- a guest of an older version
end

--- Takes the directory of the sockets out of the container, once the guest has shown that it holds
--- it open: from then on nothing else in there can reach a socket, and so flood it.
---@param link_dir string
---@param identity string the guest's
---@return true? hidden, axo.Error?
function guest.hide(link_dir, identity)
  local inner = link_dir .. INNER
  if not uv.fs_lstat(inner) then return true end -- it has been, or there is none
  local ok, message = private_file.replace(inner .. HOLDER, identity)
  local code = not ok and uv.fs_lstat(inner) and "EIO" or nil
  if not code then
    ok, message, code = uv.fs_rename(inner, hidden_dir(link_dir))
    if ok or code == "ENOENT" then return true end -- another host was quicker
  end
  return nil, errors.new { code = code, op = "connect", message = message }
end

--- Why a guest that has ended did so.
---@param exit_code integer?
---@return axo.Error? err nil: nothing is known
function guest.ending(exit_code)
  if exit_code ~= EXIT_SILENT then return nil end
  return errors.new {
    code = "NO_GUEST", op = "connect",
    message = "the kernel cannot tell the guest of a host: directory notification is off, and "
      .. "this user has no inotify instance left",
    hint = "sysctl fs.dir-notify-enable=1, or raise fs.inotify.max_user_instances",
  }
end

local function each_entry(path, fn)
  local entries = uv.fs_scandir(path)
  while entries do
    local name = uv.fs_scandir_next(entries)
    if not name then break end
    fn(name)
  end
end

--- Removes the link directory of a container that is gone, and the note of it.
---@param instance string?
---@param session_dir string?
function guest.forget(instance, session_dir)
  local path = instance and guest.link_dir(instance, base_of(session_dir))
  if not path then return end
  for _, one in ipairs { path .. INNER, path, hidden_dir(path) } do
    each_entry(one, function(name) uv.fs_unlink(one .. "/" .. name) end)
    uv.fs_rmdir(one)
  end
  if session_dir then uv.fs_unlink(session_dir .. "/" .. guest.note(instance)) end
end

--- Removes the link directories that a session's private directory has notes of.
---@param session_dir string
---@param but string? an instance that lives
function guest.forget_all(session_dir, but)
  each_entry(session_dir, function(name)
    local instance = name:match "^(%x+)%.link$"
    if instance and instance ~= but then guest.forget(instance, session_dir) end
  end)
end

--- Whether a session's private directory has notes of link directories.
---@param session_dir string
---@return boolean
function guest.has_notes(session_dir)
  local found = false
  each_entry(session_dir, function(name) found = found or name:find "^%x+%.link$" ~= nil end)
  return found
end

return guest
