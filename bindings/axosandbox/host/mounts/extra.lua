--- Directories that a session has besides its own: checked here, judged by policy, and looked at
--- again once the container has them.
local errors = require "axosandbox.base.errors"
local host = require "axosandbox.host"
local links = require "axosandbox.host.links"
local mounted = require "axosandbox.host.mounts.mounted"
local naming = require "axosandbox.base.naming"
local own_files = require "axosandbox.host.own_files"
local paths = require "axosandbox.base.text.path"
local places = require "axosandbox.host.mounts.places"

local extra = {}

local MAX = 32

-- Where a container has what is no directory of an image's, or would be without a system.
local CLOSED = { "/proc", "/sys", "/dev", "/run", "/var/run" }
local WHOLE = {
  "/", "/bin", "/boot", "/etc", "/home", "/lib", "/lib32", "/lib64", "/root", "/sbin", "/tmp",
  "/usr", "/usr/bin", "/usr/lib", "/usr/sbin", "/usr/local", "/var",
}

---@class axo.ExtraMount
---@field source string a directory of this host, absolute
---@field target string? where the session has it; the same path by default
---@field writable boolean? false by default

local function check_path(path)
  if path:sub(1, 1) ~= "/" then return "an absolute path is needed, got " .. path end
  if path:find "[%z\n]" then return "a path with a NUL or a line feed cannot be mounted" end
  if #path > 4096 then return "a path of more than 4096 bytes" end
  if (path .. "/"):find "/%.%.?/" then return 'a path with "." or ".." in it: ' .. path end
end

local function check_list(list)
  if #list > MAX then return ("more than %d mounts"):format(MAX) end
end

--- What `mounts` of `axo.start` may be.
extra.RULE = {
  type = "table", check = check_list, items = { type = "table", shape = {
    source = { type = "string", required = true, check = check_path },
    target = { type = "string", check = check_path },
    writable = "boolean",
  } },
}

--- Copied, and whole.
---@param list axo.ExtraMount[]?
---@return axo.ExtraMount[]
function extra.copy(list)
  local copied = {}
  for i, it in ipairs(list or {}) do
    local source = naming.tidy_path(it.source)
    copied[i] = {
      source = source, target = it.target and naming.tidy_path(it.target) or source,
      writable = it.writable or false,
    }
  end
  return copied
end

local function refuse(it, why, hint, code)
  return nil, errors.new {
    code = code or "INVALID", op = "start", hint = hint,
    message = ("%s cannot be mounted at %s: %s"):format(it.source, it.target, why),
  }
end

local function problem_with_target(it, others)
  for _, path in ipairs(WHOLE) do
    if it.target == path then return "the container's own is there" end
  end
  if paths.is_in_any(it.target, CLOSED) then return "the kernel's and podman's files are there" end
  local other = paths.overlap(it.target, others)
  if other then return ("%s is mounted there"):format(other) end
end

-- A read-only mount is so at its top alone: what is mounted in it would stay as it is.
local function inner_mount(it)
  for i, place in ipairs(it.places or {}) do
    if i > 1 and not place.is_layer then return place.at end
  end
end

-- What is there decides about the sessions to come, also what is only made there.
local function is_configuration(it)
  local dir = host.config_dir()
  dir = dir and links.follow("", dir)
  return dir ~= nil and paths.overlap(it.source_real, { dir }) ~= nil
end

local function find(it, program)
  local real, identity, code = mounted.examine(it.source)
  if not real then
    return refuse(it, identity:match "^%u+: ([^:]*)" or identity,
      code == "ENOENT" and "mkdir -p " .. it.source or nil, code)
  end
  it.source_real, it.identity = real, identity
  local ok, err = own_files.check(real, program)
  if not ok then return nil, err end
  if it.writable and is_configuration(it) then
    return refuse(it, "axosandbox's own configuration is there, or would be", "leave out :rw")
  end
  it.places, it.mounts = places.of(real)
  local inner = inner_mount(it)
  if not inner then return true end
  return refuse(it, ("%s is mounted in it"):format(inner), "mount that by itself")
