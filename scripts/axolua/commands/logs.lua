--- axolua logs: what a background task has printed.
local axo = require "axosandbox"
local cli = require "axolua.cli"
local console = require "axolua.view.console"
local output = require "axolua.view.output"
local signals = require "axolua.cli.signals"

local json = axo.json

local function parser()
  local p = cli.parser("logs", "Prints what a background task, or a terminal, has printed and "
    .. "is still remembered. With -f goes on until it ends, or its reader does, and exits with "
    .. "its exit status.",
    " ID TASK")
  p:argument("id", "The session."):convert(cli.session_id)
  p:argument("task", "The task; `axolua ps --tasks` lists them.")
    :convert(cli.name "the task")
  p:mutex(p:flag("-f --follow", "Go on printing as more comes."),
    p:flag("--json", "What is remembered, and how the task is, as JSON, for scripts."))
  return p
end

local function warn_lost(dropped)
  if dropped and dropped > 0 then
    cli.say(("warning: %d bytes came too fast or too long ago, and are lost"):format(dropped))
  end
end

-- Prints until the work ends, our reader goes away or we are told to stop. What of that came
-- first is the result: the work's status, or the code to exit with.
local function follow(sb, work, writer, guard)
  local function print_bytes(bytes, _, dropped)
    warn_lost(dropped)
    writer:write(bytes)
  end
  local subscribe = work.follow or work.subscribe
  local subscription = subscribe(work, print_bytes, { from = 0 })
  local status, err = axo.async.first(function(finish)
    local function leave(code) finish(nil, { state = "exited", code = code }) end
    writer.on_broken = function() leave(cli.BROKEN_PIPE) end
    writer:watch_reader()
    guard:on_signal(function() leave(guard:code()) end)
    return work:wait(nil, finish)
  end)
  subscription:close()
  guard:on_signal(nil)
  if not status then return cli.fail(err) end
  writer:flush(guard.signal and 1 or nil)
  cli.say_oom(status, sb, work.id)
  if status.state ~= "failed" then return status.code or 0 end
  return cli.fail_to_run { code = status.fault, message = status.reason }
end

local function print_once(work, writer)
  local bytes, _, dropped = work:read(0)
  warn_lost(dropped)
  writer:write(bytes)
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

local function find(sb, name)
  local task, err = sb:get_task(name)
  local work = task or sb:get_terminal(name)
  if work then return work end
  err.hint = err.hint or "axolua ps --tasks lists them"
  return nil, err
end

local function show(sb, args, guard)
  local work, err = find(sb, args.task)
  if not work then return cli.fail(err) end
  if args.json then return print_record(sb, work) end
  local writer = output.open(1)
  if args.follow then return follow(sb, work, writer, guard) end
  return print_once(work, writer)
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
