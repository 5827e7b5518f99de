--- Framing: one message a line. A line that is too long is not kept: what comes of it is counted
--- and dropped, up to its end. Its beginning and its end are, since its id may stand there.
local rescue = require "axolua.mcp.protocol.rescue"

local lines = {}

local JOINED = 64 * 1024

---@class mcp.LongLine
---@field size integer
---@field head string its beginning
---@field tail string its end

---@class mcp.Lines
---@field limit integer
---@field private chunk string what has come and was not looked at yet, from `at` on
---@field private pieces string[] the line so far
---@field private size integer
local Lines = {}
Lines.__index = Lines

---@param limit integer the longest line that is taken, in bytes
---@return mcp.Lines
function lines.new(limit)
  return setmetatable({ limit = limit, chunk = "", at = 1, pieces = {}, size = 0 }, Lines)
end

--- Takes bytes as they come.
---@param bytes string
function Lines:feed(bytes)
  if self.at > #self.chunk then
    self.chunk = bytes
  else
    self.chunk = self.chunk:sub(self.at) .. bytes
  end
  self.at = 1
end

function Lines:cut(piece)
  if not self.head then
    self.head, self.tail = "", ""
    local pieces = self.pieces
    self.pieces = {}
    for _, kept in ipairs(pieces) do self:cut(kept) end
  end
  local room = rescue.HEAD - #self.head
  if room > 0 then self.head = self.head .. piece:sub(1, room) end
  self.tail = (self.tail .. piece:sub(-rescue.TAIL)):sub(-rescue.TAIL)
end

-- Small pieces of like size are joined: few are kept, however small they came, with little copying.
function Lines:keep(piece)
  self.size = self.size + #piece
  if self.size > self.limit then return self:cut(piece) end
  local pieces = self.pieces
  while #pieces > 0 and #piece < JOINED and #pieces[#pieces] <= #piece do
    piece = table.remove(pieces) .. piece
  end
  if piece ~= "" then pieces[#pieces + 1] = piece end
end

function Lines:take()
  local size, pieces, head, tail = self.size, self.pieces, self.head, self.tail
  self.size, self.pieces, self.head, self.tail = 0, {}, nil, nil
  if size > self.limit then return "too_long", { size = size, head = head, tail = tail } end
  local line = table.concat(pieces):gsub("\r$", "")
  if line:find "%S" then return "line", line end
end

--- The next whole line. Blank ones are passed over.
---@return "line"|"too_long"|nil kind nil: more bytes are needed
---@return string|mcp.LongLine|nil value the line without its end, or what is known of a longer one
function Lines:next()
  while self.at <= #self.chunk do
    local stop = self.chunk:find("\n", self.at, true)
    self:keep(self.chunk:sub(self.at, (stop or #self.chunk + 1) - 1))
    self.at = (stop or #self.chunk) + 1
    if stop then
      local kind, value = self:take()
      if kind then return kind, value end
    end
  end
  self.chunk, self.at = "", 1
end

--- What stands after the last line end, when the input is over.
---@return "line"|"too_long"|nil kind
---@return string|mcp.LongLine|nil value
function Lines:finish()
  return self:take()
end

return lines
