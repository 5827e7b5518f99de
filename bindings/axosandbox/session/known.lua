--- A session whose container is known already, from its own file or from podman's list: it is
--- entered without asking podman about it, if its guest answers.
local cgroups = require "axosandbox.host.mounts.cgroups"
local devcontainer_state = require "axosandbox.session.devcontainer_state"
local errors = require "axosandbox.base.errors"
local guest = require "axosandbox.way.native.guest"
local limits = require "axosandbox.policy.limits"
local native = require "axosandbox.way.native"
local names_files = require "axosandbox.network.names.files"
local naming = require "axosandbox.base.naming"
local place = require "axosandbox.host.place"
local root = require "axosandbox.way.root"
local secrets = require "axosandbox.podman.secrets"
local session_file = require "axosandbox.session.record"
local session_lock = require "axosandbox.host.session_lock"

local known = {}

--- A share of a session's lock, in a coroutine.
---@param at axo.Place
---@param id string
---@param op string?
---@return userdata? lock, axo.Error? err code "STARTING"
function known.share(at, id, op)
  local lock, err = session_lock.take(at, false)
  if lock then return lock end
  if err.code ~= "EBUSY" then return nil, err end
  return nil, errors.new {
    code = "STARTING", op = op or "open",
    message = ("the session %q is being started or removed"):format(id),
    hint = "try again in a moment",
  }
end

---@class axo.KnownContainer
---@field id string of the container
---@field pid integer? its first process, when it runs on this machine
---@field image string
---@field network string?
---@field ports integer[] published
---@field mounts table? from cgroups.mounts

--- The record of a session, without its lock.
---@param client axo.Client
---@param set axo.Policy
---@param session axo.SessionLabels
---@param container axo.KnownContainer
---@param at axo.Place
---@return axo.Record? record, axo.Error?
function known.record(client, set, session, container, at)
  local runtime_dir, err = at:dir()
  if not runtime_dir then return nil, err end
  local link_dir
  if session.path == "native" and container.pid then
    link_dir, err = guest.link_dir(session.instance, at.base)
    if not link_dir then return nil, err end
  end
  local record = {
    kind = "opened", owned = false, id = session.id, container = naming.container(session.id),
    container_id = container.id, pid = container.pid, image = container.image,
    dir = session.dir, instance = session.instance, link_dir = link_dir,
    limits = limits.verify(session.limits, container.pid, container.id, container.mounts),
    given_back = session.given_back, asked_limits = session.limits,
    asked_image = session.image, network_mode = container.network,
    allow = (names_files.recall(runtime_dir, session.instance) or {}).allow,
    mounted = container.pid and root.known(session.dir, session.root),
    ports = container.ports, warnings = {}, timeouts = {}, runtime_dir = runtime_dir, place = at,
    client = client:for_session(session), policy = set, exec = set:fields().exec or {},
    extra_mounts = session.mounts, user = session.user, publish_address = session.address,
  }
  secrets.recall(record, session.secrets)
  devcontainer_state.restore(record)
  return record
end

--- Lets go of a record that nobody holds a session of; its container goes on.
---@param record axo.Record
function known.leave(record)
  local way, lock = record.entered, record.lock
  record.entered, record.lock = nil, nil
  if way and way.network then way.network:close() end
  if way then way:close(nil, function() end) end
  secrets.forget(record)
  session_lock.release(lock, record.place)
end

-- It answered, and its process is still the one that the file tells of: no other has got its
-- number since.
local function enter(record, found)
  local way = native.connect(record)
  if not way then return nil end
  record.entered = way
  return session_file.is_alive(found) == true
end

local function take_at(client, set, id, at)
  local found, session = session_file.live(at:path(), id)
  local pid = found and session.path == "native" and math.tointeger(found.process:match "^%d+")
  local mounts = pid and cgroups.mounts()
  local context = mounts and cgroups.context(pid, found.container_id, mounts)
  if not context or cgroups.is_frozen(context) then return nil end
  local lock, err = known.share(at, id)
  if not lock then return nil, err end
  local record = known.record(client, set, session, {
    id = found.container_id, pid = pid, image = found.image, network = found.network,
    ports = found.ports, mounts = mounts,
  }, at)
  if not record then return session_lock.release(lock, at) end
  record.lock = lock
  if enter(record, found) then return record end
  known.leave(record)
end

--- Takes a share in a session of this machine by its own file, in a coroutine.
---@param client axo.Client
---@param set axo.Policy
---@param id string
---@return axo.Record? record entered already; nil without an error: podman must be asked
---@return axo.Error? err code "STARTING"
function known.take(client, set, id)
  if client:is_remote() then return nil end
  for _, at in ipairs(place.all(id)) do
    local record, err = take_at(client, set, id, at)
    if record or err then return record, err end
  end
end

return known
