--- Output of unknown length: its beginning, its end, and how much there was.
local text = require "axolua.mcp.text"

local excerpt = {}

---@class mcp.Excerpt
---@field total integer bytes that came
---@field private half integer bytes that are kept of the beginning, and of the end
local Excerpt = {}
Excerpt.__index = Excerpt

---@param max integer bytes that are kept
---@return mcp.Excerpt
function excerpt.new(max)
  return setmetatable({
    half = max // 2, total = 0, head = {}, head_size = 0, tail = {}, tail_size = 0,
  }, Excerpt)
end

local function shorten(self)
  self.tail = { table.concat(self.tail):sub(-self.half) }
  self.tail_size = #self.tail[1]
end

--- Takes bytes as they come.
---@param bytes string
function Excerpt:add(bytes)
  self.total = self.total + #bytes
  local room = self.half - self.head_size
  if room > 0 then
    local first = bytes:sub(1, room)
    self.head[#self.head + 1] = first
    self.head_size = self.head_size + #first
    bytes = bytes:sub(room + 1)
  end
  if bytes == "" then return end
  self.tail[#self.tail + 1] = bytes
  self.tail_size = self.tail_size + #bytes
  if self.tail_size > 2 * self.half then shorten(self) end
end

--- What is kept, and how many bytes in its middle were left out.
---@return string bytes, integer left_out
function Excerpt:get()
  shorten(self)
  local head, tail = table.concat(self.head), self.tail[1]
  local left_out = self.total - #head - #tail
  if left_out == 0 then return head .. tail, 0 end
  head, tail = text.head(head .. tail, #head), text.tail(head .. tail, #tail)
  left_out = self.total - #head - #tail
  return ("%s\n[... %d bytes left out ...]\n%s"):format(head, left_out, tail), left_out
end

return excerpt
