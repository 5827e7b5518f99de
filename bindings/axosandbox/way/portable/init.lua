--- The portable way: every operation is a `podman exec`. It works wherever a podman client works,
--- and it is what a session falls back to.
local cjson = require "cjson.safe"
local await = require "axosandbox.base.await"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local naming = require "axosandbox.base.naming"
local exec = require "axosandbox.way.portable.exec"
local foreign = require "axosandbox.way.portable.foreign"
local gate = require "axosandbox.base.gate"
local kill = require "axosandbox.way.portable.kill"
local podman = require "axosandbox.podman"
local task = require "axosandbox.way.portable.task"
local terminal = require "axosandbox.way.portable.terminal"
local way = require "axosandbox.way"

local portable = {}

-- How long podman clients may take to notice that their container is gone.
local CLIENTS_WAIT = 3

---@class axo.PortableWay: axo.Way
---@field key string what the marks of its trees begin with
---@field trees table<axo.Tree, true>
---@field watched table<axo.ForeignTask, true> tasks of other processes that somebody here waits for
---@field store axo.TaskStore|false|nil where other processes find its tasks; false: nowhere
local Portable = way.class "portable"

--- Makes the way into a running container.
---@param record axo.Record
---@param memory axo.OomWatch? that of another way into the same one
---@return axo.PortableWay
function portable.new(record, memory)
  local self = way.new(Portable, record, memory)
  self.key, self.trees, self.watched = naming.token(8), {}, {}
  return self
end

--- Asks podman whether the container runs.
---@param done fun(is_running: boolean?) nil: it could not be found out
function Portable:is_running(done)
  local argv = core.argv.inspect {
    podman = self.client.program, kind = "container", name = self.container,
  }
  local process = argv and self.client:request(argv, { timeout = 15, op = "inspect" },
    function(err, answer)
      if err then
        return done(podman.is_missing(err) and false or nil)
      end
      local found = cjson.decode(answer.stdout)
      local state = found and found[1] and found[1].State
      if type(state) ~= "table" then return done(nil) end
      if state.OOMKilled == true and not state.Running then self.memory:ended_by "limit" end
      done(state.Running == true)
    end)
  if not process then await.defer(function() done(nil) end) end
end

--- Nobody in there makes one for its host.
---@return nil, axo.Error
function Portable:socket()
  return nil, errors.new {
    code = "UNSUPPORTED", op = "socket",
    message = ("sockets of the network of %s need the native path"):format(self.container),
  }
end

function Portable:exec(spec, done)
  return exec.start(self, spec, done)
end

local STARTERS = { task = task.start, terminal = terminal.start }

function Portable:begin(kind, spec, done)
  if not self.is_open then return nil, self:stopped_error(kind) end
  local started, err = STARTERS[kind](self, spec)
  if not started then return nil, err end
  await.defer(function() done(nil, started) end)
  return true
end

-- Tasks of the user's other processes, as far as their files tell; nobody else sees a terminal.
function Portable:others(kind)
  return kind == "task" and foreign.list(self) or {}
end

function Portable:other(kind, id)
  return kind == "task" and foreign.find(self, id) or nil
end

-- What every pass of KILL finds is stopped before it is killed, so a few are enough.
local KILL_ALL_PASSES = 5

--- Kills everything that this library started in the container, from whichever process.
---@param done fun(err: axo.Error?)
---@return true? begun, axo.Error?
function Portable:kill_all(done)
  if not self.is_open then return nil, self:stopped_error "kill_all" end
  await.spawn(function()
    for _ = 1, KILL_ALL_PASSES do
      local report, err = await.call(function(answer)
        return kill.pass(self, { mark = "", signal = "KILL" }, answer)
      end)
      if not report then return nil, err end
      if report.left == 0 then return true end
    end
    return nil, errors.new {
      code = "KILL", op = "kill_all", message = "processes still run in " .. self.container,
      hint = hints.TABLE.stop_session.lua,
    }
  end, function(err) done(err) end)
  return true
end

local function all_over(trees)
  local all, count = gate.new(), 0
  for one in pairs(trees) do
    count = count + 1
    one.over:on(function()
      count = count - 1
      if count == 0 then all:open() end
    end)
  end
  if count == 0 then all:open() end
  return all
end

-- One kill sequence serves all trees of one user: their marks begin alike.
local function end_group(self, user, trees)
  local clients, count = gate.new(), #trees
  for _, one in ipairs(trees) do
    one.killing = gate.new()
    one.client:on(function()
      count = count - 1
      if count == 0 then clients:open() end
    end)
  end
  local target = {
    way = self, mark = self.key .. ".", user = user, grace = kill.GRACE, client = clients,
    cut = function()
      for _, one in ipairs(trees) do
        if not one.client.is_open then one:cut() end
      end
    end,
  }
  await.spawn(function() return kill.tree(target) end, function(err)
    if err then self:warn(err.message) end
    for _, one in ipairs(trees) do
      if not one.client.is_open then one:lose_client() end
      one.killing:open()
      one:finish()
    end
  end)
end

local function end_trees(self)
  local groups = {}
  for one in pairs(self.trees) do
    if not one.killing then
      local user = one.user or ""
      groups[user] = groups[user] or {}
      table.insert(groups[user], one)
    end
  end
  for user, trees in pairs(groups) do
    end_group(self, user ~= "" and user or nil, trees)
  end
end

-- The container is gone, and with it all that ran inside: its clients end by themselves.
local function await_clients(self, all)
  all:wait(CLIENTS_WAIT)
  for one in pairs(self.trees) do
    if not one.client.is_open then one:cut() end
  end
  all:wait()
end

local function close_trees(self, remove)
  local all = all_over(self.trees)
  if not remove then
    end_trees(self)
    all:wait()
    return true
  end
  local removed, err = await.call(remove)
  if not removed and err then
    end_trees(self)
    all:wait()
    return nil, err
  end
  await_clients(self, all)
  return true
end

--- Ends all that this way has in flight and lets go of it: pending calls end with code
--- "STOPPED". Idempotent: everyone who calls hears of the one end; after a failure, a further
--- call tries again.
---@param remove (fun(done: fun(err: axo.Error?, ok: any)): any)? removes the container, which ends all that runs inside; without it, only this way's own works are ended
---@param done fun(err: axo.Error?)
function Portable:close(remove, done)
  self.is_open = false
  if self.closed and self.closed.is_open and self.close_error then self.closed = nil end
  if not self.closed then
    self.closed = gate.new()
    for one in pairs(self.trees) do one.stopped = true end
    self.is_ending = remove ~= nil
    if not remove then foreign.close(self) end
    await.spawn(function() return close_trees(self, remove) end, function(err)
      self.close_error, self.is_ending = err, false
      foreign.close(self, remove and not err)
      task.release(self)
      self.closed:open()
    end)
  end
  self.closed:on(function() done(self.close_error) end)
end

return portable
