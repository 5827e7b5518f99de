--- What opening a session takes, in its private directory: so that podman need not be asked about
--- one whose guest answers. It is believed only while the container's first process is the one
--- that it names: that very process, of this boot, and not another that has got its number.
local uv = require "luv"
local cjson = require "cjson.safe"
local host = require "axosandbox.host"
local naming = require "axosandbox.base.naming"
local options = require "axosandbox.base.options"
local private_file = require "axosandbox.host.private_file"

local session_file = {}

local FILE = "/session.json"
local VERSION = 1
local MAX_BYTES = 256 * 1024

local SHAPE = {
  version = { type = "integer", required = true, min = VERSION, max = VERSION },
  process = "string",
  container_id = "string",
  image = "string",
  network = "string",
  ports = { type = "table", items = { type = "integer", min = 1, max = 65535 } },
  labels = { type = "table", values = "string" },
}

---@class axo.SessionFile
---@field process string? identity of the container's first process; nil: it was still being started
---@field container_id string?
---@field image string?
---@field network string?
---@field ports integer[]? published
---@field labels table<string, string>?

--- What lies there, of whatever age; nil when there is nothing that can be understood.
---@param dir string
---@return axo.SessionFile?
function session_file.read(dir)
  local text = private_file.read(dir .. FILE, MAX_BYTES)
  local found = text and cjson.decode(text)
  if type(found) ~= "table" or options.validate(SHAPE, found, "session") then return nil end
  for i, port in ipairs(found.ports or {}) do found.ports[i] = math.tointeger(port) end
  return found
end

local function write(dir, found)
  found.version = VERSION
  local text, problem = cjson.encode(found)
  if not text then return nil, problem end
  return private_file.replace(dir .. FILE, text)
end

--- A start begins. What an earlier one left says more, for as long as it is true.
---@param dir string
function session_file.begin(dir)
  if not uv.fs_lstat(dir .. FILE) then write(dir, {}) end
end

--- The start came to nothing, and left nothing else there: what an earlier session left stays.
---@param dir string
function session_file.abandon(dir)
  local found = session_file.read(dir)
  if found and not found.labels then uv.fs_unlink(dir .. FILE) end
  uv.fs_rmdir(dir)
end

--- A container was started. Without the file podman is asked, so failing to write it loses little.
---@param dir string
---@param found axo.SessionFile
---@param pid integer?
---@return true? written, string? problem
function session_file.keep(dir, found, pid)
  found.process = pid and host.identity(pid) or nil
  return write(dir, found)
end

--- Whether the container that it tells of lives.
---@param found axo.SessionFile
---@return boolean? alive nil: cannot be told from here
function session_file.is_alive(found)
  if not found.process then return false end
  return host.is_alive(found.process)
end

--- What a session that lives on this host needs to be opened; nil: podman must be asked.
---@param dir string
---@param id string
---@return axo.SessionFile? found, axo.SessionLabels? session
function session_file.live(dir, id)
  local found = session_file.read(dir)
  if not found or session_file.is_alive(found) ~= true or not found.container_id then return nil end
  if not found.container_id:find "^%x+$" or not found.image or not found.ports then return nil end
  local session = naming.session_of(naming.container(id), found.labels)
  if not session or session.place ~= dir then return nil end
  return found, session
end

-- Each attempt to start has podman write the number of the first process beside it.
local function has_live_attempt(dir)
  local entries, lives = uv.fs_scandir(dir), false
  while entries do -- to the end: libuv frees them there
    local name = uv.fs_scandir_next(entries)
    if not name then break end
    local path = dir .. "/" .. name
    local pid = name:find "^%x+%.pid$" and (host.read_file(path) or ""):match "^%d+"
    local stat = pid and uv.fs_stat(path)
    lives = lives or stat and host.lives_since(tonumber(pid), stat.mtime.sec)
  end
  return lives or false
end

--- Whether a container may live that needs what lies there, in whichever of podman's stores.
---@param dir string
---@return boolean
function session_file.is_needed(dir)
  local found = session_file.read(dir)
  return found ~= nil and session_file.is_alive(found) ~= false or has_live_attempt(dir)
end

return session_file
