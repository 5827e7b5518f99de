--- What is installed into a fresh container, and the repository's own set-up commands.
---
--- The result of provisioning is kept as a local image. It is made in a container of its own,
--- so that neither the environment nor the directory of the session that happened to come
--- first ends up in an image that others run.
local uv = require "luv"
local confirm = require "axosandbox.start.confirm"
local core = require "axosandbox.core"
local audit_work = require "axosandbox.audit.work"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local guest = require "axosandbox.way.native.guest"
local image = require "axosandbox.podman.image"
local launch = require "axosandbox.start.launch"
local last_line = require "axosandbox.base.text.last_line"
local learnt = require "axosandbox.start.learnt"
local leftovers = require "axosandbox.session.leftovers"
local naming = require "axosandbox.base.naming"
local plan = require "axosandbox.start.plan"
local portable = require "axosandbox.way.portable"
local unmet = require "axosandbox.policy.unmet"
local shell = require "axosandbox.base.text.shell"

local provision = {}

local must = errors.must

local COMMIT_TIMEOUT = 300
local KEPT_OUTPUT = 256 * 1024

-- Asked once; and again where the start fell back to another image or to no network.
local function decide(start)
  local p, known = start.plan, start.provisioning
  local network = p.allow and "names" or p.network
  if known and known.image == p.image and known.network == network then return known.decision end
  local decision = must(start.set:decide("provision", {
    image = p.image,
    reference = core.reference.parse(p.image),
    network = network,
    embedded = image.is_embedded(p.image),
    id = start.id,
    dir = start.asked.dir,
  }))
  start.provisioning = { image = p.image, network = network, decision = decision }
  return decision
end

local function cached_image(start, decision)
  return naming.cached_image(decision.key, decision.commands, start.plan.image)
end

--- Puts the image that an earlier provisioning made in the place of the plan's, when there is
--- one; in a coroutine.
---@param start axo.Start
function provision.look_up(start)
  local decision = decide(start)
  if decision.run and decision.cache then
    learnt.use_cache(start, cached_image(start, decision))
  end
end

-- ---- making the cached image -----------------------------------------------------------

local function complaint_of(err)
  local tail = last_line(err.stderr or "")
  return tail and tail ~= err.message and ("%s (%s)"):format(err.message, tail) or err.message
end

local function builder_plan(start, decision)
  local p = assert(plan.apply(start.plan, {}))
  local instance = naming.token()
  p.name = naming.BUILDER_PREFIX .. instance
  -- The user stays the image's: it becomes the new image's, and the commands run as root.
  p.source, p.dir, p.user, p.env, p.ports = nil, "/", nil, {}, {}
  p.guest, p.search, p.mapped, p.allow = nil, nil, nil, nil
  -- Packages bring set-id files, and nothing of the host is mounted.
  p.setuid = true
  p.labels = {
    [naming.LABEL .. "provision"] = decision.key,
    [naming.LABEL .. "owner"] = p.owner,
    [naming.LABEL .. "instance"] = instance,
  }
  return p, instance
end

local function start_builder(start, decision)
  local p, instance = builder_plan(start, decision)
  local attempt = { instance = instance, cidfile = ("%s/%s.cid"):format(start.dir, instance) }
  local seccomp = launch.profile_path(start, instance)
  local argv = must(core.argv.run(plan.spec(p, {
    podman = start.client.program, seccomp = seccomp, cidfile = attempt.cidfile,
    hard_limits = core.hard_limits(),
  })))
  local result, err = start:ask(argv, { op = "provision" })
  uv.fs_unlink(seccomp)
  if not result then
    leftovers.clean(start.client, attempt, err)
    error(err, 0)
  end
  uv.fs_unlink(attempt.cidfile)
  return result.stdout:match "%x+"
end

local function run_commands(start, container, decision)
  local deadline = await.now() + decision.timeout
  for _, command in ipairs(decision.commands) do
    start:inform("provisioning: " .. command, { op = "provision" })
    local argv = must(core.argv.exec {
      podman = start.client.program, container = container, user = "0",
      command = shell.argv(command),
    })
    must(start:ask(argv, {
      op = "provision", timeout = math.max(deadline - await.now(), 0.001),
      max_output = KEPT_OUTPUT,
    }))
  end
end

