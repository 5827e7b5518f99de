--- Whatever runs by itself: a task or a terminal, on whichever way. Its words are the same
--- everywhere; a way's own class says how a signal reaches it and how its tree is ended, and tells
--- of output and of the end.
local uv = require "luv"
local audit_work = require "axosandbox.audit.work"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local gate = require "axosandbox.base.gate"
local oom = require "axosandbox.way.oom"
local options = require "axosandbox.base.options"
local signals = require "axosandbox.base.signals"
local subscription = require "axosandbox.base.subscription"

local work = {}

--- How many of a kind that have ended are remembered.
work.MAX_ENDED = 64
--- What the ring of each holds by default, in bytes.
work.RING = { task = 64 * 1024, terminal = 256 * 1024 }
--- What an id begins with.
work.LETTER = { task = "t", terminal = "p" }
--- What a terminal says it is.
work.TERM = "xterm-256color"

local FOLLOW_SHAPE = { from = { type = "integer", min = 0 } }
local SIGNAL_SHAPE = { tree = "boolean" }
local STOP_SHAPE = { grace = { type = "number", min = 0, max = 3600 } }

---@class axo.WorkStatus
---@field state "running"|"exited"|"killed"|"failed"
---@field code integer? the exit code; 128+n for a death by signal n
---@field signal string?
---@field reason string?
---@field timed_out boolean? its deadline ended it
---@field oom_killed "limit"|"host"|nil memory ran out while it ran, as a result has it; it is known to the process that saw it run
---@field fault string? of one that has failed: the code of the error, as an exec has it

---@class axo.Work
---@field way axo.Way
---@field kind "task"|"terminal"
---@field id string never used twice
---@field argv string[]
---@field started number seconds since the epoch
---@field ring any what it printed
---@field state axo.WorkStatus
---@field ended axo.Gate open once its state is final
---@field memory_mark table? the way's, from when it began
---@field order integer? set at its end: a later one has a greater one
---@field protected listeners table<table, fun()>
---@field protected waiters integer
---@field send_signal fun(self: axo.Work, name: string, tree: boolean, done: fun(err: axo.Error?, count: integer?)): any, axo.Error?
---@field end_tree fun(self: axo.Work, grace: number?, done: fun(err: axo.Error?)): any, axo.Error? TERM, the grace, KILL; over once nothing of it runs
---@field write fun(self: axo.Work, bytes: string): true?, axo.Error? to a terminal, or to the stdin of a task that this process started
---@field close_stdin fun(self: axo.Work): true?, axo.Error?
---@field resize fun(self: axo.Work, rows: integer, cols: integer): true?, axo.Error?
local Work = {}

--- A class of works, with what all have.
---@return table
function work.class()
  local class = setmetatable({}, { __index = Work })
  class.__index = class
  return class
end

local function now()
  local seconds, micro = uv.gettimeofday()
  return seconds + micro / 1e6
end

--- A work of a class; it runs.
---@param class table
---@param way axo.Way
---@param fields table `kind`, `argv` and what else the class has
---@return axo.Work
function work.new(class, way, fields)
  fields.way, fields.listeners, fields.waiters = way, {}, 0
  fields.started = fields.started or now()
  fields.state, fields.ended = { state = "running" }, gate.new()
  return setmetatable(fields, class)
end

-- ---- for those who hold one ----------------------------------------------------------------

---@return axo.WorkStatus
function Work:status()
  local copy = {}
  for key, value in pairs(self.state) do copy[key] = value end
  return copy
end

---@return boolean
function Work:is_running()
  return self:status().state == "running"
end

--- What of the network was refused to it, as far as this process served that.
---@return axo.Denial[]
function Work:denied()
  local network = self.way.network
  return network and network:denied(self.id) or {}
end

--- `running`, `exited (N)`, `killed (SIGNAL)` or `failed: reason`; behind the second and the third
--- `, memory ran out`, or `, memory ran out meanwhile`.
---@return string
function Work:describe()
  local status = self:status()
  if status.state == "failed" then return "failed: " .. tostring(status.reason) end
  if status.state == "running" then return "running" end
  return ("%s (%s)%s"):format(status.state, status.signal or status.code, oom.suffix(status))
end

--- Reads from an offset on. Nothing new is "", and the same cursor.
---@param cursor integer? 0 by default: from the very beginning
---@return string bytes, integer cursor the offset to read from next, integer dropped bytes lost in between
function Work:read(cursor)
  return self.ring:read(cursor or 0)
end

--- Everything that the ring holds.
---@return string
function Work:held()
  return (self.ring:read(self.ring:tail()))
end

--- Calls `fn` with what is held, then with what comes: see subscription.lua.
---@param fn fun(bytes: string, cursor: integer, dropped: integer)
---@param opts { from: integer? }?
---@param where string the caller, for a mistake in these
---@return axo.Subscription
function Work:follow(fn, opts, where)
  if type(fn) ~= "function" then
    error(("%s: expected a function, got %s"):format(where, type(fn)), 3)
  end
  opts = options.check(FOLLOW_SHAPE, opts, where, 3)
  return subscription.new(self, fn, opts.from)
end

local function timed_out(id, seconds)
  return errors.new {
    code = "TIMEOUT", op = "wait", message = ("%s still runs after %g s"):format(id, seconds),
  }
end

