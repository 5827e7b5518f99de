--- Tasks and terminals on the portable way: each is a marked tree of processes under a podman
--- client, whose output goes into a ring.
local errors = require "axosandbox.base.errors"
local signals = require "axosandbox.base.signals"
local tree = require "axosandbox.way.portable.tree"
local work = require "axosandbox.way.work"

local portable_work = {}

local MAX_RUNNING = 64

---@class axo.PortableWork: axo.Work
---@field way axo.PortableWay
---@field tree axo.Tree
---@field raw table? what was reported of the client's end
local Work = work.class()

--- A class of these, with what both have.
---@return table
function portable_work.class()
  local class = setmetatable({}, { __index = Work })
  class.__index = class
  return class
end

local WORDS = {
  task = { "tasks run", "stop one of them first" },
  terminal = { "terminals are open", "close one of them first" },
}

local function too_many(kind)
  return nil, errors.new {
    code = "LIMIT", op = kind, hint = WORDS[kind][2],
    message = ("%d %s in this session, and no more are allowed"):format(
      MAX_RUNNING, WORDS[kind][1]),
  }
end

--- Whether one more of a kind may run.
---@param way axo.PortableWay
---@param kind "task"|"terminal"
---@return true? free, axo.Error? err code "LIMIT"
function portable_work.check(way, kind)
  local count = 0
  for _, one in pairs(way.works) do
    if one.kind == kind and not one.ended.is_open then count = count + 1 end
  end
  if count >= MAX_RUNNING then return too_many(kind) end
  return true
end

--- Makes one, which `begin` starts.
---@param class table
---@param way axo.PortableWay
---@param fields table
---@param spec axo.WorkSpec
---@param begin fun(self: axo.PortableWork, spec: axo.WorkSpec): true?, axo.Error?
---@return axo.PortableWork? work, axo.Error?
function portable_work.start(class, way, fields, spec, begin)
  fields.argv, fields.user, fields.tree = spec.argv, spec.user, tree.new(way, spec.user)
  fields.memory_mark = fields.tree.memory_mark
  local self = work.new(class, way, fields)
  self.tree.client:on(function()
    if self:was_orphaned() then self.tree:kill() end
  end)
  self.tree.over:on(function() self:settle() end)
  local begun, err = begin(self, spec)
  if not begun then
    self.tree:abandon()
    return nil, err
  end
  way.works[self.id] = self
  return self
end

-- ---- what is done to it ----------------------------------------------------------------

function Work:send_signal(name, is_tree, done)
  if self.ended.is_open then return nil, self:over_error "signal" end
  return self.tree:signal(name, is_tree and "tree" or "main", done)
end

function Work:end_tree(grace, done)
  if not self.ended.is_open then
    self.is_stopping = true
    self.tree:kill(grace)
  end
  self.ended:on(function() done(self.tree.kill_error) end)
  return true
end

--- Its deadline has passed: as `end_tree` does.
---@param grace number?
function Work:time_out(grace)
  if not self.is_stopping and not self.tree.killing then self.timed_out = true end
  self.tree:kill(grace)
end

-- ---- its end ---------------------------------------------------------------------------

function Work:was_orphaned()
  local raw = self.raw
  return raw and raw.signal and not self.tree.is_cut and not self.tree.stopped
end

-- podman's own complaint arrives where the output would have been.
local function complaint(self)
  if self.ring:head() > tree.COMPLAINT_MAX or self.ring:tail() > 0 then return nil end
  return (self:read():gsub("\r\n", "\n"))
end

local function fault(self)
  local stderr = self.raw and complaint(self)
  if not stderr then return nil end
  return self.tree:judge {
    code = self.raw.code, signal = self.raw.signal, argv0 = self.argv[1], stderr = stderr,
    stdout_total = 0,
  }
end

-- The state of one that we ended, by TERM unless its code says otherwise. One whose client had
-- to be ended too has no code.
local function ended_by_us(self)
  local code
  if self.raw and not self.tree.is_cut then code = self.raw.code end
  code = code or signals.code_of "KILL"
  return {
    state = "killed", signal = signals.of_code(code) or "TERM", code = code,
    reason = self.timed_out and "timed out" or nil, timed_out = self.timed_out,
  }
end

local function final_state(self)
  if self.tree.stopped then return work.stopped_state() end
  if self.timed_out or self.is_stopping then return ended_by_us(self) end
  local problem = fault(self)
  if problem then return work.lost_state(problem) end
  local code = self.raw and self.raw.code
  local signal = signals.of_code(code)
  if signal then return { state = "killed", signal = signal, code = code } end
  if code then return { state = "exited", code = code } end
  return { state = "failed", reason = "its podman client was lost", fault = "PODMAN" }
end

--- Nothing of it runs any more: the state becomes final, and so is the ring.
function Work:settle()
  self.tree:check_gone(self.raw and self.raw.code, function(gone)
    self:finish(gone and work.lost_state(gone) or final_state(self))
  end)
end

return portable_work
