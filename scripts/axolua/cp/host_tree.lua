--- Directories of this host, by descriptors: what is in one is reached through no symbolic link,
--- whatever is done to the names meanwhile. Some of them lie where the session can
--- write, and the container can put links in any name's place.
local uv = require "luv"
local axo = require "axosandbox"
local writable = require "axolua.cli.writable"

local host_tree = {}

local O, NONBLOCK = axo.host.open_flags, uv.constants.O_NONBLOCK
local DIRECTORY = O.O_RDONLY | O.O_DIRECTORY
local TYPE, PERMISSIONS = 0xF000, 511 -- 0777: no set-id bits

---@class cli.HostDirectory
---@field path string as a person knows it
---@field private fd integer
local Directory = {}
Directory.__index = Directory

local function problem_of(path, message)
  message = message:match "^%u+: ([^:]*)" or message
  return nil, { op = "cp", message = ("%s: %s"):format(path, message) }
end

local function directory(fd, path)
  return setmetatable({ fd = fd, path = path }, Directory)
end

-- What was found is opened, and the kernel says what that is: the container may have put a link
-- there meanwhile. nil: nothing is wrong.
local function led_out_of(fd, at, links, dirs)
  local dir = writable.made(dirs, links) or writable.holder(dirs, at)
  if not dir or writable.holder(dirs, uv.fs_readlink("/proc/self/fd/" .. fd) or "") then return end
  return dir
end

--- Opens a directory that a person named.
---@param path string absolute
---@param dirs string[] what the session can write, from `writable.of`
---@return cli.HostDirectory? directory, axo.Error|table|nil err
function host_tree.open(path, dirs)
  local at, links = writable.follow(path)
  if not at then return problem_of(path, "too many symbolic links") end
  local fd, message = uv.fs_open(at, DIRECTORY, 0)
  if not fd then return problem_of(path, message) end
  local left = led_out_of(fd, at, links, dirs)
  if not left then return directory(fd, path) end
  uv.fs_close(fd)
  return problem_of(path, ("a symbolic link in %s, which the session can write, leads out of it")
    :format(left))
end

-- The name in this directory, whatever that is called now.
function Directory:at(name)
  assert(name ~= "" and name ~= "." and name ~= ".." and not name:find "[/%z]", "no name")
  return ("/proc/self/fd/%d/%s"):format(self.fd, name)
end

function Directory:child(name) return (self.path == "/" and "" or self.path) .. "/" .. name end

--- What a name is; a link is a link.
---@return { type: string, size: integer, mode: integer }? stat nil: nothing is there
function Directory:stat(name)
  return uv.fs_lstat(self:at(name))
end

--- The names in it, at most `most`.
---@return string[]? names, table? err
function Directory:names(most)
  local names, entries = {}, uv.fs_scandir("/proc/self/fd/" .. self.fd)
  if not entries then return problem_of(self.path, "it cannot be read") end
  while true do -- to the end: libuv frees them there
    local name = uv.fs_scandir_next(entries)
    if not name then break end
    names[#names + 1] = name
  end
  if #names > most then return problem_of(self.path, ("more than %d entries"):format(most)) end
  table.sort(names)
  return names
end

--- A directory in it.
---@return cli.HostDirectory? directory, table? err
function Directory:enter(name)
  local fd, message = uv.fs_open(self:at(name), DIRECTORY | O.O_NOFOLLOW, 0)
  if not fd then return problem_of(self:child(name), message) end
  return directory(fd, self:child(name))
end

--- The same, made where it is missing.
---@param name string
---@param mode integer of one that is made
function Directory:make(name, mode)
  local ok, message, code = uv.fs_mkdir(self:at(name), mode & PERMISSIONS | 448) -- 0700
  if not ok and code ~= "EEXIST" then return problem_of(self:child(name), message) end
  return self:enter(name)
end

--- Opens a regular file in it for reading.
---@return integer? fd, table err_or_stat
function Directory:open_file(name)
  local fd, message = uv.fs_open(self:at(name), O.O_RDONLY | O.O_NOFOLLOW | NONBLOCK, 0)
  if not fd then return problem_of(self:child(name), message) end
  local stat = uv.fs_fstat(fd)
  if stat.mode & TYPE == 0x8000 then return fd, stat end
  uv.fs_close(fd)
  return problem_of(self:child(name), "it is no regular file")
end

-- A directory stays by itself: no file takes its name.
local REPLACED = { file = true, directory = true }

local function new_name(name)
  return (".%s.%08x"):format(name:sub(1, 200), string.unpack("I4", uv.random(4)))
end

--- Writes a file in it: a new one, which takes the name once it is whole. What has the name is
--- replaced, a link itself and not what it leads to; a directory stays, and so does a device, a
--- FIFO or a socket, also behind a link: /dev/null and /dev/stdout are everybody's.
---@param name string
---@param mode integer
---@param fill fun(write: fun(bytes: string): true?, table?): true?, table? writes its content
---@return true? ok, table? err
function Directory:write_file(name, mode, fill)
  local there = uv.fs_stat(self:at(name))
  if there and not REPLACED[there.type] then
    return problem_of(self:child(name), "it is a " .. there.type .. ", and is not replaced")
  end
  local made = self:at(new_name(name))
  local flags = O.O_WRONLY | O.O_CREAT | O.O_EXCL | O.O_NOFOLLOW
  local fd, message = uv.fs_open(made, flags, mode & PERMISSIONS | 384) -- 0600
  if not fd then return problem_of(self:child(name), message) end
  local ok, err = fill(function(bytes)
    local written, problem = uv.fs_write(fd, bytes, -1)
    if written == #bytes then return true end
    return problem_of(self:child(name), problem or "the disk is full")
  end)
  uv.fs_close(fd)
  if ok then
    ok, message = uv.fs_rename(made, self:at(name))
    if not ok then err = select(2, problem_of(self:child(name), message)) end
  end
  if not ok then uv.fs_unlink(made) end
  return ok and true or nil, err
end

function Directory:close()
  if self.fd then uv.fs_close(self.fd) end
  self.fd = nil
end

Directory.__close = Directory.close

return host_tree
