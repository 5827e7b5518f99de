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

local must = errors.must

local TAIL = 2048
-- Linux takes an argument of 128 KiB.
local MAX_BYTES = 120 * 1024

---@class axo.LifecycleResult
---@field ran string[] events whose commands have run just now
---@field skipped { event: string, reason: "done"|"policy"|"failure"|"busy" }[]
---@field failed { event: string, command: string, message: string }?

---@class axo.Entry
---@field sb axo.Session
---@field record axo.Record
---@field description axo.Devcontainer
---@field state axo.DevcontainerState
---@field result axo.LifecycleResult
---@field running table<axo.Exec, true>
---@field cancelled boolean?
---@field current { cancel: fun() }? a question that waits for its answer
local Entry = {}
Entry.__index = Entry

function Entry:warn(message, is_unmet)
  if self.warned[message] then return end
  self.warned[message] = true
  table.insert(self.record.warnings, message)
  log.emit("warn", message, { op = "devcontainer", id = self.record.id, unmet = is_unmet })
end

-- These commands have no deadline but their own, which does not run while somebody is asked.
function Entry:off_the_clock(fn, ...)
  return fn(...)
end

function Entry:check_stopped()
  if not self.cancelled then return end
  errors.raise {
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
local function remote_user(entry)
  local wanted = entry.description.remote.user
  if not wanted then return nil end
  local asked = request.check(entry.description.options, 1)
  must(request.find_directory(asked))
  if not runs_as_asked(asked.image, entry.record.image) then
    entry:warn(("remoteUser %s is not used: another image runs"):format(wanted))
    return nil
  end
  local decision = must(start.decide_sandbox(entry.record.policy, asked, wanted))
  if decision.remote_user == wanted and decision.user == asked.user then return wanted end
  entry:warn(("remoteUser %s is not used: policy decided on another user"):format(wanted))
end

local function container_env(entry)
  local client, record = entry.record.client, entry.record
  local container = must(client:inspect(record.container_id, "devcontainer"))
  local env = {}
  for _, pair in ipairs(container.Config and container.Config.Env or {}) do
    local name, value = tostring(pair):match "^([^=]*)=(.*)$"
    if name then env[name] = value end
  end
  return env
end

-- Asked for once, and only where it is needed.
local function known_env(entry)
  entry.container_env = entry.container_env or container_env(entry)
  return entry.container_env
end

local function remote_env(entry)
  local env = {}
  for name, value in pairs(entry.description.remote.env) do
    if variables.needs_container(value) then
      value = variables.in_container(value, known_env(entry), properties.MAX_VALUE)
      if not value then entry:warn(("remoteEnv.%s is not set: it is too long"):format(name)) end
    end
    env[name] = value
  end
  return env
end

local function labels_of(list)
  local labels = {}
  for _, port in ipairs(list) do labels[tostring(port.port)] = port.label end
  return labels
end

local DONE = { honoured = true, policy = true }

local function unmet_of(reports)
  local list = {}
  for _, it in ipairs(reports) do
    if not DONE[it.status] then
      list[#list + 1] = { property = it.property, status = it.status, reason = it.reason }
    end
  end
  return list
end

local function settle(entry)
  entry.state.defaults = {
    user = remote_user(entry), env = remote_env(entry), cwd = entry.description.remote.cwd,
  }
  entry.state.labels = labels_of(entry.description.ports)
  entry.state.reports = unmet_of(entry.description.reports)
  state.apply(entry.record, entry.state)
end

-- An image without `test` leaves it open.
local function warn_where_it_cannot_write(entry)
  local user, dir = entry.state.defaults.user, entry.record.dir
  if not user then return end
  local result = await.call(function(done)
    return entry.sb:exec({ "test", "-w", dir }, { timeout = 10, cwd = "/" }, done)
  end)
  if not result or result.code ~= 1 then return end
  entry:warn(("remoteUser %s cannot write %s: on this host it belongs to somebody else"):format(
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

local function keep_tail(entry, event, kept)
  return function(bytes)
    kept.text = (kept.text .. bytes):sub(-TAIL)
    if entry.on_output then entry.on_output(event, bytes) end
  end
end

-- The words of a command with the variables of the container put in.
local function resolved(entry, command)
  local argv, left = {}, MAX_BYTES
  for i, word in ipairs(command.argv) do
    if variables.needs_container(word) then
      local known, err = errors.try(known_env, entry)
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
local function run_command(entry, event, command, argv, timeout, finish)
  local kept = { text = "" }
  local reader = keep_tail(entry, event, kept)
  log.emit("info", ("%s: %s"):format(event, command.text), {
    op = "devcontainer", id = entry.record.id,
  })
  local work, err
  work, err = entry.sb:exec(argv, {
    timeout = timeout, on_stdout = reader, on_stderr = reader,
  }, function(problem, result)
    if work then entry.running[work] = nil end
    finish(failure_of(problem, result, kept.text))
  end)
  if not work then return await.defer(function() finish(err.message) end) end
  entry.running[work] = true
end

-- All at once, and all are waited for. The first failure is the one that counts.
local function run_together(entry, event, list, timeout)
  local function failure(command, problem)
    return { event = event, command = command.name or command.text, message = problem }
  end
  local argvs = {}
  for i, command in ipairs(list) do
    local problem
    argvs[i], problem = resolved(entry, command)
    if problem then return failure(command, problem) end
  end
  return await.call(function(done)
    local left, failed = #list, nil
    for i, command in ipairs(list) do
      run_command(entry, event, command, argvs[i], timeout, function(problem)
        left = left - 1
        failed = failed or (problem and failure(command, problem))
        if left == 0 then done(nil, failed) end
      end)
    end
    return true
  end)
end

local function run_in_turn(entry, event, texts, timeout)
  for _, text in ipairs(texts) do
    local command = { argv = shell.argv(text), text = text }
    local failed = run_together(entry, event, { command }, timeout)
    if failed or entry.cancelled then return failed end
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

local function mark(entry, event, word)
  if event.when == "create" then entry.state.events[event.event] = word end
  if event.when == "start" then entry.state.started = state.start_of(entry.record) end
  return state.keep(entry.record, entry.state)
end

local function perform(entry, event, decision)
  -- Before it begins: what has begun does not begin again, also when this host dies.
  local kept, problem = mark(entry, event, "begun")
  if not kept then
    return { event = event.event, command = event.event,
      message = "it ran, but this could not be written down: " .. tostring(problem) }
  end
  local failed
  if is_same(decision.commands, texts_of(event)) then
    failed = run_together(entry, event.event, event.commands, decision.timeout)
  else
    failed = run_in_turn(entry, event.event, decision.commands, decision.timeout)
  end
  mark(entry, event, failed and "failed" or "done")
  return failed
end

-- ---- all of them -----------------------------------------------------------------------

local function skip(entry, event, reason)
  table.insert(entry.result.skipped, { event = event.event, reason = reason })
end

local function is_done(entry, event)
  if event.when == "start" then return entry.state.started == state.start_of(entry.record) end
  return event.when == "create" and entry.state.events[event.event] ~= nil
end

-- One that failed, or whose host died, in this container before.
local function failed_before(entry, event)
  local word = event.when == "create" and entry.state.events[event.event]
  if not word or word == "done" then return nil end
  return {
    event = event.event, command = event.event,
    message = word == "failed" and "it failed when this container was made"
      or "it was interrupted when this container was made",
  }
end

local function decide(entry, event)
  local record = entry.record
  return must(record.policy:decide("post_create", {
    commands = texts_of(event), event = event.event, image = record.image, id = record.id,
    dir = record.dir,
  }))
end

local function fail(entry, failed, counts)
  entry.result.failed = failed
  local text = failed.command == failed.event and failed.event
    or ("%s (%s)"):format(failed.event, failed.command)
  if counts then
    errors.raise {
      code = "POST_CREATE", op = "devcontainer", message = ("%s: %s"):format(text, failed.message),
      hint = hints.TABLE.post_create.lua,
    }
  end
  entry:warn(("devcontainer.json: %s: %s; the later ones do not run"):format(text, failed.message),
    true)
end

local function agreed(entry, event, commands)
  return confirm.ask(entry, { op = event.event, commands = commands })
end

local function run_event(entry, event)
  local before = failed_before(entry, event)
  if before then return fail(entry, before) end
  if is_done(entry, event) then return skip(entry, event, "done") end
  local decision = decide(entry, event)
  if decision.warning then entry:warn(decision.warning) end
  unmet.tell_of_commands(entry, entry.record.policy, decision)
  if decision.ask then decision.run = agreed(entry, event, decision.commands) end
  entry:check_stopped()
  if not decision.run then return skip(entry, event, "policy") end
  local failed = perform(entry, event, decision)
  entry:check_stopped()
  table.insert(entry.result.ran, event.event)
  if failed then fail(entry, failed, decision.on_failure == "fail") end
end

local function run_events(entry)
  for _, event in ipairs(entry.description.lifecycle) do
    entry:check_stopped()
    if entry.result.failed then
      skip(entry, event, "failure")
    else
      run_event(entry, event)
    end
  end
  return entry.result
end

-- Somebody else runs them just now.
local function leave_to_others(entry)
  entry:warn "devcontainer.json: another process runs its commands in this session just now"
  for _, event in ipairs(entry.description.lifecycle) do skip(entry, event, "busy") end
  return entry.result
end

local function enter(entry)
  if entry.record.kind == "attached" then
    errors.raise {
      code = "ATTACHED", op = "devcontainer",
      message = "a container that was attached to has no devcontainer.json of its own",
      hint = hints.TABLE.open_instead.lua,
    }
  end
  local lock <close>, err = core.lock(entry.record.runtime_dir .. "/devcontainer.lock", true)
  if not lock and err.code ~= "EBUSY" then error(err, 0) end
  entry.state = state.of(entry.record)
  settle(entry)
  warn_where_it_cannot_write(entry)
  if not lock then return leave_to_others(entry) end
  local kept, problem = state.keep(entry.record, entry.state)
  if not kept then entry:warn("what commands get is not kept for others: " .. tostring(problem)) end
  return run_events(entry)
end

local function cancel(entry)
  entry.cancelled = true
  if entry.current then entry.current:cancel() end
  local running = {}
  for work in pairs(entry.running) do running[#running + 1] = work end
  for _, work in ipairs(running) do work:cancel() end
end

--- See `axosandbox.devcontainer.enter`.
---@param sb axo.Session
---@param description axo.Devcontainer
---@param opts { on_output: fun(event: string, bytes: string)?, confirm: function? }
---@param callback fun(err: axo.Error?, result: axo.LifecycleResult?)?
---@return axo.LifecycleResult? result, axo.Error? err
function lifecycle.enter(sb, description, opts, callback)
  local entry = setmetatable({
    sb = sb, record = session.record(sb), description = description, on_output = opts.on_output,
    id = session.record(sb).id, asked = { confirm = opts.confirm, dir = session.record(sb).dir },
    running = {}, warned = {}, result = { ran = {}, skipped = {} },
  }, Entry)
  return await.sequence(function() return enter(entry) end, callback,
    function() cancel(entry) end)
end

return lifecycle
