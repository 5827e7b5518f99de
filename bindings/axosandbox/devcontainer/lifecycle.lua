--- Entering a session as its devcontainer.json has it: what its commands get, and the lifecycle
--- commands, in their order and each when it is due.
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local confirm = require "axosandbox.start.confirm"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local image = require "axosandbox.podman.image"
local last_line = require "axosandbox.base.text.last_line"
local log = require "axosandbox.base.log"
local naming = require "axosandbox.base.naming"
local properties = require "axosandbox.devcontainer.properties"
local request = require "axosandbox.start.request"
local session = require "axosandbox.session"
local shell = require "axosandbox.base.text.shell"
local start = require "axosandbox.start"
local state = require "axosandbox.session.devcontainer_state"
local unmet = require "axosandbox.policy.unmet"
local variables = require "axosandbox.devcontainer.variables"

local lifecycle = {}

local TAIL = 2048
-- Linux takes an argument of 128 KiB.
local MAX_BYTES = 120 * 1024

---@class axo.LifecycleResult
---@field ran string[] events whose commands have run just now
---@field skipped { event: string, reason: "done"|"policy"|"failure"|"busy" }[]
---@field failed { event: string, command: string, message: string }?

---@class axo.LifecycleJob
---@field sb axo.Sandbox
---@field record axo.Record
---@field description axo.Devcontainer
---@field state axo.DevcontainerState
---@field result axo.LifecycleResult
---@field running table<axo.Exec, true>
---@field cancelled boolean?
---@field current { cancel: fun() }? a question that waits for its answer
local Job = {}
Job.__index = Job

function Job:warn(message, is_unmet)
  if self.warned[message] then return end
  self.warned[message] = true
  table.insert(self.record.warnings, message)
  log.emit("warn", message, { op = "devcontainer", id = self.record.id, unmet = is_unmet })
end

-- These commands have no deadline but their own, which does not run while somebody is asked.
function Job:off_the_clock(fn, ...)
  return fn(...)
end

function Job:stopped()
  if not self.cancelled then return nil end
  return errors.new {
    code = "CANCELLED", op = "devcontainer", message = "the lifecycle commands were cancelled",
  }
end

-- ---- what commands get -----------------------------------------------------------------

