--- A moment that a person names, as the audit log writes it.
local since = {}

local SECONDS = { s = 1, m = 60, h = 3600, d = 86400 }
local SHAPES = {
  "^(%d%d%d%d)%-(%d%d)%-(%d%d)$",
  "^(%d%d%d%d)%-(%d%d)%-(%d%d)[T ](%d%d):(%d%d)$",
  "^(%d%d%d%d)%-(%d%d)%-(%d%d)[T ](%d%d):(%d%d):(%d%d)$",
}

-- Parts of "1h30m"; nil for anything else.
local function span_of(word)
  local seconds, rest = 0, word
  while rest ~= "" do
    local number, unit, more = rest:match "^(%d+)([smhd])(.*)$"
    if not number then return nil end
    seconds, rest = seconds + tonumber(number) * SECONDS[unit], more
  end
  return seconds
end

local function fields_of(word)
  for _, shape in ipairs(SHAPES) do
    local year, month, day, hour, min, sec = word:match(shape)
    if year then
      return { year = year, month = month, day = day, hour = hour or 0, min = min or 0,
        sec = sec or 0, isdst = nil }
    end
  end
end

-- os.time takes what it is given for this machine's time.
local function seconds_of(word)
  local is_utc = word:sub(-1) == "Z"
  local fields = fields_of((word:gsub("Z$", "")))
  if not fields then return nil end
  local ok, seconds = pcall(os.time, fields)
  if not ok then return nil end
  if not is_utc then return seconds end
  local there = os.date("!*t", seconds)
  there.isdst = nil
  return seconds + (seconds - os.time(there))
end

--- The moment. For argparse's :convert.
---@param word string "2026-11-29", "2026-11-29T12:30:00Z", a number of seconds since 1970, or "10m" for ten minutes ago
---@return string? time as the log has it, in UTC, string? problem
function since.read(word)
  local span = word ~= "" and span_of(word)
  local seconds = span and os.time() - span or word:find "^%d+$" and tonumber(word)
    or seconds_of(word)
  local ok, text = pcall(os.date, "!%Y-%m-%dT%H:%M:%S", seconds and math.tointeger(seconds))
  if seconds and ok then return text end
  return nil, ("--since: %q is neither a time, such as 2026-11-29T12:30:00Z, nor how long ago, "
    .. "such as 10m or 2h"):format(word)
end

return since
