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

local function decide(job)
  return job.set:decide("provision", {
    image = job.plan.image,
    reference = core.reference.parse(job.plan.image),
    network = job.plan.network,
    embedded = image.is_embedded(job.plan.image),
    id = job.id,
    dir = job.asked.dir,
  })
end

local function cached_image(job, decision)
  return naming.cached_image(decision.key, decision.commands, job.plan.image)
end

--- Puts the image that an earlier provisioning made in the place of the plan's, when there is
--- one. An error of policy is left for `provision.apply` to report.
---@param job axo.Job
function provision.look_up(job)
  local decision = decide(job)
  if decision and decision.run and decision.cache then
    learnt.use_cache(job, cached_image(job, decision))
  end
end

-- ---- making the cached image -----------------------------------------------------------

local function complaint_of(err)
  local tail = last_line(err.stderr or "")
  return tail and tail ~= err.message and ("%s (%s)"):format(err.message, tail) or err.message
end

local function builder_plan(job, decision)
  local p = assert(plan.apply(job.plan, {}))
  local instance = naming.token()
  p.name = naming.BUILDER_PREFIX .. instance
  -- The user stays the image's: it becomes the new image's, and the commands run as root.
  p.source, p.dir, p.user, p.env, p.ports = nil, "/", nil, {}, {}
  p.guest, p.search, p.mapped = nil, nil, nil
  -- Packages bring set-id files, and nothing of the host is mounted.
  p.setuid = true
  p.labels = {
    [naming.LABEL .. "provision"] = decision.key,
    [naming.LABEL .. "owner"] = p.owner,
    [naming.LABEL .. "instance"] = instance,
  }
  return p, instance
end

local function start_builder(job, decision)
  local p, instance = builder_plan(job, decision)
  local attempt = { instance = instance, cidfile = ("%s/%s.cid"):format(job.dir, instance) }
  local seccomp = launch.profile_path(job, instance)
  local argv = must(core.argv.run(plan.spec(p, {
    podman = job.client.program, seccomp = seccomp, cidfile = attempt.cidfile,
    hard_limits = core.hard_limits(),
  })))
  local result, err = job:ask(argv, { op = "provision" })
  uv.fs_unlink(seccomp)
  if not result then
    leftovers.clean(job.client, attempt, err)
    error(err, 0)
  end
  uv.fs_unlink(attempt.cidfile)
  return result.stdout:match "%x+"
end

local function run_commands(job, container, decision)
  local deadline = await.now() + decision.timeout
  for _, command in ipairs(decision.commands) do
    job:inform("provisioning: " .. command, { op = "provision" })
    local argv = must(core.argv.exec {
      podman = job.client.program, container = container, user = "0",
      command = shell.argv(command),
    })
    must(job:ask(argv, {
      op = "provision", timeout = math.max(deadline - await.now(), 0.001),
      max_output = KEPT_OUTPUT,
    }))
  end
end

local function commit(job, container, decision)
  local name = cached_image(job, decision)
  local argv = must(core.argv.commit {
    podman = job.client.program, container = container, image = name,
  })
  must(job:ask(argv, { op = "provision", timeout = COMMIT_TIMEOUT }))
  learnt.keep_cache(job, name, true)
  return name
end

local function build(job, decision)
  local container = start_builder(job, decision)
  local _ <close> = errors.finally(function() leftovers.remove(job.client, container) end)
  run_commands(job, container, decision)
  return commit(job, container, decision)
end

-- The session's container gives way to one of the image that was just made.
local function swap(job, name, run)
  must(leftovers.remove(job.client, job.container.id))
  guest.forget(job.container.instance, job.dir)
  job.container = nil
  job.plan.base_image, job.plan.image = job.plan.image, name
  run(job)
end

local function provision_by_cache(job, decision, run)
  if learnt.failed_lately(job, cached_image(job, decision)) then
    job:warn "not provisioned: that failed a moment ago, and is tried again before long"
    return
  end
  local name, err = errors.try(build, job, decision)
  if name then return swap(job, name, run) end
  job:check_cancelled()
  learnt.keep_cache(job, cached_image(job, decision), false)
  job:warn("provisioning failed, the container is as its image made it: " .. complaint_of(err))
end

local function provision_in_place(job, decision)
  local _, err = errors.try(run_commands, job, job.container.id, decision)
  job:check_cancelled()
  if err then job:warn("provisioning failed: " .. complaint_of(err)) end
end

--- Provisions the job's fresh container, as policy says; in a coroutine. A failure is a
--- warning.
---@param job axo.Job
---@param run fun(job: axo.Job) starts the container of the job's plan
function provision.apply(job, run)
  if job.plan.base_image then return end
  local decision = must(decide(job))
  if decision.warning then job:warn(decision.warning) end
  if not decision.run or #decision.commands == 0 then return end
  local how = decision.cache and provision_by_cache or provision_in_place
  job:off_the_clock(how, job, decision, run)
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

local function run_one(job, path, decision, command)
  job:inform("post-create: " .. command, { op = "post_create" })
  local result, err = await.call(function(done)
    local handle, problem = audit_work.exec({ id = job.id }, path, {
      argv = shell.argv(command), cwd = job.asked.dir, timeout = decision.timeout,
      secrets = job.secrets, max_output = KEPT_OUTPUT, on_limit = "truncate",
    }, done)
    job.current = handle
    return handle, problem
  end)
  job.current = nil
  return failure_of(command, err, result)
end

local function run_all(job, path, decision)
  for _, command in ipairs(decision.commands) do
    local problem = run_one(job, path, decision, command)
    job:check_cancelled()
    if problem and decision.on_failure == "fail" then
      errors.raise {
        code = "POST_CREATE", op = "post_create", message = problem,
        hint = hints.TABLE.post_create.lua,
      }
    end
    if problem then job:warn("post-create: " .. problem, true) end
  end
end

--- Runs the commands that the repository wants run in a new session, as policy says; in a
--- coroutine. Raises "POST_CREATE" where one failed and policy says that this counts.
---@param job axo.Job
---@param record axo.Record
function provision.post_create(job, record)
  if #job.asked.post_create == 0 then return end
  local decision = must(job.set:decide("post_create", {
    commands = job.asked.post_create, image = job.plan.image, id = job.id, dir = job.asked.dir,
  }))
  if decision.warning then job:warn(decision.warning) end
  unmet.tell_of_commands(job, job.set, decision)
  if decision.ask then
    decision.run = confirm.ask(job, { op = "post_create", commands = decision.commands })
    job:check_cancelled()
  end
  if decision.run then job:off_the_clock(run_all, job, portable.new(record), decision) end
end

return provision