-- One that was provisioned has a name of its own; only the default image is.
local function runs_as_asked(asked, running)
  if running:sub(1, #naming.CACHE_IMAGE + 1) == naming.CACHE_IMAGE .. ":" then
    running = image.DEFAULT
  end
  return image.may_be(asked, running)
end

-- A user that came with an image means nothing in another one, and one that policy did not
-- agree to is not used.
local function remote_user(job)
  local wanted = job.description.remote.user
  if not wanted then return nil end
  local asked = request.check(job.description.options, 1)
  local found, err = request.find_directory(asked)
  if not found then return nil, err end
  if not runs_as_asked(asked.image, job.record.image) then
    job:warn(("remoteUser %s is not used: another image runs"):format(wanted))
    return nil
  end
  local decision
  decision, err = start.decide_sandbox(job.record.policy, asked, wanted)
  if not decision then return nil, err end
  if decision.remote_user == wanted and decision.user == asked.user then return wanted end
  job:warn(("remoteUser %s is not used: policy decided on another user"):format(wanted))
end

local function container_env(job)
  local client, record = job.record.client, job.record
  local container, err = client:inspect(record.container_id, "devcontainer")
  if not container then return nil, err end
  local env = {}
  for _, entry in ipairs(container.Config and container.Config.Env or {}) do
    local name, value = tostring(entry):match "^([^=]*)=(.*)$"
    if name then env[name] = value end
  end
  return env
end

-- Asked for once, and only where it is needed.
local function known_env(job)
  local err
  if not job.container_env then job.container_env, err = container_env(job) end
  return job.container_env, err
end

local function remote_env(job)
  local env = {}
  for name, value in pairs(job.description.remote.env) do
    if variables.needs_container(value) then
      local known, err = known_env(job)
      if not known then return nil, err end
      value = variables.in_container(value, known, properties.MAX_VALUE)
      if not value then job:warn(("remoteEnv.%s is not set: it is too long"):format(name)) end
    end
    env[name] = value
  end
  return env
end

local function labels_of(list)
  local labels = {}
  for _, entry in ipairs(list) do labels[tostring(entry.port)] = entry.label end
  return labels
end

local function settle(job)
  local user, env, err
  user, err = remote_user(job)
  if err then return nil, err end
  env, err = remote_env(job)
  if not env then return nil, err end
  job.state.defaults = { env = env, user = user, cwd = job.description.remote.cwd }
  job.state.labels = labels_of(job.description.ports)
  state.apply(job.record, job.state)
  return true
end

-- An image without `test` leaves it open.
local function warn_where_it_cannot_write(job)
  local user, dir = job.state.defaults.user, job.record.dir
  if not user then return end
  local result = await.call(function(done)
    return job.sb:exec({ "test", "-w", dir }, { timeout = 10, cwd = "/" }, done)
  end)
  if not result or result.code ~= 1 then return end
  job:warn(("remoteUser %s cannot write %s: on this host it belongs to somebody else"):format(
    user, dir), true)
end

-- ---- one event -------------------------------------------------------------------------

local function failure_of(err, result, tail)
  if err then return err.message end
  if result.timed_out then return "it took too long" end
  if result.code == 0 then return nil end
  local line = last_line(tail)
  return (result.signal and "killed by SIG" .. result.signal
    or ("exit code %d"):format(result.code)) .. (line and ": " .. line or "")
end

local function keep_tail(job, event, kept)
  return function(bytes)
    kept.text = (kept.text .. bytes):sub(-TAIL)
    if job.on_output then job.on_output(event, bytes) end
  end
end

-- The words of a command with the variables of the container put in.
local function resolved(job, command)
  local argv, left = {}, MAX_BYTES
  for i, word in ipairs(command.argv) do
    if variables.needs_container(word) then
      local known, err = known_env(job)
      if not known then return nil, err.message end
      word = variables.in_container(word, known, left)
    end
    left = left - #(word or "")
    if not word or left < 0 then return nil, "it is too long with its variables put in" end
    argv[i] = word
  end
  return argv
end

-- Starts one command; `finish(problem)` is called once, never before this has returned.
local function run_command(job, event, command, argv, timeout, finish)
  local kept = { text = "" }
  local reader = keep_tail(job, event, kept)
  log.emit("info", ("%s: %s"):format(event, command.text), {
    op = "devcontainer", id = job.record.id,
  })
  local handle, err
  handle, err = job.sb:exec(argv, {
    timeout = timeout, on_stdout = reader, on_stderr = reader,
  }, function(problem, result)
    if handle then job.running[handle] = nil end
    finish(failure_of(problem, result, kept.text))
  end)
  if not handle then return await.defer(function() finish(err.message) end) end
  job.running[handle] = true
end

-- All at once, and all are waited for. The first failure is the one that counts.
local function run_together(job, event, list, timeout)
  local function failure(command, problem)
    return { event = event, command = command.name or command.text, message = problem }
  end
  local argvs = {}
  for i, command in ipairs(list) do
    local problem
    argvs[i], problem = resolved(job, command)
    if problem then return failure(command, problem) end
  end
  return await.call(function(done)
    local left, failed = #list, nil
    for i, command in ipairs(list) do
      run_command(job, event, command, argvs[i], timeout, function(problem)
        left = left - 1
        failed = failed or (problem and failure(command, problem))
        if left == 0 then done(nil, failed) end
      end)
    end
    return true
  end)
end

local function run_in_turn(job, event, texts, timeout)
  for _, text in ipairs(texts) do
    local command = { argv = shell.argv(text), text = text }
    local failed = run_together(job, event, { command }, timeout)
    if failed or job.cancelled then return failed end
  end
end

local function texts_of(event)
  local texts = {}
  for i, command in ipairs(event.commands) do texts[i] = command.text end
  return texts
end

local function is_same(a, b)
  for i = 1, math.max(#a, #b) do
    if a[i] ~= b[i] then return false end
  end
  return true
end

local function mark(job, event, word)
  if event.when == "create" then job.state.events[event.event] = word end
  if event.when == "start" then job.state.started = state.start_of(job.record) end
  return state.keep(job.record, job.state)
end

local function perform(job, event, decision)
  -- Before it begins: what has begun does not begin again, also when this host dies.
  local kept, problem = mark(job, event, "begun")
  if not kept then
    return { event = event.event, command = event.event,
      message = "that it has run could not be remembered: " .. tostring(problem) }
  end
  local failed
  if is_same(decision.commands, texts_of(event)) then
    failed = run_together(job, event.event, event.commands, decision.timeout)
  else
    failed = run_in_turn(job, event.event, decision.commands, decision.timeout)
  end
  mark(job, event, failed and "failed" or "done")
  return failed
end

-- ---- all of them -----------------------------------------------------------------------

local function skip(job, event, reason)
  table.insert(job.result.skipped, { event = event.event, reason = reason })
end

local function is_done(job, event)
  if event.when == "start" then return job.state.started == state.start_of(job.record) end
  return event.when == "create" and job.state.events[event.event] ~= nil
end

-- One that failed, or whose host died, in this container before.
local function failed_before(job, event)
  local word = event.when == "create" and job.state.events[event.event]
  if not word or word == "done" then return nil end
  return {
    event = event.event, command = event.event,
    message = word == "failed" and "it failed when this container was made"
      or "it was interrupted when this container was made",
  }
end

local function decide(job, event)
  local record = job.record
  return record.policy:decide("post_create", {
    commands = texts_of(event), event = event.event, image = record.image, id = record.id,
    dir = record.dir,
  })
end

local function fail(job, failed, counts)
  job.result.failed = failed
  local text = failed.command == failed.event and failed.event
    or ("%s (%s)"):format(failed.event, failed.command)
  if counts then
    return nil, errors.new {
      code = "POST_CREATE", op = "devcontainer", message = ("%s: %s"):format(text, failed.message),
      hint = hints.TABLE.post_create.lua,
    }
  end
  job:warn(("devcontainer.json: %s: %s; the later ones do not run"):format(text, failed.message),
    true)
  return true
end

local function agreed(job, event, commands)
  return confirm.ask(job, { op = event.event, commands = commands })
end

local function run_event(job, event)
  local before = failed_before(job, event)
  if before then return fail(job, before) end
  if is_done(job, event) then return skip(job, event, "done") or true end
  local decision, err = decide(job, event)
  if not decision then return nil, err end
  if decision.warning then job:warn(decision.warning) end
  unmet.tell_of_commands(job, job.record.policy, decision)
  if decision.ask then decision.run = agreed(job, event, decision.commands) end
  err = job:stopped()
  if err then return nil, err end
  if not decision.run then return skip(job, event, "policy") or true end
  local failed = perform(job, event, decision)
  err = job:stopped()
  if err then return nil, err end
  table.insert(job.result.ran, event.event)
  if failed then return fail(job, failed, decision.on_failure == "fail") end
  return true
end

local function run_events(job)
  for _, event in ipairs(job.description.lifecycle) do
    local ok, err = true, job:stopped()
    if err then return nil, err end
    if job.result.failed then
      skip(job, event, "failure")
    else
      ok, err = run_event(job, event)
    end
    if not ok then return nil, err end
  end
  return job.result
end

-- Somebody else runs them just now.
local function leave_to_others(job)
  job:warn "devcontainer.json: another process runs its commands in this session just now"
  for _, event in ipairs(job.description.lifecycle) do skip(job, event, "busy") end
  return job.result
end

local function enter(job)
  if job.record.kind == "attached" then
    return nil, errors.new {
      code = "ATTACHED", op = "devcontainer",
      message = "a container that was attached to has no devcontainer.json of its own",
      hint = hints.TABLE.open_instead.lua,
    }
  end
  local lock <close>, err = core.lock(job.record.runtime_dir .. "/devcontainer.lock", true)
  if not lock and err.code ~= "EBUSY" then return nil, err end
  job.state = state.of(job.record)
  local ok
  ok, err = settle(job)
  if not ok then return nil, err end
  warn_where_it_cannot_write(job)
  if not lock then return leave_to_others(job) end
  local kept, problem = state.keep(job.record, job.state)
  if not kept then job:warn("what commands get is not kept for others: " .. tostring(problem)) end
  return run_events(job)
end

local function cancel(job)
  job.cancelled = true
  if job.current then job.current:cancel() end
  local handles = {}
  for handle in pairs(job.running) do handles[#handles + 1] = handle end
  for _, handle in ipairs(handles) do handle:cancel() end
end

--- See `axosandbox.devcontainer.enter`.
---@param sb axo.Sandbox
---@param description axo.Devcontainer
---@param opts { on_output: fun(event: string, bytes: string)?, confirm: function? }
---@param callback fun(err: axo.Error?, result: axo.LifecycleResult?)?
---@return axo.LifecycleResult? result, axo.Error? err
function lifecycle.enter(sb, description, opts, callback)
  local job = setmetatable({
    sb = sb, record = session.record(sb), description = description, on_output = opts.on_output,
    id = session.record(sb).id, asked = { confirm = opts.confirm, dir = session.record(sb).dir },
    running = {}, warned = {}, result = { ran = {}, skipped = {} },
  }, Job)
  return await.call(function(done)
    await.defer(function()
      await.spawn(function() return enter(job) end, done)
    end)
    return { cancel = function() cancel(job) end }
  end, callback)
end

return lifecycle
