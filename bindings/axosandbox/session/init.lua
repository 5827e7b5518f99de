--- The session object: what a person who started, opened or attached to a container holds. It
--- speaks to a way into it (way/init.lua) and never asks which one it is.
local uv = require "luv"
local audit = require "axosandbox.audit"
local audit_work = require "axosandbox.audit.work"
local await = require "axosandbox.base.await"
local begin = require "axosandbox.session.work.begin"
local ending = require "axosandbox.session.ending"
local errors = require "axosandbox.base.errors"
local files = require "axosandbox.session.files"
local log = require "axosandbox.base.log"
local network = require "axosandbox.network.methods"
local options = require "axosandbox.base.options"
local search = require "axosandbox.session.search"
local task = require "axosandbox.session.work.task"
local terminal = require "axosandbox.session.work.terminal"
local usage = require "axosandbox.session.usage"

local session = {}

-- Seconds that the end of a session waits for the audit log.
local FLUSH = 1

---@class axo.Session
---@field private record axo.Record
---@field private way axo.Way
local Sandbox = { __name = "axo.sandbox" }
Sandbox.__index = Sandbox

for _, group in ipairs { files.methods, search.methods, network.methods } do
  for name, method in pairs(group) do Sandbox[name] = method end
end

--- Makes the session object of a record.
---@param record axo.Record
---@param way axo.Way
---@return axo.Session
function session.new(record, way)
  return setmetatable({ record = record, way = way, is_stopped = false }, Sandbox)
end

--- The record that a session object was made of.
---@param sb axo.Session
---@return axo.Record
function session.record(sb)
  return sb.record
end

-- ---- commands --------------------------------------------------------------------------

---@class axo.ExecOptions
---@field timeout number? seconds; policy's default otherwise. 0: none
---@field grace number? seconds between TERM and KILL, 2 by default
---@field env table<string, string>? beside the session's own
---@field cwd string? absolute in the container, or relative to the session's directory; of a session from `axo.attach`, inside its directory (code "OUTSIDE")
---@field user string? NAME|UID[:GROUP|GID]
---@field stdin string|(fun(): string?)|nil bytes, or a function that returns some until it returns nil; with a callback, "pipe" leaves stdin open for h:write
---@field on_stdout fun(bytes: string)? gets the bytes as they come, instead of the result
---@field on_stderr fun(bytes: string)?
---@field max_output integer? bytes kept of each stream; what is beyond is dropped
---@field on_limit "truncate"|"kill"|nil "kill": ends the command at that limit

--- Runs a command and waits for its end. An exit code, a signal, a timeout are results, not
--- errors: see `r:ok()`.
---
--- With a callback it returns the command: `h:cancel()`, `h:signal("INT")`, `h:write(bytes)`,
--- `h:close_stdin()`. A timeout, a cancel and a limit end the command's whole tree inside the
--- container, before the result comes. Codes: "NOT_FOUND", "NOT_EXECUTABLE", "NO_DIRECTORY",
--- "NO_USER", "DENIED" and "POLICY", "CALLBACK" (a function of the options raised), "GONE" (the
--- container vanished), "NO_ROOT" (the session's directory was removed, moved or replaced), "TIMEOUT" (it was to be killed, and the container, paused perhaps, does
--- not answer), "STOPPED", "PODMAN".
---
---     local r = assert(sb:exec({ "sh", "-c", "ls | wc -l" }, { timeout = 60 }))
---     if r:ok() then print(r.stdout) else print(r, r.stderr) end
---@param argv string[]
---@param opts axo.ExecOptions?
---@param callback fun(err: axo.Error?, result: axo.Result?)?
---@return axo.Result|axo.Exec|nil result, axo.Error?
function Sandbox:exec(argv, opts, callback)
  opts, callback = options.arguments(begin.EXEC, opts, callback, "sandbox:exec")
  argv = begin.words(argv, "sandbox:exec", 2)
  if callback and opts.stdin == "pipe" then
    local open = {}
    for key, value in pairs(opts) do open[key] = value end
    open.stdin = true
    opts = open
  end
  return await.call(begin.exec, callback, self, argv, opts)
