--- What the tools for background tasks and for terminals have in common: finding one, reading
--- what it has printed, waiting for more.
local axo = require "axosandbox"
local reply = require "axolua.mcp.reply"
local shell = require "axolua.sandbox.shell"
local text = require "axolua.mcp.text"
local short = require "axolua.view.text"

local work = {}

-- Seconds: what counts as quiet, and how long to wait for that.
local QUIET, SETTLE = 0.1, 1

--- Bytes of output that a task or a terminal keeps.
work.RING = 256 * 1024
work.MAX_WAIT = 300

work.ID = { type = "string", minLength = 1, description = "The id that its start returned." }
work.COMMAND = { type = "string", minLength = 1, description = "The command line." }
work.STDIN = { type = "string", description = "What it reads from stdin; nothing by default." }
work.CWD = {
  type = "string", minLength = 1,
  description = "Where to run it; the session's directory by default.",
}
work.CURSOR = {
  type = "integer", minimum = 0,
  description = "Go on from here: the cursor that the last read returned. Without it the latest "
    .. "output comes.",
}
work.WAIT = {
  type = "number", minimum = 0, maximum = work.MAX_WAIT, default = 0,
  description = "Seconds to wait for more output, or the end, when there is nothing new.",
}

-- ---- the end -----------------------------------------------------------------------------

-- One wait for each, however many calls want to know of its end.
local ends = {}

local function watch(one)
  local listeners = {}
  ends[one.id] = listeners
  one:wait(nil, function()
    ends[one.id] = nil
    for _, fn in pairs(listeners) do fn() end
  end)
  return listeners
end

--- Calls back when a task or a terminal ends.
---@param one axo.Task|axo.Terminal
---@param fn fun()
---@return fun() forget
function work.on_end(one, fn)
  local listeners = ends[one.id] or watch(one)
  local token = {}
  listeners[token] = fn
  return function() listeners[token] = nil end
end

--- True while it runs.
---@param one axo.Task|axo.Terminal
---@return boolean
function work.is_running(one)
  return one:state().state == "running"
end

-- ---- reading -----------------------------------------------------------------------------

-- Waits for output after `cursor`, for the end, or for the time to be over.
local function wait_for_more(one, cursor, seconds, call)
  return call:wait(function(happened)
    local follow = one.follow or one.subscribe
    local subscription = follow(one, function() happened() end, { from = cursor })
    local forget = work.on_end(one, happened)
    return function()
      subscription:close()
      forget()
    end
  end, seconds)
end

---@class mcp.Span a stretch of output
---@field bytes string
---@field cursor integer where to go on
---@field before integer bytes before it that are not shown
---@field after integer bytes after it that are not shown
---@field is_lost boolean what is before it is lost

-- From a cursor on: the first that fits.
local function onwards(bytes, cursor, dropped, is_whole)
  local shown = text.head(bytes, reply.MAX_TEXT)
  if not is_whole and #shown == #bytes then shown = axo.text.whole_characters(bytes, false) end
  return {
    bytes = shown, cursor = cursor - (#bytes - #shown), before = dropped, is_lost = true,
    after = #bytes - #shown,
  }
end

-- The latest that fits.
local function latest(bytes, cursor, dropped)
  local shown = text.tail(bytes, reply.MAX_TEXT)
  return {
    bytes = shown, cursor = cursor, before = dropped + #bytes - #shown, after = 0,
    is_lost = #bytes == #shown,
  }
end

-- Output often comes in pieces that belong together: gives it time until it is quiet.
local function settle(one, cursor, call)
  local deadline = axo.async.now() + SETTLE
  while work.is_running(one) and axo.async.now() < deadline do
    call:wait(function() return function() end end, QUIET)
    local bytes, head = one:read(cursor)
    if bytes == "" then return end
    cursor = head
  end
end

--- Reads output, waiting for some if there is none and the caller wants to wait.
---@param one axo.Task|axo.Terminal
---@param arguments { cursor: integer?, wait: number }
---@param call mcp.Call
---@return mcp.Span
function work.read(one, arguments, call)
  local bytes, cursor, dropped = one:read(arguments.cursor)
  if arguments.wait > 0 and work.is_running(one) then
    local has_more = bytes ~= "" or wait_for_more(one, cursor, arguments.wait, call)
    if has_more then settle(one, cursor, call) end
    bytes, cursor, dropped = one:read(arguments.cursor)
  end
  if not arguments.cursor then return latest(bytes, cursor, dropped) end
  return onwards(bytes, cursor, dropped, not work.is_running(one))
end

--- What is to be said of a span.
---@param span mcp.Span
---@param read string the tool that reads on
---@return string? note
function work.span_note(span, read)
  local notes = {}
  if span.before > 0 then
    notes[1] = span.is_lost and ("%d bytes before this are lost"):format(span.before)
      or ("%d bytes before this are left out"):format(span.before)
  end
  if span.after > 0 then
    notes[#notes + 1] = ("%d bytes after this are left out: call %s with this cursor"):format(
      span.after, read)
  end
  return notes[1] and table.concat(notes, "; ")
end

--- What is to be said when memory ran out.
---@param ended axo.Result|axo.WorkStatus
---@param sb axo.Session
---@param what string "the command"
---@return string? note
function work.memory_note(ended, sb, what)
  if not ended.oom_killed then return nil end
  local sentence, hint = axo.errors.memory(ended, sb:limits(), what, "mcp")
  return ("%s. %s"):format(sentence, hint)
end

-- ---- showing -----------------------------------------------------------------------------

--- One line for a list.
---@param one axo.Task|axo.Terminal
---@return string
function work.line(one)
  local command = short.visible(shell.describe(one.argv))
  return ("%s  %s  started %s ago  %s"):format(one.id, one:status(),
    short.age(os.time() - one.started), text.head(command, 200))
end

--- A list of them.
---@param list (axo.Task|axo.Terminal)[]
---@param noun string
---@return table reply
function work.list(list, noun)
  if #list == 0 then return reply.text("", "no " .. noun .. "s") end
  local lines = {}
  for i, one in ipairs(list) do lines[i] = work.line(one) end
  return reply.text(text.tail(table.concat(lines, "\n") .. "\n", reply.MAX_TEXT))
end

return work
