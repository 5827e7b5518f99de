--- From a session to this host. What is read is asked of the session, and what it answers is
--- hostile: names, sizes and trees are the container's.
local tally = require "axolua.cp.tally"

local from_session = {}

local CHUNK = 4 * 1024 * 1024

local function join(dir, name) return dir == "." and name or dir .. "/" .. name end

-- As long as it was when it was looked at: one that grows would never end.
local function content(sb, path, size, write, so_far)
  local offset = 0
  while offset < size do
    local limit = math.min(CHUNK, size - offset)
    local bytes, err = sb:read_file(path, { offset = offset, limit = limit })
    if not bytes then return nil, err end
    if bytes == "" then break end
    local ok
    ok, err = write(bytes)
    if ok then ok, err = so_far:check() end
    if not ok then return nil, err end
    offset = offset + #bytes
  end
  return true
end

local copy_directory

-- One entry of the session to a name in a directory of ours.
local function copy(sb, path, entry, into, name, depth, so_far)
  if entry.type ~= "file" and entry.type ~= "directory" then
    so_far:leave_out(path, entry.type)
    return true
  end
  local ok, err = so_far:add(path, depth, entry.type == "file" and entry.size or 0)
  if not ok then return nil, err end
  if entry.type == "file" then
    return into:write_file(name, entry.mode, function(write)
      return content(sb, path, entry.size, write, so_far)
    end)
  end
  local dir <close>, problem = into:make(name, entry.mode)
  if not dir then return nil, problem end
  return copy_directory(sb, path, dir, depth + 1, so_far)
end

function copy_directory(sb, path, into, depth, so_far)
  local entries, err = sb:list_dir(path)
  if not entries then return nil, err end
  if entries.truncated then
    return nil, { op = "cp", message = ("%s: more than %d files"):format(path, tally.MAX_ENTRIES) }
  end
  for _, entry in ipairs(entries) do
    local ok
    ok, err = copy(sb, join(path, entry.name), entry, into, entry.name, depth, so_far)
    if not ok then return nil, err end
  end
  return true
end

--- Copies a file, or a directory with what is in it.
---@param sb axo.Session
---@param path string in the session
---@param entry axo.Entry what it is
---@param into cli.HostDirectory
---@param name string? what it is called there; nil: what is in the directory goes right into it
---@param so_far cli.Tally
---@return true? ok, axo.Error|table|nil err
function from_session.copy(sb, path, entry, into, name, so_far)
  if not name then return copy_directory(sb, path, into, 1, so_far) end
  return copy(sb, path, entry, into, name, 1, so_far)
end

return from_session
