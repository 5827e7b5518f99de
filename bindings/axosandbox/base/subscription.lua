--- Followers of a ring: each has a cursor of its own, and gets what is held and then what
--- comes, without a gap or a byte twice. One that is too slow is told what it lost.
local await = require "axosandbox.base.await"
local log = require "axosandbox.base.log"

local subscription = {}

local PIECE = 64 * 1024

---@class axo.Subscription
---@field private cursor integer
local Subscription = {}
Subscription.__index = Subscription

local function deliver(self, bytes, dropped)
  local ok, err = xpcall(self.fn, debug.traceback, bytes, self.cursor, dropped)
  if ok then return end
  log.uncaught(err)
  self:close()
end

-- At most a ring's worth at once: another process may write as fast as this one reads, and the
-- loop has more to do than this.
local function pump(self)
  if self.is_pumping then return end
  self.is_pumping = true
  local left = self.ring:capacity()
  while not self.is_closed do
    local bytes, cursor, dropped = self.ring:read(self.cursor, PIECE)
    self.cursor = cursor
    if bytes == "" and dropped == 0 then break end
    deliver(self, bytes, dropped)
    left = left - #bytes
    if left <= 0 then
      self:soon()
      break
    end
  end
  self.is_pumping = false
end

--- Looks on a later turn of the loop.
function Subscription:soon()
  if self.is_due then return end
  self.is_due = true
  await.defer(function()
    self.is_due = false
    pump(self)
  end)
end

--- Ends it; `fn` is not called any more. Idempotent, and allowed inside `fn`.
---
---     following:close()
function Subscription:close()
  if self.is_closed then return end
  self.is_closed = true
  self.unsubscribe()
end

Subscription.__close = Subscription.close

--- The offset after the last byte that was delivered: where to go on `from` later.
---
---     local from = following:position()
---     task:follow(function(bytes) io.write(bytes) end, { from = from }):close()
---@return integer
function Subscription:position()
  return self.cursor
end

--- Subscribes to a task or a terminal. `fn(bytes, cursor, dropped)` is called for each piece, first on a
--- later turn of the loop: `cursor` is the offset after it, `dropped` counts the bytes before
--- it that were lost. An error in `fn` is reported and closes this subscription alone.
---@param work axo.Work
---@param fn fun(bytes: string, cursor: integer, dropped: integer)
---@param from integer? the offset to begin at; by default the oldest byte held
---@return axo.Subscription
function subscription.new(work, fn, from)
  local self = setmetatable({
    ring = work.ring, fn = fn, cursor = from or work.ring:tail(), is_closed = false,
  }, Subscription)
  self.unsubscribe = work:on_data(function() pump(self) end)
  self:soon()
  return self
end

return subscription
