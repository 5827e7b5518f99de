--- The portable path: every operation is a `podman exec`. It works wherever a podman client
--- works, and it is what the session falls back to.
---
--- A path is what the session object speaks to. Besides `kind`, it offers exec, task, terminal,
--- tasks, terminals, find, kill_all and close, and the files of portable_files.lua; all are
--- asynchronous, with `done(err, ...)` as the last argument, and are used with sources: see
--- portable_source.lua.
local cjson = require "cjson.safe"
local audit = require "axosandbox.audit"
local await = require "axosandbox.base.await"
local core = require "axosandbox.core"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local naming = require "axosandbox.base.naming"
local exec = require "axosandbox.way.portable.exec"
local files = require "axosandbox.way.portable.files"
local foreign = require "axosandbox.way.portable.foreign"
local gate = require "axosandbox.base.gate"
local kill = require "axosandbox.way.portable.kill"
local log = require "axosandbox.base.log"
local oom = require "axosandbox.way.oom"
local podman = require "axosandbox.podman"
local task = require "axosandbox.way.portable.task"
local terminal = require "axosandbox.way.portable.terminal"

local portable = {}

local MAX_WARNINGS = 100
-- How long podman clients may take to notice that their container is gone.
local CLIENTS_WAIT = 3

---@class axo.ExecSpec
---@field argv string[]
---@field env table<string, string>?
---@field secrets axo.Secrets? the session's; `env` goes before them
---@field cwd string? absolute; the session's directory by default
---@field user string?
---@field timeout number? seconds; it covers podman's own work too
---@field grace number? seconds between TERM and KILL
---@field stdin string|true|(fun(): string?)|nil bytes; true: open until handle:close_stdin(); a function that is asked for more until it returns nil
---@field on_stdout fun(bytes: string)?
---@field on_stderr fun(bytes: string)?
---@field max_output integer? bytes kept of each stream
---@field on_limit "truncate"|"kill"|nil

---@class axo.Path
---@field kind "portable"|"native"
---@field root string
---@field container string
---@field client axo.Client
---@field key string what the marks of its works begin with
---@field works table<axo.PortableWork, true>
---@field memory axo.OomWatch
---@field watched table<axo.ForeignSource, true> tasks of other processes that somebody here waits for
local Path = { kind = "portable" }
Path.__index = Path

portable.Path = Path

for name, method in pairs(files) do Path[name] = method end

--- Makes the path of a running container.
---@param record table the container, its client and its limits, as start.lua leaves them
---@return axo.Path
function portable.new(record)
  return setmetatable({
    record = record, client = record.client, container = record.container, root = record.dir,
    key = naming.token(8), works = {}, local_tasks = {}, local_terminals = {}, watched = {},
    is_open = true, memory = oom.watch(record),
  }, Path)
end

--- Says that the session lost something.
---@param message string
function Path:warn(message)
  local warnings = self.record.warnings
  if warnings and #warnings < MAX_WARNINGS then warnings[#warnings + 1] = message end
  log.emit("warn", message, { id = self.record.id, container = self.container })
  audit.emit("fallback", self.record.id, { message = message })
end

---@param op string
---@return axo.Error
function Path:stopped_error(op)
  return errors.new {
    code = "STOPPED", op = op,
    message = ("the session %s was stopped"):format(self.record.id or self.container),
  }
end

--- What runs on where this handle does not look any more.
---@return axo.Error
function Path:closed_error()
  return errors.new {
    code = "CLOSED", op = "wait",
    message = ("the session %s was closed here"):format(self.record.id or self.container),
  }
end

-- Whether it ended for want of memory. Once its cgroup is gone there is nothing to ask: the first
-- answer stays.
local function gone_by(self, cause)
  self.gone_cause = self.gone_cause or cause or self.memory:latest()
  return self.gone_cause
end

---@param cause "limit"|"host"|nil when it is known that memory ran out
---@return axo.Error
function Path:gone(cause)
  local message = ("the container %s is not running any more"):format(self.container)
  cause = gone_by(self, cause)
  if not cause then
    return errors.new {
      code = "GONE", op = "exec", message = message,
      hint = "somebody else removed or stopped it; start the session again",
    }
  end
  local sentence = oom.sentence(cause, self.record.limits, "what runs in it")
  return errors.new {
    code = "GONE", op = "exec", message = ("%s: %s"):format(message, sentence),
    hint = hints.TABLE[cause == "host" and "host_memory" or "gone_memory"].lua,
  }
end

--- Asks podman whether the container runs.
---@param done fun(is_running: boolean?) nil: it could not be found out
function Path:is_running(done)
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
      if state.OOMKilled == true and not state.Running then gone_by(self, "limit") end
      done(state.Running == true)
    end)
  if not process then await.defer(function() done(nil) end) end
end

--- Runs a command in the foreground.
---@param spec axo.ExecSpec
---@param done fun(err: axo.Error?, result: axo.Result?)
---@return axo.Exec? handle, axo.Error?
function Path:exec(spec, done)
  if not self.is_open then return nil, self:stopped_error "exec" end
  return exec.start(self, spec, done)
