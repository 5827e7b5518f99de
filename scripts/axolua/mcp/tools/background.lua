--- Tools: commands that go on in the background.
local hints = require "axolua.mcp.tools.hints"
local refusals = require "axolua.sandbox.refusals"
local reply = require "axolua.mcp.reply"
local shell = require "axolua.sandbox.shell"
local work = require "axolua.mcp.tools.work"

-- What is done with the task that an id names.
local function on_task(fn)
  return function(arguments, call)
    local task, err = call.sandbox:get_task(arguments.id)
    if not task then return nil, err end
    return fn(task, arguments, call)
  end
end

local function start(arguments, call)
  local command, had_ampersand = shell.without_ampersand(arguments.command)
  local task, err = call:await(function(done)
    return call.sandbox:spawn_background(shell.argv(command), {
      cwd = arguments.cwd, ring = work.RING,
      stdin = arguments.interactive and true or arguments.stdin,
    }, done)
  end)
  if not task then return nil, err end
  return reply.text(("Started the task %s."):format(task.id),
    "read_background shows its output, stop_background ends it",
    had_ampersand and "the & at the end was dropped: the task is in the background already" or nil)
end

local function write(task, arguments)
  local _, cursor = task:read(math.maxinteger)
  local ok, err = true, nil
  if arguments.text ~= "" then ok, err = task:write(arguments.text) end
  if ok and arguments.close then ok, err = task:close_stdin() end
  if not ok then return nil, err end
  return reply.text(("Wrote %s%s."):format(reply.count(#arguments.text, "byte"),
    arguments.close and " and closed stdin" or ""), ("cursor %d"):format(cursor))
end

local function list(_, call)
  return work.list(call.sandbox:list_tasks(), "task")
end

local function read(task, arguments, call)
  local span = work.read(task, arguments, call)
  return reply.text(span.bytes, ("task %s: %s; cursor %d"):format(
    task.id, task:status(), span.cursor), work.memory_note(task:state(), call.sandbox, "the task"),
    refusals.note(task:denied()),
    work.span_note(span, "read_background"))
end

local function stop(task, arguments, call)
  local was_running = task:is_running()
  local status, err = call:await(function(done)
    return task:stop({ grace = arguments.grace }, done)
  end)
  if not status then return nil, err end
  return reply.text(("The task %s %s: %s."):format(task.id,
    was_running and "was ended, with all that it started" or "had ended already", task:status()))
end

local START = {
  name = "bash_background", title = "Start a command in the background", call = start,
  description = "Starts a command line that goes on while you do other things: a server, a "
    .. "watcher, a long build. Gives a task id at once. Without & at the end: one is dropped. Its "
    .. "stdin is empty unless you give some, or set interactive. It ends with the session.",
  input = {
    required = { "command" },
    properties = {
      command = work.COMMAND,
      cwd = work.CWD,
      stdin = work.STDIN,
      interactive = {
        type = "boolean", default = false,
        description = "Keep stdin open: write_background writes to it.",
      },
    },
  },
  hints = hints.RUNS,
}

local WRITE = {
  name = "write_background", title = "Write to a background task", call = on_task(write),
  description = "Writes to the stdin of a background task that was started with interactive. The "
    .. "text goes as it is: a line ends with \\n. Then read_background with the returned cursor "
    .. "and wait shows what came of it.",
  input = {
    required = { "id" },
    properties = {
      id = work.ID,
      text = { type = "string", default = "", description = "What to write." },
      close = {
        type = "boolean", default = false, description = "Close stdin after it: the task reads "
          .. "its end.",
      },
    },
  },
  hints = hints.RUNS,
}

local LIST = {
  name = "list_background", title = "List background tasks", call = list,
  description = "Lists the background tasks, oldest first: id, status, age, command. Those that "
    .. "have ended stay for a while.",
  input = {},
  hints = hints.READS,
}

local READ = {
  name = "read_background", title = "Read a background task's output", call = on_task(read),
  description = "Reads what a background task has printed, stdout and stderr as they came, and "
    .. "its status. The latest 256 KiB are kept. Pass the returned cursor to get only what is "
    .. "new, and wait to be told as soon as there is something. Bytes that are not UTF-8 show as "
    .. "\u{FFFD}.",
  input = {
    required = { "id" },
    properties = { id = work.ID, cursor = work.CURSOR, wait = work.WAIT },
  },
  hints = hints.READS,
}

local STOP = {
  name = "stop_background", title = "End a background task", call = on_task(stop),
  description = "Ends a background task with all that it started: TERM, then KILL.",
  input = {
    required = { "id" },
    properties = {
      id = work.ID,
      grace = {
        type = "number", minimum = 0, maximum = 60, default = 2,
        description = "Seconds between TERM and KILL.",
      },
    },
  },
  hints = hints.SETTLES,
}

return function() return { START, LIST, READ, WRITE, STOP } end
