--- What a session with a list of names has on this host: the two files of its container's /etc, its
--- list, and the addresses of its names. All lie in its private directory, by the container's
--- instance, and nothing of them is seen from the container but the two.
local cjson = require "cjson.safe"
local uv = require "luv"
local allow = require "axosandbox.policy.allow"
local json = require "axosandbox.base.json"
local options = require "axosandbox.base.options"
local private_file = require "axosandbox.host.private_file"

local files = {}

--- Where the container's resolver asks: by redirection, and without.
files.NAMESERVER = { redirect = "198.18.0.1", listeners = "127.0.0.1" }

local MAX_BYTES = 1024 * 1024
local READABLE = 420 -- 0644: every user of the container reads it, and none writes it

local HOSTS = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"

local function path(dir, instance, kind) return ("%s/%s.%s"):format(dir, instance, kind) end

local function write(name, text, flags)
  local fd, problem = uv.fs_open(name, flags, READABLE)
  if not fd then return nil, problem end
  -- Whatever the umask.
  uv.fs_fchmod(fd, READABLE)
  local written
  written, problem = uv.fs_write(fd, text, 0)
  uv.fs_close(fd)
  return written == #text or nil, problem
end

-- Two seconds once, not five twice: where nobody answers, a command should hear of it.
local function resolver_text(how)
  return ("nameserver %s\noptions ndots:0 timeout:2 attempts:2\n"):format(files.NAMESERVER[how])
end

--- Makes the files that are mounted into the container.
---@param dir string the session's private directory
---@param instance string of the container
---@return { resolv: string, hosts: string }? paths, string? problem
function files.make(dir, instance)
  local made = { resolv = path(dir, instance, "resolv"), hosts = path(dir, instance, "hosts") }
  local ok, problem = write(made.resolv, resolver_text "redirect", "wx")
  if ok then ok, problem = write(made.hosts, HOSTS, "wx") end
  return ok and made or nil, problem
end

--- Says to the container's resolver where it asks: into the same file, which is mounted.
---@param dir string
---@param instance string
---@param how "redirect"|"listeners"
---@return true? written, string? problem
function files.tell_resolver(dir, instance, how)
  local name, text = path(dir, instance, "resolv"), resolver_text(how)
  local ok, problem = write(name, text, "r+")
  if not ok then return nil, problem end
  local fd = uv.fs_open(name, "r+", 0)
  if fd then
    uv.fs_ftruncate(fd, #text)
    uv.fs_close(fd)
  end
  return true
end

--- Where the addresses of its names are kept.
---@param dir string
---@param instance string
---@return string
function files.names(dir, instance) return path(dir, instance, "names") end

--- Where its hosts find each other.
---@param dir string
---@param instance string
---@param kind "lock"|"host"
---@return string
function files.of_host(dir, instance, kind) return path(dir, instance, "network-" .. kind) end

local SHAPE = {
  allow = { type = "table", items = "string", check = allow.check, required = true },
  fixed = "boolean",
}

---@class axo.NamesKept
---@field allow string[] without lists
---@field fixed boolean? the sandbox policy chose another list than was asked for

--- Writes the session's list down, for who opens it again.
---@param dir string
---@param instance string
---@param kept axo.NamesKept
---@return true? written, string? problem
function files.keep(dir, instance, kept)
  local list = json.array(table.move(kept.allow, 1, #kept.allow, 1, {}))
  return private_file.replace(path(dir, instance, "network"),
    json.encode { allow = list, fixed = kept.fixed or nil })
end

--- The session's list.
---@param dir string
---@param instance string?
---@return axo.NamesKept? kept nil: it has none, or what is there cannot be understood
function files.recall(dir, instance)
  local text = instance and private_file.read(path(dir, instance, "network"), MAX_BYTES)
  local kept = text and cjson.decode(text)
  if type(kept) ~= "table" or options.validate(SHAPE, kept, "network") then return nil end
  return kept
end

return files
