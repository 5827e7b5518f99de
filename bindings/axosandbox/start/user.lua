--- Whom a session's first process runs as, and whether that user can write the session's directory.
---
--- Where podman is rootless, whoever runs it is root in a container, and so the directory is root's
--- there. For any other user the container is made with other numbers: whoever runs podman is then
--- that user (what podman calls keep-id). Nothing of this host changes its owner.
local uv = require "luv"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local guest = require "axosandbox.way.native.guest"
local host = require "axosandbox.host"
local id_map = require "axosandbox.host.id_map"
local image = require "axosandbox.podman.image"
local launch = require "axosandbox.start.launch"
local leftovers = require "axosandbox.session.leftovers"
local plan = require "axosandbox.start.plan"

local session_user = {}

local WEEKS = 14 * 24 * 3600
local ATTEMPTS = 3
local LOOKS = 200
-- An image's files may have to be copied for the new numbers.
local COPY_TIMEOUT = 300

-- ---- what runs -----------------------------------------------------------------------

-- The OCI runtime becomes the user, and then the program.
local function is_runtime(comm)
  return comm:find "^runc" ~= nil or comm:find "^crun" ~= nil
end

local function wait_for_program(pid)
  for _ = 1, LOOKS do
    local comm = host.read_file(("/proc/%d/comm"):format(pid))
    if not comm then return false end
    if not is_runtime(comm) then return true end
    await.sleep(0.01)
  end
  return false
end

-- How many ids a container has; nil where it has not all of them, from 0 on.
local function count_of(map)
  local count, last = 0, 0
  for _, range in ipairs(map) do
    count, last = count + range.count, math.max(last, range.inner + range.count)
  end
  return count > 0 and count == last and count or nil
end

local function id_of(pid, kind, status)
  local map = id_map.read(pid, kind)
  local count = count_of(map)
  local word = kind == "uid" and "Uid" or "Gid"
  local outer = tonumber(status:match("\n" .. word .. ":%s+%d+%s+(%d+)"))
  local id = count and outer and id_map.inside(map, outer)
  return id and { id = id, outer = outer, count = count }
end

-- The user and the group of a container's first process; nil where they cannot be told.
local function look(job, container)
  local pid = not job.client:is_remote() and container.pid
  if not pid or not wait_for_program(pid) then return nil end
  local status = host.read_file(("/proc/%d/status"):format(pid)) or ""
  local user, group = id_of(pid, "uid", status), id_of(pid, "gid", status)
  return user and group and { user = user, group = group }
end

-- ---- which numbers it should have -----------------------------------------------------

local function may_turn(job, sandbox)
  return sandbox.keep_id == true and uv.getuid() ~= 0 and not job.client:is_remote()
end

local function turned(found)
  return {
    users = { id = found.user.id, count = found.user.count },
    groups = { id = found.group.id, count = found.group.count },
  }
end

local function same_map(a, b)
  if not (a and b) then return a == b end
  for _, kind in ipairs { "users", "groups" } do
    if a[kind].id ~= b[kind].id or a[kind].count ~= b[kind].count then return false end
  end
  return true
end

local function key_of(job)
  return ("user:%s %s"):format(job.plan.image, job.plan.user or "")
end

local function range_of(value)
  if type(value) ~= "table" then return nil end
  local id, count = math.tointeger(value.id), math.tointeger(value.count)
  return id and count and id >= 0 and id < count and { id = id, count = count } or nil
end

local function recall(job)
  local known = host.recall(key_of(job), job.client.program)
  if type(known) ~= "table" then return nil end
  local users, groups = range_of(known.users), range_of(known.groups)
  return users and groups and { users = users, groups = groups }
end

local function use(job, map)
  local changed = assert(plan.apply(job.plan, {}))
  changed.mapped = map
  job.plan = changed
end

-- ---- what cannot be ------------------------------------------------------------------

