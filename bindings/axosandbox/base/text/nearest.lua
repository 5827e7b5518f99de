--- The name that somebody may have meant.

local MAX_LENGTH = 64
local MAX_DISTANCE = 2

-- How many letters differ (Levenshtein), row by row.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      diagonal, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
    end
  end
  return row[#b]
end

--- The one of some names that differs least from a word, by two letters at most and not by all.
---@param word string
---@param names string[]
---@return string? name
local function nearest(word, names)
  if #word > MAX_LENGTH then return nil end
  local found, least = nil, math.min(MAX_DISTANCE + 1, #word)
  for _, name in ipairs(names) do
    local letters = distance(word, name)
    if letters < least then found, least = name, letters end
  end
  return found
end

return nearest
