--- What a podman that was killed in mid-start leaves on this host and then forgets itself: the
--- monitor (conmon) of a container, and the runtime's half-made container under it.
---
--- Both are found by the pidfile that the start had named, whose path holds a random token.
local uv = require "luv"
local await = require "axosandbox.base.await"
local host = require "axosandbox.host"

local monitors = {}

local DELETE_TIMEOUT = 10
local LOOKS = 40

local function words_of(pid)
  local words = {}
  for word in (host.read_file("/proc/" .. pid .. "/cmdline") or ""):gmatch "[^\0]+" do
    words[#words + 1] = word
  end
  return words
end

-- A process in a container can call itself anything, and may have this user's number: only
-- those outside of all containers count.
local function is_ours(pid)
  local stat = uv.fs_stat("/proc/" .. pid)
  return stat ~= nil and stat.uid == uv.getuid()
    and uv.fs_readlink(("/proc/%s/ns/pid"):format(pid)) == uv.fs_readlink "/proc/self/ns/pid"
end

-- Of what conmon passes on to the runtime, only where its records lie matters here.
local function root_among(passed)
  for i, word in ipairs(passed) do
    if word == "--root" then return passed[i + 1] end
    if word:find "^%-%-root=" then return word:match "=(.*)$" end
  end
end

-- conmon's own options; those after --exit-command are podman's.
local function parse(words)
  local monitor, passed = {}, {}
  local names = { ["-c"] = "container", ["-r"] = "runtime", ["-p"] = "pidfile" }
  for i, word in ipairs(words) do
    if word == "--exit-command" then break end
    if names[word] then monitor[names[word]] = words[i + 1] end
    if word == "-s" then monitor.is_systemd = true end
    passed[#passed + 1] = word == "--runtime-arg" and words[i + 1]
      or word:match "^%-%-runtime%-arg=(.*)$"
  end
  monitor.root = root_among(passed)
  return monitor
end

local function read(pid, pidfile)
  local words = words_of(pid)
  local monitor = parse(words)
  if monitor.pidfile ~= pidfile or not (words[1] or ""):find "conmon$" or not is_ours(pid) then
    return nil
  end
  monitor.pid = math.tointeger(tonumber(pid))
  return monitor
end

local function find(pidfile)
  local found, entries = {}, uv.fs_scandir "/proc"
  while entries do
    local name = uv.fs_scandir_next(entries)
    if not name then break end
    found[#found + 1] = name:find "^%d+$" and read(name, pidfile) or nil
  end
  return found
end

-- The runtime ends the process, and removes its own record and the cgroup as well.
local function delete(client, monitor)
  local id, runtime = monitor.container or "", monitor.runtime or ""
  if not id:find "^%x+$" or runtime:sub(1, 1) ~= "/" then return end
  local argv = { runtime }
  if monitor.root then table.move({ "--root", monitor.root }, 1, 2, 2, argv) end
  if monitor.is_systemd then argv[#argv + 1] = "--systemd-cgroup" end
  table.move({ "delete", "--force", id }, 1, 3, #argv + 1, argv)
  client:ask(argv, { op = "remove", timeout = DELETE_TIMEOUT })
end

local function children_of(pid)
  local text = host.read_file(("/proc/%d/task/%d/children"):format(pid, pid)) or ""
  local children = {}
  for child in text:gmatch "%d+" do children[#children + 1] = math.tointeger(tonumber(child)) end
  return children
end

--- Ends the monitors of a start, with the processes under them; in a coroutine. podman must
--- not know the container any more.
---@param client axo.Client
---@param pidfile string? of that start; nil, where podman is not on this host: nothing is done
---@return integer ended
function monitors.finish(client, pidfile)
  if not pidfile then return 0 end
  local found = find(pidfile)
  for _, monitor in ipairs(found) do delete(client, monitor) end
  for look = 1, found[1] and LOOKS or 0 do
    local left = find(pidfile)
    if not left[1] then break end
    for _, monitor in ipairs(left) do
      for _, child in ipairs(children_of(monitor.pid)) do uv.kill(child, "sigkill") end
      if look == LOOKS then uv.kill(monitor.pid, "sigkill") end
    end
    await.sleep(0.05)
  end
  return #found
end

return monitors