local function commit(start, container, decision)
  local name = cached_image(start, decision)
  local argv = must(core.argv.commit {
    podman = start.client.program, container = container, image = name,
  })
  must(start:ask(argv, { op = "provision", timeout = COMMIT_TIMEOUT }))
  learnt.keep_cache(start, name, true)
  return name
end

local function build(start, decision)
  local container = start_builder(start, decision)
  local _ <close> = errors.finally(function() leftovers.remove(start.client, container) end)
  run_commands(start, container, decision)
  return commit(start, container, decision)
end

-- The session's container gives way to one of the image that was just made.
local function swap(start, name, run)
  must(leftovers.remove(start.client, start.container.id))
  guest.forget(start.container.instance, start.dir)
  start.container = nil
  start.plan.base_image, start.plan.image = start.plan.image, name
  run(start)
end

local function provision_by_cache(start, decision, run)
  if learnt.failed_lately(start, cached_image(start, decision)) then
    start:warn "not provisioned: that failed a moment ago, and is tried again before long"
    return
  end
  local name, err = errors.try(build, start, decision)
  if name then return swap(start, name, run) end
  start:check_cancelled()
  learnt.keep_cache(start, cached_image(start, decision), false)
  start:warn("provisioning failed, so there is only what the image has: " .. complaint_of(err))
end

local function provision_in_place(start, decision)
  local _, err = errors.try(run_commands, start, start.container.id, decision)
  start:check_cancelled()
  if err then start:warn("provisioning failed: " .. complaint_of(err)) end
end

--- Provisions the start's fresh container, as policy says; in a coroutine. A failure is a
--- warning.
---@param start axo.Start
---@param run fun(start: axo.Start) starts the container of the start's plan
function provision.apply(start, run)
  if start.plan.base_image then return end
  local decision = decide(start)
  if decision.warning then start:warn(decision.warning) end
  if not decision.run or #decision.commands == 0 then return end
  -- Packages come from whom no list of names may have.
  if start.plan.allow then
    return start:warn("nothing was installed into the image: its packages come by the network "
      .. "bridge. A session with that one has them installed once, and those with names use the "
      .. "result from then on")
  end
  local how = decision.cache and provision_by_cache or provision_in_place
  start:off_the_clock(how, start, decision, run)
end

-- ---- the repository's own commands -----------------------------------------------------

local function failure_of(command, err, result)
  if err then return err.message end
  if result.timed_out then return ("%s: timed out"):format(command) end
  if result.code == 0 then return nil end
  local tail = last_line(result.stderr) or last_line(result.stdout)
  return ("%s: %s%s"):format(command,
    result.signal and "killed by SIG" .. result.signal or "exit code " .. tostring(result.code),
    tail and ": " .. tail or "")
end

local function run_one(start, path, decision, command)
  start:inform("post-create: " .. command, { op = "post_create" })
  local result, err = await.call(function(done)
    local work, problem = audit_work.exec({ id = start.id }, path, {
      argv = shell.argv(command), cwd = start.asked.dir, timeout = decision.timeout,
      secrets = start.secrets, max_output = KEPT_OUTPUT, on_limit = "truncate",
    }, done)
    start.current = work
    return work, problem
  end)
  start.current = nil
  return failure_of(command, err, result)
end

local function run_all(start, path, decision)
  for _, command in ipairs(decision.commands) do
    local problem = run_one(start, path, decision, command)
    start:check_cancelled()
    if problem and decision.on_failure == "fail" then
      errors.raise {
        code = "POST_CREATE", op = "post_create", message = problem,
        hint = hints.TABLE.post_create.lua,
      }
    end
    if problem then start:warn("post-create: " .. problem, true) end
  end
end

--- Runs the commands that the repository wants run in a new session, as policy says; in a
--- coroutine. Raises "POST_CREATE" where one failed and policy says that this counts.
---@param start axo.Start
---@param record axo.Record
function provision.post_create(start, record)
  if #start.asked.post_create == 0 then return end
  local decision = must(start.set:decide("post_create", {
    commands = start.asked.post_create, image = start.plan.image, id = start.id,
    dir = start.asked.dir,
  }))
  if decision.warning then start:warn(decision.warning) end
  unmet.tell_of_commands(start, start.set, decision)
  if decision.ask then
    decision.run = confirm.ask(start, { op = "post_create", commands = decision.commands })
    start:check_cancelled()
  end
  if decision.run then start:off_the_clock(run_all, start, portable.new(record), decision) end
end

return provision
