--- One call of a tool that is under way: it waits, tells how it goes, and can be cancelled.
local axo = require "axosandbox"
local jsonrpc = require "axolua.mcp.protocol.jsonrpc"
local reply = require "axolua.mcp.reply"

local call = {}

-- Seconds between two notes on progress: at least, and at most.
local MIN_GAP, HEARTBEAT = 0.25, 5

---@class mcp.Call
---@field token string|integer|nil the client wants to hear of progress
---@field is_cancelled boolean
---@field sandbox axo.Session set before the tool runs
---@field activity (fun(): string)? what it is doing, for a note on progress
local Call = {}
Call.__index = Call

local now = axo.async.now

---@param server mcp.Server
---@param token string|integer|nil
---@return mcp.Call
function call.new(server, token)
  return setmetatable({ server = server, token = token, started = now() }, Call)
end

-- ---- progress --------------------------------------------------------------------------

--- Tells the client how it goes; too often is no harm.
---@param message string
function Call:report(message)
  if not self.token or self.is_over or self.is_cancelled then return end
  local elapsed = now() - self.started
  if self.reported and elapsed - self.reported < MIN_GAP then return end
  if self.server:is_congested() then return end
  self.reported = elapsed
  self.server:notify("notifications/progress", {
    progressToken = self.token, progress = math.floor(elapsed * 1000 + 0.5) / 1000,
    message = message,
  })
end

function Call:beat()
  self.stop_beating = axo.async.after(HEARTBEAT, function()
    local done = self.activity and self.activity() or "still at it"
    self:report(("%s (%d s)"):format(done, now() - self.started))
    self:beat()
  end)
end

-- ---- waiting ---------------------------------------------------------------------------

local function cancelled()
  return axo.errors.new { code = "CANCELLED", op = "call", message = "the call was cancelled" }
end

--- Performs an operation; if what it returns can be cancelled, then that is what a cancel of
--- the call does. In the call's coroutine.
---@param start fun(done: fun(err: axo.Error?, ...)): any, axo.Error?
---@return any # the results, or nil, err
function Call:await(start)
  if self.is_cancelled then return nil, cancelled() end
  local results = table.pack(axo.async.call(function(done)
    local handle, err = start(done)
    self.handle = handle
    return handle, err
  end))
  self.handle = nil
  return table.unpack(results, 1, results.n)
end

--- Waits for something that may never come; in the call's coroutine.
---@param register fun(happened: fun()): fun() calls back at most once; returns what takes it back
---@param seconds number?
---@return boolean happened false: the time is over, or the call was cancelled
function Call:wait(register, seconds)
  local happened = self:await(function(done)
    local is_over, forget, stop_clock = false, nil, nil
    local function finish(result)
      if is_over then return end
      is_over = true
      if stop_clock then stop_clock() end
      if forget then forget() end
      axo.async.defer(function() done(nil, result) end)
    end
    forget = register(function() finish(true) end)
    if is_over then forget() end
    if seconds and not is_over then
      stop_clock = axo.async.after(seconds, function() finish(false) end)
    end
    return { cancel = function() finish(false) end }
  end)
  return happened or false
end

--- Ends it: what it started is killed, and nothing more is sent for it. Idempotent.
function Call:cancel()
  if self.is_cancelled or self.is_over then return end
  self.is_cancelled = true
  local handle = self.handle
  if type(handle) == "table" and handle.cancel then axo.async.protect(handle.cancel, handle) end
end

-- ---- running ---------------------------------------------------------------------------

local function attempt(self, tool, arguments)
  local sb, err = self.server.session:acquire(self)
  if not sb then return nil, err end
  self.sandbox = sb
  local result
  result, err = tool.call(arguments, self)
  if not result and err then self.server.session:heed(err) end
  return result, err
end

--- Runs a tool; `done(result)` is called when it is over, cancelled or not.
---@param tool mcp.Tool
---@param arguments table checked
---@param done fun(result: table)
function Call:run(tool, arguments, done)
  if self.token then
    self:report(tool.name)
    self:beat()
  end
  axo.async.spawn(function() return attempt(self, tool, arguments) end, function(err, result)
    self.is_over = true
    if self.stop_beating then self.stop_beating() end
    done(err and reply.of_error(err) or result)
  end)
end

--- A token as it is written back; nil for one that cannot be one.
---@param meta table?
---@return string|integer|nil
function call.token(meta)
  return meta and jsonrpc.exact_id(meta.progressToken)
end

return call
