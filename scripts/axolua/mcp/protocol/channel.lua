--- Our stdin and stdout as a channel of lines. Nothing piles up: while the client does not read
--- what was answered, nothing further of what it sends is looked at or read.
local uv = require "luv"
local async = require("axosandbox").async
local descriptor = require "axolua.view.descriptor"
local lines = require "axolua.mcp.protocol.lines"
local output = require "axolua.view.output"

local channel = {}

local CHUNK = 65536
local HIGH_WATER, LOW_WATER = 1024 * 1024, 256 * 1024
--- The longest message that is taken, in bytes.
channel.MAX_LINE = 16 * 1024 * 1024

---@class mcp.Channel
---@field on_message fun(kind: "line"|"too_long", value: string|mcp.LongLine)
---@field on_end fun() stdin is over, and all that came was handed on
---@field on_broken fun() nobody reads stdout any more
---@field private queued integer bytes that wait for the client
local Channel = {}
Channel.__index = Channel

local function open_stream(fd, mode)
  local kind = uv.guess_handle(fd)
  if kind == "file" or kind == "unknown" then return nil end
  local stream = uv.new_pipe(false)
  if stream:open(descriptor.own(fd, mode) or fd) then return stream end
  stream:close()
end

--- Opens both ends; nothing is read before `start`.
---@param callbacks { on_message: function, on_end: function, on_broken: function }
---@param limit integer? the longest message, `channel.MAX_LINE` by default
---@return mcp.Channel
function channel.open(callbacks, limit)
  local self = setmetatable({
    lines = lines.new(limit or channel.MAX_LINE), queued = 0, waiting = {},
  }, Channel)
  self.on_message, self.on_end = callbacks.on_message, callbacks.on_end
  self.on_broken = callbacks.on_broken
  self.input = open_stream(0, uv.constants.O_RDONLY)
  self.output = open_stream(1, uv.constants.O_WRONLY)
  if not self.output then self.file = output.open(1) end
  return self
end

-- ---- reading ---------------------------------------------------------------------------

--- True while the client has much to read.
---@return boolean
function Channel:is_congested()
  return self.is_held or self.queued > HIGH_WATER
end

function Channel:start()
  self.is_open = true
  self:pump()
end

-- Hands on what has come, as long as the client keeps up with what it gets.
function Channel:pump()
  if self.is_pumping then return end
  self.is_pumping = true
  while self.is_open and not self.is_held do
    local kind, value = self.lines:next()
    if not kind and self.has_ended then kind, value = self.lines:finish() end
    if not kind then break end
    async.protect(self.on_message, kind, value)
  end
  self.is_pumping = false
  self:go_on()
end

function Channel:go_on()
  if not self.is_open or self.is_held then return self:rest() end
  if not self.has_ended then return self:read() end
  self:stop()
  self.on_end()
end

function Channel:rest()
  if not self.is_reading or not self.input then return end
  self.input:read_stop()
  self.is_reading = false
end

function Channel:receive(err, bytes)
  if not self.is_open then return end
  if err or not bytes or bytes == "" then
    self.has_ended = true
    self:rest()
  else
    self.lines:feed(bytes)
  end
  self:pump()
end

function Channel:read()
  if self.is_reading then return end
  self.is_reading = true
  if self.input then
    self.input:read_start(function(err, bytes)
      async.protect(self.receive, self, err, bytes)
    end)
    return
  end
  uv.fs_read(0, CHUNK, -1, function(err, bytes)
    self.is_reading = false
    async.protect(self.receive, self, err, bytes)
  end)
end

--- Reads no more, and hands nothing on any more. Idempotent.
function Channel:stop()
  if not self.is_open then return end
  self:rest()
  self.is_open = false
  if self.input then async.close(self.input) end
end

-- ---- writing ---------------------------------------------------------------------------

function Channel:give_up()
  if self.is_broken then return end
  self.is_broken = true
  async.defer(self.on_broken)
end

function Channel:written(count, err)
  self.queued = self.queued - count
  if err then self:give_up() end
  if self.is_held and (self.queued <= LOW_WATER or self.is_broken) then
    self.is_held = false
    self:pump()
  end
  if self.queued > 0 then return end
  local waiting = self.waiting
  self.waiting = {}
  for _, fn in ipairs(waiting) do fn() end
end

--- Sends one line; it must not hold a line end.
---@param line string
function Channel:send(line)
  if self.is_broken then return end
  if self.file then
    if not self.file:write(line .. "\n") then self:give_up() end
    return
  end
  local count = #line + 1
  self.queued = self.queued + count
  self.is_held = self.queued > HIGH_WATER
  self.output:write({ line, "\n" }, function(err)
    async.protect(self.written, self, count, err)
  end)
end

--- Waits, in a coroutine, until everything is written or nobody reads; at most `seconds`.
---@param seconds number
function Channel:flush(seconds)
  if self.queued == 0 or self.is_broken then return end
  local cancel
  async.first(function(finish)
    cancel = async.after(seconds, finish)
    self.waiting[#self.waiting + 1] = finish
    return true
  end)
  cancel()
end

--- Closes both ends; what was not written is lost.
function Channel:close()
  self:stop()
  self.is_broken = true
  if self.output then async.close(self.output) end
end

return channel
