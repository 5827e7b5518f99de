--- Lines of a text file that comes in pieces: the wanted ones are kept, the others counted, so that
--- no more is held than what is asked for, however large the file is.
local core = require "axosandbox.core"
local encodings = require "axosandbox.base.text.encodings"
local errors = require "axosandbox.base.errors"
local task = require "axosandbox.session.work.task"

local text_lines = {}

--- How many lines one read returns at most.
text_lines.MAX_LINES = 1000000

-- As a search tells binary files.
local BINARY_SPAN = 64 * 1024
-- Bytes after the last wanted line in which further ones are counted.
local COUNT_ON = 16 * 1024 * 1024
-- The longest byte order mark.
local MARK = 4

---@class axo.Span
---@field first integer number of the first line, from 1
---@field last integer of the last one; `first` - 1 when there is none
---@field total integer? lines of the file, where its end is not far away (16 MiB)
---@field truncated true? there is more after this
---@field cut integer? bytes that are left out at the end of the one line that was longer than `limit`
---@field line_ends "lf"|"crlf"|"mixed"|nil of the lines read; of "crlf" the text has LF alone, of "mixed" it has both
---@field encoding string what the text was decoded from
---@field mark true? the file begins with a byte order mark, which is left out
---@field invalid integer? pieces that are no text in that encoding, and U+FFFD here

---@class axo.LineReader
local Reader = {}
Reader.__index = Reader

---@param opts { first_line: integer?, lines: integer?, limit: integer, numbered: boolean?, encoding: string? } limit: bytes of text
---@return axo.LineReader
function text_lines.new(opts)
  local first = opts.first_line or 1
  return setmetatable({
    first = first, last = first + (opts.lines or text_lines.MAX_LINES) - 1, limit = opts.limit,
    numbered = opts.numbered, asked = opts.encoding or "auto",
    ended = 0,                -- lines that have come to their end
    lines = {}, has_cr = {},  -- those that are kept
    size = 0, crlf = 0, lf = 0, invalid = 0, seen = 0, after = 0,
    open = {}, open_size = 0, -- the line that has not come to its end
    head = "", rest = "",
  }, Reader)
end

-- ---- bytes to UTF-8 ----------------------------------------------------------------------

local function begin(self)
  local encoding, mark = encodings.of(self.head, self.asked)
  self.encoding, self.mark = encoding or "utf-8", mark > 0 or nil
  self.unit = encodings.unit(self.encoding)
  local bytes = self.head:sub(mark + 1)
  self.head = nil
  return bytes
end

local function is_high_half(bytes, encoding)
  local byte = bytes:byte(encoding == "utf-16le" and -1 or -2)
  return byte and byte & 0xFC == 0xD8
end

-- Whole characters of two or four bytes; what is left waits for the next piece.
local function widen(self, bytes, is_end)
  bytes = self.rest .. bytes
  local whole = is_end and #bytes or #bytes - #bytes % self.unit
  if not is_end and self.unit == 2 and is_high_half(bytes:sub(1, whole), self.encoding) then
    whole = whole - 2
  end
  self.rest = bytes:sub(whole + 1)
  local words, invalid = core.decode(bytes:sub(1, whole), self.encoding)
  self.invalid = self.invalid + invalid
  return words
end

local function narrow(self, line)
  if self.unit > 1 then return line end
  if self.dropped and self.encoding == "utf-8" then
    local whole = task.whole_characters(line, false)
    self.dropped, line = self.dropped + #line - #whole, whole
  end
  local words, invalid = core.decode(line, self.encoding)
  self.invalid = self.invalid + invalid
  return words
end

-- ---- lines ---------------------------------------------------------------------------------

local function is_binary(self, words)
  local room = BINARY_SPAN - self.seen
  if room <= 0 then return false end
  self.seen = self.seen + #words
  local at = words:find("\0", 1, true)
  return at ~= nil and at <= room
end

local function is_done(self)
  return self.is_full or self.ended >= self.last
end

local function drop_open(self)
  self.open, self.open_size, self.dropped, self.is_open = {}, 0, nil, nil
end

