--- What a start does with the container that podman has just made: verify it, and write down what
--- who opens the session needs.
local uv = require "luv"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
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

local function verify_limits(job)
  local container = job.container
  local pid = not job.client:is_remote() and container.pid or nil
  job.limits = limits.verify(job.plan.limits, pid, container.id)
  local missing = limits.shortfall(job.limits)
  if not missing then return end
  local why = job.limits.verified and "this host does not enforce them"
    or "what the container's host enforces cannot be read from here"
  if not job.plan.require_limits then
    if not job.plan.drop_limits then
      job:warn(("limits not in force (%s): %s"):format(missing, why),
        job.set:fields().limits ~= nil)
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

-- Gives the container's table of mounts, where that can be read.
local function verify_directory(job)
  local asked = job.asked
  local what = ("the directory %s is not the one that policy judged"):format(asked.dir)
  if mounted.is_same(job.container, asked.dir, asked.source, asked.identity) then
    local entries = mount_table.read(job.container.pid)
    local new = places.unforeseen(entries, asked.dir, asked.places)
    if not new then return entries end
    what = ("%s was mounted in the session's directory after policy had judged it"):format(new)
  end
  errors.raise {
    code = "CHANGED", op = "start", message = what .. ": it changed while the container started",
    hint = "find out who replaces it, then start again",
  }
end

-- A wrapper may run podman as root for somebody else: policy and the floor would take it for
-- rootless.
local function verify_owner(job)
  local pid = not job.client:is_remote() and job.container.pid
  if uv.getuid() == 0 or not pid or not id_map.inside(id_map.read(pid, "uid"), 0) then return end
  errors.raise {
    code = "PODMAN", op = "start",
    message = ("%s runs podman as root, and this process is not root: what is made for root's "
      .. "containers would be missing"):format(job.client.program),
    hint = "let podman run as you, or all of it as root",
  }
end

local function warn_of_logout(job)
  if not job.plan.keep or job.client:is_remote() or login.state() ~= "login" then return end
  job:warn(("the session ends when this user logs out for the last time, though it is to be "
    .. "kept: `%s` lets it go on"):format(login.remedy()))
end

local function seal(job, entries)
  local warnings = {}
  sealed.ensure(job.container, warnings, entries)
  for _, text in ipairs(warnings) do job:warn(text) end
end

--- Compares the container that was started with what was decided, and seals it, before anything of
--- ours runs in it. Raises "CHANGED", "LIMITS", or "PODMAN" for a port.
---@param job axo.Job gets `limits` and `ports`
function settle.verify(job)
  verify_owner(job)
  seal(job, verify_directory(job))
  verify_limits(job)
  warn_of_logout(job)
  ports.settle(job)
end

-- As podman names it.
local function full_name(name)
  local reference = core.reference.parse(name)
  return reference and reference.text or name
end

--- Writes the session's file, so that who opens it need not ask podman. Losing it is no harm.
---@param job axo.Job
function settle.keep(job)
  local container, p = job.container, job.plan
  local pid = not job.client:is_remote() and container.pid or nil
  local ok, problem = session_file.keep(job.dir, {
    container_id = container.id, image = full_name(p.image), network = p.network,
    ports = job.ports,
    labels = plan.labels(p),
  }, pid)
  if not ok then log.emit("debug", "no session file: " .. tostring(problem), { id = job.id }) end
end

return settle
