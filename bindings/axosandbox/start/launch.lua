--- Running `podman run` until it works: on a failure the retry policy says what to change.
local uv = require "luv"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local embedded = require "axosandbox.podman.embedded"
local errors = require "axosandbox.base.errors"
local guest = require "axosandbox.way.native.guest"
local hints = require "axosandbox.base.hints"
local host = require "axosandbox.host"
local image = require "axosandbox.podman.image"
local install = require "axosandbox.podman.install"
local learnt = require "axosandbox.start.learnt"
local leftovers = require "axosandbox.session.leftovers"
local names_files = require "axosandbox.network.names.files"
local naming = require "axosandbox.base.naming"
local plan = require "axosandbox.start.plan"
local podman = require "axosandbox.podman"
local ports = require "axosandbox.podman.ports"
local tables = require "axosandbox.base.tables"
local session_list = require "axosandbox.session.list"
local turns = require "axosandbox.base.turns"

local launch = {}

local must = errors.must

local MAX_STEPS = 12
local MAX_WAIT = 60

-- ---- one attempt ---------------------------------------------------------------------

local function spec_of(start, attempt)
  return plan.spec(start.plan, {
    podman = start.client.program,
    seccomp = attempt.seccomp,
    cidfile = attempt.cidfile,
    pidfile = attempt.pidfile,
    link_dir = attempt.link_dir,
    network_files = attempt.network_files,
    hard_limits = core.hard_limits(),
  })
end

--- Where the profile of system calls is written for one `podman run`. A podman that is elsewhere
--- (a virtual machine that shares the homes) reads it from the user's cache.
---@param start axo.Start
---@param instance string
---@return string path
function launch.profile_path(start, instance)
  local dir = start.client:is_remote() and must(host.cache_dir()) or start.dir
  return ("%s/%s.seccomp.json"):format(dir, instance)
end

--- A session that reaches names does so by the guest. Without one it would have no network where
--- names were asked for, which is refused.
---@param start axo.Start
---@param why string
function launch.check_names(start, why)
  if not start.plan.allow or start.plan.guest then return end
  errors.raise {
    code = "UNSUPPORTED", op = "start", final = true,
    message = "a network by names needs the native path, and this session would have the portable "
      .. "one: " .. why,
    hint = "start it with network \"none\" or \"bridge\", or where the native path works: "
      .. "`axolua doctor` says what is missing",
  }
end

-- Without a place for its socket there is no guest.
local function link_dir(start)
  if not start.plan.guest then return nil end
  local path, err = guest.make_link_dir(start.plan.instance, start.dir)
  if path then return path end
  start.plan.guest = nil
  launch.check_names(start, tostring(err))
  start:warn("the portable path is used: " .. tostring(err))
end

local function network_files(start)
  if not start.plan.allow then return nil end
  local made, problem = names_files.make(start.dir, start.plan.instance)
  if made then return made end
  errors.raise {
    code = "IO", op = "start", final = true,
    message = ("the files of the session's network cannot be written in %s: %s"):format(
      start.dir, tostring(problem)),
    hint = hints.TABLE.session_files.lua,
  }
end

local function new_attempt(start)
  start.plan.instance = naming.token()
  local base = start.dir .. "/" .. start.plan.instance
  return {
    instance = start.plan.instance,
    seccomp = launch.profile_path(start, start.plan.instance),
    cidfile = base .. ".cid",
    pidfile = not start.client:is_remote() and base .. ".pid" or nil,
    link_dir = link_dir(start),
    network_files = network_files(start),
  }
end

local function container_of(attempt, result)
  local pid = attempt.pidfile and host.read_file(attempt.pidfile)
  local container = {
    id = result.stdout:match "%x+" or (host.read_file(attempt.cidfile) or ""):match "%x+",
    pid = pid and math.tointeger(tonumber(pid:match "%d+")),
    instance = attempt.instance,
    link_dir = attempt.link_dir,
  }
  uv.fs_unlink(attempt.cidfile)
  if attempt.pidfile then uv.fs_unlink(attempt.pidfile) end
  return container
end

-- An image whose `sleep` is not one, a guest that cannot serve, or a container that was killed at
-- once.
local function check_alive(start, container)
  if not container.pid or uv.fs_stat("/proc/" .. container.pid) then return container end
  local found = start.plan.guest and start.client:inspect(container.id, "start")
  local why = guest.ending(found and found.State and found.State.ExitCode)
  leftovers.remove(start.client, container.id)
  guest.forget(container.instance, start.dir)
  errors.raise {
    code = "PODMAN", op = "start", final = true, ended = true,
    message = why and why.message
      or ("the container ended as soon as it was started (image %s)"):format(start.plan.image),
    hint = why and why.hint or "the image must have a `sleep` command that waits",
  }
