--- Tools: programs that want a terminal.
local hints = require "axolua.mcp.tools.hints"
local reply = require "axolua.mcp.reply"
local shell = require "axolua.sandbox.shell"
local text = require "axolua.mcp.text"
local work = require "axolua.mcp.tools.work"

local MAX_LINES = 10000

-- What is done with the terminal that an id names.
local function on_terminal(fn)
  return function(arguments, call)
    local term, err = call.sandbox:get_terminal(arguments.id)
    if not term then return nil, err end
    return fn(term, arguments, call)
  end
end

local function spawn(arguments, call)
  local argv = arguments.command and shell.argv(arguments.command) or shell.interactive()
  local term, err = call:await(function(done)
    return call.sandbox:spawn_pty(argv, {
      rows = arguments.rows, cols = arguments.cols, cwd = arguments.cwd, ring = work.RING,
    }, done)
  end)
  if not term then return nil, err end
  term:screen() -- from here on what comes is drawn
  return reply.text(("Opened the terminal %s."):format(term.id),
    "write_terminal types, read_terminal shows what is on it, kill_terminal ends it")
end

local function list(_, call)
  return work.list(call.sandbox:list_terminals(), "terminal")
end

local function read_raw(term, arguments, call)
  local span = work.read(term, arguments, call)
  return reply.text(span.bytes, ("terminal %s: %s; cursor %d"):format(
    term.id, term:status(), span.cursor), work.memory_note(term:state(), call.sandbox,
    "the terminal's program"), work.span_note(span, "read_terminal"))
end

-- The lines that are asked for: the screen, and before it what has scrolled off.
local function lines_of(shot, arguments)
  local lines = table.move(shot.lines, 1, #shot.lines, #shot.scrollback + 1, shot.scrollback)
  local all = text.join(lines)
  local shown = arguments.tail_lines and text.last_lines(all, arguments.tail_lines) or all
  return text.tail(shown, reply.MAX_TEXT)
end

local function state_of(term, shot)
  local parts = { ("terminal %s: %s"):format(term.id, term:status()),
    ("%d rows, %d columns, cursor in row %d, column %d%s"):format(shot.rows, shot.cols,
      shot.cursor.row, shot.cursor.col, shot.cursor.visible and "" or ", hidden") }
  if shot.alternate then parts[#parts + 1] = "a full-screen program has it" end
  if shot.title ~= "" then parts[#parts + 1] = ("title %q"):format(shot.title) end
  parts[#parts + 1] = ("cursor %d"):format(shot.offset)
  return table.concat(parts, "; ")
end

local function gaps_of(shot)
  if shot.pending > 0 then return "more output came than could be drawn: read again" end
  return shot.lost and "output was lost before it was drawn: some of this may be missing" or nil
end

local function read(term, arguments, call)
  if arguments.raw then return read_raw(term, arguments, call) end
  term:screen() -- from here on what comes is drawn
  if arguments.wait > 0 then work.read(term, arguments, call) end
  local shot, err = term:screen { scrollback = arguments.tail_lines, since = arguments.cursor }
  if not shot then return nil, err end
  return reply.text(lines_of(shot, arguments), state_of(term, shot),
    work.memory_note(term:state(), call.sandbox, "the terminal's program"), gaps_of(shot))
end

local function write(term, arguments)
  local bytes = arguments.text .. (arguments.enter and "\r" or "")
  local _, cursor = term:read()
  local ok, err = term:write(bytes)
  if not ok then return nil, err end
  return reply.text(("Typed %s."):format(reply.count(#bytes, "byte")),
    ("cursor %d"):format(cursor))
end

local function resize(term, arguments)
  local ok, err = term:resize(arguments.rows, arguments.cols)
  if not ok then return nil, err end
  return reply.text(("The terminal %s has %d rows and %d columns now."):format(
    term.id, arguments.rows, arguments.cols))
end

local function kill(term, _, call)
  -- A shell that is asked nothing minds a hang-up, and not TERM.
  local was_running = work.is_running(term)
  if was_running then
    call:await(function(done) return term:signal("HUP", nil, done) end)
  end
  local status, err = call:await(function(done) return term:close(nil, done) end)
  if not status then return nil, err end
  return reply.text(("The terminal %s %s: %s."):format(term.id,
    was_running and "was ended, with all that ran on it" or "had ended already", term:status()))
end

local function side(what, default)
  return { type = "integer", minimum = 1, maximum = 1000, default = default, description = what }
end

local SPAWN = {
  name = "spawn_terminal", title = "Open a terminal", call = spawn,
  description = "Starts a program on a terminal of its own, for what asks questions or draws on "
    .. "the screen; a shell by default. Gives a terminal id. It ends with the session.",
  input = {
    properties = {
      command = {
        type = "string", minLength = 1, description = "The command line; a shell by default.",
      },
      rows = side("Lines.", 24), cols = side("Columns.", 80), cwd = work.CWD,
    },
  },
  hints = hints.RUNS,
}

local LIST = {
  name = "list_terminals", title = "List terminals", call = list,
  description = "Lists the terminals, oldest first: id, status, age, command.",
  input = {}, hints = hints.READS,
}

local READ = {
  name = "read_terminal", title = "Read a terminal", call = on_terminal(read),
  description = "Reads what is on a terminal's screen, as a person would see it, full-screen "
    .. "programs included. With the cursor of an earlier call also the lines that have scrolled "
    .. "off since; with wait it waits for something new. 2000 lines are kept, and of the raw "
    .. "output 256 KiB.",
  input = {
    required = { "id" },
    properties = {
      id = work.ID, cursor = work.CURSOR, wait = work.WAIT,
      tail_lines = {
        type = "integer", minimum = 1, maximum = MAX_LINES,
        description = "Only the last lines, also of what has scrolled off.",
      },
      raw = {
        type = "boolean", default = false, description = "The output itself instead, with "
          .. "its escape sequences, from the cursor on.",
      },
    },
  },
  hints = hints.READS,
}

local WRITE = {
  name = "write_terminal", title = "Type on a terminal", call = on_terminal(write),
  description = "Types on a terminal. Control keys are control characters: \\u0003 is ctrl-c, "
    .. "\\u0004 ctrl-d, \\u001b[A the up arrow. Then read_terminal with the returned cursor and "
    .. "wait shows what came of it.",
  input = {
    required = { "id", "text" },
    properties = {
      id = work.ID,
      text = { type = "string", description = "What to type." },
      enter = {
        type = "boolean", default = false, description = "Press the enter key after it.",
      },
    },
  },
  hints = hints.RUNS,
}

local RESIZE = {
  name = "resize_terminal", title = "Resize a terminal", call = on_terminal(resize),
  description = "Changes a terminal's size; the program on it is told.",
  input = {
    required = { "id", "rows", "cols" },
    properties = { id = work.ID, rows = side "Lines.", cols = side "Columns." },
  },
  hints = { readOnlyHint = false, destructiveHint = false, idempotentHint = true,
    openWorldHint = false },
}

local KILL = {
  name = "kill_terminal", title = "End a terminal", call = on_terminal(kill),
  description = "Ends the program on a terminal with all that it started. What it has shown can "
    .. "still be read.",
  input = { required = { "id" }, properties = { id = work.ID } },
  hints = hints.SETTLES,
}

return function() return { SPAWN, LIST, READ, WRITE, RESIZE, KILL } end
