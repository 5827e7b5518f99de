--- A command in the foreground on the native path.
local uv = require "luv"
local audit_work = require "axosandbox.audit_work"
local await = require "axosandbox.await"
local callbacks = require "axosandbox.exec_callbacks"
local faults = require "axosandbox.native_faults"
local environment = require "axosandbox.native_env"
local log = require "axosandbox.log"
local result = require "axosandbox.result"
local signals = require "axosandbox.signals"

local exec = {}

local GRACE = 2

---@class axo.NativeRun: axo.ExecCallbacks
---@field path axo.NativePath
---@field spec axo.ExecSpec
---@field stopped boolean?
local Run = setmetatable({}, { __index = callbacks })
Run.__index = Run

---@class axo.NativeExec: axo.Exec
local Handle = {}
Handle.__index = Handle

--- As on the portable path, and so are the others.
function Handle:cancel()
  audit_work.kill(self.run.path, { target = "exec", signal = "TERM" })
  self.run.process:cancel()
end

---@param signal string|integer
---@param opts { tree: boolean? }?
---@param callback fun(err: axo.Error?, count: integer?)?
---@return any count in a coroutine or at the top level; elsewhere it does not wait, axo.Error?
function Handle:signal(signal, opts, callback)
  if type(opts) == "function" then opts, callback = nil, opts end
  local name = signals.name(signal, 2)
  audit_work.kill(self.run.path, { target = "exec", signal = name })
  return self.run:signal(name, not (opts and opts.tree == false), callback)
end

---@param bytes string
---@return integer? queued, axo.Error?
function Handle:write(bytes) return self.run.process:write(bytes) end
---@return true? ok, axo.Error?
function Handle:close_stdin() return self.run.process:close_stdin() end

-- `done` hears how many processes there were.
local function send_signal(self, name, tree, done)
  local function answered(err, count)
    done(err and faults.of_signal(err, self.path, "the command"), count)
  end
  local ok, err = self.process:signal(name, tree, answered)
  if not ok then return nil, faults.of_signal(err, self.path, "the command") end
  return true
end

function Run:signal(name, tree, callback)
  local function start(done) return send_signal(self, name, tree, done) end
  if callback or coroutine.isyieldable() or not uv.loop_mode() then
    return await.call(start, callback)
  end
  return start(function(err)
    if err then log.emit("warn", tostring(err)) end
  end)
end

function Run:options()
  local spec = self.spec
  local opts = {
    env = environment.list(spec.env, spec.secrets),
    cwd = spec.cwd or self.path.root, user = spec.user,
    timeout = spec.timeout, grace = spec.grace or GRACE,
    max_output = spec.max_output, on_limit = spec.on_limit,
    on_stdout = spec.on_stdout and self:guard(spec.on_stdout),
    on_stderr = spec.on_stderr and self:guard(spec.on_stderr),
  }
  if type(spec.stdin) == "string" then
    opts.input = spec.stdin
  elseif spec.stdin then
    opts.stdin = "pipe"
  end
  if type(spec.stdin) == "function" then opts.on_drain = self:reader(spec.stdin) end
  return opts
end

function Run:verdict(raw, done)
  self.path.runs[self] = nil
  local failure = self:callback_failure()
  if failure then return done(failure) end
  if self.stopped then return done(self.path:stopped_error "exec") end
  if raw.failure then
    return done(faults.of(raw.failure, self.path, "exec", self.spec.argv[1]))
  end
  done(nil, result.exact(raw))
end

--- Runs `spec.argv`: as on the portable path.
---@param path axo.NativePath
---@param spec axo.ExecSpec
---@param done fun(err: axo.Error?, result: axo.Result?)
---@return axo.Exec? handle, axo.Error?
function exec.start(path, spec, done)
  local run = setmetatable({ path = path, spec = spec }, Run)
  local process, err = path.link:exec(spec.argv, run:options(), function(raw)
    run:verdict(raw, done)
  end)
  if not process then return nil, faults.of(err, path) end
  run.process = process
  path.runs = path.runs or {}
  path.runs[run] = true
  if run.next_input then await.defer(function() run:pull() end) end
  return setmetatable({ run = run }, Handle)
end

return exec
