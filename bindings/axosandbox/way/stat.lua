--- What luv says of a file, as the files of both ways have it.
local stats = {}

local TYPES = {
  [0x8000] = "file", [0x4000] = "directory", [0xA000] = "link", [0x1000] = "fifo",
  [0xC000] = "socket", [0x2000] = "char", [0x6000] = "block",
}

---@param stat { mode: integer }
---@return string type as in axo.Entry
function stats.kind_of(stat)
  return TYPES[stat.mode & 0xF000] or "unknown"
end

--- What tells a file from any other, and from itself once it is written.
---@param stat table as luv has it
---@return string
function stats.signature_of(stat)
  return ("%d:%d:%d:%d.%09d:%d.%09d"):format(stat.dev, stat.ino, stat.size, stat.mtime.sec,
    stat.mtime.nsec, stat.ctime.sec, stat.ctime.nsec)
end

--- An entry of a directory, axo.Entry.
---@param name string
---@param stat { mode: integer, size: integer, mtime: { sec: integer } }
---@return table
function stats.entry_of(name, stat)
  return {
    name = name, type = stats.kind_of(stat), mode = stat.mode & 0xFFF, size = stat.size,
    mtime = stat.mtime.sec,
  }
end

return stats
