--- Reads a policy file, and refuses one that somebody else could have written.
---
--- Others can change what a path leads to by writing the file, a directory on the way, or a
--- directory on the way of a symbolic link. So every step is looked at. Once none of them is
--- writable by others, nobody else can swap a thing between the look and the open.
local uv = require "luv"
local errors = require "axosandbox.base.errors"

local file = {}

--- Bytes; a longer file is refused.
file.MAX_SIZE = 256 * 1024

local MAX_LINKS = 40
local STICKY = tonumber("1000", 8)
local WRITABLE_BY_OTHERS = tonumber("022", 8)
local WRITABLE_BY_ALL = tonumber("002", 8)

local function refuse(path, what, hint)
  return nil, errors.new {
    code = "POLICY", op = "policy", message = ("%s:1: %s"):format(path, what), hint = hint,
  }
end

local function is_trusted_owner(stat)
  return stat.uid == 0 or stat.uid == uv.getuid()
end

local function octal(mode)
  return ("%04o"):format(mode & tonumber("7777", 8))
end

--- What is wrong with a directory (or a link) on the way; nil when nothing is.
local function problem_on_the_way(path, stat)
  if not is_trusted_owner(stat) then
    return ("%s belongs to the user %d, neither to root nor to you"):format(path, stat.uid),
      "make root or yourself the owner of " .. path
  end
  if stat.type == "link" or stat.mode & STICKY ~= 0 then return end
  if stat.mode & WRITABLE_BY_OTHERS ~= 0 then
    return ("others can write the directory %s (mode %s)"):format(path, octal(stat.mode)),
      "chmod go-w " .. path
  end
end

local function split(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part ~= "." then parts[#parts + 1] = part end
  end
  return parts
end

local function prepend(parts, target)
  local joined = split(target)
  table.move(parts, 1, #parts, #joined + 1, joined)
  return joined
end

local function note(walk, path, stat)
  if walk.problem then return end
  walk.problem, walk.hint = problem_on_the_way(path, stat)
end

--- One component further. Returns false when the walk has ended.
local function step(walk)
  local name = table.remove(walk.parts, 1)
  if name == ".." then
    walk.dir = walk.dir:match "^(.*)/[^/]*$" or ""
    return #walk.parts > 0
  end
  local here = walk.dir .. "/" .. name
  local stat, message, code = uv.fs_lstat(here)
  if not stat then
    walk.missing = code == "ENOENT" or code == "ENOTDIR"
    walk.failed = message
    return false
  end
  if stat.type == "link" then
    note(walk, here, stat)
    walk.links = walk.links + 1
    local target = uv.fs_readlink(here)
    if not target or walk.links > MAX_LINKS then
      walk.failed = "too many symbolic links"
      return false
    end
    if target:sub(1, 1) == "/" then walk.dir = "" end
    walk.parts = prepend(walk.parts, target)
    return #walk.parts > 0
  end
  if #walk.parts == 0 then
    walk.real, walk.stat = here, stat
    return false
  end
  note(walk, here, stat)
  walk.dir = here
  return true
end

--- Follows `path` component by component, looking at each.
---@param path string absolute
---@return table walk { real, stat, missing, failed, problem, hint }
local function resolve(path)
  local walk = { dir = "", parts = split(path), links = 0 }
  local root = uv.fs_lstat "/"
  if root then note(walk, "/", root) end
  local going = #walk.parts > 0
  while going do going = step(walk) end
  return walk
end

-- Where a path leads, without a look at the way.
local function end_of(path)
  local real, message = uv.fs_realpath(path)
  local stat = real and uv.fs_lstat(real)
  return { real = stat and real, stat = stat, failed = message }
end

local function problem_of_file(stat, lenient)
  if stat.type ~= "file" then return "not a regular file but a " .. stat.type end
  if stat.size > file.MAX_SIZE then
    return ("too long (%d bytes, at most %d)"):format(stat.size, file.MAX_SIZE)
  end
  local writable = stat.mode & (lenient and WRITABLE_BY_ALL or WRITABLE_BY_OTHERS) ~= 0
  if writable then
    return "refused, because others can write it (mode " .. octal(stat.mode) .. ")",
      "chmod go-w"
  end
  if not lenient and not is_trusted_owner(stat) then
    return ("refused, because it belongs to the user %d, neither to root nor to you"):format(
      stat.uid), "chown root"
  end
end

local function read_all(fd, size)
  local chunks = {}
  local offset = 0
  -- One byte more than there should be, to notice a file that grows.
  while offset <= size do
    local bytes, message = uv.fs_read(fd, size + 1 - offset, offset)
    if not bytes then return nil, message end
    if bytes == "" then break end
    chunks[#chunks + 1] = bytes
    offset = offset + #bytes
  end
  if offset > size then return nil, "it changed while it was read" end
  return table.concat(chunks)
end

local function read_checked(path, walk, lenient)
  local flags = uv.constants.O_RDONLY | uv.constants.O_NONBLOCK
  local fd, message, code = uv.fs_open(walk.real, flags, 0)
  if not fd then
    return refuse(path, "cannot be read: " .. message,
      code == "EACCES" and "its owner can let you read it: chmod a+r " .. walk.real or nil)
  end
  local stat = uv.fs_fstat(fd)
  local problem, hint
  if not stat or stat.ino ~= walk.stat.ino or stat.dev ~= walk.stat.dev then
    problem = "it changed while it was opened"
  else
    problem, hint = problem_of_file(stat, lenient)
  end
  local text
  if not problem then text, problem = read_all(fd, stat.size) end
  uv.fs_close(fd)
  if not text then return refuse(path, problem, hint and hint .. " " .. path) end
  return text, nil, walk.real
end

--- Reads a policy file.
---
--- With `shipped` the file is one that came with the library: whoever can change the
--- directories around it can change the library as well, so only the file itself is looked
--- at, and a group may write it (a source tree made under umask 002).
---@param path string absolute
---@param opts { shipped: boolean? }?
---@return string? text nil when there is no such file, or it was refused
---@return axo.Error? err code "POLICY"; nil when there simply is no such file
---@return string? real the path without symbolic links
function file.read(path, opts)
  local there, _, code = uv.fs_lstat(path)
  if not there and (code == "ENOENT" or code == "ENOTDIR") then return nil end
  local lenient = opts ~= nil and opts.shipped == true
  local walk = lenient and end_of(path) or resolve(path)
  if walk.missing then return nil end
  if not walk.real then
    return refuse(path, "cannot be read: " .. tostring(walk.failed or "not a file"))
  end
  if walk.stat.type ~= "file" then return refuse(path, problem_of_file(walk.stat, lenient)) end
  if walk.problem and not lenient then
    return refuse(path, "refused, because " .. walk.problem, walk.hint)
  end
  return read_checked(path, walk, lenient)
end

--- The path without symbolic links, or nil.
---@param path string
---@return string?
function file.real_path(path)
  return (uv.fs_realpath(path))
end

return file
