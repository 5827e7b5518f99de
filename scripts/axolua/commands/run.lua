--- axolua run: one command in a sandbox of its own.
local attach = require "axolua.sandbox.attach"
local cli = require "axolua.cli"
local command_options = require "axolua.cli.command_options"
local sandbox = require "axolua.sandbox"
local start_options = require "axolua.sandbox.options"

local function parser()
  local p = cli.parser("run", "Runs a command in a fresh, hardened container over a directory, "
    .. "and removes the container at the end. The exit status is the command's; 124 after "
    .. "--timeout, 125 when axolua itself failed.", " [--] COMMAND [ARGS...]")
  start_options.add(p)
  start_options.add_command(p)
  p:flag("--json", "How it ended and what it printed, as JSON on stdout, for scripts.")
  return p
end

-- `axolua run alpine ls` is what docker's users type.
local function explain_images(args, command)
  if args.image or args.with_dashes or command[1]:find "^[./]" then return end
  cli.say(("if %s is an image: axolua run --image %s COMMAND"):format(command[1], command[1]))
end

local function main(arguments)
  local args, command, with_dashes = cli.parse_with_command(parser(), arguments)
  args.with_dashes = with_dashes
  command_options.explain_streams(args)
  return sandbox.with(args, function(sb, guard, notices)
    local code = attach.run(sb, command, {
      timeout = args.timeout, json = args.json, notices = notices, goes_on = args.keep,
      cwd = args.cwd,
    }, guard)
    if code == cli.NOT_FOUND then explain_images(args, command) end
    return code
  end)
end

return { summary = "run a command in a sandbox over a directory", parser = parser, main = main }
