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
local function look(start, container)
  local pid = not start.client:is_remote() and container.pid
  if not pid or not wait_for_program(pid) then return nil end
  local status = host.read_file(("/proc/%d/status"):format(pid)) or ""
  local user, group = id_of(pid, "uid", status), id_of(pid, "gid", status)
  return user and group and { user = user, group = group }
end

-- ---- which numbers it should have -----------------------------------------------------

local function may_turn(start, sandbox)
  return sandbox.keep_id == true and uv.getuid() ~= 0 and not start.client:is_remote()
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

local function key_of(start)
  return ("user:%s %s"):format(start.plan.image, start.plan.user or "")
end

local function range_of(value)
  if type(value) ~= "table" then return nil end
  local id, count = math.tointeger(value.id), math.tointeger(value.count)
  return id and count and id >= 0 and id < count and { id = id, count = count } or nil
end

local function recall(start)
  local known = host.recall(key_of(start), start.client.program)
  if type(known) ~= "table" then return nil end
  local users, groups = range_of(known.users), range_of(known.groups)
  return users and groups and { users = users, groups = groups }
end

local function use(start, map)
  local changed = assert(plan.apply(start.plan, {}))
  changed.mapped = map
  start.plan = changed
end

-- ---- what cannot be ------------------------------------------------------------------

local function can_write(found, stat)
  if found.user.outer == stat.uid then return stat.mode & 128 ~= 0 end
  if found.group.outer == stat.gid then return stat.mode & 16 ~= 0 end
  return stat.mode & 2 ~= 0
end

local function warn_where_it_cannot_write(start, found)
  local stat = found and found.user.id ~= 0 and uv.fs_stat(start.asked.source)
  if not stat or can_write(found, stat) then return end
  local why = uv.getuid() == 0
    and ("it belongs to the user %d of this host"):format(stat.uid)
    or start.unturned or "policy's keep_id is off"
  start:warn(("the session runs as %s (uid %d), who cannot write its directory: %s"):format(
    start.plan.user or "its image's user", found.user.id, why), start.asked.user ~= nil)
end

-- Back to what the container was before that user was preferred.
local function give_up_remote_user(start)
  if not start.own_user then return end
  use(start, nil)
  start.plan.user, start.sandbox.user = start.own_user.name, start.own_user.name
  start.own_user = nil
end

-- Whether there is something left to try after a failure.
local function step_back(start, err)
  if start:stopped() then return false end
  if start.plan.mapped then
    use(start, nil)
    start.unturned = "a container with its numbers could not be started: " .. err.message
    host.remember(key_of(start), nil, 0, start.client.program)
    if start.own_user then start:warn(start.unturned) end
    give_up_remote_user(start)
    return true
  end
  if not start.own_user or err.subclass ~= "NO_SUCH_USER" then return false end
  start:warn(("remoteUser %s is not used: %s"):format(start.plan.user, err.message))
  give_up_remote_user(start)
  return true
end

-- ---- starting ------------------------------------------------------------------------

local function launch_once(start)
  if not start.plan.mapped then return launch.run(start) end
  start:inform "starting the container with this user's own number"
  return start:off_the_clock(function()
    local before = start.deadline
    local _ <close> = errors.finally(function() start.deadline = before end)
    start:set_deadline(COPY_TIMEOUT)
    return launch.run(start)
  end)
end

-- The map that the container should have; false: as it is.
local function other_map(start, found)
  if not found then return false end
  local wanted = nil
  if found.user.id ~= 0 and may_turn(start, start.sandbox) and not start.unturned then
    wanted = turned(found)
  end
  if same_map(wanted, start.plan.mapped) then return false end
  return wanted
end

--- Prefers the user whom the session's commands will run as for the first process, too, where its
--- numbers can be turned: whatever is written then belongs to whoever runs podman.
---@param start axo.Start
---@param sandbox axo.policy.SandboxDecision its `user` may change
---@param chosen axo.policy.ImageDecision
function session_user.prefer(start, sandbox, chosen)
  local asked = start.asked
  local wanted = asked.remote_user
  if not wanted or sandbox.remote_user ~= wanted or sandbox.user == wanted then return end
  if sandbox.user ~= asked.user then return end -- another one that policy decided on
  if not may_turn(start, sandbox) or not image.may_be(asked.image, chosen.image) then return end
  start.own_user = { name = sandbox.user }
  sandbox.user = wanted
end

--- Starts the container of a start's plan so that its user can write the session's directory, or
--- says that it cannot; in a coroutine. Raises where nothing could be started.
---@param start axo.Start
---@return { id: string, pid: integer?, instance: string } container
function session_user.run(start)
  if may_turn(start, start.sandbox) and not start.unturned then use(start, recall(start)) end
  for attempt = 1, ATTEMPTS do
    local container, err = errors.try(launch_once, start)
    if err then
      if not step_back(start, err) then error(err, 0) end
    else
      local found = look(start, container)
      local map = other_map(start, found)
      if map == false or attempt == ATTEMPTS then
        if start.plan.mapped then
          host.remember(key_of(start), start.plan.mapped, WEEKS, start.client.program)
        else
          warn_where_it_cannot_write(start, found)
        end
        return container
      end
      errors.must(leftovers.remove(start.client, container.id))
      guest.forget(container.instance, start.dir)
      use(start, map)
    end
  end
  return launch.run(start)
end

return session_user
