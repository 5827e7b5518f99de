--- Standard descriptors that are ours alone: O_NONBLOCK belongs to everybody who shares one (the
--- shell, a sibling in the pipeline), and so one that is to have it is opened anew.
local uv = require "luv"

local descriptor = {}

--- Another descriptor for the same, which does not block.
---@param fd integer
---@param mode integer O_RDONLY or O_WRONLY
---@return integer? own nil for what cannot be opened, such as a socket, which is seldom shared
function descriptor.own(fd, mode)
  local c = uv.constants
  return (uv.fs_open("/proc/self/fd/" .. fd, mode | c.O_NONBLOCK | c.O_NOCTTY, 0))
end

return descriptor
