--- The sessions that podman lists, as it describes them.
local host = require "axosandbox.host"
local leftovers = require "axosandbox.session.leftovers"
local log = require "axosandbox.base.log"
local naming = require "axosandbox.base.naming"
local place = require "axosandbox.host.place"
local session_lock = require "axosandbox.host.session_lock"

local session_list = {}

--- The name of a container as `podman ps` lists it.
---@param container table
---@return string?
function session_list.name_of(container)
  local names = container.Names
  return type(names) == "table" and names[1] or names
end

-- What podman says is published: neighbouring ports come as one entry with a range.
local function publications(container)
  local list = {}
  for _, entry in ipairs(type(container.Ports) == "table" and container.Ports or {}) do
    local outside, inside = math.tointeger(entry.host_port), math.tointeger(entry.container_port)
    for i = 0, outside and inside and (math.tointeger(entry.range) or 1) - 1 or -1 do
      list[#list + 1] = {
        address = entry.host_ip ~= "" and entry.host_ip or "0.0.0.0",
        port = outside + i, container_port = inside + i, protocol = entry.protocol,
      }
    end
  end
  return list
end

local function describe(client, container)
  local name = tostring(session_list.name_of(container))
  local session, problem = naming.session_of(name, container.Labels)
  if not session then
    -- Another name is nothing odd: a container of an image that was made of a session.
    if problem and name:find(naming.CONTAINER_PREFIX, 1, true) == 1 then
      log.emit("warn", ("the container %s is not taken for a session: %s"):format(name, problem),
        { container = name })
    end
    return nil
  end
  local owner_alive, at = host.is_alive(session.owner), place.find(session)
  return {
    labels = session,
    place = at,
    id = session.id,
    container = naming.container(session.id),
    container_id = container.Id,
    dir = session.dir,
    image = container.Image,
    ports = session.ports,
    published = publications(container),
    mounts = session.mounts,
    pid = not client:is_remote() and math.tointeger(container.Pid) or nil,
    state = container.State,
    running = container.State == "running",
    created = container.Created,
    owner = session.owner,
    owner_alive = owner_alive ~= false,
    in_use = owner_alive ~= false or at ~= nil and session_lock.is_held(at),
    kept = session.keep,
    version = session.version,
    path = session.path,
    given_back = session.given_back,
  }
end

--- All of them; in a coroutine.
---@param client axo.Client
---@param op string
---@return axo.SessionInfo[]? list, axo.Error?
function session_list.all(client, op)
  local containers, err = leftovers.with_label(client, naming.LABEL .. "id", op)
  if not containers then return nil, err end
  local found = {}
  for _, container in ipairs(containers) do found[#found + 1] = describe(client, container) end
  table.sort(found, function(a, b) return a.id < b.id end)
  return found
end

---@class axo.SessionInfo
---@field id string
---@field container string
---@field container_id string
---@field dir string
---@field image string that runs
---@field ports integer[] asked for
---@field published { address: string, port: integer, container_port: integer, protocol: string }[]
---@field mounts { source: string, target: string, writable: boolean }[] besides its directory
---@field pid integer? of its first process, when it runs on this machine
---@field state string podman's word
---@field running boolean
---@field created any podman's time of creation
---@field owner string
---@field owner_alive boolean true also when it cannot be told
---@field in_use boolean its owner is alive, or somebody holds it open
---@field kept boolean it was started with `keep`
---@field version string
---@field path string
---@field given_back string[]? of the floor, by policy; nil: by an older version
---@field labels axo.SessionLabels
---@field place axo.Place where its files lie

return session_list
