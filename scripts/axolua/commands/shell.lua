--- axolua shell: an interactive shell in a sandbox.
local attach = require "axolua.sandbox.attach"
local cli = require "axolua.cli"
local sandbox = require "axolua.sandbox"
local shell = require "axolua.sandbox.shell"

local function parser()
  local p = cli.parser("shell", "Opens a shell in a fresh, hardened container over a "
    .. "directory, and removes the container when the shell ends. The exit status is the "
    .. "shell's. Without a terminal the shell reads its commands from stdin.")
  sandbox.options(p)
  return p
end

return {
  summary = "open a shell in a sandbox over a directory",
  parser = parser,
  main = function(arguments)
    local args = cli.parse(parser(), arguments)
    return sandbox.with(args, function(sb, guard)
      return attach.run(sb, shell.interactive(), { timeout = args.timeout }, guard)
    end)
  end,
}
