--- A way into a container: what a session speaks to, without asking which one it is. On the native
--- way the container's first process is our guest; the portable one needs nothing but `podman
--- exec`. Here is what every way answers, and what both have in common.
---
--- What takes time ends with `done(err, ...)`, exactly once and on a later turn of the loop; what
--- could not begin is `nil, err`, and `done` is not called.
local audit = require "axosandbox.audit"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local log = require "axosandbox.base.log"
local oom = require "axosandbox.way.oom"
local root = require "axosandbox.way.root"
local scripted = require "axosandbox.way.scripted"

local way = {}

local MAX_WARNINGS = 100

---@class axo.ExecSpec
---@field argv string[]
---@field env table<string, string>?
---@field secrets axo.Secrets? the session's; `env` goes before them
---@field cwd string? absolute; the session's directory by default
---@field user string?
---@field timeout number? seconds; it covers podman's own work too
---@field grace number? seconds between TERM and KILL
---@field stdin string|true|(fun(): string?)|nil bytes; true: open until exec:close_stdin(); a function that is asked for more until it returns nil
---@field on_stdout fun(bytes: string)?
---@field on_stderr fun(bytes: string)?
---@field max_output integer? bytes kept of each stream
---@field on_limit "truncate"|"kill"|nil
---@field within string? relative to the root: `cwd`, where it must be known to be inside first

--- Beside argv, env, secrets, cwd, user, timeout, grace and a task's stdin.
---@class axo.WorkSpec: axo.ExecSpec
---@field ring integer? bytes of output that are kept
---@field rows integer? of a terminal
---@field cols integer?

--- The files of a way are methods, too: read_file, stream_file, write_file, list_dir, stat,
--- check_directory, mkdir, remove, rename. They are done by scripts (scripted.lua) where a way has
--- nothing better. Paths are relative to the root, and lexically inside it already.
---@class axo.Way
---@field kind "portable"|"native"
---@field record axo.Record of the container, as its start left it
---@field client axo.Client
---@field container string
---@field root string the session's directory
---@field base string? the real path of the directory that a session of `axo.attach` is confined to
---@field is_open boolean false once the session was stopped or let go of: nothing begins any more
---@field memory axo.OomWatch
---@field network axo.Network? of a session with names: what it reaches, and was refused
---@field works table<string, axo.Work> the tasks and terminals that this process looks after, by id
---@field exec fun(self: axo.Way, spec: axo.ExecSpec, done: fun(err: axo.Error?, result: axo.Result?)): axo.Exec?, axo.Error? a command in the foreground: over once nothing of what was to be ended runs
---@field begin fun(self: axo.Way, kind: "task"|"terminal", spec: axo.WorkSpec, done: fun(err: axo.Error?, work: axo.Work?)): true?, axo.Error? what `start` begins
---@field others fun(self: axo.Way, kind: "task"|"terminal"): axo.Work[] what is not in `works`
---@field other fun(self: axo.Way, kind: "task"|"terminal", id: string): axo.Work? one of those
---@field socket fun(self: axo.Way, domain: "inet"|"inet6"|"diag", kind: "stream"|"dgram"|nil, done: fun(err: axo.Error?, fd: integer?)): true?, axo.Error? a socket of the container's network; code "UNSUPPORTED"
---@field kill_all fun(self: axo.Way, done: fun(err: axo.Error?)): any, axo.Error? ends all that runs in the container, whoever started it
---@field close fun(self: axo.Way, remove: (fun(done: fun(err: axo.Error?, ok: any)): any)?, done: fun(err: axo.Error?)) ends what is in flight, with code "STOPPED"; `remove` removes the container. Idempotent: after a failure, a further call tries again
local Way = {}

for name, method in pairs(scripted) do Way[name] = method end

--- The class of a way, with what all have.
---@param kind "portable"|"native"
---@return table
function way.class(kind)
  local class = setmetatable({ kind = kind }, { __index = Way })
  class.__index = class
  return class
end

--- A way of a class into a running container.
---@param class table
---@param record axo.Record
---@param memory axo.OomWatch? that of another way into the same one
---@return axo.Way
function way.new(class, record, memory)
  return setmetatable({
    record = record, client = record.client, container = record.container, root = record.dir,
    is_open = true, memory = memory or oom.watch(record), works = {},
  }, class)
end

--- Keeps files and commands in a directory of its own, by its real path.
---@param base string
function Way:confine(base) self.base = base end

-- ---- what it says ----------------------------------------------------------------------

--- Says that the session lost something.
---@param message string
function Way:warn(message)
  local warnings = self.record.warnings
  if warnings and #warnings < MAX_WARNINGS then warnings[#warnings + 1] = message end
  log.emit("warn", message, { id = self.record.id, container = self.container })
  audit.emit("fallback", self.record.id, { message = message })
end

local function failure(self, code, op, what)
  return errors.new {
    code = code, op = op,
    message = ("the session %s was %s"):format(self.record.id or self.container, what),
  }
end

---@param op string
---@return axo.Error
function Way:stopped_error(op)
  return failure(self, "STOPPED", op, "stopped")
end

--- What runs on where this session does not look any more.
---@return axo.Error
function Way:closed_error()
  return failure(self, "CLOSED", "wait", "closed here")
end

---@param cause "limit"|"host"|nil when it is known that memory ran out
---@return axo.Error
function Way:gone(cause)
  local message = ("the container %s is not running any more"):format(self.container)
  cause = self.memory:ended_by(cause)
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

-- ---- tasks and terminals ---------------------------------------------------------------

local function by_age(a, b)
  if a.started ~= b.started then return a.started < b.started end
  return a.id < b.id
end

--- Starts one; where `spec.within` says so, once that is known to be inside.
---@param kind "task"|"terminal"
---@param spec axo.WorkSpec
---@param done fun(err: axo.Error?, work: axo.Work?)
---@return true? started, axo.Error?
function Way:start(kind, spec, done)
  if not spec.within then return self:begin(kind, spec, done) end
  return root.within(self, spec.within, function()
    local begun, err = self:begin(kind, spec, done)
    if not begun then done(err) end
  end, done)
end

--- The tasks or the terminals of the session, oldest first, as far as they can be seen from here.
---@param kind "task"|"terminal"
---@return axo.Work[]
function Way:list(kind)
  local found = self:others(kind)
  for _, one in pairs(self.works) do
    if one.kind == kind then found[#found + 1] = one end
  end
  table.sort(found, by_age)
  return found
end

--- One of them by its id.
---@param kind "task"|"terminal"
---@param id string
---@return axo.Work?
function Way:find(kind, id)
  local one = self.works[id]
  if one and one.kind == kind then return one end
  return self:other(kind, id)
end

return way
