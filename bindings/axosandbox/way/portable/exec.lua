--- A command in the foreground on the portable path.
local uv = require "luv"
local audit_work = require "axosandbox.audit.work"
local await = require "axosandbox.base.await"
local callbacks = require "axosandbox.way.exec_callbacks"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local log = require "axosandbox.base.log"
local signals = require "axosandbox.base.signals"
local work = require "axosandbox.way.portable.work"
local result = require "axosandbox.way.result"

local exec = {}

-- The client is ended by the kill sequence itself, each step of which is bounded; this bounds
-- the whole, whatever happens to the sequence.
local BACKSTOP = 120

---@class axo.ExecRun: axo.ExecCallbacks
---@field spec table
---@field work axo.PortableWork
---@field complaint string the first bytes of a streamed stderr
local Run = setmetatable({}, { __index = callbacks })
Run.__index = Run

---@class axo.Exec
---@field private run axo.ExecRun
local Handle = {}
Handle.__index = Handle

--- Ends the command, its whole tree: TERM, the grace, then KILL. The result comes with
--- `cancelled` set, once nothing of it runs any more.
function Handle:cancel()
  audit_work.kill(self.run.work.path, { target = "exec", signal = "TERM" })
  self.run:cancel()
end

--- Sends a signal to the command's whole tree inside, or to its first process alone.
---@param signal string|integer "INT", "SIGINT" or 2
---@param opts { tree: boolean? }? tree = false: the first process alone
---@param callback fun(err: axo.Error?, count: integer?)? count: the processes that it was sent to
---@return any count in a coroutine or at the top level; elsewhere it does not wait, axo.Error?
function Handle:signal(signal, opts, callback)
  if type(opts) == "function" then opts, callback = nil, opts end
  local name = signals.name(signal, 2)
  audit_work.kill(self.run.work.path, { target = "exec", signal = name })
  return self.run:signal(name, not (opts and opts.tree == false), callback)
end

--- Queues bytes for stdin; the exec must have been given `stdin = true`.
---@param bytes string
---@return integer? queued bytes that wait, axo.Error? code "EPIPE" once stdin is closed
function Handle:write(bytes)
  return self.run.process:write(bytes)
end

--- Closes stdin once what is queued has been written.
function Handle:close_stdin()
  return self.run.process:close_stdin()
end

function Run:cancel()
  self.was_cancelled = true
  self.process:cancel()
end

function Run:signal(name, tree, callback)
  local function start(done)
    if self.work.client.is_open then
      return nil, errors.new { code = "ESRCH", op = "signal", message = "the command has ended" }
    end
    return self.work:signal(name, tree and "tree" or "main", done)
  end
  if callback or coroutine.isyieldable() or not uv.loop_mode() then
    return await.call(start, callback)
  end
  return start(function(err)
    if err then log.emit("warn", tostring(err)) end
  end)
end

function Run:stderr_stream(fn)
  local guarded = self:guard(fn)
  return function(bytes)
    local room = work.COMPLAINT_MAX - #self.complaint
    if room > 0 then self.complaint = self.complaint .. bytes:sub(1, room) end
    guarded(bytes)
  end
end

function Run:spawn_options()
  local spec = self.spec
  local opts = {
    env = self.work:client_env(spec), cwd = "/",
    timeout = spec.timeout, grace = BACKSTOP + (spec.grace or 0),
    max_output = spec.max_output, on_limit = spec.on_limit,
    on_stdout = spec.on_stdout and self:guard(spec.on_stdout),
    on_stderr = spec.on_stderr and self:stderr_stream(spec.on_stderr),
    on_deadline = function() self.work:kill(spec.grace) end,
  }
  if type(spec.stdin) == "string" then
    opts.input = spec.stdin
  elseif spec.stdin then
    opts.stdin = "pipe"
  end
  if type(spec.stdin) == "function" then opts.on_drain = self:reader(spec.stdin) end
  return opts
end

function Run:start()
  local argv, err = self.work:argv(self.spec, { interactive = self.spec.stdin ~= nil })
  if not argv then return nil, err end
  self.process, err = core.spawn(argv, self:spawn_options(), function(raw)
    self.raw = raw
    self.work:client_ended()
  end)
  if not self.process then return nil, err end
  self.work:attach(self.process)
  if self.next_input then await.defer(function() self:pull() end) end
  return true
end

-- The podman client was ended by somebody else, and its command may go on inside.
function Run:was_orphaned()
  return self.raw and self.raw.signal and not self.work.is_cut and not self.work.stopped
end

function Run:lost_result()
  return {
    stdout = "", stderr = "", stdout_total = 0, stderr_total = 0, duration = 0,
    timed_out = not self.was_cancelled, cancelled = self.was_cancelled,
  }
end

-- Everything has ended: what is there to say?
function Run:verdict(done)
  local raw = self.raw or self:lost_result()
  local failure = self:callback_failure()
  if failure then return done(failure) end
  if self.work.stopped then return done(self.work.path:stopped_error "exec") end
  local fault = self.work:judge {
    code = raw.code, signal = raw.signal, argv0 = self.spec.argv[1],
    stderr = self.spec.on_stderr and self.complaint or raw.stderr,
    stdout_total = raw.stdout_total,
  }
  if fault and not (raw.timed_out or raw.cancelled or raw.limit_hit) then return done(fault) end
  self.work:check_gone(raw.code, function(gone)
    if gone then return done(gone) end
    raw.left_running = self.work:count_left()
    local ended = result.new(raw, self.work.is_cut)
    if ended.code ~= 0 then ended.oom_killed = self.work:oom_cause() end
    done(nil, ended)
  end)
end

--- Runs `spec.argv`. `done` comes once the command has ended and, after a timeout, a cancel or
--- a limit that kills, nothing of its tree runs any more.
---@param path axo.Path
---@param spec axo.ExecSpec
---@param done fun(err: axo.Error?, result: axo.Result?)
---@return axo.Exec? handle, axo.Error?
function exec.start(path, spec, done)
  local run = setmetatable({
    spec = spec, work = work.new(path, spec.user), complaint = "",
  }, Run)
  local started, err = run:start()
  if not started then
    run.work:abandon()
    return nil, err
  end
  run.work.client:on(function()
    if run:was_orphaned() then run.work:kill(spec.grace) end
  end)
  run.work.over:on(function() run:verdict(done) end)
  return setmetatable({ run = run }, Handle)
end

return exec
