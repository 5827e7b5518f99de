--- axolua completion: what makes a shell complete axolua's command line, and the names that it
--- asks for while it does.
local axo = require "axosandbox"
local bash = require "axolua.document.bash_completion"
local cli = require "axolua.cli"
local commands = require "axolua.commands"
local fish = require "axolua.document.fish_completion"
local pages = require "axolua.document.pages"
local zsh = require "axolua.document.zsh_completion"

local SCRIPTS = { bash = bash.script, zsh = zsh.script, fish = fish.script }

local function parser()
  local p = cli.parser("completion", "Prints the completion script of a shell. For bash: "
    .. "source <(axolua completion bash). For zsh, after compinit: source <(axolua completion "
    .. "zsh). For fish: axolua completion fish | source. The scripts ask for `sessions`, the "
    .. "`tasks` of a session, the `topics` of help, and the `pages` of help api.")
  p:argument("what", "The shell, or what its script asks for.")
    :choices { "bash", "zsh", "fish", "sessions", "tasks", "topics", "pages" }
  p:argument("id", "The session, for tasks."):args "?":convert(cli.session_id)
  return p
end

local function print_ids(list)
  for _, item in ipairs(list or {}) do cli.print(item.id .. "\n") end
  return 0
end

local function print_tasks(id)
  local sb <close>, err = axo.open(id)
  if not sb then return cli.fail(err) end
  print_ids(sb:list_tasks())
  return print_ids(sb:list_terminals())
end

local function print_names(names)
  for _, name in ipairs(names) do cli.print(name .. "\n") end
  return 0
end

local function topics()
  local names = table.move(commands.names, 1, #commands.names, 1, {})
  for _, guide in ipairs(pages.guides()) do names[#names + 1] = guide.name end
  if pages.api() then names[#names + 1] = "api" end
  return names
end

local function print_sessions()
  local list, err = axo.list()
  return list and print_ids(list) or cli.fail(err)
end

local function main(arguments)
  local p = parser()
  local args = cli.parse(p, arguments)
  if args.what == "sessions" then return print_sessions() end
  if args.what == "topics" then return print_names(topics()) end
  if args.what == "pages" then return print_names(pages.api_names()) end
  if args.what == "tasks" then
    if not args.id then cli.usage(p, "tasks: of which session?") end
    return print_tasks(args.id)
  end
  cli.print(SCRIPTS[args.what]())
  return 0
end

return { summary = "print the completion script of a shell", parser = parser, main = main }
