--- axolua attach: what runs in the background of a session, on this terminal.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local console = require "axolua.view.console"
local follow = require "axolua.sandbox.follow"
local output = require "axolua.view.output"
local signals = require "axolua.cli.signals"
local terminal = require "axolua.view.terminal"
local works = require "axolua.sandbox.works"

local function parser()
  local p = cli.parser("attach", "Shows a terminal of a session on this one, to type at, or "
    .. "follows a task's output, whoever started it; several may look at once. ctrl-p ctrl-q "
    .. "leaves it running, and so does a signal; of a task ctrl-c, too. At its end, exits with its "
    .. "exit status.", " ID [TASK]")
  p:argument("id", "The session."):convert(cli.session_id)
  p:argument("task", "The task or terminal, where there are several; `axolua ps --tasks` lists "
    .. "them."):args "?":convert(cli.name "the task")
  return p
end

-- A terminal has a screen; a task's input is its starter's.
local function show(sb, work, guard)
  if work.screen and work:is_alive() and terminal.is_there() then
    local result, err, is_left = terminal.attach(work, guard, true)
    if not result then return cli.fail(err) end
    return result.code or 0, is_left
  end
  return follow.to_end(sb, work, { from = 0, keys = terminal.is_there() }, output.open(1), guard)
end

local function attach(args, guard)
  local sb <close>, err = axo.open(args.id)
  if not sb then return cli.fail(err) end
  local work
  work, err = works.find(sb, args.task)
  if not work then return cli.fail(err) end
  local code, is_left = show(sb, work, guard)
  if is_left then
    cli.say(("%s goes on: axolua attach %s %s shows it again"):format(work.id, args.id, work.id))
  end
  return code
end

local function main(arguments)
  local args = cli.parse(parser(), arguments)
  console.open {}
  local guard = signals.guard(terminal.restore)
  local code = attach(args, guard)
  code = guard:code() or code
  guard:close()
  return code
end

return { summary = "show a task or terminal of a session on this one", parser = parser,
  main = main }
