--- What this host loads and runs of axosandbox itself. A session whose directory overlaps with it
--- could change what runs outside of the container.
local uv = require "luv"
local errors = require "axosandbox.base.errors"
local paths = require "axosandbox.base.text.path"
local host = require "axosandbox.host"

local FILE = select(2, ...) -- as require hands it over

local own_files = {}

-- What is required by name, with the directory of the library's own modules.
local MODULES = { "axosandbox.core", "axosandbox", "luv", "cjson", "argparse" }

-- A build tree's directories are links: both the link and what it leads to must stay as they are.
local function add(places, path)
  local real = path and uv.fs_realpath(path)
  if not real then return end
  places[#places + 1] = real
  local parent, name = path:match "^(.*)/([^/]+)$"
  local real_parent = parent and uv.fs_realpath(parent)
  if real_parent then places[#places + 1] = real_parent .. "/" .. name end
end

local function add_directory(places, file)
  add(places, file and file:match "^(.*)/[^/]*$")
end

-- Computed once: the process keeps running what it has loaded.
local places

local function find_places()
  local found = {}
  for i, name in ipairs(MODULES) do
    local file = package.searchpath(name, package.path) or package.searchpath(name, package.cpath)
    add(found, file)
    if i <= 2 then add_directory(found, file) end
  end
  local prefix = FILE:match "^(.*)/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+$"
  if prefix then
    add(found, prefix .. "/share/axosandbox/policy")
    add(found, prefix .. "/share/axosandbox/scripts")
    add(found, prefix .. "/lib/axosandbox")
  end
  local axolua = package.loaded["axolua.host"]
  add(found, axolua and axolua.exe)
  return found
end

-- Where it is, or will be once it is made.
local function real_path(path)
  local rest = ""
  while path do
    local real = uv.fs_realpath(path == "" and "/" or path)
    if real then return (real == "/" and "" or real) .. rest end
    local parent, name = path:match "^(.*)/([^/]*)$"
    path, rest = parent, "/" .. tostring(name) .. rest
  end
end

-- Locks, the files and sockets of sessions, what was learnt of this host.
local function private_places()
  local found = host.runtime_places()
  for _, path in ipairs { host.state_path() or false, host.cache_path() or false } do
    if path then found[#found + 1] = path end
  end
  return found
end

local function check_private(dir)
  for _, path in ipairs(private_places()) do
    local real = real_path(path)
    if real and paths.overlap(dir, { real }) then
      return nil, errors.new {
        code = "OWN_FILES", op = "start",
        message = ("axosandbox keeps files of its sessions in the directory %s (%s): a session "
          .. "that writes there could change others"):format(dir, path),
        hint = "choose another directory",
      }
    end
  end
  return true
end

--- Refuses a session's directory that this host runs code from, or keeps files of sessions in, or
--- that lies where it does.
---@param dir string the directory, without symbolic links
---@param program string? the podman that is used
---@return true? ok, axo.Error? code "OWN_FILES"
function own_files.check(dir, program)
  places = places or find_places()
  local real = program and uv.fs_realpath(program)
  if real and paths.is_in(real, dir) then
    return nil, errors.new {
      code = "OWN_FILES", op = "start",
      message = ("the podman of this host, %s, lies in the directory %s: what a session writes "
        .. "there would run on this host"):format(program, dir),
      hint = "use a podman that lies elsewhere, or another directory",
    }
  end
  local place = paths.overlap(dir, places)
  if place then
    return nil, errors.new {
      code = "OWN_FILES", op = "start",
      message = ("the directory %s holds axosandbox itself (%s): what a session writes there "
        .. "would run on this host"):format(dir, place),
      hint = "choose another directory; to work on axosandbox in a session, install it first "
        .. "(cmake --install build --prefix DIR) and run DIR/bin/axolua",
    }
  end
  return check_private(dir)
end

return own_files
