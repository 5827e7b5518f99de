--- axolua exec: a command in a session that runs already.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local command_options = require "axolua.cli.command_options"
local detached = require "axolua.sandbox.detached"
local foreground = require "axolua.sandbox.foreground"
local console = require "axolua.view.console"
local record = require "axolua.view.record"
local signals = require "axolua.cli.signals"
local terminal = require "axolua.view.terminal"

local function parser()
  local p = cli.parser("exec", "Runs a command in a session that is running. The exit status "
    .. "is the command's; 124 after --timeout, 125 when axolua itself failed.",
    " ID [--] COMMAND [ARGS...]")
  p:argument("id", "The session; `axolua ps` lists them."):convert(cli.session_id)
  command_options.add(p)
  p:flag("--json", "How it ended and what it printed, as JSON on stdout, for scripts.")
  p:flag("-T --no-terminal", "No terminal for the command, even if we are on one.")
  p:flag("-d --detach", "Leave it running as a task, on a terminal with -t, and print its id: "
    .. "`axolua logs` and `axolua attach` show it.")
  return p
end

local function start(sb, command, args)
  local work, code = detached.start(sb, command, {
    tty = args.tty and not args.no_terminal, cwd = args.cwd, user = args.user,
    env = command_options.environment(args, sb:root(), sb:mounts()),
  })
  if not work then return code end
  if args.json then
    cli.print_json { id = args.id, task = work.id, command = axo.json.array(command) }
  else
    cli.print(work.id .. "\n")
  end
  return 0
end

local function run(sb, command, args, guard)
  return foreground.run(sb, command, {
    timeout = args.timeout, cwd = args.cwd, user = args.user, plain = args.no_terminal,
    json = args.json, goes_on = true,
    env = command_options.environment(args, sb:root(), sb:mounts()),
  }, guard)
end

local function main(arguments)
  local p = parser()
  local args, command = cli.parse_with_command(p, arguments)
  detached.check(p, args)
  console.open(args)
  command_options.explain_streams(args)
  local guard = signals.guard(terminal.restore)
  local sb <close>, err = axo.open(args.id)
  if not sb then
    if args.json then record.failure(err) end
    return cli.fail(err)
  end
  local work = args.detach and start or run
  local code = guard:code() or work(sb, command, args, guard)
  guard:close()
  return code
end

return { summary = "run a command in a session that is running", parser = parser, main = main }
