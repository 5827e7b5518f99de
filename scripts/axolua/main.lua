--- axolua's commands: `axolua COMMAND [ARGS...]`. Runs in a coroutine on luv's loop; returns
--- the exit code.
local audit_log = require "axolua.audit.log"
local cli = require "axolua.cli"
local commands = require "axolua.commands"
local foreign_commands = require "axolua.cli.foreign_commands"
local here = require "axolua.cli.here"
local signals = require "axolua.cli.signals"

local function main(name, ...)
  signals.ignore_broken_pipes()
  here.begin()
  if name == nil then
    cli.guarded(commands.load("help").main, {})
    return cli.USAGE
  end
  if name == "-h" or name == "--help" then name = "help" end
  if not commands.is_one(name) then
    local instead = foreign_commands.answer(name)
    local like = not instead and commands.like(name)
    cli.say(("there is no command %q%s"):format(name,
      instead and ": " .. instead or like and ("; did you mean %s?"):format(like) or ""))
    cli.say "try: axolua help"
    return cli.USAGE
  end
  return cli.guarded(function(arguments)
    audit_log.begin(name)
    return commands.load(name).main(arguments)
  end, { ... })
end

return main(...)
