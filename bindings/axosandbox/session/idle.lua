--- Whether anything runs in a container but what every session has. Seen from outside, in /proc: what
--- is in there says of itself what it likes, and can only make itself be kept or be ended.
local uv = require "luv"
local host = require "axosandbox.host"

local idle = {}

-- The first process of a session without a guest, and what podman's init starts for it.
local SLEEP = "sleep\0002147483647\0"

local function words_of(pid) return host.read_file(("/proc/%s/cmdline"):format(pid)) or "" end

local function is_process_of(pid, namespace)
  return pid:find "^%d+$" ~= nil and uv.fs_readlink(("/proc/%s/ns/pid"):format(pid)) == namespace
end

--- What runs there.
---@param pid integer? of the container's first process; nil: it is on another machine, or ended
---@return string? name of one process; nil: nothing, or `is_known` is false
---@return boolean is_known
function idle.busy_with(pid)
  local namespace = pid and pid > 0 and uv.fs_readlink(("/proc/%d/ns/pid"):format(pid))
  local entries = namespace and uv.fs_scandir "/proc"
  if not entries then return nil, false end
  local own, found = words_of(pid), nil
  while true do -- to the end: libuv frees them there
    local name = uv.fs_scandir_next(entries)
    if not name then break end
    if not found and is_process_of(name, namespace) then
      local words = words_of(name)
      -- One that has just ended has none. linear: up to the first NUL
      if words ~= "" and words ~= own and words ~= SLEEP then found = words:match "^%Z*" end
    end
  end
  return found, true
end

return idle
