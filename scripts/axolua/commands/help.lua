--- axolua help: the commands, or one of them.
local cli = require "axolua.cli"
local commands = require "axolua.commands"

local function overview()
  local lines = {
    "axolua: working sessions in hardened podman containers", "",
    "usage: axolua COMMAND [options]", "", "commands:",
  }
  for _, name in ipairs(commands.names) do
    local command = commands.load(name)
    lines[#lines + 1] = ("  %-20s %s"):format(name, command.summary)
  end
  for _, entry in ipairs(commands.built_in) do
    lines[#lines + 1] = ("  %-20s %s"):format(entry[1], entry[2])
  end
  lines[#lines + 1] = "\nexit status:"
  for _, code in ipairs(commands.exit_codes) do
    lines[#lines + 1] = ("  %-20s %s"):format(code[1], (code[2]:gsub("`", "")))
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "axolua help COMMAND, or axolua COMMAND --help, tells more.\n"
  return table.concat(lines, "\n")
end

local function parser()
  local p = cli.parser("help", "Shows the commands, or one command's options.")
  p:argument("command", "The command."):args "?"
  return p
end

local function main(arguments)
  local p = parser()
  local args = cli.parse(p, arguments)
  if not args.command then
    cli.print(overview())
    return 0
  end
  for _, entry in ipairs(commands.built_in) do
    if entry[1]:match "^%S+" == args.command then
      cli.print(("axolua %s: %s\n"):format(entry[1], entry[2]))
      return 0
    end
  end
  if not commands.is_one(args.command) then
    cli.usage(p, ("there is no command %q"):format(args.command))
  end
  cli.print(commands.load(args.command).parser():get_help() .. "\n")
  return 0
end

return { summary = "show this, or one command's options", parser = parser, main = main }
