--- axolua logs: what a background task has printed.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local console = require "axolua.view.console"
local follow = require "axolua.sandbox.follow"
local output = require "axolua.view.output"
local signals = require "axolua.cli.signals"
local works = require "axolua.sandbox.works"

local json = axo.json

local function read_count(word)
  if word == "all" then return math.huge end
  return cli.number("--tail", 0, true)(word)
end

local function parser()
  local p = cli.parser("logs", "Prints what a background task, or a terminal, has printed and "
    .. "is still remembered. With -f goes on until it ends, or its reader does, and exits with "
    .. "its exit status.",
    " ID [TASK]")
  p:argument("id", "The session."):convert(cli.session_id)
  p:argument("task", "The task, where there are several; `axolua ps --tasks` lists them.")
    :args "?":convert(cli.name "the task")
  p:option("-n --tail", "Only the last N lines of what is remembered, or all."):argname "N"
    :convert(read_count)
  p:mutex(p:flag("-f --follow", "Go on printing as more comes."),
    p:flag("--json", "What is remembered, and how the task is, as JSON, for scripts."))
  return p
end

-- Where the last lines of a text begin.
local function tail_of(bytes, count)
  local at = #bytes + 1
  -- An end of the text is no line of its own.
  if bytes:sub(-1) == "\n" then at = at - 1 end
  for _ = 1, count do
    repeat at = at - 1 until at < 1 or bytes:byte(at) == 10
    if at < 1 then return 1 end
  end
  return at + 1
end

-- Prints what is remembered, or the last lines of it; returns where it goes on.
local function print_held(work, count, writer)
  local bytes, cursor, dropped = work:read(0)
  local from = count and count < #bytes and tail_of(bytes, count) or 1
  if from == 1 then follow.warn_lost(dropped) end
  writer:write(bytes:sub(from))
  return cursor
end

local function print_once(work, count, writer)
  print_held(work, count, writer)
  writer:flush()
  return 0
end

-- The cursor counts bytes since the beginning; what was lost is not in the output any more.
local function print_record(sb, work)
  local bytes, cursor, dropped = work:read(0)
  cli.print_json(json.object({
    session = sb:id(), id = work.id, status = work:status(), started = work.started,
    command = work.argv and json.array(work.argv) or nil,
    output = bytes, cursor = cursor, lost = dropped,
  }, "command"))
  return 0
end

local function show(sb, args, guard)
  local work, err = works.find(sb, args.task)
  if not work then return cli.fail(err) end
  if args.json then return print_record(sb, work) end
  local writer = output.open(1)
  if not args.follow then return print_once(work, args.tail, writer) end
  local from = args.tail and print_held(work, args.tail, writer) or 0
  return (follow.to_end(sb, work, { from = from }, writer, guard))
end

local function main(arguments)
  local args = cli.parse(parser(), arguments)
  console.open {}
  local guard = signals.guard()
  local sb <close>, err = axo.open(args.id)
  if not sb then return cli.fail(err) end
  local code = show(sb, args, guard)
  code = guard:code() or code
  guard:close()
  return code
end

return { summary = "print a background task's output", parser = parser, main = main }
