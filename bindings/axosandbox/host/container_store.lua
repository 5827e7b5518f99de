--- Which of podman's stores this process works in. One store knows nothing of another's
--- containers, so what is not in one may well live in another.
---
--- It is told by what the environment says and no podman is asked. Which program podman is plays
--- no part: one that $AXOSANDBOX_PODMAN names has the store that the environment names.
local uv = require "luv"
local core = require "axosandbox.core"

local container_store = {}

local MAX_BYTES = 256 * 1024
local DIGITS = 12

-- They name a store, or what makes another one of it.
local VARIABLES = { "CONTAINER_HOST", "CONTAINER_CONNECTION", "STORAGE_DRIVER", "STORAGE_OPTS" }

-- The keys of storage.conf and containers.conf that do.
local KEYS = {
  graphroot = true, runroot = true, rootless_storage_path = true, driver = true,
  static_dir = true, tmp_dir = true, remote = true, active_service = true,
}

local function variable(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

local function read(path)
  local stat = uv.fs_stat(path)
  local file = stat and stat.type == "file" and io.open(path, "rb")
  local text = file and file:read(MAX_BYTES)
  if file then file:close() end
  return text
end

local function plain(value)
  return value:match '^"([^"]*)"' or value:match "^'([^']*)'" or value:match "^[^%s#]*"
end

local function add_file(parts, path)
  local text = read(path)
  if not text then
    parts[#parts + 1] = "file=" .. path
    return
  end
  for line in text:gmatch "[^\n]+" do
    local key, value = line:match "^%s*([%w_]+)%s*=%s*(.*)$"
    if KEYS[key] then parts[#parts + 1] = key .. "=" .. plain(value) end
  end
end

-- A user's own files lie in the home; root's lie in /etc, which is everybody's.
local function add_home(parts)
  local passwd = uv.os_get_passwd() -- a container's user often has no entry
  local home = passwd and passwd.homedir or variable "HOME" or "/"
  local here = variable "HOME" or home
  local data = variable "XDG_DATA_HOME" or here .. "/.local/share"
  if data ~= home .. "/.local/share" then parts[#parts + 1] = "data=" .. data end
  local settings = variable "XDG_CONFIG_HOME" or here .. "/.config"
  local path = settings .. "/containers/storage.conf"
  if not variable "CONTAINERS_STORAGE_CONF" and uv.fs_stat(path) then add_file(parts, path) end
end

--- A short name of the store; "" for the one that this user has without any setting.
---@return string
function container_store.key()
  local parts = {}
  for _, name in ipairs(VARIABLES) do
    local value = variable(name)
    if value then parts[#parts + 1] = name .. "=" .. value end
  end
  for _, name in ipairs {
    "CONTAINERS_STORAGE_CONF", "CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE",
  } do
    local path = variable(name)
    if path then add_file(parts, path) end
  end
  if uv.getuid() ~= 0 then add_home(parts) end
  if #parts == 0 then return "" end
  return core.digest(table.concat(parts, "\n")):gsub("^.*:", ""):sub(1, DIGITS)
end

return container_store
