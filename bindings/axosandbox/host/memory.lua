--- A small JSON file of what worked on this host. It is a cache: a corrupt, foreign or
--- missing file is an empty one, and a failure to write it is nobody's concern.
local uv = require "luv"
local cjson = require "cjson.safe"
local private_file = require "axosandbox.host.private_file"

local memory = {}

local FILE = "/hosts.json"
local VERSION = 1
local MAX_BYTES = 256 * 1024
local MAX_PROGRAMS = 16

-- What was learnt with one podman says nothing about the next one, nor about other users.
local function scope_of(program)
  local stat = uv.fs_stat(program)
  return ("%s@%d@%d"):format(program, stat and stat.mtime.sec or 0, uv.getuid())
end

local function read(path)
  local data = cjson.decode(private_file.read(path, MAX_BYTES) or "")
  if type(data) ~= "table" or data.version ~= VERSION or type(data.programs) ~= "table" then
    return {}
  end
  return data.programs
end

local function write(path, programs)
  local text = cjson.encode { version = VERSION, programs = programs }
  if not text or #text > MAX_BYTES then return end
  private_file.replace(path, text)
end

local function is_current(entry, now)
  return type(entry) == "table" and type(entry.expires) == "number" and entry.expires > now
end

local function prune(programs, now)
  local kept, count = {}, 0
  for scope, entries in pairs(programs) do
    local current = {}
    if type(entries) == "table" then
      for key, entry in pairs(entries) do
        if is_current(entry, now) then current[key] = entry end
      end
    end
    if next(current) and count < MAX_PROGRAMS then
      kept[scope], count = current, count + 1
    end
  end
  return kept
end

--- The value kept under `key`; nil when there is none or it is too old.
---@param dir string? the state directory; nil: nothing is known
---@param key string
---@param program string the podman it was learnt with
---@return any
function memory.recall(dir, key, program)
  if not dir then return nil end
  local entries = read(dir .. FILE)[scope_of(program)]
  local entry = type(entries) == "table" and entries[key]
  if entry and is_current(entry, os.time()) then return entry.value end
  return nil
end

--- Keeps `value` under `key` for `ttl_s` seconds; nil forgets it. Two writers at once may
--- lose one of the two entries, never the file.
---@param dir string?
---@param key string
---@param value any
---@param ttl_s number
---@param program string
function memory.remember(dir, key, value, ttl_s, program)
  if not dir then return end
  local now, scope = os.time(), scope_of(program)
  local programs = prune(read(dir .. FILE), now)
  local entries = programs[scope] or {}
  if value == nil and entries[key] == nil then return end
  entries[key] = value ~= nil and { value = value, expires = now + ttl_s } or nil
  programs[scope] = next(entries) and entries or nil
  write(dir .. FILE, programs)
end

return memory
