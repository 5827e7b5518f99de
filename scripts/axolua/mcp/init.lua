--- axolua mcp: a sandbox as the tools of an agent, over stdin and stdout.
local uv = require "luv"
local axo = require "axosandbox"
local channel = require "axolua.mcp.protocol.channel"
local cli = require "axolua.cli"
local console = require "axolua.view.console"
local devcontainer = require "axolua.sandbox.devcontainer"
local sandbox = require "axolua.sandbox"
local start_options = require "axolua.sandbox.options"
local server = require "axolua.mcp.protocol.server"
local session = require "axolua.mcp.session"
local signals = require "axolua.cli.signals"
local tools = require "axolua.mcp.tools"

-- Seconds: for what is under way when stdin ends, and for a client that does not read.
local DRAIN, FLUSH = 5, 0.5
local DEFAULT_TIMEOUT = 120

local function parser()
  local p = cli.parser("mcp", "Serves a sandbox to an agent by the Model Context Protocol: "
    .. "JSON-RPC messages on stdin and stdout, one a line; the log on stderr. The container is "
    .. "started, in the background, once a client has introduced itself, as the project's "
    .. "devcontainer.json has it and policy allows; it is removed at the end of stdin, and by "
    .. "SIGTERM or SIGINT.")
  start_options.add(p, "Seconds that a command of the bash tool may take unless it says otherwise; "
    .. "120 by default.")
  return p
end

-- A start that fails is tried again by each call: what is wrong is logged once.
local function complainer()
  local said
  return function(err)
    if tostring(err) == said then return end
    said = tostring(err)
    cli.fail(err)
  end
end

local function hooks(log, complain)
  return {
    on_begin = function() log:begin "starting the session" end,
    on_ready = function(sb)
      log:settle()
      log:receive("info", ("the sandbox is ready: %s"):format(sb:container()))
    end,
    on_failure = function(err)
      log:settle()
      if err.code ~= "CANCELLED" then complain(err) end
    end,
  }
end

-- Waits until stdin ends, stdout is closed or a signal comes: `how` it is to end.
local function serve(channel_of, guard, ending)
  return axo.async.first(function(done)
    ending.finish = function(how) done(nil, how) end
    guard:on_signal(function() ending.finish "signal" end)
    channel_of:start()
    return true
  end)
end

local function leave(parts, how, keep)
  parts.channel:stop()
  if how == "end" then parts.server:drain(DRAIN) end
  parts.server:cancel_all()
  local ok, err = parts.session:stop(keep)
  if how ~= "broken" then parts.channel:flush(FLUSH) end
  parts.channel:close()
  if ok then return 0 end
  return cli.fail(err)
end

-- What is to be started: the options, with what the project says. Asked again until it is known;
-- from then on what a command of the agent writes there is for the next server.
local function planner(args)
  local plan
  return function()
    if plan then return plan end
    local options, err = sandbox.start_options(args)
    if not options then return nil, err end
    local ok
    ok, err = axo.check.directory(options.dir)
    if not ok then return nil, err end
    -- stdin is the client's, also where it is a terminal.
    options.confirm = nil
    local description, failure = devcontainer.read(options, args)
    if failure then return nil, failure end
    plan = { options = options, description = description }
    return plan
  end
end

-- How a session is started. What is wrong with it is said at once, and is what the tools answer:
-- a server that ends without an answer looks broken to its client.
local function starter(args, complain)
  local plan_of = planner(args)
  local plan, problem = plan_of()
  if not plan then complain(problem) end
  return function(done)
    local err
    plan, err = plan_of()
    if not plan then return nil, err end
    if plan.description then return devcontainer.start(plan.description, args, done) end
    return axo.start(plan.options, done)
  end
end

local function greet()
  if uv.guess_handle(0) ~= "tty" then return end
  cli.say "waiting for an MCP client's messages on stdin, JSON-RPC, one a line; ctrl-d ends it"
  cli.say "agents start this command, by their configuration; axolua mcp --help says more"
end

local function assemble(args, log, ending)
  local parts, complain = {}, complainer()
  parts.session = session.new(starter(args, complain), hooks(log, complain))
  parts.channel = channel.open {
    on_message = function(kind, value) parts.server:receive(kind, value) end,
    on_end = function() ending.finish "end" end,
    on_broken = function() ending.finish "broken" end,
  }
  parts.server = server.new {
    send = function(line) parts.channel:send(line) end,
    is_congested = function() return parts.channel:is_congested() end,
    session = parts.session, limit = channel.MAX_LINE,
    tools = tools.new { timeout = args.timeout or DEFAULT_TIMEOUT },
  }
  return parts
end

local function main(arguments)
  local args = cli.parse(parser(), arguments)
  axo.preload()
  local log = console.open(args)
  local guard = signals.guard(function()
    cli.say("ended at once: the container may still be there; `axolua ps` shows it, and "
      .. "`axolua stop ID` removes it")
  end)
  local ending = {}
  local parts = assemble(args, log, ending)
  greet()
  local how = serve(parts.channel, guard, ending)
  -- A signal while it ends cuts short what it waits for.
  guard:on_signal(function()
    if parts.server.stop_waiting then parts.server.stop_waiting() end
  end)
  local code = leave(parts, how, args.keep)
  local by_signal = guard:code()
  guard:close()
  axo.set_logger(nil)
  return by_signal or code
end

return { summary = "serve a sandbox to an agent (MCP)", parser = parser, main = main }
