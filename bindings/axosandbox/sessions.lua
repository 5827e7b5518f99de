--- Sessions that exist already: opening, listing, attaching and stopping them. Everything is read
--- from the containers' labels; no file is needed to find a session. An image can carry any label:
--- see naming.session_of for when they are believed.
local uv = require "luv"
local audit_session = require "axosandbox.audit_session"
local await = require "axosandbox.await"
local devcontainer_state = require "axosandbox.devcontainer_state"
local errors = require "axosandbox.errors"
local hints = require "axosandbox.hints"
local guest = require "axosandbox.guest"
local host = require "axosandbox.host"
local leftovers = require "axosandbox.leftovers"
local limits = require "axosandbox.limits"
local log = require "axosandbox.log"
local naming = require "axosandbox.naming"
local options = require "axosandbox.options"
local podman = require "axosandbox.podman"
local policy = require "axosandbox.policy"
local root = require "axosandbox.root"
local secrets = require "axosandbox.secrets"
local session_lock = require "axosandbox.session_lock"

local sessions = {}

local OPEN_SHAPE = { policy = "table" }

--- A record as the session object that people hold.
---@param record axo.Record
---@return axo.Sandbox
function sessions.handle(record)
  local session = require "axosandbox.session"
  local driver = sessions.path(record)
  if record.kind == "attached" then root.settle(driver) end
  return session.new(record, driver)
end

--- The best way into a record's container, in a coroutine. The portable one serves where no
--- guest answers, which is said once.
---@param record axo.Record
---@return axo.Path
function sessions.path(record)
  local path, err = nil, record.no_link
  if record.link_dir and record.pid then
    path, err = require("axosandbox.native").connect(record)
  end
  if path then return path end
  local fallback = require("axosandbox.portable").new(record)
  if err then fallback:warn("the portable path is used: " .. tostring(err)) end
  return fallback
end

local function failure(code, message, hint, op)
  return nil, errors.new { code = code, op = op or "open", message = message, hint = hint }
end

--- The error of a session that does not exist.
---@param id string
---@param op string?
---@return axo.Error
function sessions.unknown(id, op)
  local _, err = failure("NOT_FOUND", "there is no session " .. id,
    hints.TABLE.list_sessions.lua, op)
  return err
end

local function unknown_container(name)
  local _, err = failure("NOT_FOUND", "there is no container " .. name,
    "podman ps --all lists them")
  return err
end

local function existing_container(client, name, op, otherwise)
  local container, err = client:inspect(name, op)
  if container or not podman.is_missing(err) then return container, err end
  return nil, otherwise
end

-- `what` it is for its user: "session ID", "container NAME".
local function running_container(client, name, what, otherwise)
  local container, err = existing_container(client, name, "open", otherwise)
  if not container then return nil, err end
  if container.State and container.State.Paused then
    return failure("PAUSED", ("the %s is paused"):format(what), "podman unpause " .. name)
  end
  if not (container.State and container.State.Running) then
    return failure("NOT_RUNNING", ("the %s is not running"):format(what),
      hints.TABLE.start_again.lua)
  end
  return container
end

