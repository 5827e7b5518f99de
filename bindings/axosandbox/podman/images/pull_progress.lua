--- How far podman is with a pull, read from what it draws on a terminal: elsewhere it does not say
--- how large anything is. What it draws comes in part from a registry: nothing of it is kept but
--- numbers, and it is bounded.

local pull_progress = {}

local MAX_BLOBS = 1024
local MAX_REST = 4096

local UNITS = { b = 1, k = 2 ^ 10, m = 2 ^ 20, g = 2 ^ 30, t = 2 ^ 40 }

local function bytes_of(number, unit)
  local value = tonumber(number)
  local size = value and UNITS[unit:sub(1, 1):lower()]
  return size and math.min(value * size, 2 ^ 60) // 1 | 0 or 0
end

---@class axo.PullProgress
---@field done integer bytes
---@field total integer bytes of what is known so far

---@class axo.PullWatch
---@field private blobs table<string, axo.PullProgress>
local Watch = {}
Watch.__index = Watch

local function note(self, line)
  local id, rest = line:match "Copying blob (%x+) (.*)$" -- linear: a line is bounded
  if not id then return end
  local blob = self.blobs[id]
  if not blob then
    if self.count >= MAX_BLOBS then return end
    blob = { done = 0, total = 0 }
    self.blobs[id], self.count = blob, self.count + 1
  end
  local done, done_unit, total, total_unit =
    rest:match "([%d.]+)%s*(%a+) / ([%d.]+)%s*(%a+)" -- linear: a line is bounded
  if done then
    blob.done, blob.total = bytes_of(done, done_unit), bytes_of(total, total_unit)
  elseif rest:find "^done" then
    blob.done = blob.total
  end
end

--- Takes what podman drew.
---@param bytes string
---@return axo.PullProgress? progress nil: nothing is known of any size
function Watch:feed(bytes)
  local text = self.rest .. bytes
  local from = 1
  for line, after in text:gmatch "([^\r\n]*)[\r\n]()" do -- linear: what has no end is bounded
    note(self, line)
    from = after
  end
  self.rest = text:sub(from):sub(-MAX_REST)
  local sum = { done = 0, total = 0 }
  for _, blob in pairs(self.blobs) do
    sum.done, sum.total = sum.done + math.min(blob.done, blob.total), sum.total + blob.total
  end
  return sum.total > 0 and sum or nil
end

---@return axo.PullWatch
function pull_progress.watch()
  return setmetatable({ blobs = {}, count = 0, rest = "" }, Watch)
end

--- The words in what was drawn: without what a terminal obeys, and without what was drawn over.
---@param text string
---@return string
function pull_progress.words(text)
  return (text:gsub("\27%[[%d;?]*%a", ""):gsub("\r\n", "\n"):gsub("\r", "\n"))
end

return pull_progress
