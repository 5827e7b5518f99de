--- axolua help: the commands, one of them, a guide, or the Lua API.
local cli = require "axolua.cli"
local commands = require "axolua.commands"
local pages = require "axolua.document.pages"

local NOT_INSTALLED = "the guides and the API reference are not installed here"

local function add_guides(lines)
  local guides = pages.guides()
  if #guides == 0 then return end
  lines[#lines + 1] = "\nguides (axolua help NAME):"
  for _, guide in ipairs(guides) do
    lines[#lines + 1] = ("  %-20s %s"):format(guide.name, guide.title)
  end
  lines[#lines + 1] = ("  %-20s %s"):format("api [NAME]", "The Lua API: a page, or one function")
end

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
  add_guides(lines)
  lines[#lines + 1] = ""
  lines[#lines + 1] = "axolua help COMMAND, or axolua COMMAND --help, tells more.\n"
  return table.concat(lines, "\n")
end

local function parser()
  local p = cli.parser("help", "Shows the commands, a command's options, a guide, or the Lua API.")
  p:argument("topic", "The command, the guide, or `api`."):args "?"
  p:argument("page", "With `api`: a page, or a function such as sb:exec or exec."):args "?"
  return p
end

local function show_api(p, name)
  local text = pages.api(name)
  if not text then
    if not pages.api() then cli.abort(NOT_INSTALLED, "they are in scripts/guide of the source") end
    cli.usage(p, ("the Lua API has no %q; axolua help api lists its pages"):format(name))
  end
  cli.print(text)
  return 0
end

local function main(arguments)
  local p = parser()
  local args = cli.parse(p, arguments)
  if not args.topic then
    cli.print(overview())
    return 0
  end
  if args.topic == "api" then return show_api(p, args.page) end
  if args.page then cli.usage(p, "too many arguments") end
  for _, entry in ipairs(commands.built_in) do
    if entry[1]:match "^%S+" == args.topic then
      cli.print(("axolua %s: %s\n"):format(entry[1], entry[2]))
      return 0
    end
  end
  local guide = not commands.is_one(args.topic) and pages.guide(args.topic)
  if guide then
    cli.print(guide)
    return 0
  end
  if not commands.is_one(args.topic) then
    cli.usage(p, ("there is no command %q, and no guide of that name; axolua help lists them")
      :format(args.topic))
  end
  cli.print(cli.help_of(commands.load(args.topic).parser()))
  return 0
end

return { summary = "show this, one command's options, or a guide", parser = parser, main = main }
