--- Writes tar archives (ustar) in memory: enough to hand podman a small root file system
--- without a temporary directory, and with owners that an unprivileged user could not set.
local tar = {}

local BLOCK = 512
local TYPES = { file = "0", symlink = "2", directory = "5" }

local function octal(number, width)
  return ("%0" .. (width - 1) .. "o\0"):format(number)
end

local function field(text, width)
  if #text > width then error("tar: too long: " .. text, 0) end
  return text .. ("\0"):rep(width - #text)
end

local function with_checksum(header)
  local sum = 0
  for i = 1, #header do sum = sum + header:byte(i) end
  return header:sub(1, 148) .. ("%06o\0 "):format(sum) .. header:sub(157)
end

local function header(entry)
  local name = entry.path .. (entry.type == "directory" and "/" or "")
  return with_checksum(field(name, 100)
    .. octal(entry.mode, 8) .. octal(0, 8) .. octal(0, 8)
    .. octal(#(entry.data or ""), 12) .. octal(0, 12)
    .. (" "):rep(8) .. TYPES[entry.type] .. field(entry.target or "", 100)
    .. "ustar\0" .. "00" .. field("root", 32) .. field("root", 32)
    .. octal(0, 8) .. octal(0, 8) .. field("", 155) .. field("", 12))
end

---@class axo.TarEntry
---@field path string at most 99 bytes, relative
---@field type "file"|"symlink"|"directory"
---@field mode integer
---@field data string? of a file
---@field target string? of a symlink

--- Packs the entries in their order, all owned by root and dated at the epoch.
---@param entries axo.TarEntry[]
---@return string
function tar.pack(entries)
  local parts = {}
  for _, entry in ipairs(entries) do
    parts[#parts + 1] = header(entry)
    if entry.data then
      parts[#parts + 1] = entry.data
      parts[#parts + 1] = ("\0"):rep(-#entry.data % BLOCK)
    end
  end
  parts[#parts + 1] = ("\0"):rep(2 * BLOCK)
  return table.concat(parts)
end

return tar
