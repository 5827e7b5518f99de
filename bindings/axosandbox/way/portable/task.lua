--- Background tasks on the portable path: stdout and stderr go into one ring, which lies in a
--- file where there is a private directory for it, so that the user's other processes can read
--- along.
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local naming = require "axosandbox.base.naming"
local source = require "axosandbox.way.portable.source"
local stdin = require "axosandbox.way.task_stdin"
local store = require "axosandbox.way.portable.store"
local work = require "axosandbox.way.portable.work"

local task = {}

task.MAX_RUNNING = 64
task.MAX_ENDED = 64
task.RING = 64 * 1024

local BACKSTOP = 120

local function too_many()
  return nil, errors.new {
    code = "LIMIT", op = "task",
    message = ("%d tasks run in this session, and no more are allowed"):format(task.MAX_RUNNING),
    hint = "stop one of them first",
  }
end

-- A ring that others can read, or a private one where that cannot be.
---@return any ring, axo.Error? err, boolean? is_shared
local function make_ring(path, id, capacity)
  if path.store then
    local ring, err = path.store:make_ring(id, capacity)
    if ring then return ring, nil, true end
    path:warn("other processes cannot read this session's tasks: " .. err.message)
    path.store = false
  end
  return core.ring(capacity)
end

local function describe(self)
  return {
    id = self.id, argv = self.argv, started = self.started, status = self.state,
    mark = self.work.mark, user = self.user,
  }
end

local function save(self)
  if self.is_shared then self.work.path.store:save(describe(self)) end
end

local function on_final(self)
  local path = self.work.path
  path.task_order = (path.task_order or 0) + 1
  self.ended_order = path.task_order
  save(self)
end

local function spawn(self, spec)
  local input = stdin.plan(self, spec.stdin)
  local argv, err = self.work:argv(spec, { interactive = spec.stdin ~= nil })
  if not argv then return nil, err end
  self.process, err = core.spawn(argv, {
    env = self.work:client_env(spec), cwd = "/", ring = self.ring, merge_stderr = true,
    timeout = spec.timeout, grace = BACKSTOP + (spec.grace or 0),
    input = input.input, stdin = input.pipe and "pipe" or nil, on_drain = input.on_drain,
    on_output = function() self:announce() end,
    on_deadline = function() self:time_out(spec.grace) end,
  }, function(raw)
    self.raw = raw
    self.work:client_ended()
  end)
  if not self.process then return nil, err end
  self.work:attach(self.process)
  input.begin()
  return true
end

local Task = setmetatable({}, { __index = source.Source })
Task.__index = Task

-- As on the native path: true, and not how much waits.
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

local function discard(self)
  self.work:abandon()
  if self.is_shared then self.work.path.store:remove(self.id) end
end

--- Starts a task. Fails with code "LIMIT" when too many run.
---@param path axo.Path
---@param spec { argv: string[], env: table<string, string>?, cwd: string?, user: string?, timeout: number?, grace: number?, ring: integer? }
---@return axo.Source?, axo.Error?
function task.start(path, spec)
  if source.count_running(path.local_tasks) >= task.MAX_RUNNING then return too_many() end
  if path.store == nil then path.store = store.open(path) or false end
  local id = "t" .. naming.token(6)
  local ring, err, is_shared = make_ring(path, id, spec.ring or task.RING)
  if not ring then return nil, err end
  local self = setmetatable(source.new {
    id = id, argv = spec.argv, user = spec.user, ring = ring, is_shared = is_shared,
    work = work.new(path, spec.user), on_final = on_final,
  }, Task)
  local started
  started, err = spawn(self, spec)
  if not started then
    discard(self)
    return nil, err
  end
  path.local_tasks[id] = self
  save(self)
  source.forget_oldest(path.local_tasks, task.MAX_ENDED, function(old)
    if old.is_shared then path.store:remove(old.id) end
  end)
  return self
end

--- Takes the files of this path's tasks away.
---@param path axo.Path
function task.release(path)
  if not path.store then return end
  for id, one in pairs(path.local_tasks) do
    if one.is_shared then path.store:remove(id) end
  end
  path.store:close()
end

return task
