--- What a terminal obeys or does not show, in text that comes from elsewhere.
local unseen = {}

-- C0, C1, marks without width, and those that turn the direction of writing.
local PATTERNS = {
  "%c", "\xC2[\x80-\x9F]", "\xE2\x80[\x8B-\x8F\xA8-\xAE]", "\xE2\x81[\xA6-\xA9]",
  "\xEF\xBB\xBF",
}

--- A text with something else in their places.
---@param text string
---@param with string|fun(bytes: string): string without any of them
---@return string
function unseen.replace(text, with)
  for _, pattern in ipairs(PATTERNS) do text = text:gsub(pattern, with) end
  return text
end

return unseen
