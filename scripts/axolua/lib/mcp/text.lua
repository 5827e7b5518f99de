--- Text for a client: always valid UTF-8, never more than it asked for.
local task = require "axosandbox.task"

local text = {}

--- The first bytes of a text, without a character that is cut at the end.
---@param bytes string
---@param max integer
---@return string
function text.head(bytes, max)
  if #bytes <= max then return bytes end
  return task.whole_characters(bytes:sub(1, max), false)
end

--- The last bytes of a text, without a character that is cut at the beginning.
---@param bytes string
---@param max integer
---@return string
function text.tail(bytes, max)
  if #bytes <= max then return bytes end
  return task.whole_characters(bytes:sub(-max), true)
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

local function take_back(line)
  if not line:find("\b", 1, true) then return line end
  local kept = {}
  for character in line:gmatch "." do
    if character == "\b" then
      kept[#kept] = nil
    else
      kept[#kept + 1] = character
    end
  end
  return table.concat(kept)
end

-- A line is written over from its beginning after a carriage return.
local function settle(line)
  line = line:match "^.*[^\r]" or ""
  return take_back(line:match "^.*\r(.*)$" or line)
end

--- A terminal's output without escape sequences, overwritten text and control characters.
---@param bytes string
---@return string
function text.plain(bytes)
  bytes = bytes:gsub("\27%][^\7\27]*\7", ""):gsub("\27[%]P_^X][^\27]*\27\\", "")
  bytes = bytes:gsub("\27%[[0-?]*[ -/]*[@-~]", ""):gsub("\27[ -/]+[0-~]", "")
  bytes = bytes:gsub("\27%[?[0-?]*[ -/]*$", ""):gsub("\27[0-~]", "")
  local settled = bytes:gsub("[^\n]+", settle)
  return (settled:gsub("[\0-\8\11-\31\127]", ""))
end

return text
