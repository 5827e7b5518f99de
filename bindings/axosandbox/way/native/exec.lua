--- A command in the foreground on the native path.
local uv = require "luv"
local audit_work = require "axosandbox.audit.work"
local await = require "axosandbox.base.await"
local callbacks = require "axosandbox.way.exec_callbacks"
local faults = require "axosandbox.way.native.faults"
local environment = require "axosandbox.way.native.env"
local log = require "axosandbox.base.log"
local result = require "axosandbox.way.result"
local signals = require "axosandbox.base.signals"

local exec = {}

local GRACE = 2

---@class axo.NativeExec: axo.Exec, axo.ExecCallbacks
---@field path axo.NativePath
---@field spec axo.ExecSpec
local Exec = setmetatable({}, { __index = callbacks })
Exec.__index = Exec

--- As on the portable path, and so are the others.
function Exec:cancel()
  audit_work.kill(self.path, { target = "exec", signal = "TERM" })
  self.process:cancel()
end

-- `done` hears how many processes there were.
local function send_signal(self, name, tree, done)
  local function answered(err, count)
    done(err and faults.of_signal(err, self.path, "the command"), count)
  end
  local ok, err = self.process:signal(name, tree, answered)
  if not ok then return nil, faults.of_signal(err, self.path, "the command") end
  return true
end

---@param signal string|integer
---@param opts { tree: boolean? }?
---@param callback fun(err: axo.Error?, count: integer?)?
---@return any count in a coroutine or at the top level; elsewhere it does not wait, axo.Error?
function Exec:signal(signal, opts, callback)
  if type(opts) == "function" then opts, callback = nil, opts end
  local name, tree = signals.name(signal, 2), not (opts and opts.tree == false)
  audit_work.kill(self.path, { target = "exec", signal = name })
  local function start(done) return send_signal(self, name, tree, done) end
  if callback or coroutine.isyieldable() or not uv.loop_mode() then
    return await.call(start, callback)
  end
  return start(function(err)
    if err then log.emit("warn", tostring(err)) end
  end)
end

---@param bytes string
---@return integer? queued, axo.Error?
function Exec:write(bytes) return self.process:write(bytes) end
---@return true? ok, axo.Error?
function Exec:close_stdin() return self.process:close_stdin() end

local function options_of(self)
  local spec = self.spec
  local opts = {
    cwd = spec.cwd or self.path.root, timeout = spec.timeout, grace = spec.grace or GRACE,
    max_output = spec.max_output,
  }
  opts.env = environment.list(spec.env, spec.secrets)
  opts.user, opts.on_limit = spec.user, spec.on_limit
  opts.on_stdout = spec.on_stdout and self:guard(spec.on_stdout)
  opts.on_stderr = spec.on_stderr and self:guard(spec.on_stderr)
  local stdin = spec.stdin
  if type(stdin) == "string" then
    opts.input = stdin
  elseif stdin then
    opts.stdin = "pipe"
    opts.on_drain = type(stdin) == "function" and self:reader(stdin) or nil
  end
  return opts
end

local function verdict(self, raw, done)
  local failure = self.callback_error and self:callback_failure()
  if failure then return done(failure) end
  if self.path.is_closing then return done(self.path:stopped_error "exec") end
  if raw.failure then
    return done(faults.of(raw.failure, self.path, "exec", self.spec.argv[1]))
  end
  local ended = result.exact(raw)
  if ended.code ~= 0 then ended.oom_killed = self.path.memory:cause(self.mark) end
  done(nil, ended)
end

--- Runs `spec.argv`: as on the portable path.
---@param path axo.NativePath
---@param spec axo.ExecSpec
---@param done fun(err: axo.Error?, result: axo.Result?)
---@return axo.Exec? handle, axo.Error?
function exec.start(path, spec, done)
  local self = setmetatable({
    path = path, spec = spec, process = false, mark = path.memory:mark(),
  }, Exec)
  local process, err = path.link:exec(spec.argv, options_of(self), function(raw)
    verdict(self, raw, done)
  end)
  if not process then return nil, faults.of(err, path) end
  self.process = process
  if self.next_input then await.defer(function() self:pull() end) end
  return self
end

return exec