end

--- The same with `bytes`, whatever they are, as stdin.
---
---     print(assert(sb:exec_stdin({ "wc", "-c" }, "12345")).stdout)
---@param argv string[]
---@param bytes string
---@param opts axo.ExecOptions?
---@param callback fun(err: axo.Error?, result: axo.Result?)?
---@return axo.Result|axo.Exec|nil result, axo.Error?
function Sandbox:exec_stdin(argv, bytes, opts, callback)
  opts, callback = options.arguments(begin.EXEC, opts, callback, "sandbox:exec_stdin")
  argv = begin.words(argv, "sandbox:exec_stdin", 2)
  if type(bytes) ~= "string" then
    error("sandbox:exec_stdin: the bytes must be a string, got " .. type(bytes), 2)
  end
  local given = {}
  for key, value in pairs(opts) do given[key] = value end
  given.stdin = bytes
  return await.call(begin.exec, callback, self, argv, given)
end

-- ---- tasks and terminals ---------------------------------------------------------------

--- Starts a command in the background. A string runs by `sh -c`; a table is an argv. It ends
--- with the session.
---
---     local task = assert(sb:spawn_background "echo begun; sleep 0.1; echo done")
---     print(assert(task:wait(30)).state)  --> exited
---@param command string|string[]
---
--- Its stdin is empty unless `stdin` says otherwise: bytes, a function that returns some until it
--- returns nil, or true for `task:write` and `task:close_stdin`. When the process that started it
--- ends, a task goes on; of what was to come from a function or from `task:write` it reads the
--- end. Bytes it has whole; on the portable path it has what was passed on until then.
---@param opts { env: table<string, string>?, cwd: string?, user: string?, timeout: number?, grace: number?, ring: integer?, stdin: string|(fun(): string?)|true|nil }? ring: bytes of output that are kept, 64 KiB by default
---@param callback fun(err: axo.Error?, task: axo.Task?)?
---@return axo.Task? task, axo.Error? code "LIMIT" when too many run
function Sandbox:spawn_background(command, opts, callback)
  opts, callback = options.arguments(begin.TASK, opts, callback, "sandbox:spawn_background")
  local argv = begin.command(command, "sandbox:spawn_background", 2)
  return await.call(begin.work, callback, self, "task", argv, opts, task.wrap)
end

--- Starts a program on a terminal of its own: a string runs by `sh -c`, a table is an argv.
---
---     local term = assert(sb:spawn_pty({ "sh" }, { rows = 24, cols = 80 }))
---     assert(term:write "exit\n")
---     print(assert(term:wait(30)).state)  --> exited
---@param command string|string[]
---@param opts { rows: integer?, cols: integer?, env: table<string, string>?, cwd: string?, user: string?, timeout: number?, grace: number?, ring: integer? }? 24 by 80 by default; timeout: seconds until its whole tree is ended; ring: bytes of scrollback, 256 KiB by default
---@param callback fun(err: axo.Error?, terminal: axo.Terminal?)?
---@return axo.Terminal? terminal, axo.Error? code "LIMIT" when too many are open
function Sandbox:spawn_pty(command, opts, callback)
  opts, callback = options.arguments(begin.TERMINAL, opts, callback, "sandbox:spawn_pty")
  local argv = begin.command(command, "sandbox:spawn_pty", 2)
  return await.call(begin.work, callback, self, "terminal", argv, opts, terminal.wrap)
end

local function list(self, kind, wrap)
  local works = self.way:list(kind)
  for i, work in ipairs(works) do works[i] = wrap(work) end
  return works
end

local function find(self, kind, id, wrap)
  local work = self.way:find(kind, id)
  if work then return wrap(work) end
  return nil, errors.new {
    code = "NOT_FOUND", op = "get_" .. kind,
    message = ("there is no %s %s in this session"):format(kind, tostring(id)),
  }
