--- A source: a task or a terminal as the path sees it. Sources of other processes
--- (portable_foreign.lua) and of other paths have the same face:
---
---   source.id, .argv, .started (seconds since the epoch), .ring
---   source:status()                     a table: axo.SourceStatus
---   source:on_data(fn) -> unsubscribe   there is more in the ring
---   source:on_end(fn) -> forget         the status is final, and so is the ring
---   source:signal(name, tree, done)     done(err, count)
---   source:stop(grace, done)            done(err) once nothing of it runs any more
---   source:write(bytes)                 terminals, and tasks whose stdin is this process's
---   source:close_stdin()                tasks
---   source:resize(rows, cols)           terminals
local uv = require "luv"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local gate = require "axosandbox.base.gate"
local signals = require "axosandbox.base.signals"
local work = require "axosandbox.way.portable.work"

local source = {}

---@class axo.SourceStatus
---@field state "running"|"exited"|"killed"|"failed"
---@field code integer? the exit code; 128+n for a death by signal n
---@field signal string?
---@field reason string?
---@field timed_out boolean? its deadline ended it
---@field oom_killed "limit"|"host"|nil memory ran out while it ran, as a result has it; it is known to the process that saw it run
---@field fault string? of one that has failed: the code of the error, as an exec has it

---@class axo.Source
---@field id string
---@field argv string[]
---@field started number seconds since the epoch
---@field ring any
---@field work axo.PortableWork
local Source = {}
Source.__index = Source
source.Source = Source

local function now()
  local seconds, micro = uv.gettimeofday()
  return seconds + micro / 1e6
end

--- What all sources of this process have.
---@param fields table
---@return axo.Source
function source.new(fields)
  fields.started = now()
  fields.state = { state = "running" }
  fields.ended = gate.new()
  fields.listeners = {}
  local self = setmetatable(fields, Source)
  self.work.client:on(function()
    if self:was_orphaned() then self.work:kill() end
  end)
  self.work.over:on(function() self:settle() end)
  return self
end

---@return axo.SourceStatus
function Source:status()
  local copy = {}
  for key, value in pairs(self.state) do copy[key] = value end
  return copy
end

--- Calls `fn` whenever there is more in the ring.
---@param fn fun()
---@return fun() unsubscribe
function Source:on_data(fn)
  local token = {}
  self.listeners[token] = fn
  return function() self.listeners[token] = nil end
end

--- The same, for what nobody waits for.
---@param fn fun()
function Source:tap(fn)
  self.listeners[{}] = fn
end

--- There is more in the ring.
function Source:announce()
  local snapshot = {}
  for token, fn in pairs(self.listeners) do snapshot[token] = fn end
  for token, fn in pairs(snapshot) do
    if self.listeners[token] then await.protect(fn) end
  end
end

---@param fn fun()
---@return fun() forget
function Source:on_end(fn)
  return self.ended:on(fn)
end

---@param name string
---@param tree boolean
---@param done fun(err: axo.Error?, found: integer?)
function Source:signal(name, tree, done)
  if self.ended.is_open then
    return nil, errors.new {
      code = "ESRCH", op = "signal", message = self.id .. " has ended already",
    }
  end
  return self.work:signal(name, tree and "tree" or "main", done)
end

--- Ends the tree: TERM, the grace, KILL. One that has ended already is not an error.
---@param grace number?
---@param done fun(err: axo.Error?)
function Source:stop(grace, done)
  if not self.ended.is_open then
    self.is_stopping = true
    self.work:kill(grace)
  end
  self.ended:on(function() done(self.work.kill_error) end)
  return true
end

--- Its deadline has passed: as `stop` does.
---@param grace number?
function Source:time_out(grace)
  if not self.is_stopping and not self.work.killing then self.timed_out = true end
  self.work:kill(grace)
end

function Source:was_orphaned()
  local raw = self.raw
  return raw and raw.signal and not self.work.is_cut and not self.work.stopped
end

-- podman's own complaint arrives where the output would have been.
function Source:complaint()
  local head = self.ring:head()
  if head > work.COMPLAINT_MAX or self.ring:tail() > 0 then return nil end
  return (self.ring:read(0):gsub("\r\n", "\n"))
end

function Source:fault()
  local complaint = self.raw and self:complaint()
  if not complaint then return nil end
  return self.work:judge {
    code = self.raw.code, signal = self.raw.signal, argv0 = self.argv[1], stderr = complaint,
    stdout_total = 0,
  }
end

-- The state of one that we ended, by TERM unless its code says otherwise. One whose client had
-- to be ended too has no code.
function Source:ended_by_us(reason)
  local code
  if self.raw and not self.work.is_cut then code = self.raw.code end
  code = code or signals.code_of "KILL"
  return {
    state = "killed", signal = signals.of_code(code) or "TERM", code = code, reason = reason,
  }
end

function Source:stopped_state()
  return {
    state = "killed", signal = "KILL", code = signals.code_of "KILL",
    reason = "the session was stopped",
  }
end

---@param err axo.Error
function Source:lost_state(err)
  return { state = "failed", reason = err.message, fault = err.code }
end

function Source:final_state()
  if self.work.stopped then return self:stopped_state() end
  if self.timed_out then
    local state = self:ended_by_us "timed out"
    state.timed_out = true
    return state
  end
  if self.is_stopping then return self:ended_by_us() end
  local fault = self:fault()
  if fault then return self:lost_state(fault) end
  local code = self.raw and self.raw.code
  local signal = signals.of_code(code)
  if signal then return { state = "killed", signal = signal, code = code } end
  if code then return { state = "exited", code = code } end
  return { state = "failed", reason = "its podman client was lost", fault = "PODMAN" }
end

-- Its work is over: the state becomes final.
function Source:settle()
  self.work:check_gone(self.raw and self.raw.code, function(gone)
    self.state = gone and self:lost_state(gone) or self:final_state()
    if self.state.code ~= 0 then self.state.oom_killed = self.work:oom_cause() end
    if self.on_final then await.protect(self.on_final, self) end
    self:announce()
    self.listeners = {}
    self.ended:open()
  end)
end

--- Forgets the oldest of those that have ended, beyond `keep`; they go on living as long as
--- somebody holds them.
---@param sources table<string, axo.Source>
---@param keep integer
---@param forget fun(source: axo.Source)
function source.forget_oldest(sources, keep, forget)
  local ended = {}
  for _, one in pairs(sources) do
    if one.ended.is_open then ended[#ended + 1] = one end
  end
  table.sort(ended, function(a, b) return a.ended_order < b.ended_order end)
  for i = 1, #ended - keep do
    sources[ended[i].id] = nil
    forget(ended[i])
  end
end

--- How many of them run.
---@param sources table<string, axo.Source>
---@return integer
function source.count_running(sources)
  local count = 0
  for _, one in pairs(sources) do
    if not one.ended.is_open then count = count + 1 end
  end
  return count
end

return source
