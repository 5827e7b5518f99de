--- axolua run: one command in a sandbox of its own.
local attach = require "axolua.sandbox.attach"
local cli = require "axolua.cli"
local sandbox = require "axolua.sandbox"

local function parser()
  local p = cli.parser("run", "Runs a command in a fresh, hardened container over a directory, "
    .. "and removes the container at the end. The exit status is the command's; 124 after "
    .. "--timeout, 125 when axolua itself failed.", " -- COMMAND [ARGS...]")
  sandbox.options(p)
  p:flag("--json", "How it ended and what it printed, as JSON on stdout, for scripts.")
  return p
end

return {
  summary = "run a command in a sandbox over a directory",
  parser = parser,
  main = function(arguments)
    local args, command = cli.parse_with_command(parser(), arguments)
    return sandbox.with(args, function(sb, guard, notices)
      return attach.run(sb, command, {
        timeout = args.timeout, json = args.json, notices = notices, goes_on = args.keep,
      }, guard)
    end)
  end,
}
