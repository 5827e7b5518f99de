--- A command in the foreground, on whichever way: what its caller holds. The way's own class says
--- how a signal reaches it and what is made of its end.
local uv = require "luv"
local audit_work = require "axosandbox.audit.work"
local await = require "axosandbox.base.await"
local callbacks = require "axosandbox.way.callbacks"
local errors = require "axosandbox.base.errors"
local gate = require "axosandbox.base.gate"
local log = require "axosandbox.base.log"
local root = require "axosandbox.way.root"
local signals = require "axosandbox.base.signals"

local exec = {}

---@class axo.Exec: axo.Callbacks
---@field protected way axo.Way
---@field protected spec axo.ExecSpec
---@field protected process any it has :cancel, :signal, :write and :close_stdin; false until it has begun
---@field protected begun axo.Gate? of one that begins later: open once it has, or will not
---@field protected send_signal fun(self: axo.Exec, name: string, tree: boolean, done: fun(err: axo.Error?, count: integer?)): any, axo.Error?
local Exec = {}

--- A class of commands, with what all have.
---@return table
function exec.class()
  local class = {}
  for name, method in pairs(callbacks) do class[name] = method end
  for name, method in pairs(Exec) do class[name] = method end
  class.__index = class
  return class
end

-- ---- its beginning -----------------------------------------------------------------------

--- Begins it once its directory is known to be inside that of the way. What is asked of it
--- meanwhile waits.
---@param begin fun(self: axo.Exec, done: function): axo.Exec?, axo.Error?
---@param done fun(err: axo.Error?, result: axo.Result?)
---@return axo.Exec? exec, axo.Error?
function Exec:begin_within(begin, done)
  self.begun = gate.new()
  local function fail(err)
    self.begun:open()
    done(err)
  end
  local ok, err = root.within(self.way, self.spec.within, function()
    local begun, problem = begin(self, done)
    if not begun then return fail(problem) end
    self.begun:open()
  end, fail)
  return ok and self, err
end

-- Whether `fn` is called later, once it has begun or will not.
local function is_later(self, fn)
  if not self.begun or self.begun.is_open then return false end
  self.begun:on(fn)
  return true
end

local function ended(code, op)
  return nil, errors.new { code = code, op = op, message = "the command has ended" }
end

-- ---- what is done to it --------------------------------------------------------------------

--- Ends the command, its whole tree: TERM, the grace, then KILL. The result comes with
--- `cancelled` set, once nothing of it runs any more.
---
---     local h = sb:exec({ "sleep", "60" }, function(err, r) print(err, r and r.cancelled) end)
---     h:cancel()
function Exec:cancel()
  if is_later(self, function() self:cancel() end) or not self.process then return end
  audit_work.kill(self.way, { target = "exec", signal = "TERM" })
  self.was_cancelled = true
  self.process:cancel()
end

local function send(self, name, tree, done)
  local function now()
    local ok, err = send(self, name, tree, done)
    if not ok then done(err) end
  end
  if is_later(self, now) then return true end
  if not self.process then return ended("ESRCH", "signal") end
  audit_work.kill(self.way, { target = "exec", signal = name })
  return self:send_signal(name, tree, done)
end

--- Sends a signal to the command's whole tree inside, or to its first process alone.
---
---     h:signal "INT"
---@param signal string|integer "INT", "SIGINT" or 2
---@param opts { tree: boolean? }? tree = false: the first process alone
---@param callback fun(err: axo.Error?, count: integer?)? count: the processes that it was sent to
---@return any count in a coroutine or at the top level; elsewhere it does not wait, axo.Error?
function Exec:signal(signal, opts, callback)
  if type(opts) == "function" then opts, callback = nil, opts end
  local name, tree = signals.name(signal, 2), not (opts and opts.tree == false)
  local function start(done) return send(self, name, tree, done) end
  if callback or coroutine.isyieldable() or not uv.loop_mode() then
    return await.call(start, callback)
  end
  return start(function(err)
    if err then log.emit("warn", tostring(err)) end
  end)
end

--- Queues bytes for stdin; the exec must have been given `stdin = true`.
---
---     h:write "hello\n"
---@param bytes string
---@return integer? queued bytes that wait, axo.Error? code "EPIPE" once stdin is closed
function Exec:write(bytes)
  if is_later(self, function() self:write(bytes) end) then return #bytes end
  if not self.process then return ended("EPIPE", "write") end
  return self.process:write(bytes)
end

--- Closes stdin once what is queued has been written.
---
---     h:close_stdin()
---@return true? ok, axo.Error?
function Exec:close_stdin()
  if is_later(self, function() self:close_stdin() end) or not self.process then return true end
  return self.process:close_stdin()
end

-- ---- for its way ---------------------------------------------------------------------------

--- What the process is told of its stdin and of the caller's functions.
---@param opts table
---@return table # `opts`
function Exec:streams(opts)
  local spec = self.spec
  local stdin = spec.stdin
  opts.on_stdout = spec.on_stdout and self:guard(spec.on_stdout)
  opts.on_stderr = spec.on_stderr and self:guard(spec.on_stderr)
  if type(stdin) == "string" then
    opts.input = stdin
  elseif stdin then
    opts.stdin = "pipe"
    opts.on_drain = type(stdin) == "function" and self:reader(stdin) or nil
  end
  return opts
end

--- Begins to pass on what the stdin function returns.
function Exec:feed()
  await.defer(function() self:pull() end)
end

return exec
