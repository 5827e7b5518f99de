--- How a command, a task or a terminal is begun: what its options may be, where it runs and with
--- which variables, what policy says, and the way that runs it.
local core = require "axosandbox.core"
local audit = require "axosandbox.audit"
local audit_work = require "axosandbox.audit.work"
local errors = require "axosandbox.base.errors"
local files = require "axosandbox.session.files"
local git = require "axosandbox.base.text.git"
local listening = require "axosandbox.network.listening"
local options = require "axosandbox.base.options"
local roots = require "axosandbox.way.root"
local shell = require "axosandbox.base.text.shell"
local unmet = require "axosandbox.policy.unmet"

local begin = {}

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

--- What the options of each may be.
begin.EXEC = shape {
  stdin = "string|function",
  on_stdout = "function",
  on_stderr = "function",
  max_output = { type = "integer", min = 1 },
  on_limit = { type = "string", one_of = { "truncate", "kill" } },
}
begin.TASK = shape {
  ring = RING,
  stdin = {
    type = "string|function|boolean",
    check = function(value) return value == false and "it is false; leave it out" or nil end,
  },
}
begin.TERMINAL = shape { ring = RING, rows = SIDE, cols = SIDE }

local ARGV_SHAPE = { argv = { type = "table", required = true, items = "string" } }

--- An argv that was given, copied so that nobody changes it meanwhile.
---@param argv string[]
---@param where string the call, for a mistake in it
---@param level integer whose mistake it is
---@return string[]
function begin.words(argv, where, level)
  local words = core.words(argv)
  if not words then
    if type(argv) == "string" then
      error(('%s: the argv is a string; it must be a list of words. For a command line: '
        .. '{ "sh", "-c", "..." }'):format(where), level + 1)
    end
    local problem = options.validate(ARGV_SHAPE, { argv = argv }, where)
    if problem then error(problem, level + 1) end
    words = table.move(argv, 1, #argv, 1, {})
  end
  if #words == 0 then error(where .. ": the argv is empty", level + 1) end
  return words
end

--- The same; a string is a shell's command line.
---@param command string|string[]
---@param where string
---@param level integer
---@return string[]
function begin.command(command, where, level)
  if type(command) == "string" then return shell.argv(command) end
  local words = begin.words(command, where, level + 1)
  return words
end

-- ---- policy ----------------------------------------------------------------------------

local function names_of(env)
  local names = {}
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

-- Asks policy, which gets copies: its answer bounds the command.
local function permit(self, spec, kind)
  local record = self.record
  local own = kind == "exec" and record.exec or NONE
  local decision, err = record.policy:decide_own("exec", {
    argv = spec.argv, kind = kind, cwd = spec.cwd, user = spec.user or record.user,
    env_names = spec.env and names_of(spec.env) or {}, id = record.id, dir = record.dir,
    timeout = spec.timeout or own.timeout, max_output = spec.max_output or own.max_output,
  })
  if not decision then return nil, err end
  if not decision.allow then return denied(record, spec, kind, decision.reason) end
  if spec.timeout and spec.timeout ~= decision.timeout
    or spec.max_output and spec.max_output ~= decision.max_output then
    unmet.tell(record, kind, spec, decision)
  end
  spec.timeout, spec.max_output = decision.timeout, decision.max_output
  return spec
end

-- Defaults come with the repository: they do not take the place of a secret.
local function environment(record, own)
  local merged = {}
  for name, value in pairs(record.env or NONE) do merged[name] = value end
  for name, value in pairs(record.defaults and record.defaults.env or NONE) do
    if not (record.secrets and record.secrets.values[name]) then merged[name] = value end
  end
  for name, value in pairs(own or NONE) do merged[name] = value end
  return merged
end

-- The directory of a session that is confined to its own: absolute, and relative to that.
local function confined(way, cwd, kind)
  local relative, err = files.confine(cwd or way.root, way.root, kind)
  if not relative then return nil, err end
  local base = way.base
  return relative == "." and base or base:gsub("/$", "") .. "/" .. relative, relative
end

-- The spec of a piece of work, or nil, err.
local function prepare(self, argv, opts, kind)
  local record, way = self.record, self.way
  if self.is_stopped then return nil, way:stopped_error(kind) end
  local lost = roots.lost(way, kind)
  if lost then return nil, lost end
  local defaults = record.defaults or NONE
  local cwd, within = opts.cwd, nil
  if way.base then
    cwd, within = confined(way, cwd, kind)
    if not cwd then return nil, within end
  elseif not cwd then
    cwd = defaults.cwd or way.root
  elseif cwd:sub(1, 1) ~= "/" then
    cwd = way.root .. "/" .. cwd
  end
  local spec = {}
  for key, value in pairs(opts) do spec[key] = value end
  spec.argv, spec.cwd, spec.within = argv, cwd, within
  spec.user, spec.secrets = opts.user or defaults.user, record.secrets
  if record.env or record.defaults then spec.env = environment(record, opts.env) end
  local known = within and record.mounted
  if known then spec.env = git.trusting(spec.env, { known.dir, way.base }) end
  return permit(self, spec, kind)
end

-- A way knows that a command could not be given its directory or its user; here is which.
local function named(err, spec, root)
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

-- ---- beginning ---------------------------------------------------------------------------

--- Begins a command in the foreground.
---@param finish fun(err: axo.Error?, result: axo.Result?)
---@param self axo.Session
---@param argv string[]
---@param opts table
---@return axo.Exec? exec, axo.Error?
function begin.exec(finish, self, argv, opts)
  local spec, err = prepare(self, argv, opts, "exec")
  if not spec then return nil, err end
  local way = self.way
  local function done(problem, result)
    if way.listen_watch then listening.poke(way) end
    finish(problem and named(problem, spec, way.root), result)
  end
  if audit.is_on then return audit_work.exec(self.record, way, spec, done) end
  return way:exec(spec, done)
end

--- Begins a task or a terminal.
---@param done fun(err: axo.Error?, work: axo.Task|axo.Terminal|nil)
---@param self axo.Session
---@param kind "task"|"terminal"
---@param argv string[]
---@param opts table
---@param wrap fun(work: axo.Work): axo.Task|axo.Terminal
---@return true? begun, axo.Error?
function begin.work(done, self, kind, argv, opts, wrap)
  local spec, err = prepare(self, argv, opts, kind)
  if not spec then return nil, err end
  local way = self.way
  local function finish(problem, work)
    problem = problem and named(problem, spec, way.root)
    if audit.is_on then audit_work.started(self.record, kind, spec, problem, work) end
    done(problem, work and wrap(work))
  end
  local started
  started, err = way:start(kind, spec, finish)
  if not started and audit.is_on then audit_work.started(self.record, kind, spec, err) end
  return started, err
end

return begin
