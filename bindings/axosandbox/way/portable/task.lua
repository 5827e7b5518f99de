--- Background tasks on the portable way: stdout and stderr go into one ring, which lies in a file
--- where there is a private directory for it, so that the user's other processes can read along.
local core = require "axosandbox.core"
local naming = require "axosandbox.base.naming"
local portable_work = require "axosandbox.way.portable.work"
local stdin = require "axosandbox.way.task_stdin"
local store = require "axosandbox.way.portable.store"
local work = require "axosandbox.way.work"

local task = {}

local BACKSTOP = 120

---@class axo.PortableTask: axo.PortableWork
---@field is_shared boolean? its ring and its description lie in files
local Task = portable_work.class()

-- A ring that others can read, or a private one where that cannot be.
---@return any ring, axo.Error? err, boolean? is_shared
local function make_ring(way, id, capacity)
  if way.store == nil then way.store = store.open(way) or false end
  if way.store then
    local ring, err = way.store:make_ring(id, capacity)
    if ring then return ring, nil, true end
    way:warn("other processes cannot read this session's tasks: " .. err.message)
    way.store = false
  end
  return core.ring(capacity)
end

local function save(self)
  if not self.is_shared then return end
  self.way.store:save {
    id = self.id, argv = self.argv, started = self.started, status = self.state,
    mark = self.tree.mark, user = self.user,
  }
end

local function discard(self)
  if self.is_shared then self.way.store:remove(self.id) end
end

function Task:on_final()
  save(self)
  self:retire(discard)
end

local function begin(self, spec)
  local input = stdin.plan(self, spec.stdin)
  local argv, err = self.tree:argv(spec, { interactive = spec.stdin ~= nil })
  if not argv then return nil, err end
  self.process, err = core.spawn(argv, {
    env = self.tree:client_env(spec), cwd = "/", ring = self.ring, merge_stderr = true,
    timeout = spec.timeout, grace = BACKSTOP + (spec.grace or 0),
    input = input.input, stdin = input.pipe and "pipe" or nil, on_drain = input.on_drain,
    on_output = function() self:announce() end,
    on_deadline = function() self:time_out(spec.grace) end,
  }, function(raw)
    self.raw = raw
    self.tree:client_ended()
  end)
  if not self.process then return nil, err end
  self.tree:attach(self.process)
  input.begin()
  return true
end

-- As on the native way: true, and not how much waits.
function Task:write(bytes)
  local err = stdin.refusal(self, "write")
  if err then return nil, err end
  local queued
  queued, err = self.process:write(bytes)
  return queued and true, err
end

function Task:close_stdin()
  local err = stdin.refusal(self, "close_stdin")
  if err then return nil, err end
  return self.process:close_stdin()
end

--- Starts a task. Fails with code "LIMIT" when too many run.
---@param way axo.PortableWay
---@param spec axo.WorkSpec
---@return axo.PortableWork? task, axo.Error?
function task.start(way, spec)
  local free, err = portable_work.check(way, "task")
  if not free then return nil, err end
  local fields = { id = work.LETTER.task .. naming.token(6), kind = "task" }
  fields.ring, err, fields.is_shared = make_ring(way, fields.id, spec.ring or work.RING.task)
  if not fields.ring then return nil, err end
  local self
  self, err = portable_work.start(Task, way, fields, spec, begin)
  if not self then
    if fields.is_shared then way.store:remove(fields.id) end
    return nil, err
  end
  save(self)
  return self
end

--- Takes the files of this way's tasks away.
---@param way axo.PortableWay
function task.release(way)
  if not way.store then return end
  for _, one in pairs(way.works) do discard(one) end
  way.store:close()
end

return task
