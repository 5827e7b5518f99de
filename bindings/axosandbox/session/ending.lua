--- How a session is let go of, and how it ends.
local uv = require "luv"
local await = require "axosandbox.base.await"
local guest = require "axosandbox.way.native.guest"
local leftovers = require "axosandbox.session.leftovers"
local secrets = require "axosandbox.podman.secrets"
local session_lock = require "axosandbox.host.session_lock"

local ending = {}

--- Lets go of a session that goes on: its lock is released, its container stays.
---@param record axo.Record
function ending.release(record)
  secrets.forget(record)
  local held = record.lock
  record.lock = nil
  if held then session_lock.release(held, record.place) end
  -- Files of a foreign container are kept only while there are any.
  if record.kind == "attached" then uv.fs_rmdir(record.runtime_dir) end
end

--- Ends a session: removes its container and files, and lets go of its lock. One that was
--- attached to is only let go of. A second call does nothing.
---@param record axo.Record
---@param done fun(err: axo.Error?, removed: boolean?)
---@return true
function ending.remove(record, done)
  return await.sequence(function()
    if record.removed then return false end
    local removed = record.kind ~= "attached"
    if removed then
      local ok, err = leftovers.remove(record.client, record.container_id)
      if not ok then return nil, err end
      leftovers.remove_directory(record.runtime_dir)
      if record.link_dir then guest.forget(record.instance, record.runtime_dir) end
    end
    record.removed = true
    ending.release(record)
    return removed
  end, done)
end

return ending
