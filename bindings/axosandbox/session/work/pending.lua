--- The handle of a command that begins a moment later, once something else is known. What is
--- asked of it meanwhile waits.
local uv = require "luv"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local signals = require "axosandbox.base.signals"

local pending = {}

---@class axo.PendingExec: axo.Exec
---@field waiting { run: fun(handle: axo.Exec), fail: fun(err: axo.Error)? }[]
---@field handle axo.Exec? once it has begun
---@field failure axo.Error? it will not begin
local Pending = {}
Pending.__index = Pending

local function never() end

local function when_begun(self, run, fail)
  if self.handle then return run(self.handle) end
  if self.failure then return (fail or never)(self.failure) end
  self.waiting[#self.waiting + 1] = { run = run, fail = fail }
end

function Pending:cancel()
  when_begun(self, function(handle) handle:cancel() end)
end

local function ended(op)
  return errors.new { code = "ESRCH", op = op, message = "the command has ended" }
end

function Pending:signal(signal, opts, callback)
  if type(opts) == "function" then opts, callback = nil, opts end
  signals.name(signal, 2)
  if self.handle then return self.handle:signal(signal, opts, callback) end
  if not callback and uv.loop_mode() and not coroutine.isyieldable() then
    when_begun(self, function(handle) handle:signal(signal, opts) end)
    return true
  end
  return await.call(function(done)
    if self.failure then return nil, ended "signal" end
    when_begun(self, function(handle)
      local ok, err = handle:signal(signal, opts, done)
      if not ok then done(err) end
    end, function() done(ended "signal") end)
    return true
  end, callback)
end

function Pending:write(bytes)
  if self.handle then return self.handle:write(bytes) end
  if self.failure then
    return nil, errors.new { code = "EPIPE", op = "write", message = "the command has ended" }
  end
  when_begun(self, function(handle) handle:write(bytes) end)
  return #bytes
end

function Pending:close_stdin()
  when_begun(self, function(handle) handle:close_stdin() end)
  return true
end

local function settle(self, handle, err)
  self.handle, self.failure = handle, err
  local waiting = self.waiting
  self.waiting = {}
  for _, one in ipairs(waiting) do
    if handle then one.run(handle) elseif one.fail then one.fail(err) end
  end
end

--- Begins a command after `prepare`, an operation that says when.
---@param prepare fun(ready: fun(), fail: fun(err: axo.Error)): true?, axo.Error?
---@param begin fun(): axo.Exec?, axo.Error?
---@param done fun(err: axo.Error?, result: axo.Result?)
---@return axo.Exec? handle, axo.Error?
function pending.start(prepare, begin, done)
  local self = setmetatable({ waiting = {} }, Pending)
  local function fail(err)
    settle(self, nil, err)
    done(err)
  end
  local ok, err = prepare(function()
    local handle, problem = begin()
    if handle then settle(self, handle) else fail(problem) end
  end, fail)
  if not ok then return nil, err end
  return self
end

return pending
