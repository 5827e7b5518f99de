--- Appends lines to a file without ever making the loop wait: what comes goes into a bounded
--- queue, and one write at a time takes along all that is there.
---
--- While nothing can be written (the disk is full, say) the queue is kept. What finds no room in
--- it is counted, and the count takes its place in the file once writing works again. A process
--- that ends before that leaves the count in its runtime directory, for the next one.
local uv = require "luv"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local gate = require "axosandbox.base.gate"
local json = require "axosandbox.base.json"
local log = require "axosandbox.base.log"
local lost_note = require "axosandbox.audit.lost"

local audit_file = {}

local C = uv.constants
local PRIVATE = 384 -- 0600
local FLAGS = C.O_WRONLY | C.O_APPEND | C.O_CREAT | C.O_NONBLOCK
local MAX_QUEUE = 1024 * 1024
local MAX_BATCH = 256 * 1024
local MOST_KEPT = 100
-- Nothing is tried more often than that after a failure, and only when there is a new event.
local RETRY_NS = 1000000000
local CLOSE_TIMEOUT = 10
-- Seconds that a first line waits for others to go with it: a write costs more than a line.
local GATHER = 0.01

---@class axo.AuditFile
---@field path string
---@field max_size integer
---@field keep integer
---@field queue (string|{ lost: integer, since: string })[]
---@field first integer of the queue
---@field last integer
---@field bytes integer in the queue
---@field in_flight integer items that are being written
---@field note fun(gap: { lost: integer, since: string }): table the event that tells of a gap
local File = {}
File.__index = File

local is_over = false

-- Those whose queue must be written when the process ends.
local open_files = {}

--- Opens one; the file itself is opened with the first line.
---@param opts { path: string, max_size: integer, keep: integer, note: fun(gap: table): table, now: fun(): string }
---@return axo.AuditFile
function audit_file.new(opts)
  local self = setmetatable({
    path = opts.path, max_size = opts.max_size, keep = opts.keep, note = opts.note,
    now = opts.now, queue = {}, first = 1, last = 0, bytes = 0, in_flight = 0,
  }, File)
  open_files[self] = true
  return self
end

-- ---- the queue ---------------------------------------------------------------------------

local function append(self, item)
  self.last = self.last + 1
  self.queue[self.last] = item
end

local function count_lost(self, count, since)
  local newest = self.queue[self.last]
  if type(newest) ~= "table" or self.last < self.first + self.in_flight then
    append(self, { lost = count, since = since })
  else
    newest.lost = newest.lost + count
  end
end

local function drop_first(self, count)
  for _ = 1, count do
    local item = self.queue[self.first]
    if type(item) == "string" then self.bytes = self.bytes - #item end
    self.queue[self.first] = nil
    self.first = self.first + 1
  end
end

local function line_of(self, item)
  return type(item) == "string" and item or json.encode(self.note(item)) .. "\n"
end