local function published_ports(container, asked)
  local found = container.NetworkSettings and container.NetworkSettings.Ports or {}
  local list = {}
  for _, port in ipairs(asked) do
    if type(found[port .. "/tcp"]) == "table" then list[#list + 1] = port end
  end
  return list
end

local function labels_of(container)
  return container.Config and container.Config.Labels
end

-- The directory by which its guest finds us: our own, and only where it is really mounted.
local function link_dir_of(container, session)
  if session.path ~= "native" then return nil end
  local ours, err = guest.link_dir(session.instance)
  local real = ours and uv.fs_realpath(ours)
  for _, mount in ipairs(real and container.Mounts or {}) do
    if mount.Destination == guest.LINK_TARGET
      and uv.fs_realpath(tostring(mount.Source)) == real then
      return ours
    end
  end
  return nil, err or "its guest does not look for sockets where we make them"
end

local function record_of(client, set, container, session)
  local pid = not client:is_remote() and math.tointeger(container.State.Pid) or nil
  local link_dir, no_link
  if pid then link_dir, no_link = link_dir_of(container, session) end
  return {
    container_id = container.Id,
    pid = pid,
    image = container.ImageName,
    limits = limits.verify(session.limits, pid, container.Id),
    warnings = {},
    client = client,
    policy = set,
    owned = false,
    exec = set:fields().exec or {},
    timeouts = {},
    ports = published_ports(container, session.ports),
    instance = session.instance,
    mounted = pid and root.known(session.dir, session.root),
    link_dir = link_dir,
    no_link = no_link,
  }
end

local function take_shared(id, op)
  local lock, err = session_lock.take(id, false)
  if lock then return lock end
  if err.code ~= "EBUSY" then return nil, err end
  return failure("STARTING", ("the session %q is being started or removed"):format(id),
    "try again in a moment", op)
end

local function session_of(container, id, op)
  local session, problem = naming.session_of(container.Name, labels_of(container))
  if session then return session end
  return failure("NOT_FOUND", ("the container %s is not a session's%s"):format(
    naming.container(id), problem and ": " .. problem or ""), nil, op)
end

local function open_locked(client, set, id, lock)
  local container, err = running_container(client, naming.container(id), "session " .. id,
    sessions.unknown(id))
  if not container then return nil, err end
  local session
  session, err = session_of(container, id)
  if not session then return nil, err end
  local record = record_of(client, set, container, session)
  record.id, record.container, record.dir = id, naming.container(id), session.dir
  record.kind, record.asked_image, record.lock = "opened", session.image, lock
  record.asked_limits = session.limits
  record.given_back = session.given_back
  record.network_mode = container.HostConfig and container.HostConfig.NetworkMode
  record.runtime_dir, err = host.session_dir(id)
  if not record.runtime_dir then return nil, err end
  secrets.recall(record, session.secrets)
  devcontainer_state.restore(record)
  return record
end

--- Takes a share in a running session, in a coroutine.
---@param client axo.Client
---@param set axo.Policy
---@param id string
---@return axo.Record? record, axo.Error?
function sessions.take(client, set, id)
  local lock, err = take_shared(id)
  if not lock then return nil, err end
  local record
  record, err = open_locked(client, set, id, lock)
  if not record then session_lock.release(lock, id) end
  return record, err
end

local function policy_of(opts, level)
  local called, set, err = pcall(policy.new, opts.policy)
  if not called then error(set, level + 1) end
  return set, err
end

local function split(opts, callback)
  if type(opts) == "function" then return nil, opts end
  return opts, callback
end

local function as_handle(body, callback)
  return await.sequence(function()
    local record, err = body()
    local sb = record and sessions.handle(record)
    if sb then audit_session.opened(record, sb) end
    return sb, err
  end, callback)
end

local function check_id(id, where, level)
  local problem = type(id) ~= "string" and "the id must be a string" or naming.check_id(id)
  if problem then error(where .. ": " .. problem, level + 1) end
end

--- Opens a running session, for instance after its host was restarted. Closing the handle
--- leaves the session alone; `sb:stop()` ends it.
---
--- Codes: "NOT_FOUND", "NOT_RUNNING", "PAUSED", "STARTING" (another process starts or removes it
--- just now), "POLICY". An id that cannot be one raises.
---@param id string
---@param opts { policy: table? }? overrides for this handle, as in `axo.start`
---@param callback fun(err: axo.Error?, sb: axo.Sandbox?)?
---@return axo.Sandbox? sandbox, axo.Error? err
function sessions.open(id, opts, callback)
  opts, callback = split(opts, callback)
  check_id(id, "axosandbox.open", 2)
  opts = options.check(OPEN_SHAPE, opts, "axosandbox.open", 2)
  local set, set_error = policy_of(opts, 2)
  return as_handle(function()
    local client, err = podman.client()
    if not client or not set then return nil, err or set_error end
    return sessions.take(client, set, id)
  end, callback)
end

-- By its own id: whatever takes its name meanwhile is another one's.
local function remove_locked(client, id)
  local container, err = existing_container(client, naming.container(id), "stop",
    sessions.unknown(id, "stop"))
  if not container then return nil, err end
  local session
  session, err = session_of(container, id, "stop")
  if not session then return nil, err end
  local ok
  ok, err = leftovers.remove(client, container.Id)
  if ok then leftovers.remove_directory((host.session_dir(id))) end
  audit_session.stopped(id, naming.container(id), err)
  return ok, err
end

--- Ends a session by its id, whoever started it and whatever state it is in: running, paused or
--- exited. Removes its container and files; its handles find it gone. Policy is not asked.
---
--- Codes: "NOT_FOUND", "STARTING" (another process starts or removes it just now). An id that
--- cannot be one raises.
---@param id string
---@param callback fun(err: axo.Error?, ok: true?)?
---@return true? ok, axo.Error?
function sessions.stop(id, callback)
  check_id(id, "axosandbox.stop", 2)
  return await.sequence(function()
    local client, err = podman.client()
    if not client then return nil, err end
    local lock
    lock, err = take_shared(id, "stop")
    if not lock then return nil, err end
    local ok
    ok, err = remove_locked(client, id)
    session_lock.release(lock, id)
    return ok, err
  end, callback)
end

-- ---- foreign containers ----------------------------------------------------------------

local function warn_of_labels(record, problem)
  local text = ("the container %s is not taken for a session: %s"):format(record.container, problem)
  record.warnings[#record.warnings + 1] = text
  log.emit("warn", text, { op = "attach", container = record.container })
end

local function is_beneath(path, dir)
  return dir == "/" or (path .. "/"):sub(1, #dir + 1) == dir .. "/"
end

local function attach_record(client, set, name, dir)
  local container, err = running_container(client, name, "container " .. name,
    unknown_container(name))
  if not container then return nil, err end
  local session, problem = naming.session_of(container.Name, labels_of(container))
  session = session or { limits = {}, ports = {} }
  local record = record_of(client, set, container, session)
  record.kind, record.id, record.container, record.dir = "attached", name, name, dir
  if session.dir and not is_beneath(dir, session.dir) then record.mounted = nil end
  -- No id begins with "@": the files of a foreign container never meet a session's.
  record.runtime_dir, err = host.session_dir("@" .. container.Id:sub(1, 16))
  if not record.runtime_dir then return nil, err end
  if problem then warn_of_labels(record, problem) end
  if session.id then
    record.lock, err = take_shared(session.id)
    record.lock_id = session.id
    if not record.lock then return nil, err end
  end
  return record
end

--- A handle on an existing container, rooted at a directory in it (a git worktree, say). It
--- never removes the container. That of a session is entered by its guest, any other by
--- `podman exec`.
---
--- Its files are those beneath the directory, whatever symbolic links say, and its commands begin
--- in it; where they go from there is theirs. A directory that was removed and made again is the
--- same one to it; one that was replaced by a symbolic link is none ("NO_ROOT").
---
--- Codes: "NOT_FOUND", "NOT_RUNNING", "STARTING", "POLICY". A name or a path that cannot be one raises.
---@param container string name or id
---@param dir string absolute, in the container
---@param opts { policy: table? }?
---@param callback fun(err: axo.Error?, sb: axo.Sandbox?)?
---@return axo.Sandbox? sandbox, axo.Error? err
function sessions.attach(container, dir, opts, callback)
  opts, callback = split(opts, callback)
  local problem = type(container) ~= "string" and "the container must be a string"
    or naming.check_container(container)
    or (type(dir) ~= "string" or dir:sub(1, 1) ~= "/") and "the directory must be an absolute path"
  if problem then error("axosandbox.attach: " .. problem, 2) end
  opts = options.check(OPEN_SHAPE, opts, "axosandbox.attach", 2)
  local set, set_error = policy_of(opts, 2)
  return as_handle(function()
    local client, err = podman.client()
    if not client or not set then return nil, err or set_error end
    return attach_record(client, set, container, naming.tidy_path(dir))
  end, callback)
end

-- ---- all of them -----------------------------------------------------------------------

--- The name of a container as `podman ps` lists it.
---@param container table
---@return string?
function sessions.name_of(container)
  local names = container.Names
  return type(names) == "table" and names[1] or names
end

-- What podman says is published: neighbouring ports come as one entry with a range.
local function publications(container)
  local list = {}
  for _, entry in ipairs(type(container.Ports) == "table" and container.Ports or {}) do
    local outside, inside = math.tointeger(entry.host_port), math.tointeger(entry.container_port)
    for i = 0, outside and inside and (math.tointeger(entry.range) or 1) - 1 or -1 do
      list[#list + 1] = {
        address = entry.host_ip ~= "" and entry.host_ip or "0.0.0.0",
        port = outside + i, container_port = inside + i, protocol = entry.protocol,
      }
    end
  end
  return list
end

local function describe(client, container)
  local name = tostring(sessions.name_of(container))
  local session, problem = naming.session_of(name, container.Labels)
  if not session then
    -- Another name is nothing odd: a container of an image that was made of a session.
    if problem and name:find(naming.CONTAINER_PREFIX, 1, true) == 1 then
      log.emit("warn", ("the container %s is not taken for a session: %s"):format(name, problem),
        { container = name })
    end
    return nil
  end
  local owner_alive = host.is_alive(session.owner)
  return {
    id = session.id,
    container = naming.container(session.id),
    container_id = container.Id,
    dir = session.dir,
    image = container.Image,
    ports = session.ports,
    published = publications(container),
    pid = not client:is_remote() and math.tointeger(container.Pid) or nil,
    state = container.State,
    running = container.State == "running",
    created = container.Created,
    owner = session.owner,
    owner_alive = owner_alive ~= false,
    in_use = owner_alive ~= false or session_lock.is_held(session.id),
    kept = session.keep,
    version = session.version,
    path = session.path,
    given_back = session.given_back,
  }
end

--- All of them; in a coroutine.
---@param client axo.Client
---@param op string
---@return axo.SessionInfo[]? list, axo.Error?
function sessions.all(client, op)
  local containers, err = leftovers.with_label(client, naming.LABEL .. "id", op)
  if not containers then return nil, err end
  local found = {}
  for _, container in ipairs(containers) do found[#found + 1] = describe(client, container) end
  table.sort(found, function(a, b) return a.id < b.id end)
  return found
end

---@class axo.SessionInfo
---@field id string
---@field container string
---@field container_id string
---@field dir string
---@field image string that runs
---@field ports integer[] asked for
---@field published { address: string, port: integer, container_port: integer, protocol: string }[]
---@field pid integer? of its first process, when it runs on this machine
---@field state string podman's word
---@field running boolean
---@field created any podman's time of creation
---@field owner string
---@field owner_alive boolean true also when it cannot be told
---@field in_use boolean its owner is alive, or somebody holds it open
---@field kept boolean it was started with `keep`
---@field version string
---@field path string
---@field given_back string[]? of the floor, by policy; nil: by an older version

--- This host's sessions (this user's: podman keeps each user's containers apart).
---@param callback fun(err: axo.Error?, list: axo.SessionInfo[]?)?
---@return axo.SessionInfo[]? list, axo.Error?
function sessions.list(callback)
  return await.sequence(function()
    local client, err = podman.client()
    if not client then return nil, err end
    return sessions.all(client, "list")
  end, callback)
end

return sessions
