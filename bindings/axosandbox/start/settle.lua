--- What a start does with the container that podman has just made: verify it, and write down what
--- who opens the session needs.
local uv = require "luv"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local extra = require "axosandbox.host.mounts.extra"
local id_map = require "axosandbox.host.id_map"
local limits = require "axosandbox.policy.limits"
local log = require "axosandbox.base.log"
local login = require "axosandbox.host.login"
local mount_table = require "axosandbox.host.mounts.table"
local mounted = require "axosandbox.host.mounts.mounted"
local places = require "axosandbox.host.mounts.places"
local plan = require "axosandbox.start.plan"
local ports = require "axosandbox.podman.ports"
local sealed = require "axosandbox.host.mounts.sealed"
local session_file = require "axosandbox.session.record"

local settle = {}

local function verify_limits(start)
  local container = start.container
  local pid = not start.client:is_remote() and container.pid or nil
  start.limits = limits.verify(start.plan.limits, pid, container.id)
  local missing = limits.shortfall(start.limits)
  if not missing then return end
  local why = start.limits.verified and "this host does not enforce them"
    or "what the container's host enforces cannot be read from here"
  if not start.plan.require_limits then
    if not start.plan.drop_limits then
      start:warn(("limits not in force (%s): %s"):format(missing, why),
        start.set:fields().limits ~= nil)
    end
    return
  end
  errors.raise {
    code = "LIMITS", op = "start",
    message = ("required limits are not in force (%s): %s"):format(missing, why),
    hint = login.state() == "none"
      and ("this user has no session of systemd's: `%s` gives it cgroups"):format(login.remedy())
      or "run as root or delegate the cgroup controllers (cpu, memory, pids) to this user, "
        .. "or do without require_resource_limits",
  }
end

-- What the container has otherwise than policy judged it; nil when nothing.
local function changed(start, entries)
  local asked = start.asked
  if not mounted.is_same(start.container, asked.dir, asked.source, asked.identity) then
    return ("the directory %s is not the one that policy judged"):format(asked.dir)
  end
  local new = places.unforeseen(entries, asked.dir, asked.places)
  if new then
    return ("%s was mounted in the session's directory after policy had judged it"):format(new)
  end
  return extra.changed(start.container, asked.mounts, entries)
end

-- Gives the container's table of mounts, where that can be read.
local function verify_directories(start)
  local entries = mount_table.read(start.container.pid)
  local what = changed(start, entries)
  if not what then return entries end
  errors.raise {
    code = "CHANGED", op = "start", message = what .. ": it changed while the container started",
    hint = "find out who replaces it, then start again",
  }
end

-- A wrapper may run podman as root for somebody else: policy and the floor would take it for
-- rootless.
local function verify_owner(start)
  local pid = not start.client:is_remote() and start.container.pid
  if uv.getuid() == 0 or not pid or not id_map.inside(id_map.read(pid, "uid"), 0) then return end
  errors.raise {
    code = "PODMAN", op = "start",
    message = ("%s runs podman as root, and this process is not root: what is made for root's "
      .. "containers would be missing"):format(start.client.program),
    hint = "let podman run as you, or all of it as root",
  }
end

local function warn_of_logout(start)
  if not start.plan.keep or start.client:is_remote() or login.state() ~= "login" then return end
  start:warn(("the session ends when this user logs out for the last time, though it is to be "
    .. "kept: `%s` lets it go on"):format(login.remedy()))
end

local function seal(start, entries)
  local warnings = {}
  sealed.ensure(start.container, warnings, entries)
  for _, text in ipairs(warnings) do start:warn(text) end
end

--- Compares the container that was started with what was decided, and seals it, before anything of
--- ours runs in it. Raises "CHANGED", "LIMITS", or "PODMAN" for a port.
---@param start axo.Start gets `limits` and `ports`
function settle.verify(start)
  verify_owner(start)
  seal(start, verify_directories(start))
  verify_limits(start)
  warn_of_logout(start)
  ports.settle(start)
end

-- As podman names it.
local function full_name(name)
  local reference = core.reference.parse(name)
  return reference and reference.text or name
end

--- Writes the session's file, so that who opens it need not ask podman. Losing it is no harm.
---@param start axo.Start
function settle.keep(start)
  local container, p = start.container, start.plan
  local pid = not start.client:is_remote() and container.pid or nil
  local ok, problem = session_file.keep(start.dir, {
    container_id = container.id, image = full_name(p.image), network = p.network,
    ports = start.ports,
    labels = plan.labels(p),
  }, pid)
  if not ok then log.emit("debug", "no session file: " .. tostring(problem), { id = start.id }) end
end

return settle
