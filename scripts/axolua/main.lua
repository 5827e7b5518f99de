--- axolua's commands: `axolua COMMAND [ARGS...]`. Runs in a coroutine on luv's loop; returns
--- the exit code.
local audit_log = require "axolua.lib.audit_log"
local cli = require "axolua.lib.cli"
local commands = require "axolua.lib.commands"
local here = require "axolua.lib.here"
local signals = require "axolua.lib.signals"

local function main(name, ...)
  signals.ignore_broken_pipes()
  here.begin()
  if name == nil then
    cli.guarded(require("axolua.help").main, {})
    return cli.USAGE
  end
  if name == "-h" or name == "--help" then name = "help" end
  if not commands.is_one(name) then
    local like = commands.like(name)
    cli.say(("there is no command %q%s"):format(name,
      like and ("; did you mean %s?"):format(like) or ""))
    cli.say "try: axolua help"
    return cli.USAGE
  end
  return cli.guarded(function(arguments)
    audit_log.begin(name)
    return require("axolua." .. name).main(arguments)
  end, { ... })
end

return main(...)
