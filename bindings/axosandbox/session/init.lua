--- The session object: what a person who started, opened or attached to a container holds. It
--- speaks to a way into it (way/init.lua) and never asks which one it is.
local uv = require "luv"
local core = require "axosandbox.core"
local audit = require "axosandbox.audit"
local audit_work = require "axosandbox.audit.work"
local await = require "axosandbox.base.await"
local ending = require "axosandbox.session.ending"
local errors = require "axosandbox.base.errors"
local files = require "axosandbox.session.files"
local git = require "axosandbox.base.text.git"
local locale = require "axosandbox.host.locale"
local log = require "axosandbox.base.log"
local options = require "axosandbox.base.options"
local search = require "axosandbox.session.search"
local shell = require "axosandbox.base.text.shell"
local pending = require "axosandbox.session.work.pending"
local roots = require "axosandbox.way.root"
local task = require "axosandbox.session.work.task"
local terminal = require "axosandbox.session.work.terminal"
local unmet = require "axosandbox.policy.unmet"
local usage = require "axosandbox.session.usage"

local session = {}

-- Seconds that the end of a session waits for the audit log.
local FLUSH = 1

---@class axo.Sandbox
---@field private record axo.Record
---@field private way axo.Way
local Sandbox = { __name = "axo.sandbox" }
Sandbox.__index = Sandbox

for _, group in ipairs { files.methods, search.methods } do
  for name, method in pairs(group) do Sandbox[name] = method end
end

--- Makes the session object of a record.
---@param record axo.Record
---@param way axo.Way
---@return axo.Sandbox
function session.new(record, way)
  return setmetatable({ record = record, way = way, is_stopped = false }, Sandbox)
end

--- The record that a session object was made of.
---@param sb axo.Sandbox
---@return axo.Record
function session.record(sb)
  return sb.record
end

-- ---- options ---------------------------------------------------------------------------

local function check_name(name)
  if name:match "^[%a_][%w_]*$" then return nil end
  return ("%q is not the name of a variable"):format(name)
end

local function check_env(env)
  for name, value in pairs(env) do
    if type(name) ~= "string" then return "names of variables must be strings" end
    if value:find("\0", 1, true) then return name .. " holds a NUL byte" end
    local problem = check_name(name)
    if problem then return problem end
  end
end

local NAME = {
  type = "string", check = function(word) return word == "" and "it is empty" or nil end,
}

local function shape(extra)
  local common = {
    env = { type = "table", values = "string", check = check_env },
    cwd = NAME,
    user = NAME,
    timeout = { type = "number", min = 0 },
    grace = { type = "number", min = 0, max = 3600 },
  }
  for key, rule in pairs(extra) do common[key] = rule end
  return common
end

local RING = { type = "integer", min = 4096, max = 64 * 1024 * 1024 }
local SIDE = { type = "integer", min = 1, max = 65535 }

local EXEC_SHAPE = shape {
  stdin = "string|function",
  on_stdout = "function",
  on_stderr = "function",
  max_output = { type = "integer", min = 1 },
  on_limit = { type = "string", one_of = { "truncate", "kill" } },
}
local TASK_SHAPE = shape {
  ring = RING,
  stdin = {
    type = "string|function|boolean",
    check = function(value) return value == false and "it is false; leave it out" or nil end,
  },
}
local PTY_SHAPE = shape { ring = RING, rows = SIDE, cols = SIDE }

local ARGV_SHAPE = { argv = { type = "table", required = true, items = "string" } }

