--- Sessions as the commands `run` and `shell` have them: made from the command line, removed
--- on every way out.
local uv = require "luv"
local axo = require "axosandbox"
local cli = require "axolua.cli"
local command_options = require "axolua.cli.command_options"
local confirm = require "axolua.sandbox.confirm"
local console = require "axolua.view.console"
local record = require "axolua.view.record"
local defaults = require "axolua.sandbox.defaults"
local devcontainer = require "axolua.sandbox.devcontainer"
local learn = require "axolua.sandbox.learn"
local here = require "axolua.cli.here"
local signals = require "axolua.cli.signals"
local terminal = require "axolua.view.terminal"

local sandbox = {}

-- A name that tells a person which project it is, and no two runs share.
local function new_id(dir)
  -- linear: a real path, whose names are short.
  local base = (dir:match "([^/]+)/*$" or "session"):gsub("[^A-Za-z0-9_.-]+", "-")
  base = base:gsub("^[^A-Za-z0-9]+", ""):sub(1, 40):match "^.*[A-Za-z0-9]" or ""
  if base == "" then base = "session" end
  return ("%s-%08x"):format(base, string.unpack("I4", uv.random(4)))
end

-- The secrets that --env-from named.
local function secret_sources(given)
  local sources
  for _, pair in ipairs(given or {}) do
    sources = sources or {}
    local name, source = pair[1], pair[2]
    sources[name] = source.file and { file = here.absolute(source.file) } or source
  end
  return sources
end

local function has_limits(args)
  return args.memory or args.cpus or args.pids
end

-- The project's own (`axolua image use`); a file of the project that was chosen has one itself.
local function agreed_image(dir, args)
  local agreed = not args.devcontainer and axo.images.of(dir)
  return agreed and agreed.image or nil
end

local function too_much()
  return {
    op = "start", code = "INVALID",
    message = "--network bridge reaches every name, and --allow some",
    hint = "leave out one of them",
  }
end

--- The options of `axo.start` for a parsed command line, and for the defaults where it says
--- nothing: they are put into it.
---@param args table
---@return table? options
---@return axo.Error? err the defaults cannot be used
function sandbox.start_options(args)
  local dir = here.absolute(args.dir or ".")
  if args.allow and args.allow[1] then
    if args.network == "bridge" then return nil, too_much() end
    args.network = { allow = args.allow }
  end
  args.image = args.image or agreed_image(dir, args)
  local narrow, err = defaults.apply(args, dir)
  if err then return nil, err end
  return {
    id = args.id or new_id(dir),
    dir = dir,
    image = args.image,
    narrow = narrow,
    ports = args.port,
    mounts = args.volume,
    optional = { ports = args.optional_port },
    env = command_options.environment(args, dir, args.volume),
    env_from = secret_sources(args.env_from),
    confirm = confirm.is_possible() and confirm.ask or nil,
    reuse = args.keep and args.id ~= nil or nil,
    keep = args.keep,
    policy = {
      network = args.network,
      user = args.user,
      allow_mounts = args.allow_mount,
      allow_writable_mounts = args.allow_writable_mount,
      allow_untrusted_image = args.allow_untrusted_image,
      allow_post_create = args.allow_post_create,
      require_resource_limits = args.require_resource_limits,
      local_env = args.local_env,
      project_env = args.project_env,
      shm_size = args.shm_size,
      limits = has_limits(args) and { memory = args.memory, cpus = args.cpus, pids = args.pids }
        or nil,
    },
  }
end

local function start(options, guard)
  return axo.async.call(function(done)
    -- What it raises is a wrong option, and the options are the user's.
    local ok, handle, err = pcall(axo.start, options, done)
    if not ok then return nil, { op = "start", message = cli.without_position(handle) } end
    if handle then guard:on_signal(function() handle:cancel() end) end
    return handle, err
  end)
end

local function stop(sb, log)
  log:begin("ending the session")
  local ok, err = sb:stop()
  log:settle()
  if ok then return end
  cli.fail(err)
  cli.say("the session may still run; `axolua ps` shows it and `axolua stop ID` removes it")
end

-- What was to be kept and is not goes on where it went on before us.
local function let_go(sb)
  local _ <close> = sb
end

-- They end with this process.
local function tell_of_forwards(sb, id)
  for _, it in ipairs(sb:forwards()) do
    cli.say(("port %d is reached no longer; axolua port %s %d forwards it"):format(it.port, id,
      it.port))
  end
end

local function finish(sb, args, id, log)
  if args.keep == false then return let_go(sb) end
  if not args.keep then return stop(sb, log) end
  tell_of_forwards(sb, id)
  -- Nobody else tells a name that was made up.
  if args.quiet and (args.id or args.detach) then return end
  if args.quiet then return cli.say("the session " .. id .. " goes on") end
  cli.say(("the session %s goes on: axolua exec %s COMMAND; axolua stop %s"):format(id, id, id))
end

--- What the project's devcontainer.json wants besides, put into the options.
---@param options axo.StartOptions
---@param args table
---@return axo.Devcontainer? description nil: there is none
---@return integer? code it cannot be used, which has been said
function sandbox.consult_project(options, args)
  local description, err = devcontainer.read(options, args)
  if err then return nil, cli.fail(err) end
  return description
end

-- A start takes the place of what a host that is gone has left under its name. With a name that
-- somebody chose that may be what `--keep` was for.
local function is_taken(args)
  if not args.id or args.keep then return nil end
  -- What is wrong with podman is for the start to say.
  for _, session in ipairs(axo.list() or {}) do
    local goes_on = session.running or session.state == "paused"
    if session.id == args.id and goes_on and not session.in_use then return session end
  end
end

local function refuse(session)
  return cli.fail {
    op = "start",
    message = ("the session %s runs already, over %s, and would be lost"):format(
      session.id, session.dir),
    hint = ("axolua exec %s COMMAND uses it, run --keep with its --id and --dir too; "
      .. "axolua stop %s ends it"):format(session.id, session.id),
  }
end

local function new_guard()
  return signals.guard(function()
    terminal.restore()
    cli.say("ended at once: the container may still be there; `axolua ps` shows it, and "
      .. "`axolua stop ID` removes it")
  end)
end

--- Starts a session, lets `work` use it, and removes it again, also after errors and
--- signals; in a coroutine.
---@param args table the parsed command line
---@param work fun(sb: axo.Session, guard: cli.Guard, notices: string[]): integer
---@return integer code
function sandbox.with(args, work)
  local taken = is_taken(args)
  if taken then return refuse(taken) end
  local log = console.open(args)
  local guard = new_guard()
  local options, problem = sandbox.start_options(args)
  local description, failed
  if options then
    description, failed = sandbox.consult_project(options, args)
  else
    failed = cli.fail(problem)
  end
  if failed then
    guard:close()
    return failed
  end
  local learnt = args.learn and learn.begin(options)
  log:begin("starting the session")
  local sb, err = start(options, guard)
  log:settle()
  guard:on_signal(nil)
  if not sb then
    if args.json then record.failure(err) end
    local code = guard:code() or cli.fail(err)
    guard:close()
    return code
  end
  local ok, result = true, guard:code()
  result = result or description and devcontainer.enter(sb, description, args, guard) or nil
  if not result then
    ok, result = xpcall(work, debug.traceback, sb, guard, devcontainer.notices(description))
  end
  guard:on_signal(nil)
  finish(sb, args, options.id, log)
  if learnt then learnt:tell() end
  guard:close()
  if not ok then error(result, 0) end
  return result
end

return sandbox
