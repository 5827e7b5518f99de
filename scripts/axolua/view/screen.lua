--- A view that is drawn again and again: on a terminal in place, elsewhere one after another.
local uv = require "luv"
local output = require "axolua.view.output"
local terminal = require "axolua.view.terminal"

local screen = {}

-- The alternate screen keeps what the user had before; the cursor would only flicker.
local ENTER, LEAVE = "\27[?1049h\27[?25l", "\27[?25h\27[?1049l"
local HOME, CLEAR_LINE, CLEAR_BELOW = "\27[H", "\27[K", "\27[J"

local is_entered = false

---@class cli.Screen
local Screen = {}
Screen.__index = Screen

--- Puts the terminal back, whatever state anything is in.
function screen.restore()
  if not is_entered then return end
  is_entered = false
  output.open(1):write(LEAVE)
end

---@param may_draw boolean false: the text is for a program
---@return cli.Screen
function screen.open(may_draw)
  local is_drawn = may_draw and uv.guess_handle(1) == "tty" and os.getenv "TERM" ~= "dumb"
  if is_drawn then
    is_entered = true
    output.print(1, ENTER)
  end
  return setmetatable({ is_drawn = is_drawn }, Screen)
end

--- Cuts a line to a width; colours take no room and are kept.
---@param line string
---@param width integer
---@return string
function screen.cut(line, width)
  local out, used, at = {}, 0, 1
  while at <= #line do
    local piece = line:match("^\27%[[%d;]*m", at)
    if not piece then
      piece = line:match("^[^\128-\191][\128-\191]*", at) or line:sub(at, at)
      used = used + 1
    end
    if used <= width or piece:byte() == 27 then out[#out + 1] = piece end
    at = at + #piece
  end
  return table.concat(out)
end

local function frame(text)
  local rows, cols = terminal.size()
  local lines = {}
  -- Each try finds a line, if an empty one: none is looked at twice.
  for line in text:gsub("\n$", ""):gmatch "([^\n]*)\n?" do
    if #lines == rows then break end
    lines[#lines + 1] = screen.cut(line, cols) .. CLEAR_LINE
  end
  return HOME .. table.concat(lines, "\r\n") .. CLEAR_BELOW
end

--- Shows the text in place of the one before.
---@param text string lines
function Screen:show(text)
  self.latest = text
  output.print(1, self.is_drawn and frame(text) or text)
end

--- The end: what was shown last stays. Idempotent.
function Screen:close()
  if not self.is_drawn or not is_entered then return end
  screen.restore()
  output.print(1, self.latest or "")
end

Screen.__close = Screen.close

return screen
