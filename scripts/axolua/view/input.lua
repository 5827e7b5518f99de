--- Our stdin, forwarded as fast as its receiver takes it.
local uv = require "luv"
local async = require("axosandbox").async
local descriptor = require "axolua.view.descriptor"

local input = {}

local CHUNK = 65536
local HIGH_WATER = 1024 * 1024
local PAUSE_MS = 5

---@class cli.Input
local Input = {}
Input.__index = Input

--- Reads `fd` to its end. `write(bytes)` returns the count of bytes that its receiver has not
--- taken yet, or nil when it takes no more; `close()` is called once at the end of input.
---@param fd integer
---@param write fun(bytes: string): integer?
---@param queued fun(): integer
---@param close fun()
---@return cli.Input
function input.forward(fd, write, queued, close)
  local self = setmetatable({ write = write, queued = queued, close_sink = close }, Input)
  local kind = uv.guess_handle(fd)
  if kind == "file" then
    self:read_file(fd)
  elseif kind == "unknown" then
    async.defer(function() self:finish() end)
  else
    self:read_stream(fd)
  end
  return self
end

function Input:finish()
  if self.stopped then return end
  self:stop()
  self.close_sink()
end

-- Files are not polled: read in the thread pool, where a slow disk or a FIFO of /dev harms
-- nobody.
function Input:read_file(fd)
  uv.fs_read(fd, CHUNK, -1, function(err, bytes)
    async.protect(function()
      if self.stopped then return end
      if err or bytes == "" then return self:finish() end
      self:deliver(bytes, function() self:read_file(fd) end)
    end)
  end)
end

function Input:read_stream(fd)
  self.fd = descriptor.own(fd, uv.constants.O_RDONLY) or fd
  self.stream = uv.new_pipe(false)
  if not self.stream:open(self.fd) then return self:read_file(fd) end
  self:resume_stream()
end

function Input:resume_stream()
  self.stream:read_start(function(err, bytes)
    async.protect(function()
      if self.stopped then return end
      if err or not bytes then return self:finish() end
      self:deliver(bytes, function()
        if not self.reading then self:resume_stream() end
      end)
    end)
  end)
  self.reading = true
end

--- Hands bytes on; goes on reading when there is room for more.
function Input:deliver(bytes, go_on)
  local waiting = self.write(bytes)
  if not waiting then return self:stop() end
  if waiting <= HIGH_WATER then return go_on() end
  if self.reading then
    self.stream:read_stop()
    self.reading = false
  end
  self.timer = self.timer or uv.new_timer()
  self.timer:start(PAUSE_MS, PAUSE_MS, function()
    if self.queued() > HIGH_WATER // 2 then return end
    self.timer:stop()
    async.protect(go_on)
  end)
end

--- Reads no more. Idempotent.
function Input:stop()
  self.stopped = true
  if self.stream and not self.stream:is_closing() then self.stream:close() end
  if self.timer and not self.timer:is_closing() then self.timer:close() end
end

return input
