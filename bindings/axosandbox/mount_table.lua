--- The kernel's table of mounts, /proc/PID/mountinfo: see proc_pid_mountinfo(5).
local mount_table = {}

---@class axo.MountEntry
---@field id string
---@field parent string the id of the mount that it stands on
---@field device string MAJOR:MINOR of the file system
---@field root string what of the file system is mounted
---@field at string where
---@field options table<string, true> of this mount
---@field kind string of file system

-- Blanks, line feeds and backslashes are written in octal.
local function plain(text)
  return (text:gsub("\\(%d%d%d)", function(digits) return string.char(tonumber(digits, 8)) end))
end

local function options_of(text)
  local options = {}
  for option in text:gmatch "[^,]+" do options[option] = true end
  return options
end

--- Reads one; lines that are none are passed over.
---@param text string
---@return axo.MountEntry[] in the order in which they were mounted
function mount_table.parse(text)
  local entries = {}
  for line in text:gmatch "[^\n]+" do
    local id, parent, device, root, at, options, rest =
      line:match "^(%d+) (%d+) (%d+:%d+) (%S+) (%S+) (%S+)(.*)$"
    local kind = rest and rest:match " %- (%S+)"
    if kind then
      entries[#entries + 1] = {
        id = id, parent = parent, device = device, root = plain(root), at = plain(at),
        options = options_of(options), kind = kind,
      }
    end
  end
  return entries
end

return mount_table
