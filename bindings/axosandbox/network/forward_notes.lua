--- Where other processes of this user see which forwards a session has: an empty file for each, in
--- the session's own directory, whose name says it. It is locked while its forward is open, so that
--- one of a process that has died is known for what it is.
local uv = require "luv"
local core = require "axosandbox.core"

local notes = {}

local FOLDER = "forwards"
-- Files that are looked at; a session has at most 256 forwards, and several hosts may have it open.
local MOST = 1024

local function folder_of(dir) return dir .. "/" .. FOLDER end

--- Notes that a forward is open. Not to be able to is no harm.
---@param dir string the session's own
---@param it { port: integer, host_port: integer, address: string }
---@return { path: string, lock: userdata }?
function notes.make(dir, it)
  uv.fs_mkdir(folder_of(dir), 448) -- 0700
  local path = ("%s/%s_%d_%d"):format(folder_of(dir), it.address, it.host_port, it.port)
  local lock = core.lock(path, true)
  return lock and { path = path, lock = lock }
end

--- Takes a note back.
---@param note { path: string, lock: userdata }?
function notes.remove(note)
  if not note then return end
  uv.fs_unlink(note.path)
  note.lock:close()
end

-- Nobody has it any more: its process died.
local function is_left(path)
  local lock = core.lock(path, true)
  notes.remove(lock and { path = path, lock = lock })
  return lock ~= nil
end

--- Which of two forwards comes first in a list.
---@param a { port: integer, host_port: integer, address: string }
---@param b { port: integer, host_port: integer, address: string }
---@return boolean
function notes.by_port(a, b)
  if a.port ~= b.port then return a.port < b.port end
  if a.host_port ~= b.host_port then return a.host_port < b.host_port end
  return a.address < b.address
end

local function each_name(dir)
  local scan = uv.fs_scandir(folder_of(dir))
  local seen = 0
  return function()
    seen = seen + 1
    return scan and seen <= MOST and uv.fs_scandir_next(scan) or nil
  end
end

--- The forwards that hosts of a session have open, whoever started them, by their ports.
---
---     for _, session in ipairs(assert(axo.list())) do
---       for _, it in ipairs(axo.usage.forwards(session)) do print(session.id, it.port, it.host_port) end
---     end
---@param session axo.SessionInfo of `axo.list`
---@return { port: integer, host_port: integer, address: string }[]
function notes.of(session)
  local list, dir = {}, session.place:path()
  for name in each_name(dir) do
    local address, host_port, port = name:match "^([%x.:]+)_(%d+)_(%d+)$"
    if address and not is_left(folder_of(dir) .. "/" .. name) then
      list[#list + 1] = {
        port = tonumber(port), host_port = tonumber(host_port), address = address,
      }
    end
  end
  table.sort(list, notes.by_port)
  return list
end

return notes
