--- What one copy has come to: it is bounded, and what it leaves out is said.
local cli = require "axolua.cli"
local text = require "axolua.view.text"

local tally = {}

-- Directories in directories, each of which is open meanwhile; and files and directories in all.
tally.MAX_DEPTH, tally.MAX_ENTRIES = 100, 100000
local SHOWN = 5

---@class cli.Tally
local Tally = {}
Tally.__index = Tally

---@param limit integer bytes in all
---@return cli.Tally
function tally.new(limit)
  return setmetatable({ limit = limit, bytes = 0, entries = 0, left_out = {}, count = 0 }, Tally)
end

--- Nothing more is copied.
function Tally:stop() self.is_stopped = true end

--- Whether to go on.
---@return true? ok, table? err
function Tally:check()
  if not self.is_stopped then return true end
  return nil, { op = "cp", message = "interrupted: not all of it is copied" }
end

--- One more.
---@param path string
---@param depth integer
---@param size integer
---@return true? ok, table? err
function Tally:add(path, depth, size)
  local ok, err = self:check()
  if not ok then return nil, err end
  self.entries, self.bytes = self.entries + 1, self.bytes + size
  local what = depth > tally.MAX_DEPTH and ("more than %d directories deep"):format(tally.MAX_DEPTH)
    or self.entries > tally.MAX_ENTRIES and ("more than %d files"):format(tally.MAX_ENTRIES)
  if what then return nil, { op = "cp", message = ("%s: %s"):format(path, what) } end
  if self.bytes <= self.limit then return true end
  return nil, {
    op = "cp", message = ("%s: that would be more than %d bytes in all"):format(path, self.limit),
    hint = "--max SIZE allows more, such as --max 10g",
  }
end

--- One that is no file and no directory.
function Tally:leave_out(path, kind)
  self.count = self.count + 1
  if self.count <= SHOWN then
    self.left_out[self.count] = ("%s (%s)"):format(text.visible(path), kind)
  end
end

--- Says what was left out.
function Tally:tell()
  if self.count == 0 then return end
  cli.say(("warning: left out, for they are neither files nor directories: %s%s"):format(
    table.concat(self.left_out, ", "),
    self.count > SHOWN and (" and %d more"):format(self.count - SHOWN) or ""))
end

return tally
