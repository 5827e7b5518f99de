--- Which connections of a session the audit log is told of: many at first, then a few a second. The
--- others are counted: a container must not push out of the log what it did before.
local await = require "axosandbox.base.await"

local logged = {}

--- Connections at once, and those that are added in a second.
logged.MOST, logged.A_SECOND = 1000, 2

---@class axo.Logged
local Logged = {}
Logged.__index = Logged

---@return axo.Logged
function logged.new()
  return setmetatable({ places = logged.MOST, counted = await.now(), omitted = 0 }, Logged)
end

--- Whether one more is told of; otherwise it is counted.
---@return boolean
function Logged:has_place()
  local now = await.now()
  self.places = math.min(logged.MOST, self.places + (now - self.counted) * logged.A_SECOND)
  self.counted = now
  if self.places < 1 then
    self.omitted = self.omitted + 1
    return false
  end
  self.places = self.places - 1
  return true
end

--- How many were not told of since this was asked last.
---@return integer? count nil: none
function Logged:left_out()
  local count = self.omitted
  self.omitted = 0
  return count > 0 and count or nil
end

return logged