-- The next lines, and how many items they are.
local function next_batch(self)
  local lines, size, most = {}, 0, math.min(MAX_BATCH, self.max_size)
  for i = self.first, self.last do
    local line = line_of(self, self.queue[i])
    if #lines > 0 and size + #line > most then break end
    lines[#lines + 1], size = line, size + #line
  end
  return lines, size
end

-- ---- the file ----------------------------------------------------------------------------

-- An operation of luv in this coroutine; nil, message on failure. What completes while Lua's
-- state is being closed goes on no more.
local function fs(name, ...)
  local arguments = table.pack(...)
  return await.call(function(done)
    arguments[arguments.n + 1] = function(err, value)
      if not is_over then done(err, value == nil or value) end
    end
    return uv[name](table.unpack(arguments, 1, arguments.n + 1))
  end)
end

local function check(stat)
  if stat.type ~= "file" then return "it is a " .. stat.type .. ", not a regular file" end
  if stat.uid ~= uv.getuid() then return ("it belongs to the user %d"):format(stat.uid) end
end

local function open(self)
  local stat = fs("fs_lstat", self.path)
  local err = stat and check(stat)
  if err then return nil, err end
  local fd
  fd, err = fs("fs_open", self.path, FLAGS, PRIVATE)
  if not fd then return nil, err end
  stat, err = fs("fs_fstat", fd)
  err = err or check(stat)
  if err then
    fs("fs_close", fd)
    return nil, err
  end
  if stat.mode & 63 ~= 0 then fs("fs_fchmod", fd, PRIVATE) end
  self.fd, self.ino, self.dev = fd, stat.ino, stat.dev
  return stat
end

local function close_fd(self)
  local fd = self.fd
  self.fd = nil
  if fd then fs("fs_close", fd) end
end

local function shift(self)
  for i = math.max(self.keep, 1), MOST_KEPT do
    if not fs("fs_unlink", ("%s.%d"):format(self.path, i)) then break end
  end
  local last = 0
  while last < self.keep - 1 and fs("fs_lstat", ("%s.%d"):format(self.path, last + 1)) do
    last = last + 1
  end
  for i = last, 1, -1 do
    fs("fs_rename", ("%s.%d"):format(self.path, i), ("%s.%d"):format(self.path, i + 1))
  end
  if self.keep == 0 then return fs("fs_unlink", self.path) end
  return fs("fs_rename", self.path, self.path .. ".1")
end

-- Of several processes one shifts the files; the others notice that theirs has another name.
local function rotate(self)
  local lock <close> = core.lock(self.path .. ".lock", true)
  if not lock then return end
  local stat = fs("fs_stat", self.path)
  if not stat or stat.ino ~= self.ino or stat.dev ~= self.dev then return close_fd(self) end
  if shift(self) then close_fd(self) end
end

-- The file that has the name now, with room for `size` bytes.
local function ready(self, size)
  local stat = self.fd and fs("fs_stat", self.path)
  if self.fd and not (stat and stat.ino == self.ino and stat.dev == self.dev) then
    close_fd(self)
  end
  local err
  if not self.fd then stat, err = open(self) end
  if not stat then return nil, err end
  if stat.size > 0 and stat.size + size > self.max_size then
    rotate(self)
    if not self.fd then
      stat, err = open(self)
      if not stat then return nil, err end
    end
  end
  return true
end

-- Takes what was written out of the queue. A line that was cut is written again as a whole, on
-- a line of its own.
local function account(self, lines, written)
  written = math.max(written - (self.is_torn and 1 or 0), 0)
  local whole, at = 0, 0
  while lines[whole + 1] and at + #lines[whole + 1] <= written do
    whole = whole + 1
    at = at + #lines[whole]
  end
  self.is_torn = at < written or (self.is_torn and written == 0)
  drop_first(self, whole)
  return whole == #lines
end

local function write(self)
  local lines, size = next_batch(self)
  local ok, err = ready(self, size)
  if not ok then return nil, err end
  if self.is_dead then return true end
  self.in_flight = #lines
  local text = (self.is_torn and "\n" or "") .. table.concat(lines)
  local written
  written, err = fs("fs_write", self.fd, text, -1)
  self.in_flight = 0
  if self.is_dead then return true end
  if not written then return nil, err end
  if not account(self, lines, written) then return nil, nil end
  return true
end

-- ---- the pump ----------------------------------------------------------------------------

local function failed(self, err)
  self.retry_at = uv.hrtime() + RETRY_NS
  if self.is_failing then return end
  self.is_failing = true
  log.emit("warn", ("the audit log %s cannot be written: %s"):format(self.path, tostring(err)),
    { op = "audit", path = self.path })
end

local function take_notes(self)
  if self.has_looked then return end
  self.has_looked = true
  local gap = lost_note.take(self.path)
  if not gap then return end
  self.first = self.first - 1
  self.queue[self.first] = gap
end

local function pump(self)
  local is_second_try = false
  take_notes(self)
  while self.first <= self.last and not self.is_dead do
    local ok, err = write(self)
    if ok then
      self.is_failing, is_second_try = false, false
    elseif err or is_second_try then
      return failed(self, err or "only a part was written")
    else
      is_second_try = true
    end
  end
end

local function start(self)
  if self.cancel_gathering then self.cancel_gathering() end
  self.cancel_gathering = nil
  if self.idle and not self.idle.is_open then return end
  self.idle = gate.new()
  await.spawn(function() pump(self) end, function(err)
    if err then failed(self, err) end
    self.idle:open()
  end)
end

local function start_soon(self)
  if self.cancel_gathering or self.idle and not self.idle.is_open then return end
  self.cancel_gathering = await.after(GATHER, function() start(self) end)
end

--- Appends a line, soon.
---@param line string with its newline
function File:push(line)
  if self.bytes + #line > MAX_QUEUE then
    count_lost(self, 1, self.now())
  else
    append(self, line)
    self.bytes = self.bytes + #line
  end
  if not self.is_failing or uv.hrtime() >= self.retry_at then start_soon(self) end
end

--- Calls `fn` once everything is written or cannot be, at most after `seconds`.
---@param seconds number
---@param fn fun()
function File:flush(seconds, fn)
  if self.first <= self.last then start(self) end
  if not self.idle or self.idle.is_open then return await.defer(fn) end
  self.idle:within(seconds, function() fn() end)
end

-- ---- the end of the process --------------------------------------------------------------

local function append_at_once(self, text)
  local there = uv.fs_lstat(self.path)
  if there and check(there) then return false end
  local fd = uv.fs_open(self.path, FLAGS, PRIVATE)
  if not fd then return false end
  local stat = uv.fs_fstat(fd)
  local written = stat and not check(stat) and uv.fs_write(fd, text, -1)
  uv.fs_close(fd)
  return written == #text
end

-- Without the loop: it may never run again. What is in flight is on its way.
local function finish(self)
  self.is_dead = true
  local rest = {}
  for i = self.first + self.in_flight, self.last do
    rest[#rest + 1] = line_of(self, self.queue[i])
  end
  if #rest == 0 then return end
  if append_at_once(self, (self.is_torn and "\n" or "") .. table.concat(rest)) then return end
  local lost = 0
  for i = self.first + self.in_flight, self.last do
    local item = self.queue[i]
    lost = lost + (type(item) == "table" and item.lost or 1)
  end
  lost_note.leave(self.path, lost, self.now())
end

--- Takes no more lines; what waits is written, or counted as lost.
function File:close()
  self:flush(CLOSE_TIMEOUT, function()
    if open_files[self] and self.first <= self.last then finish(self) end
    open_files[self] = nil
    await.spawn(function() close_fd(self) end, function() end)
  end)
end

--- Writes what is left, at once. For the end of the process.
function audit_file.finish_all()
  for file in pairs(open_files) do finish(file) end
  open_files = {}
end

-- Made after what it uses was loaded, so that it is finalised before that.
audit_file.at_exit = setmetatable({}, { __gc = function()
  is_over = true
  audit_file.finish_all()
end })

return audit_file
