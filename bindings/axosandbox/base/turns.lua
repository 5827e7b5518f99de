--- So many may be under way at once, and the others wait in line.
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"

local turns = {}

---@class axo.Turns
---@field free integer
---@field line (fun())[] of those who wait, in the order in which they came
local Turns = {}
Turns.__index = Turns

--- A number of turns.
---@param count integer at once
---@return axo.Turns
function turns.new(count)
  return setmetatable({ free = count, line = {} }, Turns)
end

--- Takes a turn where one is free.
---@return boolean taken
function Turns:try()
  if self.free == 0 then return false end
  self.free = self.free - 1
  return true
end

--- Waits for a turn.
---@param done fun(err: any, taken: boolean?)
---@return { cancel: fun(self: any) } handle gives up waiting: `done` gets false
function Turns:request(done)
  local function answer(taken)
    await.defer(function() done(nil, taken) end)
  end
  if self:try() then
    answer(true)
    return { cancel = function() end }
  end
  local function come() answer(true) end
  self.line[#self.line + 1] = come
  return {
    cancel = function()
      for i, one in ipairs(self.line) do
        if one == come then
          table.remove(self.line, i)
          return answer(false)
        end
      end
    end,
  }
end

--- Gives one back; the next in line has it.
function Turns:give()
  local next_one = table.remove(self.line, 1)
  if next_one then return next_one() end
  self.free = self.free + 1
end

--- Calls a function that has a turn, and gives that back.
---@param fn function
---@return any ... what it returns
function Turns:use(fn, ...)
  local _ <close> = errors.finally(function() self:give() end)
  return fn(...)
end

--- Does something with each of a list, so many at once, and waits for all; in a coroutine.
--- An error that is raised is reported, and the others go on.
---
---     local seen = {}
---     axo.async.each({ "one", "two", "three" }, 2, function(word)
---       seen[word] = assert(sb:exec { "echo", word }).stdout
---     end)
---     print(seen.three == "three\n")  --> true
---@param list any[]
---@param count integer at once
---@param fn fun(item: any) runs in a coroutine
function turns.each(list, count, fn)
  if #list == 0 then return end
  local at, left = 0, math.min(count, #list)
  await.call(function(done)
    local function worker()
      while at < #list do
        at = at + 1
        await.protect(fn, list[at])
      end
    end
    for _ = 1, left do
      await.defer(function()
        await.spawn(worker, function()
          left = left - 1
          if left == 0 then done(nil, true) end
        end)
      end)
    end
    return true
  end)
end

return turns