end

--- What of the host a session can write, in all spellings.
---@param list axo.ExtraMount[]
---@param dirs string[] the session's own directory
---@return string[] all
function extra.written(list, dirs)
  local all = table.move(dirs, 1, #dirs, 1, {})
  for _, it in ipairs(list) do
    if it.writable then
      all[#all + 1] = it.source
      all[#all + 1] = it.source_real
    end
  end
  return all
end

-- Where a link of the session's leads is what a session before it chose.
local function check_links(it, written)
  local by
  local at = links.follow("", it.source, function(step, target)
    by = by or target and paths.is_in_any(step, written) and step
  end)
  if at == it.source_real and (not by or paths.is_in_any(at, written)) then return true end
  if not by then return refuse(it, "it changed while it was looked at", "try again", "CHANGED") end
  return refuse(it, ("the symbolic link %s, which the session can write, leads to %s"):format(by,
    it.source_real), "if that is the directory that you mean, name it: " .. it.source_real)
end

--- Finds what is asked for: each gets `source_real`, and what policy and `extra.verify` need.
---@param list axo.ExtraMount[] from `extra.copy`
---@param own { dir: string, source: string? } the session's directory; source: without symbolic links
---@param program string of podman
---@param is_remote boolean it runs on another machine
---@return true? ok, axo.Error? err
function extra.find(list, own, program, is_remote)
  local taken = { own.dir }
  for _, it in ipairs(list) do
    if is_remote then
      return refuse(it, "podman runs on another machine, whose directories cannot be judged here")
    end
    if it.target == own.dir and links.follow("", it.source) == own.source then
      return refuse(it, "the session has it there already, to be written", "leave it out")
    end
    local problem = problem_with_target(it, taken)
    if problem then return refuse(it, problem, "choose another place in the session") end
    taken[#taken + 1] = it.target
    local ok, err = find(it, program)
    if not ok then return nil, err end
  end
  local written = extra.written(list, { own.source })
  for _, it in ipairs(list) do
    local ok, err = check_links(it, written)
    if not ok then return nil, err end
  end
  return true
end

--- What policy is told of them.
---@param list axo.ExtraMount[]
---@return table[]
function extra.requests(list)
  local requests = {}
  for i, it in ipairs(list) do
    requests[i] = {
      source = it.source, source_real = it.source_real, target = it.target,
      writable = it.writable, places = it.places, mounts = it.mounts,
    }
  end
  return requests
end

-- Who asked for a mount gets it, as it was asked for, or an error.
local function is_granted(it, decided)
  for _, grant in ipairs(decided or {}) do
    if grant.source == it.source_real and grant.target == it.target then
      return not it.writable or grant.writable == true
    end
  end
  return false
end

--- Compares them with what policy decided.
---@param list axo.ExtraMount[]
---@param decided { source: string, target: string, writable: boolean? }[]?
---@param source string the policy file that decided
---@return { source: string, target: string, writable: boolean }[]? granted, axo.Error? err
function extra.granted(list, decided, source)
  local granted = {}
  for i, it in ipairs(list) do
    if not is_granted(it, decided) then
      return refuse(it, ("policy (%s) does not grant it%s"):format(source,
        it.writable and ", to be written" or ""), nil, "POLICY")
    end
    granted[i] = { source = it.source_real, target = it.target, writable = it.writable }
  end
  return granted
end

--- What of them a running container has otherwise than policy judged it; nil: nothing.
---@param container { pid: integer? }
---@param list axo.ExtraMount[]
---@param entries axo.MountEntry[]? the container's table of mounts
---@return string? what
function extra.changed(container, list, entries)
  for _, it in ipairs(list) do
    if not mounted.is_same(container, it.target, it.source_real, it.identity) then
      return ("the directory %s is not the one that policy judged"):format(it.source)
    end
    local new = places.unforeseen(entries, it.target, it.places)
    if new then
      return ("%s was mounted in %s after policy had judged it"):format(new, it.source)
    end
  end
end

return extra
