--- Sessions that exist already: opening, listing, attaching and stopping them. Everything is read
--- from the containers' labels; no file is needed to find a session. An image can carry any label:
--- see naming.session_of for when they are believed.
local uv = require "luv"
local audit_session = require "axosandbox.audit.session"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local guest = require "axosandbox.way.native.guest"
local host = require "axosandbox.host"
local known = require "axosandbox.session.known"
local leftovers = require "axosandbox.session.leftovers"
local limits = require "axosandbox.policy.limits"
local log = require "axosandbox.base.log"
local login = require "axosandbox.host.login"
local network = require "axosandbox.network"
local native = require "axosandbox.way.native"
local naming = require "axosandbox.base.naming"
local options = require "axosandbox.base.options"
local path = require "axosandbox.base.text.path"
local place = require "axosandbox.host.place"
local podman = require "axosandbox.podman"
local portable = require "axosandbox.way.portable"
local policy = require "axosandbox.policy"
local root = require "axosandbox.way.root"
local sealed = require "axosandbox.host.mounts.sealed"
local sandbox = require "axosandbox.session"
local session_list = require "axosandbox.session.list"
local session_lock = require "axosandbox.host.session_lock"

local sessions = {}

local must = errors.must

local OPEN_SHAPE = { policy = "table" }

-- What a container has of the network is decided when it is started.
local function check_network(opts, where, level)
  if type(opts.policy) ~= "table" or type(opts.policy.network) ~= "table" then return end
  error(where .. ": the names that a session reaches are chosen by axo.start; sb:allow adds to "
    .. "those of one that has such a network", level + 1)
end

-- The best way into a record's container, in a coroutine. The portable one serves where no
-- guest answers, which is said once.
---@param record axo.Record
---@return axo.Way
local function way_into(record)
  if record.entered then return record.entered end
  local way, err = nil, record.no_link
  if record.link_dir and record.pid then
    way, err = native.connect(record)
  end
  if way then return way end
  local fallback = portable.new(record)
  if err then fallback:warn("the portable path is used: " .. tostring(err)) end
  return fallback
end

-- A session that runs is not lost for its network: what it reaches is nothing, then.
local function open_network(record, way)
  if way.network or record.kind == "attached" or not record.allow then return end
  local _, err = network.open(way, { confirm = record.confirm })
  if err then way:warn("the session has no network: " .. tostring(err)) end
end

--- A record as the session object that people hold.
---@param record axo.Record
---@return axo.Session
function sessions.session(record)
  local way = way_into(record)
  if record.kind == "attached" then root.settle(way) end
  open_network(record, way)
  return sandbox.new(record, way)
end

-- What fails here is raised, and caught where a sequence ends.
local function fail(code, message, hint, op)
  errors.raise { code = code, op = op or "open", message = message, hint = hint }
end

-- `what` there would have to be: "session ID", "container NAME".
local function existing_container(client, name, op, what, hint)
  local container, err = client:inspect(name, op)
  if container then return container end
  if podman.is_missing(err) then fail("NOT_FOUND", "there is no " .. what, hint, op) end
  error(err, 0)
end

