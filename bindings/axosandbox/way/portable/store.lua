--- The files of tasks: for each a ring and a small JSON description, in the session's private
--- runtime directory, where the user's other processes find them.
local cjson = require "cjson.safe"
local uv = require "luv"
local core = require "axosandbox.core"
local host = require "axosandbox.host"
local presence = require "axosandbox.host.presence"

local store = {}

local PRIVATE = 384 -- 0600
local MAX_DESCRIPTION = 1024 * 1024

---@class axo.TaskStore
---@field dir string
---@field owner string identity of this process
---@field presence axo.Presence?
local Store = {}
Store.__index = Store

--- Opens the store of a way for writing; nil where there is no runtime directory.
---@param way axo.PortableWay
---@return axo.TaskStore?
function store.open(way)
  local dir = way.record.runtime_dir
  if not dir then return nil end
  local owner = host.identity()
  local name = way.key .. ".sock"
  local beacon = presence.announce(dir .. "/" .. name)
  return setmetatable({
    dir = dir, owner = owner, presence = beacon, beacon = beacon and name,
    instance = way.record.instance,
  }, Store)
end

--- An id of a task, and nothing that could name another file.
---@param id any
---@return boolean
function store.is_id(id)
  return type(id) == "string" and id:match "^t%x+$" ~= nil
end

---@param dir string
---@param id string
---@return string
function store.ring_path(dir, id) return ("%s/%s.ring"):format(dir, id) end

local function description_path(dir, id) return ("%s/%s.json"):format(dir, id) end

--- Makes the ring of a task.
---@param id string
---@param capacity integer bytes
---@return any? ring, axo.Error?
function Store:make_ring(id, capacity)
  return core.ring_create(store.ring_path(self.dir, id), capacity, { bell = true })
end

local function write_file(path, text)
  local fd = uv.fs_open(path, "w", PRIVATE)
  if not fd then return false end
  local written = uv.fs_write(fd, text)
  uv.fs_close(fd)
  return written == #text
end

--- Writes a task's description in one step. Losing one is harmless: only other processes
--- read it.
---@param description table
function Store:save(description)
  description.owner = self.owner
  description.beacon = self.beacon
  description.instance = self.instance
  local text = cjson.encode(description)
  local final = description_path(self.dir, description.id)
  local temporary = final .. ".new"
  if text and write_file(temporary, text) then uv.fs_rename(temporary, final) end
end

--- Removes the files of a task.
---@param id string
function Store:remove(id)
  uv.fs_unlink(description_path(self.dir, id))
  uv.fs_unlink(store.ring_path(self.dir, id))
end

function Store:close()
  if self.presence then self.presence:close() end
end

local function is_description(value, id)
  return type(value) == "table" and value.id == id and type(value.argv) == "table"
    and type(value.started) == "number" and type(value.status) == "table"
    and type(value.status.state) == "string" and type(value.owner) == "string"
    and type(value.mark) == "string"
end

--- What a task's description says; nil when there is none that can be understood.
---@param dir string
---@param id string
---@return table?
function store.load(dir, id)
  local file = io.open(description_path(dir, id), "rb")
  if not file then return nil end
  local text = file:read(MAX_DESCRIPTION)
  file:close()
  local value = cjson.decode(text or "")
  if not is_description(value, id) then return nil end
  value.status.code = math.tointeger(value.status.code)
  return value
end

--- The ids of all tasks that have a description.
---@param dir string
---@return string[]
function store.ids(dir)
  local ids = {}
  local request = uv.fs_scandir(dir)
  while request do
    local name = uv.fs_scandir_next(request)
    if not name then break end
    local id = name:match "^(t%x+)%.json$"
    if id then ids[#ids + 1] = id end
  end
  return ids
end

return store
