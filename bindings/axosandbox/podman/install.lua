--- Making podman usable on a host that lacks it: the command to type, and typing it when
--- that is allowed.
local uv = require "luv"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local host = require "axosandbox.host"
local last_line = require "axosandbox.base.text.last_line"
local log = require "axosandbox.base.log"
local options = require "axosandbox.base.options"
local podman = require "axosandbox.podman"

local install = {}

local INSTALL_TIMEOUT = 900
local MACHINE_TIMEOUT = 180

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

local OPTION_SHAPE = {
  allow_install = "boolean",
  timeout = { type = "number", min = 1 },
}

--- The package manager for the text of an os-release file.
---@param os_release string?
---@return table? manager
function install.manager_for(os_release)
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

local function this_manager()
  if uv.os_uname().sysname == "Darwin" then return BREW end
  return install.manager_for(host.read_file "/etc/os-release")
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
function install.hint()
  local manager = this_manager()
  if not manager then return "install podman: https://podman.io/docs/installation" end
  return command_line(manager, uv.getuid() == 0 and "" or "sudo ")
end

--- Checks the options of `ensure_ready`; raises.
---@param opts table?
---@param level integer
---@return table
function install.check_options(opts, level)
  return options.check(OPTION_SHAPE, opts, "axosandbox.podman.ensure_ready", level + 1)
end

local function with_privilege(manager, command)
  if manager.unprivileged or uv.getuid() == 0 then return command end
  return { "sudo", "-n", "--", table.unpack(command) }
end

local function environment()
  local env = host.podman_env()
  env[#env + 1] = "DEBIAN_FRONTEND=noninteractive"
  return env
end

-- /dev/null on stdin and `sudo -n`: nothing here can wait for a person.
local function perform(argv, timeout)
  local result, err = await.call(function(done)
    return core.spawn(argv, { env = environment(), cwd = "/", timeout = timeout }, function(result)
      done(nil, result)
    end)
  end)
  if not result then return nil, err end
  if result.code == 0 and not result.timed_out then return true end
  return nil, errors.new {
    code = result.timed_out and "TIMEOUT" or "INSTALL", op = "install",
    message = ("%s failed: %s"):format(table.concat(argv, " "),
      last_line(result.stderr) or last_line(result.stdout) or "it said nothing"),
    stderr = result.stderr, exit_code = result.code, signal = result.signal, hint = install.hint(),
  }
end

local function install_podman(timeout)
  local manager = this_manager()
  if not manager or not host.has_program(manager.program) then
    return nil, errors.new {
      code = "INSTALL", op = "install", message = "no package manager that can install podman here",
      hint = install.hint(),
    }
  end
  log.emit("info", "installing podman with " .. manager.program, { command = install.hint() })
  for _, command in ipairs(manager.commands) do
    local ok, err = perform(with_privilege(manager, command), timeout)
    -- A stale package index is no reason not to try the installation itself.
    if not ok and command[2] ~= "update" then return nil, err end
  end
  return true
end

--- Starts the virtual machine that containers run in on a Mac; in a coroutine.
---@param client axo.Client
---@return true? started, axo.Error?
function install.start_machine(client)
  log.emit("info", "starting the podman machine", {})
  local argv = { client.program, "machine", "start" }
  local ok, err = client:ask(argv, { op = "machine", timeout = MACHINE_TIMEOUT })
  if ok then return true end
  if tostring(err.stderr):find "already running" then return true end
  return nil, errors.new {
    code = "MACHINE", op = "machine", message = err.message, stderr = err.stderr,
    exit_code = err.exit_code, hint = "podman machine init --now",
  }
end

local function describe_or_start(client)
  local found, err = podman.describe(client)
  if found or uv.os_uname().sysname ~= "Darwin" then return found, err end
  local started
  started, err = install.start_machine(client)
  if not started then return nil, err end
  return podman.describe(client)
end

--- The sequence of `podman.ensure_ready`, in a coroutine.
---@param opts { allow_install: boolean?, timeout: number? }
---@return table? found, axo.Error?
function install.ensure_ready(opts)
  local client, err = podman.client()
  if not client then
    if not opts.allow_install or err.code ~= "ENOENT" then return nil, err end
    local ok, problem = install_podman(opts.timeout or INSTALL_TIMEOUT)
    if not ok then return nil, problem end
    client, err = podman.client()
    if not client then return nil, err end
  end
  return describe_or_start(client)
end

return install
