--- How many events of the audit log were lost, kept over the end of a process that could not
--- write it: in the user's runtime directory, which seldom lies on the disk that was full.
local uv = require "luv"
local host = require "axosandbox.host"
local naming = require "axosandbox.base.naming"

local audit_lost = {}

local PRIVATE = 384 -- 0600
local MAX_BYTES = 64 * 1024

local function note_path()
  local dir = host.runtime_dir()
  return dir and dir .. "/.audit-lost"
end

local function append(path, text)
  local flags = uv.constants.O_WRONLY | uv.constants.O_APPEND | uv.constants.O_CREAT
  local fd = uv.fs_open(path, flags, PRIVATE)
  if not fd then return end
  local stat = uv.fs_fstat(fd)
  if stat and stat.size < MAX_BYTES then uv.fs_write(fd, text, -1) end
  uv.fs_close(fd)
end

--- Leaves word that so many events of a log are lost.
---@param log_path string
---@param count integer
---@param since string the time of the first of them
function audit_lost.leave(log_path, count, since)
  local path = note_path()
  if path then append(path, ("%d %s %s\n"):format(count, since, log_path)) end
end

--- Takes the word that others have left about a log.
---@param log_path string
---@return { lost: integer, since: string }? # nil when there is none
function audit_lost.take(log_path)
  local path = note_path()
  if not path or not uv.fs_stat(path) then return nil end
  -- Whoever gets it under a name of his own has it alone.
  local mine = path .. "." .. naming.token()
  if not uv.fs_rename(path, mine) then return nil end
  local text = host.read_file(mine) or ""
  uv.fs_unlink(mine)
  local gap
  for line in text:gmatch "[^\n]+" do
    local count, since, name = line:match "^(%d+) (%S+) (.*)$"
    if name and name ~= log_path then
      append(path, ("%s %s %s\n"):format(count, since, name))
    else
      gap = gap or { lost = 0, since = since }
      gap.lost = gap.lost + math.tointeger(tonumber(count))
    end
  end
  return gap
end

return audit_lost
