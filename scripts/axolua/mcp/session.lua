--- The sandbox session behind the server: started in the background, waited for by the calls of
--- tools, started again after it was lost.
local axo = require "axosandbox"
local cli = require "axolua.cli"

local session = {}

---@class mcp.Session
---@field start fun(done: fun(err: axo.Error?, sb: axo.Session?)): { cancel: fun() }?, axo.Error?
---@field sandbox axo.Session?
local Session = {}
Session.__index = Session

---@param start fun(done: fun(err: axo.Error?, sb: axo.Session?)): { cancel: fun() }?, axo.Error? begins to start one that is ready for commands
---@param hooks { on_begin: fun(), on_ready: fun(sb: axo.Session), on_failure: fun(err: axo.Error) }
---@return mcp.Session
function session.new(start, hooks)
  return setmetatable({ start = start, hooks = hooks }, Session)
end

local function finish(self, err, sb)
  self.starting, self.sandbox, self.err = nil, sb, err
  if sb then self.hooks.on_ready(sb) else self.hooks.on_failure(err) end
  local settled = self.settled
  self.settled = nil
  settled:open()
end

--- Begins to start it, unless that has been done.
function Session:begin()
  if self.settled or self.sandbox or self.is_over then return end
  self.settled = axo.async.gate()
  self.hooks.on_begin()
  -- What it raises is a wrong option, and the options are the user's.
  local ok, handle, err = pcall(self.start, function(problem, sb) finish(self, problem, sb) end)
  if ok and handle then
    self.starting = handle
    return
  end
  if not ok then
    err = axo.errors.new { code = "INVALID", op = "start", message = cli.without_position(handle) }
  end
  axo.async.defer(function() finish(self, err) end)
end

local function over()
  return axo.errors.new { code = "STOPPED", op = "start", message = "the server is ending" }
end

--- The sandbox, once it is there; in a call's coroutine. One that could not be started is
--- tried again by each call.
---@param call mcp.Call
---@return axo.Session? sandbox, axo.Error? err
function Session:acquire(call)
  if self.is_over then return nil, over() end
  if self.sandbox then return self.sandbox end
  call:report "starting the sandbox"
  local leaving = self.leaving
  if leaving then call:wait(function(happened) return leaving:on(happened) end) end
  self:begin()
  local settled = self.settled
  if settled then call:wait(function(happened) return settled:on(happened) end) end
  if self.sandbox then return self.sandbox end
  return nil, self.err or over()
end

--- Heeds what an operation said: a container that is gone is let go of, and the next call
--- starts another.
---@param err axo.Error
function Session:heed(err)
  if err.code ~= "GONE" or not self.sandbox then return end
  local lost, left = self.sandbox, axo.async.gate()
  self.sandbox, self.leaving = nil, left
  lost:stop(function()
    self.leaving = nil
    left:open()
  end)
end

--- Ends it, in a coroutine: what is being started is cancelled, what runs is killed.
---@param keep boolean leave a session that runs
---@return true? ok, axo.Error? err
function Session:stop(keep)
  self.is_over = true
  if self.starting then self.starting:cancel() end
  if self.settled then self.settled:wait() end
  if self.leaving then self.leaving:wait() end
  if not self.sandbox or keep then return true end
  return self.sandbox:stop()
end

return session