end

-- podman is a heavy program, and its runs wait for each other's locks: more of them at once make
-- none of them quicker. The line is this process's.
local starting = turns.new(3 * math.max(1, #(uv.cpu_info() or {})))

-- Which of a start's ports sessions publish. Not to know is no failure.
local function holders(start)
  local wanted, found = {}, {}
  for _, port in ipairs(start.plan.ports) do wanted[port] = true end
  for _, session in ipairs(session_list.all(start.client, "start") or {}) do
    for _, it in ipairs(session.running and session.published or {}) do
      if wanted[it.port] then found[#found + 1] = { port = it.port, session = session.id } end
    end
  end
  return found
end

-- What may not be missing comes first.
local function taken_port(start)
  local found
  for _, port in ipairs(start.plan.ports) do
    if start.taken[port] then
      if start.asked.required_ports[port] then return port end
      found = found or port
    end
  end
  return found
end

-- podman notices it, too, but only after it has taken the port away from the container that has it.
-- One that this start is to replace is for podman to find.
local function refuse_taken(start)
  local port = taken_port(start)
  if not port then return end
  for _, it in ipairs(holders(start)) do
    if it.session == start.id then return end
  end
  errors.raise {
    code = "PODMAN", op = "start", class = "PORT_CONFLICT", port = port,
    message = ("the port %d is in use on %s"):format(port, start.plan.publish_address),
  }
end

local function run_once(start)
  start:check_stopped()
  local attempt = new_attempt(start)
  local argv, err = core.argv.run(spec_of(start, attempt))
  if not argv then
    err.final = true
    error(err, 0)
  end
  local p = start.plan
  if p.firewall ~= start.client.firewall then start.client:use_firewall(p.firewall) end
  start.taken = start.client:is_remote() and {} or ports.busy(p.publish_address, p.ports)
  refuse_taken(start)
  local result
  result, err = start:ask(argv, { op = "start" })
  uv.fs_unlink(attempt.seccomp)
  if not result then
    leftovers.clean(start.client, attempt, err)
    guest.forget(attempt.instance, start.dir)
    error(err, 0)
  end
  return check_alive(start, container_of(attempt, result))
end

local function wait_for_turn(start)
  local taken = await.call(function(done)
    start.current = starting:request(done)
    return true
  end)
  start.current = nil
  return taken
end

local function run(start)
  local has_turn = starting:try() or start:off_the_clock(wait_for_turn, start)
  if not has_turn then error(start:stopped(), 0) end
  return starting:use(run_once, start)
end

local function pull(start)
  start:off_the_clock(function()
    local argv, opts = image.pull_request(start.client, start.plan.image, start.pull_timeout)
    start.plan.pulled = true
    must(start:ask(argv, opts))
  end)
end

local STEPS = { run = run, pull = pull }

-- ---- after a failure -----------------------------------------------------------------

local function meaning_of(start, err)
  if err.class == "PORT_CONFLICT" then return { class = err.class, port = err.port } end
  if err.code == "TIMEOUT" and err.op == "pull" then
    return { class = "REGISTRY_UNREACHABLE", subclass = "TIMEOUT" }
  end
  return must(start.set:decide("retry", {
    op = "classify", stderr = err.stderr or "", exit_code = err.exit_code,
  }))
end

local function ask_policy(start, meaning, err, attempt)
  local hard = core.hard_limits() or {}
  return must(start.set:decide("retry", {
    op = "retry",
    class = meaning.class,
    subclass = meaning.subclass,
    port = meaning.port,
    stderr = err.stderr or "",
    exit_code = err.exit_code,
    stage = err.op == "pull" and "pull" or "run",
    attempt = attempt,
    plan = plan.summary(start.plan),
    host = { nofile = hard.nofile, nproc = hard.nproc, runtimes = podman.runtimes(),
      firewalls = podman.firewalls() },
    holders = meaning.class == "PORT_CONFLICT" and holders(start) or nil,
    fields = start.set:fields(),
  }))
end

local function give_up(start, err, meaning, decision)
  local required = meaning.class == "CGROUP" and start.plan.require_limits
  errors.raise {
    code = required and "LIMITS" or "PODMAN",
    op = "start",
    message = err.message,
    hint = decision and decision.hint or err.hint,
    class = meaning.class,
    subclass = meaning.subclass,
    port = meaning.port,
    stderr = err.stderr,
    exit_code = err.exit_code,
    signal = err.signal,
  }
end

-- podman names the first busy port only; those that are known to be busy go with it.
local function with_taken_ports(start, changes)
  if type(changes.drop_ports) ~= "table" then return changes end
  local dropped = {}
  for _, port in ipairs(changes.drop_ports) do dropped[#dropped + 1] = port end
  for port in pairs(start.taken or {}) do dropped[#dropped + 1] = port end
  return tables.merged(changes, { drop_ports = dropped })
end

-- Whether the change gives up something that was asked for.
local function is_unmet(start, before, changed)
  if changed.drop_limits ~= before.drop_limits then return start.set:fields().limits ~= nil end
  return changed.network ~= before.network or #changed.ports < #before.ports
end

local function apply(start, decision, meaning)
  local before = start.plan
  local changes = with_taken_ports(start, decision.changes or {})
  local changed, problem = plan.apply(before, changes)
  if not changed then
    errors.raise { code = "POLICY", op = "start", message = problem, class = meaning.class }
  end
  start.plan = changed
  local text = decision.warning or plan.difference(before, changed)
  if changed.image ~= before.image then
    if text then start:mention(text, "fallback:" .. before.image) end
    learnt.fallback(start, before.image, changed.image)
  elseif text then
    start:warn(text, is_unmet(start, before, changed))
  end
end

local function perform(start, decision, meaning, err)
  local changes = decision.changes or {}
  if changes.pull and start.plan.pull == "never" then
    give_up(start, err, meaning, {
      hint = "the image policy allows no pull: load the image yourself",
    })
  end
  if changes.remove_stale then must(leftovers.remove_stale(start.client, start.id)) end
  apply(start, decision, meaning)
  if changes.wait then await.sleep(math.min(changes.wait, MAX_WAIT)) end
  start.step = changes.pull and "pull" or "run"
end

-- Failures that need no policy, because only one answer is right. False for all others.
local function mend(start, meaning)
  if learnt.blame(start, meaning) then return true end
  if meaning.class == "IMAGE_NOT_FOUND" and start.plan.base_image then
    return learnt.forget_cache(start)
  end
  if image.is_embedded(start.plan.image) and not start.imported
    and (meaning.class == "IMAGE_NOT_FOUND" or meaning.class == "REGISTRY_UNREACHABLE") then
    start.imported = true
    return must(embedded.ensure(start.client))
  end
  if meaning.class == "MACHINE_NOT_RUNNING" and not host.is_linux()
    and not start.machine_started then
    start.machine_started = true
    return must(start:off_the_clock(install.start_machine, start.client))
  end
  return false
end

local function is_final(err)
  if err.final then return true end
  -- A pull that takes too long is a registry that cannot be reached.
  if err.code == "TIMEOUT" then return err.op ~= "pull" end
  return err.code ~= "PODMAN" or err.signal ~= nil
end

-- The guest could not be run (its file system is mounted noexec, a security module refused it):
-- the portable way asks for less.
local function without_guest(start, err, meaning)
  local refused = err.ended or (meaning and meaning.class == "OCI_RUNTIME")
  if not start.plan.guest or not refused or start.plan.mapped then return false end
  start.plan.guest = nil
  launch.check_names(start, "the guest could not be run: " .. err.message)
  start:warn("the portable path is used, because the guest could not be run: " .. err.message)
  return true
end

local NOT_THE_GUEST = { RLIMIT = true, NO_SUCH_USER = true }

-- Raises where nothing is left to try.
local function recover(start, err, attempt)
  if err.ended and without_guest(start, err) then return end
  if is_final(err) then error(err, 0) end
  local meaning = meaning_of(start, err)
  if mend(start, meaning) then return end
  if not NOT_THE_GUEST[meaning.subclass] and without_guest(start, err, meaning) then return end
  local decision = ask_policy(start, meaning, err, attempt)
  if decision.action ~= "retry" then give_up(start, err, meaning, decision) end
  perform(start, decision, meaning, err)
end

--- Starts the container of a start's plan, in a coroutine, or raises. Each change that it took is a
--- warning of the start; a failure leaves no container behind.
---@param start axo.Start
---@return { id: string, pid: integer?, instance: string } container
function launch.run(start)
  start.step = "run"
  local last
  for attempt = 1, MAX_STEPS do
    local step = start.step
    start.step = "run"
    local container, err = errors.try(STEPS[step], start)
    if container then
      learnt.keep(start)
      return container
    end
    last = err or last
    if err then recover(start, err, attempt) end
  end
  errors.raise {
    code = "PODMAN", op = "start", message = ("gave up after %d attempts: %s"):format(
      MAX_STEPS, last and last.message or "no attempt succeeded"),
    stderr = last and last.stderr, exit_code = last and last.exit_code,
  }
end

return launch