-- What is longer than the limit is counted only.
local function extend(self, words)
  self.is_open = true
  if is_done(self) or self.ended + 1 < self.first then return end
  local room = self.limit - self.open_size
  if #words > room then
    self.dropped = (self.dropped or 0) + #words - room
    words = words:sub(1, room)
  end
  self.open[#self.open + 1] = words
  self.open_size = self.open_size + #words
end

local function prefix(self, number)
  return self.numbered and ("%6d\t"):format(number) or ""
end

local function keep_cut(self, line, room)
  local whole = task.whole_characters(line:sub(1, math.max(room, 0)), false)
  self.cut = #line - #whole + (self.dropped or 0)
  self.lines[1], self.is_full = whole, true
end

local function keep(self, line, has_end)
  local has_cr = has_end and not self.dropped and line:sub(-1) == "\r"
  line = narrow(self, has_cr and line:sub(1, -2) or line)
  local size = #prefix(self, self.ended + 1) + #line + (has_end and 1 or 0) + (has_cr and 1 or 0)
  local room = self.limit - self.size
  if size > room or self.dropped then
    if #self.lines > 0 then self.is_full = true else keep_cut(self, line, room - (size - #line)) end
    return
  end
  self.size = self.size + size
  table.insert(self.lines, line)
  self.has_cr[#self.lines] = has_cr
  self.last_has_end = has_end
  if has_cr then self.crlf = self.crlf + 1 elseif has_end then self.lf = self.lf + 1 end
end

local function end_line(self, has_end)
  if not is_done(self) and self.ended + 1 >= self.first then
    keep(self, table.concat(self.open), has_end)
  end
  self.ended = self.ended + 1
  drop_open(self)
end

local function scan(self, words)
  local at = 1
  while at <= #words do
    local stop = words:find("\n", at, true)
    extend(self, words:sub(at, (stop or #words + 1) - 1))
    if not stop then break end
    end_line(self, true)
    at = stop + 1
  end
end

local function take(self, bytes, is_end)
  local words = self.unit > 1 and widen(self, bytes, is_end) or bytes
  if is_binary(self, words) then
    self.is_binary = true
    return false
  end
  if is_done(self) then self.after = self.after + #bytes end
  scan(self, words)
  return self.after <= COUNT_ON
end

--- Takes the next bytes of the file.
---@param bytes string
---@return boolean more false: it has seen enough
function Reader:add(bytes)
  if not self.encoding then
    self.head = self.head .. bytes
    if #self.head < MARK then return true end
    bytes = begin(self)
  end
  self.more = take(self, bytes, false)
  return self.more
end

-- ---- what it comes to ----------------------------------------------------------------------

local function line_ends(self)
  if self.crlf > 0 then return self.lf > 0 and "mixed" or "crlf" end
  return self.lf > 0 and "lf" or nil
end

local function text_of(self)
  local is_mixed, parts = line_ends(self) == "mixed", {}
  for i, line in ipairs(self.lines) do
    local ends = is_mixed and self.has_cr[i] and "\r\n" or "\n"
    if i == #self.lines and (self.cut or not self.last_has_end) then ends = "" end
    parts[i] = prefix(self, self.first + i - 1) .. line .. ends
  end
  return table.concat(parts)
end

local function span_of(self)
  local last = self.first + #self.lines - 1
  return {
    first = self.first, last = last, cut = self.cut, total = self.is_whole and self.ended or nil,
    truncated = (self.cut or not self.is_whole or self.ended > last) and true or nil,
    line_ends = line_ends(self), encoding = self.encoding, mark = self.mark,
    invalid = self.invalid > 0 and self.invalid or nil,
  }
end

--- The text, once all bytes have come or it has seen enough.
---@param path string for messages
---@return string? text, axo.Span|axo.Error
function Reader:finish(path)
  self.is_whole = self.more ~= false
  if not self.is_binary and self.is_whole then
    take(self, self.encoding and "" or begin(self), true)
    if self.is_open then end_line(self, false) end
  end
  if self.is_binary then
    return nil, errors.new {
      code = "NOT_TEXT", op = "read_file",
      message = path .. ": it is not text: there is a NUL in its first 64 KiB",
      hint = "read its bytes (offset, limit), or name its encoding",
    }
  end
  return text_of(self), span_of(self)
end

return text_lines
