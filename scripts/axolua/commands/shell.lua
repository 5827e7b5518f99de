--- axolua shell: an interactive shell in a sandbox.
local attach = require "axolua.sandbox.attach"
local cli = require "axolua.cli"
local command_options = require "axolua.cli.command_options"
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
      return attach.run(sb, shell.interactive(), { timeout = args.timeout, cwd = args.cwd }, guard)
    end)
  end,
}
