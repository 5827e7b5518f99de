--- The last resort of ending what runs inside a container: from this machine's /proc, where
--- podman is local. It serves where the container is so full that podman cannot run anything in
--- it, and touches nothing that is not in the container's own PID namespace.
local uv = require "luv"

local outside = {}

local PASSES = 50

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

local function namespace(pid)
  return uv.fs_readlink(("/proc/%s/ns/pid"):format(pid))
end

local function pids()
  local list = {}
  local request = uv.fs_scandir "/proc"
  while request do
    local name = uv.fs_scandir_next(request)
    if not name then break end
    if name:match "^%d+$" then list[#list + 1] = name end
  end
  return list
end

local function examine(pid, mark)
  local rest = (read("/proc/" .. pid .. "/stat") or ""):match "^.*%) (.*)$"
  local state, parent, session = (rest or ""):match "^(%a) (%d+) %d+ (%d+)"
  if not state or state == "Z" or state == "X" then return nil end
  local environment = read("/proc/" .. pid .. "/environ") or ""
  return {
    pid = pid, parent = parent, session = session,
    taken = environment:find(mark, 1, true) ~= nil,
  }
end

-- Descendants that dropped the mark are found through parents and sessions.
local function close_over(processes, init_session)
  local taken, sessions = {}, {}
  local grown = true
  while grown do
    grown = false
    for _, one in ipairs(processes) do
      one.taken = one.taken or taken[one.parent] or sessions[one.session]
      if one.taken and not taken[one.pid] then
        taken[one.pid], grown = true, true
        if one.session ~= "0" and one.session ~= init_session then
          sessions[one.session] = true
        end
      end
    end
  end
  return taken
end

local function find(init, space, mark)
  local processes = {}
  for _, pid in ipairs(pids()) do
    if pid ~= init and namespace(pid) == space then
      processes[#processes + 1] = examine(pid, mark)
    end
  end
  local first = examine(init, mark)
  return close_over(processes, first and first.session)
end

-- The number may have passed on to another process since it was seen.
local function signal(pid, space, name)
  return namespace(pid) == space and uv.kill(math.tointeger(tonumber(pid)), name) ~= nil
end

-- What is stopped forks no more: stop all that there is before anything is killed.
local function freeze(init, space, mark)
  local held, count = {}, 0
  for _ = 1, PASSES do
    local fresh = false
    for pid in pairs(find(init, space, mark)) do
      if not held[pid] then
        held[pid], fresh, count = true, true, count + 1
        signal(pid, space, "sigstop")
      end
    end
    if not fresh then break end
  end
  return count
end

-- nil where it cannot be seen from here.
local function space_of(way)
  local init = way.record.pid
  if not init or way.client:is_remote() then return nil end
  local space = namespace(init)
  if not space or space == namespace "self" then return nil end
  return tostring(init), space
end

--- Counts what carries the mark in the way's container.
---@param way axo.PortableWay
---@param mark string "NAME=value"
---@return integer? count nil when it cannot be done from here
function outside.count(way, mark)
  local init, space = space_of(way)
  if not init then return nil end
  local count = 0
  for _ in pairs(find(init, space, mark)) do count = count + 1 end
  return count
end

--- Ends by SIGKILL all that carries the mark in the way's container.
---@param way axo.PortableWay
---@param mark string "NAME=value"
---@return integer? count nil when it cannot be done from here
function outside.kill(way, mark)
  local init, space = space_of(way)
  if not init then return nil end
  local count = freeze(init, space, mark)
  for _ = 1, PASSES do
    local left = find(init, space, mark)
    if not next(left) then return count end
    for pid in pairs(left) do signal(pid, space, "sigkill") end
  end
  return nil
end

return outside
