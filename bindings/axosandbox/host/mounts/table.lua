--- The kernel's table of mounts, /proc/PID/mountinfo: see proc_pid_mountinfo(5).
local host = require "axosandbox.host"

local mount_table = {}

---@class axo.MountEntry
---@field id string
---@field parent string the id of the mount that it stands on
---@field device string MAJOR:MINOR of the file system
---@field root string what of the file system is mounted
---@field at string where
---@field is_writable boolean
---@field kind string of file system
---@field layers string[]? of an overlay: the directories that it shows, as they were named

local function byte_of(digits) return string.char(tonumber(digits, 8)) end

-- Blanks, line feeds and backslashes are written in octal.
local OCTAL = "\\(%d%d%d)"

-- Cuts at a mark that no backslash stands before. linear: one look at each byte.
local function cut(text, mark)
  local parts, part, i = {}, {}, 1
  while i <= #text do
    local byte = text:sub(i, i)
    if byte == "\\" and i < #text then
      part[#part + 1], i = text:sub(i, i + 1), i + 1
    elseif byte == mark then
      parts[#parts + 1], part = table.concat(part), {}
    else
      part[#part + 1] = byte
    end
    i = i + 1
  end
  parts[#parts + 1] = table.concat(part)
  return parts
end

local function layers_of(options)
  local layers = {}
  for _, option in ipairs(cut(options, ",")) do
    local kind, value = option:match "^(%l+)dir%+?=(.*)$"
    local is_layer = kind == "lower" or kind == "upper" or kind == "data"
    for _, path in ipairs(is_layer and cut(value, ":") or {}) do
      path = path:gsub("\\(.)", "%1")
      if path:sub(1, 1) == "/" then layers[#layers + 1] = path end
    end
  end
  return layers
end

--- Reads one; lines that are none are passed over.
---@param text string
---@return axo.MountEntry[] in the order in which they were mounted
function mount_table.parse(text)
  local entries = {}
  for line in text:gmatch "[^\n]+" do
    local id, parent, device, root, at, options, rest =
      line:match "^(%d+) (%d+) (%d+:%d+) (%S+) (%S+) (%S+)(.*)$"
    local _, last, kind = (rest or ""):find " %- (%S+)"
    if kind then
      local more = kind == "overlay" and rest:sub(last + 1):match "^ %S+ (%S+)" or ""
      entries[#entries + 1] = {
        id = id, parent = parent, device = device, kind = kind,
        root = root:gsub(OCTAL, byte_of), at = at:gsub(OCTAL, byte_of), -- counts are cut off
        is_writable = options == "rw" or options:find "^rw," ~= nil,
        layers = kind == "overlay" and layers_of((more:gsub(OCTAL, byte_of))) or nil,
      }
    end
  end
  return entries
end

--- Reads that of a process.
---@param pid integer|"self"|nil
---@return axo.MountEntry[]? entries nil: it cannot be had
function mount_table.read(pid)
  local text = pid and host.is_linux() and host.read_file(("/proc/%s/mountinfo"):format(pid))
  return text and mount_table.parse(text) or nil
end

--- What is mounted beneath a directory, and not on it.
---@param entries axo.MountEntry[]
---@param dir string
---@return axo.MountEntry[]
function mount_table.beneath(entries, dir)
  local found, front = {}, dir == "/" and "/" or dir .. "/"
  for _, entry in ipairs(entries) do
    if entry.at ~= dir and entry.at:sub(1, #front) == front then found[#found + 1] = entry end
  end
  return found
end

return mount_table
