--- axolua shell: an interactive shell in a sandbox.
local cli = require "axolua.cli"
local command_options = require "axolua.cli.command_options"
local foreground = require "axolua.sandbox.foreground"
local sandbox = require "axolua.sandbox"
local start_options = require "axolua.sandbox.options"
local shell = require "axolua.sandbox.shell"

local function parser()
  local p = cli.parser("shell", "Opens a shell in a fresh, hardened container over a "
    .. "directory, and removes the container when the shell ends. The exit status is the "
    .. "shell's. Without a terminal the shell reads its commands from stdin.")
  start_options.add(p)
  start_options.add_command(p)
  return p
end

return {
  summary = "open a shell in a sandbox over a directory",
  parser = parser,
  main = function(arguments)
    local args = cli.parse(parser(), arguments)
    command_options.explain_streams(args)
    return sandbox.with(args, function(sb, guard)
      local how = { timeout = args.timeout, cwd = args.cwd }
      return foreground.run(sb, shell.interactive(), how, guard)
    end)
  end,
}