end

--- The session's tasks, oldest first: those that run, and the last that have ended. Those of
--- the user's other processes are among them.
---
---     for _, task in ipairs(sb:list_tasks()) do print(task.id, task:status()) end
---@return axo.Task[]
function Sandbox:list_tasks()
  return list(self, "task", task.wrap)
end

--- A task by its id.
---
---     local same = assert(sb:get_task(task.id))
---     print(same:status())  --> running
---@param id string
---@return axo.Task? task, axo.Error? code "NOT_FOUND"
function Sandbox:get_task(id)
  return find(self, "task", id, task.wrap)
end

--- The session's terminals, oldest first: those that are open, and the last that have ended.
--- Those of the user's other processes are among them; on the portable path only those of this one.
---
---     for _, term in ipairs(sb:list_terminals()) do print(term.id, term:status()) end
---@return axo.Terminal[]
function Sandbox:list_terminals()
  return list(self, "terminal", terminal.wrap)
end

--- A terminal by its id.
---
---     local same = assert(sb:get_terminal(term.id))
---     print(same:status())  --> running
---@param id string
---@return axo.Terminal? terminal, axo.Error? code "NOT_FOUND"
function Sandbox:get_terminal(id)
  return find(self, "terminal", id, terminal.wrap)
end

--- Ends the program on a terminal, with all of its descendants.
---
---     print(assert(sb:kill_terminal(term.id)).state)
---@param id string
---@param callback fun(err: axo.Error?, status: axo.WorkStatus?)?
---@return axo.WorkStatus? status, axo.Error? code "NOT_FOUND"
function Sandbox:kill_terminal(id, callback)
  local found, err = self:get_terminal(id)
  if not found then return nil, err end
  return found:close(nil, callback)
end

--- Kills everything that runs in the session, whoever started it, and leaves the session.
---
---     assert(sb:kill_all())
---     print(sb:exec { "true" })
---@param callback fun(err: axo.Error?, ok: true?)?
---@return true? ok, axo.Error?
function Sandbox:kill_all(callback)
  return await.call(function(done)
    if self.is_stopped then return nil, self.way:stopped_error "kill_all" end
    audit_work.kill(self.way, { target = "session", signal = "KILL" })
    return self.way:kill_all(function(err) done(err, not err or nil) end)
  end, callback)
end

-- ---- what it is ------------------------------------------------------------------------

local function copy(from)
  if from == nil then return nil end
  local copied = {}
  for key, item in pairs(from) do copied[key] = type(item) == "table" and copy(item) or item end
  return copied
end

--- The session's id; of a container that was attached to, the name or id that was given.
---
---     print(sb:id())  --> demo
---@return string
function Sandbox:id() return self.record.id end

--- The session's directory: the same path outside and in the container.
---
---     print(sb:root())  --> /some/project
---@return string
function Sandbox:root() return self.way.root end

--- The container's name.
---
---     print(sb:container())  --> axo-ses-demo
---@return string
function Sandbox:container() return self.record.container end

--- The image that really runs.
---
---     print(sb:image())
---@return string
function Sandbox:image() return self.record.image end

--- Its network: "bridge" (outgoing connections work), "none", or "names": what `sb:allowed()` lists,
--- as policy decides on each. nil of a container that was attached to.
---
---     print(sb:network())  --> none
---@return "bridge"|"none"|"names"|nil
function Sandbox:network()
  if self.record.allow then return "names" end
  local mode = self.record.network or self.record.network_mode
  return mode and (mode == "none" and "none" or "bridge") or nil
end

--- The directories that are mounted besides its own.
---
---     for _, it in ipairs(sb:mounts()) do print(it.source, it.target, it.writable) end
---@return { source: string, target: string, writable: boolean }[]
function Sandbox:mounts() return copy(self.record.extra_mounts or {}) end

--- The ports that are published.
---
---     for _, port in ipairs(sb:ports()) do print("http://127.0.0.1:" .. port) end
---@return integer[]
function Sandbox:ports() return copy(self.record.ports) end