-- A copy, so that nobody changes it meanwhile.
local function words_of(argv, where, level)
  local words = core.words(argv)
  if not words then
    local problem = options.validate(ARGV_SHAPE, { argv = argv }, where)
    if problem then error(problem, level + 1) end
    words = table.move(argv, 1, #argv, 1, {})
  end
  if #words == 0 then error(where .. ": the argv is empty", level + 1) end
  return words
end

-- A string is a shell's command line; a table is an argv.
local function command_of(command, where, level)
  if type(command) == "string" then return shell.argv(command) end
  local words = words_of(command, where, level + 1)
  return words
end

local function absolute(path, root, default)
  if path == nil then return default or root end
  if path:sub(1, 1) == "/" then return path end
  return root .. "/" .. path
end

-- ---- policy ----------------------------------------------------------------------------

local function names_of(env)
  local names = {}
  if not env then return names end
  for name in pairs(env) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function denied(record, spec, kind, reason)
  audit.emit("denied", record.id, {
    kind = kind, argv = spec.argv, cwd = spec.cwd, user = spec.user, reason = reason,
    by = record.policy:source "exec",
  })
  return nil, errors.new {
    code = "DENIED", op = kind,
    message = ("policy does not allow %s: %s"):format(spec.argv[1], reason or "no reason given"),
  }
end

local NONE = {}

-- What policy is asked about a command: nothing in it is held by anybody else.
local function request_of(record, spec, kind)
  local own = kind == "exec" and record.exec or NONE
  local request = {
    argv = core.words(spec.argv), kind = kind, cwd = spec.cwd, env_names = names_of(spec.env),
    id = record.id, dir = record.dir,
    timeout = spec.timeout or own.timeout, max_output = spec.max_output or own.max_output,
  }
  request.user = spec.user or record.user
  return record.policy:complete("exec", request)
end

-- Asks policy: its answer bounds the command.
local function permit(self, spec, kind)
  local record = self.record
  local decision, err = record.policy:decide_fresh("exec", function()
    return request_of(record, spec, kind)
  end)
  if not decision then return nil, err end
  if not decision.allow then return denied(record, spec, kind, decision.reason) end
  unmet.tell(record, kind, spec, decision)
  spec.timeout, spec.max_output = decision.timeout, decision.max_output
  spec.env = locale.with_default(spec.env, record)
  return spec
end

-- Defaults come with the repository: they do not take the place of a secret.
local function environment(record, own)
  local defaults = record.defaults and record.defaults.env
  if not defaults and not record.env then return own end
  local merged = {}
  for name, value in pairs(record.env or NONE) do merged[name] = value end
  for name, value in pairs(defaults or NONE) do
    if not (record.secrets and record.secrets.values[name]) then merged[name] = value end
  end
  for name, value in pairs(own or NONE) do merged[name] = value end
  return merged
end

-- Where it is to run: absolute, and relative to the directory of a handle that is confined to it.
local function place(way, cwd, default, kind)
  if not way.base then return absolute(cwd, way.root, default) end
  local relative, err = files.confine(cwd or way.root, way.root, kind)
  if not relative then return nil, err end
  local base = way.base:gsub("/$", "")
  return relative == "." and way.base or base .. "/" .. relative, relative
end

-- The spec of a piece of work, or nil, err.
local function prepare(self, argv, opts, kind)
  if self.is_stopped then return nil, self.way:stopped_error(kind) end
  local lost = roots.lost(self.way, kind)
  if lost then return nil, lost end
  local defaults = self.record.defaults or NONE
  local cwd, within = place(self.way, opts.cwd, defaults.cwd, kind)
  if not cwd then return nil, within end
  local spec = {
    argv = argv, cwd = cwd, within = within,
    timeout = opts.timeout, max_output = opts.max_output,
  }
  spec.user, spec.secrets = opts.user or defaults.user, self.record.secrets
  spec.env = environment(self.record, opts.env)
  local known = within and self.record.mounted
  if known then spec.env = git.trusting(spec.env, { known.dir, self.way.base }) end
  for key, value in pairs(opts) do
    if spec[key] == nil then spec[key] = value end
  end
  return permit(self, spec, kind)
end

-- A way knows that a command could not be given its directory or its user; here is which.
local function named(err, spec, root)
  if not err then return nil end
  if err.code == "NO_DIRECTORY" then
    err.message = err.message:gsub("working directory", function(words)
      return words .. " " .. (spec.cwd or root)
    end, 1)
  elseif err.code == "NO_USER" and spec.user then
    local at = err.message:find("no such user", 1, true) or 1
    local _, stop = err.message:find(" in the container", at, true)
    err.message = err.message:sub(1, stop) .. ": " .. spec.user
  end
  return err
end

-- ---- commands --------------------------------------------------------------------------

local function begin_exec(finish, self, argv, opts)
  local spec, err = prepare(self, argv, opts, "exec")
  if not spec then return nil, err end
  local function done(problem, result)
    finish(named(problem, spec, self.way.root), result)
  end
  local function start()
    if audit.is_on() then return audit_work.exec(self.record, self.way, spec, done) end
    return self.way:exec(spec, done)
  end
  if not spec.within then return start() end
  return pending.start(function(ready, fail)
    return roots.within(self.way, spec.within, ready, fail)
  end, start, done)
end

local function run(self, argv, opts, callback)
  return await.call(begin_exec, callback, self, argv, opts)
end

---@class axo.ExecOptions
---@field timeout number? seconds; policy's default otherwise. 0: none
---@field grace number? seconds between TERM and KILL, 2 by default
---@field env table<string, string>? beside the session's own
---@field cwd string? absolute in the container, or relative to the session's directory; of a handle from `axo.attach`, inside its directory (code "OUTSIDE")
---@field user string? NAME|UID[:GROUP|GID]
---@field stdin string|(fun(): string?)|nil bytes, or a function that returns some until it returns nil; with a callback, "pipe" leaves stdin open for h:write
---@field on_stdout fun(bytes: string)? gets the bytes as they come, instead of the result
---@field on_stderr fun(bytes: string)?
---@field max_output integer? bytes kept of each stream; what is beyond is dropped
---@field on_limit "truncate"|"kill"|nil "kill": ends the command at that limit

--- Runs a command and waits for its end. An exit code, a signal, a timeout are results, not
--- errors: see `r:ok()`.
---
--- With a callback it returns a handle: `h:cancel()`, `h:signal("INT")`, `h:write(bytes)`,
--- `h:close_stdin()`. A timeout, a cancel and a limit end the command's whole tree inside the
--- container, before the result comes. Codes: "NOT_FOUND", "NOT_EXECUTABLE", "NO_DIRECTORY",
--- "NO_USER", "DENIED" and "POLICY", "CALLBACK" (a function of the options raised), "GONE" (the
--- container vanished), "NO_ROOT" (the session's directory was removed, moved or replaced), "TIMEOUT" (it was to be killed, and the container, paused perhaps, does
--- not answer), "STOPPED", "PODMAN".
---@param argv string[]
---@param opts axo.ExecOptions?
---@param callback fun(err: axo.Error?, result: axo.Result?)?
---@return axo.Result|axo.Exec|nil result, axo.Error?
function Sandbox:exec(argv, opts, callback)
  opts, callback = options.arguments(opts, callback)
  opts = options.check(EXEC_SHAPE, opts, "sandbox:exec", 2)
  argv = words_of(argv, "sandbox:exec", 2)
  if callback and opts.stdin == "pipe" then
    local open = {}
    for key, value in pairs(opts) do open[key] = value end
    open.stdin = true
    opts = open
  end
  return run(self, argv, opts, callback)
end

--- The same with `bytes`, whatever they are, as stdin.
---@param argv string[]
---@param bytes string
---@param opts axo.ExecOptions?
---@param callback fun(err: axo.Error?, result: axo.Result?)?
---@return axo.Result|axo.Exec|nil result, axo.Error?
function Sandbox:exec_stdin(argv, bytes, opts, callback)
  opts, callback = options.arguments(opts, callback)
  opts = options.check(EXEC_SHAPE, opts, "sandbox:exec_stdin", 2)
  argv = words_of(argv, "sandbox:exec_stdin", 2)
  if type(bytes) ~= "string" then
    error("sandbox:exec_stdin: the bytes must be a string, got " .. type(bytes), 2)
  end
  local given = {}
  for key, value in pairs(opts) do given[key] = value end
  given.stdin = bytes
  return run(self, argv, given, callback)
end

-- ---- tasks and terminals ---------------------------------------------------------------

local function begin(self, kind, argv, opts, wrap, callback)
  return await.call(function(done)
    local spec, err = prepare(self, argv, opts, kind)
    if not spec then return nil, err end
    local function finish(problem, work)
      problem = named(problem, spec, self.way.root)
      if audit.is_on() then audit_work.started(self.record, kind, spec, problem, work) end
      done(problem, work and wrap(work))
    end
    local started
    if spec.within then
      started, err = roots.within(self.way, spec.within, function()
        local ok, problem = self.way:start(kind, spec, finish)
        if not ok then finish(problem) end
      end, finish)
    else
      started, err = self.way:start(kind, spec, finish)
    end
    if not started and audit.is_on() then audit_work.started(self.record, kind, spec, err) end
    return started, err
  end, callback)
end

--- Starts a command in the background. A string runs by `sh -c`; a table is an argv. It ends
--- with the session.
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
  opts, callback = options.arguments(opts, callback)
  opts = options.check(TASK_SHAPE, opts, "sandbox:spawn_background", 2)
  local argv = command_of(command, "sandbox:spawn_background", 2)
  return begin(self, "task", argv, opts, task.wrap, callback)
end

--- Starts a program on a terminal of its own: a string runs by `sh -c`, a table is an argv.
---@param command string|string[]
---@param opts { rows: integer?, cols: integer?, env: table<string, string>?, cwd: string?, user: string?, timeout: number?, grace: number?, ring: integer? }? 24 by 80 by default; timeout: seconds until its whole tree is ended; ring: bytes of scrollback, 256 KiB by default
---@param callback fun(err: axo.Error?, terminal: axo.Terminal?)?
---@return axo.Terminal? terminal, axo.Error? code "LIMIT" when too many are open
function Sandbox:spawn_pty(command, opts, callback)
  opts, callback = options.arguments(opts, callback)
  opts = options.check(PTY_SHAPE, opts, "sandbox:spawn_pty", 2)
  local argv = command_of(command, "sandbox:spawn_pty", 2)
  return begin(self, "terminal", argv, opts, terminal.wrap, callback)
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
---@return axo.Task[]
function Sandbox:list_tasks()
  return list(self, "task", task.wrap)
end

---@param id string
---@return axo.Task? task, axo.Error? code "NOT_FOUND"
function Sandbox:get_task(id)
  return find(self, "task", id, task.wrap)
end

--- The session's terminals, oldest first: those that are open, and the last that have ended.
--- Those of the user's other processes are among them; on the portable path only this handle's.
---@return axo.Terminal[]
function Sandbox:list_terminals()
  return list(self, "terminal", terminal.wrap)
end

---@param id string
---@return axo.Terminal? terminal, axo.Error? code "NOT_FOUND"
function Sandbox:get_terminal(id)
  return find(self, "terminal", id, terminal.wrap)
end

--- Ends the program on a terminal, with all of its descendants.
---@param id string
---@param callback fun(err: axo.Error?, status: axo.SourceStatus?)?
---@return axo.SourceStatus? status, axo.Error? code "NOT_FOUND"
function Sandbox:kill_terminal(id, callback)
  local found, err = self:get_terminal(id)
  if not found then return nil, err end
  return found:close(nil, callback)
end

--- Kills everything that runs in the session, whoever started it, and leaves the session.
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

local function copy(value)
  if type(value) ~= "table" then return value end
  local copied = {}
  for key, item in pairs(value) do copied[key] = copy(item) end
  return copied
end

--- The session's id; of a container that was attached to, the name or id that was given.
---@return string
function Sandbox:id() return self.record.id end

--- The session's directory: the same path outside and in the container.
---@return string
function Sandbox:root() return self.way.root end

--- The container's name.
---@return string
function Sandbox:container() return self.record.container end

--- The image that really runs.
---@return string
function Sandbox:image() return self.record.image end

--- The ports that are published.
---@return integer[]
function Sandbox:ports() return copy(self.record.ports) end

--- What the project calls its ports, by port.
---@return table<integer, string>
function Sandbox:port_labels() return copy(self.record.port_labels or {}) end

--- The limits, as read back from the container's cgroup; `verified` says whether they could be.
---@return table
function Sandbox:limits() return copy(self.record.limits) end

--- What the container uses just now, read from its cgroup: CPU time, memory, processes. Does
--- not wait.
---@return axo.Stats? stats, axo.Error? err code "GONE", "ENOTSUP", "STOPPED"
function Sandbox:stats()
  if self.is_stopped then return nil, self.way:stopped_error "stats" end
  return usage.read(self.record.pid, self.record.container_id)
end

--- What the session had to do without, in the order in which it turned out.
---@return string[]
function Sandbox:warnings() return copy(self.record.warnings) end

--- Which way commands go into the container.
---@return "portable"|"native"
function Sandbox:path() return self.way.kind end

-- ---- the end ---------------------------------------------------------------------------

-- What is left to do for the container: closing a handle from `open` leaves it, and nothing
-- removes one that was attached to.
local function remover(self, is_closing)
  if self.record.kind == "attached" or is_closing and not self.record.owned then return nil end
  return function(done)
    return ending.remove(self.record, done)
  end
end

-- Who has stopped a session may rely on its events being written.
local function over(self, is_removed, err, done)
  if not audit.is_on() or self.was_audited then return done(err, not err or nil) end
  self.was_audited = not err
  audit.emit(is_removed and "session_stop" or "session_close", self.record.id,
    { container = self.record.container, error = err and audit.error_fields(err) or nil })
  audit.flush(FLUSH, function() done(err, not err or nil) end)
end

local function finish(self, is_closing, callback)
  return await.call(function(done)
    local remove = remover(self, is_closing)
    self.is_stopped = true
    self.way:close(remove, function(err)
      if not remove then ending.release(self.record) end
      over(self, remove ~= nil, err, done)
    end)
    return true
  end, callback)
end

--- Ends the session, whoever started it, and removes its container. Whatever is in flight ends
--- with code "STOPPED". A container that was attached to is only let go of. Idempotent.
---@param callback fun(err: axo.Error?, ok: true?)?
---@return true? ok, axo.Error?
function Sandbox:stop(callback)
  return finish(self, false, callback)
end

--- At the end of a `<close>` variable's scope: as `stop` for a handle that started its session;
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
