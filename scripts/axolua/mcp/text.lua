--- Text for a client: always valid UTF-8, never more than it asked for.
local axo = require "axosandbox"

local text = {}

--- The first bytes of a text, without a character that is cut at the end.
---@param bytes string
---@param max integer
---@return string
function text.head(bytes, max)
  if #bytes <= max then return bytes end
  return axo.text.whole_characters(bytes:sub(1, max), false)
end

--- The last bytes of a text, without a character that is cut at the beginning.
---@param bytes string
---@param max integer
---@return string
function text.tail(bytes, max)
  if #bytes <= max then return bytes end
  return axo.text.whole_characters(bytes:sub(-max), true)
end

--- The last lines of a text.
---@param bytes string
---@param count integer
---@return string
function text.last_lines(bytes, count)
  local at = #bytes
  if bytes:sub(-1) == "\n" then at = at - 1 end
  for _ = 1, count do
    local back = at
    while back > 0 and bytes:byte(back) ~= 10 do back = back - 1 end
    if back == 0 then return bytes end
    at = back - 1
  end
  return bytes:sub(at + 2)
end

--- True for what can be shown as text: valid UTF-8 without NUL.
---@param bytes string
---@return boolean
function text.is_text(bytes)
  return utf8.len(bytes) ~= nil and not bytes:find("\0", 1, true)
end

-- ---- what a terminal was sent ------------------------------------------------------------

local ROWS, COLS, LINES = 50, 1000, 100000

--- What a terminal that was sent this would show: without escape sequences, and without what was
--- written over. Lines are wrapped at 1000 columns.
---@param bytes string
---@return string
function text.plain(bytes)
  local screen = assert(axo.text.screen(ROWS, COLS, LINES))
  screen:write((bytes:gsub("\n", "\r\n")))
  local lines = screen:lines(LINES)
  table.move(screen:rows(), 1, ROWS, #lines + 1, lines)
  local ends = bytes:sub(-1) == "\n" and "\n" or ""
  return text.join(lines) .. ends
end

--- Lines, without the empty ones at their end.
---@param lines string[]
---@return string
function text.join(lines)
  local count = #lines
  while count > 0 and lines[count] == "" do count = count - 1 end
  return table.concat(lines, "\n", 1, count)
end

return text