--- The address of this machine that they are published on; nil of a container that was attached to.
---
---     print(sb:publish_address())  --> 127.0.0.1
---@return string?
function Sandbox:publish_address() return self.record.publish_address end

--- What the project calls its ports, by port.
---
---     for port, label in pairs(sb:port_labels()) do print(port, label) end
---@return table<integer, string>
function Sandbox:port_labels() return copy(self.record.port_labels or {}) end

--- What of the project's devcontainer.json is not as it says there: denied, ignored, invalid, or with
--- a reason to know. Empty without such a file.
---
---     for _, it in ipairs(sb:unmet_properties()) do print(it.property, it.status, it.reason) end
---@return axo.DevcontainerReport[]
function Sandbox:unmet_properties() return copy(self.record.unmet_properties or {}) end

--- The limits, as read back from the container's cgroup; `verified` says whether they could be.
---
---     local limits = sb:limits()
---     print(limits.verified, limits.memory and limits.memory.value)
---@return table
function Sandbox:limits() return copy(self.record.limits) end

--- What the container uses just now, read from its cgroup: CPU time, memory, processes. Does
--- not wait.
---
---     local stats, err = sb:stats()
---     print(stats and stats.memory or err.message)
---@return axo.Stats? stats, axo.Error? err code "GONE", "ENOTSUP", "STOPPED"
function Sandbox:stats()
  if self.is_stopped then return nil, self.way:stopped_error "stats" end
  return usage.read(self.record.pid, self.record.container_id)
end

--- What the session had to do without, in the order in which it turned out.
---
---     for _, text in ipairs(sb:warnings()) do print(text) end
---@return string[]
function Sandbox:warnings() return copy(self.record.warnings) end

--- Which way commands go into the container.
---
---     print(sb:path())
---@return "portable"|"native"
function Sandbox:path() return self.way.kind end

-- ---- the end ---------------------------------------------------------------------------

-- What is left to do for the container: closing a session from `open` leaves it, and nothing
-- removes one that was attached to.
local function remover(self, is_closing)
  if self.record.kind == "attached" or is_closing and not self.record.owned then return nil end
  return function(done)
    return ending.remove(self.record, done)
  end
end

-- Who has stopped a session may rely on its events being written.
local function over(self, is_removed, err, done)
  if not audit.is_on or self.was_audited then return done(err, not err or nil) end
  self.was_audited = not err
  audit.emit(is_removed and "session_stop" or "session_close", self.record.id,
    { container = self.record.container, error = err and audit.error_fields(err) or nil })
  audit.flush(FLUSH, function() done(err, not err or nil) end)
end

local function finish(self, is_closing, callback)
  return await.call(function(done)
    local remove = remover(self, is_closing)
    self.is_stopped = true
    network.close(self.way)
    self.way:close(remove, function(err)
      if not remove then ending.release(self.record) end
      over(self, remove ~= nil, err, done)
    end)
    return true
  end, callback)
end

--- Ends the session, whoever started it, and removes its container. Whatever is in flight ends
--- with code "STOPPED". A container that was attached to is only let go of. Idempotent.
---
---     assert(sb:stop())
---@param callback fun(err: axo.Error?, ok: true?)?
---@return true? ok, axo.Error?
function Sandbox:stop(callback)
  return finish(self, false, callback)
end

--- At the end of a `<close>` variable's scope: as `stop` for a session that was started here;
--- one from `open` ends what it started itself and lets go. Inside a callback nothing can wait:
--- there the session goes on ending after the scope.
function Sandbox:__close()
  local function report(err)
    if err then log.emit("warn", "closing a session: " .. tostring(err)) end
  end
  if uv.loop_mode() and not coroutine.isyieldable() then return finish(self, true, report) end
  local _, err = finish(self, true)
  report(err)
end

function Sandbox:__tostring()
  return ("axo.sandbox %s (%s)"):format(self.record.id, self.record.container)
end

return session
