--- Byte-exact output to a descriptor that never blocks the loop: partial writes are carried
--- on, a reader that went away is noticed, and a slow reader slows down whoever writes
--- instead of filling the memory.
local uv = require "luv"
local await = require "axosandbox.await"

local output = {}

local HIGH_WATER = 1024 * 1024
local PATIENCE_MS = 100

---@class cli.Writer
---@field broken string? why nothing more can be written ("EPIPE")
local Writer = {}
Writer.__index = Writer

-- A descriptor's O_NONBLOCK belongs to everybody who shares it (the shell, a sibling in the
-- pipeline). Opened anew it is ours alone; sockets cannot be opened, and are seldom shared.
local function own_descriptor(fd)
  local c = uv.constants
  local flags = c.O_WRONLY | c.O_NONBLOCK | c.O_NOCTTY
  return uv.fs_open("/proc/self/fd/" .. fd, flags, 0) or fd
end

local function poll_of(fd)
  local ok, poll = pcall(uv.new_poll, fd)
  return ok and poll or nil
end

---@param fd integer 1 or 2
---@return cli.Writer
function output.open(fd)
  local kind = uv.guess_handle(fd)
  local writer = setmetatable({ fd = fd, queue = {}, queued = 0 }, Writer)
  if kind == "file" or kind == "unknown" then return writer end
  writer.fd = own_descriptor(fd)
  writer.poll = poll_of(writer.fd)
  return writer
end

function Writer:give_up(code)
  self.broken = code
  self.queue, self.queued = {}, 0
  self:rest()
  if self.on_broken then self.on_broken(code) end
end

-- Nothing is left to do: stops watching and tells whoever waits for that.
function Writer:rest()
  if self.watching then
    self.watching = false
    self.poll:stop()
  end
  local waiting = self.waiting
  self.waiting = nil
  if waiting then waiting() end
end

--- Writes what the descriptor takes now. True when something was written.
function Writer:push()
  local bytes = self.queue[1]
  local written, _, code = uv.fs_write(self.fd, bytes, -1)
  if not written then
    if code ~= "EAGAIN" and code ~= "EINTR" then self:give_up(code) end
    return false
  end
  self.queued = self.queued - written
  if written == #bytes then
    table.remove(self.queue, 1)
  else
    self.queue[1] = bytes:sub(written + 1)
  end
  return true
end

function Writer:drain()
  while #self.queue > 0 and self:push() do end
  if #self.queue == 0 then self:rest() end
end

function Writer:watch()
  if self.watching then return end
  self.watching = true
  self.poll:start("w", function() self:drain() end)
end

-- A file, or what cannot be polled: written to the end here and now.
function Writer:write_through()
  while #self.queue > 0 do
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
  self.queue[#self.queue + 1] = bytes
  self.queued = self.queued + #bytes
  if not self.poll then
    self:write_through()
    return not self.broken
  end
  if not self.watching then self:drain() end
  if self.queued > HIGH_WATER then self:hold_back() end
  if self.queued > 0 then self:watch() end
  return not self.broken
end

--- Waits, in a coroutine, until everything is written or the reader has gone; at most
--- `seconds` when given.
---@param seconds number?
function Writer:flush(seconds)
  if self.queued == 0 then return end
  await.call(function(done)
    local timer = seconds and uv.new_timer()
    self.waiting = function()
      if timer then timer:close() end
      self.waiting = nil
      await.defer(function() done(nil, true) end)
    end
    if timer then timer:start(math.ceil(seconds * 1000), 0, self.waiting) end
    return true
  end)
end

--- Everything at once, for a program that has only text to print.
---@param fd integer
---@param text string
function output.print(fd, text)
  local writer = output.open(fd)
  writer:write(text)
  writer:flush()
  return not writer.broken
end

return output
