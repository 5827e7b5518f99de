--- Something that happens once, and those who wait for it.
local await = require "axosandbox.base.await"

---@class axo.Gate
---@field is_open boolean
local Gate = {}
Gate.__index = Gate

local gate = {}

--- Bounds any registration: `on(fn)` calls `fn` once it has happened, and returns a function
--- that takes it back.
---@param on fun(fn: fun()): fun()
---@param seconds number? nil waits for ever
---@param fn fun(happened: boolean)
function gate.within(on, seconds, fn)
  local cancel
  local forget = on(function()
    if cancel then cancel() end
    fn(true)
  end)
  if not seconds then return end
  cancel = await.after(seconds, function()
    forget()
    fn(false)
  end)
end

--- Something that happens once, and those who wait for it.
---
---     local gate = axo.async.gate()
---     axo.async.after(0.01, function() gate:open() end)
---     print(gate:wait(5))  --> true
---@return axo.Gate
function gate.new()
  return setmetatable({ is_open = false, waiting = {} }, Gate)
end

--- It has happened. Everyone who waits is called now, in the order of asking; an error in one
--- is reported and does not hold up the others. Opening again does nothing.
---
---     gate:open()
---     print(gate.is_open)  --> true
function Gate:open()
  if self.is_open then return end
  self.is_open = true
  local waiting = self.waiting
  self.waiting = nil
  for _, entry in ipairs(waiting) do
    if entry.fn then await.protect(entry.fn) end
  end
end

--- Calls `fn` when it happens; on a later turn of the loop when it already has.
---
---     local forget = gate:on(function() print "it happened" end)
---     forget()
---@param fn fun()
---@return fun() forget takes `fn` back
function Gate:on(fn)
  local entry = { fn = fn }
  if self.is_open then
    await.defer(function() if entry.fn then entry.fn() end end)
  else
    self.waiting[#self.waiting + 1] = entry
  end
  return function()
    entry.fn = nil
    self:sweep()
  end
end

-- Entries taken back must not pile up on a gate that stays shut for long.
function Gate:sweep()
  if not self.waiting then return end
  local kept = {}
  for _, entry in ipairs(self.waiting) do
    if entry.fn then kept[#kept + 1] = entry end
  end
  self.waiting = kept
end

--- The same with a bound: `fn(true)` when it happens, `fn(false)` after `seconds`.
---
---     gate:within(0.01, function(happened) print(happened) end)
---     axo.async.sleep(0.2)  --> false
---@param seconds number? nil waits for ever
---@param fn fun(happened: boolean)
function Gate:within(seconds, fn)
  return gate.within(function(opened) return self:on(opened) end, seconds, fn)
end

--- Waits inside a coroutine.
---
---     print(gate:wait(0.01))  --> false
---@param seconds number? nil waits for ever
---@return boolean happened
function Gate:wait(seconds)
  if self.is_open then return true end
  return await.call(function(done)
    self:within(seconds, function(happened) done(nil, happened) end)
    return true
  end)
end

return gate
