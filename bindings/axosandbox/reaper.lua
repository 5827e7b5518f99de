--- Removing what dead hosts left: their sessions, the containers in which they built images,
--- their files.
local await = require "axosandbox.await"
local host = require "axosandbox.host"
local leftovers = require "axosandbox.leftovers"
local naming = require "axosandbox.naming"
local options = require "axosandbox.options"
local podman = require "axosandbox.podman"
local session_lock = require "axosandbox.session_lock"
local sessions = require "axosandbox.sessions"

local reaper = {}

local function reap_one(client, session)
  local lock, err = session_lock.take(session.id, true)
  if not lock then return nil, err.code == "EBUSY" and "in use" or tostring(err) end
  local ok
  ok, err = leftovers.remove(client, session.container_id)
  if ok then leftovers.remove_directory((host.session_dir(session.id))) end
  session_lock.release(lock, session.id)
  return ok, err and tostring(err)
end

local function reap(client, session, known, report)
  local ok, reason
  if known[session.id] then
    reason = "known"
  elseif session.owner_alive then
    reason = "its owner is alive"
  else
    ok, reason = reap_one(client, session)
  end
  local list = ok and report.removed or report.skipped
  list[#list + 1] = { id = session.id, container = session.container, reason = reason }
end

-- Containers in which an image was being provisioned when their host died.
local function reap_builders(client)
  local containers = leftovers.with_label(client, naming.LABEL .. "provision", "reap") or {}
  for _, container in ipairs(containers) do
    local labels = container.Labels or {}
    local owner, instance = labels[naming.LABEL .. "owner"], labels[naming.LABEL .. "instance"]
    if sessions.name_of(container) == naming.BUILDER_PREFIX .. tostring(instance)
      and owner and host.is_alive(owner) == false then
      leftovers.remove(client, container.Id)
    end
  end
end

---@class axo.ReapReport
---@field removed { id: string, container: string }[]
---@field skipped { id: string, container: string, reason: string }[]

-- Locks and directories of sessions that have no container any more: their host died.
local function sweep_files(found, known)
  local spared = setmetatable({}, { __index = known })
  for _, session in ipairs(found) do spared[session.id] = true end
  for _, id in ipairs(host.session_ids()) do
    local lock = not spared[id] and session_lock.take(id, true, 1)
    if lock then
      leftovers.remove_directory((host.session_dir(id)))
      session_lock.release(lock, id)
    end
  end
end

--- Removes the sessions whose host died, running or not. Never one that is known, whose owner
--- is alive (or may be), or that somebody holds open.
---@param known_ids string[]? ids to leave alone whatever their state
---@param callback fun(err: axo.Error?, report: axo.ReapReport?)?
---@return axo.ReapReport? report, axo.Error?
function reaper.reap_orphans(known_ids, callback)
  if type(known_ids) == "function" then known_ids, callback = nil, known_ids end
  options.check({ known_ids = { type = "table", items = "string" } },
    { known_ids = known_ids }, "axosandbox.reap_orphans", 2)
  local known = {}
  for _, id in ipairs(known_ids or {}) do known[id] = true end
  return await.sequence(function()
    local client, err = podman.client()
    if not client then return nil, err end
    local found
    found, err = sessions.all(client, "reap")
    if not found then return nil, err end
    local report = { removed = {}, skipped = {} }
    for _, session in ipairs(found) do reap(client, session, known, report) end
    reap_builders(client)
    sweep_files(found, known)
    return report
  end, callback)
end

return reaper
