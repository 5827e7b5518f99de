--- axolua run: one command in a sandbox of its own.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local command_options = require "axolua.cli.command_options"
local detached = require "axolua.sandbox.detached"
local foreground = require "axolua.sandbox.foreground"
local not_a_program = require "axolua.sandbox.not_a_program"
local sandbox = require "axolua.sandbox"
local start_options = require "axolua.sandbox.options"

local function parser()
  local p = cli.parser("run", "Runs a command in a fresh, hardened container over a directory, "
    .. "and removes the container at the end. The exit status is the command's; 124 after "
    .. "--timeout, 125 when axolua itself failed.", " [--] COMMAND [ARGS...]")
  start_options.add(p)
  start_options.add_command(p)
  p:flag("-d --detach", "Leave it running as a task, on a terminal with -t, in a session that is "
    .. "kept, and print the session's id: `axolua logs` and `axolua attach` show the task.")
  p:flag("--json", "How it ended and what it printed, as JSON on stdout, for scripts.")
  return p
end

-- The image that runs is not the one that was meant; `axolua run alpine ls` is what docker's users
-- type.
local function explain_images(sb, args, command)
  if command[1]:find "/" or not_a_program(command[1]) then return end
  cli.say(("the image %s has no %s; to choose or make one that has: axolua help images"):format(
    sb:image(), command[1]))
  if args.image or args.with_dashes then return end
  cli.say(("if %s is an image: axolua run --image %s COMMAND"):format(command[1], command[1]))
end

local function start(sb, command, args)
  local work, code = detached.start(sb, command, { tty = args.tty, cwd = args.cwd })
  if not work then
    args.keep = false
    return code
  end
  if args.json then
    cli.print_json { id = sb:id(), task = work.id, command = axo.json.array(command) }
  else
    cli.print(sb:id() .. "\n")
  end
  if not args.quiet then detached.explain(sb:id(), work) end
  return 0
end

local function main(arguments)
  local p = parser()
  local args, command, with_dashes = cli.parse_with_command(p, arguments)
  args.with_dashes = with_dashes
  detached.check(p, args)
  command_options.explain_streams(args)
  if args.detach then
    args.keep = true
    return sandbox.with(args, function(sb) return start(sb, command, args) end)
  end
  return sandbox.with(args, function(sb, guard, notices)
    local code, err = foreground.run(sb, command, {
      timeout = args.timeout, json = args.json, notices = notices, goes_on = args.keep,
      cwd = args.cwd,
    }, guard)
    if err and code == cli.NOT_FOUND then explain_images(sb, args, command) end
    return code
  end)
end

return { summary = "run a command in a sandbox over a directory", parser = parser, main = main }
