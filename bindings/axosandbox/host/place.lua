--- Where a session's files lie: its private directory, its lock, the link directories of its
--- containers. A session's place is told by its id and the store that its container is in; the
--- container's label names it, for who comes with another environment.
local uv = require "luv"
local container_store = require "axosandbox.host.container_store"
local errors = require "axosandbox.base.errors"
local host = require "axosandbox.host"

local place = {}

---@class axo.Place
---@field base string a runtime directory
---@field name string the session's id, in any store but the usual one with the store behind it
local Place = {}
Place.__index = Place

local function new(base, name)
  return setmetatable({ base = base, name = name }, Place)
end

--- What the names of a store's places end in.
---@return string
function place.suffix()
  local key = container_store.key()
  return key ~= "" and "@" .. key or ""
end

--- Where this process would start a session.
---@param id string
---@return axo.Place? place, axo.Error?
function place.own(id)
  local base, err = host.runtime_dir()
  if not base then return nil, err end
  return new(base, id .. place.suffix())
end

--- Everywhere where a session may have been started, by somebody with a login or without one.
---@param id string
---@return axo.Place[]
function place.all(id)
  local found, name = {}, id .. place.suffix()
  for i, base in ipairs(host.runtime_dirs()) do found[i] = new(base, name) end
  return found
end

--- The places of this store in a runtime directory.
---@param base string
---@return axo.Place[]
function place.within(base)
  local found, suffix = {}, place.suffix()
  for _, name in ipairs(host.session_names(base)) do
    local id, rest = name:match "^([^@]*)(.*)$"
    if rest == suffix then
      local at = new(base, name)
      at.id = id
      found[#found + 1] = at
    end
  end
  return found
end

local function unreachable(path, err)
  return nil, errors.new {
    code = "GONE", op = "open",
    message = ("the session was started with its files in %s: %s"):format(path, err),
    hint = "was that directory of a login that has ended? loginctl enable-linger keeps it",
  }
end

--- Where a session was started, by its labels.
---@param session axo.SessionLabels
---@return axo.Place? place, axo.Error? err that directory is gone, or not safe
function place.of_session(session)
  -- Older versions wrote no such label.
  if not session.place then return place.own_plain(session.id) end
  local base, name = session.place:match "^(.*)/([^/]*)$"
  local stat = uv.fs_lstat(base)
  if not stat then return unreachable(session.place, "it is gone") end
  local path, err = host.private_dir(base)
  if not path then return unreachable(session.place, err.message) end
  return new(base, name)
end

--- As sessions of older versions have it, in whichever store.
---@param id string
---@return axo.Place? place, axo.Error?
function place.own_plain(id)
  local base, err = host.runtime_dir()
  if not base then return nil, err end
  return new(base, id)
end

--- The same; this process's own place where that one is not there any more.
---@param session axo.SessionLabels
---@return axo.Place? place
---@return axo.Error? lost why it is not where it was started, or why there is none
function place.find(session)
  local at, err = place.of_session(session)
  if at then return at end
  local own, problem = place.own(session.id)
  return own, own and err or problem
end

--- The private directory. Made when missing.
---@return string? path, axo.Error?
function Place:dir() return host.session_dir(self.name, self.base) end

--- The same, not made.
---@return string
function Place:path() return self.base .. "/" .. self.name end

--- The lock file.
---@return string? path, axo.Error?
function Place:lock_path() return host.lock_path(self.name, self.base) end

---@param other axo.Place?
---@return boolean
function Place:is(other)
  return other ~= nil and self.base == other.base and self.name == other.name
end

return place
