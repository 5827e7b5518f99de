--- The user's terminal, lent to a program in a sandbox: raw while it runs, its size
--- followed, and put back as it was on every way out.
local uv = require "luv"
local async = require("axosandbox").async
local detach_keys = require "axolua.view.detach_keys"
local modes = require "axolua.view.modes"
local output = require "axolua.view.output"

local terminal = {}

-- Keys as they come; the last one leaves the program's output as it is.
local MODE_NORMAL, MODE_KEYS, MODE_RAW = 0, 1, 2
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

-- Of one that is ours the keys mean nothing.
function Attachment:receive(bytes)
  local is_over = false
  if self.keys then bytes, is_over = self.keys:feed(bytes) end
  if bytes ~= "" then self:type(bytes) end
  if is_over then self:leave() end
end

-- We go: with us what is ours, and what is shared goes on.
function Attachment:leave()
  if not self.keys then return self.term:close(function() end) end
  self.is_left = true
  if self.finish then self.finish(nil, { state = "left" }) end
end

function Attachment:read()
  self.tty:read_start(function(err, bytes)
    async.protect(function()
      if self.closed then return end
      if err or not bytes then return self:leave() end
      self:receive(bytes)
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
  local from = self.keys and self:paint() or 0
  self.subscription = self.term:subscribe(function(bytes) self:show(bytes) end, { from = from })
  if self.keys then self:fit() end
end

function Attachment:show(bytes)
  self.modes:feed(bytes)
  self.writer:write(bytes)
end

-- What stands on a terminal that others have used, and not all that led to it: a question of the
-- program's that was answered long ago would be answered again, by typing. Where it is too large
-- to be known, it begins empty.
function Attachment:paint()
  local seen = self.term:screen()
  if not seen then return select(2, self.term:read(0)) end
  self:show((seen.alternate and "\27[?1049h" or "") .. "\27[H\27[2J"
    .. table.concat(seen.lines, "\r\n")
    .. ("\27[%d;%dH"):format(seen.cursor.row, seen.cursor.col)
    .. (seen.cursor.visible and "" or "\27[?25l"))
  return seen.offset
end

-- Its program draws everything anew where the size changes.
function Attachment:fit()
  local rows, cols = size_of(self.tty)
  self.term:resize(math.max(1, rows - 1), cols)
  self.term:resize(rows, cols)
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
---@param guard cli.Guard signals that come meanwhile end the program, or leave one that is shared
---@param is_shared boolean? it is others', too: it goes on when we leave it, by keys as well
---@return { code: integer?, signal: string? }? result, axo.Error? err, boolean? is_left
function terminal.attach(term, guard, is_shared)
  local self = setmetatable({
    term = term, signals = {}, writer = output.open(1), modes = modes.new(),
    keys = is_shared and detach_keys.new() or nil,
  }, Attachment)
  self.writer.on_broken = function() self:leave() end
  guard:on_signal(function() self:leave() end)
  local ok, result, err = xpcall(function()
    self:open()
    local ended, problem = async.first(function(finish)
      self.finish = finish
      if self.is_left then finish(nil, { state = "left" }) end
      return term:wait(nil, finish)
    end)
    self.writer:flush(2)
    return ended, problem
  end, debug.traceback)
  guard:on_signal(nil)
  if not ok or not result or result.signal or guard.signal or self.is_left then
    self.writer:write(self.modes:undo())
    self.writer:flush(2)
  end
  self:close()
  if not ok then error(result, 0) end
  return result, err, self.is_left
end

--- Waits for the keys that leave what is only looked at: ctrl-c, ctrl-\, and those that detach.
---@param fn fun(how: "interrupted"|"detached")
---@return fun() forget
function terminal.watch_keys(fn)
  local tty, keys = new_tty(0), detach_keys.new()
  tty:set_mode(MODE_KEYS)
  tty:read_start(function(err, bytes)
    async.protect(function()
      local typed, is_detached = keys:feed(bytes or "")
      if typed:find "[\3\28]" then return fn "interrupted" end
      if is_detached or err or not bytes then fn "detached" end
    end)
  end)
  return function()
    if tty:is_closing() then return end
    pcall(tty.set_mode, tty, MODE_NORMAL)
    tty:close()
    terminal.restore()
  end
end

return terminal
