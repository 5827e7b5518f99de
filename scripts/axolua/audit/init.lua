--- axolua audit: what was done in sessions.
local uv = require "luv"
local async = require("axosandbox").async
local audit_log = require "axolua.audit.log"
local audit_reader = require "axolua.audit.reader"
local audit_text = require "axolua.audit.text"
local cli = require "axolua.cli"
local here = require "axolua.cli.here"
local output = require "axolua.view.output"
local selection = require "axolua.cli.selection"
local signals = require "axolua.cli.signals"
local since = require "axolua.audit.since"

-- README's table has them too: a spec compares the two.
local EVENTS = {
  "session_start", "session_open", "session_attach", "session_close", "session_stop",
  "session_failed", "policy", "confirm", "denied", "exec", "task_start", "task_end",
  "terminal_start", "terminal_end", "file", "kill", "fallback", "network", "forward_start",
  "forward_end",
  "image_use", "image_forget", "image_make", "image_rm", "lost",
}

local function parser()
  local p = cli.parser("audit", "Shows the audit log: what axolua's commands did in sessions, and "
    .. "programs that keep the same log. $AXOSANDBOX_AUDIT names another file; with the value off "
    .. "nothing is recorded.")
  p:flag("-f --follow", "Go on as more comes, until interrupted.")
  p:option("--session", "Only this session."):argname "ID":convert(cli.session_id)
  p:option("--event", "Only events of this name, such as exec or denied; may be repeated.")
    :argname "NAME":count "*":choices(EVENTS)
  p:option("-n --tail", "Only the last N of them, and with -f what comes."):argname "N"
    :convert(cli.number("--tail", 0, true))
  p:option("--since", "Only what happened since: a time such as 2026-11-29, "
    .. "2026-11-29T12:30:00Z (without Z: this machine's time), or how long ago, such as 90s, 10m, "
    .. "2h, 3d."):argname "TIME":convert(since.read)
  p:option("--file", "Another log."):argname "FILE":convert(cli.name "--file")
  p:flag("--json", "The lines as they are, for scripts.")
  return p
end

-- Whether a gap in the log hides something of one session, nobody knows: it is always shown.
local function filter(args)
  local events = args.event and args.event[1] and selection.set(args.event)
  return function(event)
    if args.since and tostring(event.time) < args.since then return false end
    if event.event == "lost" then return true end
    if args.session and event.session ~= args.session then return false end
    return not events or events[event.event] == true
  end
end

local function path_of(args)
  local path, problem = args.file, nil
  if not path then path, problem = audit_log.path(not args.follow) end
  if not path then cli.abort(problem or "the audit log is off", "say --file FILE") end
  path = here.absolute(path)
  if args.file and not args.follow and not uv.fs_stat(path) then
    cli.abort(("there is no log %s"):format(path), "axolua audit, without --file, shows its own")
  end
  return path
end

local function warn_of_damage(reader)
  if reader.damaged > 0 then
    cli.say(("warning: %d lines cannot be read"):format(reader.damaged))
  end
end

-- Until we are told to stop, or our reader has had enough.
local function follow(reader, writer, guard)
  local ok, err = async.first(function(finish)
    local stop, problem = reader:watch(function()
      local read, failure = reader:read()
      if not read then finish { op = "audit", message = failure } end
    end)
    if not stop then return nil, { op = "audit", message = problem } end
    writer.on_broken = function() finish(nil, stop) end
    guard:on_signal(function() finish(nil, stop) end)
    -- What came between the first look and the watch.
    reader:read()
    return stop
  end)
  guard:on_signal(nil)
  if not ok then return cli.fail(err) end
  ok()
  return guard:code() or 0
end

-- Prints at once, or keeps the last ones until `release`.
local function printer(args, writer)
  local kept, first, last = args.tail and {} or nil, 1, 0
  local function print_line(line) writer:write(line .. "\n") end
  local function take(line)
    if not kept then return print_line(line) end
    last = last + 1
    kept[last] = line
    if last - first < args.tail then return end
    kept[first], first = nil, first + 1
  end
  return take, function()
    for i = first, last do print_line(kept[i]) end
    kept = nil
  end
end

local function main(arguments)
  local args = cli.parse(parser(), arguments)
  local path = path_of(args)
  local writer, guard, wanted = output.open(1), signals.guard(), filter(args)
  local take, release = printer(args, writer)
  local reader = audit_reader.new(path, function(event, line)
    if wanted(event) then take(args.json and line or audit_text.line(event)) end
  end)
  local ok, problem = reader:read()
  release()
  local code = ok and 0 or cli.fail(problem)
  if ok and args.follow then code = follow(reader, writer, guard) end
  writer:flush(guard.signal and 1 or nil)
  warn_of_damage(reader)
  guard:close()
  return code
end

return { summary = "show what was done in sessions", parser = parser, main = main }
