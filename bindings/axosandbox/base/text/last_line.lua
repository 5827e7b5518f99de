-- Beyond any line that is worth showing. What programs print has no such bound, and may be made
-- to take long: so only so much of it is looked at, byte by byte.
local REACH = 4096

--- The last line of a text that is not empty, to say why something failed.
---
---     print(axo.text.last_line "first\nthe reason\n\n")  --> the reason
---@param text string
---@return string? line without its end; at most its last 4 KiB; nil when there is none
local function last_line(text)
  local reversed = text:sub(-REACH):reverse()
  local from = reversed:find "[^\r\n]"
  if not from then return nil end
  local to = reversed:find("[\r\n]", from)
  return reversed:sub(from, to and to - 1):reverse()
end

return last_line