local function check_running(container, name, what)
  if container.State and container.State.Paused then
    fail("PAUSED", ("the %s is paused"):format(what), "podman unpause " .. name)
  end
  if not (container.State and container.State.Running) then
    fail("NOT_RUNNING", ("the %s is not running"):format(what) .. login.reminder(),
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
local function link_dir_of(container, session, at)
  if session.path ~= "native" then return nil end
  local ours, err = guest.link_dir(session.instance, at.base)
  local real = ours and uv.fs_realpath(ours)
  for _, mount in ipairs(real and container.Mounts or {}) do
    if mount.Destination == guest.LINK_TARGET
      and uv.fs_realpath(tostring(mount.Source)) == real then
      return ours
    end
  end
  return nil, err or "its guest does not look for sockets where we make them"
end

local function pid_of(client, container)
  return not client:is_remote() and math.tointeger(container.State.Pid) or nil
end

local function record_of(client, set, container, session, at)
  local pid = pid_of(client, container)
  local link_dir, no_link
  if pid and at then link_dir, no_link = link_dir_of(container, session, at) end
  return {
    container_id = container.Id,
    pid = pid,
    image = container.ImageName,
    limits = limits.verify(session.limits, pid, container.Id),
    warnings = {},
    client = client:for_session(session),
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

local function session_of(container, id, op)
  local session, problem = naming.session_of(container.Name, labels_of(container))
  if session then return session end
  fail("NOT_FOUND", ("the container %s is not a session's%s"):format(
    naming.container(id), problem and ": " .. problem or ""), nil, op)
end

-- Nothing of ours runs in it yet.
local function seal_again(record)
  sealed.ensure({ id = record.container_id, pid = record.pid }, record.warnings)
end

local function open_at(client, set, container, session, at, lost)
  local record = must(known.record(client, set, session, {
    id = container.Id, pid = pid_of(client, container), image = container.ImageName,
    network = container.HostConfig and container.HostConfig.NetworkMode,
    ports = published_ports(container, session.ports),
  }, at))
  if record.pid then record.link_dir, record.no_link = link_dir_of(container, session, at) end
  record.no_link = lost or record.no_link
  seal_again(record)
  return record
end

-- What podman says of a session, and where its files are.
local function find(client, id, op)
  local container = existing_container(client, naming.container(id), op, "session " .. id,
    hints.TABLE.list_sessions.lua)
  local session = session_of(container, id, op)
  local at, lost = place.find(session)
  return { container = container, session = session, at = must(at, lost), lost = lost }
end

-- Calls fn with what podman says, and the lock of the session, which a record that it returns keeps.
-- Who looks holds the lock where it would be, and then the one where it is.
local function with_lock(client, id, op, fn)
  local at = must(place.own(id))
  local lock, record = must(known.share(at, id, op)), nil
  local _ <close> = errors.finally(function()
    if lock and not record then session_lock.release(lock, at) end
  end)
  local found = find(client, id, op)
  if not found.at:is(at) then
    session_lock.release(lock, at)
    at, lock = found.at, nil
    lock = must(known.share(at, id, op))
    found = find(client, id, op)
  end
  record = fn(found, lock)
  return record
end

local function take_by_podman(client, set, id)
  return with_lock(client, id, "open", function(found, lock)
    local container = check_running(found.container, naming.container(id), "session " .. id)
    local record = open_at(client, set, container, found.session, found.at, found.lost)
    record.lock = lock
    return record
  end)
end

--- Takes a share in a running session, in a coroutine.
---@param client axo.Client
---@param set axo.Policy
---@param id string
---@return axo.Record? record, axo.Error?
function sessions.take(client, set, id)
  local record, err = known.take(client, set, id)
  if record or err then return record, err end
  return errors.try(take_by_podman, client, set, id)
end

-- Of a session that was just listed, without asking podman again.
local function take_listed(client, set, info)
  check_running({
    State = { Paused = info.state == "paused", Running = info.running },
  }, info.container, "session " .. info.id)
  if not info.place then
    fail("NOT_RUNNING", ("the directory of the files of session %s cannot be used"):format(info.id))
  end
  local lock = must(known.share(info.place, info.id))
  local record, err = known.record(client, set, info.labels, {
    id = info.container_id, pid = info.pid, image = info.image, ports = info.ports,
  }, info.place)
  if not record then
    session_lock.release(lock, info.place)
    error(err, 0)
  end
  record.lock = lock
  seal_again(record)
  return record
end

local function as_session(set, set_error, body, callback)
  return await.sequence(function()
    local client = must(podman.client())
    local record = body(client, must(set, set_error))
    local sb = sessions.session(record)
    audit_session.opened(record, sb)
    return sb
  end, callback)
end

local function check_id(id, where, level)
  local problem = type(id) ~= "string" and "the id must be a string" or naming.check_id(id)
  if problem then error(where .. ": " .. problem, level + 1) end
end

--- Opens a running session, for instance after its host was restarted. Closing it
--- leaves the container alone; `sb:stop()` ends it.
---
--- Codes: "NOT_FOUND", "NOT_RUNNING", "PAUSED", "STARTING" (another process starts or removes it
--- just now), "POLICY". An id that cannot be one raises.
---
---     local sb <close> = assert(axo.open "demo")
---     print(assert(sb:exec { "pwd" }).stdout)
---@param id string|axo.SessionInfo what `axo.list` told just now: then podman is not asked again
---@param opts { policy: table? }? overrides for what is held here, as in `axo.start`
---@param callback fun(err: axo.Error?, sb: axo.Session?)?
---@return axo.Session? sandbox, axo.Error? err
function sessions.open(id, opts, callback)
  local info = type(id) == "table" and id or nil
  check_id(info and info.id or id, "axosandbox.open", 2)
  opts, callback = options.arguments(OPEN_SHAPE, opts, callback, "axosandbox.open")
  check_network(opts, "axosandbox.open", 2)
  local set, set_error = policy.checked(opts.policy, 2)
  return as_session(set, set_error, function(client)
    if info then return take_listed(client, set, info) end
    return must(sessions.take(client, set, id))
  end, callback)
end

-- By its own id: whatever takes its name meanwhile is another one's.
local function remove_found(client, id, found)
  local ok, err = leftovers.remove(client:for_session(found.session), found.container.Id)
  if ok then leftovers.remove_directory(found.at:path()) end
  audit_session.stopped(id, naming.container(id), err)
  must(ok, err)
end

--- Ends a session by its id, whoever started it and whatever state it is in: running, paused or
--- exited. Removes its container and files; who holds it finds it gone. Policy is not asked.
---
--- Codes: "NOT_FOUND", "STARTING" (another process starts or removes it just now). An id that
--- cannot be one raises.
---
---     local sb = assert(axo.start { id = "example", dir = "/some/project" })
---     assert(axo.stop "example")
---     print(sb:exec { "true" })
---@param id string
---@param callback fun(err: axo.Error?, ok: true?)?
---@return true? ok, axo.Error?
function sessions.stop(id, callback)
  check_id(id, "axosandbox.stop", 2)
  return await.sequence(function()
    local client = must(podman.client())
    with_lock(client, id, "stop", function(found) remove_found(client, id, found) end)
    return true
  end, callback)
end

-- ---- foreign containers ----------------------------------------------------------------

local function warn_of_labels(record, problem)
  local text = ("the container %s is not taken for a session: %s"):format(record.container, problem)
  record.warnings[#record.warnings + 1] = text
  log.emit("warn", text, { op = "attach", container = record.container })
end

local function attach_record(client, set, name, dir)
  local what = "container " .. name
  local container = check_running(
    existing_container(client, name, "open", what, "podman ps --all lists them"), name, what)
  local session, problem = naming.session_of(container.Name, labels_of(container))
  session = session or { limits = {}, ports = {} }
  local at = session.id and must(place.find(session))
  local record = record_of(client, set, container, session, at)
  record.kind, record.id, record.container, record.dir = "attached", name, name, dir
  if session.dir and not path.is_in(dir, session.dir) then record.mounted = nil end
  -- No id begins with "@": the files of a foreign container never meet a session's.
  record.runtime_dir = must(host.session_dir("@" .. container.Id:sub(1, 16)))
  if problem then warn_of_labels(record, problem) end
  if session.id then seal_again(record) end
  if at then
    record.lock, record.place = must(known.share(at, session.id)), at
  end
  return record
end

--- A session in an existing container, rooted at a directory in it (a git worktree, say). It
--- never removes the container. That of a session is entered by its guest, any other by
--- `podman exec`.
---
--- Its files are those beneath the directory, whatever symbolic links say, and its commands begin
--- in it; where they go from there is theirs. A directory that was removed and made again is the
--- same one to it; one that was replaced by a symbolic link is none ("NO_ROOT").
---
--- Codes: "NOT_FOUND", "NOT_RUNNING", "STARTING", "POLICY". A name or a path that cannot be one raises.
---
---     local sb <close> = assert(axo.attach("axo-ses-demo", "/some/project/src"))
---     for _, entry in ipairs(assert(sb:list_dir())) do print(entry.name) end  --> main.lua
---@param container string name or id
---@param dir string absolute, in the container
---@param opts { policy: table? }?
---@param callback fun(err: axo.Error?, sb: axo.Session?)?
---@return axo.Session? sandbox, axo.Error? err
function sessions.attach(container, dir, opts, callback)
  local problem = type(container) ~= "string" and "the container must be a string"
    or naming.check_container(container)
    or (type(dir) ~= "string" or dir:sub(1, 1) ~= "/") and "the directory must be an absolute path"
  if problem then error("axosandbox.attach: " .. problem, 2) end
  opts, callback = options.arguments(OPEN_SHAPE, opts, callback, "axosandbox.attach")
  check_network(opts, "axosandbox.attach", 2)
  local set, set_error = policy.checked(opts.policy, 2)
  return as_session(set, set_error, function(client)
    return attach_record(client, set, container, naming.tidy_path(dir))
  end, callback)
end

-- ---- all of them -----------------------------------------------------------------------

--- This host's sessions (this user's: podman keeps each user's containers apart).
---
---     for _, it in ipairs(assert(axo.list())) do print(it.id, it.state, it.dir) end
---@param callback fun(err: axo.Error?, list: axo.SessionInfo[]?)?
---@return axo.SessionInfo[]? list, axo.Error?
function sessions.list(callback)
  return await.sequence(function()
    return session_list.all(must(podman.client()), "list")
  end, callback)
end

return sessions
