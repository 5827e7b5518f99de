--- The lock of a session: who starts or removes it holds it alone, who has it open shares it.
--- It ends with the process, so that a crash frees it.
local uv = require "luv"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local place = require "axosandbox.host.place"

local session_lock = {}

-- Somebody who only looks whether a lock is free holds it for a moment.
local TRIES = 5
local PAUSE = 0.02
local SHARE_TRIES = 50

-- Of this process's own store, when only an id is given.
local function path_of(at)
  if type(at) ~= "string" then return at:lock_path() end
  local own, err = place.own(at)
  if not own then return nil, err end
  return own:lock_path()
end

--- Takes a session's lock without waiting for its holder; in a coroutine.
---@param at axo.Place|string
---@param exclusive boolean
---@param tries integer? 1: one look
---@return userdata? lock, axo.Error? code "EBUSY" when somebody holds it
function session_lock.take(at, exclusive, tries)
  local path, err = path_of(at)
  if not path then return nil, err end
  for try = 1, tries or TRIES do
    if try > 1 then await.sleep(PAUSE) end
    local lock
    lock, err = core.lock(path, exclusive)
    if lock or err.code ~= "EBUSY" then return lock, err end
  end
  return nil, err
end

--- From "mine alone" to "shared", in a coroutine. Between the two modes another start can take
--- the lock for a moment, until it sees that this session's owner is alive.
---@param lock userdata
---@param id string
---@return true? shared, axo.Error?
function session_lock.share(lock, id)
  for _ = 1, SHARE_TRIES do
    if lock:change(false) then return true end
    await.sleep(PAUSE)
  end
  return nil, errors.new {
    code = "EBUSY", op = "start",
    message = ("the lock of the session %q was taken away"):format(id),
  }
end

--- Whether somebody holds a session's lock.
---@param at axo.Place|string
---@return boolean
function session_lock.is_held(at)
  local path = path_of(at)
  if not path or not uv.fs_stat(path) then return false end
  local lock, err = session_lock.take(at, true, 1)
  session_lock.release(lock, at)
  return not lock and err.code == "EBUSY"
end

--- Lets go of a session's lock; the last one to do so removes its file.
---@param lock userdata?
---@param at axo.Place|string
function session_lock.release(lock, at)
  if not lock then return end
  local path = path_of(at)
  if path and lock:change(true) then uv.fs_unlink(path) end
  lock:close()
end

return session_lock
