--- Removing what dead hosts left: their sessions, the containers in which they built images,
--- their files.
local await = require "axosandbox.base.await"
local guest = require "axosandbox.way.native.guest"
local host = require "axosandbox.host"
local idle = require "axosandbox.session.idle"
local leftovers = require "axosandbox.session.leftovers"
local naming = require "axosandbox.base.naming"
local options = require "axosandbox.base.options"
local place = require "axosandbox.host.place"
local podman = require "axosandbox.podman"
local session_file = require "axosandbox.session.record"
local session_list = require "axosandbox.session.list"
local session_lock = require "axosandbox.host.session_lock"
local unseen = require "axosandbox.base.text.unseen"

local reaper = {}

-- Somebody kept it for what runs in it.
local function activity(session)
  if not session.kept or not session.pid then return nil end
  local name, is_known = idle.busy_with(session.pid)
  if not is_known then return "it was kept, and what runs in it cannot be told" end
  return name and ("it was kept, and %s runs in it"):format(unseen.replace(name, "?")) or nil
end

local function lock_orphan(session, opts)
  local reason = opts.known[session.id] and "known"
    or session.owner_alive and "its owner is alive"
    or not session.place and "the directory of its files cannot be used" or nil
  if reason then return nil, reason end
  local lock, err = session_lock.take(session.place, true)
  if not lock then return nil, err.code == "EBUSY" and "in use" or tostring(err) end
  -- Nobody begins anything in it from now on.
  reason = not opts.force and activity(session) or nil
  if not reason then return lock end
  session_lock.release(lock, session.place)
  return nil, reason, true
end

-- Takes the locks of the sessions that nobody has any more.
local function take_orphans(found, opts, report)
  local orphans = {}
  for _, session in ipairs(found) do
    local lock, reason, is_busy = lock_orphan(session, opts)
    if lock then
      orphans[#orphans + 1] = { session = session, lock = lock }
    else
      report.skipped[#report.skipped + 1] = {
        id = session.id, container = session.container, reason = reason, busy = is_busy,
      }
    end
  end
  return orphans
end

local function foresee(orphans, report)
  for i, orphan in ipairs(orphans) do
    local session = orphan.session
    session_lock.release(orphan.lock, session.place)
    report.removed[i] = { id = session.id, container = session.container }
  end
end

-- podman reaches each only from where it was started.
local function by_client(client, orphans)
  local groups, dirs = {}, {}
  for _, orphan in ipairs(orphans) do
    local dir = orphan.session.labels.podman_dir or ""
    local group = groups[dir]
    if not group then
      group = { client = client:for_session(orphan.session.labels), ids = {} }
      groups[dir], dirs[#dirs + 1] = group, dir
    end
    group.ids[#group.ids + 1] = orphan.session.container_id
  end
  return groups, dirs
end

local function remove_orphans(client, orphans, report)
  local failed = {}
  local groups, dirs = by_client(client, orphans)
  for _, dir in ipairs(dirs) do
    for id, err in pairs(leftovers.remove_all(groups[dir].client, groups[dir].ids)) do
      failed[id] = err
    end
  end
  for _, orphan in ipairs(orphans) do
    local session = orphan.session
    local err = failed[session.container_id]
    if not err then leftovers.remove_directory(session.place:path()) end
    session_lock.release(orphan.lock, session.place)
    local list = err and report.skipped or report.removed
    list[#list + 1] =
      { id = session.id, container = session.container, reason = err and tostring(err) }
  end
end

-- Containers in which an image was being provisioned when their host died.
local function reap_builders(client)
  local containers = leftovers.with_label(client, naming.LABEL .. "provision", "reap") or {}
  for _, container in ipairs(containers) do
    local labels = container.Labels or {}
    local owner, instance = labels[naming.LABEL .. "owner"], labels[naming.LABEL .. "instance"]
    if session_list.name_of(container) == naming.BUILDER_PREFIX .. tostring(instance)
      and owner and host.is_alive(owner) == false then
      leftovers.remove(client, container.Id)
    end
  end
end

---@class axo.ReapReport
---@field removed { id: string, container: string }[]
---@field skipped { id: string, container: string, reason: string, busy: boolean? }[] busy: `force` takes it, too

-- A directory without the session's own file is one of an older version, or of no session. It may
-- belong to a container of any store, so one that has a guest's link directory stays.
local function may_live(path)
  return session_file.is_needed(path)
    or not session_file.read(path) and guest.has_notes(path)
end

-- Locks and directories of sessions of this store that have no container any more: their host died.
local function sweep_files(found, known)
  local spared = {}
  for _, session in ipairs(found) do
    if session.place then spared[session.place:path()] = true end
  end
  for _, base in ipairs(host.runtime_dirs()) do
    for _, at in ipairs(place.within(base)) do
      local is_spared = spared[at:path()] or known[at.id] or may_live(at:path())
      local lock = not is_spared and session_lock.take(at, true, 1)
      if lock then
        leftovers.remove_directory(at:path())
        session_lock.release(lock, at)
      end
    end
  end
end

---@class axo.ReapOptions
---@field force boolean? kept sessions in which something runs, too
---@field dry_run boolean? only tell what would be removed

local OPTIONS = { force = "boolean", dry_run = "boolean" }

local function reap(opts)
  local client, err = podman.client()
  if not client then return nil, err end
  local found
  found, err = session_list.all(client, "reap")
  if not found then return nil, err end
  local report = { removed = {}, skipped = {} }
  local orphans = take_orphans(found, opts, report)
  if opts.dry_run then
    foresee(orphans, report)
    return report
  end
  remove_orphans(client, orphans, report)
  reap_builders(client)
  sweep_files(found, opts.known)
  return report
end

--- Removes the sessions whose host died, running or not. Never one that is known, whose owner
--- is alive (or may be), or that somebody holds open; and one that was kept only where nothing
--- runs in it any more, unless `force` is set.
---
---     local report = assert(axo.reap_orphans { "demo" })
---     for _, it in ipairs(report.removed) do print("removed", it.id) end
---     for _, it in ipairs(report.skipped) do print("left alone", it.id, it.reason) end
---@param known_ids string[]? ids to leave alone whatever their state
---@param opts axo.ReapOptions?
---@param callback fun(err: axo.Error?, report: axo.ReapReport?)?
---@return axo.ReapReport? report, axo.Error?
function reaper.reap_orphans(known_ids, opts, callback)
  if type(known_ids) == "function" then known_ids, callback = nil, known_ids end
  if type(opts) == "function" then opts, callback = nil, opts end
  options.check({ known_ids = { type = "table", items = "string" } },
    { known_ids = known_ids }, "axosandbox.reap_orphans", 2)
  opts = options.check(OPTIONS, opts, "axosandbox.reap_orphans", 2)
  local known = {}
  for _, id in ipairs(known_ids or {}) do known[id] = true end
  local wanted = { known = known, force = opts.force, dry_run = opts.dry_run }
  return await.sequence(function() return reap(wanted) end, callback)
end

return reaper
