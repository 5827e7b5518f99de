--- One operation, three ways to call it: with a callback, inside a coroutine, or at the top
--- level, where it runs the loop until it is done.
local uv = require "luv"
local errors = require "axosandbox.base.errors"
local log = require "axosandbox.base.log"

local await = {}

--- Calls a user's function; an error in it is reported and does not reach the loop.
---
---     print(axo.async.protect(function() return 1 end))  --> true
---@param fn function
---@param ... any what it is called with
---@return boolean ok
function await.protect(fn, ...)
  local ok, err = xpcall(fn, debug.traceback, ...)
  if not ok then log.uncaught(err) end
  return ok
end

-- luv 1.44 crashes when the process ends while a handle is closing, and keeps a handle that is
-- not closed for ever. So handles are used again rather than closed; what must be closed is
-- closed inside the loop, which then finishes the closing.

local queue = {}
local idle

local function flush()
  local batch = queue
  queue = {}
  for _, fn in ipairs(batch) do await.protect(fn) end
  if #queue == 0 then idle:stop() end
end

--- Calls `fn` on a later turn of the loop, in the order of asking. Used where a result is known
--- at once, because a callback never fires before its call has returned.
---
---     axo.async.defer(function() print "on a later turn of the loop" end)
---@param fn fun()
function await.defer(fn)
  idle = idle or uv.new_idle()
  queue[#queue + 1] = fn
  if #queue == 1 then idle:start(flush) end
end

--- Seconds on the clock of deadlines, which nobody sets.
---
---     local began = axo.async.now()
---     print(axo.async.now() >= began)  --> true
---@return number
function await.now() return uv.hrtime() / 1e9 end

local spare_timers = {}

-- A timer takes no more; nobody lives to see it.
local FOR_EVER = 1e9

--- A number of seconds that somebody gave: what is wrong with it, or nil. math.huge is for ever.
---@param value any
---@return string? problem
function await.check_seconds(value)
  if type(value) ~= "number" then
    return "expected a number of seconds, got " .. type(value)
  end
  if value ~= value or value < 0 then return ("%s is no number of seconds"):format(value) end
end

--- Calls `fn` after a time, unless it is taken back.
---
---     local cancel = axo.async.after(30, function() print "half a minute is over" end)
---     cancel()
---@param seconds number
---@param fn fun()
---@return fun() cancel
function await.after(seconds, fn)
  local timer = table.remove(spare_timers) or uv.new_timer()
  local function release()
    if not timer then return false end
    timer:stop()
    spare_timers[#spare_timers + 1] = timer
    timer = nil
    return true
  end
  timer:start(math.ceil(math.min(seconds, FOR_EVER) * 1000), 0, function()
    if release() then await.protect(fn) end
  end)
  return release
end

--- Closes a luv handle, once the loop runs.
---
---     local timer = require("luv").new_timer()
---     axo.async.close(timer)
---@param closing any
function await.close(closing)
  await.defer(function()
    if not closing:is_closing() then closing:close() end
  end)
end

local function twice()
  log.uncaught(debug.traceback "an operation completed twice")
end

local function resume(co, ...)
  local ok, err = coroutine.resume(co, ...)
  if not ok then log.uncaught(debug.traceback(co, tostring(err))) end
end

local function by_callback(start, callback, ...)
  local fired = false
  return start(function(...)
    if fired then return twice() end
    fired = true
    await.protect(callback, ...)
  end, ...)
end

-- Runs the loop until `is_done`.
local function run_until(is_done)
  while not is_done() do
    if not uv.run "once" and not is_done() then
      return errors.new {
        code = "INTERNAL", op = "await",
        message = "the event loop ran empty before the operation completed",
      }
    end
  end
  uv.run "nowait" -- finishes what is closing
end

--- Performs an asynchronous operation in the style that the caller chose.
---
--- `start(done, ...)` begins it and returns a handle (any non-nil value), or `nil, err` when it
--- could not begin; then `done` must not be called. Otherwise `done(err, ...)` is called
--- exactly once, on a later turn of the loop.
---
---     local function answer_later(callback)
---       return axo.async.call(function(done)
---         axo.async.after(0.01, function() done(nil, 42) end)
---         return true
---       end, callback)
---     end
---     print(answer_later())  --> 42
---@generic T
---@param start fun(done: fun(err: axo.Error?, ...), ...): any, axo.Error?
---@param callback fun(err: axo.Error?, ...)? asynchronous style when given
---@param ... any what else `start` is called with
---@return any # the handle (callback style), or the results; nil, err on failure
function await.call(start, callback, ...)
  if callback ~= nil then
    if type(callback) ~= "function" then
      error("axosandbox: the callback must be a function, got " .. type(callback), 3)
    end
    return by_callback(start, callback, ...)
  end
  local co = coroutine.isyieldable() and coroutine.running()
  if not co and uv.loop_mode() then
    error("axosandbox: this call would wait inside a callback of the running loop; "
      .. "pass a callback, or call it in a coroutine", 3)
  end
  local results, is_waiting
  local handle, err = start(function(...)
    if results then return twice() end
    results = table.pack(...)
    if is_waiting then resume(co) end
  end, ...)
  if handle == nil then return nil, err end
  if co then
    is_waiting = true
    while not results do coroutine.yield() end -- whoever else resumes is not heard
  else
    err = run_until(function() return results end)
    if err then return nil, err end
  end
  if results[1] ~= nil then return nil, results[1] end
  return table.unpack(results, 2, results.n)
end

--- The same for what several things may end: `done` may be called again, and before `start` has
--- returned. The first call counts, on a later turn of the loop.
---
---     print(axo.async.first(function(done)
---       axo.async.after(0.01, function() done(nil, "quick") end)
---       axo.async.after(0.5, function() done(nil, "slow") end)
---       return true
---     end))  --> quick
---@param start fun(done: fun(err: axo.Error?, ...)): any, axo.Error?
---@param callback fun(err: axo.Error?, ...)?
---@return any # as of `await.call`
function await.first(start, callback)
  return await.call(function(done)
    local is_over = false
    return start(function(...)
      if is_over then return end
      is_over = true
      local results = table.pack(...)
      await.defer(function() done(table.unpack(results, 1, results.n)) end)
    end)
  end, callback)
end

--- Runs `body` in a coroutine and gives its results to `done(err, ...)`: how the library
--- writes its own sequences. `nil, err` from `body`, or an error raised in it, becomes
--- `err`.
---
---     axo.async.spawn(function()
---       axo.async.sleep(0.01)
---       return "done"
---     end, function(err, word) print(err, word) end)
---     axo.async.sleep(0.2)  --> nil	done
---@param body fun(): any, axo.Error?
---@param done fun(err: axo.Error?, ...)
function await.spawn(body, done)
  local co = coroutine.create(function()
    local results = table.pack(xpcall(body, debug.traceback))
    if not results[1] then
      return done(errors.wrap(results[2], "axosandbox"))
    end
    if results[2] == nil and results[3] ~= nil then
      return done(errors.wrap(results[3], "axosandbox"))
    end
    return done(nil, table.unpack(results, 2, results.n))
  end)
  resume(co)
end

--- A sequence as an operation: `body` runs in a coroutine from the next turn of the loop.
---@param body fun(): any, axo.Error?
---@param callback fun(err: axo.Error?, ...)?
---@param cancel fun()? what is returned with a callback has it as `:cancel()`
function await.sequence(body, callback, cancel)
  return await.call(function(done)
    await.defer(function() await.spawn(body, done) end)
    return cancel and { cancel = cancel } or true
  end, callback)
end

--- Sleeps on the loop.
---
---     axo.async.sleep(0.1)
---@param seconds number
---@return true over
function await.sleep(seconds)
  return await.call(function(done)
    await.after(seconds, function() done(nil, true) end)
    return true
  end)
end

return await
