--- Byte-exact output to a descriptor that never blocks the loop: partial writes are carried
--- on, a reader that went away is noticed, and a slow reader slows down whoever writes
--- instead of filling the memory.
local uv = require "luv"
local async = require("axosandbox").async
local descriptor = require "axolua.view.descriptor"

local output = {}

local HIGH_WATER = 1024 * 1024
local PATIENCE_MS = 100
local RETRY_MS, RETRY_MAX_MS = 1, 20

---@class cli.Writer
---@field broken string? why nothing more can be written ("EPIPE")
---@field problem string? the same in words
---@field on_broken fun(code: string)? called once when that happens
---@field queued integer bytes that wait
local Writer = {}
Writer.__index = Writer

local function own_descriptor(fd)
  local own = descriptor.own(fd, uv.constants.O_WRONLY)
  if own then return own end
  -- Opening a stream on it is how luv makes a descriptor non-blocking.
  local stream = uv.new_pipe(false)
  return fd, stream:open(fd) and stream or nil
end

local writers = {}

--- The writer of a descriptor; the same one every time.
---@param fd integer 1 or 2
---@return cli.Writer
function output.open(fd)
  writers[fd] = writers[fd] or output.new(fd)
  return writers[fd]
end

---@param fd integer
---@return cli.Writer
function output.new(fd)
  local kind = uv.guess_handle(fd)
  local writer = setmetatable({
    fd = fd, kind = kind, queue = {}, first = 1, last = 0, queued = 0,
  }, Writer)
  writer.is_blocking = kind == "file" or kind == "unknown"
  if writer.is_blocking then return writer end
  writer.fd, writer.stream = own_descriptor(fd)
  writer.timer = uv.new_timer()
  return writer
end

function Writer:give_up(code, problem)
  if self.broken then return end
  self.broken, self.problem = code, problem
  self.queue, self.first, self.last, self.queued = {}, 1, 0, 0
  self:rest()
  if self.on_broken then self.on_broken(code) end
end

--- Notices a reader that goes away at once, and not only at the next write. For pipes.
function Writer:watch_reader()
  if self.kind ~= "pipe" or self.stream or self.hangup then return end
  self.hangup = async.hangup(self.fd, function() self:give_up "EPIPE" end)
end

-- Nothing is left to do: tells whoever waits for that.
function Writer:rest()
  if self.timer then self.timer:stop() end
  local waiting = self.waiting
  self.waiting = nil
  if waiting then waiting() end
end

--- Writes what the descriptor takes now. True when something was written.
function Writer:push()
  local queue, first = self.queue, self.first
  local bytes = queue[first]
  local written, problem, code = uv.fs_write(self.fd, bytes, -1)
  if not written then
    if code ~= "EAGAIN" and code ~= "EINTR" then self:give_up(code, problem) end
    return false
  end
  self.queued = self.queued - written
  if written == #bytes then
    queue[first], self.first = nil, first + 1
    if self.first > self.last then self.queue, self.first, self.last = {}, 1, 0 end
  else
    queue[first] = bytes:sub(written + 1)
  end
  return true
end

-- Asks again after a moment, ever later while nothing moves. (luv's poll handle would be
-- woken at the right time, but it prints to stderr when the reader goes away.)
function Writer:try_later(pause)
  self.timer:start(pause, 0, function()
    self:drain(math.min(pause * 2, RETRY_MAX_MS))
  end)
end

--- Writes what can be written; the rest later.
function Writer:drain(pause)
  while self.queued > 0 and self:push() do pause = RETRY_MS end
  if self.queued == 0 then return self:rest() end
  self:try_later(pause or RETRY_MS)
end

-- A file: written to the end here and now.
function Writer:write_through()
  while self.queued > 0 do
    if not self:push() and not self.broken then uv.sleep(1) end
  end
end

-- Holds the loop, but never for long: signals and deadlines must still get their turn.
function Writer:hold_back()
  local deadline = uv.hrtime() + PATIENCE_MS * 1000000
  while self.queued > HIGH_WATER and uv.hrtime() < deadline do
    if not self:push() then
      if self.broken then return end
      uv.sleep(1)
    end
  end
end

--- Queues bytes; writes at once what can be written.
---@param bytes string
---@return boolean taken false once the reader has gone
function Writer:write(bytes)
  if self.broken then return false end
  if bytes == "" then return true end
  self.last = self.last + 1
  self.queue[self.last] = bytes
  self.queued = self.queued + #bytes
  if self.is_blocking then
    self:write_through()
    return not self.broken
  end
  self:drain()
  if self.queued > HIGH_WATER then self:hold_back() end
  return not self.broken
end

--- Waits, in a coroutine, until everything is written or the reader has gone; at most
--- `seconds` when given.
---@param seconds number?
function Writer:flush(seconds)
  if self.queued == 0 then return end
  async.call(function(done)
    local timer = seconds and uv.new_timer()
    self.waiting = function()
      if timer then timer:close() end
      self.waiting = nil
      async.defer(function() done(nil, true) end)
    end
    if timer then timer:start(math.ceil(seconds * 1000), 0, self.waiting) end
    return true
  end)
end

--- Writes text and, where one can wait, waits until it is written.
---@param fd integer
---@param text string
function output.print(fd, text)
  local writer = output.open(fd)
  writer:write(text)
  if coroutine.isyieldable() then writer:flush() end
end

-- A reader that has had enough, or a terminal that is gone, is no loss.
local function is_loss(writer)
  return writer and writer.broken and writer.is_blocking
end

--- Why something that was to be written is lost.
---@return string? problem nil: nothing is
function output.loss()
  if is_loss(writers[1]) then return "stdout could not be written: " .. writers[1].problem end
  if is_loss(writers[2]) then return "stderr could not be written: " .. writers[2].problem end
end

return output
