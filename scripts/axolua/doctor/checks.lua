--- What doctor looks at on the host. Each check adds rows { name, status, detail, fix }:
--- status is "ok", "warn" (works, with less) or "fail" (nothing can start, or policy cannot decide).
local uv = require "luv"
local axo = require "axosandbox"
local samples = require "axolua.policy.samples"
local text = require "axolua.view.text"

local host, login = axo.host, axo.host.login

local checks = {}

---@class cli.Report
---@field rows table[]
local Report = {}
Report.__index = Report

---@return cli.Report
function checks.report()
  return setmetatable({ rows = {} }, Report)
end

function Report:add(status, name, detail, fix)
  local row = { status = status, name = name, detail = detail, fix = fix }
  self.rows[#self.rows + 1] = row
  if self.on_row then self.on_row(row) end
end

--- Adds the failure that an error object tells of.
function Report:add_error(name, err)
  self:add("fail", name, tostring(err.message or err), err.hint)
end

function Report:has_failed()
  for _, row in ipairs(self.rows) do
    if row.status == "fail" then return true end
  end
  return false
end

--- podman itself. nil when there is none, and then nothing else can be looked at.
---@param report cli.Report
---@return table? found
function checks.podman(report)
  local found, err = axo.podman.detect()
  if not found then
    report:add_error("podman", err)
    return nil
  end
  local version = tostring(found.version)
  local major = tonumber(version:match "^%d+") or 0
  if major < 4 then
    report:add("warn", "podman", version .. " is older than anything this was tried with",
      "upgrade podman to 4.3 or later")
  else
    report:add("ok", "podman", ("%s, %s, storage driver %s"):format(
      version, found.program, tostring(found.storage_driver)))
  end
  report:add("ok", "privileges", found.rootless and "rootless, as " .. login.user()
    or "rootful, as root: rootless is better, what escapes a session is a user then, not root")
  return found
end

--- What the profile of system calls is made from.
---@param report cli.Report
function checks.seccomp(report)
  local path, err = host.seccomp.base()
  local profile
  if path then profile, err = host.seccomp.profile(false, false) end
  if not profile then return report:add_error("system calls", err) end
  report:add("ok", "system calls", "a profile made from "
    .. (path == "" and "the built-in one: podman has none here" or text.visible(path)))
end

-- What an earlier start found out and every one since does from the beginning.
local function remembered(report, found)
  local known = axo.podman.adaptations(found.program)
  if known.runtime then
    report:add("ok", "adaptation",
      ("podman's own OCI runtime failed here: sessions use %s"):format(tostring(known.runtime)))
  end
  if known.firewall then
    report:add("ok", "adaptation", ("netavark's own choice of a firewall failed here: it uses %s")
      :format(tostring(known.firewall)))
  end
  if known.ulimits then
    report:add("ok", "adaptation",
      "podman's ulimits were refused here: sessions have the hard limits")
  end
end

--- The OCI runtimes, and what is known of them.
function checks.runtime(report, found)
  local list = table.concat(found.runtimes, ", ")
  if #found.runtimes == 0 then
    report:add("warn", "runtime",
      tostring(found.runtime) .. " (neither crun nor runc was found)")
  elseif #found.runtimes == 1 then
    report:add("ok", "runtime", list)
  else
    report:add("ok", "runtime", list .. "; podman's default is " .. tostring(found.runtime))
  end
  remembered(report, found)
end

local function has_range(path, user)
  local file <close> = io.open(path)
  if not file then return false end
  for line in file:lines() do
    local name = line:match "^([^:]+):"
    if name == user or name == tostring(uv.getuid()) then return true end
  end
  return false
end

local function check_tun(report)
  local fd = uv.fs_open("/dev/net/tun", "r+", 0)
  if fd then
    uv.fs_close(fd)
    return report:add("ok", "rootless network", "/dev/net/tun can be opened")
  end
  report:add("warn", "rootless network",
    "/dev/net/tun cannot be opened: only network \"none\" works",
    "sudo modprobe tun && sudo chmod 0666 /dev/net/tun")
end

--- What rootless podman needs from its host.
function checks.rootless(report, found)
  if not found.rootless then return end
  local user = login.user()
  if has_range("/etc/subuid", user) and has_range("/etc/subgid", user) then
    report:add("ok", "user namespaces", user .. " has ranges in /etc/subuid and /etc/subgid")
  else
    report:add("warn", "user namespaces",
      user .. " has no range in /etc/subuid or /etc/subgid: images with other users fail",
      ("sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s && "
        .. "podman system migrate"):format(user))
  end
  check_tun(report)
end

local DELEGATE = "sudo mkdir -p /etc/systemd/system/user@.service.d && "
  .. "printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | "
  .. "sudo tee /etc/systemd/system/user@.service.d/delegate.conf && "
  .. "sudo systemctl daemon-reload, then log in again"

local UNIFIED = "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line"

local function has_controllers(found)
  local there = {}
  for _, name in ipairs(found.cgroup_controllers or {}) do there[name] = true end
  return there.memory and there.pids and there.cpu
end

--- Which cgroups there are; whether limits really apply is for the probe to say.
function checks.cgroups(report, found)
  local is_v2 = found.cgroup_version == "v2"
  local is_hybrid = not is_v2 and uv.fs_stat "/sys/fs/cgroup/unified" ~= nil
  local name = is_v2 and "v2" or is_hybrid and "v1 with a hybrid v2" or "v1"
  if found.rootless and not is_v2 then
    return report:add("warn", "cgroups", name .. ": rootless limits have no effect", UNIFIED)
  end
  if found.rootless and login.state() == "none" then
    return report:add("warn", "cgroups",
      "v2, without a session of systemd's for this user: limits have no effect", login.remedy())
  end
  if found.rootless and not has_controllers(found) then
    return report:add("warn", "cgroups",
      "v2, without cpu, memory and pids delegated to this user: limits have no effect", DELEGATE)
  end
  report:add("ok", "cgroups", name .. ", manager " .. tostring(found.cgroup_manager))
end

local LOGIN = {
  lingering = { "ok", "sessions that are kept go on after a logout (it lingers)" },
  login = { "warn", "sessions that are kept end when this user logs out for the last time" },
  none = { "warn", "this user has no session of systemd's, as from cron or su" },
}

--- Whether what a rootless user starts outlives its logins.
function checks.login(report, found)
  local state = found.rootless and not found.remote and login.state()
  if not state then return end
  local status, detail = table.unpack(LOGIN[state])
  report:add(status, "login", detail, status == "warn" and login.remedy() or nil)
end

local CORRECT = "correct that line, or remove the file"

-- What is refused is decided; what fails is an error for whoever asks.
local function try_decision(report, set, name)
  for _, sample in ipairs(samples.list(name)) do
    local decision, err = set:decide(name, sample[2])
    if not decision then
      report:add("fail", "policy", ("%s cannot be decided (tried with: %s): %s"):format(name,
        sample[1], err.message), err.hint or CORRECT)
      return false
    end
  end
  return true
end

--- The policy files in force: whether they can decide.
---@param report cli.Report
function checks.policy(report)
  local set, err = axo.policy.new(nil)
  if not set then return report:add("fail", "policy", err.message, err.hint or CORRECT) end
  local overridden, can_decide = {}, true
  for _, name in ipairs(axo.policy.NAMES) do
    local first = set:chain(name)[1]
    if not first.shipped then
      overridden[#overridden + 1] = first.path or first.where
      can_decide = try_decision(report, set, name) and can_decide
    end
  end
  if not can_decide then return end
  if #overridden == 0 then return report:add("ok", "policy", "as shipped") end
  report:add("ok", "policy", "overridden by " .. text.visible(table.concat(overridden, ", ")))
end

--- Whether an image can be made where no registry answers.
---@param report cli.Report
function checks.images(report)
  local tool = axo.images.tool()
  if tool then return report:add("ok", "making images", "axolua image make runs " .. tool) end
  report:add("warn", "making images", "axolua image make needs mmdebstrap or debootstrap",
    "apt-get install mmdebstrap")
end

--- What sessions in the current directory are asked for where nobody says.
---@param report cli.Report
function checks.defaults(report)
  local found, err = axo.defaults(uv.cwd())
  if not found then return report:add_error("defaults", err) end
  local names = {}
  for _, it in ipairs(found.list) do names[#names + 1] = ("%s (%s)"):format(it.name, it.file) end
  if names[1] then report:add("ok", "defaults", text.visible(table.concat(names, ", "))) end
  for _, notice in ipairs(found.notices) do report:add("warn", "defaults", notice) end
end

--- The directories that are used outside the session's own.
function checks.directories(report)
  local runtime, err = host.runtime_dir()
  if runtime then
    report:add("ok", "runtime directory", runtime)
  else
    report:add_error("runtime directory", err)
  end
  local state
  state, err = host.state_dir()
  if state then
    report:add("ok", "state directory", state)
  else
    report:add("warn", "state directory", "what a start learns is not remembered: " .. err.message,
      err.hint)
  end
  report:add("ok", "user's policy", tostring(host.config_dir()) .. "/policy")
end

return checks
