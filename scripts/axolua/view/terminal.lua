--- The user's terminal, lent to a program in a sandbox: raw while it runs, its size
--- followed, and put back as it was on every way out.
local uv = require "luv"
local async = require("axosandbox").async
local modes = require "axolua.view.modes"
local output = require "axolua.view.output"

local terminal = {}

local MODE_NORMAL, MODE_RAW = 0, 2
local RETRY_MS = 5

--- True when both our stdin and our stdout are a terminal.
---@return boolean
function terminal.is_there()
  return uv.guess_handle(0) == "tty" and uv.guess_handle(1) == "tty"
end

local function new_tty(fd)
  return assert(uv.new_tty(fd, fd == 0))
end

local function size_of(tty)
  local cols, rows = tty:get_winsize()
  if not cols or cols < 1 or rows < 1 then return 24, 80 end
  return rows, cols
end

--- The size of our terminal.
---@return integer rows, integer cols
function terminal.size()
  local tty = new_tty(1)
  local rows, cols = size_of(tty)
  tty:close()
  return rows, cols
end

--- Puts the terminal back, whatever state anything is in.
function terminal.restore()
  uv.tty_reset_mode()
end

---@class cli.Attachment
local Attachment = {}
Attachment.__index = Attachment

-- Typed input is small, a paste need not be: what the other side does not take waits, and
-- nothing more is read meanwhile.
function Attachment:type(bytes)
  local ok, err = self.term:write(bytes)
  if ok or not err or err.code ~= "ENOBUFS" then return end
  self.tty:read_stop()
  self.retry = self.retry or uv.new_timer()
  self.retry:start(RETRY_MS, 0, function()
    if self.closed then return end
    self:read()
    self:type(bytes)
  end)
end

function Attachment:read()
  self.tty:read_start(function(err, bytes)
    async.protect(function()
      if self.closed then return end
      if err or not bytes then return self.term:close(function() end) end
      self:type(bytes)
    end)
  end)
end

function Attachment:on_signal(name, fn)
  local handle = uv.new_signal()
  handle:start(name, function()
    if not self.closed then async.protect(fn) end
  end)
  self.signals[#self.signals + 1] = handle
end

function Attachment:open()
  self.tty = new_tty(0)
  self.tty:set_mode(MODE_RAW)
  self:read()
  self:on_signal("sigwinch", function() self.term:resize(size_of(self.tty)) end)
  self:on_signal("sigcont", function()
    self.tty:set_mode(MODE_NORMAL)
    self.tty:set_mode(MODE_RAW)
    self.term:resize(size_of(self.tty))
  end)
  self.subscription = self.term:subscribe(function(bytes)
    self.modes:feed(bytes)
    self.writer:write(bytes)
  end, { from = 0 })
end

function Attachment:close()
  if self.closed then return end
  self.closed = true
  if self.subscription then self.subscription:close() end
  for _, handle in ipairs(self.signals) do handle:close() end
  if self.retry then self.retry:close() end
  if self.tty then
    pcall(self.tty.set_mode, self.tty, MODE_NORMAL)
    self.tty:close()
  end
  terminal.restore()
end

--- Connects our terminal with a program's until that ends; in a coroutine.
---@param term axo.Terminal
---@param guard cli.Guard signals that come meanwhile end the program
---@return { code: integer?, signal: string? }? result, axo.Error?
function terminal.attach(term, guard)
  local self = setmetatable({
    term = term, signals = {}, writer = output.open(1), modes = modes.new(),
  }, Attachment)
  self.writer.on_broken = function() term:close(function() end) end
  guard:on_signal(function() term:close(function() end) end)
  local ok, result, err = xpcall(function()
    self:open()
    local ended, problem = term:wait()
    self.writer:flush(2)
    return ended, problem
  end, debug.traceback)
  guard:on_signal(nil)
  if not ok or not result or result.signal or guard.signal then
    self.writer:write(self.modes:undo())
    self.writer:flush(2)
  end
  self:close()
  if not ok then error(result, 0) end
  return result, err
end

return terminal
