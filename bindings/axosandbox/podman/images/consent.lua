--- Which images the operator agreed to on this machine: those made here on purpose, and for a
--- project's directory the one that its sessions run. By digest, never by name alone: an image of
--- the same name that was built or pulled anew is another one. Kept in the state directory, which
--- no session reaches.
local uv = require "luv"
local cjson = require "cjson.safe"
local core = require "axosandbox.core"
local await = require "axosandbox.base.await"
local errors = require "axosandbox.base.errors"
local hints = require "axosandbox.base.hints"
local host = require "axosandbox.host"
local private_file = require "axosandbox.host.private_file"

local consent = {}

local FILE = "/images.json"
local VERSION = 1
local MAX_BYTES = 1024 * 1024
local LOCK_WAIT, LOCK_PAUSE = 5, 0.02 -- seconds

---@class axo.MadeImage an image that was made here
---@field name string
---@field packages string[]
---@field at integer seconds since the epoch

---@class axo.AgreedImage what the sessions of a directory run
---@field image string its name
---@field digest string
---@field at integer seconds since the epoch

---@class axo.ImageConsents
---@field made table<string, axo.MadeImage> by digest
---@field projects table<string, axo.AgreedImage> by directory, without symbolic links

local function is_entry(entry, ...)
  if type(entry) ~= "table" then return false end
  for _, key in ipairs { ... } do
    if type(entry[key]) ~= "string" then return false end
  end
  return true
end

local function kept(entries, ...)
  local list = {}
  for key, entry in pairs(type(entries) == "table" and entries or {}) do
    if is_entry(entry, ...) then list[key] = entry end
  end
  return list
end

--- All that was agreed to. What cannot be read is agreed to by nobody.
---@return axo.ImageConsents
function consent.read()
  local dir = host.state_path()
  local data = dir and cjson.decode(private_file.read(dir .. FILE, MAX_BYTES) or "")
  if type(data) ~= "table" or data.version ~= VERSION then data = {} end
  return {
    made = kept(data.made, "name"),
    projects = kept(data.projects, "image", "digest"),
  }
end

local function take_lock(path)
  local deadline = await.now() + LOCK_WAIT
  while true do
    local lock, err = core.lock(path, true)
    if lock then return lock end
    if err.code ~= "EBUSY" or await.now() > deadline then error(err, 0) end
    await.sleep(LOCK_PAUSE)
  end
end

--- Changes what was agreed to, in a coroutine. Raises what fails.
---@param change fun(all: axo.ImageConsents)
function consent.change(change)
  local dir = errors.must(host.state_dir())
  local lock = take_lock(dir .. "/images.lock")
  local _ <close> = errors.finally(function() lock:close() end)
  local all = consent.read()
  change(all)
  local text = cjson.encode { version = VERSION, made = all.made, projects = all.projects }
  if not text or #text > MAX_BYTES then
    errors.raise {
      code = "E2BIG", op = "image", message = "too many images are remembered: "
        .. dir .. FILE .. " would be longer than a mebibyte",
      hint = hints.TABLE.forget_images.lua,
    }
  end
  errors.must(private_file.replace(dir .. FILE, text))
end

--- The image that was agreed to for a directory.
---
---     local agreed = axo.images.of "/some/project"
---     local options = { id = "demo", dir = "/some/project", image = agreed and agreed.image }
---     print(options.image)
---@param dir string
---@return axo.AgreedImage?
function consent.of(dir)
  return consent.read().projects[uv.fs_realpath(dir) or dir]
end

--- Whether anything was agreed to that could be about an image of a session in this directory.
---@param dir string
---@return boolean
function consent.may_know(dir)
  local all = consent.read()
  return next(all.made) ~= nil or all.projects[dir] ~= nil
end

--- What was agreed to about an image.
---@param name string in full
---@param digest string? of the image of that name; nil: it is not on this machine
---@param dir string? the session's, without symbolic links
---@return "made"|"project"|"changed"|"gone"|nil # changed, gone: for this directory, but to another image of that name, to one that is not here any more
function consent.about(name, digest, dir)
  local all = consent.read()
  if digest and all.made[digest] then return "made" end
  local agreed = dir and all.projects[dir]
  if not agreed then return nil end
  if digest and agreed.digest == digest then return "project" end
  if agreed.image ~= name then return nil end
  return digest and "changed" or "gone"
end

return consent
