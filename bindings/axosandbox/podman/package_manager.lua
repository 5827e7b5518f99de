--- The package manager of this host, and what to type for podman.
local uv = require "luv"
local host = require "axosandbox.host"

local package_manager = {}

---@class axo.PackageManager
---@field program string
---@field unprivileged boolean? it wants no root
---@field commands string[][]

-- One row for each package manager; `ids` are values of ID and ID_LIKE in /etc/os-release.
local MANAGERS = {
  { program = "apt-get", ids = { "debian", "ubuntu" },
    commands = {
      { "apt-get", "update" },
      { "apt-get", "install", "-y", "podman", "uidmap", "slirp4netns", "catatonit" },
    } },
  { program = "dnf", ids = { "fedora", "rhel", "centos" },
    commands = { { "dnf", "install", "-y", "podman" } } },
  { program = "pacman", ids = { "arch" },
    commands = { { "pacman", "-S", "--needed", "--noconfirm", "podman", "crun", "netavark" } } },
  { program = "zypper", ids = { "suse", "opensuse" },
    commands = { { "zypper", "--non-interactive", "install", "podman" } } },
  { program = "apk", ids = { "alpine" },
    commands = { { "apk", "add", "podman", "crun" } } },
}
local BREW = {
  program = "brew", unprivileged = true,
  commands = { { "brew", "install", "podman" }, { "podman", "machine", "init", "--now" } },
}

--- The package manager for the text of an os-release file.
---@param os_release string?
---@return axo.PackageManager? manager
function package_manager.manager_for(os_release)
  local words = {}
  for line in (os_release or ""):gmatch "[^\n]+" do
    local key, value = line:match "^(ID%w*_?%w*)=(.*)$"
    if key == "ID" or key == "ID_LIKE" then
      for word in value:gmatch "[%w]+" do words[word] = true end
    end
  end
  for _, manager in ipairs(MANAGERS) do
    for _, id in ipairs(manager.ids) do
      if words[id] then return manager end
    end
  end
end

--- The package manager of this host; nil when it is none that is known.
---@return axo.PackageManager?
function package_manager.here()
  if uv.os_uname().sysname == "Darwin" then return BREW end
  return package_manager.manager_for(host.read_file "/etc/os-release")
end

local function command_line(manager, prefix)
  local lines = {}
  for _, command in ipairs(manager.commands) do
    lines[#lines + 1] = (manager.unprivileged and "" or prefix) .. table.concat(command, " ")
  end
  return table.concat(lines, " && ")
end

--- What to type to install podman on this host.
---@return string
function package_manager.hint()
  local manager = package_manager.here()
  if not manager then return "install podman: https://podman.io/docs/installation" end
  return command_line(manager, uv.getuid() == 0 and "" or "sudo ")
end

return package_manager