end

local function starter(kind, make)
  return function(self, spec, done)
    if not self.is_open then return nil, self:stopped_error(kind) end
    local source, err = make(self, spec)
    if not source then return nil, err end
    await.defer(function() done(nil, source) end)
    return true
  end
end

--- Starts a background task; `spec.ring` is the size of its ring in bytes.
---@type fun(self: axo.Path, spec: table, done: fun(err: axo.Error?, source: axo.Source?)): true?, axo.Error?
Path.task = starter("task", task.start)

--- Starts a program on a terminal of `spec.rows` by `spec.cols`.
---@type fun(self: axo.Path, spec: table, done: fun(err: axo.Error?, source: axo.Source?)): true?, axo.Error?
Path.terminal = starter("terminal", terminal.start)

local function by_age(a, b)
  if a.started ~= b.started then return a.started < b.started end
  return a.id < b.id
end

--- The tasks of the session, oldest first: this process's and, as far as their files tell,
--- those of the user's other processes.
---@return axo.Source[]
function Path:tasks()
  local found = {}
  for _, source in pairs(self.local_tasks) do found[#found + 1] = source end
  for _, source in ipairs(foreign.list(self)) do found[#found + 1] = source end
  table.sort(found, by_age)
  return found
end

--- The terminals that this process opened, oldest first.
---@return axo.Source[]
function Path:terminals()
  local found = {}
  for _, source in pairs(self.local_terminals) do found[#found + 1] = source end
  table.sort(found, by_age)
  return found
end

--- One of them by its id.
---@param kind "task"|"terminal"
---@param id string
---@return axo.Source?
function Path:find(kind, id)
  if kind == "terminal" then return self.local_terminals[id] end
  return self.local_tasks[id] or foreign.find(self, id)
end

-- What every pass of KILL finds is stopped before it is killed, so a few are enough.
local KILL_ALL_PASSES = 5

--- Kills everything that this library started in the container, from whichever process.
---@param done fun(err: axo.Error?)
---@return true? begun, axo.Error?
function Path:kill_all(done)
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

local function all_over(works)
  local all, count = gate.new(), 0
  for one in pairs(works) do
    count = count + 1
    one.over:on(function()
      count = count - 1
      if count == 0 then all:open() end
    end)
  end
  if count == 0 then all:open() end
  return all
end

-- One kill sequence serves all works of one user: their marks begin alike.
local function end_group(path, user, works)
  local clients, count = gate.new(), #works
  for _, one in ipairs(works) do
    one.killing = gate.new()
    one.client:on(function()
      count = count - 1
      if count == 0 then clients:open() end
    end)
  end
  local job = {
    path = path, mark = path.key .. ".", user = user, grace = kill.GRACE, client = clients,
    cut = function()
      for _, one in ipairs(works) do
        if not one.client.is_open then one:cut() end
      end
    end,
  }
  await.spawn(function() return kill.tree(job) end, function(err)
    if err then path:warn(err.message) end
    for _, one in ipairs(works) do
      if not one.client.is_open then one:lose_client() end
      one.killing:open()
      one:finish()
    end
  end)
end

local function end_works(path)
  local groups = {}
  for one in pairs(path.works) do
    if not one.killing then
      local user = one.user or ""
      groups[user] = groups[user] or {}
      table.insert(groups[user], one)
    end
  end
  for user, works in pairs(groups) do
    end_group(path, user ~= "" and user or nil, works)
  end
end

-- The container is gone, and with it all that ran inside: its clients end by themselves.
local function await_clients(path, all)
  all:wait(CLIENTS_WAIT)
  for one in pairs(path.works) do
    if not one.client.is_open then one:cut() end
  end
  all:wait()
end

local function close_works(path, remove)
  local all = all_over(path.works)
  if not remove then
    end_works(path)
    all:wait()
    return true
  end
  local removed, err = await.call(remove)
  if not removed and err then
    end_works(path)
    all:wait()
    return nil, err
  end
  await_clients(path, all)
  return true
end

--- Ends all that this path has in flight and lets go of it: pending calls end with code
--- "STOPPED". Idempotent: everyone who calls hears of the one end; after a failure, a further
--- call tries again.
---@param remove (fun(done: fun(err: axo.Error?, ok: any)): any)? removes the container, which ends all that runs inside; without it, only this path's own works are ended
---@param done fun(err: axo.Error?)
function Path:close(remove, done)
  self.is_open = false
  if self.closed and self.closed.is_open and self.close_error then self.closed = nil end
  if not self.closed then
    self.closed = gate.new()
    for one in pairs(self.works) do one.stopped = true end
    self.is_ending = remove ~= nil
    if not remove then foreign.close(self) end
    await.spawn(function() return close_works(self, remove) end, function(err)
      self.close_error, self.is_ending = err, false
      foreign.close(self, remove and not err)
      task.release(self)
      self.closed:open()
    end)
  end
  self.closed:on(function() done(self.close_error) end)
end

return portable
