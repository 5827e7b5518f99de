--- Where a directory really lies: on which file system, and where on that. A bind mount gives a
--- directory another path; on its file system it stays where it is, and what is mounted beneath it
--- comes along into a container.
local uv = require "luv"
local host = require "axosandbox.host"
local paths = require "axosandbox.base.text.path"
local mount_table = require "axosandbox.host.mounts.table"

local places = {}

local O_PATH = 2097152 -- 010000000

---@class axo.Place
---@field at string its path
---@field device string of the file system
---@field root string the path there
---@field is_layer boolean? it lies beneath an overlay that is there

local function join(dir, rest)
  if rest == "" then return dir end
  return (dir == "/" and "" or dir) .. rest
end

-- What of `path` lies behind `dir`: "" or "/...".
local function behind(path, dir)
  return path == dir and "" or path:sub(dir == "/" and 1 or #dir + 1)
end

-- The id of the mount that a path is really on: a table does not tell which of several that lie over
-- each other is seen.
local function mount_id(path)
  local fd = uv.fs_open(path, O_PATH, 0)
  local text = fd and host.read_file("/proc/self/fdinfo/" .. fd)
  if fd then uv.fs_close(fd) end
  return text and text:match "mnt_id:%s*(%d+)"
end

local function own_mount(entries, path)
  local id, found = mount_id(path), nil
  for _, entry in ipairs(entries) do
    if entry.id == id then return entry end
  end
  for _, entry in ipairs(entries) do
    if paths.is_in(path, entry.at) and (not found or #entry.at >= #found.at) then found = entry end
  end
  return found
end

local function place_of(entry, path)
  return {
    at = path, device = entry.device, root = join(entry.root, behind(path, entry.at)),
  }
end

-- What an overlay shows lies elsewhere, too. The whole system's own is no disguise, and neither are
-- layers that cannot be reached from here.
local function add_layers(found, devices, entries, entry, path)
  if not entry.layers or entry.at == "/" then return end
  for _, layer in ipairs(entry.layers) do
    local real = uv.fs_realpath(join(layer, behind(join(entry.root, behind(path, entry.at)), "/")))
    local own = real and own_mount(entries, real)
    if own then
      local place = place_of(own, real)
      found[#found + 1] = { at = path, device = place.device, root = place.root, is_layer = true }
      devices[place.device] = true
    end
  end
end

local function of_device(entries, devices)
  local list = {}
  for _, entry in ipairs(entries) do
    if devices[entry.device] then
      list[#list + 1] = { at = entry.at, device = entry.device, root = entry.root }
    end
  end
  return list
end

--- The places of a directory and of what is mounted beneath it; and all mounts of their file
--- systems. nil where the system does not tell.
---@param path string without symbolic links
---@return axo.Place[]? found the directory's own comes first
---@return axo.Place[]? mounts
function places.of(path)
  local entries = mount_table.read "self"
  local own = entries and own_mount(entries, path)
  if not own then return nil end
  local found, devices = { place_of(own, path) }, { [own.device] = true }
  add_layers(found, devices, entries, own, path)
  for _, entry in ipairs(mount_table.beneath(entries, path)) do
    if entry ~= own then
      found[#found + 1] = place_of(entry, entry.at)
      devices[entry.device] = true
      add_layers(found, devices, entries, entry, entry.at)
    end
  end
  return found, of_device(entries, devices)
end

--- What a container has beneath a directory that was not among the places judged; nil when there is
--- nothing, or it cannot be seen.
---@param entries axo.MountEntry[]? of the container
---@param target string where the directory is mounted in there
---@param judged axo.Place[]? from `places.of`
---@return string? path
function places.unforeseen(entries, target, judged)
  if not entries or not judged then return nil end
  local known = {}
  for _, place in ipairs(judged) do known[place.device .. " " .. place.root] = true end
  for _, entry in ipairs(mount_table.beneath(entries, target)) do
    if not known[entry.device .. " " .. entry.root] then return entry.at end
  end
end

return places
