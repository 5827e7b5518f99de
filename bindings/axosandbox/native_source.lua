--- Tasks and terminals of the guest, with the face of portable_source.lua. The guest keeps them;
--- what is here mirrors it, for those that this process started and for all others.
local uv = require "luv"
local await = require "axosandbox.await"
local errors = require "axosandbox.errors"
local naming = require "axosandbox.naming"
local faults = require "axosandbox.native_faults"
local gate = require "axosandbox.gate"
local environment = require "axosandbox.native_env"

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

local function waiter(self, forget)
  local is_waiting = true
  self.waiters = self.waiters + 1
  self:hold()
  return function()
    if is_waiting then
      is_waiting = false
      self.waiters = self.waiters - 1
      self:hold()
    end
    forget()
  end
end

function Source:on_data(fn)
  local token = {}
  self.listeners[token] = fn
  return waiter(self, function() self.listeners[token] = nil end)
end

function Source:announce()
  local snapshot = {}
  for token, fn in pairs(self.listeners) do snapshot[token] = fn end
  for token, fn in pairs(snapshot) do
    if self.listeners[token] then await.protect(fn) end
  end
end

function Source:on_end(fn)
  return waiter(self, self.ended:on(fn))
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
    if self.work then
      self.was_killed = not self.ended.is_open
      self.work:signal("KILL", true)
    end
  end)
  self.empty:on(cancel)
end

local function stuck(self)
  self.kill_error = errors.new {
    code = "KILL", op = "kill",
    message = ("processes of %s still run: they cannot be killed"):format(self.id),
    hint = "stop the session to end them",
  }
  local settled = self.settled
  self.settled = gate.new()
  settled:open()
end

function Source:stop(grace, done)
  if self.work then end_tree(self, grace) end
  waiter(self, self.settled:on(function() done(self.kill_error) end))
  return true
end

function Source:write(bytes)
  if not self.work then
    return nil, errors.new { code = "EPIPE", op = "write", message = self.id .. " has ended" }
  end
  return self.work:write(bytes)
end

function Source:resize(rows, cols)
  if not self.work then
    return nil, errors.new { code = "ESRCH", op = "resize", message = self.id .. " has ended" }
  end
  return self.work:resize(rows, cols)
end

-- ---- what the guest says ---------------------------------------------------------------

local function final_state(self, last)
  if last.gone then
    local reason = self.stopped and "the session was stopped" or self.path:gone().message
    if self.stopped then return { state = "killed", signal = "KILL", reason = reason } end
    return { state = "failed", reason = reason }
  end
  if self.is_stopping or self.is_late then
    return {
      state = "killed", signal = last.signal or (self.was_killed and "KILL" or "TERM"),
      code = last.code, reason = self.is_late and "timed out" or nil,
    }
  end
  if last.signal then return { state = "killed", signal = last.signal } end
  return { state = "exited", code = last.code }
end

local function forget_oldest(path)
  local ended = {}
  for _, one in pairs(path.sources) do
    if one.empty.is_open then ended[#ended + 1] = one end
  end
  table.sort(ended, function(a, b) return a.order < b.order end)
  for i = 1, #ended - MAX_ENDED do path.sources[ended[i].id] = nil end
end

local function over(self)
  self.work = nil
  self.path.order = (self.path.order or 0) + 1
  self.order = self.path.order
  self.kill_error = nil
  self.empty:open()
  self.settled:open()
  forget_oldest(self.path)
end

local function ended(self, last)
  self.state = final_state(self, last)
  self:announce()
  self.ended:open()
  if not last.left then over(self) end
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
  return setmetatable(fields, Source)
end

-- ---- starting --------------------------------------------------------------------------

local function bound(self, timeout, grace)
  if not timeout or timeout <= 0 then return end
  local cancel = await.after(timeout, function()
    if self.work then
      self.is_late = true
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
  })
  local env = spec.env
  if kind == "terminal" then
    env = { TERM = TERM }
    for name, value in pairs(spec.env or {}) do env[name] = value end
  end
  local opts = callbacks(self, done)
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

local function attach(path, entry, done)
  local self = new(path, {
    id = entry.name, kind = entry.kind, argv = entry.argv, started = entry.started,
  })
  -- One that has ended says so from the start: its end is announced only later.
  if not entry.running then self.state = final_state(self, entry) end
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
    -- One that has been forgotten meanwhile is not missed.
    await.call(function(done)
      attach(path, entry, function(_, one) done(nil, one or false) end)
      return true
    end)
  end
  return true
end

--- Takes up one that another host has started.
---@param path axo.NativePath
---@param name string
function source.adopt(path, name)
  list(path, name, function(_, entries)
    local entry = entries and entries[1]
    if entry and entry.name == name and not path.sources[name] then
      attach(path, entry, function() end)
    end
  end)
end

return source