local function can_write(found, stat)
  if found.user.outer == stat.uid then return stat.mode & 128 ~= 0 end
  if found.group.outer == stat.gid then return stat.mode & 16 ~= 0 end
  return stat.mode & 2 ~= 0
end

local function warn_where_it_cannot_write(job, found)
  local stat = found and found.user.id ~= 0 and uv.fs_stat(job.asked.source)
  if not stat or can_write(found, stat) then return end
  local why = uv.getuid() == 0
    and ("it belongs to the user %d of this host"):format(stat.uid)
    or job.unturned or "policy's keep_id is off"
  job:warn(("the session runs as %s (uid %d), who cannot write its directory: %s"):format(
    job.plan.user or "its image's user", found.user.id, why), job.asked.user ~= nil)
end

-- Back to what the container was before that user was preferred.
local function give_up_remote_user(job)
  if not job.own_user then return end
  use(job, nil)
  job.plan.user, job.sandbox.user = job.own_user.name, job.own_user.name
  job.own_user = nil
end

-- Whether there is something left to try after a failure.
local function step_back(job, err)
  if job:stopped() then return false end
  if job.plan.mapped then
    use(job, nil)
    job.unturned = "a container with its numbers could not be started: " .. err.message
    host.remember(key_of(job), nil, 0, job.client.program)
    if job.own_user then job:warn(job.unturned) end
    give_up_remote_user(job)
    return true
  end
  if not job.own_user or err.subclass ~= "NO_SUCH_USER" then return false end
  job:warn(("remoteUser %s is not used: %s"):format(job.plan.user, err.message))
  give_up_remote_user(job)
  return true
end

-- ---- starting ------------------------------------------------------------------------

local function launch_once(job)
  if not job.plan.mapped then return launch.run(job) end
  job:inform "starting the container with this user's own number"
  return job:off_the_clock(function()
    local before = job.deadline
    local _ <close> = errors.finally(function() job.deadline = before end)
    job:set_deadline(COPY_TIMEOUT)
    return launch.run(job)
  end)
end

-- The map that the container should have; false: as it is.
local function other_map(job, found)
  if not found then return false end
  local wanted = nil
  if found.user.id ~= 0 and may_turn(job, job.sandbox) and not job.unturned then
    wanted = turned(found)
  end
  if same_map(wanted, job.plan.mapped) then return false end
  return wanted
end

--- Prefers the user whom the session's commands will run as for the first process, too, where its
--- numbers can be turned: whatever is written then belongs to whoever runs podman.
---@param job axo.Job
---@param sandbox axo.policy.SandboxDecision its `user` may change
---@param chosen axo.policy.ImageDecision
function session_user.prefer(job, sandbox, chosen)
  local wanted = job.asked.remote_user
  if not wanted or sandbox.remote_user ~= wanted or sandbox.user == wanted then return end
  if sandbox.user ~= job.asked.user then return end -- another one that policy decided on
  if not may_turn(job, sandbox) or not image.may_be(job.asked.image, chosen.image) then return end
  job.own_user = { name = sandbox.user }
  sandbox.user = wanted
end

--- Starts the container of a job's plan so that its user can write the session's directory, or
--- says that it cannot; in a coroutine. Raises where nothing could be started.
---@param job axo.Job
---@return { id: string, pid: integer?, instance: string } container
function session_user.run(job)
  if may_turn(job, job.sandbox) and not job.unturned then use(job, recall(job)) end
  for attempt = 1, ATTEMPTS do
    local container, err = errors.try(launch_once, job)
    if err then
      if not step_back(job, err) then error(err, 0) end
    else
      local found = look(job, container)
      local map = other_map(job, found)
      if map == false or attempt == ATTEMPTS then
        if job.plan.mapped then
          host.remember(key_of(job), job.plan.mapped, WEEKS, job.client.program)
        else
          warn_where_it_cannot_write(job, found)
        end
        return container
      end
      errors.must(leftovers.remove(job.client, container.id))
      guest.forget(container.instance, job.dir)
      use(job, map)
    end
  end
  return launch.run(job)
end

return session_user
