--- Files of podman's own that a container could fill its host with: /etc/hosts, /etc/hostname,
--- /etc/resolv.conf, /run/.containerenv and others lie in podman's directory for the container, often
--- in the host's /run. They are made read-only from outside, before anything of the session runs;
--- podman itself still writes them.
local core = require "axosandbox.core"
local mount_table = require "axosandbox.host.mounts.table"

local sealed = {}

--- The mount points of such files.
---@param entries axo.MountEntry[] the container's table of mounts
---@param id string the container's, in full
---@return string[]
function sealed.places(entries, id)
  local places, own = {}, "/" .. id .. "/userdata/"
  for _, mount in ipairs(entries) do
    -- Where cgroups are of version 1, what they are mounted on has no bound either.
    if mount.is_writable and (mount.root:find(own, 1, true)
      or mount.kind == "tmpfs" and mount.at == "/sys/fs/cgroup") then
      places[#places + 1] = mount.at
    end
  end
  return places
end

--- Seals a container that has just been started. One that is out of reach (podman runs elsewhere)
--- is left as it is.
---@param container { id: string, pid: integer? }
---@param entries axo.MountEntry[]? its table of mounts; nil: it is read
---@return true? sealed, axo.Error?
function sealed.apply(container, entries)
  entries = entries or mount_table.read(container.pid)
  if not entries or not container.id then return true end
  local places = sealed.places(entries, container.id)
  if #places == 0 then return true end
  return core.seal(container.pid, places)
end

--- Seals one that may have been restarted since, which brings podman's mounts as they were; what
--- is sealed already costs a look. In `warnings` when that fails.
---@param container { id: string, pid: integer? }
---@param warnings string[]
---@param entries axo.MountEntry[]? its table of mounts; nil: it is read
function sealed.ensure(container, warnings, entries)
  local ok, err = sealed.apply(container, entries)
  if ok then return end
  warnings[#warnings + 1] = "podman's own files in the container, /etc/hosts and the like, stay "
    .. "writable, and can fill this host's /run: " .. tostring(err)
end

return sealed
