--- A session that doctor starts, to see what really happens.
local uv = require "luv"
local axo = require "axosandbox"
local text = require "axolua.lib.text"

local probe = {}

local LOCAL = "^localhost/"

local function read_status(sb)
  local result, err = sb:exec({ "cat", "/proc/self/status" }, { timeout = 30 })
  if not result then return nil, err end
  local status = {}
  for name, value in result.stdout:gmatch "(%w+):%s*(%S*)" do status[name] = value end
  return status
end

local function check_hardening(report, sb)
  local status, err = read_status(sb)
  if not status then return report:add_error("hardening", err) end
  local is_hard = status.NoNewPrivs == "1" and status.Seccomp == "2"
  local detail = ("capabilities %s, no-new-privileges %s, seccomp %s"):format(
    tostring(status.CapEff), tostring(status.NoNewPrivs), tostring(status.Seccomp))
  if is_hard then return report:add("ok", "hardening", detail) end
  report:add("fail", "hardening", detail .. ": a filter is missing",
    "install a podman and a runtime that are built with seccomp")
end

local SHOW = {
  memory = text.size,
  cpus = function(n) return ("%g cpus"):format(n) end,
  pids = function(n) return ("%d processes"):format(n) end,
}

local function check_limits(report, sb)
  local limits = sb:limits()
  local applied, missing = {}, {}
  for _, key in ipairs { "memory", "cpus", "pids" } do
    local limit = limits[key]
    if limit and limit.asked then
      local into = limit.enforced and applied or missing
      into[#into + 1] = SHOW[key](limit.asked)
    end
  end
  if not limits.verified then
    return report:add("warn", "limits", "cannot be read back from here")
  end
  if #missing == 0 then
    return report:add("ok", "limits", "in force: " .. table.concat(applied, ", "))
  end
  report:add("warn", "limits", "not in force: " .. table.concat(missing, ", "),
    "see the line about cgroups; --require-resource-limits refuses to start like this")
end

local function check_image(report, sb)
  local image = tostring(sb:image())
  if not image:find(LOCAL) then return report:add("ok", "image", image) end
  report:add("warn", "image", image .. ": no registry gave the default image, so sessions have "
    .. "busybox and nothing else", "podman pull docker.io/library/alpine:3.20")
end

local function check_path(report, sb)
  if sb:path() == "native" then return report:add("ok", "guest", "runs: the native path") end
  report:add("warn", "guest", "none: every operation is a podman exec (the portable path)",
    "see the warnings of the start above; unset AXOSANDBOX_PATH if it is set")
end

-- Policy may have given it no network: what is there is what it has.
local function check_network(report, sb, has_failed)
  if has_failed then return end
  local result, err = sb:exec({ "ls", "/sys/class/net" }, { timeout = 30 })
  if not result then return report:add_error("network", err) end
  local is_bridge = result.stdout:gsub("%f[%S]lo%f[%s]", ""):find "%S" ~= nil
  report:add("ok", "network", is_bridge and "bridge" or "none, as policy says")
end

local function examine(report, sb, seconds, has_network_failed)
  report:add("ok", "session", ("started in %.1f s"):format(seconds))
  for _, warning in ipairs(sb:warnings()) do
    report:add("warn", "start", warning)
  end
  check_image(report, sb)
  check_network(report, sb, has_network_failed)
  check_hardening(report, sb)
  check_limits(report, sb)
  check_path(report, sb)
end

local function start(dir, network)
  return axo.start {
    id = ("doctor-%08x"):format(string.unpack("I4", uv.random(4))),
    dir = dir, policy = { network = network },
  }
end

-- What failed with a network may work without one, and then the network is what to mend.
local function start_somehow(report, dir)
  local sb, err = start(dir, nil)
  if sb then return sb, false end
  local without = start(dir, "none")
  if not without then
    report:add_error("session", err)
    return nil
  end
  report:add("warn", "network", "only \"none\" works: " .. tostring(err.message), err.hint)
  return without, true
end

--- Starts a session in a directory of its own, looks at it from inside, and removes both.
---@param report cli.Report
function probe.run(report)
  local dir, message = uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/axolua-doctor.XXXXXX")
  if not dir then return report:add("fail", "session", tostring(message)) end
  local began = uv.hrtime()
  local sb, has_network_failed = start_somehow(report, dir)
  if sb then
    local ok, problem = xpcall(examine, debug.traceback, report, sb,
      (uv.hrtime() - began) / 1e9, has_network_failed)
    local stopped, err = sb:stop()
    if not stopped then report:add_error("stop", err) end
    if not ok then error(problem, 0) end
  end
  uv.fs_rmdir(dir)
end

return probe
