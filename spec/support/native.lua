--- What the specs of the native path share: sessions that must be on it, whatever the suite
--- runs on, and the kernel's count of a container's processes.
local uv = require "luv"
local axo = require "axosandbox"
local e2e = require "spec.support.e2e"
local proc = require "spec.support.proc"
local temp = require "spec.support.temp"

local native = {}

--- Runs `fn` with this process's environment changed; false removes a variable.
---@param changes table<string, string|false>
---@return any what `fn` returns
function native.with_env(changes, fn)
  local before = {}
  for name, value in pairs(changes) do
    before[name] = os.getenv(name) or false
    if value then uv.os_setenv(name, value) else uv.os_unsetenv(name) end
  end
  local results = table.pack(pcall(fn))
  for name, value in pairs(before) do
    if value then uv.os_setenv(name, value) else uv.os_unsetenv(name) end
  end
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

local function must_be_native(sb)
  assert(sb:path() == "native",
    "the session is on the portable path: " .. table.concat(sb:warnings(), "; "))
  return sb
end

--- Starts a session that must be on the native path.
function native.start(changes)
  return native.with_env({ AXOSANDBOX_PATH = false, AXOSANDBOX_GUEST = false }, function()
    return must_be_native(e2e.start(changes))
  end)
end

--- Opens one that must be on it.
function native.open(id)
  return must_be_native(assert(axo.open(id)))
end

--- Starts another Lua host (see host.lua), on the native path; `check(value, err)` there says
--- what went wrong and ends it.
function native.host(code, options)
  return e2e.host.start([[
    local function check(value, err)
      if value then return value end
      say("failed", tostring(err))
      os.exit(1)
    end
    -- Until it is killed, or its spec is gone.
    local function hold()
      local stdin = uv.new_pipe()
      stdin:open(0)
      stdin:read_start(function(_, data) if not data then os.exit(0) end end)
      while true do uv.run "once" end
    end
  ]] .. code, { options = options,
    env = { AXOSANDBOX_PATH = false, AXOSANDBOX_GUEST = false } })
end

--- Kills a host, and waits until it is gone.
function native.kill(host)
  host:kill()
  return host:wait(true)
end

local function pids_file(pid)
  for line in temp.read(("/proc/%d/cgroup"):format(pid)):gmatch "[^\n]+" do
    local number, controllers, path = line:match "^(%d+):([^:]*):(.*)$"
    local file
    if number == "0" and controllers == "" then
      file = "/sys/fs/cgroup" .. path .. "/pids.current"
    elseif ("," .. controllers .. ","):find(",pids,", 1, true) then
      file = "/sys/fs/cgroup/pids" .. path .. "/pids.current"
    end
    if file and uv.fs_stat(file) then return file end
  end
end

--- Counts a container's processes and threads, zombies included: as its cgroup does, or where
--- it has none of its own, from /proc.
---@param view table of probe.container
---@return fun(): integer
function native.pid_counter(view)
  local file = pids_file(view.pid)
  if not file or not file:find "/libpod%-%x+" then
    return function() return #view.processes() end
  end
  return function() return tonumber(temp.read(file):match "%d+") end
end

--- Tells whether a container has had more than `count` processes at once since this was asked
--- for. A bomb on a busy machine may grow and shrink again between two looks: the kernel counts
--- how often its limit refused one more.
---@param view table of probe.container
---@return fun(count: integer): boolean
function native.pid_peak(view)
  local pids = native.pid_counter(view)
  local file = (pids_file(view.pid) or ""):gsub("current$", "events")
  local function refusals() return tonumber((temp.read(file) or ""):match "max (%d+)") or 0 end
  local before = refusals()
  return function(count) return pids() > count or refusals() > before end
end

--- Counts how often the loop comes round while `fn` runs.
---@return integer ticks, any what `fn` returns
function native.ticks(fn)
  local timer, count = uv.new_timer(), 0
  timer:start(5, 5, function() count = count + 1 end)
  local results = table.pack(pcall(fn))
  timer:close()
  proc.turn()
  if not results[1] then error(results[2], 0) end
  return count, table.unpack(results, 2, results.n)
end

return native
