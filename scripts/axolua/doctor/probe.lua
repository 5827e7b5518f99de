--- A session that doctor starts, to see what really happens.
local uv = require "luv"
local axo = require "axosandbox"
local samples = require "axolua.policy.samples"
local text = require "axolua.view.text"

local probe = {}

local LOCAL = "^localhost/"

local function read_status(sb)
  local result, err = sb:exec({ "cat", "/proc/self/status" }, { timeout = 30 })
  if not result then return nil, err end
  local status = {}
  for line in result.stdout:gmatch "[^\n]+" do
    local name, value = line:match "^(%w+):%s*(%S*)"
    if name then status[name] = value end
  end
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
  if #missing + #applied == 0 then return report:add("ok", "limits", "none, as policy says") end
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
    .. "busybox and nothing else", "podman pull docker.io/library/alpine:3.20; without a registry "
    .. "axolua image make NAME --packages python3,git makes an image")
end

local function check_path(report, sb)
  if sb:path() == "native" then return report:add("ok", "guest", "runs: the native path") end
  report:add("warn", "guest", "none: every operation is a podman exec (the portable path)",
    "see the warnings of the start above; unset AXOSANDBOX_PATH if it is set")
end

local NO_NETWORK = "`podman run --rm --network bridge IMAGE true` shows the trouble; netavark "
  .. "needs nftables (or iptables), and rootless besides passt or slirp4netns"

--- The interfaces that lead somewhere, by the container's own tables of routes: the first word of
--- a line of the one, the last of the other. Its loopback leads nowhere, and nor does what is down.
---@param ipv4 string /proc/net/route, whose first line is a heading
---@param ipv6 string /proc/net/ipv6_route
---@return string[] names
function probe.interfaces(ipv4, ipv6)
  local names, seen = {}, { lo = true, Iface = true }
  local function add(name)
    if not seen[name] then
      seen[name], names[#names + 1] = true, name
    end
  end
  for line in ipv4:gmatch "[^\n]+" do add(line:match "^%S+" or "lo") end
  for line in ipv6:gmatch "[^\n]+" do add(line:match "^.*%s(%S+)%s*$" or "lo") end
  return names
end

local function read_routes(sb, name)
  local result, err = sb:exec({ "cat", "/proc/net/" .. name }, { timeout = 30 })
  if not result then return nil, err end
  return result.stdout
end

-- What is there is seen from inside; `wanted` is what policy decided.
local function check_network(report, sb, wanted)
  if type(wanted) == "table" then
    return report:add("ok", "network", ("by names, of which policy lists %d"):format(
      #wanted.allow))
  end
  local ipv4, err = read_routes(sb, "route")
  if not ipv4 then return report:add_error("network", err) end
  local names = probe.interfaces(ipv4, read_routes(sb, "ipv6_route") or "")
  if #names > 0 then
    return report:add("ok", "network", ("%s, by %s"):format(wanted, table.concat(names, ", ")))
  end
  if wanted == "none" then return report:add("ok", "network", "none, as policy says") end
  report:add("warn", "network", ("none, though policy says %s"):format(wanted), NO_NETWORK)
end

local function examine(report, sb, seconds, wanted)
  report:add("ok", "session", ("started in %.1f s"):format(seconds))
  for _, warning in ipairs(sb:warnings()) do
    report:add("warn", "start", warning)
  end
  check_image(report, sb)
  if wanted then check_network(report, sb, wanted) end
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

-- What policy decides for a session like this one; nil when that cannot be told, and then the
-- start tells why.
local function wanted_network()
  local set = axo.policy.new(nil)
  local decision = set and set:decide("sandbox", samples.sandbox())
  return decision and decision.network
end

-- What failed with a network may work without one, and then the network is what to mend. It is
-- asked for by name: otherwise a start would do without.
local function start_somehow(report, dir)
  local wanted = wanted_network()
  local sb, err = start(dir, wanted)
  if sb then return sb, wanted or "none" end
  local without = wanted ~= "none" and start(dir, "none")
  if not without then
    report:add_error("session", err)
    return nil
  end
  report:add("warn", "network", "only \"none\" works: " .. tostring(err.message), err.hint)
  return without
end

local HOW = {
  redirect = { "ok", "work (--allow NAME): nftables leads them out of the container's network" },
  listeners = { "warn", "work in part (--allow NAME), by listeners on the container's loopback: of "
    .. "each name only the ports that the list has, and no addresses",
    "nftables and user namespaces on this kernel, and axo-netns beside axolua, lead out the rest" },
}

-- By which of its mechanisms a network by names is served here; a session of its own.
local function check_names(report, dir)
  local how
  axo.set_audit(function(event)
    if event.event == "network" and event.verdict == "served" then how = event.how end
  end)
  local sb, err = start(dir, { allow = { "doctor.example" } })
  if sb then sb:stop() end
  axo.set_audit(nil)
  local row = HOW[how]
  if row then return report:add(row[1], "names", row[2], row[3]) end
  report:add("warn", "names", "a session cannot have a network by names (--allow): "
    .. tostring(err and err.message or "it was not served"), err and err.hint)
end

-- A TMPDIR that is not there any more says nothing of what sessions can do.
local function make_directory()
  local name = "/axolua-doctor.XXXXXX"
  local dir = uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. name)
  if dir then return dir end
  return uv.fs_mkdtemp("/tmp" .. name)
end

--- Starts a session in a directory of its own, looks at it from inside, and removes both.
---@param report cli.Report
function probe.run(report)
  local dir, message = make_directory()
  if not dir then return report:add("fail", "session", tostring(message)) end
  local began = uv.hrtime()
  local sb, wanted = start_somehow(report, dir)
  if sb then
    local ok, problem = xpcall(examine, debug.traceback, report, sb,
      (uv.hrtime() - began) / 1e9, wanted)
    local stopped, err = sb:stop()
    if not stopped then report:add_error("stop", err) end
    if not ok then error(problem, 0) end
    check_names(report, dir)
  end
  uv.fs_rmdir(dir)
end

return probe
