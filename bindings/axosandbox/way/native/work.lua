--- Tasks and terminals of the guest. The guest keeps them; what is here mirrors it, for those that
--- this process started and for all others.
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local naming = require "axosandbox.base.naming"
local faults = require "axosandbox.way.native.faults"
local gate = require "axosandbox.base.gate"
local exec = require "axosandbox.way.native.exec"
local signals = require "axosandbox.base.signals"
local stdin = require "axosandbox.way.task_stdin"
local work = require "axosandbox.way.work"

local native_work = {}

local GRACE = 2

---@class axo.NativeWork: axo.Work
---@field way axo.NativeWay
---@field there any of the link, axo.core.GuestWork; nil once nothing of it is left
---@field empty axo.Gate open once nothing of it is left
---@field settled axo.Gate open once it is empty, or cannot be killed
local Work = work.class()

function Work:hold()
  if self.there then self.there:hold(self.waiters > 0) end
end

-- ---- what is done to it ----------------------------------------------------------------

-- Another process may have changed it.
function Work:size()
  local rows, cols
  if self.there then rows, cols = self.there:size() end
  if rows and rows > 0 and cols > 0 then self.rows, self.cols = rows, cols end
  return self.rows, self.cols
end

function Work:send_signal(name, tree, done)
  if not self.there or self.ended.is_open then return nil, self:over_error "signal" end
  local ok, err = self.there:signal(name, tree, function(problem, count)
    done(problem and faults.of_signal(problem, self.way, self.id), count)
  end)
  if not ok then return nil, faults.of_signal(err, self.way, self.id) end
  return true
end

-- TERM, the grace, KILL; over once nothing of it is left, or some of it cannot be killed.
local function begin_end(self, grace)
  if self.is_stopping and not self.kill_error then return end
  self.is_stopping, self.kill_error = true, nil
  self.there:signal("TERM", true)
  local cancel = await.after(grace or GRACE, function()
    if self.there then self.there:signal("KILL", true) end
  end)
  self.empty:on(cancel)
end

function Work:end_tree(grace, done)
  if self.there then begin_end(self, grace) end
  self:await(self.settled, function() done(self.kill_error) end)
  return true
end

local function write_problem(self, op)
  local err = self.kind == "task" and stdin.refusal(self, op)
  return err or not self.there and self:over_error(op) or nil
end

function Work:write(bytes)
  local err = write_problem(self, "write")
  if err then return nil, err end
  return self.there:write(bytes)
end

function Work:close_stdin()
  local err = write_problem(self, "close_stdin")
  if err then return nil, err end
  return self.there:close_stdin()
end

function Work:resize(rows, cols)
  if not self.there then return nil, self:over_error "resize" end
  return self.there:resize(rows, cols)
end

-- ---- what the guest says ---------------------------------------------------------------

local function gone_state(self)
  if self.stopped then return work.stopped_state() end
  return work.lost_state(self.way.is_open and self.way:gone() or self.way:closed_error())
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

local function finish(self)
  if not self.ended.is_open and self.last then self:finish(final_state(self, self.last)) end
end

local function over(self)
  self.there, self.kill_error = nil, nil
  finish(self)
  self.empty:open()
  self.settled:open()
  self:retire()
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
      if err then return done(faults.of(err, self.way, self.kind, self.argv[1])) end
      self.ring = ring
      self.way.works[self.id] = self
      done(nil, self)
    end,
    on_output = function() if self.ring then self:announce() end end,
    on_exit = function(last) ended(self, last) end,
    on_empty = function() over(self) end,
    on_stuck = function() stuck(self) end,
  }
end

local function new(way, fields)
  fields.empty, fields.settled = gate.new(), gate.new()
  fields.memory_mark = way.memory:mark()
  return work.new(Work, way, fields)
end

-- ---- starting --------------------------------------------------------------------------

local function bound(self, timeout, grace)
  if not timeout or timeout <= 0 then return end
  local cancel = await.after(timeout, function()
    if self.there and not self.is_stopping then
      self.timed_out = true
      begin_end(self, grace)
    end
  end)
  self.ended:on(cancel)
end

local function environment_of(kind, spec)
  local env = spec.env
  if kind == "terminal" then
    env = { TERM = work.TERM }
    for name, value in pairs(spec.env or {}) do env[name] = value end
  end
  return exec.environment(env, spec.secrets)
end

--- Starts one.
---@param way axo.NativeWay
---@param kind "task"|"terminal"
---@param spec axo.WorkSpec
---@param done fun(err: axo.Error?, work: axo.NativeWork?)
---@return true? started, axo.Error?
function native_work.start(way, kind, spec, done)
  local self = new(way, {
    id = work.LETTER[kind] .. naming.token(6), kind = kind, argv = spec.argv,
    rows = spec.rows or 24, cols = spec.cols or 80,
  })
  local input = stdin.plan(self, spec.stdin)
  local opts = callbacks(self, function(err, started)
    if started then input.begin() end
    done(err, started)
  end)
  opts.input, opts.stdin_pipe, opts.on_drain = input.input, input.pipe, input.on_drain
  opts.name, opts.env, opts.user = self.id, environment_of(kind, spec), spec.user
  opts.cwd, opts.ring = spec.cwd or way.root, spec.ring or work.RING[kind]
  opts.rows, opts.cols = spec.rows, spec.cols
  local begun, err = way.link[kind](way.link, spec.argv, opts)
  if not begun then return nil, faults.of(err, way, kind) end
  self.there = begun
  bound(self, spec.timeout, spec.grace)
  return true
end

-- ---- those of others -------------------------------------------------------------------

-- As native_work.start makes them. Others are of no engine: they reach shells, paths and screens.
local function is_id(name)
  return name:find "^[tp]%x+$" ~= nil
end

local function attach(way, entry, done)
  local self = new(way, {
    id = entry.name, kind = entry.kind, argv = entry.argv, started = entry.started,
    rows = math.max(entry.rows, 1), cols = math.max(entry.cols, 1),
  })
  -- One that has ended says so from the start: its end is announced only later.
  if not entry.running then
    self.state, self.memory_mark = final_state(self, entry), nil
  end
  local begun, err = way.link:attach(entry.name, callbacks(self, done))
  if not begun then return done(faults.of(err, way, "attach")) end
  self.there = begun
end

-- All of them, or the one of that name.
local function list(way, name, done)
  local function answered(problem, entries)
    done(problem and faults.of(problem, way, "list"), entries)
  end
  local ok, err
  if name then
    ok, err = way.link:list(name, answered)
  else
    ok, err = way.link:list(answered)
  end
  if not ok then done(faults.of(err, way, "list")) end
end

--- Takes up all that the guest has, in a coroutine.
---@param way axo.NativeWay
---@return true? ok, axo.Error?
function native_work.adopt_all(way)
  local entries, err = await.call(function(done)
    list(way, nil, done)
    return true
  end)
  if not entries then return nil, err end
  for _, entry in ipairs(entries) do
    local _, problem = await.call(function(done)
      if is_id(entry.name) then attach(way, entry, done) else done() end
      return true
    end)
    -- One that has been forgotten meanwhile is not missed.
    if problem and problem.code == "TIMEOUT" then return nil, problem end
  end
  return true
end

--- Takes up one that another host has started.
---@param way axo.NativeWay
---@param name string
function native_work.adopt(way, name)
  if not is_id(name) then return end
  list(way, name, function(_, entries)
    local entry = entries and entries[1]
    if entry and entry.name == name and not way.works[name] then
      attach(way, entry, function() end)
    end
  end)
end

return native_work
