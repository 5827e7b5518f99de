--- The cgroups of containers on this host: where the hierarchies are mounted, and which directories
--- in them are a container's own.
local host = require "axosandbox.host"

local cgroups = {}

--- Parses /proc/PID/cgroup: the path in each v1 hierarchy by controller, and under "" the
--- path in the unified one.
---@param text string
---@return table<string, string>
function cgroups.parse_cgroup(text)
  local paths = {}
  for line in text:gmatch "[^\n]+" do
    local controllers, path = line:match "^%d+:([^:]*):(.*)$"
    if controllers == "" then paths[""] = path end
    for controller in (controllers or ""):gmatch "[^,]+" do paths[controller] = path end
  end
  return paths
end

local function byte_of(octal) return string.char(tonumber(octal, 8)) end

--- Parses /proc/self/mountinfo: where each v1 controller is mounted, under "" the unified
--- hierarchy. Each is { root = path in the hierarchy, point = path in the file system }.
---@param text string
---@return table<string, { root: string, point: string }>
function cgroups.parse_mounts(text)
  local mounts = {}
  for line in text:gmatch "[^\n]+" do
    -- Most lines are of other file systems, and there may be hundreds.
    local root, point, kind, options
    if line:find(" - cgroup", 1, true) then
      root, point, kind, options =
        line:match "^%d+ %d+ %S+ (%S+) (%S+) .- %- (cgroup2?) %S+ (%S+)"
    end
    local mount = kind and {
      root = root:gsub("\\(%d%d%d)", byte_of), point = point:gsub("\\(%d%d%d)", byte_of), -- cut off
    }
    if kind == "cgroup2" then mounts[""] = mounts[""] or mount end
    if kind == "cgroup" then
      for option in options:gmatch "[^,]+" do mounts[option] = mounts[option] or mount end
    end
  end
  return mounts
end

local function directory(mount, path)
  if not mount or not path then return nil end
  if mount.root ~= "/" then
    if path:sub(1, #mount.root) ~= mount.root then return nil end
    path = path:sub(#mount.root + 1)
  end
  return mount.point, path
end

--- The directories of the container's own cgroup, from the innermost up: a runtime may nest
--- another level below the one that carries the limits. Above them lie the host's cgroups,
--- whose limits are not the container's.
---@param context axo.CgroupContext
---@param hierarchy string a controller of v1, or "" for the unified one
---@return string[]
function cgroups.directories(context, hierarchy)
  local dirs = {}
  local point, below = directory(context.mounts[hierarchy], context.paths[hierarchy])
  while point and below:find(context.container_id, 1, true) do
    dirs[#dirs + 1] = point .. below
    below = below:match "^(.*)/[^/]*$" or ""
  end
  return dirs
end

---@class axo.CgroupContext where the cgroups of one container lie
---@field mounts table<string, { root: string, point: string }>
---@field paths table<string, string>
---@field container_id string

--- The same from what /proc says.
---@param seen { cgroup: string, mountinfo: string?, mounts: table?, container_id: string }
---@return axo.CgroupContext
function cgroups.of(seen)
  return {
    mounts = seen.mounts or cgroups.parse_mounts(seen.mountinfo),
    paths = cgroups.parse_cgroup(seen.cgroup),
    container_id = seen.container_id,
  }
end

--- A controller lives in one hierarchy only: where v1 has it, v2 has not.
---@param context axo.CgroupContext
---@param controller string
---@return boolean
function cgroups.is_v1(context, controller)
  return context.mounts[controller] ~= nil and context.paths[controller] ~= nil
end

--- Whether controllers of this host are on cgroup v1.
---@param context axo.CgroupContext
---@return boolean
function cgroups.has_v1(context)
  return cgroups.is_v1(context, "memory") or cgroups.is_v1(context, "pids")
    or cgroups.is_v1(context, "cpu")
end

--- Where cgroups are mounted on this host: for asking of many containers.
---@return table<string, { root: string, point: string }>?
function cgroups.mounts()
  local mountinfo = host.read_file "/proc/self/mountinfo"
  return mountinfo and cgroups.parse_mounts(mountinfo)
end

--- Where the cgroups of a running container lie on this host.
---@param pid integer? the container's init process
---@param container_id string
---@param mounts table? from cgroups.mounts
---@return axo.CgroupContext? context nil: it has ended, or runs on another machine
function cgroups.context(pid, container_id, mounts)
  local cgroup = pid and pid > 0 and host.read_file(("/proc/%d/cgroup"):format(pid))
  mounts = cgroup and (mounts or cgroups.mounts())
  if not mounts then return nil end
  return cgroups.of { cgroup = cgroup, mounts = mounts, container_id = container_id }
end

--- The directory of a container's cgroup for a controller: the outermost that is its own, so
--- that everything in the container is below it.
---@param context axo.CgroupContext
---@param controller string its name on cgroup v1
---@return string? directory, boolean is_v1
function cgroups.directory(context, controller)
  local v1 = cgroups.is_v1(context, controller)
  local dirs = cgroups.directories(context, v1 and controller or "")
  return dirs[#dirs], v1
end

--- Whether a running container is paused.
---@param context axo.CgroupContext
---@return boolean
function cgroups.is_frozen(context)
  local dir, v1 = cgroups.directory(context, "freezer")
  if not dir then return false end
  if v1 then return (host.read_file(dir .. "/freezer.state") or ""):find "^FR" ~= nil end
  return (host.read_file(dir .. "/cgroup.freeze") or ""):find "^1" ~= nil
end

return cgroups
