--- Making podman usable on a host that lacks it, when that is allowed.
local uv = require "luv"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local host = require "axosandbox.host"
local last_line = require "axosandbox.base.text.last_line"
local log = require "axosandbox.base.log"
local options = require "axosandbox.base.options"
local package_manager = require "axosandbox.podman.package_manager"
local podman = require "axosandbox.podman"

local install = {}

local INSTALL_TIMEOUT = 900
local MACHINE_TIMEOUT = 180

local OPTION_SHAPE = {
  allow_install = "boolean",
  timeout = { type = "number", min = 1 },
}

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
    stderr = result.stderr, exit_code = result.code, signal = result.signal,
    hint = package_manager.hint(),
  }
end

local function install_podman(timeout)
  local manager = package_manager.here()
  if not manager or not host.has_program(manager.program) then
    return nil, errors.new {
      code = "INSTALL", op = "install", message = "no package manager that can install podman here",
      hint = package_manager.hint(),
    }
  end
  local typed = package_manager.hint()
  log.emit("info", "installing podman with " .. manager.program, { command = typed })
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
  errors.must(install.start_machine(client))
  return podman.describe(client)
end

local function ensure_ready(opts)
  local client, err = podman.client()
  if not client then
    if not opts.allow_install or err.code ~= "ENOENT" then error(err, 0) end
    errors.must(install_podman(opts.timeout or INSTALL_TIMEOUT))
    client = errors.must(podman.client())
  end
  return describe_or_start(client)
end

--- Makes podman usable: finds it; installs it when `allow_install` says so (never waiting for
--- a password); on a Mac starts a machine that is stopped.
---
--- Without permission to install, a missing podman is an error whose `hint` is the exact
--- command to type.
--- `timeout` is for an installation, in seconds, 900 by default.
---
---     local found, err = axo.podman.ensure_ready()
---     if not found then print(err.message, err.hint) end
---@param opts { allow_install: boolean?, timeout: number? }?
---@param callback fun(err: axo.Error?, found: axo.PodmanFound?)?
---@return axo.PodmanFound? found, axo.Error?
function install.ensure_ready(opts, callback)
  if type(opts) == "function" then opts, callback = nil, opts end
  local checked = options.check(OPTION_SHAPE, opts, "axosandbox.podman.ensure_ready", 2)
  return await.sequence(function() return ensure_ready(checked) end, callback)
end

return install
