--- Whom of this host a user namespace has, and by which numbers.
local host = require "axosandbox.host"

local id_map = {}

---@class axo.IdRange
---@field inner integer the first number in there
---@field outer integer the same one out here
---@field count integer

--- As /proc has it; a range of none is left out.
---@param text string
---@return axo.IdRange[]
function id_map.parse(text)
  local map = {}
  -- linear: these are the kernel's own words, whose runs are short.
  for inner, outer, count in text:gmatch "(%d+) +(%d+) +(%d+)" do
    local range = { inner = tonumber(inner), outer = tonumber(outer), count = tonumber(count) }
    if range.count > 0 then map[#map + 1] = range end
  end
  return map
end

--- Of the namespace that a process is in; none when it is gone.
---@param pid integer
---@param kind "uid"|"gid"
---@return axo.IdRange[]
function id_map.read(pid, kind)
  return id_map.parse(host.read_file(("/proc/%d/%s_map"):format(pid, kind)) or "")
end

--- What a number out here is in there.
---@param map axo.IdRange[]
---@param id integer
---@return integer? inner nil: it is not there
function id_map.inside(map, id)
  for _, range in ipairs(map) do
    local offset = id - range.outer
    if offset >= 0 and offset < range.count then return range.inner + offset end
  end
end

return id_map
