--- What a start may leave or meet: containers of failed attempts, and an older container of
--- the same name.
local uv = require "luv"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local guest = require "axosandbox.way.native.guest"
local host = require "axosandbox.host"
local log = require "axosandbox.base.log"
local monitors = require "axosandbox.host.monitors"
local naming = require "axosandbox.base.naming"
local place = require "axosandbox.host.place"
local podman = require "axosandbox.podman"
local session_file = require "axosandbox.session.record"
local session_lock = require "axosandbox.host.session_lock"

local leftovers = {}

local REMOVE_TIMEOUT = 60
local KILLED_LOOKS = 5

--- Removes a container at once, running or not; in a coroutine. One that is gone already
--- counts as removed.
---@param client axo.Client
---@param container string name or id
---@return true? removed, axo.Error?
function leftovers.remove(client, container)
  local argv, err = core.argv.rm { podman = client.program, container = container }
  if not argv then return nil, err end
  local result
  result, err = client:ask(argv, { op = "remove", timeout = REMOVE_TIMEOUT })
  if result or podman.is_missing(err) then return true end
  return nil, err
end

-- As many as one command line names; the time that it may take grows with them.
local BATCH = 25

local function remove_batch(client, ids)
  local argv, err = core.argv.rm_all { podman = client.program, containers = ids }
  if not argv then return {}, err end
  local result, problem = client:ask(argv, { op = "remove", timeout = REMOVE_TIMEOUT + #ids })
  local gone = {}
  for _, id in ipairs(result and ids or {}) do gone[id] = true end
  local said = problem and problem.stdout or ""
  for id in said:gmatch "[^\n]+" do gone[id] = true end
  return gone
end

--- Removes several at once, asking podman as seldom as may be; in a coroutine.
---@param client axo.Client
---@param ids string[] of containers
---@return table<string, axo.Error> failed by the container's id; those that are not there are gone
function leftovers.remove_all(client, ids)
  local failed = {}
  for first = 1, #ids, BATCH do
    local batch = table.move(ids, first, math.min(first + BATCH - 1, #ids), 1, {})
    local gone = #batch > 1 and remove_batch(client, batch) or {}
    for _, id in ipairs(batch) do
      if not gone[id] then
        local ok, err = leftovers.remove(client, id)
        if not ok then failed[id] = err end
      end
    end
  end
  return failed
end

--- Containers that carry a label, in a coroutine, as `podman ps` describes them.
---@param client axo.Client
---@param label string
---@param op string
---@return table[]? containers, axo.Error?
function leftovers.with_label(client, label, op)
  local argv, err = core.argv.ps { podman = client.program, label = label }
  if not argv then return nil, err end
  return client:ask_json(argv, { op = op })
end

local function remove_instance(client, instance)
  local found, err = leftovers.with_label(client, naming.LABEL .. "instance=" .. instance, "remove")
  if not found then return nil, err end
  for _, container in ipairs(found) do
    local ok
    ok, err = leftovers.remove(client, container.Id)
    if not ok then return nil, err end
  end
  return #found
end

-- The container may still be in the making: conmon and the runtime outlive the client that
-- started them, so one look is not enough. podman's own removal does not end those two.
local function remove_after_kill(client, attempt)
  local quiet = 0
  for _ = 1, KILLED_LOOKS do
    local removed, err = remove_instance(client, attempt.instance)
    if not removed then return nil, err end
    removed = removed + monitors.finish(client, attempt.pidfile)
    quiet = removed == 0 and quiet + 1 or 0
    if quiet == 2 then break end
    await.sleep(0.1)
  end
  return true
end

--- Removes what a failed `podman run` left; in a coroutine. Failing to do so is a warning.
---@param client axo.Client
---@param attempt { cidfile: string, pidfile: string?, instance: string }
---@param err axo.Error how the attempt failed
function leftovers.clean(client, attempt, err)
  local id = (host.read_file(attempt.cidfile) or ""):match "%x+"
  local ok, problem = true, nil
  if id and #id >= 12 then ok, problem = leftovers.remove(client, id) end
  -- podman that came to its own end wrote the id of every container that it made.
  if err.signal or err.exit_code == nil or err.code ~= "PODMAN" then
    ok, problem = remove_after_kill(client, attempt)
  end
  if not ok then
    log.emit("warn", "a failed start left a container: " .. tostring(problem), { error = problem })
  end
  uv.fs_unlink(attempt.cidfile)
  if attempt.pidfile then uv.fs_unlink(attempt.pidfile) end
end

local function in_use(id, why)
  return nil, errors.new {
    code = "IN_USE", op = "start", message = ("the session %q is in use: %s"):format(id, why),
    hint = hints.TABLE.in_use.lua,
  }
end

-- What lies there for the container of an instance is called by it.
local function is_spared(name, instance)
  return instance ~= nil and name:sub(1, #instance + 1) == instance .. "."
end

local function remove_tree(path, instance)
  local entries = uv.fs_scandir(path)
  while entries do
    local name, kind = uv.fs_scandir_next(entries)
    if not name then break end
    local child = path .. "/" .. name
    if kind == "directory" then
      remove_tree(child)
    elseif not is_spared(name, instance) then
      uv.fs_unlink(child)
    end
  end
  uv.fs_rmdir(path)
end

--- Removes a session's private directory with all that is in it, and the link directories of
--- its containers, unless one of them lives: in another of podman's stores, then. Symbolic links
--- are removed, never followed.
---@param path string?
---@param but string? an instance that lives: its link directory stays, and the files of its name
---@return boolean removed
function leftovers.remove_directory(path, but)
  if not path or session_file.is_needed(path) then return false end
  guest.forget_all(path, but)
  remove_tree(path, but)
  return true
end

-- Whose it is cannot be told, so it stays.
local function unknown(name, err)
  return nil, errors.new {
    code = err.code, op = "start", stderr = err.stderr, exit_code = err.exit_code,
    signal = err.signal,
    message = ("the container named %s cannot be examined: %s"):format(name, err.message),
    hint = "podman inspect " .. name,
  }
end

-- Somebody who came with another environment holds another lock.
local function is_open_elsewhere(session)
  local there = place.of_session(session)
  return there ~= nil and not there:is(place.own(session.id)) and session_lock.is_held(there)
end

--- Removes a container that holds this session's name, unless it is foreign, a live host uses it
--- or podman cannot tell; in a coroutine. The caller holds the session's lock exclusively.
---@param client axo.Client
---@param id string of the session
---@return true? removed, axo.Error? code "IN_USE", or of podman's failure
function leftovers.remove_stale(client, id)
  local name = naming.container(id)
  local container, err = client:inspect(name, "start")
  -- podman can know a name from its storage alone, when a client was killed in mid-start.
  if not container and podman.is_missing(err) then return leftovers.remove(client, name) end
  if not container then return unknown(name, err) end
  local session = naming.session_of(container.Name, container.Config and container.Config.Labels)
  if not session then
    return in_use(id, ("the container %s is not one of this session"):format(name))
  end
  if host.is_alive(session.owner) ~= false then
    return in_use(id, ("its owner, process %s, still runs"):format(
      session.owner:match "^%d+" or "unknown"))
  end
  if is_open_elsewhere(session) then return in_use(id, "it is open somewhere") end
  log.emit("info", "removing the stale container " .. name, { container = container.Id })
  return leftovers.remove(client:for_session(session), container.Id)
end

return leftovers