--- Waits for its end.
---@param timeout number? seconds
---@param callback function?
---@return axo.WorkStatus?, axo.Error? code "TIMEOUT"
function Work:wait(timeout, callback)
  if type(timeout) == "function" then timeout, callback = nil, timeout end
  local problem = timeout ~= nil and await.check_seconds(timeout)
  if problem then error("axosandbox: wait: " .. problem, 3) end
  return await.call(function(done)
    gate.within(function(fn) return self:on_end(fn) end, timeout, function(happened)
      if happened then return done(nil, self:status()) end
      done(timed_out(self.id, timeout))
    end)
    return self
  end, callback)
end

--- Sends a signal to its whole tree, or with `tree = false` to its first process.
---@param signal string|integer
---@param opts { tree: boolean? }?
---@param callback function?
---@param where string
---@return integer? count, axo.Error? code "ESRCH" when it has ended
function Work:signal(signal, opts, callback, where)
  opts, callback = options.arguments(SIGNAL_SHAPE, opts, callback, where, 3)
  local name = signals.name(signal, 3)
  audit_work.kill(self.way, { target = self.kind, id = self.id, signal = name })
  return await.call(function(done)
    return self:send_signal(name, opts.tree ~= false, done)
  end, callback)
end

--- Ends its tree. One that has ended already is not an error.
---@param opts { grace: number? }?
---@param callback function?
---@param where string
---@return axo.WorkStatus?, axo.Error?
function Work:stop(opts, callback, where)
  opts, callback = options.arguments(STOP_SHAPE, opts, callback, where, 3)
  audit_work.kill(self.way, { target = self.kind, id = self.id, signal = "TERM" })
  return await.call(function(done)
    return self:end_tree(opts.grace, function(err) done(err, self:status()) end)
  end, callback)
end

-- ---- for those who look on -----------------------------------------------------------------

local function waiter(self)
  local is_waiting = true
  self.waiters = self.waiters + 1
  self:hold()
  return function()
    if not is_waiting then return end
    is_waiting = false
    self.waiters = self.waiters - 1
    self:hold()
  end
end

--- Calls `fn` once a gate is open. Whoever waits keeps the loop running until then.
---@param one axo.Gate
---@param fn fun()
---@return fun() forget
function Work:await(one, fn)
  local release = waiter(self)
  local forget = one:on(function()
    release()
    fn()
  end)
  return function()
    forget()
    release()
  end
end

local function ignore() end

--- Calls `fn` whenever there is more in the ring. What is left behind may print after the end: that
--- is told, and not waited for.
---@param fn fun()
---@return fun() unsubscribe
function Work:on_data(fn)
  local token = {}
  self.listeners[token] = fn
  local release = self:await(self.ended, ignore)
  return function()
    self.listeners[token] = nil
    release()
  end
end

--- The same, for what nobody waits for.
---@param fn fun()
function Work:tap(fn)
  self.listeners[{}] = fn
end

--- Calls `fn` once the status is final.
---@param fn fun()
---@return fun() forget
function Work:on_end(fn)
  return self:await(self.ended, fn)
end

--- The number of those who wait has changed: the loop runs on for them, or need not. What has a
--- process here keeps it running anyhow.
function Work:hold() end

--- A terminal's size.
---@return integer rows, integer cols
function Work:size()
  return self.rows, self.cols
end

-- ---- for its way ---------------------------------------------------------------------------

--- There is more in the ring.
function Work:announce()
  local snapshot = {}
  for token, fn in pairs(self.listeners) do snapshot[token] = fn end
  for token, fn in pairs(snapshot) do
    if self.listeners[token] then await.protect(fn) end
  end
end

--- Its state is final.
---@param state axo.WorkStatus
function Work:finish(state)
  self.state = state
  if state.code ~= 0 then state.oom_killed = self.way.memory:cause(self.memory_mark) end
  if self.on_final then await.protect(self.on_final, self) end
  self:announce()
  self.ended:open()
end

local INPUT = { write = true, close_stdin = true }

---@param op string
---@return axo.Error code "ESRCH", or "EPIPE" of its input
function Work:over_error(op)
  return errors.new {
    code = INPUT[op] and "EPIPE" or "ESRCH", op = op,
    message = self.id .. (op == "signal" and " has ended already" or " has ended"),
  }
end

--- The state of one whose session was stopped under it.
---@return axo.WorkStatus
function work.stopped_state()
  return {
    state = "killed", signal = "KILL", code = signals.code_of "KILL",
    reason = "the session was stopped",
  }
end

--- The state of one that is lost.
---@param err axo.Error
---@return axo.WorkStatus
function work.lost_state(err)
  return { state = "failed", reason = err.message, fault = err.code }
end

local order = 0

--- Nothing of it is left: it is remembered until so many others of its kind have ended.
---@param forget fun(old: axo.Work)? hears of each that is forgotten; it lives as long as somebody holds it
function Work:retire(forget)
  order = order + 1
  self.order = order
  local works, ended = self.way.works, {}
  for _, one in pairs(works) do
    if one.order and one.kind == self.kind then ended[#ended + 1] = one end
  end
  table.sort(ended, function(a, b) return a.order < b.order end)
  for i = 1, #ended - work.MAX_ENDED do
    works[ended[i].id] = nil
    if forget then forget(ended[i]) end
  end
end

return work
