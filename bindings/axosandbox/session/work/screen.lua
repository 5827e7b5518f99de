--- What stands on a terminal's screen. It is worked out of the bytes in the terminal's ring, from
--- the first call on as they come. What the ring has lost by then is not known: the screen is right
--- again once the program has drawn it anew.
local uv = require "luv"
local await = require "axosandbox.base.await"
local core = require "axosandbox.core"

local screen = {}

local LINES = 2000
local HISTORY = 512
-- A program can have every cell drawn by a few bytes. So much is done before the loop gets its
-- turn, and in one call.
local CELLS_AT_ONCE, LEAST, MOST = 16 * 1024 * 1024, 32, 64 * 1024
local PATIENCE = 0.5

---@class axo.ScreenOf
---@field private work axo.Work
---@field private offset integer of the ring: how far it has been looked at
---@field private history { offset: integer, scrolled: integer }[]
local Screen = {}
Screen.__index = Screen

local function set_up(self)
  local err
  self.core, err = core.screen(self.rows, self.cols, LINES)
  return self.core ~= nil, err
end

-- What was lost may have been anything: better an empty screen than a wrong one.
local function begin_again(self)
  self.base = self.base + self.core:state().scrolled
  self.has_lost = true
  set_up(self)
end

local function note(self)
  local history = self.history
  if #history >= HISTORY then
    self.history = table.move(history, HISTORY // 2 + 1, #history, 1, {})
    history = self.history
  end
  history[#history + 1] = {
    offset = self.offset, scrolled = self.base + self.core:state().scrolled,
  }
end

-- Takes the next bytes; false when there are none.
local function step(self)
  if self.at > #self.pending then
    local bytes, cursor, dropped = self.work.ring:read(self.read_to)
    if dropped > 0 then begin_again(self) end
    self.pending, self.at, self.read_to = bytes, 1, cursor
    self.offset = cursor - #bytes
    if bytes == "" then return false end
  end
  local size = CELLS_AT_ONCE // (self.rows * self.cols)
  size = math.max(LEAST, math.min(MOST, size))
  local piece = self.pending:sub(self.at, self.at + size - 1)
  self.core:write(piece)
  self.at, self.offset = self.at + #piece, self.offset + #piece
  note(self)
  return true
end

-- The rest when the loop has had its turn. It is kept alive by none of this.
local function follow(self)
  if self.is_stepping then return end
  if not step(self) then return end
  self.is_stepping = true
  self.timer = self.timer or uv.new_timer()
  self.timer:start(0, 0, function()
    self.is_stepping = false
    follow(self)
  end)
  self.timer:unref()
end

local function catch_up(self)
  local deadline = await.now() + PATIENCE
  while step(self) and await.now() < deadline do end
end

local function fit(self)
  local rows, cols = self.work:size()
  if rows == self.rows and cols == self.cols then return true end
  local ok, err = self.core:resize(rows, cols)
  if not ok then return nil, err end
  self.rows, self.cols = rows, cols
  return true
end

--- The screen of a terminal; the same one every time.
---@param work axo.Work
---@return axo.ScreenOf? screen, axo.Error? err code "EINVAL": the terminal is too large
function screen.of(work)
  if work.screen then return work.screen end
  local rows, cols = work:size()
  local self = setmetatable({
    work = work, rows = rows, cols = cols, base = 0, history = {},
    pending = "", at = 1, read_to = 0, offset = 0,
  }, Screen)
  local ok, err = set_up(self)
  if not ok then return nil, err end
  work.screen = self
  work:tap(function() follow(self) end)
  return self
end

--- The terminal is about to get another size: what came before belongs to the old one.
---@param work axo.Work
function screen.before_resize(work)
  if work.screen then catch_up(work.screen) end
end

-- How many lines had scrolled off when the ring was at `offset`.
local function scrolled_at(self, offset)
  local history = self.history
  local low, high = 0, #history
  while low < high do
    local middle = (low + high + 1) // 2
    if history[middle].offset <= offset then low = middle else high = middle - 1 end
  end
  return low > 0 and history[low].scrolled or 0
end

---@class axo.Screen
---@field rows integer
---@field cols integer
---@field lines string[] one a row, without blanks at their ends: UTF-8, no control characters
---@field cursor { row: integer, col: integer, visible: boolean } from 1
---@field title string what the program called the terminal; "" unless it did
---@field alternate boolean a full-screen program has it
---@field scrollback string[] lines that have scrolled off the top, the oldest first
---@field offset integer how far into the terminal's output this is: a cursor for `read`
---@field pending integer bytes that came and were not looked at yet: there were too many
---@field lost boolean the ring lost output before it was looked at: some of this may be missing

--- Reads it.
---@param opts { scrollback: integer?, since: integer? }
---@return axo.Screen? screen, axo.Error?
function Screen:read(opts)
  catch_up(self)
  local ok, err = fit(self)
  if not ok then return nil, err end
  local state = self.core:state()
  local count = opts.scrollback or 0
  if opts.since then
    count = math.max(count, self.base + state.scrolled - scrolled_at(self, opts.since))
  end
  return {
    rows = self.rows, cols = self.cols, lines = self.core:rows(), cursor = state.cursor,
    title = state.title, alternate = state.alternate, scrollback = self.core:lines(count),
    offset = self.offset, pending = self.work.ring:head() - self.offset,
    lost = self.has_lost or false,
  }
end

return screen
