--- The line on a terminal that says what is going on and for how long. It is redrawn in place,
--- and gone before anything else is printed.
local uv = require "luv"
local output = require "axolua.view.output"
local text = require "axolua.view.text"

local status = {}

local TICK_MS = 1000
local CLEAR = "\r\27[K"

local shown, timer, held

--- A span for people: "0.4 s", "12 s", "3 min 5 s".
---@param seconds number
---@return string
function status.span(seconds)
  if seconds < 10 then return ("%.1f s"):format(seconds) end
  if seconds < 60 then return ("%d s"):format(seconds // 1) end
  return ("%d min %d s"):format(seconds // 60, seconds % 60 // 1)
end

local function width()
  local tty = uv.new_tty(2, false)
  if not tty then return 80 end
  local columns = tty:get_winsize()
  tty:close()
  return columns and columns > 0 and columns or 80
end

-- The end of a long message is cut off, never the time.
local function line_of(message, seconds)
  local suffix = (" (%s)"):format(status.span(seconds))
  local room = width() - #suffix - #"axolua: " - 1
  message = text.visible(message:match "[^\n]*")
  if (utf8.len(message) or #message) > room then
    message = message:sub(1, (utf8.offset(message, math.max(room - 2, 1)) or room) - 1) .. "..."
  end
  return "axolua: " .. message .. suffix
end

local function draw()
  local writer = output.open(2)
  writer:write(CLEAR .. line_of(shown.message, (uv.hrtime() - shown.since) / 1e9))
end

--- Whether stderr is a terminal on which a line can be redrawn.
---@return boolean
function status.is_possible()
  return uv.guess_handle(2) == "tty" and os.getenv "TERM" ~= "dumb"
end

--- Shows a message until `status.hide`, and how long it has been true.
---@param message string
---@param since number? hrtime of its beginning
function status.show(message, since)
  shown = { message = message, since = since or uv.hrtime() }
  if held then return end
  timer = timer or uv.new_timer()
  timer:start(TICK_MS, TICK_MS, draw)
  timer:unref()
  draw()
end

--- Takes the line away.
function status.hide()
  if not shown then return end
  shown = nil
  if held then return end
  timer:stop()
  output.open(2):write(CLEAR)
end

--- A question is on the screen: the line stays away until `status.resume`.
function status.hold()
  local before = shown
  status.hide()
  held, shown = true, before
end

--- The question has its answer.
function status.resume()
  held = false
  if shown then status.show(shown.message, shown.since) end
end

--- Prints something else on stderr: the line makes room, and comes back below.
---@param fn fun()
function status.aside(fn)
  local before = shown
  status.hide()
  fn()
  if before then status.show(before.message, before.since) end
end

return status
