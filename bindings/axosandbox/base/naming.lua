--- The names that a session carries in the world: its id, its container, its labels.
local uv = require "luv"
local core = require "axosandbox.core"

local naming = {}

naming.CONTAINER_PREFIX = "axo-ses-"
naming.BUILDER_PREFIX = "axo-prov-"
naming.LABEL = "axosandbox."
naming.EMBEDDED_IMAGE = "localhost/axosandbox/base"
naming.CACHE_IMAGE = "localhost/axosandbox/cache"

--- What is wrong with a session id; nil when nothing is.
---
---     print(axo.check.id "demo" == nil)  --> true
---     print(axo.check.id "no/slash" ~= nil)  --> true
---@param id string
---@return string? problem
function naming.check_id(id)
  if not id:find "^[A-Za-z0-9][A-Za-z0-9_.-]*$" then
    return ("%q is not an id: letters, digits, '_', '.' and '-', the first a letter or digit")
      :format(id)
  end
  if #id > 63 then return ("an id has at most 63 characters, this one %d"):format(#id) end
end

--- What is wrong with the name of an existing container; nil when nothing is.
---@param name string
---@return string? problem
function naming.check_container(name)
  if not name:find "^[A-Za-z0-9][A-Za-z0-9_.-]*$" or #name > 128 then
    return ("%q is not the name or id of a container"):format(name)
  end
end

--- What is wrong with the names of environment variables; nil when nothing is.
---@param names string[]
---@return string? problem
function naming.check_env_names(names)
  for _, name in ipairs(names) do
    if not name:find "^[A-Za-z_][A-Za-z0-9_]*$" then
      return ("%q is not the name of an environment variable"):format(name)
    end
  end
end

--- The same of one.
---@param name string
---@return string? problem
function naming.check_env_name(name) return naming.check_env_names { name } end

--- What is wrong with NAME|UID[:GROUP|GID]; nil when nothing is.
---@param user string
---@return string? problem
function naming.check_user(user)
  local name, group = user:match "^([^:]*)(.*)$"
  local word = "^[A-Za-z0-9_][A-Za-z0-9_.-]*%$?$"
  if #user > 128 or not name:find(word) or (group ~= "" and not group:sub(2):find(word)) then
    return ("%q is not a user: NAME or UID, and perhaps :GROUP or :GID"):format(user)
  end
end

--- The container of a session.
---@param id string
---@return string
function naming.container(id)
  return naming.CONTAINER_PREFIX .. id
end

-- With policy's longest key a tag has 125 characters, and may have 128.
local DIGITS = 24

--- The image that provisioning makes. The key is policy's; what it is made from is ours to tell
--- apart.
---@param key string
---@param commands string[]
---@param image string what they run in
---@return string
function naming.cached_image(key, commands, image)
  local made_from = core.digest(table.concat(commands, "\0") .. "\0" .. image)
  return ("%s:%s-%s"):format(naming.CACHE_IMAGE, key, made_from:gsub("^.*:", ""):sub(1, DIGITS))
end

