--- Tasks and terminals of the guest, with the face of portable_source.lua. The guest keeps them;
--- what is here mirrors it, for those that this process started and for all others.
local uv = require "luv"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local naming = require "axosandbox.base.naming"
local faults = require "axosandbox.way.native.faults"
local gate = require "axosandbox.base.gate"
local environment = require "axosandbox.way.native.env"
local signals = require "axosandbox.base.signals"
local stdin = require "axosandbox.way.task_stdin"

local source = {}

local RING = { task = 64 * 1024, terminal = 256 * 1024 }
local LETTER = { task = "t", terminal = "p" }
local TERM = "xterm-256color"
local GRACE = 2
-- The guest keeps as many that have ended.
local MAX_ENDED = 64

---@class axo.NativeSource: axo.Source
---@field path axo.NativePath
---@field kind "task"|"terminal"
---@field work any of the link; nil once nothing of it is left
local Source = {}
Source.__index = Source

local function now()
  local seconds, micro = uv.gettimeofday()
  return seconds + micro / 1e6
end

function Source:status()
  local copy = {}
  for key, value in pairs(self.state) do copy[key] = value end
  return copy
end

-- Somebody waits for it: then it keeps the loop running.
function Source:hold()
  if self.work then self.work:hold(self.waiters > 0) end
end

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

-- Waits for a gate: whoever does so keeps the loop running until then.
local function await_gate(self, one, fn)
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

-- What a command has left behind may print after its end: that is told, and not waited for.
function Source:on_data(fn)
  local token = {}
  self.listeners[token] = fn
  local release = await_gate(self, self.ended, function() end)
  return function()
    self.listeners[token] = nil
    release()
  end
end

--- As `on_data`, for what nobody waits for.
---@param fn fun()
function Source:tap(fn)
  self.listeners[{}] = fn
end

--- A terminal's size: another process may have changed it.
---@return integer rows, integer cols
function Source:size()
  local rows, cols
  if self.work then rows, cols = self.work:size() end
  if rows and rows > 0 and cols > 0 then self.rows, self.cols = rows, cols end
  return self.rows, self.cols
end

function Source:announce()
  local snapshot = {}
  for token, fn in pairs(self.listeners) do snapshot[token] = fn end
  for token, fn in pairs(snapshot) do
    if self.listeners[token] then await.protect(fn) end
  end
end

function Source:on_end(fn)
  return await_gate(self, self.ended, fn)
end

function Source:signal(name, tree, done)
  if not self.work or self.ended.is_open then
    return nil, faults.of_signal({ code = "ESRCH" }, self.path, self.id)
  end
  local ok, err = self.work:signal(name, tree, function(problem, count)
    done(problem and faults.of_signal(problem, self.path, self.id), count)
  end)
  if not ok then return nil, faults.of_signal(err, self.path, self.id) end
  return true
end

-- TERM, the grace, KILL; over once nothing of it is left, or some of it cannot be killed.
local function end_tree(self, grace)
  if self.is_stopping and not self.kill_error then return end
  self.is_stopping, self.kill_error = true, nil
  self.work:signal("TERM", true)
  local cancel = await.after(grace or GRACE, function()
    if self.work then self.work:signal("KILL", true) end
  end)
  self.empty:on(cancel)
end

function Source:stop(grace, done)
  if self.work then end_tree(self, grace) end
  await_gate(self, self.settled, function() done(self.kill_error) end)
  return true
end

local function over_error(self, op)
  return errors.new { code = "EPIPE", op = op, message = self.id .. " has ended" }
end

local function write_problem(self, op)
  local err = self.kind == "task" and stdin.refusal(self, op)
  return err or not self.work and over_error(self, op) or nil
end

function Source:write(bytes)
  local err = write_problem(self, "write")
  if err then return nil, err end
  return self.work:write(bytes)
end

function Source:close_stdin()
  local err = write_problem(self, "close_stdin")
  if err then return nil, err end
  return self.work:close_stdin()
end

function Source:resize(rows, cols)
  if not self.work then
    return nil, errors.new { code = "ESRCH", op = "resize", message = self.id .. " has ended" }
  end
  return self.work:resize(rows, cols)
end

-- ---- what the guest says ---------------------------------------------------------------

local function gone_state(self)
  if self.stopped then
    return {
      state = "killed", signal = "KILL", code = signals.code_of "KILL",
      reason = "the session was stopped",
    }
  end
  local err = self.path.is_open and self.path:gone() or self.path:closed_error()
  return { state = "failed", reason = err.message, fault = err.code }
end

-- A death by a signal has the exit code that shells give it.
local function final_state(self, last)
  if last.gone then return gone_state(self) end
  local signal = last.signal
  local code = signal and signals.code_of(signal) or last.code
  if self.is_stopping then
    return {
      state = "killed", signal = signal or "TERM", code = code,
      reason = self.timed_out and "timed out" or nil, timed_out = self.timed_out,
    }
  end
  if signal then return { state = "killed", signal = signal, code = code } end
  return { state = "exited", code = code }
end

