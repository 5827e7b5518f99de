--- How far the making of an image is, from the lines that mmdebstrap, debootstrap and apt write.

local make_progress = {}

local MAX_WORD = 64

---@class axo.MakeProgress
---@field stage string "installing git"
---@field step string? "Setting up git"
---@field done integer? steps of this stage
---@field total integer? of them

local function short(word) return #word <= MAX_WORD and word or word:sub(1, MAX_WORD) .. "..." end

-- apt: each package is unpacked, then set up.
local function read_total(line)
  local upgraded, new = line:match "^(%d+) upgraded, (%d+) newly installed"
  return upgraded and 2 * math.min(tonumber(upgraded) + tonumber(new), 100000)
end

local function read_step(line)
  local verb, package = line:match "^I: (%u%l+ing) (%S+)"
  if verb then return ("%s %s"):format(verb, short(package)) end
  verb, package = line:match "^(Unpacking) (%S+)"
  if not verb then verb, package = line:match "^(Setting up) (%S+)" end
  if verb then return ("%s %s"):format(verb, short(package)), true end
  package = line:match "^Get:%d+ %S+ %S+ %S+ (%S+)"
  return package and "Downloading " .. short(package)
end

--- A reader of lines.
---@return fun(line: string): axo.MakeProgress? # nil: the line says nothing of it
function make_progress.reader()
  local now = { stage = "" }
  return function(line)
    local stage, total = line:match "^axo: (.*)", read_total(line)
    local step, counts = read_step(line)
    if stage then
      now = { stage = stage }
    elseif total then
      now = { stage = now.stage, total = total > 0 and total or nil, done = total > 0 and 0 or nil }
    elseif step then
      local done = now.total and math.min(now.done + (counts and 1 or 0), now.total)
      now = { stage = now.stage, step = step, total = now.total, done = done }
    else
      return nil
    end
    return now
  end
end

return make_progress
