--- Files of podman's own that a container could fill its host with: /etc/hosts, /etc/hostname,
--- /etc/resolv.conf, /run/.containerenv and others lie in podman's directory for the container, often
--- in the host's /run. They are made read-only from outside, before anything of the session runs;
--- podman itself still writes them.
local core = require "axosandbox.core"
local host = require "axosandbox.host"
local mount_table = require "axosandbox.host.mounts.table"

local sealed = {}

-- Where cgroups are of version 1, what they are mounted on has no bound either.
local function is_growable(mount, id)
  if not mount.is_writable then return false end
  if mount.root:find("/" .. id .. "/userdata/", 1, true) then return true end
  return mount.kind == "tmpfs" and mount.at == "/sys/fs/cgroup"
end

--- The mount points of such files.
---@param text string the container's table of mounts
---@param id string the container's, in full
---@return string[]
function sealed.places(text, id)
  local places = {}
  for _, mount in ipairs(mount_table.parse(text)) do
    if is_growable(mount, id) then places[#places + 1] = mount.at end
  end
  return places
end

--- Seals a container that has just been started. One that is out of reach (podman runs elsewhere)
--- is left as it is.
---@param container { id: string, pid: integer? }
---@return true? sealed, axo.Error?
function sealed.apply(container)
  local text = container.pid and host.read_file(("/proc/%d/mountinfo"):format(container.pid))
  if not text or not container.id then return true end
  local places = sealed.places(text, container.id)
  if #places == 0 then return true end
  return core.seal(container.pid, places)
end

--- Seals one that may have been restarted since, which brings podman's mounts as they were; what
--- is sealed already costs a look. In `warnings` when that fails.
---@param container { id: string, pid: integer? }
---@param warnings string[]
function sealed.ensure(container, warnings)
  local ok, err = sealed.apply(container)
  if ok then return end
  warnings[#warnings + 1] = "podman's own files in the container, /etc/hosts and the like, stay "
    .. "writable, and can fill this host's /run: " .. tostring(err)
end

return sealed