local function forget_oldest(path)
  local ended = {}
  for _, one in pairs(path.sources) do
    if one.empty.is_open then ended[#ended + 1] = one end
  end
  table.sort(ended, function(a, b) return a.order < b.order end)
  for i = 1, #ended - MAX_ENDED do path.sources[ended[i].id] = nil end
end

local function finish(self)
  if self.ended.is_open or not self.last then return end
  self.state = final_state(self, self.last)
  if self.state.code ~= 0 then self.state.oom_killed = self.path.memory:cause(self.memory_mark) end
  self:announce()
  self.ended:open()
end

local function over(self)
  self.work = nil
  self.path.order = (self.path.order or 0) + 1
  self.order = self.path.order
  self.kill_error = nil
  finish(self)
  self.empty:open()
  self.settled:open()
  forget_oldest(self.path)
end

-- What is being ended has ended once nothing of it runs any more.
local function ended(self, last)
  self.last = last
  if not self.is_stopping then finish(self) end
  if not last.left then over(self) end
end

local function stuck(self)
  self.kill_error = errors.new {
    code = "KILL", op = "kill",
    message = ("processes of %s still run: they cannot be killed"):format(self.id),
    hint = hints.TABLE.stop_session.lua,
  }
  finish(self)
  local settled = self.settled
  self.settled = gate.new()
  settled:open()
end

-- What link:task, link:terminal and link:attach are told to call.
local function callbacks(self, done)
  return {
    on_started = function(err, ring)
      if err then return done(faults.of(err, self.path, self.kind, self.argv[1])) end
      self.ring = ring
      self.path.sources[self.id] = self
      done(nil, self)
    end,
    on_output = function() if self.ring then self:announce() end end,
    on_exit = function(last) ended(self, last) end,
    on_empty = function() over(self) end,
    on_stuck = function() stuck(self) end,
  }
end

local function new(path, fields)
  fields.path, fields.listeners, fields.waiters = path, {}, 0
  fields.state = { state = "running" }
  fields.ended, fields.empty, fields.settled = gate.new(), gate.new(), gate.new()
  fields.memory_mark = path.memory:mark()
  return setmetatable(fields, Source)
end

-- ---- starting --------------------------------------------------------------------------

local function bound(self, timeout, grace)
  if not timeout or timeout <= 0 then return end
  local cancel = await.after(timeout, function()
    if self.work and not self.is_stopping then
      self.timed_out = true
      end_tree(self, grace)
    end
  end)
  self.ended:on(cancel)
end

--- Starts one.
---@param path axo.NativePath
---@param kind "task"|"terminal"
---@param spec table as on the portable path
---@param done fun(err: axo.Error?, source: axo.NativeSource?)
---@return true? started, axo.Error?
function source.start(path, kind, spec, done)
  local self = new(path, {
    id = LETTER[kind] .. naming.token(6), kind = kind, argv = spec.argv, started = now(),
    rows = spec.rows or 24, cols = spec.cols or 80,
  })
  local env = spec.env
  if kind == "terminal" then
    env = { TERM = TERM }
    for name, value in pairs(spec.env or {}) do env[name] = value end
  end
  local input = stdin.plan(self, spec.stdin)
  local opts = callbacks(self, function(err, started)
    if started then input.begin() end
    done(err, started)
  end)
  opts.input, opts.stdin_pipe, opts.on_drain = input.input, input.pipe, input.on_drain
  opts.name, opts.env, opts.user = self.id, environment.list(env, spec.secrets), spec.user
  opts.cwd, opts.ring = spec.cwd or path.root, spec.ring or RING[kind]
  opts.rows, opts.cols = spec.rows, spec.cols
  local begun, err = path.link[kind](path.link, spec.argv, opts)
  if not begun then return nil, faults.of(err, path, kind) end
  self.work = begun
  bound(self, spec.timeout, spec.grace)
  return true
end

-- ---- those of others -------------------------------------------------------------------

-- As source.start makes them. Others are of no engine: they reach shells, paths and screens.
local function is_id(name)
  return name:find "^[tp]%x+$" ~= nil
end

local function attach(path, entry, done)
  local self = new(path, {
    id = entry.name, kind = entry.kind, argv = entry.argv, started = entry.started,
    rows = math.max(entry.rows, 1), cols = math.max(entry.cols, 1),
  })
  -- One that has ended says so from the start: its end is announced only later.
  if not entry.running then
    self.state, self.memory_mark = final_state(self, entry), nil
  end
  local begun, err = path.link:attach(entry.name, callbacks(self, done))
  if not begun then return done(faults.of(err, path, "attach")) end
  self.work = begun
end

-- All of them, or the one of that name.
local function list(path, name, done)
  local function answered(problem, entries)
    done(problem and faults.of(problem, path, "list"), entries)
  end
  local ok, err
  if name then
    ok, err = path.link:list(name, answered)
  else
    ok, err = path.link:list(answered)
  end
  if not ok then done(faults.of(err, path, "list")) end
end

--- Takes up all that the guest has, in a coroutine.
---@param path axo.NativePath
---@return true? ok, axo.Error?
function source.adopt_all(path)
  local entries, err = await.call(function(done)
    list(path, nil, done)
    return true
  end)
  if not entries then return nil, err end
  for _, entry in ipairs(entries) do
    local _, problem = await.call(function(done)
      if is_id(entry.name) then attach(path, entry, done) else done() end
      return true
    end)
    -- One that has been forgotten meanwhile is not missed.
    if problem and problem.code == "TIMEOUT" then return nil, problem end
  end
  return true
end

--- Takes up one that another host has started.
---@param path axo.NativePath
---@param name string
function source.adopt(path, name)
  if not is_id(name) then return end
  list(path, name, function(_, entries)
    local entry = entries and entries[1]
    if entry and entry.name == name and not path.sources[name] then
      attach(path, entry, function() end)
    end
  end)
end

return source