--- Random bytes in hexadecimal.
---@param length integer? bytes, 16 by default
---@return string
function naming.token(length)
  local bytes = assert(uv.random(length or 16))
  return (("%02x"):rep(#bytes):format(bytes:byte(1, -1)))
end

--- An absolute path without a trailing slash, doubled slashes and "." components. A ".."
--- is left alone: what it means depends on symbolic links.
---@param path string
---@return string
function naming.tidy_path(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part ~= "." then parts[#parts + 1] = part end
  end
  return "/" .. table.concat(parts, "/")
end

---@class axo.SessionLabels
---@field id string
---@field dir string
---@field root { dev: integer, ino: integer }? what that directory is, on the machine that started it
---@field version string of the library that started it
---@field owner string host.identity() of the process that started it
---@field instance string unique to each attempt to start
---@field image string? as asked for
---@field ports integer[]
---@field limits { memory: integer?, cpus: number?, pids: integer? }
---@field path string?
---@field secrets string[]? names
---@field keep boolean? it is meant to outlive the process that started it
---@field given_back string[]? of the floor; nil when read back: by a version without a profile
---@field place string? its private directory; older versions did not say
---@field address string? where its ports are published; older versions did not say
---@field user string? whom its first process was told to run as; older versions did not say
---@field mounts { source: string, target: string, writable: boolean }[]? besides its directory
---@field podman_dir string? the XDG_RUNTIME_DIR that podman had, without which it cannot reach it

--- The labels of a session's container: everything that is needed to find it again, and nothing
--- left out, since what is left out an image can say.
---@param session axo.SessionLabels
---@return table<string, string>
function naming.labels(session)
  local values = {
    id = session.id,
    dir = session.dir,
    root = session.root and ("%d:%d"):format(session.root.dev, session.root.ino) or "",
    version = session.version,
    owner = session.owner,
    instance = session.instance,
    image = session.image or "",
    ports = table.concat(session.ports, ","),
    limits = naming.format_limits(session.limits),
    path = session.path or "portable",
    secrets = table.concat(session.secrets or {}, ","),
    keep = session.keep and "yes" or "no",
    ["given-back"] = table.concat(session.given_back or {}, ","),
    place = session.place or "",
    podman_dir = session.podman_dir or "",
    user = session.user or "",
    address = session.address or "",
    mounts = naming.format_mounts(session.mounts or {}),
  }
  if values["given-back"] == "" then values["given-back"] = "none" end
  local labels = {}
  for key, value in pairs(values) do labels[naming.LABEL .. key] = value end
  return labels
end

--- `{ memory = bytes, cpus = n, pids = n }` as the text of a label.
---@param limits table?
---@return string
function naming.format_limits(limits)
  local parts = {}
  for _, key in ipairs { "memory", "cpus", "pids" } do
    local value = limits and limits[key]
    if value then parts[#parts + 1] = key .. "=" .. tostring(value) end
  end
  return table.concat(parts, ",")
end

-- Each item of a list; nil when one of them is none.
local function parse_list(text, read)
  local list = {}
  for item in text:gmatch "[^,]+" do
    local value = read(item)
    if value == nil then return nil end
    list[#list + 1] = value
  end
  return list
end

local function parse_port(text)
  local port = text:find "^%d%d?%d?%d?%d?$" and math.tointeger(tonumber(text))
  return port and port >= 1 and port <= 65535 and port or nil
end

local function parse_name(text)
  return not naming.check_env_name(text) and text or nil
end

local function escaped(text)
  return (text:gsub("[^%w/._-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function unescaped(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

--- Mounts as the text of a label.
---@param list { source: string, target: string, writable: boolean }[]
---@return string
function naming.format_mounts(list)
  local parts = {}
  for i, it in ipairs(list) do
    parts[i] = ("%s:%s:%s"):format(escaped(it.source), escaped(it.target),
      it.writable and "rw" or "ro")
  end
  return table.concat(parts, ",")
end

local function parse_mount(text)
  local source, target, mode = text:match "^(/[%w/._%%-]*):(/[%w/._%%-]*):(r[ow])$"
  return source and { source = unescaped(source), target = unescaped(target),
    writable = mode == "rw" } or nil
end

local LIMIT_NAMES = { memory = true, cpus = true, pids = true }

local function parse_limits(text)
  local limits = {}
  local items = parse_list(text, function(item)
    local key, value = item:match "^(%l+)=([%d.]+)$"
    if not LIMIT_NAMES[key] or not tonumber(value) then return nil end
    limits[key] = tonumber(value)
    return true
  end)
  return items and limits
end

local MAX_PATH = 4096

local function parse_path(text)
  return (text == "" or #text <= MAX_PATH and text:find "^/[^%z\n]+$") and text or nil
end

local function matching(pattern)
  return function(text) return text:match(pattern) end
end

-- "" where there is none: sessions of older versions have none.
local function parse_root(text)
  if text == "" then return text end
  local dev, ino = text:match "^(%d+):(%d+)$"
  dev, ino = math.tointeger(tonumber(dev)), math.tointeger(tonumber(ino))
  return dev and ino and { dev = dev, ino = ino }
end

local READERS = {
  id = function(text) return not naming.check_id(text) and text or nil end,
  dir = function(text)
    return text:find "^/" and not text:find "[%z\n]" and text or nil
  end,
  root = parse_root,
  version = matching "^[%w.+-]+$",
  owner = matching "^%d+:[%d-]+:[%x-]+:[%d-]+$",
  instance = matching "^%x+$",
  image = matching "^%g*$",
  ports = function(text) return parse_list(text, parse_port) end,
  limits = parse_limits,
  path = function(text) return (text == "native" or text == "portable") and text or nil end,
  secrets = function(text) return parse_list(text, parse_name) end,
  -- Sessions of older versions have none.
  keep = function(text) return (text == "yes" or text == "no" or text == "") and text or nil end,
  place = parse_path,
  podman_dir = parse_path,
  address = matching "^[%x.:]*$",
  -- Sessions of older versions have none.
  mounts = function(text) return parse_list(text, parse_mount) end,
  user = function(text) return (text == "" or not naming.check_user(text)) and text or nil end,
}

local GIVEN_BACK = { setuid = true, nested_namespaces = true }

READERS["given-back"] = function(text)
  if text == "" or text == "none" then return text end
  return parse_list(text, function(item) return GIVEN_BACK[item] and item end)
end

local MAX_LABEL = 65536

-- A place is called after its session: another one's is never believed.
local function is_place_of(path, id)
  local name = path:match "^/.*/([^/]*)$"
  return name ~= nil and (name == id or name:match "^([^@]*)@%x+$" == id)
end

--- Reads the labels back. Their words may be anybody's: an image has labels too, and its
--- container carries them.
---@param labels table<string, string>? as podman reports them
---@return axo.SessionLabels? session
---@return string? problem nil when they do not even claim to be a session's
function naming.parse_labels(labels)
  if type(labels) ~= "table" or labels[naming.LABEL .. "id"] == nil then return nil end
  local session = {}
  for key, read in pairs(READERS) do
    local text = labels[naming.LABEL .. key]
    if text == nil then text = "" end
    local is_text = type(text) == "string" and #text <= MAX_LABEL
    session[key] = is_text and read(text) or nil
    if session[key] == nil then
      return nil, ("its label %s%s is not one of a session"):format(naming.LABEL, key)
    end
  end
  for _, key in ipairs { "image", "root", "place", "podman_dir", "user", "address" } do
    if session[key] == "" then session[key] = nil end
  end
  if session.place and not is_place_of(session.place, session.id) then
    return nil, ("its label %splace is not one of this session"):format(naming.LABEL)
  end
  session.keep = session.keep == "yes"
  local given_back = session["given-back"]
  session["given-back"] = nil
  if given_back ~= "" then session.given_back = given_back == "none" and {} or given_back end
  return session
end

--- The session that a container is, by its labels and its name.
---@param name string of the container
---@param labels table<string, string>?
---@return axo.SessionLabels? session
---@return string? problem when the labels claim that it is one
function naming.session_of(name, labels)
  local session, problem = naming.parse_labels(labels)
  if session and name ~= naming.container(session.id) then
    return nil, ("its labels are those of the container %s"):format(naming.container(session.id))
  end
  return session, problem
end

return naming
