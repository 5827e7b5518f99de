--- From this host to a session.
local uv = require "luv"
local tally = require "axolua.cp.tally"

local to_session = {}

-- A file goes over whole: it is never there by half.
local MAX_FILE, CHUNK = 256 * 1024 * 1024, 4 * 1024 * 1024
local PERMISSIONS = 511 -- 0777

local function too_large(path)
  return nil, {
    op = "cp", message = ("%s: a file of more than 256 MiB"):format(path),
    hint = "cp it into the session's directory: that is the same on this host (axolua ps)",
  }
end

local function read(fd, path)
  local parts, size = {}, 0
  while true do
    local bytes, problem = uv.fs_read(fd, CHUNK, size)
    if not bytes then return nil, { op = "cp", message = path .. ": " .. problem } end
    if bytes == "" then return table.concat(parts) end
    parts[#parts + 1], size = bytes, size + #bytes
    if size > MAX_FILE then return too_large(path) end
  end
end

local function copy_file(from, name, sb, path, so_far, depth)
  local fd, stat = from:open_file(name)
  if not fd then return nil, stat end
  local ok, err = so_far:add(from:child(name), depth, stat.size)
  local bytes
  if ok then bytes, err = read(fd, from:child(name)) end
  uv.fs_close(fd)
  if not bytes then return nil, err end
  return sb:write_file(path, bytes, { mode = stat.mode & PERMISSIONS })
end

local copy_directory

local function copy(from, name, sb, path, depth, so_far)
  local stat = from:stat(name)
  if not stat then return nil, { op = "cp", message = from:child(name) .. ": it is not there" } end
  if stat.type == "file" then return copy_file(from, name, sb, path, so_far, depth) end
  if stat.type ~= "directory" then
    so_far:leave_out(from:child(name), stat.type)
    return true
  end
  local ok, err = so_far:add(from:child(name), depth, 0)
  if not ok then return nil, err end
  local dir <close>, problem = from:enter(name)
  if not dir then return nil, problem end
  return copy_directory(dir, sb, path, depth + 1, so_far)
end

function copy_directory(from, sb, path, depth, so_far)
  local ok, err = sb:mkdir(path, { parents = true })
  if not ok then return nil, err end
  local names
  names, err = from:names(tally.MAX_ENTRIES)
  for _, name in ipairs(names or {}) do
    ok, err = copy(from, name, sb, path .. "/" .. name, depth, so_far)
    if not ok then return nil, err end
  end
  return names and true, err
end

--- Copies a file, or a directory with what is in it.
---@param from cli.HostDirectory
---@param name string? in it; nil: what is in the directory
---@param sb axo.Session
---@param path string in the session
---@param so_far cli.Tally
---@return true? ok, axo.Error|table|nil err
function to_session.copy(from, name, sb, path, so_far)
  if not name then return copy_directory(from, sb, path, 1, so_far) end
  return copy(from, name, sb, path, 1, so_far)
end

return to_session
